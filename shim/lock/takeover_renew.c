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

enum { DEPTH = 128, NAME = 300, LINKS = 16, BATCH = 32 };

/* A name of a file: the directory that it is in, open, and the name there. */
struct place {
    int directory;
    char name[NAME];
};

/* One file on its way. */
struct renewal {
    struct takeover_file *file;
    struct place places[LINKS];
    int place_count;
    int copy;             /* of it; -1: none yet */
    char temporary[NAME]; /* its name in the first place's directory; "": none yet */
    struct stat status;   /* of the old inode */
};

/*
 * Some files at a time, all through one step after the other: what is written to the disk is waited
 * for once, and nothing is replaced before all copies are safe there.
 */
struct batch {
    struct takeover_files *files;
    struct renewal items[BATCH];
    size_t count;
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
    return futimens(to, times) == 0 ? 0 : -errno;
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

static int make_copy(struct renewal *renewal)
{
    const struct place *place = &renewal->places[0];
    int from = open_below(place->directory, place->name, O_RDONLY | O_NONBLOCK);
    if (from < 0)
        return from;
    int result = fstat(from, &renewal->status) != 0 ? -errno : 0;
    if (result == 0 && renewal->status.st_ino != renewal->file->inode)
        result = -ESTALE;
    if (result == 0) {
        renewal->copy = create_copy(place->directory, renewal->temporary);
        result = renewal->copy < 0 ? renewal->copy : 0;
    }
    if (result == 0)
        result = copy_content(from, renewal->copy, renewal->status.st_size);
    if (result == 0)
        result = dress(from, renewal->copy, &renewal->status);
    if (result == 0) /* begun now, waited for when all are on the way */
        (void)sync_file_range(renewal->copy, 0, 0, SYNC_FILE_RANGE_WRITE);
    (void)close(from);
    return result;
}

/* --- names --- */

static int give_name(int descriptor, int directory, char temporary[NAME])
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    name_temporary(temporary, NAME);
    return linkat(AT_FDCWD, path, directory, temporary, AT_SYMLINK_FOLLOW) == 0 ? 0 : -errno;
}

/* Further hard links to the same file go on being links to one file. */
static int replace(struct renewal *renewal)
{
    for (int i = 0; i < renewal->place_count; i++) {
        const struct place *place = &renewal->places[i];
        struct stat status;
        if (fstatat(place->directory, place->name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
            status.st_ino != renewal->status.st_ino || status.st_dev != renewal->status.st_dev)
            continue; /* it has become another file's */
        int result = 0;
        if (i > 0 || renewal->temporary[0] == '\0')
            result = give_name(renewal->copy, place->directory, renewal->temporary);
        if (result == 0 &&
            renameat(place->directory, renewal->temporary, place->directory, place->name) != 0)
            result = -errno;
        if (result != 0) {
            (void)unlinkat(place->directory, renewal->temporary, 0);
            return result;
        }
        renewal->temporary[0] = '\0';
    }
    return 0;
}

/* --- finding them --- */

static int add_place(struct renewal *renewal, int directory, const char *name)
{
    struct stat status;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISREG(status.st_mode) || status.st_ino != renewal->file->inode ||
        (renewal->file->device != 0 && status.st_dev != renewal->file->device))
        return 0;
    if (renewal->place_count == LINKS)
        return -EMLINK;
    int copy = fcntl(directory, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return -errno;
    struct place *place = &renewal->places[renewal->place_count++];
    place->directory = copy;
    (void)snprintf(place->name, sizeof place->name, "%s", name);
    renewal->status = status;
    return 0;
}

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
            result = add_place(renewal, directory, entry->d_name);
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
static int look_at_path(struct renewal *renewal, int root, const char *table)
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
        result = add_place(renewal, directory, slash != NULL ? slash + 1 : below);
    if (directory >= 0 && directory != root)
        (void)close(directory);
    free(below);
    return result;
}

static void close_places(struct renewal *renewal)
{
    for (int i = 0; i < renewal->place_count; i++)
        (void)close(renewal->places[i].directory);
    renewal->place_count = 0;
}

