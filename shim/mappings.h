/*
 * Mappings of tables' files, each of which holds its lock until all of it is gone. Address ranges
 * and counts only; whoever calls takes and lets go.
 */
#ifndef LOCKSHIM_MAPPINGS_H
#define LOCKSHIM_MAPPINGS_H

#include "shim/lock/hidden.h"

#include <stdbool.h>
#include <stddef.h>

/* Are there any? One load: asked on every munmap. */
extern HIDDEN _Atomic int mappings_count;

/* A mapping of the table with this index. When there is no room it is kept for good. */
void mappings_add(void *address, size_t size, unsigned table);

/* The range is unmapped: calls `gone` for every mapping of which nothing is left. */
void mappings_remove(void *address, size_t size, void (*gone)(unsigned table));

/*
 * A part of a mapping has moved or changed its size. The old part stays as well when it was
 * `copied` or has the size 0 (which makes a second mapping of the same pages).
 */
void mappings_move(void *old_address, size_t old_size, void *address, size_t size, bool copied);

/* In a forked child: none of them holds anything. */
void mappings_forget(void);

#endif
