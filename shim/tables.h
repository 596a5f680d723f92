/*
 * Which paths are tables. A path that is no table's must be known as such within nanoseconds: the
 * directory part of every path is looked up in a small cache of literal texts, whose entries are
 * asked of the kernel anew after CACHE_MILLISECONDS, or when this process changes what they depend
 * on (its working directory, a symlink, a rename).
 */
#ifndef LOCKSHIM_TABLES_H
#define LOCKSHIM_TABLES_H

#include "shim/lock/hidden.h"
#include "shim/lock/lock.h"
#include "shim/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table {
    const char *path; /* canonical */
    size_t length;
    unsigned index;
    struct lock *lock;
    struct table_settings settings;
};

/* How many tables are set; 0: the shim does nothing. */
extern HIDDEN unsigned tables_count;

/*
 * Sets up the tables, once, before anything else here is called. Returns NULL, or a one-line
 * message (static memory).
 */
const char *tables_set_up(const struct settings *settings, const char *program);

struct table *tables_get(unsigned index);

/* Where a path lies. */
struct place {
    struct table *table; /* NULL: in no table */
    /*
     * The directory is known, but the last component may still be a symlink that leads elsewhere:
     * a call that follows links must look (open can ask the kernel with O_NOFOLLOW).
     */
    bool may_be_link;
    uint64_t key; /* names the object within this process; 0 when there is no table */
};

/*
 * Does a path certainly lie in no table, since the one that this thread asked about before lay in
 * the same directory? As provisional as may_be_link: a link at its end may lead into one. One
 * comparison tells, without a hash and without looking for the last slash; false says nothing.
 */
bool tables_is_elsewhere(int directory, const char *path);

/* Finds where a path lies, for those who have asked that already. */
struct place tables_look_up(int directory, const char *path, bool follow);

/*
 * Finds where a path lies. `follow`: the call follows a symlink at the end; then a place with
 * may_be_link is provisional, and tables_find_exactly() gives the final answer.
 */
static inline struct place tables_find(int directory, const char *path, bool follow)
{
    if (path == NULL)
        return (struct place){NULL, false, 0};
    if (tables_is_elsewhere(directory, path))
        return (struct place){NULL, follow, 0};
    return tables_look_up(directory, path, follow);
}

/* tables_find() without the cache, with every link followed (or not). */
struct place tables_find_exactly(int directory, const char *path, bool follow);

/* The table that an open descriptor's file lies in. */
struct place tables_find_descriptor(int descriptor);

/* This process has changed something that the cache depends on. */
void tables_forget_cache(void);

/* The lock whose file this path is, or NULL. */
struct lock *tables_lock_at(const char *canonical_path);

#endif
