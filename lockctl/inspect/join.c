/*
 * Who holds a lock. The kernel's list is the truth about that there is a
 * holder; its pid is that of the taker, which may have ended while another process keeps the
 * description: then descriptors and registry tell who. Nobody is named who was not seen.
 */
#include "lockctl/inspect/look.h"

#include "shim/lock/command_anchor.h"
#include "shim/lock/kernel.h"
#include "shim/lock/own.h"
#include "shim/lock/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- small questions --- */

/* The process's descriptor with the flock, preferably the one that `taker` took; or NULL. */
static const struct open_file *locked_file(const struct look *look, const struct process *process,
                                           const struct candidate *candidate, pid_t taker)
{
    size_t first;
    const struct open_file *found = NULL;
    size_t count =
        processes_files_on(&look->processes, candidate->device, candidate->inode, &first);
    for (size_t i = first; i < first + count; i++) {
        const struct open_file *file = look->processes.files[i];
        if (file->process != process || !file->locked)
            continue;
        if (file->taker == taker)
            return file;
        found = file;
    }
    return found;
}

static struct process *find_record(struct look *look, const struct view_holder *record)
{
    return record->life == VIEW_GONE ? NULL
                                     : processes_find(&look->processes, record->process,
                                                      record->pid_namespace, record->start_time);
}

static struct process *supervisor_of(struct look *look, const struct view_holder *record)
{
    return look_supervisor(look, record->supervisor, record->pid_namespace, record->start_time);
}

/* Is the process in a guarded command that has not ended, and the descriptor one that it gave? */
static bool is_in_running_command(const struct process *process, int descriptor)
{
    for (int i = 0; i < OWN_ANCHOR_NUMBERS; i++) {
        struct command_anchor anchor;
        char path[64];
        int number = own_anchor_candidate(i);
        if (descriptor <= number ||
            !process_has_memory_file(process->told.pid, number, "lockshim-command"))
            continue;
        int file = kernel_openat(AT_FDCWD, process_path(path, process->told.pid, "fd", number),
                                 O_RDONLY | O_CLOEXEC, 0);
        if (file < 0)
            return true;
        ssize_t got = kernel_pread(file, &anchor, sizeof anchor, 0);
        (void)kernel_close(file);
        return got == (ssize_t)sizeof anchor &&
               memcmp(anchor.magic, COMMAND_MAGIC, sizeof anchor.magic) == 0 &&
               atomic_load(&anchor.over) == 0;
    }
    return false;
}

/*
 * Has a process that no registry tells of the shim loaded? Asked only where the descriptor stands
 * as high as the shim puts it: reading another's map of memory is dear.
 */
static bool has_shim(struct process *process, int descriptor)
{
    bool high = false;
    for (int i = 0; i < OWN_ANCHOR_NUMBERS; i++)
        high = high ||
               (descriptor > own_anchor_candidate(i) && descriptor <= own_anchor_candidate(i) + 64);
    if (!high || process->shim_looked_for)
        return high && process->has_shim;
    process->shim_looked_for = true;
    char path[64];
    FILE *maps = fopen(process_path(path, process->told.pid, "maps", -1), "re");
    if (maps == NULL)
        return false;
    char *line = NULL;
    size_t size = 0;
    while (!process->has_shim && getline(&line, &size, maps) > 0)
        process->has_shim = strstr(line, "/liblockshim.so") != NULL;
    free(line);
    (void)fclose(maps);
    return process->has_shim;
}

/* --- holders --- */

static struct inspected_holder *add_holder(struct look *look, struct candidate *candidate,
                                           struct process *process, enum registry_mode mode)
{
    struct inspected_lock *told = &candidate->told;
    told->holders =
        arena_grow(look->arena, told->holders, told->holder_count, sizeof *told->holders);
    struct inspected_holder *holder = &told->holders[told->holder_count++];
    *holder = (struct inspected_holder){.process = &process->told,
                                        .mode = mode,
                                        .descriptor = -1,
                                        .held = UNKNOWN_TIME,
                                        .untouched = UNKNOWN_TIME};
    if (!look->request->bare_holders)
        processes_read_details(&look->processes, process);
    return holder;
}

