/*
 * Waiting for a lock. Nobody sleeps inside flock: a waiter must be able to give up at its time, to
 * see that the holder waits for it, and to see a cycle. It must never spin.
 *
 * Waiters queue up in the registry. The first few keep watch: on a word in their slot that a holder
 * bumps when it lets go (futex), or on the holder's process where only its end frees the lock
 * (pidfd). The others sleep until they have moved up, so that a release wakes one, not all.
 * Whatever goes wrong with the registry, every waiter tries again by itself: the first every 4 ms;
 * those right behind it every 20 ms; the next ones, as those may all be stopped, five times a
 * second; the rest once.
 */
#include "shim/lock/command_member.h"
#include "shim/lock/deadlock.h"
#include "shim/lock/holder_watch.h"
#include "shim/lock/kernel.h"
#include "shim/lock/kernel_locks.h"
#include "shim/lock/lock.h"
#include "shim/lock/own.h"
#include "shim/lock/process.h"
#include "shim/lock/relatives.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#define MILLISECOND 1000000ll
#define SECOND 1000000000ll
#define WATCHERS REGISTRY_WOKEN
#define TICK_IN_FRONT (20 * MILLISECOND)
#define TICK_FIRST (4 * MILLISECOND)
#define NEAR 16
#define TICK_NEAR (200 * MILLISECOND)
#define TICK_BEHIND (1000 * MILLISECOND)
#define FIRST_LOOK (2 * MILLISECOND)
#define FIRST_LOOK_AGAIN (25 * MILLISECOND)
#define LOOK_AGAIN_AT_MOST (1000 * MILLISECOND)
#define LOOKS_SPARED 8
#define LOOK_SELDOM 5 /* far behind in the queue: that many times less often */
#define PATIENCE (100 * MILLISECOND)
#define LONG_WAIT (10 * SECOND)

struct wait {
    struct lock *lock;
    uint64_t began;
    int64_t timeout;
    int64_t look_interval;
    uint64_t next_look;          /* at the holder's and our own relations */
    int rank;                    /* in the queue, when it was last asked for */
    struct registry_waiter self; /* as it stands in the queue */
    int slot;
    bool looked;
    bool told;
    bool slept;
    bool holds_another; /* lock: it may be part of a cycle */
    bool behind_joined; /* the holder waits for us, but another one has joined it already */
    struct {
        bool known;
        int32_t holder; /* 0: nobody's, or one who is not in the registry */
        uint64_t acquisition;
    } seen;     /* when it was last looked */
    int spared; /* looks, one after the other, without the kernel's list */
    struct {
        uint64_t acquisition; /* whose holder is watched; 0: nobody's */
        int descriptor;       /* a pidfd, or -1 */
        bool ended;           /* and yet the lock was not free */
    } watched;
    struct holder_watch watch;
};

/* --- joining --- */

static bool waits_for_us(struct wait *wait, const struct registry_holder *holder)
{
    const struct lock *lock = wait->lock;
    pid_t process = holder->process;
    if (process <= 0 || process == kernel_getpid() ||
        holder->pid_namespace != lock->registry.pid_namespace)
        return false;
    struct relatives_hints hints = holder_watch_look(&wait->watch, holder, wait->began);
    return relatives_wait_for_us(process, &hints);
}

/* The member that took the lock may have ended; what the command waits for, its supervisor does. */
static bool supervisor_waits_for_us(const struct registry_holder *holder, const struct lock *lock)
{
    static const struct relatives_hints none;
    return holder->supervisor > 0 && holder->supervisor != kernel_getpid() &&
           holder->pid_namespace == lock->registry.pid_namespace &&
           relatives_wait_for_us(holder->supervisor, &none);
}

/*
 * The kernel's list of locks names the holder where there is no registry, and all who share the
 * lock: those without the shim as well. The registry, where there is one, tells of a command's
 * member that took the lock and has ended.
 */
struct kernel_search {
    const struct lock *lock;
    const struct registry_holder *known; /* REGISTRY_HOLDERS, or NULL */
    struct relatives_hints hints;
    bool waits, other; /* a holder that waits for us, one that does not */
};

static bool is_known_to_wait(const struct kernel_search *search, pid_t process)
{
    for (int i = 0; search->known != NULL && i < REGISTRY_HOLDERS; i++) {
        if (search->known[i].process == process && search->known[i].level == 0 &&
            supervisor_waits_for_us(&search->known[i], search->lock))
            return true;
    }
    return false;
}

