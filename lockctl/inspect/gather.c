/*
 * Looking into many processes at once, by several threads. A process is one worker's; only the
 * descriptors of one that has very many are shared out, in a second round.
 */
#include "lockctl/inspect/descriptors.h"
#include "lockctl/inspect/facts.h"

#include "shim/lock/kernel.h"
#include "shim/lock/process.h"

#include <limits.h>

enum {
    PROCESSES_AT_ONCE = 16,
    DESCRIPTORS_AT_ONCE = 64,
    MANY_DESCRIPTORS = 512,
    MANY_LOCKS = 64,       /* of one process: worth a guess */
    OTHERS_AMONG_THEM = 32 /* that many of its descriptors may have no lock */
};

struct gathering {
    struct processes *processes;
    struct process **items;
    const struct wanted_inodes *wanted;
};

/* So many of its descriptors are said to have flocks that they are asked for that first. */
static bool is_likely(const struct process *process)
{
    return (size_t)process->held * 2 > process->number_count;
}

/* Is that the flock that the list has the process hold? */
static bool is_own_lock(const struct scan *scan, long number)
{
    const struct open_file *file = *scan->files;
    return file != NULL && file->descriptor == number && file->locked &&
           file->taker == scan->process->told.pid;
}

/*
 * From the last one, as locks are mostly opened late, until all that the list tells of are found.
 * Of one that also waits all are looked at: it tells where that file lies.
 */
static void look_back(struct scan *scan)
{
    struct process *process = scan->process;
    bool may_stop = process->awaited == 0 && !scan->wanted->any_flock;
    unsigned found = 0;
    scan->likely = is_likely(process);
    for (size_t i = process->number_count; i > 0; i--) {
        long number = process->numbers[i - 1];
        descriptors_look(scan, number);
        if (!is_own_lock(scan, number))
            continue;
        scan->worker->usual = (int)number;
        if (++found < process->held || !may_stop || i == 1)
            continue;
        process->scanned_all = false;
        break;
    }
    process->number_count = 0;
}

/*
 * Whoever has very many locks has opened them one after the other: the lowest numbers, mostly. The
 * kernel would take longer to list them than it needs for a few questions in vain.
 */
static void guess_numbers(struct process *process, struct arena *arena)
{
    process->number_count = (size_t)process->held + OTHERS_AMONG_THEM;
    process->numbers = arena_take(arena, process->number_count * sizeof *process->numbers);
    for (size_t i = 0; i < process->number_count; i++)
        process->numbers[i] = (long)i;
}

static void look_at_descriptors(struct scan *scan)
{
    struct process *process = scan->process;
    bool may_stop = process->awaited == 0 && !scan->wanted->any_flock;
    if (may_stop && descriptors_look_at_usual(scan))
        return;
    if (may_stop && process->held >= MANY_LOCKS) {
        guess_numbers(process, scan->worker->arena);
        return;
    }
    if (descriptors_list(process, scan->directory, scan->worker->arena) &&
        process->number_count <= MANY_DESCRIPTORS)
        look_back(scan);
}

static void look_into(void *context, struct worker *worker, size_t index)
{
    const struct gathering *gathering = context;
    struct process *process = gathering->items[index];
    int directory = facts_open(process->told.pid);
    if (!process->looked_up)
        facts_look_up(process, directory, gathering->processes->namespace != 0, worker->arena);
    if (process->shown && !process->details_read)
        facts_read_details(process, directory, worker);
    if (gathering->wanted != NULL && process->held > 0 && !process->told.gone && !process->scanned)
        look_at_descriptors(&(struct scan){.process = process,
                                           .wanted = gathering->wanted,
                                           .worker = worker,
                                           .directory = directory,
                                           .files = &process->files});
    if (directory >= 0)
        (void)kernel_close(directory);
}

/* --- one with very many descriptors --- */

struct batch {
    struct process *process;
    const struct wanted_inodes *wanted;
    struct open_file **found; /* of each batch */
};

