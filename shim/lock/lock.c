/*
 * Taking and letting go. The order of steps stands in lock.h. This file must never let go while
 * there are users, and never go on without the lock.
 */
#include "shim/lock/lock.h"

#include "shim/lock/command_member.h"
#include "shim/lock/fenced.h"
#include "shim/lock/kernel.h"
#include "shim/lock/own.h"
#include "shim/lock/publish.h"
#include "shim/lock/self.h"
#include "shim/lock/succession.h"
#include "shim/lock/undo_lock.h"

#include <errno.h>
#include <string.h>
#include <sys/file.h>

/*
 * The state word: how many users, and who may do what.
 *   bits 0-31   users (open descriptors, calls under way)
 *   bit 32      held: the kernel has given us the lock
 *   bit 33      releasing: one thread is letting go; the others stand back
 *   bit 34      kept: never let go before the process ends
 *   bits 40-63  epoch: + 1 with every release, so that a taker who was overtaken notices
 */
#define USERS_MASK 0xffffffffull
#define HELD (1ull << 32)
#define RELEASING (1ull << 33)
#define KEPT LOCK_STATE_KEPT
#define EPOCH_ONE (1ull << 40)
#define EPOCH_MASK (~0ull << 40)

void (*lock_notify)(const struct lock *lock, const struct lock_notice *notice);

static void unlock(struct lock *lock, int descriptor, int level)
{
    if (level > 0) {
        (void)lock_set_level(descriptor, level, F_UNLCK);
        return;
    }
    int borrowed = atomic_exchange(&lock->borrowed, -1);
    if (borrowed >= 0) {
        /* The description is the program's: its lock goes on if the program still wants it. */
        if (!atomic_load(&lock->program_wants))
            (void)kernel_flock(borrowed, LOCK_UN);
        own_close(borrowed);
        return;
    }
    (void)kernel_flock(descriptor, LOCK_UN);
}

/* --- users --- */

/* False: a break is under way, and we are still the holder, with one user, until it is over. */
static bool let_go(struct lock *lock, uint64_t releasing, bool may_wait)
{
    int descriptor = atomic_load(&lock->descriptor);
    int level = lock->level;
    uint64_t acquisition = lock->acquisition;
    uint32_t waiters = 0;
    /* Whoever has broken the lock lets go of it, and has settled what the registry says. */
    bool ours = fence_begin_release(&lock->fence);
    if (!ours && may_wait) {
        uint64_t held = (releasing & EPOCH_MASK) | HELD | 1;
        return !atomic_compare_exchange_strong(&lock->state, &releasing, held);
    }
    if (ours) {
        struct succession succession;
        waiters = publish_leaving(lock, &succession);
        unlock(lock, descriptor, level);
        succession_end(&succession, lock);
        fence_is_over(&lock->fence, acquisition);
        fence_end_release(&lock->fence);
    }
    lock->level = 0;
    uint64_t free_state = (releasing & EPOCH_MASK) + EPOCH_ONE;
    if (!atomic_compare_exchange_strong(&lock->state, &releasing, free_state)) {
        /* A signal handler of this thread went ahead on a description of its own. */
        own_close(descriptor);
        return true;
    }
    if (waiters > 0)
        registry_wake(&lock->registry, waiters);
    return true;
}

/*
 * A signal handler has interrupted its own thread while that was letting go. It can't wait for
 * itself: it finishes the release, and goes on with a fresh description, which the interrupted
 * LOCK_UN can't touch.
 */
static void overtake_release(struct lock *lock, uint64_t releasing)
{
    int descriptor = atomic_exchange(&lock->descriptor, -1);
    (void)kernel_flock(descriptor, LOCK_UN);
    uint64_t free_state = (releasing & EPOCH_MASK) + EPOCH_ONE;
    atomic_compare_exchange_strong(&lock->state, &releasing, free_state);
}

/* Who lets go still settles what it did, and has yet to say LOCK_UN, which would be for us too. */
static bool another_lets_go(const struct lock *lock, uint64_t state)
{
    return (state & RELEASING) != 0 &&
           atomic_load(&((struct lock *)lock)->releaser) != lock_this_thread();
}

int lock_entrance_unless_held(struct lock *lock)
{
    for (uint64_t state; ((state = atomic_load(&lock->state)) & HELD) == 0;) {
        if (another_lets_go(lock, state)) {
            kernel_yield();
            continue;
        }
        (void)latch_begin(&lock->entrance);
        state = atomic_load(&lock->state);
        if ((state & HELD) == 0 && !another_lets_go(lock, state))
            return 0;
        latch_end(&lock->entrance);
    }
    return LOCK_IS_HELD;
}

