/*
 * Who waits for a lock: the guarded by their registry, where they sleep, not in the kernel; the
 * rest by the kernel's list. Nobody is named who was not seen.
 */
#include "lockctl/inspect/look.h"

#include "shim/lock/kernel.h"
#include "shim/lock/process.h"

#include <string.h>

struct process *look_supervisor(struct look *look, pid_t supervisor, uint64_t pid_namespace,
                                uint64_t start_time)
{
    struct process *process = processes_find(&look->processes, supervisor, pid_namespace, 0);
    return process == NULL || process->told.start_time > start_time ? NULL : process;
}

int64_t look_age(const struct look *look, uint64_t moment)
{
    return moment == 0 || moment > look->now ? UNKNOWN_TIME : (int64_t)(look->now - moment);
}

static struct inspected_waiter *add_waiter(struct look *look, struct candidate *candidate,
                                           struct process *process)
{
    struct inspected_lock *told = &candidate->told;
    told->waiters =
        arena_grow(look->arena, told->waiters, told->waiter_count, sizeof *told->waiters);
    struct inspected_waiter *waiter = &told->waiters[told->waiter_count++];
    *waiter = (struct inspected_waiter){.process = &process->told, .waited = UNKNOWN_TIME};
    if (!look->request->bare_waiters)
        processes_read_details(&look->processes, process);
    return waiter;
}

/*
 * One registry can stand for two lock files, a deleted one and its successor: which of them a
 * waiter waits for is told by what it has open.
 */
static bool waits_for(struct look *look, const struct candidate *candidate, struct process *process)
{
    if (!candidate->words->shared && candidate->told.path_state != PATH_DELETED)
        return true;
    struct wanted_inodes wanted = look->wanted;
    processes_scan(&look->processes, process, &wanted);
    bool has_other = false;
    for (const struct open_file *file = process->files; file != NULL; file = file->next) {
        if (file->device == candidate->device && file->inode == candidate->inode)
            return true;
        has_other = has_other || (file->path != NULL && candidate->told.path != NULL &&
                                  strcmp(file->path, candidate->told.path) == 0);
    }
    return !has_other && candidate->told.path_state != PATH_DELETED;
}

static void add_guarded_waiters(struct look *look, struct candidate *candidate)
{
    const struct registry_words *words = candidate->words;
    for (size_t i = 0; words != NULL && i < words->waiter_count; i++) {
        const struct view_waiter *record = &words->waiters[i];
        struct process *process = record->life == VIEW_GONE
                                      ? NULL
                                      : processes_find(&look->processes, record->process,
                                                       record->pid_namespace, record->start_time);
        if (process == NULL && record->life == VIEW_ELSEWHERE && look->inside_namespace)
            process = processes_invisible(&look->processes);
        if (process == NULL || (process->told.pid > 0 && !waits_for(look, candidate, process)))
            continue;
        struct inspected_waiter *waiter = add_waiter(look, candidate, process);
        waiter->mode = record->mode;
        waiter->guarded = true;
        waiter->thread = record->thread;
        waiter->ticket = record->ticket;
        waiter->waited = look_age(look, record->since);
        struct process *supervisor =
            look_supervisor(look, record->supervisor, record->pid_namespace, record->start_time);
        waiter->supervisor = supervisor != NULL ? supervisor->told.pid : 0;
    }
}

/* A process waits once a thread; a torn list may say it more often. The lines are sorted. */
static void add_kernel_waiters(struct look *look, struct candidate *candidate)
{
    unsigned times = 0;
    pid_t last = 0;
    for (size_t i = 0; i < candidate->line_count; i++) {
        const struct kernel_flock *line = look_line(look, candidate, i);
        if (!line->waits)
            continue;
        struct process *process = processes_get(&look->processes, line->process);
        if (process->told.gone && line->process > 0)
            continue; /* it has ended since */
        times = line->process == last ? times + 1 : 0;
        last = line->process;
        if (last > 0 && times > 0 && times >= process->threads)
            continue;
        add_waiter(look, candidate, process)->mode =
            line->exclusive ? REGISTRY_EXCLUSIVE : REGISTRY_SHARED;
    }
}

static bool is_listed(const struct candidate *candidate, const struct process *process)
{
    for (size_t i = 0; i < candidate->told.waiter_count; i++)
        if (candidate->told.waiters[i].process == &process->told)
            return true;
    for (size_t i = 0; i < candidate->told.holder_count; i++)
        if (candidate->told.holders[i].process == &process->told)
            return true;
    return false;
}

/* The same file, by the numbers that stat tells, which the record has? */
static bool is_about(const struct candidate *candidate, const struct view_blocked *record)
{
    struct stat status;
    if (record->inode != candidate->inode)
        return false;
    return record->device == candidate->device ||
           (candidate->reachable_path != NULL &&
            kernel_fstatat(AT_FDCWD, candidate->reachable_path, &status, 0) == 0 &&
            status.st_dev == record->device && status.st_ino == record->inode);
}

/* The record may be an old one: it must still have that file open there. */
static bool has_open(const struct process *process, const struct view_blocked *record)
{
    char path[64];
    struct stat status;
    process_path(path, process->told.pid, "fd", record->descriptor);
    return kernel_fstatat(AT_FDCWD, path, &status, 0) == 0 && status.st_dev == record->device &&
           status.st_ino == record->inode;
}

/*
 * Those who say in the registry of what they hold that they are blocked here: the registry here may
 * be full, or gone.
 */
static void add_blocked_waiters(struct look *look, struct candidate *candidate)
{
    for (size_t i = 0; i < look->blocked_count; i++) {
        const struct view_blocked *record = &look->blocked[i];
        if (!is_about(candidate, record))
            continue;
        struct process *process = processes_get(&look->processes, record->process);
        if (process->told.gone || process->told.start_time != record->start_time ||
            is_listed(candidate, process) || !has_open(process, record))
            continue;
        struct inspected_waiter *waiter = add_waiter(look, candidate, process);
        waiter->guarded = true;
        waiter->waited = look_age(look, record->since);
    }
}

void join_waiters(struct look *look, struct candidate *candidate)
{
    add_guarded_waiters(look, candidate);
    add_blocked_waiters(look, candidate);
    add_kernel_waiters(look, candidate);
}