static int find_in_directory(struct renewal *renewal, int root, const char *table)
{
    int result = look_at_path(renewal, root, table);
    if (result != 0 || (renewal->place_count > 0 && renewal->status.st_nlink == 1))
        return result;
    close_places(renewal);
    return walk(renewal, root, 0);
}

/* The table is one file: its directory is not the table, so only that name is replaced. */
static int find_single(struct renewal *renewal, const char *table)
{
    char *parent = strdup(table);
    char *slash = parent != NULL ? strrchr(parent, '/') : NULL;
    if (slash == NULL) {
        free(parent);
        return -ENOMEM;
    }
    *slash = '\0';
    int directory = open(parent[0] != '\0' ? parent : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = directory < 0 ? -errno : add_place(renewal, directory, slash + 1);
    if (directory >= 0)
        (void)close(directory);
    free(parent);
    return result;
}

/* --- all of them --- */

static int give_up(struct takeover_files *files, const struct renewal *renewal, int result)
{
    const char *slash = renewal->file->path != NULL ? strrchr(renewal->file->path, '/') : NULL;
    const char *name = renewal->place_count > 0 ? renewal->places[0].name
                       : slash != NULL          ? slash + 1
                                                : "";
    (void)snprintf(files->failed, sizeof files->failed, "%s", name);
    renewal->file->done = true;
    return result;
}

/* One step for all of a batch that are in the table; the first that fails is given up. */
static int for_all(struct batch *batch, int (*step)(struct renewal *renewal))
{
    for (size_t i = 0; i < batch->count; i++) {
        struct renewal *renewal = &batch->items[i];
        int result = renewal->place_count > 0 ? step(renewal) : 0;
        if (result != 0)
            return give_up(batch->files, renewal, result);
    }
    return 0;
}

static int wait_for_disk(struct renewal *renewal)
{
    return fsync(renewal->copy) == 0 ? 0 : -errno;
}

static void clean_up(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct renewal *renewal = &batch->items[i];
        if (renewal->temporary[0] != '\0')
            (void)unlinkat(renewal->places[0].directory, renewal->temporary, 0);
        if (renewal->copy >= 0)
            (void)close(renewal->copy);
        close_places(renewal);
    }
    batch->count = 0;
}

static int renew_batch(struct batch *batch, int root, const char *table)
{
    int result = 0;
    for (size_t i = 0; i < batch->count && result == 0; i++) {
        struct renewal *renewal = &batch->items[i];
        result = root >= 0 ? find_in_directory(renewal, root, table) : find_single(renewal, table);
        if (result != 0)
            (void)give_up(batch->files, renewal, result);
    }
    if (result == 0)
        result = for_all(batch, make_copy);
    if (result == 0)
        result = for_all(batch, wait_for_disk);
    if (result == 0)
        result = for_all(batch, replace);
    for (size_t i = 0; i < batch->count && result == 0; i++) {
        batch->files->renewed += batch->items[i].place_count > 0 ? 1 : 0;
        batch->items[i].file->done = true;
    }
    clean_up(batch);
    return result;
}

int takeover_files_renew(struct takeover_files *files, const char *table)
{
    int result = 0;
    files->failed[0] = '\0';
    int root = open(table, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (root < 0 && errno != ENOTDIR)
        return errno == ENOENT ? 0 : -errno;
    struct batch *batch = malloc(sizeof *batch);
    if (batch != NULL) {
        *batch = (struct batch){.files = files};
        for (size_t i = 0; i < files->count && result == 0; i++) {
            if (!files->items[i].done)
                batch->items[batch->count++] =
                    (struct renewal){.file = &files->items[i], .copy = -1};
            if (batch->count == BATCH || (batch->count > 0 && i + 1 == files->count))
                result = renew_batch(batch, root, table);
        }
    }
    if (root >= 0)
        (void)close(root);
    result = batch == NULL ? -ENOMEM : result;
    free(batch);
    return result;
}