int lock_register(struct lock *lock)
{
    if (lock->entry != NULL && command_broken(lock->entry) != 0)
        return -ESTALE;
    int result = lock->entry != NULL ? command_register(lock->entry) : 0;
    if (result != COMMAND_IS_OVER)
        return result;
    /* Killed in the middle: what is left of it must not go on where it was, unlocked meanwhile. */
    if (command_has_locked(lock->entry) && command_was_killed(lock->entry))
        return -ESTALE;
    lock_leave_command(lock);
    return 0;
}

/* With the lock. Unless that is 0, it is ours no more. */
static int settle_last_holder(struct lock *lock, struct registry_head *head)
{
    if (!registry_usable(&lock->registry) && lock->level == 0 && !lock->shared) {
        publish_mend(lock);
        (void)registry_look(&lock->registry, head);
    }
    int result = publish_check_crash(lock, head);
    if (result == -EOWNERDEAD) {
        unlock(lock, atomic_load(&lock->descriptor), 0);
        registry_wake(&lock->registry, 0);
    }
    if (result != 0)
        latch_end(&lock->entrance);
    return result;
}

/* 0, and the end of lock->entrance is due; LOCK_IS_HELD; or an error. */
static int take(struct lock *lock, int64_t timeout, struct registry_head *head)
{
    int result = lock_register(lock);
    if (result != 0)
        return result;
    publish_open(lock);
    do {
        result = lock_attempt(lock, head);
        if (result == -EWOULDBLOCK)
            result = lock_wait(lock, timeout, head);
        if (result == 0)
            result = settle_last_holder(lock, head);
    } while (result == -EINPROGRESS);
    return result;
}

/*
 * A vfork child lives in its parent's memory but has descriptors of its own: what it takes must not
 * show in that memory. Its description stays open over the exec that is to come, and the program
 * then goes on as its owner; the members of a command share theirs anyway.
 */
static int take_in_vfork_child(struct lock *lock, int64_t timeout, bool changes)
{
    struct registry_head head;
    struct lock own = *lock;
    atomic_store(&own.state, 0); /* the parent's other threads go on */
    atomic_store(&own.entrance.word, 0);
    own.opening = false;
    if (lock->entry == NULL) {
        atomic_store(&own.descriptor, -1);
        atomic_store(&own.borrowed, -1);
    }
    int result = take(&own, timeout, &head);
    if (result != 0 || lock->entry != NULL)
        return result;
    publish_entered(&own, &head, changes);
    int descriptor = atomic_load(&own.descriptor);
    own_forget(descriptor);
    (void)kernel_fcntl(descriptor, F_SETFD, 0);
    return 0;
}

int lock_enter(struct lock *lock, int64_t timeout, unsigned how)
{
    uint64_t kept = (how & LOCK_KEEP) != 0 ? KEPT : 0;
    bool changes = (how & LOCK_CHANGES) != 0;
    for (;;) {
        uint64_t state = atomic_load(&lock->state);
        if ((state & RELEASING) != 0) {
            if (atomic_load(&lock->releaser) == lock_this_thread())
                overtake_release(lock, state);
            else
                kernel_yield();
            continue;
        }
        if ((state & HELD) != 0) {
            if (latch_is_anothers(&lock->entrance)) {
                (void)latch_begin(&lock->entrance); /* when that has told who holds */
                latch_end(&lock->entrance);
                continue;
            }
            if (atomic_compare_exchange_weak(&lock->state, &state, (state + 1) | kept))
                return 0;
            continue;
        }
        if (!lock_self_is_here())
            return take_in_vfork_child(lock, timeout, changes);
        struct registry_head head;
        int result = take(lock, timeout, &head);
        if (result < 0)
            return result;
        if (result == LOCK_IS_HELD)
            continue;
        uint64_t held = (state & EPOCH_MASK) | HELD | 1;
        bool ours = atomic_compare_exchange_strong(&lock->state, &state, held);
        if (ours) { /* else another one was inside in between, and may have let go for us too */
            publish_entered(lock, &head, changes);
            if (kept != 0)
                atomic_fetch_or(&lock->state, kept); /* who sees that asks no further */
        }
        latch_end(&lock->entrance);
        if (ours)
            return 0;
    }
}

static bool leave(struct lock *lock, bool may_wait)
{
    uint64_t state = atomic_load(&lock->state);
    for (;;) {
        if ((state & USERS_MASK) == 0)
            return true;
        if ((state & KEPT) != 0 || (state & USERS_MASK) > 1) {
            if (atomic_compare_exchange_weak(&lock->state, &state, state - 1))
                return true;
            continue;
        }
        uint64_t releasing = (state & EPOCH_MASK) | RELEASING;
        atomic_store(&lock->releaser, lock_this_thread());
        if (atomic_compare_exchange_weak(&lock->state, &state, releasing))
            return let_go(lock, releasing, may_wait);
    }
}

