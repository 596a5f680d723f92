/*
 * Copying with descriptors of directories, so that nothing that moves meanwhile leads astray. What
 * is neither file, directory nor link (a socket, a pipe, a device) is made anew where that may be.
 */
#include "lockctl/advise/copy.h"

#include "shim/lock/kernel_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DEEPEST = 200 };

static void note_failure(struct copied *copied, const char *name)
{
    if (copied->path[0] == '\0')
        (void)snprintf(copied->path, sizeof copied->path, "%s", name);
}

static int copy_content(int from, int to, off_t size)
{
    char buffer[65536];
    if (kernel_clone_file(from, to) == 0)
        return 0;
    off_t done = 0;
    for (ssize_t part = 1; part > 0 && done<size; done += part> 0 ? part : 0)
        part = kernel_copy_file_range(from, NULL, to, NULL, (size_t)(size - done));
    for (;;) { /* the rest, and all where the kernel can't */
        ssize_t part = kernel_read(from, buffer, sizeof buffer);
        if (part <= 0)
            return (int)part;
        for (ssize_t at = 0; at < part;) {
            ssize_t put = kernel_write(to, buffer + at, (size_t)(part - at));
            if (put < 0)
                return (int)put;
            at += put;
        }
    }
}

static void copy_owner_and_times(int directory, const char *name, const struct stat *status)
{
    struct timespec times[2] = {status->st_atim, status->st_mtim};
    (void)kernel_fchownat(directory, name, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW);
    if (!S_ISLNK(status->st_mode))
        (void)!fchmodat(directory, name, status->st_mode & 07777, 0);
    (void)kernel_utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW);
}

static int copy_file(int from_directory, const char *from, int to_directory, const char *to,
                     const struct stat *status)
{
    int source = kernel_openat(from_directory, from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
    if (source < 0)
        return source;
    int target =
        kernel_openat(to_directory, to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int result = target < 0 ? target : copy_content(source, target, status->st_size);
    (void)kernel_close(source);
    if (target >= 0)
        (void)kernel_close(target);
    return result;
}

static int copy_link(int from_directory, const char *from, int to_directory, const char *to)
{
    char target[4097];
    ssize_t length = kernel_readlinkat(from_directory, from, target, sizeof target - 1);
    if (length < 0)
        return (int)length;
    target[length] = '\0';
    return kernel_symlinkat(target, to_directory, to);
}

static int copy_entry(int from_directory, const char *from, int to_directory, const char *to,
                      struct copied *copied, int depth);

static int copy_entries(DIR *source, int target, struct copied *copied, int depth)
{
    int result = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(source)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            result = copy_entry(dirfd(source), entry->d_name, target, entry->d_name, copied, depth);
    return result;
}

static int copy_directory(int from_directory, const char *from, int to_directory, const char *to,
                          struct copied *copied, int depth)
{
    if (depth >= DEEPEST)
        return -ELOOP;
    int result = kernel_mkdirat(to_directory, to, 0700);
    if (result != 0)
        return result;
    int descriptor =
        kernel_openat(from_directory, from, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, 0);
    int target = kernel_openat(to_directory, to, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    DIR *source = descriptor >= 0 ? fdopendir(descriptor) : NULL;
    if (source == NULL || target < 0)
        result = descriptor < 0 ? descriptor : target < 0 ? target : -errno;
    else
        result = copy_entries(source, target, copied, depth + 1);
    if (source != NULL)
        (void)closedir(source);
    else if (descriptor >= 0)
        (void)kernel_close(descriptor);
    if (target >= 0)
        (void)kernel_close(target);
    return result;
}

static int copy_entry(int from_directory, const char *from, int to_directory, const char *to,
                      struct copied *copied, int depth)
{
    struct stat status = {0};
    int result = kernel_fstatat(from_directory, from, &status, AT_SYMLINK_NOFOLLOW);
    if (result == -ENOENT && depth > 0)
        return 0; /* removed meanwhile by a program that takes no lock */
    if (result == 0 && S_ISDIR(status.st_mode)) {
        result = copy_directory(from_directory, from, to_directory, to, copied, depth);
    } else if (result == 0) {
        copied->files++;
        if (S_ISREG(status.st_mode)) {
            copied->bytes += (uint64_t)status.st_size;
            result = copy_file(from_directory, from, to_directory, to, &status);
        } else if (S_ISLNK(status.st_mode)) {
            result = copy_link(from_directory, from, to_directory, to);
        } else {
            result = kernel_mknodat(to_directory, to, status.st_mode, status.st_rdev);
        }
    }
    if (result == 0)
        copy_owner_and_times(to_directory, to, &status);
    else
        note_failure(copied, from);
    return result;
}

int copy_tree(const char *from, const char *to, struct copied *copied)
{
    *copied = (struct copied){0};
    return copy_entry(AT_FDCWD, from, AT_FDCWD, to, copied, 0);
}

static void remove_entry(int directory, const char *name, int depth)
{
    if (kernel_unlinkat(directory, name, 0) == 0 || depth >= DEEPEST)
        return;
    (void)!fchmodat(directory, name, 0700, 0);
    int descriptor =
        kernel_openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, 0);
    DIR *list = descriptor >= 0 ? fdopendir(descriptor) : NULL;
    if (list != NULL) {
        for (struct dirent *entry; (entry = readdir(list)) != NULL;)
            if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                remove_entry(dirfd(list), entry->d_name, depth + 1);
        (void)closedir(list);
    }
    (void)kernel_unlinkat(directory, name, AT_REMOVEDIR);
}

void remove_tree(const char *path)
{
    remove_entry(AT_FDCWD, path, 0);
}
