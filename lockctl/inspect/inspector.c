/*
 * A look: the kernel's list once, the processes that it names once each, the registries. In a live
 * view the kernel's list is kept for a second.
 */
#include "lockctl/inspect/look.h"

#include "lockctl/inspect/verdict.h"
#include "lockctl/lockctl.h"
#include "shim/lock/kernel.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000000u
#define SMALL_LIST 65536 /* bytes */
#define LARGE_LIST 1048576
#define READ_AGAIN 8
#define READ_ONE_PIECE_AGAIN 3
#define WATCH_TIME 250000000 /* ns in D without a pause: it is stuck in the kernel */
#define WATCH_RING 20000000  /* ns */
#define ROUNDS_MAXIMUM 16
#define INITIAL_PID_NAMESPACE 0xEFFFFFFCu

/* A process that was in D at the last look of a live view. */
struct watched {
    pid_t pid;
    uint64_t start_time;
    uint64_t switches;
    uint64_t since;
};

/* A ring, told of only when a later reading of the list has it as well. */
struct seen_ring {
    uint64_t number;
    uint64_t since; /* which reading it was first seen in */
};

struct inspector {
    struct inspect_request request;
    struct arena arena;
    struct arena view_arena;
    struct kernel_view view;
    uint64_t viewed_at; /* 0: never */
    struct inspection picture;
    struct watched *watched;
    size_t watched_count;
    struct arena again_arena;
    struct kernel_view again; /* another reading; of a live view, the one before */
    bool read_before;         /* there was one before */
    bool looked;              /* at least once */
    struct seen_ring *rings;  /* in a live view: at the last look */
    size_t ring_count;
};

struct inspector *inspector_open(const struct inspect_request *request)
{
    struct inspector *inspector = calloc(1, sizeof *inspector);
    if (inspector == NULL)
        err(STATUS_FAILED, NULL);
    inspector->request = *request;
    return inspector;
}

void inspector_close(struct inspector *inspector)
{
    arena_reset(&inspector->arena);
    arena_reset(&inspector->view_arena);
    arena_reset(&inspector->again_arena);
    free(inspector->watched);
    free(inspector->rings);
    free(inspector);
}

/* --- the kernel's list --- */

/* Is one of the named files not in the list? */
static bool misses_named(const struct inspector *inspector)
{
    const struct targets *targets = inspector->request.targets;
    for (size_t i = 0; targets != NULL && i < targets->count; i++) {
        struct file_identity identity;
        size_t first;
        if (file_identity_of_path(targets->items[i].lock_path, &identity) == 0 &&
            kernel_view_find(&inspector->view, identity.device, identity.inode, &first) == 0)
            return true;
    }
    return false;
}

/*
 * A list in several pieces leaves lines out when locks before them are let go in between. What is
 * said not to be locked is asked for again, a few times; of everything, where that is cheap, until
 * two readings in turn say the same. A record that is longer than a piece (a lock with many
 * waiters) can be left out of what then comes in one: care is taken where there may be such.
 */
static int read_again(struct inspector *inspector)
{
    size_t bytes = inspector->view.bytes;
    for (int i = 0; i < READ_AGAIN; i++) {
        struct kernel_view earlier = inspector->view;
        bool several = inspector->view.pieces > 1;
        bool cheap =
            several && inspector->request.everything && bytes < SMALL_LIST && !inspector->view.same;
        if (!several && i >= READ_ONE_PIECE_AGAIN)
            return 0;
        bool missing = misses_named(inspector);
        if ((!cheap && !missing) || (i > 0 && bytes >= LARGE_LIST))
            return 0;
        int result = kernel_view_read_again(&inspector->view, &inspector->view_arena,
                                            missing || inspector->view.gap);
        if (result < 0)
            return result;
        bytes += inspector->view.bytes;
        if (!inspector->view.same)
            kernel_view_merge(&inspector->view, &earlier, &inspector->view_arena);
    }
    return 0;
}

