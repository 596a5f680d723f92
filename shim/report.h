/*
 * What the shim says: one line on stderr for the first failure of a process, and the log. It must
 * never write into a file that is not stderr's, and never fail the caller.
 */
#ifndef LOCKSHIM_REPORT_H
#define LOCKSHIM_REPORT_H

#include "shim/lock/lock.h"

#include <sys/stat.h>

struct table;

/*
 * What stderr is when the program starts: a file that is opened in its place later is never written
 * into. Before this nothing is.
 */
void report_set_up(const struct stat *standard_error);

/* One line on stderr, whatever was said before. `about` may be NULL. */
void report_line(const char *about, const char *text);

/* A touch was refused: says so on stderr the first time, and in the log. */
void report_refusal(const struct table *table, int error);

/* A touch was refused for a reason of its own. */
void report_failure(const struct table *table, int error, const char *text);

/* A line for the log of a table. */
void report_log(const struct table *table, const char *text);

/* For lock_notify. */
void report_notice(const struct lock *lock, const struct lock_notice *notice);

#endif
