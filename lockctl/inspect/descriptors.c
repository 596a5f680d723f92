/*
 * What processes have open. A descriptor is first asked for its inode, which is cheap; only one
 * that is on a wanted inode is looked at closely. Of those that are likely to be locks the kernel's
 * word on the lock is asked for at once. Called by several threads, each with other processes.
 */
#include "lockctl/inspect/descriptors.h"

#include "lockctl/format.h"
#include "lockctl/inspect/facts.h"
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
static void take_flock(const char *fdinfo, struct open_file *file)
{
    struct kernel_flock flock;
    for (const char *at = fdinfo; (at = strstr(at, "\nlock:")) != NULL;) {
        at += sizeof "\nlock:" - 1;
        if (!kernel_view_parse_line(at, &flock))
            continue;
        file->locked = true;
        file->exclusive = flock.exclusive;
        file->taker = flock.process;
        file->device = flock.device;
        file->inode = flock.inode;
        return;
    }
}

/* --- the path --- */

static bool is_at(const char *path, const struct open_file *file)
{
    struct stat status;
    return kernel_fstatat(AT_FDCWD, path, &status, 0) == 0 && status.st_dev == file->stat_device &&
           status.st_ino == file->stat_inode;
}

/* What the link says: an absolute path as it is, else "". */
static size_t read_link(int directory, const char *name, char *path, size_t size)
{
    ssize_t length = kernel_readlinkat(directory, name, path, size - 1);
    if (length <= 0 || path[0] != '/')
        length = 0;
    path[length] = '\0';
    return (size_t)length;
}

static bool ends_deleted(const char *path, size_t length)
{
    size_t suffix = sizeof DELETED - 1;
    return length > suffix && strcmp(path + length - suffix, DELETED) == 0;
}

static void take_path(struct arena *arena, char *path, size_t length, struct open_file *file)
{
    if (length == 0)
        return;
    bool marked = ends_deleted(path, length);
    /* A name may end so by itself; then the file still has a name. */
    file->doubtful = marked && !file->deleted;
    if (marked && file->deleted)
        length -= sizeof DELETED - 1;
    file->path = arena_copy(arena, path, length);
    file->at_path = !file->deleted && is_at(file->path, file);
}

/* --- one descriptor --- */

static struct open_file *known_descriptor(const struct process *process, int descriptor)
{
    if (!process->looked_at)
        return NULL;
    for (struct open_file *file = process->files; file != NULL; file = file->next)
        if (file->descriptor == descriptor)
            return file;
    return NULL;
}

static struct open_file *add_file(const struct scan *scan, const struct open_file *found)
{
    struct open_file *file = arena_take(scan->worker->arena, sizeof *file);
    *file = *found;
    file->next = *scan->files;
    *scan->files = file;
    return file;
}

/*
 * What the kernel says of descriptor `number`, by one read: it comes whole, and there may be
 * thousands to ask for. False if it can't be read.
 */
static bool read_fdinfo(const struct scan *scan, long number, char *text, size_t size)
{
    char digits[FORMAT_TEXT];
    char name[FORMAT_TEXT + 8];
    if (scan->fdinfo > 0)
        return facts_read(scan->fdinfo, format_number(digits, (uint64_t)number), text, size) > 0;
    (void)snprintf(name, sizeof name, "fdinfo/%ld", number);
    return facts_read(scan->directory, name, text, size) > 0;
}

static const char *descriptor_name(char name[static 32], long number)
{
    (void)snprintf(name, 32, "fd/%ld", number);
    return name;
}

