/*
 * Rings of processes that wait for one another. An owner (a process, or a command as a whole) that
 * holds one lock waits for another if it sleeps at it itself, or is blocked until a descendant has
 * it: flock(1) waits for its command. No ring is told that was not seen: a process of which other
 * threads go on may let go.
 */
#include "lockctl/inspect/look.h"

#include "shim/lock/process.h"
#include "shim/settings.h"

#include <stdlib.h>
#include <sys/syscall.h>

enum { DEPTH_MAXIMUM = 256, ANCESTORS_MAXIMUM = 32 };

/* An owner waits for a lock. */
struct edge {
    pid_t owner;
    size_t lock; /* that it waits for */
    const struct inspected_waiter *waiter;
    pid_t through; /* the descendant that waits, or 0 */
};

/* An owner holds a lock. */
struct holding {
    pid_t owner;
    size_t lock;
};

struct search {
    struct look *look;
    struct inspection *inspection;
    struct edge *edges;
    size_t edge_count;
    struct holding *holdings;
    size_t holding_count;
    bool *finished; /* of each lock: no new cycle leads through it */
    bool *on_way;
    const struct edge *way[DEPTH_MAXIMUM];
    size_t locks_on_way[DEPTH_MAXIMUM];
    size_t depth;
};

static pid_t owner_of(const struct inspected_process *process, pid_t supervisor)
{
    return supervisor > 0 ? supervisor : process->pid;
}

static const struct process *behind(const struct inspected_process *told)
{
    return (const struct process *)told;
}

static int compare_edges(const void *left, const void *right)
{
    pid_t one = ((const struct edge *)left)->owner;
    pid_t other = ((const struct edge *)right)->owner;
    return (one > other) - (one < other);
}

static int compare_holdings(const void *left, const void *right)
{
    pid_t one = ((const struct holding *)left)->owner;
    pid_t other = ((const struct holding *)right)->owner;
    return (one > other) - (one < other);
}

static void add_edge(struct search *search, const struct edge *edge)
{
    search->edges =
        arena_grow(search->look->arena, search->edges, search->edge_count, sizeof *edge);
    search->edges[search->edge_count++] = *edge;
}

static bool holds_anything(const struct search *search, pid_t owner)
{
    struct holding wanted = {.owner = owner};
    return search->holding_count > 0 && bsearch(&wanted, search->holdings, search->holding_count,
                                                sizeof wanted, compare_holdings) != NULL;
}

static bool has_edge(const struct search *search, pid_t owner, size_t lock)
{
    for (size_t i = search->edge_count; i > 0; i--)
        if (search->edges[i - 1].owner == owner && search->edges[i - 1].lock == lock)
            return true;
    return false;
}

/*
 * Does it do nothing but wait for a child? Which child is not asked. Stricter than the shim's
 * relatives.h, for which a process that waits for the signal of a child's end does so, too.
 */
static bool waits_for_child(const struct process *process)
{
    char path[64];
    char text[256];
    if (process->told.gone || process->threads > 1 ||
        process_read_file(process_path(path, process->told.pid, "syscall", -1), text,
                          sizeof text) <= 0)
        return false;
    long call = strtol(text, NULL, 10);
    return text[0] >= '0' && text[0] <= '9' && (call == SYS_wait4 || call == SYS_waitid);
}

/* Its ancestors that hold something, as far up as each waits for a child. */
static void add_ancestors(struct search *search, size_t lock, const struct inspected_waiter *waiter)
{
    const struct process *process = behind(waiter->process);
    for (int i = 0; i < ANCESTORS_MAXIMUM && process->parent > 1; i++) {
        process = processes_get(&search->look->processes, process->parent);
        if (!waits_for_child(process))
            return;
        pid_t pid = process->told.pid;
        if (holds_anything(search, pid) && !has_edge(search, pid, lock))
            add_edge(search, &(struct edge){pid, lock, waiter, waiter->process->pid});
    }
}

static void collect_holdings(struct search *search)
{
    for (size_t i = 0; i < search->inspection->count; i++) {
        const struct inspected_lock *lock = &search->inspection->locks[i];
        for (size_t j = 0; j < lock->holder_count; j++) {
            const struct inspected_holder *holder = &lock->holders[j];
            if (holder->process->pid == 0)
                continue;
            search->holdings = arena_grow(search->look->arena, search->holdings,
                                          search->holding_count, sizeof *search->holdings);
            search->holdings[search->holding_count++] =
                (struct holding){owner_of(holder->process, holder->supervisor), i};
        }
    }
    if (search->holding_count > 0)
        qsort(search->holdings, search->holding_count, sizeof *search->holdings, compare_holdings);
}

