/*
 * The rules. A reason names processes by pid, never by text of theirs: it is fit for a terminal.
 */
#include "lockctl/inspect/verdict.h"

#include "lockctl/format.h"
#include "shim/settings.h"

#include <string.h>

struct facts {
    const struct inspected_lock *lock;
    const struct inspection *inspection;
    int64_t stuck_after;
    struct arena *arena;
    struct usual *usual;
};

/* What is said of most locks, which few processes hold: it is put into words once. */
struct usual {
    const struct inspected_process *holder;
    const char *reason;
};

struct rule {
    enum verdict verdict;
    bool (*applies)(const struct facts *facts);
    const char *(*reason)(const struct facts *facts);
};

static const char *duration(const struct facts *facts, int64_t nanoseconds)
{
    char text[FORMAT_TEXT];
    format_duration(text, nanoseconds < 0 ? 0 : (uint64_t)nanoseconds);
    return arena_copy(facts->arena, text, strlen(text));
}

/* "process 4711", "a process that is not visible from here" */
static const char *who(const struct facts *facts, const struct inspected_process *process)
{
    return process->pid > 0 ? arena_format(facts->arena, "process %d", process->pid)
                            : "a process that is not visible from here";
}

static bool is_stopped(const struct inspected_process *process)
{
    return process->state == 'T' || process->state == 't';
}

static size_t count_stopped(const struct inspected_lock *lock)
{
    size_t count = 0;
    for (size_t i = 0; i < lock->holder_count; i++)
        count += is_stopped(lock->holders[i].process);
    return count;
}

/* --- in a cycle --- */

static bool in_cycle(const struct facts *facts)
{
    return facts->lock->cycle >= 0;
}

static const char *cycle_reason(const struct facts *facts)
{
    const struct inspected_cycle *cycle = &facts->inspection->cycles[facts->lock->cycle];
    const char *text = "processes wait for one another in a ring:";
    for (size_t i = 0; i < cycle->count; i++)
        text = arena_format(facts->arena, "%s %d %s", text, cycle->waits[i].process->pid,
                            i + 1 < cycle->count ? "behind" : "behind the first");
    return text;
}

/* --- a lock file that is no longer the one at the path --- */

static bool is_split(const struct facts *facts)
{
    return facts->lock->path_state == PATH_DELETED &&
           (facts->lock->held || facts->lock->waiter_count > 0);
}

static const char *split_reason(const struct facts *facts)
{
    const struct inspected_lock *lock = facts->lock;
    if (lock->holder_count == 0)
        return "processes wait at a lock file that was deleted or replaced";
    return arena_format(facts->arena,
                        "%s holds a lock file that was deleted or replaced: whoever opens the path "
                        "now is not kept out",
                        who(facts, lock->holders[0].process));
}

/* --- the taker is gone --- */

static const struct inspected_holder *find_orphan(const struct inspected_lock *lock)
{
    for (size_t i = 0; i < lock->holder_count; i++)
        if (lock->holders[i].taker_gone)
            return &lock->holders[i];
    return NULL;
}

static bool is_orphaned(const struct facts *facts)
{
    return find_orphan(facts->lock) != NULL;
}

static const char *orphan_reason(const struct facts *facts)
{
    const struct inspected_holder *holder = find_orphan(facts->lock);
    const char *more = is_stopped(holder->process) ? ", and is stopped" : "";
    return arena_format(facts->arena,
                        "process %d took it and is gone; %s keeps it by an inherited "
                        "descriptor%s",
                        holder->taker, who(facts, holder->process), more);
}

/* --- stopped --- */

static bool all_stopped(const struct facts *facts)
{
    return facts->lock->holder_count > 0 && count_stopped(facts->lock) == facts->lock->holder_count;
}

static const char *stopped_reason(const struct facts *facts)
{
    const struct inspected_lock *lock = facts->lock;
    const struct inspected_process *process = lock->holders[0].process;
    const char *how =
        process->state == 't' ? "by a debugger" : "by a signal (SIGCONT continues it)";
    if (lock->holder_count > 1)
        return arena_format(facts->arena, "all %zu holders are stopped, process %d among them",
                            lock->holder_count, process->pid);
    return arena_format(facts->arena, "%s is stopped %s", who(facts, process), how);
}

/* --- stuck --- */

static const struct inspected_holder *find_in_kernel(const struct inspected_lock *lock)
{
    for (size_t i = 0; i < lock->holder_count; i++)
        if (lock->holders[i].process->sleeps_uninterruptibly)
            return &lock->holders[i];
    return NULL;
}

static bool sleeps_in_kernel(const struct facts *facts)
{
    return find_in_kernel(facts->lock) != NULL;
}

static const char *kernel_reason(const struct facts *facts)
{
    return arena_format(facts->arena, "%s is in uninterruptible sleep (state D)",
                        who(facts, find_in_kernel(facts->lock)->process));
}