/* Adds it, unless only those with a flock are wanted and it has none. */
static struct open_file *take_descriptor(const struct scan *scan, long number,
                                         const struct stat *status, bool must_be_locked)
{
    char fdinfo[4096];
    char path[PATH_MAX + sizeof DELETED];
    char name[32];
    struct open_file *known = known_descriptor(scan->process, (int)number);
    if (known != NULL)
        return known;
    struct open_file file = {.process = scan->process,
                             .descriptor = (int)number,
                             .device = status->st_dev,
                             .inode = status->st_ino,
                             .stat_device = status->st_dev,
                             .stat_inode = status->st_ino,
                             .deleted = status->st_nlink == 0};
    if (read_fdinfo(scan, number, fdinfo, sizeof fdinfo)) {
        uint64_t device;
        uint64_t inode;
        if (file_identity_from_fdinfo(fdinfo, &device, &inode)) {
            file.device = device;
            file.inode = inode;
        }
        take_flock(fdinfo, &file);
    }
    if (must_be_locked && !file.locked)
        return NULL;
    size_t length = read_link(scan->directory, descriptor_name(name, number), path, sizeof path);
    take_path(scan->worker->arena, path, length, &file);
    return add_file(scan, &file);
}

/* By the list of a directory where many lie. */
static bool take_neighbour(const struct scan *scan, struct open_file *file)
{
    struct stat status;
    struct worker *worker = scan->worker;
    file->path =
        neighbours_find(&worker->neighbours, worker->arena, file->device, file->inode, &status);
    if (file->path == NULL)
        return false;
    file->stat_device = status.st_dev;
    file->stat_inode = status.st_ino;
    file->at_path = true;
    file->alone = !neighbours_have_registry(&worker->neighbours);
    return true;
}

/* Where the file still is at the path that the link tells, nothing else need be asked. */
static bool take_linked(const struct scan *scan, struct open_file *file)
{
    char name[32];
    char path[PATH_MAX + sizeof DELETED];
    struct stat status;
    size_t length =
        read_link(scan->directory, descriptor_name(name, file->descriptor), path, sizeof path);
    bool found = length > 0 && !ends_deleted(path, length) &&
                 kernel_fstatat(AT_FDCWD, path, &status, 0) == 0 && status.st_dev == file->device &&
                 status.st_ino == file->inode;
    if (!found && kernel_fstatat(scan->directory, name, &status, 0) != 0)
        return false;
    file->stat_device = status.st_dev;
    file->stat_inode = status.st_ino;
    file->deleted = !found && status.st_nlink == 0;
    if (!found) {
        take_path(scan->worker->arena, path, length, file);
        return true;
    }
    file->path = arena_copy(scan->worker->arena, path, length);
    file->at_path = true;
    neighbours_note(&scan->worker->neighbours, scan->worker->arena, path);
    return true;
}

/*
 * The same for one that is likely to have a flock: its fdinfo comes first. False if it has none.
 */
static bool take_locked(const struct scan *scan, long number, pid_t taker)
{
    char text[4096];
    struct open_file file = {.process = scan->process, .descriptor = (int)number};
    if (known_descriptor(scan->process, (int)number) != NULL)
        return true;
    if (!read_fdinfo(scan, number, text, sizeof text))
        return false;
    take_flock(text, &file);
    if (!file.locked || (taker > 0 && file.taker != taker) ||
        (!take_neighbour(scan, &file) && !take_linked(scan, &file)))
        return false;
    (void)add_file(scan, &file);
    return true;
}

void descriptors_look(const struct scan *scan, long number)
{
    char name[32];
    struct stat status;
    if (scan->likely && take_locked(scan, number, 0))
        return;
    if (kernel_fstatat(scan->directory, descriptor_name(name, number), &status, 0) != 0)
        return;
    bool wanted = is_wanted(scan->wanted, status.st_ino);
    bool may_have_flock =
        scan->wanted->any_flock && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode));
    if (wanted || may_have_flock)
        (void)take_descriptor(scan, number, &status, !wanted);
}