static bool look_at_kernel_lock(const struct kernel_lock *found, void *context)
{
    struct kernel_search *search = context;
    /* The inode alone: btrfs tells another device here than stat does. */
    if (found->waits || found->inode != search->lock->inode)
        return true;
    bool waits = found->process > 0 && found->process != kernel_getpid() &&
                 (relatives_wait_for_us(found->process, &search->hints) ||
                  is_known_to_wait(search, found->process));
    search->waits = search->waits || waits;
    search->other = search->other || !waits;
    return !search->other;
}

static bool all_in_kernel_wait_for_us(const struct wait *wait, const struct registry_holder *known)
{
    uint64_t waited = registry_now() - wait->began;
    struct kernel_search search = {
        .lock = wait->lock,
        .known = known,
        .hints = {.rested = waited >= HOLDER_RESTED, .still = waited >= HOLDER_STILL}};
    kernel_locks_each(look_at_kernel_lock, &search);
    return search.waits && !search.other;
}

/* Several may share the lock, and then all of them must wait for us. */
static bool sharers_wait_for_us(struct wait *wait, const struct registry_holder *holders)
{
    for (int i = 0; i < REGISTRY_HOLDERS; i++) {
        const struct registry_holder *holder = &holders[i];
        if (holder->process != 0 && holder->mode == REGISTRY_SHARED &&
            process_is_alive(holder->process, holder->start_time) && !waits_for_us(wait, holder) &&
            !supervisor_waits_for_us(holder, wait->lock))
            return false;
    }
    return all_in_kernel_wait_for_us(wait, holders);
}

/* A holder that waits for us, of those on this level; NULL: none. `known`: one of them lives. */
static const struct registry_holder *find_waiting(struct wait *wait, int level,
                                                  const struct registry_holder *exclusive,
                                                  const struct registry_holder *holders,
                                                  bool *known)
{
    const struct lock *lock = wait->lock;
    if (level == 0 && exclusive->process != 0) {
        *known = process_is_alive(exclusive->process, exclusive->start_time);
        if (waits_for_us(wait, exclusive) || supervisor_waits_for_us(exclusive, lock))
            return exclusive;
    }
    for (int i = 0; i < REGISTRY_HOLDERS; i++) {
        if (holders[i].process == 0 || holders[i].level != (uint32_t)level)
            continue;
        if (!process_is_alive(holders[i].process, holders[i].start_time))
            continue; /* its slot is still to be cleared */
        *known = true;
        if (waits_for_us(wait, &holders[i]))
            return &holders[i];
    }
    return NULL;
}

/* `may_be_strange`: a holder that the registry does not know is to be looked for in the kernel's
 * list. */
static bool level_holder_waits_for_us(struct wait *wait, int level, bool may_be_strange)
{
    struct lock *lock = wait->lock;
    struct registry_holder exclusive, holders[REGISTRY_HOLDERS];
    if (!registry_usable(&lock->registry))
        return level > 0 || all_in_kernel_wait_for_us(wait, NULL);
    if (!registry_read(&lock->registry, REGISTRY_OFFSET(head.exclusive), &exclusive,
                       sizeof exclusive) ||
        !registry_read(&lock->registry, REGISTRY_OFFSET(holders), holders, sizeof holders))
        return false;
    bool known = false;
    const struct registry_holder *waiting = find_waiting(wait, level, &exclusive, holders, &known);
    if (waiting == NULL)
        return level == 0 && !known && may_be_strange && all_in_kernel_wait_for_us(wait, NULL);
    return waiting->mode != REGISTRY_SHARED || sharers_wait_for_us(wait, holders);
}

/*
 * The holder waits for us: goes in under its lock, one level deeper than everybody who is in and
 * waits for us too. The levels are record locks, which the kernel drops with us.
 */
static int join(struct wait *wait)
{
    struct lock *lock = wait->lock;
    int descriptor = atomic_load(&lock->descriptor);
    for (int level = 1; level < LOCK_LEVELS; level++) {
        int result = lock_set_level(descriptor, level, F_WRLCK);
        if (result == -EAGAIN || result == -EACCES) {
            if (level_holder_waits_for_us(wait, level, true))
                continue;
            wait->behind_joined = true;
            return -EWOULDBLOCK;
        }
        if (result != 0)
            return -EDEADLK; /* a lock file that we may only read: no way to keep joiners apart */
        /* Somebody deeper, or the holder is another one by now: then it was not our turn. */
        if (!lock_range_taken(descriptor, level + 1)) {
            struct registry_head head;
            result = lock_attempt(lock, &head);
            if (result < 0 && level_holder_waits_for_us(wait, 0, true)) {
                result = lock_entrance_unless_held(lock);
                if (result == 0) {
                    lock->level = level;
                    lock_tell(lock, &(struct lock_notice){.kind = EVENT_JOINED});
                    return 0;
                }
            }
            if (result >= 0) {
                (void)lock_set_level(descriptor, level, F_UNLCK);
                return result;
            }
        }
        (void)lock_set_level(descriptor, level, F_UNLCK);
        return -EWOULDBLOCK;
    }
    return -EDEADLK;
}

