/*
 * The processes that a look meets, by pid; whom they act for by name; and whether they are stuck in
 * the kernel. It must look into none twice.
 */
#include "lockctl/inspect/processes.h"

#include "lockctl/inspect/facts.h"

#include "lockctl/lockctl.h"
#include "shim/lock/kernel.h"
#include "shim/lock/process.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void processes_begin(struct processes *processes, struct arena *arena)
{
    char link[32] = "";
    *processes = (struct processes){.arena = arena};
    processes->buckets = arena_take(arena, PROCESS_BUCKETS * sizeof(struct process *));
    /* With another namespace's /proc mounted here, its pids are not those that we know. */
    if (kernel_readlinkat(AT_FDCWD, "/proc/self", link, sizeof link - 1) > 0 &&
        (pid_t)strtol(link, NULL, 10) == kernel_getpid())
        processes->namespace = process_pid_namespace();
}

struct process *processes_note(struct processes *processes, pid_t pid)
{
    struct process **bucket = &processes->buckets[(unsigned)pid % PROCESS_BUCKETS];
    for (struct process *process = *bucket; process != NULL; process = process->next)
        if (process->told.pid == pid)
            return process;
    struct process *process = arena_take(processes->arena, sizeof *process);
    process->told.pid = pid;
    process->told.state = '?';
    process->looked_up = pid <= 0;
    process->next = *bucket;
    *bucket = process;
    return process;
}

struct process *processes_get(struct processes *processes, pid_t pid)
{
    struct process *process = processes_note(processes, pid);
    if (process->looked_up)
        return process;
    int directory = facts_open(pid);
    facts_look_up(process, directory, processes->namespace != 0, processes->arena);
    if (directory >= 0)
        (void)kernel_close(directory);
    return process;
}

bool processes_is_lockctl(const struct process *process)
{
    char path[64];
    struct stat own, other;
    return stat("/proc/self/exe", &own) == 0 &&
           stat(process_path(path, process->told.pid, "exe", -1), &other) == 0 &&
           own.st_dev == other.st_dev && own.st_ino == other.st_ino;
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

void processes_read_details(struct processes *processes, struct process *process)
{
    struct inspected_process *told = &process->told;
    if (told->pid <= 0)
        return;
    if (!process->details_read) {
        struct worker worker;
        int directory = facts_open(told->pid);
        worker_begin(&worker, processes->arena);
        facts_read_details(process, directory, &worker);
        worker_end(&worker);
        if (directory >= 0)
            (void)kernel_close(directory);
    }
    if (!process->user_named && told->uid_known)
        told->user = user_name(told->uid);
    process->user_named = true;
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
