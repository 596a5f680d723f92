/* files.c: whole reads and writes on the files of one directory.
 * It must never follow a link out of the directory, nor wait for a pipe. */
#include "store/files.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int file_open(int directory, const char *name, int flags, struct tablestore_error *error)
{
    int file = openat(directory, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (file < 0) {
        if (errno == ENOENT)
            record_failure(error, TABLESTORE_DAMAGED, name, -1, "the file is missing");
        else if (errno == ELOOP)
            record_failure(error, TABLESTORE_DAMAGED, name, -1, "a symbolic link, not a file");
        else
            record_system_failure(error, name, "cannot open");
        return -1;
    }
    struct stat status;
    if (fstat(file, &status) != 0)
        record_system_failure(error, name, "cannot stat");
    else if (!S_ISREG(status.st_mode))
        record_failure(error, TABLESTORE_DAMAGED, name, -1, "not a regular file");
    else
        return file;
    close(file);
    return -1;
}

int64_t file_size(int file, const char *name, struct tablestore_error *error)
{
    struct stat status;
    if (fstat(file, &status) != 0) {
        record_system_failure(error, name, "cannot stat");
        return -1;
    }
    if (status.st_size > FILE_SIZE_LIMIT) {
        record_failure(error, TABLESTORE_DAMAGED, name, FILE_SIZE_LIMIT,
                       "the file is larger than 2 GiB");
        return -1;
    }
    return status.st_size;
}

ssize_t file_read_some(int file, const char *name, void *to, size_t length, int64_t offset,
                       struct tablestore_error *error)
{
    size_t done = 0;
    while (done < length) {
        ssize_t got =
            pread(file, (char *)to + done, length - done, (off_t)(offset + (int64_t)done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            record_system_failure(error, name, "cannot read");
            return -1;
        }
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

bool file_read(int file, const char *name, void *to, size_t length, int64_t offset,
               struct tablestore_error *error)
{
    ssize_t got = file_read_some(file, name, to, length, offset, error);
    if (got < 0)
        return false;
    return (size_t)got == length ||
           failure(error, TABLESTORE_DAMAGED, name, offset + got, "the file ends too early");
}

bool file_read_whole(int file, const char *name, struct bytes *to, struct tablestore_error *error)
{
    int64_t size = file_size(file, name, error);
    if (size < 0)
        return false;
    if (!bytes_reserve(to, (size_t)size + 1)) /* so that there is data even of nothing */
        return memory_failure(error);
    ssize_t got = file_read_some(file, name, to->data + to->length, (size_t)size, 0, error);
    if (got < 0)
        return false;
    to->length += (size_t)got;
    return true;
}

bool file_write(int file, const char *name, const void *from, size_t length, int64_t offset,
                struct tablestore_error *error)
{
    size_t done = 0;
    while (done < length) {
        ssize_t put =
            pwrite(file, (const char *)from + done, length - done, (off_t)(offset + (int64_t)done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return system_failure(error, name, "cannot write");
        done += (size_t)put;
    }
    return true;
}

bool file_load(int directory, const char *name, struct bytes *to, struct tablestore_error *error)
{
    int file = file_open(directory, name, O_RDONLY, error);
    if (file < 0)
        return false;
    bool done = file_read_whole(file, name, to, error);
    close(file);
    return done;
}

bool file_store(int directory, const char *name, const struct bytes *from, bool replace,
                struct tablestore_error *error)
{
    int file = file_open(directory, name, O_WRONLY | O_CREAT | (replace ? O_TRUNC : O_EXCL), error);
    if (file < 0)
        return false;
    bool done = file_write(file, name, from->data, from->length, 0, error);
    if (close(file) != 0 && done)
        done = system_failure(error, name, "cannot write");
    return done;
}

bool file_identify(int directory, const char *name, struct file_identity *identity)
{
    struct stat status;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    *identity =
        (struct file_identity){status.st_dev, status.st_ino, status.st_size, status.st_mtim};
    return true;
}

bool file_identity_equal(const struct file_identity *left, const struct file_identity *right)
{
    return left->device == right->device && left->inode == right->inode &&
           left->size == right->size && left->changed.tv_sec == right->changed.tv_sec &&
           left->changed.tv_nsec == right->changed.tv_nsec;
}
