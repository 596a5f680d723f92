/*
 * The stage: a mount namespace in which the copy stands where the table was. A directory is bound
 * over; where the table is a file, or not there yet, its parent gets an overlay, for a file that
 * something is mounted on can't be replaced by a rename. The lock is one of its own, so that the
 * command waits for nobody; in place it is the table's.
 */
#include "lockctl/advise/observe.h"

#include "lockctl/lockctl.h"
#include "lockctl/preload.h"
#include "lockctl/supervise.h"
#include "shim/lock/command.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* --- telling the observer --- */

static _Noreturn void fail(const struct stage_pipes *pipes, int error, const char *what)
{
    char text[PIPE_BUF];
    memcpy(text, &error, sizeof error);
    int length = snprintf(text + sizeof error, sizeof text - sizeof error, "%s", what);
    (void)!write(pipes->ready, text, sizeof error + (size_t)length);
    _exit(STATUS_FAILED);
}

/* --- namespaces --- */

static bool write_text(const char *path, const char *text)
{
    int descriptor = open(path, O_WRONLY | O_CLOEXEC);
    if (descriptor < 0)
        return false;
    bool written = write(descriptor, text, strlen(text)) == (ssize_t)strlen(text);
    (void)close(descriptor);
    return written;
}

/* This user, and nobody else, is there under the same number. */
static bool map_user(uid_t user, gid_t group)
{
    char text[64];
    (void)write_text("/proc/self/setgroups", "deny");
    (void)snprintf(text, sizeof text, "%u %u 1", user, user);
    if (!write_text("/proc/self/uid_map", text))
        return false;
    (void)snprintf(text, sizeof text, "%u %u 1", group, group);
    return write_text("/proc/self/gid_map", text);
}

static void enter_namespace(const struct stage_pipes *pipes)
{
    uid_t user = geteuid();
    gid_t group = getegid();
    if (unshare(CLONE_NEWNS) != 0) {
        int error = errno;
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
            fail(pipes, error, "a mount namespace of its own");
        if (!map_user(user, group))
            fail(pipes, errno, "a user in the namespace");
    }
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        fail(pipes, errno, "mounts of its own");
}

/* --- mounts --- */

/* What the mount under it has set must stay set. */
static unsigned long mount_flags(const char *path)
{
    static const struct {
        unsigned long told, flag;
    } pairs[] = {{ST_NOSUID, MS_NOSUID},     {ST_NODEV, MS_NODEV},
                 {ST_NOEXEC, MS_NOEXEC},     {ST_NOATIME, MS_NOATIME},
                 {ST_RELATIME, MS_RELATIME}, {ST_NODIRATIME, MS_NODIRATIME}};
    struct statvfs status;
    unsigned long flags = 0;
    if (statvfs(path, &status) != 0)
        return 0;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        flags |= (status.f_flag & pairs[i].told) != 0 ? pairs[i].flag : 0;
    return flags;
}

static void bind_over(const char *from, const char *to, const struct stage_pipes *pipes)
{
    if (mount(from, to, NULL, MS_BIND | MS_REC, NULL) != 0)
        fail(pipes, errno, "the copy in the table's place");
}

static void make_read_only(const char *table, const struct stage_pipes *pipes)
{
    bind_over(table, table, pipes);
    if (mount(NULL, table, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | mount_flags(table), NULL) != 0)
        fail(pipes, errno, "the table read-only");
}

static const char *parent_of(const char *table, char *room, size_t size)
{
    const char *slash = strrchr(table, '/');
    (void)snprintf(room, size, "%.*s", (int)(slash == table ? 1 : slash - table), table);
    return room;
}

static int open_directory(const char *path, const struct stage_pipes *pipes)
{
    int descriptor = open(path, O_PATH | O_DIRECTORY);
    if (descriptor < 0)
        fail(pipes, errno, path);
    return descriptor;
}

