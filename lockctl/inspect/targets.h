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
    bool if_held;          /* only a guess: told of if somebody holds it, or waits */
    const char *missing;   /* the word, where neither such a table nor lock file exists */
};

struct targets {
    struct target *items;
    size_t count;
    bool guess; /* see targets_collect_held() */
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

/*
 * The same for whoever looks at what is held: a directory may have a flock itself, beside the one
 * of its lock file; and what a word names may have been deleted while it was held. A word for which
 * nothing of that is found (target.missing) is refused afterwards, by targets_refuse_missing().
 */
int targets_collect_held(struct targets *targets, char **words, const char *config);
int targets_refuse_missing(const char *word);

#endif
