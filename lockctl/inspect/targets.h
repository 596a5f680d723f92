/*
 * The locks that a command is about: from the words LOCK|TABLE on its command line, or, without
 * any, the tables of the configuration file.
 */
#ifndef LOCKCTL_TARGETS_H
#define LOCKCTL_TARGETS_H

#include <stdbool.h>
#include <stddef.h>

struct target {
    const char *lock_path; /* canonical */
    const char *table;     /* canonical; NULL: not known, the lock file itself was named */
};

struct targets {
    struct target *items;
    size_t count;
};

/*
 * A word is a table of the configuration (its lock file is what that says); or a lock file: a file
 * with a registry beside it, or whose name ends in ".lock", or that has no NAME.lock beside it; or
 * else a table, whose lock file is NAME.lock. Nothing of it need exist, except that a word of which
 * neither lock file nor table exists is a mistake: STATUS_SETTINGS after a complaint.
 * `words` ends with NULL. `config` is --config or NULL for the default file. Without words all of
 * the configuration's tables are taken. Returns STATUS_DONE or an exit status after a complaint.
 */
int targets_collect(struct targets *targets, char **words, const char *config);

#endif
