/*
 * When the journal counts. It must never let anybody at a table that is half-written, and never
 * drop a journal before its owner has ended in order.
 */
#include "shim/lock/undo_lock.h"

#include "shim/lock/command_member.h"
#include "shim/lock/fenced.h"
#include "shim/lock/kernel.h"

#include <errno.h>
#include <sys/file.h>

/* How often who ends looks whether the lock is free, with a millisecond between. */
enum { RETIRE_ATTEMPTS = 10 };

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
    bool suspicious = head->mark.state != MARK_CLEAN || head->crashed != 0;
    if (atomic_load(&lock->undo_kept.there)) {
        if (undo_kept_is_settled(&lock->undo_kept, lock->path, suspicious)) {
            if (head->undo == 0) /* a new registry, perhaps */
                atomic_store(&lock->undo_noted, false);
            return false;
        }
        undo_kept_forget(&lock->undo_kept);
    } else if (!undo_lock_guards(lock) && lock->undo_looked && registry_usable(&lock->registry) &&
               head->undo == 0 && !suspicious) {
        return false;
    }
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
    if (!atomic_load(&lock->undo_kept.there))
        atomic_store(&lock->undo_noted, false);
    atomic_store(&lock->undo_session, undo_new_session());
}

/*
 * Where we work under another's lock: has that one let go since? Then what was recorded before
 * counts, and is to be recorded anew.
 */
static bool is_another_sequence(struct lock *lock)
{
    uint64_t present = undo_present_sequence(lock->path);
    uint64_t before = lock->undo_sequence;
    lock->undo_sequence = present;
    return present == 0 || present != before;
}

uint32_t undo_lock_session(struct lock *lock)
{
    if (!lock_self_is_here())
        return 0;
    if ((lock->entry != NULL && command_moves(lock->entry, 0) != lock->undo_moves) ||
        (lock->level > 0 && is_another_sequence(lock)))
        undo_lock_entered(lock);
    return atomic_load_explicit(&lock->undo_session, memory_order_relaxed);
}

struct undo_kept *undo_lock_kept(struct lock *lock)
{
    return lock->entry == NULL && lock->level == 0 && lock_self_is_here() ? &lock->undo_kept : NULL;
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

/* A session this short leaves no time for others to join it, or to close what is ours. */
#define BRIEF 100000u /* ns */

static bool may_keep(const struct lock *lock)
{
    return lock->entry == NULL && lock->level == 0 && !lock->durable &&
           (lock->scope == SCOPE_SESSION || lock->scope == SCOPE_CALL);
}

/* With the lock held. `ends`: nothing is to be left behind. True: that took its time. */
static bool commit(struct lock *lock, bool ends)
{
    bool brief = registry_now() - lock->acquired_at < BRIEF;
    bool keeps = !ends && may_keep(lock) && undo_kept_commit(&lock->undo_kept, brief);
    atomic_store(&lock->undo_session, undo_new_session());
    if (keeps)
        return !brief;
    undo_kept_forget(&lock->undo_kept);
    if (undo_commit(lock->path, lock->table_path, lock->durable) != 0)
        (void)undo_mark_ending(lock->path, lock->table_path, true);
    if (atomic_exchange(&lock->undo_noted, false))
        write_word(&lock->registry, REGISTRY_OFFSET(head.undo), 0);
    return true;
}

/*
 * Not inside, and about to end: what is kept between two sessions is removed, if need be by who is
 * inside now. It is done with the lock, on a description of its own: other threads may go on.
 */
static bool try_retire(struct lock *lock, int descriptor)
{
    struct stat open, named;
    struct registry_head head;
    if (kernel_flock(descriptor, LOCK_EX | LOCK_NB) != 0)
        return false;
    if (kernel_fstat(descriptor, &open) == 0 &&
        kernel_fstatat(AT_FDCWD, lock->path, &named, 0) == 0 && open.st_ino == named.st_ino &&
        open.st_dev == named.st_dev && !lock_range_taken(descriptor, 1)) {
        undo_retire(lock->path, lock->table_path);
        if (!undo_exists(lock->path))
            write_word(&lock->registry, REGISTRY_OFFSET(head.undo), 0);
    }
    (void)kernel_flock(descriptor, LOCK_UN);
    if (registry_look(&lock->registry, &head) && head.waiting > 0)
        registry_wake(&lock->registry, head.waiting);
    return true;
}

/* One who is inside and journals removes it at its own end; another is soon out. */
static void retire(struct lock *lock)
{
    undo_kept_forget(&lock->undo_kept);
    int descriptor =
        kernel_openat(AT_FDCWD, lock->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
    if (descriptor < 0)
        return;
    for (int attempt = 0; attempt < RETIRE_ATTEMPTS && !try_retire(lock, descriptor); attempt++) {
        if (undo_present_sequence(lock->path) != 0)
            break;
        (void)kernel_poll(NULL, 0, 1000000);
    }
    (void)kernel_close(descriptor);
}

bool undo_lock_leaving(struct lock *lock, bool ends)
{
    return undo_lock_guards(lock) && !lock->shared && commit(lock, ends);
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
        (void)commit(lock, true);
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
    else if (!lock_is_held(lock) && atomic_load(&lock->undo_kept.there))
        retire(lock);
    else if (executes && lock_is_held(lock) && lock->level == 0)
        (void)undo_mark_ending(lock->path, lock->table_path, true);
}

void undo_lock_ends(struct lock *lock, bool executes)
{
    if (!undo_lock_guards(lock) || lock->shared)
        return;
    if (!fenced_begin(lock))
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