static void look_at_batch(void *context, struct worker *worker, size_t index)
{
    const struct batch *batch = context;
    struct process *process = batch->process;
    struct scan scan = {.process = process,
                        .wanted = batch->wanted,
                        .worker = worker,
                        .directory = facts_open(process->told.pid),
                        .files = &batch->found[index],
                        .likely = is_likely(process)};
    if (scan.directory < 0)
        return;
    int fdinfo = kernel_openat(scan.directory, "fdinfo", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    scan.fdinfo = fdinfo > 0 ? fdinfo : 0;
    size_t first = index * DESCRIPTORS_AT_ONCE;
    for (size_t i = first; i < first + DESCRIPTORS_AT_ONCE && i < process->number_count; i++)
        descriptors_look(&scan, process->numbers[i]);
    if (fdinfo >= 0)
        (void)kernel_close(fdinfo);
    (void)kernel_close(scan.directory);
}

/* Many descriptors wait for a look. */
static void share_out(struct gathering *gathering, struct process *process)
{
    struct arena *arena = gathering->processes->arena;
    size_t count = (process->number_count + DESCRIPTORS_AT_ONCE - 1) / DESCRIPTORS_AT_ONCE;
    struct batch batch = {process, gathering->wanted,
                          arena_take(arena, count * sizeof(struct open_file *))};
    parallel_run(arena, count, 1, look_at_batch, &batch);
    for (size_t i = 0; i < count; i++)
        while (batch.found[i] != NULL) {
            struct open_file *file = batch.found[i];
            batch.found[i] = file->next;
            file->next = process->files;
            process->files = file;
        }
    process->number_count = 0;
}

static bool all_found(const struct process *process)
{
    unsigned found = 0;
    for (const struct open_file *file = process->files; file != NULL; file = file->next)
        found += file->locked && file->taker == process->told.pid;
    return found >= process->held;
}

/* The others as well, if not all locks were among the numbers that were guessed. */
static void look_beyond(struct gathering *gathering, struct process *process)
{
    if (all_found(process))
        return;
    int directory = facts_open(process->told.pid);
    if (descriptors_list(process, directory, gathering->processes->arena))
        share_out(gathering, process);
    if (directory >= 0)
        (void)kernel_close(directory);
}

static void look_at_many(struct gathering *gathering, struct process *process)
{
    bool guessed = !process->scanned;
    size_t count = process->number_count;
    share_out(gathering, process);
    if (!guessed)
        return;
    process->looked_below = (long)count;
    process->scanned = true;
    look_beyond(gathering, process);
}

void processes_gather(struct processes *processes, struct process **items, size_t count,
                      const struct wanted_inodes *wanted)
{
    struct gathering gathering = {processes, items, wanted};
    parallel_run(processes->arena, count, PROCESSES_AT_ONCE, look_into, &gathering);
    for (size_t i = 0; i < count; i++)
        if (items[i]->number_count > 0)
            look_at_many(&gathering, items[i]);
}

/* --- all processes that there are --- */

struct all {
    struct processes *processes;
    struct process **items;
    size_t count;
    const struct wanted_inodes *wanted;
};

static bool note_process(long number, void *context)
{
    struct all *all = context;
    if (number > INT_MAX)
        return true;
    struct process *process = processes_note(all->processes, (pid_t)number);
    if (process->scanned_all || process->told.gone)
        return true;
    all->items = arena_grow(all->processes->arena, all->items, all->count, sizeof(void *));
    all->items[all->count++] = process;
    return true;
}

static void look_at_all_of(void *context, struct worker *worker, size_t index)
{
    const struct all *all = context;
    struct process *process = all->items[index];
    struct scan scan = {process, all->wanted, worker, facts_open(process->told.pid),
                        .files = &process->files};
    if (!process->looked_up)
        facts_look_up(process, scan.directory, all->processes->namespace != 0, worker->arena);
    if (!process->told.gone)
        descriptors_look_at_all(&scan);
    if (scan.directory >= 0)
        (void)kernel_close(scan.directory);
}

void processes_scan_all(struct processes *processes, const struct wanted_inodes *wanted)
{
    struct all all = {.processes = processes, .wanted = wanted};
    process_each_number("/proc", note_process, &all);
    parallel_run(processes->arena, all.count, PROCESSES_AT_ONCE, look_at_all_of, &all);
}
