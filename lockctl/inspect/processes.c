/*
 * Who a process is: state of all its threads, parent, command line, user. Read from /proc by system
 * calls of our own: under a guard these questions must not count as touches.
 */
#include "lockctl/inspect/processes.h"

#include "lockctl/lockctl.h"
#include "shim/lock/kernel.h"
#include "shim/lock/process.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096 };

void processes_begin(struct processes *processes, struct arena *arena)
{
    char link[32] = "";
    *processes = (struct processes){.arena = arena};
    processes->buckets = arena_take(arena, BUCKETS * sizeof(struct process *));
    /* With another namespace's /proc mounted here, its pids are not those that we know. */
    if (kernel_readlinkat(AT_FDCWD, "/proc/self", link, sizeof link - 1) > 0 &&
        (pid_t)strtol(link, NULL, 10) == kernel_getpid())
        processes->namespace = process_pid_namespace();
}

/* --- one /proc/PID/stat, or /proc/PID/task/TID/stat --- */

struct stat_line {
    char name[64];
    char state;
    pid_t parent;
    unsigned threads;
    uint64_t start_time;
};

static bool parse_stat(const char *text, struct stat_line *line)
{
    const char *open = strchr(text, '(');
    const char *close = strrchr(text, ')');
    if (open == NULL || close == NULL || close < open || close[1] != ' ' || close[2] == '\0')
        return false;
    size_t length = (size_t)(close - open - 1);
    if (length >= sizeof line->name)
        length = sizeof line->name - 1;
    memcpy(line->name, open + 1, length);
    line->name[length] = '\0';
    line->state = close[2];
    int parent;
    /* NOLINTNEXTLINE(cert-err34-c): the kernel's own numbers */
    return sscanf(close + 3,
                  " %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %u %*d %lu",
                  &parent, &line->threads, &line->start_time) == 3 &&
           (line->parent = parent) >= 0;
}

/*
 * The start of a file under /proc, by one read: what is wanted here comes whole, and there may be
 * thousands of processes. Ends in a NUL; the length, or a negative errno.
 */
static ssize_t read_once(const char *path, char *text, size_t size)
{
    int file = kernel_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (file < 0)
        return file;
    ssize_t length = kernel_read(file, text, size - 1);
    text[length > 0 ? length : 0] = '\0';
    (void)kernel_close(file);
    return length;
}

static ssize_t read_stat(const char *path, struct stat_line *line)
{
    char text[1024];
    ssize_t length = read_once(path, text, sizeof text);
    if (length <= 0)
        return length < 0 ? length : -ESRCH;
    return parse_stat(text, line) ? length : -EINVAL;
}

struct thread_look {
    pid_t process;
    char state;
    unsigned looked_at;
};

/* R before S before D before stopped before dead: the liveliest of its threads. */
static int liveliness(char state)
{
    const char *order = strchr("XZtTDISR", state);
    return order != NULL && *order != '\0' ? (int)strlen(order) : 2;
}

static bool look_at_thread(long thread, void *context)
{
    struct thread_look *look = context;
    char path[64];
    struct stat_line line;
    (void)snprintf(path, sizeof path, "/proc/%d/task/%ld/stat", look->process, thread);
    if (read_stat(path, &line) > 0 &&
        (look->state == '?' || liveliness(line.state) < liveliness(look->state)))
        look->state = line.state;
    return ++look->looked_at < 4096;
}

/* The leader's state speaks for all, except where it has ended or is stopped by itself. */
static char state_of_all(pid_t pid, const struct stat_line *leader)
{
    if (leader->threads <= 1 || strchr("TtZX", leader->state) == NULL)
        return leader->state;
    char path[64];
    struct thread_look look = {pid, '?', 0};
    process_each_number(process_path(path, pid, "task", -1), look_at_thread, &look);
    return look.state;
}

static void look_up(struct processes *processes, struct process *process)
{
    char path[64];
    struct stat_line line = {.state = '?'};
    struct inspected_process *told = &process->told;
    ssize_t result = read_stat(process_path(path, told->pid, "stat", -1), &line);
    told->state = '?';
    if (result < 0) {
        /* With hidepid others' processes are there but not in /proc. */
        told->gone = processes->namespace == 0 || kernel_kill(told->pid, 0) == -ESRCH;
        return;
    }
    told->state = state_of_all(told->pid, &line);
    told->gone = told->state == 'Z' || told->state == 'X';
    told->start_time = line.start_time;
    told->command = arena_format(processes->arena, "[%s]", line.name);
    process->parent = line.parent;
    process->threads = line.threads;
}

struct process *processes_get(struct processes *processes, pid_t pid)
{
    struct process **bucket = &processes->buckets[(unsigned)pid % BUCKETS];
    for (struct process *process = *bucket; process != NULL; process = process->next)
        if (process->told.pid == pid)
            return process;
    struct process *process = arena_take(processes->arena, sizeof *process);
    process->told.pid = pid;
    process->next = *bucket;
    *bucket = process;
    if (pid > 0)
        look_up(processes, process);
    else
        process->told.state = '?';
    return process;
}