bool descriptors_look_at_usual(const struct scan *scan)
{
    struct process *process = scan->process;
    if (scan->worker->usual < 0 || process->looked_at || process->held != 1 ||
        !take_locked(scan, scan->worker->usual, process->told.pid))
        return false;
    process->scanned = true;
    return true;
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
    processes->file_count = 0;
    processes->files = NULL;
    for (size_t i = 0; i < PROCESS_BUCKETS; i++)
        for (struct process *process = processes->buckets[i]; process != NULL;
             process = process->next)
            for (struct open_file *file = process->files; file != NULL; file = file->next) {
                processes->files = arena_grow(processes->arena, processes->files,
                                              processes->file_count, sizeof(void *));
                processes->files[processes->file_count++] = file;
            }
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

/* --- all of a process's --- */

bool processes_sees_our_files(struct process *process)
{
    static const char *const links[] = {"ns/mnt", "root"};
    static const char *const own_links[] = {"/proc/self/ns/mnt", "/proc/self/root"};
    if (process->view_compared)
        return process->sees_our_files;
    process->view_compared = true;
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        char path[64];
        struct stat own;
        struct stat other;
        if (kernel_fstatat(AT_FDCWD, own_links[i], &own, 0) != 0 ||
            kernel_fstatat(AT_FDCWD, process_path(path, process->told.pid, links[i], -1), &other,
                           0) != 0 ||
            own.st_ino != other.st_ino || own.st_dev != other.st_dev)
            return false;
    }
    return process->sees_our_files = true;
}

struct list {
    struct arena *arena;
    struct process *process;
};

static bool note_number(long number, void *context)
{
    struct list *list = context;
    struct process *process = list->process;
    if (number < process->looked_below)
        return true;
    process->numbers =
        arena_grow(list->arena, process->numbers, process->number_count, sizeof number);
    process->numbers[process->number_count++] = number;
    return true;
}

bool descriptors_list(struct process *process, int directory, struct arena *arena)
{
    struct list list = {arena, process};
    int descriptors = directory < 0
                          ? directory
                          : kernel_openat(directory, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    process->told.descriptors_hidden = descriptors == -EACCES || descriptors == -EPERM;
    process->scanned = process->scanned_all = true;
    process->number_count = 0;
    process->numbers = NULL;
    if (descriptors < 0)
        return false;
    process_each_number_in(descriptors, note_number, &list);
    (void)kernel_close(descriptors);
    return true;
}

void descriptors_look_at_all(const struct scan *scan)
{
    struct process *process = scan->process;
    process->looked_at = process->looked_at || process->scanned;
    if (!descriptors_list(process, scan->directory, scan->worker->arena))
        return;
    for (size_t i = 0; i < process->number_count; i++)
        descriptors_look(scan, process->numbers[i]);
    process->number_count = 0;
}

void processes_scan(struct processes *processes, struct process *process,
                    const struct wanted_inodes *wanted)
{
    if (process->scanned_all || process->told.gone || process->told.pid <= 0)
        return;
    struct worker worker;
    worker_begin(&worker, processes->arena);
    struct scan scan = {process, wanted, &worker, facts_open(process->told.pid),
                        .files = &process->files};
    descriptors_look_at_all(&scan);
    worker_end(&worker);
    if (scan.directory >= 0)
        (void)kernel_close(scan.directory);
}

struct open_file *processes_look_at(struct processes *processes, struct process *process,
                                    int descriptor)
{
    char name[32];
    struct stat status;
    struct open_file *file = NULL;
    if (descriptor < 0 || process->told.gone || process->told.pid <= 0)
        return NULL;
    struct worker worker;
    worker_begin(&worker, processes->arena);
    struct scan scan = {process, NULL, &worker, facts_open(process->told.pid),
                        .files = &process->files};
    process->looked_at = true;
    int result = scan.directory < 0 ? scan.directory
                                    : kernel_fstatat(scan.directory,
                                                     descriptor_name(name, descriptor), &status, 0);
    process->told.descriptors_hidden = result == -EACCES || result == -EPERM;
    if (result == 0)
        file = take_descriptor(&scan, descriptor, &status, false);
    worker_end(&worker);
    if (scan.directory >= 0)
        (void)kernel_close(scan.directory);
    return file;
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