/* Layers on memory: an upper one must not lie below what it covers. */
static void make_layers(const struct observation *observation, const struct stage_pipes *pipes)
{
    static const char *const names[] = {"layers", "layers/upper", "layers/work"};
    char path[PATH_MAX];
    char copy[PATH_MAX];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)place_name(observation, names[i], path, sizeof path);
        if (i > 0 && mkdir(path, 0755) != 0)
            fail(pipes, errno, path);
        if (i == 0 && mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") != 0)
            fail(pipes, errno, "a file system in memory");
    }
    (void)place_name(observation, PLACE_COPY, copy, sizeof copy);
    (void)place_name(observation, "layers/upper", path, sizeof path);
    struct stat status;
    char parent[PATH_MAX];
    if (stat(parent_of(observation->table->path, parent, sizeof parent), &status) == 0) {
        (void)!chown(path, status.st_uid, status.st_gid);
        (void)chmod(path, status.st_mode & 07777);
    }
    struct copied copied;
    char target[PATH_MAX];
    if (snprintf(target, sizeof target, "%s/%s", path,
                 strrchr(observation->table->path, '/') + 1) >= (int)sizeof target)
        fail(pipes, ENAMETOOLONG, path);
    int result = access(copy, F_OK) == 0 ? copy_tree(copy, target, &copied) : 0;
    if (result != 0)
        fail(pipes, -result, "the copy in memory");
}

static void cover_parent(const struct observation *observation, const struct stage_pipes *pipes)
{
    char parent[PATH_MAX];
    char upper[PATH_MAX];
    char work[PATH_MAX];
    char own[64];
    char options[256];
    (void)parent_of(observation->table->path, parent, sizeof parent);
    make_layers(observation, pipes);
    int lower_number = open_directory(parent, pipes);
    int upper_number =
        open_directory(place_name(observation, "layers/upper", upper, sizeof upper), pipes);
    int work_number =
        open_directory(place_name(observation, "layers/work", work, sizeof work), pipes);
    int place_number = open_directory(observation->place, pipes);
    /* With handles fanotify can tell of it; in a user's own namespace there are none. */
    static const char *const ways[] = {"index=on,nfs_export=on,", "userxattr,", ""};
    for (size_t way = 0;; way++) {
        (void)snprintf(options, sizeof options,
                       "%slowerdir=/proc/self/fd/%d,upperdir=/proc/self/fd/%d,"
                       "workdir=/proc/self/fd/%d",
                       ways[way], lower_number, upper_number, work_number);
        if (mount("overlay", parent, "overlay", 0, options) == 0)
            break;
        if (way + 1 == sizeof ways / sizeof *ways)
            fail(pipes, errno, "a layer over the table's directory");
    }
    (void)snprintf(own, sizeof own, "/proc/self/fd/%d", place_number);
    size_t length = strlen(parent);
    if (strncmp(observation->place, parent, length) == 0 &&
        (observation->place[length] == '/' || length == 1) &&
        mount(own, observation->place, NULL, MS_BIND | MS_REC, NULL) != 0)
        fail(pipes, errno, "its own directory in the layer");
    (void)close(lower_number);
    (void)close(upper_number);
    (void)close(work_number);
    (void)close(place_number);
}

const char *stage_root(const struct observation *observation, char *room, size_t size)
{
    char path[PATH_MAX];
    if (observation->way == WAY_COPY && !observation->over_parent)
        return place_name(observation, PLACE_COPY, room, size);
    (void)snprintf(path, sizeof path, "%s", observation->table->path);
    if (observation->over_parent)
        (void)parent_of(observation->table->path, path, sizeof path);
    if (observation->way == WAY_IN_PLACE)
        (void)snprintf(room, size, "%s", path);
    else
        (void)snprintf(room, size, "/proc/%d/root%s", (int)observation->stage, path);
    return room;
}

