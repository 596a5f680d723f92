/*
 * Updates that would be lost: what this process has read, and in which state the file was then. A
 * file that another process has changed since must not be replaced unread.
 */
#ifndef LOCKSHIM_LOST_UPDATE_H
#define LOCKSHIM_LOST_UPDATE_H

#include "shim/tables.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* A file, and where its content can be had, should its times not tell. */
struct lost_update_file {
    const struct stat *status; /* NULL: it is not there */
    int descriptor;            /* open on it; or the directory that the path is relative to */
    const char *path;          /* or NULL */
    bool follow;
};

/* The file has been opened for reading, in this session of the lock. */
void lost_update_read(const struct table *table, uint64_t key);

/* … or made, or replaced as a whole: then it is known as well, and may be replaced again. */
void lost_update_replaced(const struct table *table, uint64_t key);

/*
 * It was to be opened for reading, and was not there: that is what the process has read. The
 * generation is that of before, as others may have come meanwhile where reading is not locked.
 */
void lost_update_missed(const struct table *table, uint64_t key, uint64_t generation);

/*
 * The file is about to be changed in part, unread in this session. True: it is as we left it, which
 * is as good.
 */
bool lost_update_resumes(const struct table *table, uint64_t key,
                         const struct lost_update_file *file);

/*
 * What was read or resumed in this session is now like this: the session with it ends, or we have
 * changed it, or put it in place ourselves. Of what is no regular file nothing is remembered. The
 * generation is one of before the state was asked for.
 */
void lost_update_remember(const struct table *table, uint64_t key,
                          const struct lost_update_file *file, uint64_t generation);

/* We have removed it: that is how it is now, as far as we know. */
void lost_update_removed(const struct table *table, uint64_t key);

/* Has this process ever read a file under this key? */
bool lost_update_known(uint64_t key);

/* Was it that file (NULL: none), whatever has become of its content, that we remember? */
bool lost_update_was_file(uint64_t key, const struct stat *status);

/* Do we remember a file under this key that was not read in this session? */
bool lost_update_concerns(const struct table *table, uint64_t key);

/* Would replacing the file, as it is now, undo somebody else's change? */
bool lost_update_threatens(const struct table *table, uint64_t key,
                           const struct lost_update_file *file);

/* In a forked child: a thread that was inside is not there any more. */
void lost_update_forked(void);

#endif
