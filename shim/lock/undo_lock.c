/*
 * When the journal counts. It must never let anybody at a table that is half-written, and never
 * drop a journal before its owner has ended in order.
 */
#include "shim/lock/undo_lock.h"

#include "shim/lock/command_member.h"
#include "shim/lock/kernel.h"

#include <errno.h>
#include <sys/file.h>

static void write_word(struct registry *registry, size_t offset, uint32_t value)
{
    (void)registry_write(registry, offset, &value, sizeof value);
}

void undo_lock_tell(struct registry *registry, pid_t process)
{
    write_word(registry, REGISTRY_OFFSET(head.crashed), 0);
    write_word(registry, REGISTRY_OFFSET(head.undo), 0);
    registry_count(registry, COUNT_ROLLBACKS);
    registry_event(registry, &(struct registry_event){.kind = EVENT_ROLLBACK,
                                                      .process = kernel_getpid(),
                                                      .other = process});
}

/* Can there be a journal? Without the policy one look a process, and where the registry says so. */
static bool may_have_journal(struct lock *lock, const struct registry_head *head)
{
    if (!undo_lock_guards(lock) && lock->undo_looked && registry_usable(&lock->registry) &&
        head->undo == 0 && head->mark.state == MARK_CLEAN && head->crashed == 0)
        return false;
    lock->undo_looked = true;
    /* Another member of our command was here before, and what there is is our own. */
    return !command_has_locked(lock->entry) && undo_exists(lock->path) &&
           !command_has_locked(lock->entry);
}

static int roll_back(struct lock *lock, struct registry_head *head)
{
    int result = undo_roll_back(lock->path, lock->table_path);
    if (result == 1) {
        undo_lock_tell(&lock->registry, head->mark.process);
        head->crashed = head->undo = 0;
        head->generation++; /* what was read of the dead owner's is not so */
        (void)registry_write(&lock->registry, REGISTRY_OFFSET(head.generation), &head->generation,
                             sizeof head->generation);
        if (lock_notify != NULL)
            lock_notify(lock,
                        &(struct lock_notice){.kind = EVENT_ROLLBACK, .other = head->mark.process});
    }
    if (result >= 0)
        return 0;
    lock->undo_error = -result;
    return -EOWNERDEAD;
}

int undo_lock_check(struct lock *lock, struct registry_head *head)
{
    if (__builtin_expect(!may_have_journal(lock, head), 1))
        return 0;
    int descriptor = atomic_load(&lock->descriptor);
    if (!lock->shared)
        return roll_back(lock, head);
    if (kernel_flock(descriptor, LOCK_EX | LOCK_NB) != 0)
        return -EINPROGRESS;
    int result = roll_back(lock, head);
    if (result == 0 && kernel_flock(descriptor, LOCK_SH | LOCK_NB) != 0)
        result = -EINPROGRESS;
    return result;
}

void undo_lock_entered(struct lock *lock)
{
    if (!undo_lock_guards(lock))
        return;
    if (lock->entry != NULL)
        lock->undo_moves = command_moves(lock->entry, 0);
    atomic_store(&lock->undo_noted, false);
    atomic_store(&lock->undo_session, undo_new_session());
}

uint32_t undo_lock_session(struct lock *lock)
{
    if (!lock_self_is_here())
        return 0;
    if (lock->entry != NULL && command_moves(lock->entry, 0) != lock->undo_moves)
        undo_lock_entered(lock);
    return atomic_load_explicit(&lock->undo_session, memory_order_relaxed);
}

void undo_lock_moved(struct lock *lock)
{
    if (lock->entry != NULL)
        (void)command_moves(lock->entry, 1);
    if (lock_self_is_here())
        undo_lock_entered(lock);
}

void undo_lock_noted(struct lock *lock)
{
    if (atomic_exchange(&lock->undo_noted, true))
        return;
    write_word(&lock->registry, REGISTRY_OFFSET(head.undo), 1);
}

static void commit(struct lock *lock)
{
    if (undo_commit(lock->path, lock->durable) != 0)
        (void)undo_mark_ending(lock->path, lock->table_path, true);
    atomic_store(&lock->undo_session, undo_new_session());
    if (atomic_exchange(&lock->undo_noted, false))
        write_word(&lock->registry, REGISTRY_OFFSET(head.undo), 0);
}

void undo_lock_leaving(struct lock *lock)
{
    if (undo_lock_guards(lock) && !lock->shared)
        commit(lock);
}

/*
 * A command's supervisor decides for it. Where it is we ourselves (no lockctl), or was killed, the
 * last to change decides; those who still change something take it back (undo_lock_goes_on()).
 */
static void member_ends(struct lock *lock)
{
    pid_t self = lock_self.process;
    command_note_end(lock->entry, self);
    if (command_supervisor(lock->entry) != self && !command_supervisor_died(lock->entry))
        return;
    if (!command_has_locked(lock->entry) || command_changer_died(lock->entry))
        return;
    if (command_is_alone(lock->entry)) {
        commit(lock);
        return;
    }
    (void)command_settle(lock->entry, true);
    (void)undo_mark_ending(lock->path, lock->table_path, true);
}

static void end(struct lock *lock, bool executes)
{
    if (lock->entry != NULL && !executes)
        member_ends(lock);
    else if (lock->entry != NULL)
        command_note_end(lock->entry, lock_self.process);
    else if (executes && lock_is_held(lock) && lock->level == 0)
        (void)undo_mark_ending(lock->path, lock->table_path, true);
}

void undo_lock_ends(struct lock *lock, bool executes)
{
    if (!undo_lock_guards(lock) || lock->shared)
        return;
    if (!fence_begin(&lock->fence))
        return;
    end(lock, executes);
    fence_end(&lock->fence);
}

void undo_lock_goes_on(struct lock *lock)
{
    if (!undo_lock_guards(lock) || lock->shared || !lock_is_held(lock) || !undo_exists(lock->path))
        return;
    if (lock->entry == NULL || command_settle(lock->entry, false))
        (void)undo_mark_ending(lock->path, lock->table_path, false);
}
