/*
 * Copying with descriptors of directories, so that nothing that moves meanwhile leads astray. How
 * one object is copied (shared blocks, holes, attributes) is the undo journal's.
 */
#include "lockctl/advise/copy.h"

#include "shim/lock/kernel_files.h"
#include "shim/lock/undo_journal.h"

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

static int copy_file(int from_directory, const char *from, int to_directory, const char *to,
                     const struct stat *status, struct copied *copied)
{
    struct undo_copy copy = {.allowance = UINT64_MAX};
    int source = undo_open_to_read(from_directory, from, O_NOFOLLOW);
    if (source < 0)
        return source;
    int result = undo_copy_file(source, status, to_directory, to, &copy);
    (void)kernel_close(source);
    copied->bytes += (uint64_t)status->st_size;
    return result;
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

/* What is in a directory that has been made already. */
static int copy_content(int from_directory, const char *from, int to_directory, const char *to,
                        struct copied *copied, int depth)
{
    int result;
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

/* Its mode and times last: before, it must be written, and being written changes them. */
static int copy_directory(int from_directory, const char *from, int to_directory, const char *to,
                          const struct stat *status, struct copied *copied, int depth)
{
    struct kernel_time times[2] = {kernel_time_of(status->st_atim),
                                   kernel_time_of(status->st_mtim)};
    if (depth >= DEEPEST)
        return -ELOOP;
    int result = undo_copy_other(from_directory, from, status, to_directory, to);
    if (result == 0)
        result = copy_content(from_directory, from, to_directory, to, copied, depth);
    if (result == 0 && fchmodat(to_directory, to, status->st_mode & 07777, 0) != 0)
        result = -errno;
    (void)kernel_utimensat(to_directory, to, times, AT_SYMLINK_NOFOLLOW);
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
        result = copy_directory(from_directory, from, to_directory, to, &status, copied, depth);
    } else if (result == 0) {
        copied->files++;
        result = S_ISREG(status.st_mode)
                     ? copy_file(from_directory, from, to_directory, to, &status, copied)
                     : undo_copy_other(from_directory, from, &status, to_directory, to);
    }
    if (result != 0)
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
