/*
 * Which files of a table a process may still write to without being asked: those it has open, and
 * those it has mapped (takeover.h). It only looks.
 */
#include "shim/lock/takeover.h"

#include "shim/lock/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct collection {
    struct takeover_files *files;
    const struct takeover_process *process;
    const char *table;
    struct stat table_status;
    bool same_view; /* paths mean the same to it and to us */
    int error;
};

static bool lies_below(const char *path, const char *table)
{
    size_t length = strlen(table);
    return strncmp(path, table, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* The same root and mounts as ours? Then the path of what it has open is the path here. */
static bool has_same_view(pid_t thread)
{
    char path[64];
    struct stat ours, theirs;
    if (stat("/proc/self/ns/mnt", &ours) != 0 ||
        stat(process_path(path, thread, "ns/mnt", -1), &theirs) != 0 ||
        ours.st_ino != theirs.st_ino)
        return false;
    return stat("/", &ours) == 0 && stat(process_path(path, thread, "root", -1), &theirs) == 0 &&
           ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

static int add(struct takeover_files *files, uint64_t device, uint64_t inode, const char *path)
{
    for (size_t i = 0; i < files->count; i++) {
        if (files->items[i].inode == inode &&
            (files->items[i].device == device || files->items[i].device == 0 || device == 0))
            return 0;
    }
    if (files->count == files->room) {
        size_t room = files->room == 0 ? 64 : 2 * files->room;
        void *items = reallocarray(files->items, room, sizeof *files->items);
        if (items == NULL)
            return -ENOMEM;
        files->items = items;
        files->room = room;
    }
    char *copy = strdup(path);
    if (copy == NULL)
        return -ENOMEM;
    files->items[files->count++] = (struct takeover_file){device, inode, copy, false};
    return 0;
}

static bool is_writable(const struct takeover_process *process, long number)
{
    char path[64], text[512];
    if (process_read_file(process_path(path, process->thread, "fdinfo", number), text,
                          sizeof text) <= 0)
        return true; /* in doubt */
    const char *flags = strstr(text, "flags:");
    return flags == NULL || ((strtol(flags + 6, NULL, 8) & O_ACCMODE) != O_RDONLY &&
                             (strtol(flags + 6, NULL, 8) & O_PATH) == 0);
}

static bool look_at_open(long number, void *context)
{
    struct collection *collection = context;
    char path[64], target[PATH_MAX];
    struct stat status;
    process_path(path, collection->process->thread, "fd", number);
    /* Without a name left it is out of reach already. */
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode) || status.st_nlink == 0)
        return true;
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length <= 0)
        return true;
    target[length] = '\0';
    bool below = lies_below(target, collection->table);
    bool elsewhere = collection->same_view && status.st_nlink == 1;
    if ((!below && (elsewhere || status.st_dev != collection->table_status.st_dev)) ||
        !is_writable(collection->process, number))
        return true;
    collection->error = add(collection->files, status.st_dev, status.st_ino, target);
    return collection->error == 0;
}

/* A line of /proc/PID/maps; the path is behind the inode, with a newline as \012. */
static int look_at_map(struct collection *collection, char *line)
{
    char permissions[8];
    unsigned long long inode;
    int at = 0;
    if (sscanf(line, "%*x-%*x %7s %*x %*x:%*x %llu %n", permissions, &inode, &at) != 2 ||
        permissions[3] != 's' || inode == 0 || at == 0)
        return 0;
    char *path = line + at;
    path[strcspn(path, "\n")] = '\0';
    struct stat status;
    bool below = lies_below(path, collection->table);
    if (!below && collection->same_view &&
        (lstat(path, &status) != 0 || status.st_ino != inode || status.st_nlink == 1))
        return 0;
    return add(collection->files, 0, inode, path);
}

static int look_at_maps(struct collection *collection)
{
    char path[64], *line = NULL;
    size_t size = 0;
    int error = 0;
    FILE *maps = fopen(process_path(path, collection->process->thread, "maps", -1), "re");
    if (maps == NULL)
        return errno == ENOENT || errno == ESRCH ? 0 : -EPERM;
    while (error == 0 && getline(&line, &size, maps) > 0)
        error = look_at_map(collection, line);
    free(line);
    (void)fclose(maps);
    return error;
}

int takeover_files_collect(struct takeover_files *files, const struct takeover_process *process,
                           const char *table)
{
    struct collection collection = {.files = files, .process = process, .table = table};
    char path[64];
    if (stat(table, &collection.table_status) != 0)
        return errno == ENOENT ? 0 : -errno; /* nothing there that could be written to */
    collection.same_view = has_same_view(process->thread);
    process_path(path, process->thread, "fd", -1);
    if (access(path, R_OK | X_OK) != 0 && errno != ENOENT) {
        files->unreadable++;
        return -EPERM;
    }
    process_each_number(path, look_at_open, &collection);
    return collection.error != 0 ? collection.error : look_at_maps(&collection);
}

void takeover_files_free(struct takeover_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free(files->items[i].path);
    free(files->items);
    *files = (struct takeover_files){.items = NULL};
}