static void set_scene(const struct observation *observation, const struct stage_pipes *pipes)
{
    char directory[PATH_MAX];
    char copy[PATH_MAX];
    const char *here = getcwd(directory, sizeof directory);
    if (observation->way == WAY_IN_PLACE)
        return;
    enter_namespace(pipes);
    if (observation->way == WAY_READ_ONLY)
        make_read_only(observation->table->path, pipes);
    else if (observation->over_parent)
        cover_parent(observation, pipes);
    else
        bind_over(place_name(observation, PLACE_COPY, copy, sizeof copy), observation->table->path,
                  pipes);
    if (here != NULL && chdir(here) != 0) /* it may be covered now */
        fail(pipes, errno, "the working directory");
}

/* --- the command --- */

static char **make_environment(const struct observation *observation,
                               const struct settings *settings)
{
    struct guard guard = {.shim = observation->shim,
                          .entry = observation->entry,
                          .loadable = observation->program.reach != PROGRAM_OTHER_LIBC};
    char **variables = guard_variables(settings, &guard, environ);
    if (variables == NULL)
        _exit(STATUS_SETTINGS);
    char **all = NULL;
    size_t count = 0;
    for (; variables[count] != NULL; count++) {
        all = grow(all, count, sizeof *all);
        all[count] = variables[count];
    }
    all = grow(all, count, sizeof *all);
    if (asprintf(&all[count], "LOCKSHIM_TRACE=%s/trace", observation->place) < 0)
        err(STATUS_FAILED, NULL);
    count++;
    all = grow(all, count, sizeof *all);
    all[count] = NULL;
    return guard_environment(all, environ);
}

/* What lies in the upper layer, but for the table, was written beside it. */
static void tell_dropped(const struct observation *observation)
{
    char path[PATH_MAX];
    const char *table = strrchr(observation->table->path, '/') + 1;
    DIR *upper = opendir(place_name(observation, "layers/upper", path, sizeof path));
    FILE *list = fopen(place_name(observation, "dropped", path, sizeof path), "we");
    if (upper != NULL && list != NULL)
        for (struct dirent *entry; (entry = readdir(upper)) != NULL;)
            if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                strcmp(entry->d_name, table) != 0 &&
                strcmp(entry->d_name, strrchr(observation->place, '/') + 1) != 0)
                (void)fprintf(list, "%s\n", entry->d_name);
    if (list != NULL)
        (void)fclose(list);
    if (upper != NULL)
        (void)closedir(upper);
}

static int run_command_once(const struct observation *observation, const struct stage_pipes *pipes,
                            struct command **command, bool *by_signal)
{
    char lock[PATH_MAX];
    char message[8192];
    struct table_settings table = *observation->table;
    struct settings settings = {.tables = &table, .count = 1};
    table.scope = SCOPE_COMMAND;
    table.on_crash = ON_CRASH_REPORT;
    table.exempt = NULL;
    table.shared = observation->way == WAY_READ_ONLY;
    if (observation->way == WAY_COPY) {
        table.log = NULL;
        table.lock = place_name(observation, "lock", lock, sizeof lock);
    }
    int result = command_create(command, &settings, message, sizeof message);
    if (result == 0 && observation->way != WAY_COPY)
        result = command_lock_now(*command, message, sizeof message);
    if (result != 0)
        fail(pipes, -result, message);
    char **environment = make_environment(observation, &settings);
    char byte = 0;
    (void)!write(pipes->ready, &byte, 1);
    if (read(pipes->go, &byte, 1) != 1)
        _exit(STATUS_FAILED);
    (void)close(pipes->go);
    (void)close(pipes->ready);
    (void)sigprocmask(SIG_SETMASK, &observation->original, NULL);
    return supervise(observation->words, environment, by_signal);
}

_Noreturn void stage_run(const struct observation *observation, const struct stage_pipes *pipes)
{
    struct command *command = NULL;
    bool by_signal = false;
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    set_scene(observation, pipes);
    (void)fflush(stdout);
    (void)dup2(STDERR_FILENO, STDOUT_FILENO); /* standard output is for the advice */
    int status = run_command_once(observation, pipes, &command, &by_signal);
    (void)!write(pipes->told, &status, sizeof status);
    command_finish(command, by_signal);
    if (observation->over_parent && observation->way == WAY_COPY)
        tell_dropped(observation);
    _exit(status);
}
