/*
 * Canonical paths: component by component, as the kernel walks them, asking of each whether it is a
 * symlink. It opens nothing: no descriptor comes and goes, and no FIFO or device notices.
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

/* What is still to be resolved, and what has been: canonical so far, "" for the root. */
struct walk {
    char *result;
    size_t length;
    int links;
    bool missing; /* a component does not exist: nor does what is behind it */
    char rest[2 * RESOLVE_SIZE];
};

static void go_up(struct walk *walk)
{
    while (walk->length > 0 && walk->result[walk->length - 1] != '/')
        walk->length--;
    if (walk->length > 0)
        walk->length--;
    walk->result[walk->length] = '\0';
}

static bool go_down(struct walk *walk, const char *name, size_t size)
{
    if (walk->length + 1 + size + 1 > RESOLVE_SIZE)
        return false;
    walk->result[walk->length++] = '/';
    memcpy(walk->result + walk->length, name, size);
    walk->length += size;
    walk->result[walk->length] = '\0';
    return true;
}

/* Puts the target of the link that result names in front of the rest. */
static bool follow_link(struct walk *walk, const char *target, size_t size, const char *rest)
{
    size_t left = strlen(rest);
    if (++walk->links > LINKS_MAXIMUM || size + 1 + left + 1 > sizeof walk->rest)
        return false;
    memmove(walk->rest + size + 1, rest, left + 1);
    memcpy(walk->rest, target, size);
    walk->rest[size] = '/';
    if (left == 0)
        walk->rest[size] = '\0'; /* a slash at the end would say that more is to be followed */
    go_up(walk);
    if (target[0] == '/')
        walk->length = 0;
    walk->result[walk->length] = '\0';
    return true;
}

enum component { COMPONENT_PLAIN, COMPONENT_LINK, COMPONENT_FAILED };

/* In a function of its own: the large buffer is only for where there is a link. */
static __attribute__((noinline)) enum component take_link(struct walk *walk, const char *rest)
{
    char target[4096];
    ssize_t size = kernel_readlinkat(AT_FDCWD, walk->result, target, sizeof target - 1);
    if (size <= 0)
        return COMPONENT_PLAIN;
    return follow_link(walk, target, (size_t)size, rest) ? COMPONENT_LINK : COMPONENT_FAILED;
}

static enum component look_at_component(struct walk *walk, const char *rest)
{
    char byte;
    ssize_t size = kernel_readlinkat(AT_FDCWD, walk->result, &byte, 1);
    if (size == -ENOENT || size == -ENOTDIR)
        walk->missing = true;
    return size > 0 ? take_link(walk, rest) : COMPONENT_PLAIN;
}

/* By hand: strcspn has a table of its own, two page faults for every program that starts. */
static size_t component_size(const char *at)
{
    size_t size = 0;
    while (at[size] != '\0' && at[size] != '/')
        size++;
    return size;
}

/* Walks over walk->rest. `follow`: also a link that is the last component. */
static bool walk_along(struct walk *walk, bool follow)
{
    const char *at = walk->rest;
    while (*at != '\0') {
        size_t size = component_size(at);
        const char *rest = at + size;
        while (*rest == '/')
            rest++;
        bool last = *rest == '\0' && at[size] != '/';
        if (size == 0 || (size == 1 && at[0] == '.')) {
            at = rest;
            continue;
        }
        if (size == 2 && at[0] == '.' && at[1] == '.') {
            go_up(walk);
            at = rest;
            continue;
        }
        if (!go_down(walk, at, size))
            return false;
        at = rest;
        if (walk->missing || (last && !follow))
            continue;
        switch (look_at_component(walk, rest)) {
        case COMPONENT_PLAIN:
            break;
        case COMPONENT_LINK:
            at = walk->rest;
            break;
        default:
            return false;
        }
    }
    return true;
}

/* Where a relative path begins. */
static bool begin_at(int directory, char *result)
{
    if (directory != AT_FDCWD)
        return resolve_descriptor(directory, result);
    return kernel_getcwd(result, RESOLVE_SIZE) > 0 && result[0] == '/';
}

/*
 * The usual case, in place: an absolute path that is canonical already. The buffers of a walk are
 * pages of the stack, which cost a program that starts more than the questions to the kernel.
 */
static bool is_canonical(const char *path, size_t length, bool follow, char *result)
{
    size_t at = 0;
    while (at < length) {
        size_t size = component_size(path + at + 1);
        if (path[at] != '/' || size == 0 || path[at + 1] == '.')
            return false;
        memcpy(result + at, path + at, size + 1);
        at += size + 1;
        result[at] = '\0';
        char byte;
        if (at == length && !follow)
            break;
        ssize_t found = kernel_readlinkat(AT_FDCWD, result, &byte, 1);
        if (found != -EINVAL && (found != -ENOENT || at < length)) /* a link, or nothing below it */
            return false;
    }
    return length > 0;
}

static __attribute__((noinline)) bool walk_path(int directory, const char *path, size_t length,
                                                bool follow, char *result)
{
    struct walk walk;
    result[0] = '\0';
    if (path[0] != '/' && !begin_at(directory, result))
        return false;
    walk.result = result;
    walk.length = strcmp(result, "/") == 0 ? 0 : strlen(result);
    walk.links = 0;
    walk.missing = false;
    memcpy(walk.rest, path, length + 1);
    if (!walk_along(&walk, follow))
        return false;
    if (walk.length == 0)
        memcpy(result, "/", 2);
    return true;
}

bool resolve_path(int directory, const char *path, bool follow, char *result)
{
    size_t length = strlen(path);
    return length < 4096 && (is_canonical(path, length, follow, result) ||
                             walk_path(directory, path, length, follow, result));
}

static __attribute__((noinline)) bool resolve_in_place(char *path, size_t size)
{
    char copy[RESOLVE_SIZE];
    memcpy(copy, path, size);
    return resolve_path(AT_FDCWD, copy, true, path);
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
    char byte;
    return kernel_readlinkat(AT_FDCWD, result, &byte, 1) < 0 ||
           resolve_in_place(result, length + sizeof ".lock");
}

bool resolve_lock_path(const struct table_settings *table, char *result)
{
    char canonical[RESOLVE_SIZE];
    if (table->lock == NULL && !resolve_path(AT_FDCWD, table->path, true, canonical))
        return false;
    return resolve_lock_path_of(table, canonical, result);
}