/*
 * Has the program itself the lock, through a descriptor of its own? Where none is known of, they
 * are looked through all the same, but not at every wait.
 */
static bool borrow(struct wait *wait)
{
    struct lock *lock = wait->lock;
    uint64_t now = registry_now();
    if (!atomic_load(&lock->may_borrow) && lock->borrow_looked != 0 &&
        now - lock->borrow_looked < LOOK_AGAIN_AT_MOST)
        return false;
    lock->borrow_looked = now;
    if (lock_borrow(lock) != 0)
        return false;
    atomic_store(&lock->may_borrow, true);
    return true;
}

/*
 * Most waits are over before it would be worth a look at who waits for whom. At once it is looked
 * where that will have an end only by the look: the holder is our parent, the lock is the
 * program's own, or we hold another one.
 */
static bool is_urgent(struct lock *lock, bool holds_another)
{
    struct registry_holder holder;
    if (holds_another || atomic_load(&lock->may_borrow))
        return true;
    pid_t parent = (pid_t)KERNEL_CALL(SYS_getppid, 0, 0, 0, 0, 0, 0);
    return registry_usable(&lock->registry) &&
           registry_read(&lock->registry, REGISTRY_OFFSET(head.exclusive), &holder,
                         sizeof holder) &&
           (holder.process == parent || holder.supervisor == parent);
}

static void note_seen(struct wait *wait, const struct registry_head *head)
{
    wait->seen.known = true;
    wait->seen.holder = head->exclusive.process;
    wait->seen.acquisition = head->acquisition;
}

/*
 * Has a guarded process got the lock, or let go of it, since the last look? Then it goes from one
 * to the next, and that the registry knows no holder, or one that is just going, means no more than
 * that: the kernel's list, which is dear for all who use locks, can wait for a look that finds it
 * at rest.
 */
static bool lock_moves(struct wait *wait)
{
    struct registry_head head;
    struct registry *registry = &wait->lock->registry;
    if (!registry_usable(registry) || !registry_look(registry, &head))
        return false;
    bool moves =
        wait->seen.known && wait->spared < LOOKS_SPARED &&
        (head.acquisition != wait->seen.acquisition || head.exclusive.process != wait->seen.holder);
    note_seen(wait, &head);
    wait->spared = moves ? wait->spared + 1 : 0;
    return moves;
}

/*
 * Looks at who waits for whom: 0 when that let us in, -EWOULDBLOCK to wait on, or an error. A lock
 * that goes from one to the next has no holder that waits for us, so that look, which is dear,
 * waits for one that finds it at rest, or is the `last`; but some who share it may go round while
 * another one waits for a lock of ours.
 */
static int look_at_relations(struct wait *wait, bool last)
{
    struct lock *lock = wait->lock;
    bool moves = lock_moves(wait);
    if (moves && !last && !wait->behind_joined && !wait->holds_another)
        return -EWOULDBLOCK;
    wait->looked = true;
    wait->behind_joined = false;
    if (borrow(wait))
        return lock_entrance_unless_held(lock);
    if (level_holder_waits_for_us(wait, 0, !moves))
        return lock->dependents == DEPENDENTS_JOIN ? join(wait) : -EDEADLK;
    bool patient = !moves && registry_now() - wait->began >= PATIENCE;
    return deadlock_found(lock, wait->began, patient) ? -EDEADLK : -EWOULDBLOCK;
}

/* --- sleeping --- */

/* Not so while it is being broken: who breaks it wakes by the futex. */
static bool end_frees(const struct wait *wait, const struct registry_head *head)
{
    const struct registry_holder *holder = &head->exclusive;
    return holder->scope == SCOPE_PROCESS && head->broken != holder->acquisition &&
           holder->process > 0 && holder->acquisition != 0 && !wait->behind_joined &&
           holder->pid_namespace == wait->lock->registry.pid_namespace;
}

