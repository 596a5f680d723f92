/*
 * What processes have open. A descriptor is first asked for its inode, which is cheap; only one
 * that is on a wanted inode is looked at closely.
 */
#include "lockctl/inspect/processes.h"

#include "lockctl/inspect/identity.h"
#include "lockctl/inspect/kernel_view.h"
#include "shim/lock/kernel.h"
#include "shim/lock/process.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DELETED " (deleted)"

long process_descriptor_count(pid_t pid)
{
    char path[64];
    struct stat status;
    int result = kernel_fstatat(AT_FDCWD, process_path(path, pid, "fd", -1), &status, 0);
    return result != 0 || status.st_size == 0 ? -1 : (long)status.st_size;
}

static int compare_numbers(const void *left, const void *right)
{
    uint64_t one = *(const uint64_t *)left;
    uint64_t other = *(const uint64_t *)right;
    return (one > other) - (one < other);
}

static bool is_wanted(const struct wanted_inodes *wanted, uint64_t inode)
{
    return wanted->count > 0 &&
           bsearch(&inode, wanted->items, wanted->count, sizeof inode, compare_numbers) != NULL;
}

/* The flock of this description, if it has one: "lock:\t1: FLOCK  ADVISORY  WRITE 4711 …" */
static void take_flock(char *fdinfo, struct open_file *file)
{
    char *save = NULL;
    for (char *line = strtok_r(fdinfo, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        struct kernel_flock flock;
        if (strncmp(line, "lock:", 5) != 0 || !kernel_view_parse_line(line + 5, &flock))
            continue;
        file->locked = true;
        file->exclusive = flock.exclusive;
        file->taker = flock.process;
        file->device = flock.device;
        file->inode = flock.inode;
        return;
    }
}

static void take_path(struct processes *processes, int directory, const char *name,
                      struct open_file *file)
{
    char path[PATH_MAX + sizeof DELETED];
    ssize_t length = kernel_readlinkat(directory, name, path, sizeof path - 1);
    size_t suffix = sizeof DELETED - 1;
    if (length <= 0 || path[0] != '/')
        return;
    path[length] = '\0';
    /* A name may end so by itself; then the file still has a name. */
    file->doubtful =
        (size_t)length > suffix && strcmp(path + length - suffix, DELETED) == 0 && !file->deleted;
    if (file->deleted && (size_t)length > suffix && strcmp(path + length - suffix, DELETED) == 0)
        length -= (ssize_t)suffix;
    file->path = arena_copy(processes->arena, path, (size_t)length);
}

/*
 * fdinfo of descriptor `name`; the text ends in a NUL, "" when it can't be read. One read: it comes
 * whole, and there may be thousands to ask for.
 */
static void read_fdinfo(pid_t pid, const char *name, char *text, size_t size)
{
    char path[64];
    text[0] = '\0';
    (void)snprintf(path, sizeof path, "/proc/%d/fdinfo/%.12s", pid, name);
    int file = kernel_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (file < 0)
        return;
    ssize_t got = kernel_read(file, text, size - 1);
    text[got > 0 ? got : 0] = '\0';
    (void)kernel_close(file);
}

static struct open_file *known_descriptor(const struct process *process, int descriptor)
{
    for (struct open_file *file = process->files; file != NULL; file = file->next)
        if (file->descriptor == descriptor)
            return file;
    return NULL;
}

static struct open_file *add_file(struct processes *processes, const struct open_file *found)
{
    struct open_file *file = arena_take(processes->arena, sizeof *file);
    *file = *found;
    file->next = file->process->files;
    file->process->files = file;
    processes->files =
        arena_grow(processes->arena, processes->files, processes->file_count, sizeof(void *));
    processes->files[processes->file_count++] = file;
    return file;
}

/* Adds it, unless only those with a flock are wanted and it has none. */
static struct open_file *take_descriptor(struct processes *processes, struct process *process,
                                         int directory, const char *name, const struct stat *status,
                                         bool must_be_locked)
{
    char fdinfo[4096];
    int descriptor = (int)strtol(name, NULL, 10);
    struct open_file *known = process->looked_at ? known_descriptor(process, descriptor) : NULL;
    if (known != NULL)
        return known;
    struct open_file file = {.process = process,
                             .descriptor = descriptor,
                             .device = status->st_dev,
                             .inode = status->st_ino,
                             .stat_device = status->st_dev,
                             .stat_inode = status->st_ino,
                             .deleted = status->st_nlink == 0};
    read_fdinfo(process->told.pid, name, fdinfo, sizeof fdinfo);
    uint64_t device;
    uint64_t inode;
    if (file_identity_from_fdinfo(fdinfo, &device, &inode)) {
        file.device = device;
        file.inode = inode;
    }
    take_flock(fdinfo, &file);
    if (must_be_locked && !file.locked)
        return NULL;
    take_path(processes, directory, name, &file);
    return add_file(processes, &file);
}

bool processes_still_has(const struct open_file *file)
{
    char path[64];
    struct stat status;
    process_path(path, file->process->told.pid, "fd", file->descriptor);
    return kernel_fstatat(AT_FDCWD, path, &status, 0) == 0 && status.st_ino == file->stat_inode &&
           status.st_dev == file->stat_device;
}

static int compare_files(const void *left, const void *right)
{
    const struct open_file *one = *(struct open_file *const *)left;
    const struct open_file *other = *(struct open_file *const *)right;
    if (one->device != other->device)
        return one->device < other->device ? -1 : 1;
    if (one->inode != other->inode)
        return one->inode < other->inode ? -1 : 1;
    if (one->process != other->process)
        return one->process->told.pid < other->process->told.pid ? -1 : 1;
    return (one->descriptor > other->descriptor) - (one->descriptor < other->descriptor);
}

void processes_sort(struct processes *processes)
{
    if (processes->file_count > 0)
        qsort(processes->files, processes->file_count, sizeof *processes->files, // NOLINT: pointers
              compare_files);
}

size_t processes_files_on(const struct processes *processes, uint64_t device, uint64_t inode,
                          size_t *first)
{
    size_t low = 0;
    size_t high = processes->file_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct open_file *file = processes->files[middle];
        if (file->device < device || (file->device == device && file->inode < inode))
            low = middle + 1;
        else
            high = middle;
    }
    *first = low;
    while (low < processes->file_count && processes->files[low]->device == device &&
           processes->files[low]->inode == inode)
        low++;
    return low - *first;
}