static struct inspected_holder *find_holder(const struct candidate *candidate,
                                            const struct process *process)
{
    for (size_t i = 0; i < candidate->told.holder_count; i++)
        if (candidate->told.holders[i].process == &process->told)
            return &candidate->told.holders[i];
    return NULL;
}

/* What the registry says of a holder that is known to be one. */
static void take_record(struct look *look, struct inspected_holder *holder,
                        const struct view_holder *record)
{
    holder->guarded = true;
    holder->fenceable = record->fence != 0 && !record->out_of_reach;
    holder->fence = record->fence;
    holder->scope = record->scope;
    holder->thread = record->thread;
    holder->acquisition = record->acquisition;
    holder->held = look_age(look, record->since);
    holder->untouched = look_age(look, record->last_touch);
    if (holder->descriptor < 0)
        holder->descriptor = record->descriptor;
    if (record->level > 0)
        holder->mode = REGISTRY_JOINED;
    struct process *supervisor = supervisor_of(look, record);
    holder->supervisor = supervisor != NULL ? supervisor->told.pid : 0;
}

/* The registry's live members of a running command, of which one took the lock that is looked at.
 */
static bool add_command(struct look *look, struct candidate *candidate,
                        const struct kernel_flock *line)
{
    const struct registry_words *words = candidate->words;
    enum registry_mode mode = line->exclusive ? REGISTRY_EXCLUSIVE : REGISTRY_SHARED;
    bool found = false;
    for (size_t i = 0; words != NULL && i < words->holder_count; i++) {
        const struct view_holder *record = &words->holders[i];
        struct process *supervisor = supervisor_of(look, record);
        if (supervisor == NULL)
            continue;
        struct process *member = find_record(look, record);
        struct process *shown = member != NULL ? member : supervisor;
        struct inspected_holder *holder = find_holder(candidate, shown);
        /* The supervisor stands in only where no member that touched is left. */
        if (holder == NULL && (member != NULL || !found)) {
            holder = add_holder(look, candidate, shown, mode);
            take_record(look, holder, record);
            holder->shares = member != NULL && found;
            if (member == NULL)
                holder->fenceable = false;
        }
        found = true;
    }
    return found;
}

/* Has the file the description that this process took? */
static bool is_heir(const struct open_file *file, const struct kernel_flock *line)
{
    return file->locked && (line->process == 0 || file->taker == line->process);
}

/* Does one of them belong to a guarded command that runs? Then the description is the command's. */
static bool keeps_command(struct look *look, const struct candidate *candidate,
                          const struct kernel_flock *line)
{
    size_t first;
    size_t count =
        processes_files_on(&look->processes, candidate->device, candidate->inode, &first);
    for (size_t i = first; i < first + count; i++) {
        const struct open_file *file = look->processes.files[i];
        if (is_heir(file, line) && is_in_running_command(file->process, file->descriptor))
            return true;
    }
    return false;
}

/*
 * Those who have the description that a process took which is gone, or has closed its own copy:
 * lockctls at a break of the lock, or all others.
 */
static bool add_heirs_that(struct look *look, struct candidate *candidate,
                           const struct kernel_flock *line, bool only_break)
{
    size_t first;
    bool found = false;
    enum registry_mode mode = line->exclusive ? REGISTRY_EXCLUSIVE : REGISTRY_SHARED;
    size_t count =
        processes_files_on(&look->processes, candidate->device, candidate->inode, &first);
    bool command = keeps_command(look, candidate, line);
    for (size_t i = first; i < first + count; i++) {
        const struct open_file *file = look->processes.files[i];
        if (!is_heir(file, line) || find_holder(candidate, file->process) != NULL ||
            !processes_still_has(file) || processes_is_lockctl(file->process) != only_break)
            continue;
        struct inspected_holder *holder = add_holder(look, candidate, file->process, mode);
        holder->descriptor = file->descriptor;
        holder->taker = line->process;
        holder->shares = found;
        holder->guarded = command;
        holder->taker_gone = !command && line->process != file->process->told.pid;
        holder->only_breaks = only_break;
        found = true;
    }
    return found;
}

