/*
 * Letting go, and ending: what the registry is told then, and who answers for what was done. It
 * must never clear the mark of somebody who is still at it, nor leave that of one who has done in
 * order.
 */
#include "shim/lock/publish.h"

#include "shim/lock/deadlock.h"
#include "shim/lock/fenced.h"
#include "shim/lock/succession.h"
#include "shim/lock/undo_lock.h"

static void leave_reservation(struct lock *lock, const struct registry_head *head)
{
    struct {
        uint64_t until;
        int32_t process;
    } reservation = {0, 0};
    _Static_assert(offsetof(struct registry_head, reserved_for) ==
                       offsetof(struct registry_head, reserved_until) + sizeof reservation.until,
                   "written together");
    if (atomic_exchange(&lock->reserve, false)) {
        reservation.until = registry_now() + LOCK_RESERVATION;
        reservation.process = lock_self.process;
    } else if (head->reserved_for != lock_self.process) {
        return;
    }
    (void)registry_write(&lock->registry, REGISTRY_OFFSET(head.reserved_until), &reservation,
                         sizeof reservation.until + sizeof reservation.process);
}

void lock_reserve(struct lock *lock)
{
    atomic_store(&lock->reserve, true);
}

/*
 * What becomes of the mark when we leave in order: a joiner's that is gone has become ours with the
 * rest. True: it is to be written.
 */
static bool pass_mark_on(struct lock *lock, struct registry_head *head,
                         const struct succession *succession, bool changed,
                         enum registry_mark_state settled)
{
    bool ours = lock->level == 0 || head->mark.process == lock_self.process;
    if (!changed && !(ours && head->mark.state == MARK_CHANGED))
        return false;
    if (!succession->settles) {
        if (succession->heir.state != MARK_CLEAN)
            head->mark = succession->heir;
        return succession->heir.state != MARK_CLEAN;
    }
    head->mark.state = settled;
    if (head->crashed != 0)
        publish_write_word(lock, REGISTRY_OFFSET(head.crashed), 0);
    return true;
}

static void leave_exclusive(struct lock *lock, struct registry_head *head,
                            const struct succession *succession, bool changed)
{
    if (changed)
        head->generation++;
    (void)pass_mark_on(lock, head, succession, changed, MARK_CLEAN);
    if (lock->slot < 0)
        head->exclusive.process = 0;
    publish_write_half(lock, head);
}

static void leave_shared(struct lock *lock, const struct registry_head *head)
{
    size_t from = offsetof(struct registry_head, hold_sum);
    (void)registry_write(&lock->registry, from, (const char *)head + from,
                         offsetof(struct registry_head, mark) - from);
}

static void leave_joined(struct lock *lock, struct registry_head *head,
                         const struct succession *succession, bool changed)
{
    if (changed)
        registry_add(&lock->registry, REGISTRY_OFFSET(head.generation), 1);
    if (pass_mark_on(lock, head, succession, changed, MARK_CLEAN))
        publish_write_mark(lock, &head->mark);
    if (head->joined > 1)
        registry_add(&lock->registry, REGISTRY_OFFSET(head.joined), -1);
}

/* Asks who answers from now on; if it is nobody else, what is in the journal counts. */
static bool begin_leaving(struct lock *lock, struct succession *succession,
                          struct registry_head *head, bool ends)
{
    bool usable = registry_look(&lock->registry, head);
    succession_begin(succession, lock, usable ? head : NULL);
    if (!succession->settles || !undo_lock_leaving(lock, ends))
        return usable;
    return usable && registry_look(&lock->registry, head);
}

uint32_t publish_leaving(struct lock *lock, struct succession *succession)
{
    struct registry_head head;
    uint64_t held = registry_now() - lock->acquired_at;
    bool changed = atomic_exchange(&lock->changed, false);
    if (changed) {
        lock->own_changes++;
        lock->generation++;
    }
    if (!begin_leaving(lock, succession, &head, false))
        return 0;
    leave_reservation(lock, &head);
    if (lock->level == 0)
        registry_held(&lock->registry, &head, held);
    if (lock->level > 0)
        leave_joined(lock, &head, succession, changed);
    else if (lock->shared)
        leave_shared(lock, &head);
    else
        leave_exclusive(lock, &head, succession, changed);
    registry_clear_holder(&lock->registry, lock->slot, lock_self.process);
    lock->slot = -1;
    deadlock_released(lock);
    return head.waiting;
}

