/*
 * Copies of files with all that belongs to them, and their contents put back. Holes stay holes, and
 * blocks are shared where the file system can.
 */
#include "shim/lock/undo_journal.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

enum { SMALL = 4096, ATTRIBUTE_BYTES = 1024 };

int undo_open_to_read(int directory, const char *path, int flags)
{
    int how = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags;
    int descriptor = kernel_openat(directory, path, how | O_NOATIME, 0);
    return descriptor == -EPERM ? kernel_openat(directory, path, how, 0) : descriptor;
}

/* --- content --- */

static int write_all(int to, const char *data, size_t size, off_t offset)
{
    while (size > 0) {
        ssize_t written = kernel_pwrite(to, data, size, offset);
        if (written <= 0)
            return written == 0 ? -EIO : (int)written;
        data += written;
        size -= (size_t)written;
        offset += written;
    }
    return 0;
}

static int copy_through_memory(int from, int to, off_t begin, off_t end)
{
    char buffer[SMALL];
    while (begin < end) {
        size_t wanted = end - begin < SMALL ? (size_t)(end - begin) : SMALL;
        ssize_t size = kernel_pread(from, buffer, wanted, begin);
        if (size < 0)
            return (int)size;
        if (size == 0)
            return 0; /* shorter than it was a moment ago */
        int result = write_all(to, buffer, (size_t)size, begin);
        if (result != 0)
            return result;
        begin += size;
    }
    return 0;
}

static int copy_range(int from, int to, off_t begin, off_t end)
{
    if (end - begin <= SMALL)
        return copy_through_memory(from, to, begin, end);
    while (begin < end) {
        off_t in = begin, out = begin;
        ssize_t size = kernel_copy_file_range(from, &in, to, &out, (size_t)(end - begin));
        if (size == -EXDEV || size == -EINVAL || size == -ENOSYS || size == -EOPNOTSUPP ||
            size == 0)
            return copy_through_memory(from, to, begin, end);
        if (size < 0)
            return (int)size;
        begin += size;
    }
    return 0;
}

/* From `begin` to `end`; holes are left out. */
static int copy_between_holes(int from, int to, off_t begin, off_t end)
{
    for (off_t at = begin; at < end;) {
        off_t data = kernel_lseek(from, at, SEEK_DATA);
        if (data == -ENXIO || data >= end)
            break;
        off_t hole = data < 0 ? data : kernel_lseek(from, data, SEEK_HOLE);
        if (hole < 0)
            return copy_range(from, to, at, end);
        int result = copy_range(from, to, data, hole < end ? hole : end);
        if (result != 0)
            return result;
        at = hole;
    }
    return kernel_ftruncate(to, end);
}

static int copy_data(int from, int to, const struct stat *status)
{
    off_t end = status->st_size;
    bool has_holes = (uint64_t)status->st_blocks * 512 < (uint64_t)end && end > SMALL;
    return has_holes ? copy_between_holes(from, to, 0, end) : copy_range(from, to, 0, end);
}

static int make_file(int directory, const char *name)
{
    undo_clear_number(directory, name);
    return kernel_openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                         0600);
}

int undo_copy_range(const struct undo_source *source, int directory, const char *name, bool durable)
{
    int to = make_file(directory, name);
    if (to < 0)
        return to;
    int result = copy_between_holes(source->file, to, (off_t)source->offset,
                                    (off_t)(source->offset + source->size));
    if (result == 0 && durable)
        result = kernel_fsync(to);
    (void)kernel_close(to);
    if (result != 0)
        (void)kernel_unlinkat(directory, name, 0);
    return result;
}

/* The last device that was found unable to share blocks between files. */
static _Atomic uint64_t unable_to_share;

static bool share_blocks(int from, int to, const struct stat *status)
{
    if (atomic_load(&unable_to_share) == status->st_dev)
        return false;
    int result = kernel_clone_file(from, to);
    if (result == -EOPNOTSUPP || result == -ENOTTY || result == -ENOSYS)
        atomic_store(&unable_to_share, status->st_dev);
    return result == 0;
}

static int copy_content(int from, int to, const struct stat *status, struct undo_copy *copy)
{
    if (status->st_size == 0 || share_blocks(from, to, status))
        return 0;
    uint64_t size = (uint64_t)status->st_size, blocks = (uint64_t)status->st_blocks * 512;
    uint64_t needed = size > SMALL && blocks < size ? blocks : size;
    if (needed > copy->allowance)
        return -UNDO_OVER_LIMIT;
    copy->bytes += needed;
    return copy_data(from, to, status);
}

/* --- metadata --- */

static bool copy_attribute(int from, int to, const char *name)
{
    char value[ATTRIBUTE_BYTES];
    ssize_t size = kernel_fgetxattr(from, name, value, sizeof value);
    if (size >= 0 && kernel_fsetxattr(to, name, value, (size_t)size) == 0)
        return true;
    /* Those of security modules are given by the module. */
    return strncmp(name, "security.", 9) == 0;
}

