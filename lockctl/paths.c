/*
 * Makes names absolute as the shim does (shim/lock/resolve.c), and finds out why where it can't. It
 * must not use libc's own functions for it: lockctl may itself run under a guard.
 */
#include "lockctl/paths.h"

#include "lockctl/lockctl.h"
#include "shim/lock/kernel.h"
#include "shim/lock/resolve.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* Does a part of what does not exist go up again? Then nobody can tell where it leads. */
static bool goes_up(const char *path)
{
    size_t length = strlen(path);
    return strstr(path, "/../") != NULL || (length >= 3 && strcmp(path + length - 3, "/..") == 0);
}

char *path_of_object(const char *path, int *error)
{
    char resolved[RESOLVE_SIZE];
    *error = ENAMETOOLONG;
    if (path[0] == '\0')
        *error = ENOENT;
    if (path[0] == '\0' || strlen(path) >= PATH_MAX)
        return NULL;
    int descriptor = kernel_openat(AT_FDCWD, path, O_PATH | O_CLOEXEC, 0);
    if (descriptor >= 0)
        (void)kernel_close(descriptor);
    else if (descriptor != -ENOENT) {
        *error = -descriptor;
        return NULL;
    }
    if (!resolve_path(AT_FDCWD, path, true, resolved) || goes_up(resolved)) {
        *error = ENOENT;
        return NULL;
    }
    return strlen(resolved) < PATH_MAX ? copy_text(resolved) : NULL;
}
