/*
 * Ways to recorded names that follow no link, and removing what a dead holder has made. It must
 * never leave the directory that it was given.
 */
#include "shim/lock/undo_journal.h"

#include <errno.h>
#include <string.h>

enum { DEPTH_LIMIT = 200, LISTING_BYTES = 1024 };

struct entry {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

static int step_down(int directory, const char *name, size_t length)
{
    char component[256];
    if (length == 0 || length >= sizeof component)
        return -ENAMETOOLONG;
    memcpy(component, name, length);
    component[length] = '\0';
    if (strcmp(component, ".") == 0 || strcmp(component, "..") == 0)
        return -EINVAL;
    return kernel_openat(directory, component, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
}

int undo_open_parent(const char *path, const char **name)
{
    if (path[0] != '/')
        return -EINVAL;
    int directory = kernel_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    const char *at = path + 1;
    for (const char *slash; directory >= 0 && (slash = strchr(at, '/')) != NULL; at = slash + 1) {
        int below = step_down(directory, at, (size_t)(slash - at));
        (void)kernel_close(directory);
        directory = below;
    }
    *name = at;
    if (directory >= 0 && (*at == '\0' || strcmp(at, ".") == 0 || strcmp(at, "..") == 0)) {
        (void)kernel_close(directory);
        return -EINVAL;
    }
    return directory;
}

static int remove_below(const struct undo_author *author, int directory, const char *name,
                        int depth);

/* One pass over a directory; *count tells how many entries it has removed. */
static int remove_listed(const struct undo_author *author, int directory, int depth, int *count)
{
    _Alignas(struct entry) char listing[LISTING_BYTES];
    ssize_t size;
    while ((size = kernel_getdents(directory, listing, sizeof listing)) > 0) {
        for (ssize_t at = 0; at < size;) {
            const struct entry *entry = (const struct entry *)(const void *)(listing + at);
            at += entry->length;
            if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
                continue;
            int result = remove_below(author, directory, entry->name, depth + 1);
            if (result != 0)
                return result;
            ++*count;
        }
    }
    return (int)size;
}

static int empty_open(const struct undo_author *author, int directory, int depth)
{
    int result, count;
    do {
        count = 0;
        (void)kernel_lseek(directory, 0, SEEK_SET);
        result = remove_listed(author, directory, depth, &count);
    } while (result == 0 && count > 0);
    return result;
}

static bool is_one_of(const char *const *names, const char *name)
{
    for (; names != NULL && *names != NULL; names++) {
        if (strcmp(*names, name) == 0)
            return true;
    }
    return false;
}

int undo_unlink_all(int directory, const char *const *but)
{
    _Alignas(struct entry) char listing[LISTING_BYTES];
    ssize_t size;
    while ((size = kernel_getdents(directory, listing, sizeof listing)) > 0) {
        for (ssize_t at = 0; at < size;) {
            const struct entry *entry = (const struct entry *)(const void *)(listing + at);
            at += entry->length;
            if (strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0 &&
                !is_one_of(but, entry->name))
                undo_clear_number(directory, entry->name);
        }
    }
    return (int)size;
}

int undo_empty_directory(const struct undo_author *author, int directory)
{
    return empty_open(author, directory, 0);
}

static int empty_directory(const struct undo_author *author, int parent, const char *name,
                           int depth)
{
    int directory = kernel_openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (directory < 0)
        return directory;
    int result = empty_open(author, directory, depth);
    (void)kernel_close(directory);
    return result;
}

static int remove_below(const struct undo_author *author, int directory, const char *name,
                        int depth)
{
    struct stat status, parent;
    if (depth > DEPTH_LIMIT)
        return -ELOOP;
    int result = kernel_fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW);
    if (result != 0)
        return result == -ENOENT ? 0 : result;
    result = kernel_fstat(directory, &parent);
    if (result != 0)
        return result;
    if (!undo_author_may_rename(author, &parent, &status))
        return -EPERM;
    if (!S_ISDIR(status.st_mode))
        return kernel_unlinkat(directory, name, 0);
    result = kernel_unlinkat(directory, name, AT_REMOVEDIR);
    if (result != -ENOTEMPTY && result != -EEXIST)
        return result;
    result = empty_directory(author, directory, name, depth);
    return result != 0 ? result : kernel_unlinkat(directory, name, AT_REMOVEDIR);
}

void undo_clear_number(int directory, const char *name)
{
    if (kernel_unlinkat(directory, name, 0) == -EISDIR)
        (void)kernel_unlinkat(directory, name, AT_REMOVEDIR);
}

int undo_remove_tree(const struct undo_author *author, int directory, const char *name)
{
    return remove_below(author, directory, name, 0);
}
