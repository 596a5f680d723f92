/*
 * The tree of watched directories, what was seen in it, and inotify. Whoever accesses is looked at
 * in /proc at once, for it may be gone in a moment.
 */
#include "lockctl/advise/watch.h"

#include "lockctl/lockctl.h"
#include "shim/lock/kernel.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* --- who --- */

static bool has_in(const char *text, const char *word)
{
    return strstr(text, word) != NULL;
}

static bool has_io_uring(pid_t pid)
{
    char name[300];
    char target[64];
    bool found = false;
    (void)snprintf(name, sizeof name, "/proc/%d/fd", (int)pid);
    DIR *list = opendir(name);
    if (list == NULL)
        return false;
    for (struct dirent *entry; !found && (entry = readdir(list)) != NULL;) {
        ssize_t length = readlinkat(dirfd(list), entry->d_name, target, sizeof target - 1);
        target[length > 0 ? length : 0] = '\0';
        found = has_in(target, "io_uring");
    }
    (void)closedir(list);
    return found;
}

static bool has_shim(pid_t pid)
{
    char name[64];
    char line[4300];
    bool found = false;
    (void)snprintf(name, sizeof name, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(name, "re");
    while (maps != NULL && !found && fgets(line, sizeof line, maps) != NULL)
        found = has_in(line, "liblockshim");
    if (maps != NULL)
        (void)fclose(maps);
    return found;
}

static pid_t parent_of(pid_t pid)
{
    char name[64];
    char line[256];
    int parent = 0;
    (void)snprintf(name, sizeof name, "/proc/%d/status", (int)pid);
    FILE *status = fopen(name, "re");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, "PPid:", 5) == 0)
            parent = (int)strtol(line + 5, NULL, 10);
    if (status != NULL)
        (void)fclose(status);
    return parent;
}

static void look_at_process(struct watch *watch, pid_t pid)
{
    for (size_t i = 0; i < watch->process_count; i++)
        if (watch->processes[i].pid == pid)
            return;
    watch->processes = grow(watch->processes, watch->process_count, sizeof *watch->processes);
    struct watched_process *process = &watch->processes[watch->process_count++];
    *process = (struct watched_process){.pid = pid};
    char name[64];
    (void)snprintf(name, sizeof name, "/proc/%d/exe", (int)pid);
    ssize_t length = readlink(name, process->path, sizeof process->path - 1);
    if (length <= 0)
        return;
    process->path[length] = '\0';
    const char *slash = strrchr(process->path, '/');
    (void)snprintf(process->name, sizeof process->name, "%.63s",
                   slash != NULL ? slash + 1 : process->path);
    process->preloaded = has_shim(pid);
    process->uses_io_uring = has_io_uring(pid);
    process->parent = parent_of(pid);
}

/* --- what --- */

void watch_note(struct watch *watch, pid_t pid, const struct watched_directory *directory,
                const char *name, bool changes)
{
    char path[8192];
    bool itself = name == NULL || name[0] == '\0' || strcmp(name, ".") == 0;
    if (pid == getpid() || (watch->only != NULL && directory == &watch->directories[0] &&
                            (itself || strcmp(name, watch->only) != 0)))
        return;
    if (itself)
        (void)snprintf(path, sizeof path, "%s", directory->path);
    else
        (void)snprintf(path, sizeof path, "%s/%s", directory->path, name);
    if (pid != 0)
        look_at_process(watch, pid);
    size_t known;
    if (text_index_find(&watch->known, path, strlen(path), pid, &known)) {
        watch->accesses[known].changes = watch->accesses[known].changes || changes;
        return;
    }
    watch->accesses = grow(watch->accesses, watch->access_count, sizeof *watch->accesses);
    const char *kept = copy_text(path);
    text_index_add(&watch->known, kept, pid, watch->access_count);
    watch->accesses[watch->access_count++] =
        (struct watched_access){.pid = pid, .path = kept, .directory = itself, .changes = changes};
}

/* --- where --- */

static bool inotify_add(struct watch *watch, struct watched_directory *directory)
{
    directory->number = inotify_add_watch(watch->descriptor, directory->real,
                                          IN_OPEN | IN_ACCESS | IN_MODIFY | IN_CREATE | IN_DELETE |
                                              IN_MOVED_FROM | IN_MOVED_TO);
    return directory->number >= 0;
}