static int read_view(struct inspector *inspector)
{
    uint64_t now = registry_now();
    if (inspector->request.live && inspector->viewed_at != 0 && now - inspector->viewed_at < SECOND)
        return 0;
    arena_reset(&inspector->again_arena);
    inspector->again_arena = inspector->view_arena;
    inspector->again = inspector->view;
    inspector->view_arena = (struct arena){.blocks = NULL};
    inspector->view = (struct kernel_view){.items = NULL};
    inspector->read_before = inspector->viewed_at != 0;
    inspector->viewed_at = now;
    int result = kernel_view_read(&inspector->view, &inspector->view_arena);
    return result == 0 && !inspector->request.live ? read_again(inspector) : result;
}

/* A live view compares with what it read before; a single look, as the first one, reads once more.
 */
static void read_to_confirm(struct inspector *inspector, struct look *look)
{
    if (!inspector->request.live || !inspector->read_before) {
        inspector->read_before = true;
        arena_reset(&inspector->again_arena);
        inspector->again = (struct kernel_view){.items = NULL};
        (void)kernel_view_read(&inspector->again, &inspector->again_arena);
    }
    look->again = &inspector->again;
}

static void look_into_processes(struct inspector *inspector, struct look *look)
{
    candidates_look_near(look);
    bool missing = candidates_miss_holder(look);
    if (missing) {
        read_to_confirm(inspector, look);
        missing = candidates_miss_holder(look);
    }
    candidates_look_everywhere(look, missing || look->inside_namespace);
}

/* --- joining --- */

/* Where the lock files lie, and what the registries beside them say. */
static void find_paths(struct look *look)
{
    for (size_t i = 0; i < look->count; i++) {
        struct candidate *candidate = &look->candidates[i];
        if (candidate->told.label != NULL)
            continue;
        paths_find(look, candidate);
        if (candidate->words == NULL && candidate->reachable_path != NULL &&
            !candidate->has_no_registry)
            candidate->words = registries_read(look, candidate->reachable_path);
    }
}

/* Those that were asked for, then round by round what may be in a ring with them. */
static void look_at_candidates(struct inspector *inspector, struct look *look)
{
    int rounds = 0;
    do {
        look_into_processes(inspector, look);
        find_paths(look);
    } while (++rounds < ROUNDS_MAXIMUM && candidates_add_beside(look));
}

static void join_all(struct look *look)
{
    for (size_t i = 0; i < look->count; i++)
        join_lock(look, &look->candidates[i]);
}

static int compare_candidates(const void *left, const void *right)
{
    const struct candidate *one = left;
    const struct candidate *other = right;
    if (one->beside != other->beside)
        return one->beside ? 1 : -1;
    if (one->told.named != other->told.named)
        return one->told.named ? -1 : 1;
    if (one->told.named && one->order != other->order)
        return one->order < other->order ? -1 : 1;
    int order = strcmp(one->told.label, other->told.label);
    return order != 0 ? order : (one->inode > other->inode) - (one->inode < other->inode);
}

/*
 * What nobody holds and nobody waits for is told of only if it was named. Those beside come last;
 * returns how many were asked for.
 */
static size_t take_locks(struct look *look, struct inspection *picture)
{
    size_t asked = 0;
    if (look->count > 0)
        qsort(look->candidates, look->count, sizeof *look->candidates, compare_candidates);
    picture->locks = arena_take(look->arena, (look->count + 1) * sizeof *picture->locks);
    for (size_t i = 0; i < look->count; i++) {
        const struct inspected_lock *told = &look->candidates[i].told;
        bool only_if_held = !told->named || look->candidates[i].if_held;
        if (only_if_held && !told->held && told->waiter_count == 0)
            continue;
        picture->locks[picture->count++] = *told;
        asked += !look->candidates[i].beside;
    }
    return asked;
}

static void count_hidden(const struct look *look, struct inspection *picture)
{
    for (size_t i = 0; i < picture->count; i++)
        for (size_t j = 0; j < picture->locks[i].holder_count; j++) {
            const struct inspected_process *process = picture->locks[i].holders[j].process;
            picture->hidden_processes += process->pid == 0 || process->descriptors_hidden;
        }
    picture->inside_namespace = look->inside_namespace;
}

/* --- rings --- */

