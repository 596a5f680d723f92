/*
 * Names made absolute, with a reason when that fails. Asks the kernel directly: inside a guarded
 * process these questions must not count as touches.
 */
#ifndef LOCKCTL_PATHS_H
#define LOCKCTL_PATHS_H

/*
 * The path of the object itself, symlinks resolved, so that a table has one lock however it is
 * named. What does not exist yet is resolved as far as it does. NULL with *error set (positive).
 */
char *path_of_object(const char *path, int *error);

#endif
