/*
 * Fresh inodes for files of a table (takeover.h): a copy of each takes the place of the old one. A
 * privileged lockctl does this in directories of others: it goes from the table's directory down,
 * never through a symlink, never out of it, and replaces no name but those of the inode at hand.
 */
#include "shim/lock/takeover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { DEPTH = 128, NAME = 300 };

struct renewal {
    struct takeover_files *files;
    const struct takeover_file *file;
    struct stat status; /* of the old inode, once found */
    int copy;           /* of it; -1: not made yet */
    bool linked;        /* and has a name by now */
};

static int open_below(int directory, const char *path, int flags)
{
    struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    long descriptor = syscall(SYS_openat2, directory, path, &how, sizeof how);
    return descriptor < 0 ? -errno : (int)descriptor;
}

/* --- the copy --- */

static int copy_range(int from, int to, off_t begin, off_t end)
{
    while (begin < end) {
        off_t in = begin, out = begin;
        ssize_t got = copy_file_range(from, &in, to, &out, (size_t)(end - begin), 0);
        if (got < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP ||
                        errno == ENOSYS || errno == EBADF)) {
            char buffer[65536];
            size_t want =
                end - begin < (off_t)sizeof buffer ? (size_t)(end - begin) : sizeof buffer;
            got = pread(from, buffer, want, begin);
            if (got > 0)
                got = pwrite(to, buffer, (size_t)got, begin);
        }
        if (got < 0)
            return -errno;
        if (got == 0) /* it is shorter by now */
            return 0;
        begin += got;
    }
    return 0;
}

/* Holes stay holes. */
static int copy_content(int from, int to, off_t size)
{
    if (ioctl(to, FICLONE, from) == 0)
        return 0;
    if (ftruncate(to, size) != 0)
        return -errno;
    for (off_t begin = 0; begin < size;) {
        off_t data = lseek(from, begin, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            return 0;
        if (data < 0)
            return copy_range(from, to, begin, size);
        off_t hole = lseek(from, data, SEEK_HOLE);
        off_t end = hole < 0 || hole > size ? size : hole;
        int result = copy_range(from, to, data, end);
        if (result != 0)
            return result;
        begin = end;
    }
    return 0;
}

/* Capabilities are for the file that somebody gave them to; its content is another's by now. */
static void copy_attributes(int from, int to)
{
    char names[65536], value[65536];
    ssize_t size = flistxattr(from, names, sizeof names);
    for (const char *name = names; name < names + size; name += strlen(name) + 1) {
        if (strcmp(name, "security.capability") == 0 || strcmp(name, "security.ima") == 0 ||
            strcmp(name, "security.evm") == 0)
            continue;
        ssize_t length = fgetxattr(from, name, value, sizeof value);
        if (length >= 0)
            (void)fsetxattr(to, name, value, (size_t)length, 0);
    }
}

static int dress(int from, int to, const struct stat *status)
{
    if (fchown(to, status->st_uid, status->st_gid) != 0 &&
        fchown(to, (uid_t)-1, status->st_gid) != 0 && errno != EPERM)
        return -errno;
    /* Without set-id bits: whoever could write to the old file must not gain by the new one. */
    if (fchmod(to, status->st_mode & 01777) != 0)
        return -errno;
    copy_attributes(from, to);
    struct timespec times[2] = {status->st_atim, status->st_mtim};
    return futimens(to, times) == 0 && fsync(to) == 0 ? 0 : -errno;
}

static void name_temporary(char *text, size_t size)
{
    static unsigned count;
    (void)snprintf(text, size, ".lockctl-%d-%u", (int)getpid(), count++);
}

/* Without a name where that can be: lockctl may be killed meanwhile. */
static int create_copy(int directory, char temporary[NAME])
{
    temporary[0] = '\0';
    int copy = openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (copy >= 0)
        return copy;
    name_temporary(temporary, NAME);
    copy = openat(directory, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return copy < 0 ? -errno : copy;
}

/* --- names --- */

static int give_name(int descriptor, int directory, char temporary[NAME])
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    name_temporary(temporary, NAME);
    return linkat(AT_FDCWD, path, directory, temporary, AT_SYMLINK_FOLLOW) == 0 ? 0 : -errno;
}

static int put_in_place(int directory, const char *temporary, const char *name)
{
    if (renameat(directory, temporary, directory, name) == 0)
        return 0;
    int error = -errno;
    (void)unlinkat(directory, temporary, 0);
    return error;
}

static int replace_first(struct renewal *renewal, int directory, const char *name)
{
    char temporary[NAME];
    int from = open_below(directory, name, O_RDONLY | O_NONBLOCK);
    if (from < 0)
        return from;
    struct stat status;
    int result = fstat(from, &status) != 0 ? -errno : 0;
    if (result == 0 && status.st_ino != renewal->file->inode)
        result = -ESTALE;
    int copy = result == 0 ? create_copy(directory, temporary) : result;
    if (copy >= 0) {
        result = copy_content(from, copy, status.st_size);
        if (result == 0)
            result = dress(from, copy, &status);
        if (result == 0 && temporary[0] == '\0')
            result = give_name(copy, directory, temporary);
        if (result == 0)
            result = put_in_place(directory, temporary, name);
        else if (temporary[0] != '\0')
            (void)unlinkat(directory, temporary, 0);
    } else {
        result = copy;
    }
    (void)close(from);
    renewal->status = status;
    renewal->copy = copy >= 0 ? copy : -1;
    renewal->linked = result == 0;
    return result;
}

/* A further hard link to the same file goes on being one. */
static int replace_link(const struct renewal *renewal, int directory, const char *name)
{
    char temporary[NAME];
    int result = give_name(renewal->copy, directory, temporary);
    return result != 0 ? result : put_in_place(directory, temporary, name);
}

static int replace(struct renewal *renewal, int directory, const char *name)
{
    struct stat status;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISREG(status.st_mode) || status.st_ino != renewal->file->inode ||
        (renewal->file->device != 0 && status.st_dev != renewal->file->device))
        return 0;
    int result = renewal->linked ? replace_link(renewal, directory, name)
                                 : replace_first(renewal, directory, name);
    if (result != 0)
        (void)snprintf(renewal->files->failed, sizeof renewal->files->failed, "%s", name);
    return result;
}

