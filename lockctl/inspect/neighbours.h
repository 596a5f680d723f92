/*
 * Many lock files mostly lie in one directory. When several were found there, it is listed once:
 * from then on the list tells the name of a file by its inode, instead of each descriptor's link,
 * which the kernel makes up anew every time. What it tells is checked against the file; whatever is
 * not as simple (other names, another directory, a deleted file) is asked for as before.
 */
#ifndef LOCKCTL_NEIGHBOURS_H
#define LOCKCTL_NEIGHBOURS_H

#include "lockctl/inspect/arena.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* A directory and the names in it. It does not change once it is made. */
struct name_list;

/* Of workers that look at the same time one lists the directory, for all. It begins as all 0. */
struct shared_names {
    atomic_bool begun;
    _Atomic(struct name_list *) list; /* NULL: not done yet, or in vain */
};

struct neighbours {
    struct shared_names *shared; /* NULL: there are no others */
    const char *directory;       /* where the last one lay, with the slash behind it */
    unsigned seen;               /* how many lay there, one after the other */
    unsigned missed;             /* how often the list could not help */
    bool listed;                 /* it was tried, at least */
    const struct name_list *list;
    struct name_list *own; /* the same, if nobody else has it; to be dropped */
};

/* A lock file was found there, by asking for its descriptor's link. */
void neighbours_note(struct neighbours *neighbours, struct arena *arena, const char *path);

/*
 * The path of the file with these numbers of the kernel's list, and what stat tells of it; NULL
 * when the list does not know, or the file has other names as well.
 */
const char *neighbours_find(struct neighbours *neighbours, struct arena *arena, uint64_t device,
                            uint64_t inode, struct stat *status);

/* Is there a registry in the directory whose list has helped? */
bool neighbours_have_registry(const struct neighbours *neighbours);

void neighbours_drop(struct neighbours *neighbours);

/* When no worker looks any more. */
void shared_names_drop(struct shared_names *shared);

#endif