static void member_ends(struct lock *lock, const struct registry_head *head)
{
    if (!atomic_load(&lock->changed) || head->mark.process != lock_self.process)
        return;
    publish_write_word(lock, REGISTRY_OFFSET(head.mark.state), MARK_ENDING);
    if (head->crashed != 0) /* the supervisor's to say, too, but there may be none */
        publish_write_word(lock, REGISTRY_OFFSET(head.crashed), 0);
}

/* It goes on as another program, with the lock: if that is out of our sight, what we did counts. */
static void settle_before_exec(struct lock *lock)
{
    struct registry_head head;
    if (!atomic_load(&lock->changed) || lock->level > 0 || !registry_look(&lock->registry, &head) ||
        head.mark.process != lock_self.process)
        return;
    head.generation++;
    head.mark.state = MARK_ENDING;
    if (head.crashed != 0)
        publish_write_word(lock, REGISTRY_OFFSET(head.crashed), 0);
    publish_write_half(lock, &head);
}

/* Still the holder until the kernel says otherwise: stdio is flushed after this. */
static void end_as_holder(struct lock *lock, struct registry_head *head,
                          const struct succession *succession)
{
    bool changed = atomic_load(&lock->changed) && head->mark.process == lock_self.process;
    if (changed)
        head->generation++;
    (void)pass_mark_on(lock, head, succession, changed, MARK_ENDING);
    if (!lock->hold_counted) {
        lock->hold_counted = true;
        registry_held(&lock->registry, head, registry_now() - lock->acquired_at);
    }
    /* Only the end of the process frees it now: the first waiter is to watch that. */
    bool own = head->exclusive.process == lock_self.process;
    bool tell = head->waiting > 0 && own && head->exclusive.scope != SCOPE_PROCESS;
    if (tell)
        head->exclusive.scope = SCOPE_PROCESS;
    if (own)
        head->exclusive.ending = 1;
    publish_write_half(lock, head);
    if (tell)
        registry_wake(&lock->registry, head->waiting);
}

static void end_as_joined(struct lock *lock, struct registry_head *head,
                          const struct succession *succession)
{
    bool changed = atomic_load(&lock->changed);
    if (changed)
        registry_add(&lock->registry, REGISTRY_OFFSET(head.generation), 1);
    registry_ends(&lock->registry, lock->slot, lock_self.process);
    if (pass_mark_on(lock, head, succession, changed, MARK_ENDING))
        publish_write_mark(lock, &head->mark);
}

/* The others stand back until what is done here is done, or both would leave it to one another. */
static void settle_at_end(struct lock *lock)
{
    struct registry_head head;
    struct succession succession;
    if (begin_leaving(lock, &succession, &head, true)) {
        if (lock->level > 0)
            end_as_joined(lock, &head, &succession);
        else
            end_as_holder(lock, &head, &succession);
    }
    succession_end(&succession, lock);
}

static void settle(struct lock *lock, bool executes)
{
    struct registry_head head;
    if (!lock_is_held(lock) || lock->shared)
        return;
    if (lock->entry != NULL) {
        if (registry_look(&lock->registry, &head))
            member_ends(lock, &head);
    } else if (executes) {
        settle_before_exec(lock);
    } else {
        settle_at_end(lock);
    }
}

void lock_process_ends(struct lock *lock, bool executes)
{
    if (!lock_is_held(lock))
        return;
    if (!fenced_begin(lock))
        return;
    settle(lock, executes);
    fence_end(&lock->fence);
}

void lock_process_goes_on(struct lock *lock)
{
    struct registry_head head;
    if (!fence_begin(&lock->fence))
        return;
    undo_lock_goes_on(lock);
    if (atomic_load(&lock->changed) && registry_look(&lock->registry, &head) &&
        head.mark.process == lock_self.process)
        publish_write_word(lock, REGISTRY_OFFSET(head.mark.state), MARK_CHANGED);
    fence_end(&lock->fence);
}
