/* A directory of a test is removed with all that is in it. */
#ifndef LOCKSHIM_REMOVE_TREE_H
#define LOCKSHIM_REMOVE_TREE_H

#include <ftw.h>
#include <stdio.h>

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status, (void)type, (void)where;
    return remove(path);
}

static int remove_tree(const char *directory)
{
    return nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