static void watch_nobody(struct wait *wait)
{
    if (wait->watched.descriptor >= 0)
        own_close(wait->watched.descriptor);
    wait->watched.descriptor = -1;
    wait->watched.acquisition = 0;
}

static void watch(struct wait *wait, const struct registry_holder *holder)
{
    if (wait->watched.acquisition == holder->acquisition)
        return;
    watch_nobody(wait);
    int descriptor = kernel_pidfd_open(holder->process);
    wait->watched.descriptor = descriptor < 0 ? -1 : own_adopt(descriptor);
    wait->watched.acquisition = holder->acquisition;
    wait->watched.ended = false;
}

/*
 * The kernel drops the lock before a process counts as ended. False where that has freed nothing:
 * others have the lock from it.
 */
static bool sleep_until_end_of(struct wait *wait, const struct registry_holder *holder,
                               int64_t tick)
{
    watch(wait, holder);
    if (wait->watched.ended)
        return false;
    struct pollfd watched = {.fd = wait->watched.descriptor, .events = POLLIN};
    if (watched.fd < 0) /* it is just going */
        (void)kernel_poll(NULL, 0, MILLISECOND / 4);
    wait->watched.ended = watched.fd < 0 || kernel_poll(&watched, 1, tick) > 0;
    return true;
}

/* How long it may sleep, by its place in the queue. */
static int64_t choose_tick(const struct wait *wait, const struct registry_head *head, int rank)
{
    /* The first time, somebody may have let go just before we were in the queue, unseen. */
    if (!wait->slept)
        return MILLISECOND / 2;
    if (head->reserved_for == lock_self.process)
        return MILLISECOND; /* the others stand back for us */
    if (rank == 0)          /* a holder that is killed, or has no shim, wakes nobody */
        return TICK_FIRST;
    return rank < WATCHERS ? TICK_IN_FRONT : rank < NEAR ? TICK_NEAR : TICK_BEHIND;
}

static void sleep_a_while(struct wait *wait, uint32_t wake)
{
    struct registry *registry = &wait->lock->registry;
    struct registry_head head;
    bool usable = registry_usable(registry) && registry_look(registry, &head);
    int rank = usable ? registry_wait_rank(registry, wait->slot, &wait->self, head.waiting) : 0;
    wait->rank = rank;
    if (usable && !wait->seen.known)
        note_seen(wait, &head);
    if (usable && head.waiting == 0 && wait->slot >= 0) /* wrong: we are waiting */
        registry_add(registry, REGISTRY_OFFSET(head.waiting), 1);
    int64_t tick = usable ? choose_tick(wait, &head, rank) : TICK_IN_FRONT;
    int64_t look = (int64_t)(wait->next_look - registry_now());
    if (look > 0 && look < tick)
        tick = look;
    if (wait->timeout >= 0) {
        int64_t left = wait->timeout - (int64_t)(registry_now() - wait->began);
        if (left <= 0)
            return;
        if (left < tick)
            tick = left;
    }
    wait->slept = true;
    if (usable && rank < WATCHERS && end_frees(wait, &head)) {
        /* A quick break ends it sooner, and wakes nobody there: the first one looks now and then.
         */
        if (sleep_until_end_of(wait, &head.exclusive, tick))
            return;
    }
    registry_wait_sleep(registry, usable ? wait->slot : -1, wake, tick);
}

static void tell_long_wait(struct wait *wait, uint64_t waited)
{
    if (wait->told || waited < LONG_WAIT)
        return;
    wait->told = true;
    int32_t holder = 0;
    (void)registry_read(&wait->lock->registry, REGISTRY_OFFSET(head.exclusive.process), &holder,
                        sizeof holder);
    lock_tell(wait->lock,
              &(struct lock_notice){.kind = EVENT_LONG_WAIT, .other = holder, .waited = waited});
}

/*
 * What the word to sleep on says before the next attempt. A place that is no longer ours (there was
 * none, somebody wrote into it, the registry was wiped) is taken anew.
 */
static uint32_t wake_word(struct wait *wait)
{
    struct registry *registry = &wait->lock->registry;
    uint32_t wake = 0;
    if (!registry_usable(registry) || registry_wait_check(registry, wait->slot, &wait->self, &wake))
        return wake;
    if (wait->slot < 0)
        registry_wait_end(registry, -1, &wait->self);
    wait->slot = registry_wait_begin(registry, &wait->self);
    return wait->self.wake;
}