/* The same for the same ring, wherever it is begun. */
static uint64_t ring_number(const struct inspected_cycle *cycle)
{
    uint64_t number = cycle->count;
    for (size_t i = 0; i < cycle->count; i++) {
        const struct inspected_wait *wait = &cycle->waits[i];
        uint64_t part = (uint64_t)wait->process->pid * 0x9E3779B97F4A7C15u;
        number += (part ^ wait->process->start_time ^ wait->lock->inode) * 0xBF58476D1CE4E5B9u;
    }
    return number;
}

static void drop_ring(struct inspection *picture, size_t ring)
{
    size_t last = --picture->cycle_count;
    for (size_t i = 0; i < picture->count; i++) {
        int *cycle = &picture->locks[i].cycle;
        if (*cycle == (int)ring)
            *cycle = -1;
        else if (*cycle == (int)last)
            *cycle = (int)ring;
    }
    picture->cycles[ring] = picture->cycles[last];
}

/* The locks beside have served: they, and rings of them alone, are not told of. */
static void leave_out_beside(struct inspection *picture, size_t asked)
{
    for (size_t i = picture->cycle_count; i > 0; i--) {
        bool told = false;
        for (size_t j = 0; j < picture->cycles[i - 1].count && !told; j++)
            told = picture->cycles[i - 1].waits[j].lock < picture->locks + asked;
        if (!told)
            drop_ring(picture, i - 1);
    }
    picture->count = asked;
}

/* What is in no ring but those that were seen a moment before as well. */
static void keep_rings(struct inspection *picture, const uint64_t *before, size_t count)
{
    for (size_t i = 0; i < picture->cycle_count; i++) {
        bool seen = false;
        for (size_t j = 0; j < count && !seen; j++)
            seen = before[j] == ring_number(&picture->cycles[i]);
        if (!seen)
            drop_ring(picture, i--);
    }
}

static uint64_t first_seen(const struct inspector *inspector, uint64_t number)
{
    for (size_t i = 0; i < inspector->ring_count; i++)
        if (inspector->rings[i].number == number)
            return inspector->rings[i].since;
    return inspector->viewed_at;
}

static void note_rings(struct inspector *inspector, bool confirmed)
{
    const struct inspection *picture = &inspector->picture;
    struct seen_ring *rings = NULL;
    for (size_t i = 0; i < picture->cycle_count; i++) {
        uint64_t number = ring_number(&picture->cycles[i]);
        rings = grow(rings, i, sizeof *rings);
        rings[i] = (struct seen_ring){number, confirmed ? 0 : first_seen(inspector, number)};
    }
    free(inspector->rings);
    inspector->rings = rings;
    inspector->ring_count = picture->cycle_count;
}

/* A live view does not wait: what it sees for the first time it tells of at the next reading. */
static void keep_rings_of_before(struct inspector *inspector)
{
    struct inspection *picture = &inspector->picture;
    size_t old = 0;
    uint64_t *before = arena_take(&inspector->arena, (picture->cycle_count + 1) * sizeof *before);
    note_rings(inspector, false);
    for (size_t i = 0; i < inspector->ring_count; i++)
        if (inspector->rings[i].since != inspector->viewed_at)
            before[old++] = inspector->rings[i].number;
    keep_rings(picture, before, old);
}

/* --- asleep in the kernel --- */

/* What is behind an inspected process; the inspection hands out its first member. */
static struct process *behind(const struct inspected_process *told)
{
    return (struct process *)(uintptr_t)told;
}

static const struct watched *find_watched(const struct inspector *inspector,
                                          const struct process *process)
{
    for (size_t i = 0; i < inspector->watched_count; i++)
        if (inspector->watched[i].pid == process->told.pid &&
            inspector->watched[i].start_time == process->told.start_time &&
            inspector->watched[i].switches == process->switches)
            return &inspector->watched[i];
    return NULL;
}

/* A live view compares with its earlier looks; a single look waits a little and looks again. */
static void watch_live(struct inspector *inspector, struct process **sleepers, size_t count)
{
    uint64_t now = registry_now();
    struct watched *watched = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct watched *before = find_watched(inspector, sleepers[i]);
        uint64_t since = before != NULL ? before->since : now;
        sleepers[i]->told.sleeps_uninterruptibly = now - since >= WATCH_TIME;
        watched = grow(watched, i, sizeof *watched);
        watched[i] = (struct watched){sleepers[i]->told.pid, sleepers[i]->told.start_time,
                                      sleepers[i]->switches, since};
    }
    free(inspector->watched);
    inspector->watched = watched;
    inspector->watched_count = count;
}

