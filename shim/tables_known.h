/*
 * The tables that are set, as tables.c looks for them: by path. For tables.c and tables_set_up.c
 * alone; everybody else asks by tables.h.
 */
#ifndef LOCKSHIM_TABLES_KNOWN_H
#define LOCKSHIM_TABLES_KNOWN_H

#include "shim/tables.h"

extern HIDDEN struct table *tables_all;

/* FNV-1a, 64 bits; of a path piece by piece. */
#define TABLES_HASH_START 14695981039346656037u
static inline uint64_t tables_hash(uint64_t hash, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * 1099511628211u;
    return hash;
}

/* The table, or the lock, at a canonical path of which this is the hash; NULL: there is none. */
struct table *tables_known_at(uint64_t hash, const char *path, size_t length);
struct lock *tables_known_lock(uint64_t hash, const char *path, size_t length);

/* In tables.c: the last component of this path, with the suffix, matters from now on. */
void tables_note_name(const char *path, const char *suffix);

#endif
