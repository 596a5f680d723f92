/*
 * What doctor finds: one line each, with what to do about it. The checks add them, the command
 * prints them.
 */
#ifndef LOCKCTL_FINDINGS_H
#define LOCKCTL_FINDINGS_H

#include "shim/settings.h"

#include <stddef.h>

enum finding_result { FINDING_OK, FINDING_WARNING, FINDING_PROBLEM };

struct finding {
    enum finding_result result;
    const char *table;  /* NULL: of the whole system */
    const char *check;  /* what was looked at */
    const char *text;   /* fit for a terminal */
    const char *advice; /* what to do; NULL: nothing */
};

struct findings {
    struct finding *items;
    size_t count;
    const char *table; /* of those that are added now */
};

/* Adds one; `format` makes the text. `advice` may be NULL, or must outlive the findings. */
void finding_add(struct findings *findings, enum finding_result result, const char *check,
                 const char *advice, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* A text that stays until the program ends. */
const char *finding_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* system.c: kernel, what break needs, preloading. `shim`: --shim, or NULL. */
void doctor_look_at_system(struct findings *findings, const char *shim);

/* filesystem.c: of which kind it is, and whether flock works there. */
void doctor_look_at_file_system(struct findings *findings, const char *lock_path,
                                const char *table_path);

/* permissions.c: who may use table, lock file and registry; sticky directories. */
void doctor_look_at_permissions(struct findings *findings, const char *lock_path,
                                const char *table_path);

/* cleaners.c: is something likely to remove the lock file because it is old? */
void doctor_look_at_cleaners(struct findings *findings, const char *lock_path);

/* settings.c: those that are allowed, but seldom meant. */
void doctor_look_at_settings(struct findings *findings, const struct table_settings *table,
                             const char *lock_path);

#endif