/* Who breaks it lets go of it soon, and is told of only where nobody else keeps it. */
static bool add_heirs(struct look *look, struct candidate *candidate,
                      const struct kernel_flock *line)
{
    return add_heirs_that(look, candidate, line, false) ||
           add_heirs_that(look, candidate, line, true);
}

/* Does the kernel's word that this process took it suffice? */
static bool has_it(const struct look *look, const struct candidate *candidate,
                   const struct process *process, const struct kernel_flock *line)
{
    if (process->told.gone || line->process == 0)
        return false;
    return !process->scanned || process->told.descriptors_hidden ||
           locked_file(look, process, candidate, line->process) != NULL;
}

static bool is_confirmed(const struct look *look, const struct kernel_flock *line)
{
    size_t first;
    size_t count =
        look->again != NULL ? kernel_view_find(look->again, line->device, line->inode, &first) : 0;
    for (size_t i = 0; i < count; i++) {
        const struct kernel_flock *other = &look->again->items[first + i];
        if (!other->waits && other->process == line->process)
            return true;
    }
    return false;
}

static void add_kernel_holder(struct look *look, struct candidate *candidate,
                              const struct kernel_flock *line)
{
    enum registry_mode mode = line->exclusive ? REGISTRY_EXCLUSIVE : REGISTRY_SHARED;
    struct process *process = processes_get(&look->processes, line->process);
    if (line->process > 0 && find_holder(candidate, process) != NULL)
        return; /* a torn list says it twice */
    if (has_it(look, candidate, process, line)) {
        const struct open_file *file = locked_file(look, process, candidate, line->process);
        struct inspected_holder *holder = add_holder(look, candidate, process, mode);
        if (file != NULL)
            holder->descriptor = file->descriptor;
        if (candidate->words == NULL || !candidate->words->present)
            holder->guarded = has_shim(process, holder->descriptor);
        return;
    }
    /* Of a command's processes all have the description, seen or not: the registry names it. */
    if ((keeps_command(look, candidate, line) && add_command(look, candidate, line)) ||
        add_heirs(look, candidate, line) || add_command(look, candidate, line))
        return;
    if (!is_confirmed(look, line))
        return;
    /* A mapping, or a message in flight, keeps it without a descriptor; or it is not visible. */
    bool keeps = !process->told.gone && line->process != 0;
    struct inspected_holder *holder =
        add_holder(look, candidate, keeps ? process : processes_invisible(&look->processes), mode);
    if (!keeps) {
        holder->taker = line->process;
        holder->taker_gone = line->process != 0;
    }
}

/* The list was torn, or read a moment too early; or, in a PID namespace, leaves lines out. */
static void add_unlisted_holders(struct look *look, struct candidate *candidate)
{
    size_t first;
    size_t count =
        processes_files_on(&look->processes, candidate->device, candidate->inode, &first);
    for (size_t i = first; i < first + count; i++) {
        const struct open_file *file = look->processes.files[i];
        struct kernel_flock line = {.process = file->taker, .exclusive = file->exclusive};
        if (file->locked && find_holder(candidate, file->process) == NULL)
            (void)add_heirs(look, candidate, &line);
    }
}

/* A guarded holder outside of this PID namespace is known by the registry's word alone. */
static void add_foreign_holders(struct look *look, struct candidate *candidate)
{
    const struct registry_words *words = candidate->words;
    for (size_t i = 0; words != NULL && !words->shared && i < words->holder_count; i++) {
        const struct view_holder *record = &words->holders[i];
        if (record->life != VIEW_ELSEWHERE || find_record(look, record) != NULL ||
            record->level > 0 || candidate->told.holder_count > 0)
            continue;
        struct process *process = processes_invisible(&look->processes);
        take_record(look, add_holder(look, candidate, process, record->mode), record);
    }
}

