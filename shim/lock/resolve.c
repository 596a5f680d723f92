/*
 * Canonical paths by O_PATH descriptors and /proc/self/fd: exact, for the kernel walks the path. It
 * must never open a file itself (a FIFO or a device would notice), and leaves no descriptor behind.
 */
#include "shim/lock/resolve.h"

#include "shim/lock/kernel.h"
#include "shim/lock/process.h"

#include <errno.h>
#include <string.h>

enum { LINKS_MAXIMUM = 40 };

bool resolve_descriptor(int descriptor, char *result)
{
    char name[64];
    ssize_t length = kernel_readlinkat(AT_FDCWD, process_own_descriptor(name, descriptor), result,
                                       RESOLVE_SIZE - 1);
    if (length <= 0 || result[0] != '/')
        return false;
    result[length] = '\0';
    return true;
}

static bool append(char *path, const char *name, size_t length)
{
    size_t have = strlen(path);
    if (have + 1 + length + 1 > RESOLVE_SIZE)
        return false;
    if (have == 0 || path[have - 1] != '/')
        path[have++] = '/';
    memcpy(path + have, name, length);
    path[have + length] = '\0';
    return true;
}

/* Without /proc: the text alone, with `.` and `..` taken out. The best that can be had there. */
static bool resolve_text(const char *path, char *result)
{
    result[0] = '\0';
    if (path[0] != '/' && kernel_getcwd(result, RESOLVE_SIZE) < 0)
        return false;
    while (*path != '\0') {
        size_t length = strcspn(path, "/");
        if (length == 2 && path[0] == '.' && path[1] == '.') {
            char *slash = strrchr(result, '/');
            if (slash != NULL)
                *slash = '\0';
        } else if (length > 0 && !(length == 1 && path[0] == '.')) {
            if (!append(result, path, length))
                return false;
        }
        path += length;
        path += *path == '/';
    }
    if (result[0] == '\0')
        memcpy(result, "/", 2);
    return true;
}

/* Opens an existing directory by name and writes its canonical path. */
static int open_directory(int directory, const char *path, char *result)
{
    int descriptor =
        kernel_openat(directory, path[0] == '\0' ? "." : path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (descriptor < 0)
        return descriptor;
    if (resolve_descriptor(descriptor, result) || resolve_text(path, result))
        return descriptor;
    (void)kernel_close(descriptor);
    return -ENOENT;
}

struct walk {
    int links;
    char path[RESOLVE_SIZE]; /* what is still to be resolved, relative to `directory` */
};

/* Cuts the last component off `path`; returns where it begins. */
static char *last_component(char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
    char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/*
 * The directory part does not exist: resolves the longest part that does, and appends the rest as
 * it stands.
 */
static bool resolve_missing(int directory, const char *path, char *result)
{
    char existing[RESOLVE_SIZE];
    memcpy(existing, path, strlen(path) + 1);
    for (;;) {
        char *name = last_component(existing);
        size_t kept = (size_t)(name - existing);
        *name = '\0';
        int descriptor = open_directory(directory, existing, result);
        if (descriptor >= 0) {
            (void)kernel_close(descriptor);
            const char *rest = path + kept;
            while (*rest == '/')
                rest++;
            size_t length = strlen(rest);
            while (length > 0 && rest[length - 1] == '/')
                length--;
            return append(result, rest, length);
        }
        if (kept == 0 || (descriptor != -ENOENT && descriptor != -ENOTDIR) ||
            strcmp(existing, "/") == 0)
            return false;
    }
}

/* One step: resolves walk->path, or replaces it by the target of the link at its end. */
static bool resolve_step(struct walk *walk, int directory, bool follow, char *result, bool *again)
{
    char *name = last_component(walk->path);
    *again = false;
    if (*name == '\0' || is_dots(name)) { /* "/", ".", "a/..": a directory by itself */
        int descriptor = open_directory(directory, walk->path, result);
        if (descriptor < 0)
            return resolve_text(walk->path, result);
        (void)kernel_close(descriptor);
        return true;
    }
    char parent[RESOLVE_SIZE];
    size_t length = (size_t)(name - walk->path);
    memcpy(parent, walk->path, length);
    parent[length] = '\0';
    int descriptor = open_directory(directory, parent, result);
    if (descriptor < 0)
        return resolve_missing(directory, walk->path, result);
    char target[4096];
    ssize_t got = follow ? kernel_readlinkat(descriptor, name, target, sizeof target - 1) : -EINVAL;
    (void)kernel_close(descriptor);
    if (got <= 0)
        return append(result, name, strlen(name));
    target[got] = '\0';
    if (++walk->links > LINKS_MAXIMUM)
        return false;
    if (target[0] == '/') {
        memcpy(walk->path, target, (size_t)got + 1);
    } else {
        /* Relative to the directory of the link, whose canonical path we have. */
        if (!append(result, target, (size_t)got))
            return false;
        memcpy(walk->path, result, strlen(result) + 1);
    }
    *again = true;
    return true;
}

bool resolve_path(int directory, const char *path, bool follow, char *result)
{
    struct walk walk = {.links = 0};
    size_t length = strlen(path);
    if (length == 0)
        return directory == AT_FDCWD ? kernel_getcwd(result, RESOLVE_SIZE) > 0
                                     : resolve_descriptor(directory, result);
    if (length >= 4096)
        return false;
    /* A slash at the end makes the kernel follow a link there, whatever the call. */
    if (path[length - 1] == '/')
        follow = true;
    memcpy(walk.path, path, length + 1);
    bool again = true;
    while (again) {
        if (!resolve_step(&walk, directory, follow, result, &again))
            return false;
        if (again)
            directory = AT_FDCWD;
    }
    return true;
}

bool resolve_lock_path_of(const struct table_settings *table, const char *canonical, char *result)
{
    if (table->lock != NULL)
        return resolve_path(AT_FDCWD, table->lock, true, result);
    size_t length = strlen(canonical);
    if (length + sizeof ".lock" > 4096)
        return false;
    memcpy(result, canonical, length);
    memcpy(result + length, ".lock", sizeof ".lock");
    /* The lock file itself may be a symlink to one that several tables share. */
    char path[RESOLVE_SIZE];
    if (kernel_readlinkat(AT_FDCWD, result, path, sizeof path) < 0)
        return true;
    memcpy(path, result, length + sizeof ".lock");
    return resolve_path(AT_FDCWD, path, true, result);
}

bool resolve_lock_path(const struct table_settings *table, char *result)
{
    char canonical[RESOLVE_SIZE];
    if (table->lock == NULL && !resolve_path(AT_FDCWD, table->path, true, canonical))
        return false;
    return resolve_lock_path_of(table, canonical, result);
}