static void watch_sleepers(struct inspector *inspector)
{
    struct process **sleepers = NULL;
    size_t count = 0;
    for (size_t i = 0; i < inspector->picture.count; i++) {
        const struct inspected_lock *lock = &inspector->picture.locks[i];
        for (size_t j = 0; j < lock->holder_count; j++) {
            struct process *process = behind(lock->holders[j].process);
            if (!processes_watch(process, lock->holders[j].thread))
                continue;
            sleepers = arena_grow(&inspector->arena, sleepers, count, sizeof(void *));
            sleepers[count++] = process;
        }
    }
    if (inspector->request.live) {
        watch_live(inspector, sleepers, count);
        return;
    }
    if (count > 0)
        (void)kernel_poll(NULL, 0, WATCH_TIME);
    for (size_t i = 0; i < count; i++)
        processes_confirm(sleepers[i]);
}

/* --- the look --- */

/* PIDs mean something else in a namespace that is not the first one. */
static bool is_inside_namespace(const struct processes *processes)
{
    return processes->namespace != INITIAL_PID_NAMESPACE;
}

static void take_picture(struct inspector *inspector)
{
    const struct inspect_request *request = &inspector->request;
    struct look look = {.arena = &inspector->arena,
                        .request = request,
                        .view = &inspector->view,
                        .now = registry_now()};
    arena_reset(&inspector->arena);
    inspector->picture = (struct inspection){.locks = NULL};
    processes_begin(&look.processes, &inspector->arena);
    look.inside_namespace = is_inside_namespace(&look.processes);
    candidates_collect(&look);
    look_at_candidates(inspector, &look);
    join_all(&look);
    size_t asked = take_locks(&look, &inspector->picture);
    cycles_find(&look, &inspector->picture);
    leave_out_beside(&inspector->picture, asked);
    count_hidden(&look, &inspector->picture);
}

/* False after a complaint. */
static bool look_once(struct inspector *inspector)
{
    int result = read_view(inspector);
    if (result < 0) {
        complain("/proc/locks: %s", strerror(-result));
        return false;
    }
    take_picture(inspector);
    return true;
}

/* A ring put together from two moments would be none; a real one stays. */
static bool look_at_rings_again(struct inspector *inspector)
{
    struct inspection *picture = &inspector->picture;
    size_t count = picture->cycle_count;
    uint64_t *before = calloc(count, sizeof *before);
    if (before == NULL)
        err(STATUS_FAILED, NULL);
    for (size_t i = 0; i < count; i++)
        before[i] = ring_number(&picture->cycles[i]);
    (void)kernel_poll(NULL, 0, WATCH_RING);
    inspector->viewed_at = 0; /* or a live view would not read again */
    bool looked = look_once(inspector);
    if (looked)
        keep_rings(picture, before, count);
    free(before);
    return looked;
}

const struct inspection *inspector_look(struct inspector *inspector)
{
    struct inspection *picture = &inspector->picture;
    if (!look_once(inspector))
        return NULL;
    bool first = !inspector->request.live || !inspector->looked;
    inspector->looked = true;
    if (picture->cycle_count > 0 && first && !look_at_rings_again(inspector))
        return NULL;
    if (first)
        note_rings(inspector, true);
    else
        keep_rings_of_before(inspector);
    watch_sleepers(inspector);
    verdict_judge(picture, inspector->request.stuck_after, &inspector->arena);
    return picture;
}

size_t inspect_blockers(const struct inspected_lock *lock, const struct inspected_waiter *waiter,
                        const struct inspected_holder **blockers)
{
    size_t count = 0;
    for (size_t i = 0; i < lock->holder_count; i++) {
        const struct inspected_holder *holder = &lock->holders[i];
        bool conflict = waiter->mode != REGISTRY_SHARED || holder->mode != REGISTRY_SHARED;
        bool own = holder->process == waiter->process && lock->holder_count > 1;
        if (conflict && !own)
            blockers[count++] = holder;
    }
    return count;
}