void watch_add_tree(struct watch *watch, const char *real, const char *told)
{
    watch->directories =
        grow(watch->directories, watch->directory_count, sizeof *watch->directories);
    struct watched_directory *directory = &watch->directories[watch->directory_count];
    *directory = (struct watched_directory){.path = copy_text(told), .real = copy_text(real)};
    bool added =
        watch->attributed ? watch_fanotify_add(watch, directory) : inotify_add(watch, directory);
    if (!added) {
        watch->overflowed = watch->overflowed || errno == ENOSPC;
        return;
    }
    watch->directory_count++;
    DIR *list = watch->only == NULL ? opendir(real) : NULL;
    if (list == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        char below[4096];
        char below_told[4096];
        struct stat status;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            kernel_fstatat(dirfd(list), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISDIR(status.st_mode))
            continue;
        if (snprintf(below, sizeof below, "%s/%s", real, entry->d_name) < (int)sizeof below &&
            snprintf(below_told, sizeof below_told, "%s/%s", told, entry->d_name) <
                (int)sizeof below_told)
            watch_add_tree(watch, below, below_told);
    }
    (void)closedir(list);
}

/* --- inotify --- */

static const struct watched_directory *find_number(const struct watch *watch, int number)
{
    for (size_t i = 0; i < watch->directory_count; i++)
        if (watch->directories[i].number == number)
            return &watch->directories[i];
    return NULL;
}

static void take_inotify_event(struct watch *watch, const struct inotify_event *event)
{
    static const uint32_t changing =
        IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
    if ((event->mask & IN_Q_OVERFLOW) != 0)
        watch->overflowed = true;
    const struct watched_directory *directory = find_number(watch, event->wd);
    if (directory == NULL)
        return;
    const char *name = event->len > 0 ? event->name : NULL;
    bool changes = (event->mask & changing) != 0;
    char real[8192];
    char told[8192];
    /* Whose it was is not told: it may have been this process, looking what is in there. */
    if (changes || (event->mask & IN_ISDIR) == 0)
        watch_note(watch, 0, directory, name, changes);
    if ((event->mask & IN_ISDIR) == 0 || (event->mask & (IN_CREATE | IN_MOVED_TO)) == 0 ||
        name == NULL || watch->only != NULL)
        return;
    (void)snprintf(real, sizeof real, "%s/%s", directory->real, name);
    (void)snprintf(told, sizeof told, "%s/%s", directory->path, name);
    watch_add_tree(watch, real, told);
}

static void take_inotify(struct watch *watch)
{
    _Alignas(struct inotify_event) char buffer[16384];
    for (;;) {
        ssize_t size = read(watch->descriptor, buffer, sizeof buffer);
        if (size <= 0)
            return;
        for (ssize_t at = 0; at < size;) {
            const struct inotify_event *event = (const struct inotify_event *)(buffer + at);
            take_inotify_event(watch, event);
            at += (ssize_t)(sizeof *event + event->len);
        }
    }
}

/* --- both --- */

static bool begin_inotify(struct watch *watch)
{
    watch->attributed = false;
    watch->descriptor = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    return watch->descriptor >= 0;
}

static bool begin_with(struct watch *watch, bool (*begin)(struct watch *watch))
{
    if (!begin(watch))
        return false;
    watch_add_tree(watch, watch->root, watch->told);
    if (watch->directory_count > 0)
        return true;
    (void)close(watch->descriptor);
    watch->descriptor = -1;
    return false;
}

void watch_begin(struct watch *watch, const char *root, const char *told, const char *only)
{
    *watch = (struct watch){.descriptor = -1, .root = root, .told = told, .only = only};
    if (!begin_with(watch, watch_fanotify_begin))
        (void)begin_with(watch, begin_inotify);
}

void watch_take(struct watch *watch)
{
    if (watch->descriptor < 0)
        return;
    if (watch->attributed)
        watch_fanotify_take(watch);
    else
        take_inotify(watch);
}

void watch_end(struct watch *watch)
{
    if (watch->descriptor >= 0)
        (void)close(watch->descriptor);
    text_index_end(&watch->known);
    free(watch->directories);
    free(watch->accesses);
    free(watch->processes);
    *watch = (struct watch){.descriptor = -1};
}
