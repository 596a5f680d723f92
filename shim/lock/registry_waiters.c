/*
 * The queue of waiters in the registry: who came first, and waking them. A hint in all it says:
 * whoever waits looks at the lock itself, from time to time, whatever stands here.
 */
#include "shim/lock/registry.h"

#include "shim/lock/kernel.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

/* Read this many at a time: a page. */
enum { CHUNK = 64 };

static size_t waiter_offset(int slot)
{
    return REGISTRY_OFFSET(waiters) + (size_t)slot * sizeof(struct registry_waiter);
}

static bool read_chunk(struct registry *registry, int first, struct registry_waiter chunk[CHUNK])
{
    return registry_read(registry, waiter_offset(first), chunk, CHUNK * sizeof chunk[0]);
}

static bool is_same(const struct registry_waiter *one, const struct registry_waiter *other)
{
    return one->process == other->process && one->number == other->number &&
           one->start_time == other->start_time && one->since == other->since;
}

static bool is_gone(const struct registry *registry, const struct registry_waiter *waiter)
{
    return registry_is_gone(registry, waiter->process, waiter->start_time, waiter->pid_namespace,
                            waiter->boot);
}

/* The counts are hints: in a registry that was wiped meanwhile they must not run below none. */
static void count_down(struct registry *registry, size_t offset)
{
    uint32_t count;
    if (registry_read(registry, offset, &count, sizeof count) && count > 0)
        registry_add(registry, offset, -1);
}

static void clear(struct registry *registry, int slot)
{
    static const struct registry_waiter none;
    if (registry_write(registry, waiter_offset(slot), &none, sizeof none))
        registry_add(registry, REGISTRY_OFFSET(head.waiting), -1);
}

static uint32_t count_waiting(struct registry *registry)
{
    uint32_t waiting;
    return registry_read(registry, REGISTRY_OFFSET(head.waiting), &waiting, sizeof waiting)
               ? waiting
               : 0;
}

/*
 * All who wait, slot by slot. It ends early where the head's count says that no more are to come:
 * those who queue up take the first slots as long as there are few.
 */
struct scan {
    struct registry *registry;
    uint32_t waiting; /* as the head says; 0: not known */
    uint32_t seen;
    int next;
    struct registry_waiter chunk[CHUNK];
};

static void begin_scan(struct scan *scan, struct registry *registry, uint32_t waiting)
{
    scan->registry = registry;
    scan->waiting = waiting <= REGISTRY_WAITERS ? waiting : 0;
    scan->seen = 0;
    scan->next = 0;
}

/* The next one, in the slot scan->next - 1; NULL: that was all. */
static const struct registry_waiter *scan_on(struct scan *scan)
{
    while (scan->next < REGISTRY_WAITERS) {
        int at = scan->next % CHUNK;
        if (at == 0 && ((scan->waiting != 0 && scan->seen >= scan->waiting) ||
                        !read_chunk(scan->registry, scan->next, scan->chunk)))
            return NULL;
        scan->next++;
        if (scan->chunk[at].process != 0) {
            scan->seen++;
            return &scan->chunk[at];
        }
    }
    return NULL;
}

/*
 * Two who take one slot at once are counted twice, one that is wiped out not at all: step by step
 * the count is brought back to what there is.
 */
static void correct_count(const struct scan *scan)
{
    if (scan->waiting == 0) /* nonsense, or not known */
        (void)registry_write(scan->registry, REGISTRY_OFFSET(head.waiting), &scan->seen,
                             sizeof scan->seen);
    else if (scan->seen > scan->waiting)
        registry_add(scan->registry, REGISTRY_OFFSET(head.waiting),
                     (int)(scan->seen - scan->waiting));
    else if (scan->seen < scan->waiting && scan->next == REGISTRY_WAITERS)
        count_down(scan->registry, REGISTRY_OFFSET(head.waiting));
}

bool registry_wait_check(struct registry *registry, int slot, const struct registry_waiter *waiter,
                         uint32_t *wake)
{
    struct registry_waiter found;
    if (slot < 0 || !registry_read(registry, waiter_offset(slot), &found, sizeof found))
        return false;
    *wake = found.wake;
    return is_same(&found, waiter);
}

static bool take(struct registry *registry, int slot, const struct registry_waiter *waiter)
{
    uint32_t wake;
    return registry_write(registry, waiter_offset(slot), waiter, sizeof *waiter) &&
           registry_wait_check(registry, slot, waiter, &wake);
}

/* Among twice as many as are taken, so that those who come at once rarely meet. */
static int first_choice(uint32_t waiting, const struct registry_waiter *waiter)
{
    uint32_t half = waiting < REGISTRY_WAITERS / 2 ? waiting : REGISTRY_WAITERS / 2;
    uint32_t among = (2 * half / CHUNK + 1) * CHUNK;
    return (int)((waiter->since / 1000 + waiter->number) % among) % REGISTRY_WAITERS;
}

int registry_wait_begin(struct registry *registry, const struct registry_waiter *waiter)
{
    struct registry_waiter chunk[CHUNK];
    int start = first_choice(count_waiting(registry), waiter);
    /* The second time round the places of those who died waiting are taken. */
    for (int tried = 0; tried < 2 * REGISTRY_WAITERS; tried++) {
        int slot = (start + tried) % REGISTRY_WAITERS;
        if ((tried == 0 || slot % CHUNK == 0) && !read_chunk(registry, slot - slot % CHUNK, chunk))
            return -1;
        const struct registry_waiter *found = &chunk[slot % CHUNK];
        if (found->process != 0) {
            if (tried < REGISTRY_WAITERS || !is_gone(registry, found))
                continue;
            clear(registry, slot);
        }
        if (take(registry, slot, waiter)) {
            registry_add(registry, REGISTRY_OFFSET(head.waiting), 1);
            return slot;
        }
    }
    registry_count(registry, COUNT_OVERFLOWN);
    registry_add(registry, REGISTRY_OFFSET(head.unlisted), 1);
    return -1;
}

