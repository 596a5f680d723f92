/*
 * Who a process is: state of all its threads, parent, command line, user. Read from /proc by system
 * calls of our own: under a guard these questions must not count as touches. Called by several
 * threads, each with other processes: nothing here may be shared.
 */
#include "lockctl/inspect/facts.h"

#include "lockctl/lockctl.h"
#include "shim/lock/kernel.h"
#include "shim/lock/process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int facts_open(pid_t pid)
{
    char path[64];
    (void)process_path(path, pid, "", -1);
    return kernel_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
}

ssize_t facts_read(int directory, const char *name, char *text, size_t size)
{
    text[0] = '\0';
    int file = directory < 0 ? directory : kernel_openat(directory, name, O_RDONLY | O_CLOEXEC, 0);
    if (file < 0)
        return file;
    ssize_t length = kernel_read(file, text, size - 1);
    text[length > 0 ? length : 0] = '\0';
    (void)kernel_close(file);
    return length;
}

/* --- stat, or task/TID/stat --- */

struct stat_line {
    char name[64];
    char state;
    pid_t parent;
    unsigned threads;
    uint64_t start_time;
};

/* Past one field of digits and the blank before it, which may be a negative number's sign. */
static const char *read_field(const char *at, uint64_t *number)
{
    char *end;
    *number = (uint64_t)strtoll(at, &end, 10);
    return end == at ? NULL : end;
}

/* The name in parentheses may hold anything, a parenthesis too: the last one ends it. */
static bool parse_stat(const char *text, struct stat_line *line)
{
    enum { PARENT = 0, THREADS = 16, START = 18, FIELDS = 19 };
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
    uint64_t fields[FIELDS];
    const char *at = close + 3;
    for (int i = 0; i < FIELDS && at != NULL; i++)
        at = read_field(at, &fields[i]);
    if (at == NULL || fields[PARENT] > INT32_MAX)
        return false;
    line->parent = (pid_t)fields[PARENT];
    line->threads = (unsigned)fields[THREADS];
    line->start_time = fields[START];
    return true;
}

static ssize_t read_stat(int directory, const char *name, struct stat_line *line)
{
    char text[1024];
    ssize_t length = facts_read(directory, name, text, sizeof text);
    if (length <= 0)
        return length < 0 ? length : -ESRCH;
    return parse_stat(text, line) ? length : -EINVAL;
}

struct thread_look {
    int directory;
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
    char name[64];
    struct stat_line line;
    (void)snprintf(name, sizeof name, "task/%ld/stat", thread);
    if (read_stat(look->directory, name, &line) > 0 &&
        (look->state == '?' || liveliness(line.state) < liveliness(look->state)))
        look->state = line.state;
    return ++look->looked_at < 4096;
}

/* The leader's state speaks for all, except where it has ended or is stopped by itself. */
static char state_of_all(int directory, const struct stat_line *leader)
{
    if (leader->threads <= 1 || strchr("TtZX", leader->state) == NULL)
        return leader->state;
    struct thread_look look = {directory, '?', 0};
    int tasks = kernel_openat(directory, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (tasks < 0)
        return leader->state;
    process_each_number_in(tasks, look_at_thread, &look);
    (void)kernel_close(tasks);
    return look.state;
}

void facts_look_up(struct process *process, int directory, bool own_pids, struct arena *arena)
{
    struct stat_line line = {.state = '?'};
    struct inspected_process *told = &process->told;
    ssize_t result = read_stat(directory, "stat", &line);
    process->looked_up = true;
    told->state = '?';
    if (result < 0) {
        /* With hidepid others' processes are there but not in /proc. */
        told->gone = !own_pids || kernel_kill(told->pid, 0) == -ESRCH;
        return;
    }
    told->state = state_of_all(directory, &line);
    told->gone = told->state == 'Z' || told->state == 'X';
    told->start_time = line.start_time;
    told->command = arena_format(arena, "[%s]", line.name);
    process->parent = line.parent;
    process->threads = line.threads;
}

/* --- what is shown of it --- */

#define COMMAND_LINE_MAXIMUM ((size_t)4 << 20)

/* All of it, in the worker's memory: what is shown may be cut, what is told in JSON is not. */
static ssize_t read_command_line(int directory, struct worker *worker)
{
    if (worker->text == NULL)
        worker->text = grow(worker->text, worker->room = 4096, 1);
    ssize_t length = facts_read(directory, "cmdline", worker->text, worker->room);
    while (length >= (ssize_t)worker->room - 1 && worker->room < COMMAND_LINE_MAXIMUM) {
        worker->text = grow(worker->text, worker->room, 1);
        worker->room *= 2;
        length = facts_read(directory, "cmdline", worker->text, worker->room);
    }
    while (length > 0 && worker->text[length - 1] == '\0')
        length--;
    for (ssize_t i = 0; i < length; i++)
        if (worker->text[i] == '\0')
            worker->text[i] = ' ';
    return length;
}

/*
 * The user is the effective one, whom a directory that all may read belongs to. Without a command
 * line the name in brackets stays: a kernel thread, or a process whose leader has ended.
 */
void facts_read_details(struct process *process, int directory, struct worker *worker)
{
    struct stat status;
    struct inspected_process *told = &process->told;
    process->details_read = true;
    if (directory < 0)
        return;
    ssize_t length = read_command_line(directory, worker);
    if (length > 0)
        told->command = arena_copy(worker->arena, worker->text, (size_t)length);
    if (kernel_fstat(directory, &status) != 0)
        return;
    told->uid_known = true;
    told->uid = status.st_uid;
}