static const struct inspected_holder *find_idle(const struct facts *facts)
{
    const struct inspected_lock *lock = facts->lock;
    for (size_t i = 0; i < lock->holder_count; i++) {
        const struct inspected_holder *holder = &lock->holders[i];
        if (holder->held > facts->stuck_after && holder->untouched > facts->stuck_after)
            return holder;
    }
    return NULL;
}

/* Of several holders one that is busy is no reason to free the others' lock. */
static bool is_idle(const struct facts *facts)
{
    const struct inspected_lock *lock = facts->lock;
    for (size_t i = 0; i < lock->holder_count; i++)
        if (lock->holders[i].untouched >= 0 && lock->holders[i].untouched <= facts->stuck_after)
            return false;
    return lock->waiter_count > 0 && find_idle(facts) != NULL;
}

static const char *idle_reason(const struct facts *facts)
{
    const struct inspected_holder *holder = find_idle(facts);
    bool long_scope = holder->scope == SCOPE_COMMAND || holder->scope == SCOPE_PROCESS;
    return arena_format(
        facts->arena,
        "%s has held it for %s without a touch of the table for %s, and others wait%s",
        who(facts, holder->process), duration(facts, holder->held),
        duration(facts, holder->untouched),
        long_scope ? "; if it is a server, scope session may be meant" : "");
}

/* --- not held --- */

static bool is_crashed(const struct facts *facts)
{
    return !facts->lock->held && facts->lock->crashed;
}

static const char *crashed_reason(const struct facts *facts)
{
    (void)facts;
    return "it is free, but the last holder died while it changed the table, which may be "
           "half-written";
}

static bool is_free(const struct facts *facts)
{
    return !facts->lock->held;
}

static const char *free_reason(const struct facts *facts)
{
    if (facts->lock->path_state == PATH_MISSING)
        return "the lock file does not exist (yet)";
    if (facts->inspection->inside_namespace)
        return "nobody who is visible from here holds it";
    return "nobody holds it";
}

/* --- held, and all is well --- */

static bool always(const struct facts *facts)
{
    (void)facts;
    return true;
}

static const char *healthy_reason(const struct facts *facts)
{
    const struct inspected_lock *lock = facts->lock;
    if (lock->holder_count == 0 || lock->holders[0].process->pid == 0)
        return "held by a process that is not visible from here: whether it is well can't be told";
    size_t stopped = count_stopped(lock);
    if (stopped > 0)
        return arena_format(facts->arena, "held by %zu processes, of which %zu %s stopped",
                            lock->holder_count, stopped, stopped == 1 ? "is" : "are");
    if (lock->holder_count > 1)
        return arena_format(facts->arena, "held by %zu living processes", lock->holder_count);
    if (facts->usual->holder != lock->holders[0].process)
        *facts->usual = (struct usual){lock->holders[0].process,
                                       arena_format(facts->arena, "held by %s, which lives",
                                                    who(facts, lock->holders[0].process))};
    return facts->usual->reason;
}

static const struct rule RULES[] = {
    {VERDICT_CRASHED, is_crashed, crashed_reason},
    {VERDICT_SPLIT, is_split, split_reason},
    {VERDICT_FREE, is_free, free_reason},
    {VERDICT_DEADLOCK, in_cycle, cycle_reason},
    {VERDICT_ORPHANED, is_orphaned, orphan_reason},
    {VERDICT_STOPPED, all_stopped, stopped_reason},
    {VERDICT_STUCK, sleeps_in_kernel, kernel_reason},
    {VERDICT_STUCK, is_idle, idle_reason},
    {VERDICT_HEALTHY, always, healthy_reason},
};

void verdict_judge(struct inspection *inspection, int64_t stuck_after, struct arena *arena)
{
    struct usual usual = {.holder = NULL};
    for (size_t i = 0; i < inspection->count; i++) {
        struct inspected_lock *lock = &inspection->locks[i];
        struct facts facts = {lock, inspection, stuck_after, arena, &usual};
        const struct rule *rule = RULES;
        while (!rule->applies(&facts))
            rule++;
        lock->verdict = rule->verdict;
        lock->reason = rule->reason(&facts);
    }
}

static const struct {
    const char *name;
    bool stale;
} WORDS[VERDICTS] = {
    [VERDICT_FREE] = {"free", false},      [VERDICT_HEALTHY] = {"healthy", false},
    [VERDICT_CRASHED] = {"crashed", true}, [VERDICT_ORPHANED] = {"orphaned", true},
    [VERDICT_STOPPED] = {"stopped", true}, [VERDICT_STUCK] = {"stuck", true},
    [VERDICT_SPLIT] = {"split", true},     [VERDICT_DEADLOCK] = {"deadlock", true},
};

const char *verdict_name(enum verdict verdict)
{
    return WORDS[verdict].name;
}

bool verdict_is_stale(enum verdict verdict)
{
    return WORDS[verdict].stale;
}