static bool copy_attributes(int from, int to)
{
    char names[ATTRIBUTE_BYTES];
    ssize_t size = kernel_flistxattr(from, names, sizeof names);
    if (size == -EOPNOTSUPP || size == 0)
        return true;
    if (size < 0)
        return false;
    bool copied = true;
    for (ssize_t at = 0; at < size; at += (ssize_t)strlen(names + at) + 1)
        copied = copy_attribute(from, to, names + at) && copied;
    return copied;
}

static bool copy_metadata(int from, int to, const struct stat *status, mode_t mode)
{
    struct stat own;
    bool exact = kernel_fstat(to, &own) == 0;
    if (own.st_uid != status->st_uid || own.st_gid != status->st_gid)
        exact = kernel_fchown(to, status->st_uid, status->st_gid) == 0 && exact;
    exact = kernel_fchmod(to, mode) == 0 && exact;
    exact = copy_attributes(from, to) && exact;
    struct kernel_time times[2] = {kernel_time_of(status->st_atim),
                                   kernel_time_of(status->st_mtim)};
    (void)kernel_utimensat(to, NULL, times, 0);
    return exact;
}

int undo_copy_file(int from, const struct stat *status, int directory, const char *name,
                   struct undo_copy *copy)
{
    int to = make_file(directory, name);
    if (to < 0)
        return to;
    int result = copy_content(from, to, status, copy);
    if (result == 0) {
        /* A copy whose owner can't be given away must not carry more rights than the owner meant.
         */
        copy->exact = copy_metadata(from, to, status, status->st_mode & 07777);
        if (!copy->exact)
            (void)kernel_fchmod(to, status->st_mode & 0777);
    }
    if (result == 0 && copy->durable)
        result = kernel_fsync(to);
    (void)kernel_close(to);
    if (result != 0)
        (void)kernel_unlinkat(directory, name, 0);
    return result;
}

int undo_copy_back(int from, int to, struct undo_copy *copy)
{
    struct stat status;
    int result = kernel_fstat(from, &status);
    if (result == 0)
        result = kernel_ftruncate(to, 0);
    copy->allowance = UINT64_MAX;
    if (result == 0)
        result = copy_content(from, to, &status, copy);
    if (result != 0)
        return result;
    struct kernel_time times[2] = {kernel_time_of(status.st_atim), kernel_time_of(status.st_mtim)};
    (void)kernel_utimensat(to, NULL, times, 0);
    return copy->durable ? kernel_fsync(to) : 0;
}

int undo_copy_part(int from, off_t from_offset, int to, off_t offset, uint64_t size)
{
    char buffer[SMALL];
    while (size > 0) {
        size_t wanted = size < SMALL ? (size_t)size : SMALL;
        ssize_t got = kernel_pread(from, buffer, wanted, from_offset);
        if (got < 0)
            return (int)got;
        if (got == 0)
            return -EBADMSG;
        int result = write_all(to, buffer, (size_t)got, offset);
        if (result != 0)
            return result;
        size -= (uint64_t)got;
        from_offset += got;
        offset += got;
    }
    return 0;
}

static int copy_directory(int from_directory, const char *path, const struct stat *status,
                          int directory, const char *name)
{
    int result = kernel_mkdirat(directory, name, 0700);
    if (result != 0)
        return result;
    int from =
        kernel_openat(from_directory, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    int to = kernel_openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    /* It must stay movable: its mode is in the record. */
    if (to >= 0)
        (void)copy_metadata(from, to, status, 0700);
    if (from >= 0)
        (void)kernel_close(from);
    if (to >= 0)
        (void)kernel_close(to);
    return to < 0 ? to : 0;
}

static int copy_link(int from_directory, const char *path, int directory, const char *name)
{
    char target[UNDO_PATH_SIZE];
    ssize_t size = kernel_readlinkat(from_directory, path, target, sizeof target - 1);
    if (size < 0)
        return (int)size;
    target[size] = '\0';
    return kernel_symlinkat(target, directory, name);
}

int undo_copy_other(int from_directory, const char *path, const struct stat *status, int directory,
                    const char *name)
{
    undo_clear_number(directory, name);
    if (S_ISDIR(status->st_mode))
        return copy_directory(from_directory, path, status, directory, name);
    int result = S_ISLNK(status->st_mode)
                     ? copy_link(from_directory, path, directory, name)
                     : kernel_mknodat(directory, name, status->st_mode, status->st_rdev);
    if (result != 0)
        return result;
    (void)kernel_fchownat(directory, name, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW);
    struct kernel_time times[2] = {kernel_time_of(status->st_atim),
                                   kernel_time_of(status->st_mtim)};
    (void)kernel_utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW);
    return 0;
}