static void collect_edges(struct search *search)
{
    for (size_t i = 0; i < search->inspection->count; i++) {
        const struct inspected_lock *lock = &search->inspection->locks[i];
        for (size_t j = 0; j < lock->waiter_count; j++) {
            const struct inspected_waiter *waiter = &lock->waiters[j];
            if (waiter->process->pid == 0)
                continue;
            pid_t owner = owner_of(waiter->process, waiter->supervisor);
            if (holds_anything(search, owner))
                add_edge(search, &(struct edge){owner, i, waiter, 0});
            add_ancestors(search, i, waiter);
        }
    }
    if (search->edge_count > 0)
        qsort(search->edges, search->edge_count, sizeof *search->edges, compare_edges);
}

/* --- does the holder stay blocked, whatever its other threads do? --- */

static size_t waiting_threads(const struct search *search, pid_t owner)
{
    size_t count = 0;
    for (size_t i = 0; i < search->edge_count; i++)
        count += search->edges[i].owner == owner;
    return count;
}

static bool stays_blocked(const struct search *search, const struct inspected_lock *holding_lock,
                          const struct inspected_holder *holder, const struct edge *edge)
{
    /* A guarded owner never waits for itself; what looks so is a moment in between. */
    if ((holder->guarded || edge->waiter->guarded) &&
        &search->inspection->locks[edge->lock] == holding_lock)
        return false;
    if (holder->guarded && holder->supervisor > 0)
        return true; /* a command keeps it to its end */
    if (holder->guarded)
        return holder->scope == SCOPE_PROCESS || edge->through != 0 ||
               (holder->thread != 0 && holder->thread == edge->waiter->thread) ||
               behind(holder->process)->threads <= 1;
    return behind(holder->process)->threads <= waiting_threads(search, edge->owner);
}

/* --- the search --- */

static void note_cycle(struct search *search, size_t from)
{
    struct inspection *inspection = search->inspection;
    inspection->cycles = arena_grow(search->look->arena, inspection->cycles,
                                    inspection->cycle_count, sizeof *inspection->cycles);
    struct inspected_cycle *cycle = &inspection->cycles[inspection->cycle_count];
    cycle->count = search->depth - from;
    cycle->waits = arena_take(search->look->arena, cycle->count * sizeof *cycle->waits);
    for (size_t i = 0; i < cycle->count; i++) {
        const struct edge *edge = search->way[from + i];
        struct inspected_lock *lock = &inspection->locks[edge->lock];
        const struct inspected_process *process = edge->waiter->process;
        if (edge->through != 0)
            process = &processes_get(&search->look->processes, edge->owner)->told;
        cycle->waits[i] = (struct inspected_wait){process, lock, edge->through};
        lock->cycle = (int)inspection->cycle_count;
    }
    inspection->cycle_count++;
}

static void follow(struct search *search, size_t lock);

static void follow_holder(struct search *search, const struct inspected_holder *holder)
{
    pid_t owner = owner_of(holder->process, holder->supervisor);
    for (size_t i = 0; i < search->edge_count; i++) {
        const struct edge *edge = &search->edges[i];
        const struct inspected_lock *held =
            &search->inspection->locks[search->locks_on_way[search->depth - 1]];
        if (edge->owner != owner || !stays_blocked(search, held, holder, edge))
            continue;
        search->way[search->depth - 1] = edge;
        if (!search->on_way[edge->lock]) {
            follow(search, edge->lock);
            continue;
        }
        size_t from = search->depth - 1;
        while (from > 0 && search->locks_on_way[from] != edge->lock)
            from--;
        if (search->inspection->locks[edge->lock].cycle < 0)
            note_cycle(search, from);
    }
}

/* Whatever the holders of this lock wait for, in the end. */
static void follow(struct search *search, size_t lock)
{
    if (search->finished[lock] || search->depth >= DEPTH_MAXIMUM)
        return;
    const struct inspected_lock *told = &search->inspection->locks[lock];
    search->on_way[lock] = true;
    search->locks_on_way[search->depth++] = lock;
    for (size_t i = 0; i < told->holder_count; i++)
        if (told->holders[i].process->pid > 0)
            follow_holder(search, &told->holders[i]);
    search->depth--;
    search->on_way[lock] = false;
    search->finished[lock] = true;
}

void cycles_find(struct look *look, struct inspection *inspection)
{
    struct search search = {.look = look, .inspection = inspection};
    collect_holdings(&search);
    collect_edges(&search);
    if (search.edge_count == 0)
        return;
    search.finished = arena_take(look->arena, inspection->count);
    search.on_way = arena_take(look->arena, inspection->count);
    for (size_t i = 0; i < inspection->count; i++)
        if (inspection->locks[i].waiter_count > 0)
            follow(&search, i);
}
