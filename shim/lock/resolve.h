/*
 * Where an object really lies, whatever it is called: the canonical path of the directory that a
 * name is in, after working directory, directory descriptors, `..`, symlinks and /proc/self/fd.
 * Asks the kernel; a few system calls a question, so only the slow path comes here.
 */
#ifndef LOCKSHIM_RESOLVE_H
#define LOCKSHIM_RESOLVE_H

#include "shim/settings.h"

#include <stdbool.h>
#include <stddef.h>

#define RESOLVE_SIZE 4352

/*
 * Writes the canonical path of `path` (relative to `directory`, or AT_FDCWD) to `result`
 * (RESOLVE_SIZE bytes). With `follow` a symlink at the end is followed too. What does not exist yet
 * is appended to the canonical path of what does. Returns false when it can't be told (no such
 * descriptor, a path that is too long, a loop): the call itself will fail then.
 */
bool resolve_path(int directory, const char *path, bool follow, char *result);

/* The path of an open file or directory; false for what has none (pipes, sockets, removed files).
 */
bool resolve_descriptor(int descriptor, char *result);

/*
 * The canonical path of a table's lock file: the one that is set, or the table's own canonical path
 * with ".lock" behind it, whichever way the table is called. RESOLVE_SIZE bytes.
 */
bool resolve_lock_path(const struct table_settings *table, char *result);

/* The same for a table whose canonical path is known. */
bool resolve_lock_path_of(const struct table_settings *table, const char *canonical, char *result);

#endif
