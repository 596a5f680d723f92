/*
 * A copy of a table: blocks shared where the file system can, holes left holes; modes, times,
 * attributes and, where permitted, owners as they are.
 */
#ifndef LOCKCTL_ADVISE_COPY_H
#define LOCKCTL_ADVISE_COPY_H

#include <stddef.h>
#include <stdint.h>

struct copied {
    size_t files; /* of every kind but directories */
    uint64_t bytes;
    char path[4096]; /* where it failed */
};

/* Copies a file, directory or link with all below it to a name that is free. 0 or a negative errno.
 */
int copy_tree(const char *from, const char *to, struct copied *copied);

/* Removes it with all below it, whatever modes its directories have. */
void remove_tree(const char *path);

#endif
