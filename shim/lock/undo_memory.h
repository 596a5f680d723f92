/*
 * The memory of what is recorded already (undo_memory.c), for undo_save.c.
 */
#ifndef LOCKSHIM_UNDO_MEMORY_H
#define LOCKSHIM_UNDO_MEMORY_H

#include "shim/lock/undo.h"

#include <sys/stat.h>

/* Names a file by what it is, not by where it lies. */
uint64_t undo_inode_key(const struct stat *status);

/* Session 0 remembers nothing. */
void undo_remember(uint32_t session, uint64_t key);

#endif