struct process *processes_invisible(struct processes *processes)
{
    return processes_get(processes, 0);
}

/* --- what is shown of it --- */

/* Several names are remembered: looking one up may ask a server. */
static const char *user_name(uid_t uid)
{
    static struct known_user {
        uid_t uid;
        const char *name;
    } * known;
    static size_t count;
    for (size_t i = 0; i < count; i++)
        if (known[i].uid == uid)
            return known[i].name;
    const struct passwd *entry = getpwuid(uid);
    known = grow(known, count, sizeof *known);
    known[count] = (struct known_user){uid, entry != NULL ? copy_text(entry->pw_name) : NULL};
    return known[count++].name;
}

static void take_user(struct inspected_process *told, uid_t uid)
{
    told->uid_known = true;
    told->uid = uid;
    told->user = user_name(uid);
}

/*
 * Whoever the process acts as: the effective user. Its directory belongs to that, or to root where
 * the process may not be dumped; only then the longer file is read.
 */
static void read_user(struct inspected_process *told)
{
    char path[64];
    struct stat status;
    (void)snprintf(path, sizeof path, "/proc/%d", told->pid);
    if (kernel_fstatat(AT_FDCWD, path, &status, 0) == 0 && status.st_uid != 0) {
        take_user(told, status.st_uid);
        return;
    }
    char text[2048];
    unsigned uid;
    if (read_once(process_path(path, told->pid, "status", -1), text, sizeof text) <= 0)
        return;
    const char *line = strstr(text, "\nUid:");
    /* NOLINTNEXTLINE(cert-err34-c): the kernel's own numbers */
    if (line == NULL || sscanf(line + 5, "%*u %u", &uid) != 1)
        return;
    take_user(told, uid);
}

#define COMMAND_LINE_MAXIMUM ((size_t)4 << 20)

/* All of it: what is shown may be cut, what is told in JSON is not. */
static void read_command_line(struct processes *processes, struct inspected_process *told)
{
    static char *buffer;
    static size_t size;
    char path[64];
    if (buffer == NULL)
        buffer = grow(buffer, size = 4096, 1);
    process_path(path, told->pid, "cmdline", -1);
    ssize_t length = read_once(path, buffer, size);
    while (length >= (ssize_t)size - 1 && size < COMMAND_LINE_MAXIMUM) {
        buffer = grow(buffer, size, 1);
        size *= 2;
        length = process_read_file(path, buffer, size);
    }
    while (length > 0 && buffer[length - 1] == '\0')
        length--;
    if (length <= 0)
        return; /* the name in brackets stays: a kernel thread, or one whose leader has ended */
    for (ssize_t i = 0; i < length; i++)
        if (buffer[i] == '\0')
            buffer[i] = ' ';
    told->command = arena_copy(processes->arena, buffer, (size_t)length);
}

void processes_read_details(struct processes *processes, struct process *process)
{
    if (process->details_read || process->told.pid <= 0)
        return;
    process->details_read = true;
    read_command_line(processes, &process->told);
    read_user(&process->told);
}

/* --- asleep in the kernel --- */

struct switch_look {
    pid_t process;
    bool sleeping;
    uint64_t switches;
};

static bool look_for_sleep(long thread, void *context)
{
    struct switch_look *look = context;
    char path[64];
    char text[4096];
    (void)snprintf(path, sizeof path, "/proc/%d/task/%ld/status", look->process, thread);
    if (process_read_file(path, text, sizeof text) <= 0)
        return true;
    const char *state = strstr(text, "\nState:\t");
    const char *switches = strstr(text, "\nvoluntary_ctxt_switches:");
    if (state == NULL || switches == NULL || state[8] != 'D')
        return true;
    look->sleeping = true;
    look->switches += strtoull(switches + 25, NULL, 10) + (uint64_t)thread;
    return true;
}

static struct switch_look look_at_sleep(const struct process *process, pid_t thread)
{
    char path[64];
    struct switch_look look = {.process = process->told.pid};
    if (thread > 0)
        (void)look_for_sleep(thread, &look);
    else
        process_each_number(process_path(path, look.process, "task", -1), look_for_sleep, &look);
    return look;
}

bool processes_watch(struct process *process, pid_t thread)
{
    if (process->told.pid <= 0 || process->told.gone ||
        (process->threads <= 1 && process->told.state != 'D'))
        return false;
    struct switch_look look = look_at_sleep(process, thread);
    process->watched = look.sleeping;
    process->watched_thread = thread;
    process->switches = look.switches;
    return look.sleeping;
}

void processes_confirm(struct process *process)
{
    struct switch_look look = look_at_sleep(process, process->watched_thread);
    process->told.sleeps_uninterruptibly =
        process->watched && look.sleeping && look.switches == process->switches;
}