/* Each look is dear where many processes run, and together the many waiters' would add up. */
static int64_t next_look_after(const struct wait *wait)
{
    int times = 1 + wait->rank / NEAR;
    return wait->look_interval * (times < LOOK_SELDOM ? times : LOOK_SELDOM);
}

static int wait_in_queue(struct wait *wait, struct registry_head *head)
{
    for (;;) {
        uint32_t word = wake_word(wait);
        int result = lock_attempt(wait->lock, head);
        if (result != -EWOULDBLOCK)
            return result;
        uint64_t now = registry_now();
        bool over = wait->timeout >= 0 && now - wait->began >= (uint64_t)wait->timeout;
        if (now >= wait->next_look || wait->behind_joined || (over && !wait->looked)) {
            result = look_at_relations(wait, over);
            if (result != -EWOULDBLOCK) {
                (void)registry_look(&wait->lock->registry, head);
                return result;
            }
            now = registry_now();
            wait->next_look = now + (uint64_t)next_look_after(wait);
            if (wait->look_interval < LOOK_AGAIN_AT_MOST)
                wait->look_interval *= 2;
        }
        uint64_t waited = now - wait->began;
        if (wait->timeout >= 0 && waited >= (uint64_t)wait->timeout)
            return -EAGAIN;
        tell_long_wait(wait, waited);
        sleep_a_while(wait, word);
    }
}

static void tell_failure(struct lock *lock, int result, uint64_t waited)
{
    if (result == -EAGAIN) {
        registry_count(&lock->registry, COUNT_TIMEOUTS);
        lock_tell(lock,
                  &(struct lock_notice){.kind = EVENT_TIMEOUT, .error = EAGAIN, .waited = waited});
    } else if (result == -EDEADLK) {
        registry_count(&lock->registry, COUNT_DEADLOCKS);
        lock_tell(lock, &(struct lock_notice){
                            .kind = EVENT_DEADLOCK, .error = EDEADLK, .waited = waited});
    }
}

static struct registry_waiter describe_waiter(const struct lock *lock, uint64_t since)
{
    static _Atomic uint32_t waits;
    return (struct registry_waiter){
        .process = kernel_getpid(),
        .mode = lock->shared ? REGISTRY_SHARED : REGISTRY_EXCLUSIVE,
        .start_time = lock_self_start_time(),
        .since = since,
        .pid_namespace = lock->registry.pid_namespace,
        .supervisor = command_supervisor(lock->entry),
        .boot = lock->registry.boot,
        .thread = lock_self_thread(),
        .number = atomic_fetch_add(&waits, 1) + 1,
    };
}

static void leave_queue(struct wait *wait, int result, const struct registry_head *head)
{
    struct registry *registry = &wait->lock->registry;
    registry_wait_end(registry, wait->slot, &wait->self);
    if (result == 0)
        registry_waited(registry, registry_now() - wait->began);
    if (!registry_usable(registry))
        return;
    /* Who gives up may have been the only one that was woken; who shares lets others in. */
    if (result < 0 || wait->lock->shared)
        registry_wake(registry, 0);
    else if (result == LOCK_IS_HELD) /* and the head was not read */
        registry_wake_watcher(registry, 0);
    else if (head->waiting > REGISTRY_WOKEN)
        registry_wake_watcher(registry, head->waiting - 1);
}

int lock_wait(struct lock *lock, int64_t timeout, struct registry_head *head)
{
    struct wait wait = {.lock = lock,
                        .began = registry_now(),
                        .timeout = timeout,
                        .look_interval = FIRST_LOOK_AGAIN,
                        .slot = -1,
                        .watched = {.descriptor = -1}};
    wait.self = describe_waiter(lock, wait.began);
    registry_count(&lock->registry, COUNT_CONTENDED);
    wait.slot = registry_wait_begin(&lock->registry, &wait.self);
    wait.holds_another = deadlock_publish(lock, wait.began);
    wait.next_look = is_urgent(lock, wait.holds_another) ? 0 : wait.began + FIRST_LOOK;
    atomic_fetch_add(&lock->waiting_threads, 1);
    int result = wait_in_queue(&wait, head);
    watch_nobody(&wait);
    atomic_fetch_sub(&lock->waiting_threads, 1);
    deadlock_withdraw(lock);
    leave_queue(&wait, result, head);
    if (result < 0)
        tell_failure(lock, result, registry_now() - wait.began);
    return result;
}