/* --- finding them --- */

static int walk(struct renewal *renewal, int directory, int depth)
{
    if (depth > DEPTH)
        return -ELOOP;
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = copy >= 0 ? fdopendir(copy) : NULL;
    if (entries == NULL) {
        int error = -errno;
        if (copy >= 0)
            (void)close(copy);
        return error;
    }
    int result = 0;
    for (const struct dirent *entry; result == 0 && (entry = readdir(entries)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN)
            result = replace(renewal, directory, entry->d_name);
        if (result != 0 || (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN))
            continue;
        int below = open_below(directory, entry->d_name, O_RDONLY | O_DIRECTORY);
        if (below < 0)
            result = below == -ENOTDIR || below == -ELOOP || below == -ENOENT ? 0 : below;
        else
            result = walk(renewal, below, depth + 1);
        if (below >= 0)
            (void)close(below);
    }
    (void)closedir(entries);
    return result;
}

/* Straight to it, where its user's path leads there. */
static int replace_at_path(struct renewal *renewal, int root, const char *table)
{
    size_t length = strlen(table);
    const char *path = renewal->file->path;
    if (strncmp(path, table, length) != 0 || path[length] != '/')
        return 0;
    char *below = strdup(path + length + 1);
    if (below == NULL)
        return -ENOMEM;
    char *slash = strrchr(below, '/');
    int directory = root;
    if (slash != NULL) {
        *slash = '\0';
        directory = open_below(root, below, O_RDONLY | O_DIRECTORY);
    }
    int result = 0;
    if (directory >= 0)
        result = replace(renewal, directory, slash != NULL ? slash + 1 : below);
    if (directory >= 0 && directory != root)
        (void)close(directory);
    free(below);
    return result;
}

static int renew_in_directory(struct renewal *renewal, int root, const char *table)
{
    int result = replace_at_path(renewal, root, table);
    if (result == 0 && (!renewal->linked || renewal->status.st_nlink > 1))
        result = walk(renewal, root, 0);
    return result;
}

/* The table is one file: its directory is not the table, so only that name is replaced. */
static int renew_single(struct renewal *renewal, const char *table)
{
    char *parent = strdup(table);
    char *slash = parent != NULL ? strrchr(parent, '/') : NULL;
    if (slash == NULL) {
        free(parent);
        return -ENOMEM;
    }
    *slash = '\0';
    int directory = open(parent[0] != '\0' ? parent : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = directory < 0 ? -errno : replace(renewal, directory, slash + 1);
    if (directory >= 0)
        (void)close(directory);
    free(parent);
    return result;
}

int takeover_files_renew(struct takeover_files *files, const char *table)
{
    int renewed = 0, result = 0;
    int root = open(table, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (root < 0 && errno != ENOTDIR)
        return errno == ENOENT ? 0 : -errno;
    files->failed[0] = '\0';
    for (size_t i = 0; i < files->count && result == 0; i++) {
        struct renewal renewal = {.files = files, .file = &files->items[i], .copy = -1};
        result =
            root >= 0 ? renew_in_directory(&renewal, root, table) : renew_single(&renewal, table);
        if (renewal.copy >= 0)
            (void)close(renewal.copy);
        renewed += renewal.linked ? 1 : 0;
    }
    if (root >= 0)
        (void)close(root);
    return result != 0 ? result : renewed;
}
