/*
 * Many lock files mostly lie in one directory. When several were found there, it is listed once:
 * from then on the list tells the name of a file by its inode, instead of each descriptor's link,
 * which the kernel makes up anew every time. What it tells is checked against the file; whatever is
 * not as simple (other names, another directory, a deleted file) is asked for as before.
 */
#ifndef LOCKCTL_NEIGHBOURS_H
#define LOCKCTL_NEIGHBOURS_H

#include "lockctl/inspect/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct neighbours {
    const char *directory; /* where the last one lay, with the slash behind it */
    unsigned seen;         /* how many lay there, one after the other */
    unsigned missed;       /* how often the list could not help */
    bool listed;           /* it was tried, at least */
    bool any_registry;     /* there is a registry in the directory */
    struct neighbour *table;
    size_t size;    /* of the table, a power of two; 0: none */
    int descriptor; /* of the directory, while there is a table */
};

/* A lock file was found there, by asking for its descriptor's link. */
void neighbours_note(struct neighbours *neighbours, struct arena *arena, const char *path);

/*
 * The path of the file with these numbers of the kernel's list, and what stat tells of it; NULL
 * when the list does not know, or the file has other names as well.
 */
const char *neighbours_find(struct neighbours *neighbours, struct arena *arena, uint64_t device,
                            uint64_t inode, struct stat *status);

void neighbours_drop(struct neighbours *neighbours);

#endif