struct scan {
    struct processes *processes;
    struct process *process;
    const struct wanted_inodes *wanted;
    int directory;
};

static bool scan_descriptor(long number, void *context)
{
    struct scan *scan = context;
    char name[24];
    struct stat status;
    (void)snprintf(name, sizeof name, "%ld", number);
    if (kernel_fstatat(scan->directory, name, &status, 0) != 0)
        return true;
    bool wanted = is_wanted(scan->wanted, status.st_ino);
    bool may_have_flock =
        scan->wanted->any_flock && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode));
    if (wanted || may_have_flock)
        (void)take_descriptor(scan->processes, scan->process, scan->directory, name, &status,
                              !wanted);
    return true;
}

/* Does the process have the same root and mounts as we have? */
static bool sees_our_files(pid_t pid)
{
    static const char *const links[] = {"ns/mnt", "root"};
    static const char *const own_links[] = {"/proc/self/ns/mnt", "/proc/self/root"};
    static struct stat own[2];
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        char path[64];
        struct stat other;
        if ((own[i].st_ino == 0 && kernel_fstatat(AT_FDCWD, own_links[i], &own[i], 0) != 0) ||
            kernel_fstatat(AT_FDCWD, process_path(path, pid, links[i], -1), &other, 0) != 0 ||
            own[i].st_ino != other.st_ino || own[i].st_dev != other.st_dev)
            return false;
    }
    return true;
}

static int open_descriptors(struct process *process)
{
    char path[64];
    if (!process->scanned && !process->looked_at)
        process->sees_our_files = sees_our_files(process->told.pid);
    int directory = kernel_openat(AT_FDCWD, process_path(path, process->told.pid, "fd", -1),
                                  O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    process->told.descriptors_hidden = directory == -EACCES || directory == -EPERM;
    return directory;
}

void processes_scan(struct processes *processes, struct process *process,
                    const struct wanted_inodes *wanted)
{
    char path[64];
    if (process->scanned || process->told.gone || process->told.pid <= 0)
        return;
    struct scan scan = {processes, process, wanted, open_descriptors(process)};
    process->scanned = true;
    if (scan.directory < 0)
        return;
    process_each_number(process_path(path, process->told.pid, "fd", -1), scan_descriptor, &scan);
    (void)kernel_close(scan.directory);
}

struct open_file *processes_look_at(struct processes *processes, struct process *process,
                                    int descriptor)
{
    char name[24];
    if (descriptor < 0 || process->told.gone || process->told.pid <= 0)
        return NULL;
    int directory = open_descriptors(process);
    process->looked_at = true;
    if (directory < 0)
        return NULL;
    (void)snprintf(name, sizeof name, "%d", descriptor);
    struct stat status;
    struct open_file *file = NULL;
    if (kernel_fstatat(directory, name, &status, 0) == 0)
        file = take_descriptor(processes, process, directory, name, &status, false);
    (void)kernel_close(directory);
    return file;
}

struct scan_of_all {
    struct processes *processes;
    const struct wanted_inodes *wanted;
};

static bool scan_process(long number, void *context)
{
    struct scan_of_all *scan = context;
    if (number <= INT_MAX)
        processes_scan(scan->processes, processes_get(scan->processes, (pid_t)number),
                       scan->wanted);
    return true;
}

void processes_scan_all(struct processes *processes, const struct wanted_inodes *wanted)
{
    struct scan_of_all scan = {processes, wanted};
    process_each_number("/proc", scan_process, &scan);
}

bool process_has_memory_file(pid_t pid, int descriptor, const char *name)
{
    char path[64];
    char link[128];
    char expected[128];
    ssize_t length = kernel_readlinkat(AT_FDCWD, process_path(path, pid, "fd", descriptor), link,
                                       sizeof link - 1);
    if (length <= 0)
        return false;
    link[length] = '\0';
    (void)snprintf(expected, sizeof expected, "/memfd:%s" DELETED, name);
    return strcmp(link, expected) == 0;
}