void registry_wait_end(struct registry *registry, int slot, const struct registry_waiter *waiter)
{
    uint32_t wake;
    if (slot < 0)
        count_down(registry, REGISTRY_OFFSET(head.unlisted));
    else if (registry_wait_check(registry, slot, waiter, &wake))
        clear(registry, slot);
}

void registry_wait_sleep(struct registry *registry, int slot, uint32_t wake, int64_t nanoseconds)
{
    _Atomic uint32_t *word = NULL;
    if (slot >= 0)
        word =
            registry_word(registry, waiter_offset(slot) + offsetof(struct registry_waiter, wake));
    long result = word == NULL ? -EFAULT : kernel_futex_wait(word, wake, nanoseconds);
    if (result == -EFAULT) /* it was cut off, or there is none */
        (void)kernel_poll(NULL, 0, nanoseconds);
}

static bool came_before(const struct registry_waiter *one, int slot,
                        const struct registry_waiter *other, int other_slot)
{
    return one->since < other->since || (one->since == other->since && slot < other_slot);
}

int registry_wait_rank(struct registry *registry, int slot, const struct registry_waiter *waiter,
                       uint32_t waiting)
{
    struct scan scan;
    int before = 0;
    begin_scan(&scan, registry, waiting);
    for (const struct registry_waiter *other; (other = scan_on(&scan)) != NULL;) {
        int other_slot = scan.next - 1;
        if (other_slot == slot || !came_before(other, other_slot, waiter, slot))
            continue;
        /* Only the few in front matter, so only they are looked at closely. */
        if (before < REGISTRY_WOKEN + 1 && is_gone(registry, other))
            clear(registry, other_slot);
        else
            before++;
    }
    return before;
}

struct first {
    int count;
    struct registry_waiter waiters[REGISTRY_WOKEN];
    int slots[REGISTRY_WOKEN];
};

/* Keeps those who came first, in order. */
static void consider(struct first *first, int slot, const struct registry_waiter *waiter)
{
    int at = first->count < REGISTRY_WOKEN ? first->count++ : REGISTRY_WOKEN;
    for (; at > 0 && came_before(waiter, slot, &first->waiters[at - 1], first->slots[at - 1]);
         at--) {
        if (at < REGISTRY_WOKEN) {
            first->waiters[at] = first->waiters[at - 1];
            first->slots[at] = first->slots[at - 1];
        }
    }
    if (at < REGISTRY_WOKEN) {
        first->waiters[at] = *waiter;
        first->slots[at] = slot;
    }
}

/* True when somebody was asleep there. */
static bool wake(struct registry *registry, int slot)
{
    _Atomic uint32_t *word =
        registry_word(registry, waiter_offset(slot) + offsetof(struct registry_waiter, wake));
    return word != NULL && kernel_futex_add_and_wake(word, 1, 1) > 0;
}

static void find_first(struct registry *registry, uint32_t waiting, struct scan *scan,
                       struct first *first)
{
    first->count = 0;
    begin_scan(scan, registry, waiting);
    for (const struct registry_waiter *waiter; (waiter = scan_on(scan)) != NULL;)
        consider(first, scan->next - 1, waiter);
}

/*
 * Told without a look into /proc, which is dear, but for every so many wakes that were not heard:
 * the pid may be another's by now.
 */
static bool is_found_gone(const struct registry *registry, const struct registry_waiter *waiter)
{
    enum { LOOK_EACH = 64 };
    if (waiter->wake % LOOK_EACH == LOOK_EACH - 1 || waiter->boot != registry->boot)
        return is_gone(registry, waiter);
    return waiter->pid_namespace == registry->pid_namespace &&
           kernel_kill(waiter->process, 0) == -ESRCH;
}

/* One who was killed waiting would be looked after at every release. */
static void clear_the_dead(struct registry *registry, const struct first *first, struct scan *scan)
{
    for (int i = 0; i < first->count; i++) {
        if (!is_found_gone(registry, &first->waiters[i]))
            continue;
        clear(registry, first->slots[i]);
        scan->seen--;
        scan->waiting -= scan->waiting != 0;
    }
}

void registry_wake(struct registry *registry, uint32_t waiting)
{
    struct scan scan;
    struct first first;
    int asleep = 0;
    find_first(registry, waiting, &scan, &first);
    while (asleep < first.count && !wake(registry, first.slots[asleep]))
        asleep++;
    if (asleep == first.count)
        clear_the_dead(registry, &first, &scan);
    /* Nobody there: a count that is wrong would be looked after at every release. */
    static const uint32_t none;
    if (scan.seen == 0)
        (void)registry_write(registry, REGISTRY_OFFSET(head.waiting), &none, sizeof none);
    else
        correct_count(&scan);
}

void registry_wake_watcher(struct registry *registry, uint32_t waiting)
{
    struct scan scan;
    struct first first;
    find_first(registry, waiting, &scan, &first);
    if (first.count == REGISTRY_WOKEN)
        (void)wake(registry, first.slots[REGISTRY_WOKEN - 1]);
}

void registry_wake_companions(struct registry *registry, pid_t process, pid_t supervisor)
{
    struct scan scan;
    begin_scan(&scan, registry, count_waiting(registry));
    for (const struct registry_waiter *waiter; (waiter = scan_on(&scan)) != NULL;) {
        if (waiter->process == process || (supervisor != 0 && waiter->supervisor == supervisor))
            (void)wake(registry, scan.next - 1);
    }
}