/* Others are left: nothing is let go. */
static bool leave_to_others(struct lock *lock)
{
    uint64_t state = atomic_load(&lock->state);
    return (state & USERS_MASK) > 1 &&
           atomic_compare_exchange_strong(&lock->state, &state, state - 1);
}

/* A signal handler that goes ahead must not find a journal that is about to be dropped. */
static bool leave_unharmed(struct lock *lock, bool may_wait)
{
    bool journaled = undo_lock_guards(lock) && !lock_is_kept(lock);
    if (journaled && leave_to_others(lock))
        return true;
    uint64_t signals = journaled ? undo_block_signals() : 0;
    bool left = leave(lock, may_wait);
    if (journaled)
        undo_restore_signals(signals);
    return left;
}

void lock_leave(struct lock *lock)
{
    bool may_wait = true;
    while (!leave_unharmed(lock, may_wait))
        may_wait = fenced_await_outcome(lock);
}

bool lock_is_held(const struct lock *lock)
{
    return (atomic_load(&lock->state) & HELD) != 0;
}

uint32_t lock_users(const struct lock *lock)
{
    return (uint32_t)(atomic_load(&lock->state) & USERS_MASK);
}

/* Not even opened by the parent: writing to it would only copy its page. */
static bool is_untouched(struct lock *lock)
{
    return lock->entry == NULL && atomic_load(&lock->descriptor) < 0 &&
           atomic_load(&lock->borrowed) < 0 && atomic_load(&lock->state) == 0 &&
           atomic_load(&lock->entrance.word) == 0 && atomic_load(&lock->fence.calls) == 0 &&
           !atomic_load(&lock->program_wants) && !atomic_load(&lock->changed) &&
           !atomic_load(&lock->undo_kept.there);
}

void lock_forked(struct lock *lock)
{
    if (is_untouched(lock))
        return;
    if (!latch_is_ours(&lock->entrance)) /* else a signal handler of that has forked */
        lock->opening = false;
    latch_forked(&lock->entrance);
    atomic_store(&lock->fence.calls, 0); /* of the parent's other threads */
    undo_kept_forget(&lock->undo_kept);
    if (lock->entry == NULL) {
        lock_abandon(lock);
        return;
    }
    atomic_store(&lock->state, 0);
    atomic_store(&lock->changed, false);
    lock->slot = -1;
}

void lock_leave_command(struct lock *lock)
{
    if (lock->entry != NULL)
        command_note_end(lock->entry, lock_self.process);
    lock_abandon(lock);
    lock->entry = NULL;
    lock->scope = SCOPE_SESSION;
}

static struct lock *_Atomic all_locks;

void lock_list_add(struct lock *lock)
{
    lock->next = atomic_load(&all_locks);
    while (!atomic_compare_exchange_weak(&all_locks, &lock->next, lock)) {
    }
}

void lock_each(bool (*each)(struct lock *lock, void *context), void *context)
{
    for (struct lock *lock = atomic_load(&all_locks); lock != NULL; lock = lock->next) {
        if (!each(lock, context))
            return;
    }
}

void lock_abandon(struct lock *lock)
{
    int descriptor = atomic_exchange(&lock->descriptor, -1);
    if (descriptor >= 0 && own_is(descriptor))
        own_close(descriptor);
    int borrowed = atomic_exchange(&lock->borrowed, -1);
    if (borrowed >= 0)
        own_close(borrowed);
    atomic_store(&lock->program_wants, false);
    atomic_store(&lock->state, 0);
    atomic_store(&lock->changed, false);
    lock->level = 0;
    lock->slot = -1;
}

void lock_adopt(struct lock *lock, int descriptor, bool keep)
{
    struct stat status;
    if (atomic_load(&lock->descriptor) >= 0 || kernel_fstat(descriptor, &status) != 0)
        return;
    own_record(descriptor);
    (void)kernel_fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    lock->device = status.st_dev;
    lock->inode = status.st_ino;
    atomic_store(&lock->descriptor, descriptor);
    /* One flock more changes nothing where the description has the lock, and tells whether it has.
     */
    if (kernel_flock(descriptor, (lock->shared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0)
        return;
    publish_open(lock);
    if (publish_was_broken(lock)) { /* on the way here: it is nobody's to inherit */
        lock_abandon(lock);
        return;
    }
    atomic_store(&lock->state, HELD | (keep ? KEPT : 0) | 1);
    publish_adopted(lock);
}

void lock_survive_exec(struct lock *lock, bool survive)
{
    int borrowed = atomic_load(&lock->borrowed);
    int descriptor = borrowed >= 0 ? borrowed : atomic_load(&lock->descriptor);
    if (descriptor >= 0 && lock->entry == NULL &&
        (!survive || (lock_is_held(lock) && !fence_is_raised(&lock->fence))))
        (void)kernel_fcntl(descriptor, F_SETFD, survive ? 0 : FD_CLOEXEC);
}