/* The guarded among the holders, members of their commands, and those who joined them. */
static void join_records(struct look *look, struct candidate *candidate)
{
    const struct registry_words *words = candidate->words;
    for (size_t i = 0; words != NULL && i < words->holder_count; i++) {
        const struct view_holder *record = &words->holders[i];
        struct process *process = find_record(look, record);
        if (process == NULL)
            continue;
        struct inspected_holder *holder = find_holder(candidate, process);
        if (holder != NULL) {
            if (!holder->guarded || holder->held == UNKNOWN_TIME)
                take_record(look, holder, record);
            continue;
        }
        bool same_command = false;
        for (size_t j = 0; j < candidate->told.holder_count && record->supervisor > 0; j++)
            same_command = same_command ||
                           candidate->told.holders[j].supervisor == record->supervisor ||
                           candidate->told.holders[j].process->pid == record->supervisor;
        if (candidate->told.holder_count == 0 || (!same_command && record->level == 0))
            continue;
        holder = add_holder(look, candidate, process, record->mode);
        take_record(look, holder, record);
        holder->shares = true;
    }
}

/* The owner is the command: its members' times are its own. */
static void join_times(struct look *look, struct candidate *candidate)
{
    const struct registry_words *words = candidate->words;
    for (size_t i = 0; words != NULL && i < candidate->told.holder_count; i++) {
        struct inspected_holder *holder = &candidate->told.holders[i];
        for (size_t j = 0; holder->supervisor > 0 && j < words->holder_count; j++) {
            const struct view_holder *record = &words->holders[j];
            struct process *supervisor = supervisor_of(look, record);
            if (supervisor == NULL || supervisor->told.pid != holder->supervisor)
                continue;
            int64_t held = look_age(look, record->since);
            int64_t untouched = look_age(look, record->last_touch);
            if (held > holder->held)
                holder->held = held;
            if (untouched >= 0 && (holder->untouched < 0 || untouched < holder->untouched))
                holder->untouched = untouched;
        }
    }
}

/* --- all together --- */

static void summarize(struct candidate *candidate)
{
    struct inspected_lock *told = &candidate->told;
    told->held = told->holder_count > 0;
    for (size_t i = 0; i < told->holder_count; i++)
        if (told->mode == 0 || told->holders[i].mode == REGISTRY_EXCLUSIVE)
            told->mode = told->holders[i].mode;
    told->longest_wait = UNKNOWN_TIME;
    for (size_t i = 0; i < told->waiter_count; i++)
        if (told->waiters[i].waited > told->longest_wait)
            told->longest_wait = told->waiters[i].waited;
    const struct registry_words *words = candidate->words;
    if (words == NULL || !words->present)
        return;
    told->has_registry = true;
    told->generation = words->head.generation;
    told->acquisition = words->head.acquisition;
    told->crashed = words->head.crashed || words->mark_is_left;
    if (told->table == NULL)
        told->table = words->table;
}

void join_lock(struct look *look, struct candidate *candidate)
{
    for (size_t i = 0; i < candidate->line_count; i++) {
        const struct kernel_flock *line = look_line(look, candidate, i);
        if (!line->waits)
            add_kernel_holder(look, candidate, line);
    }
    if (candidate->told.holder_count == 0 && candidate->inode != 0)
        add_unlisted_holders(look, candidate);
    if (look->inside_namespace && candidate->told.holder_count == 0)
        add_foreign_holders(look, candidate);
    join_records(look, candidate);
    join_times(look, candidate);
    join_waiters(look, candidate);
    summarize(candidate);
}

static bool has_running_command(struct look *look, const struct registry_words *words)
{
    for (size_t i = 0; words != NULL && i < words->holder_count; i++)
        if (supervisor_of(look, &words->holders[i]) != NULL)
            return true;
    return false;
}

bool join_misses_holder(struct look *look, const struct candidate *candidate)
{
    for (size_t i = 0; i < candidate->line_count; i++) {
        const struct kernel_flock *line = look_line(look, candidate, i);
        if (!line->waits && (look->again == NULL || is_confirmed(look, line)) &&
            !has_it(look, candidate, processes_get(&look->processes, line->process), line))
            return !has_running_command(look, candidate->words);
    }
    return false;
}
