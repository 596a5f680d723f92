/*
 * What taking and changing write into the registry, and what they read there about the last holder
 * (letting go: publish_leave.c). Nothing here decides who holds.
 */
#include "shim/lock/publish.h"

#include "shim/lock/awaited.h"
#include "shim/lock/command_member.h"
#include "shim/lock/kernel.h"
#include "shim/lock/process.h"
#include "shim/lock/undo_lock.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/file.h>

/* For all threads; not once more by a signal handler that has interrupted it. */
static void open_registry(struct lock *lock, bool may_make)
{
    (void)latch_begin(&lock->entrance);
    if (!lock->opening && !atomic_load(&lock->registry_opened)) {
        lock->opening = true;
        if (!registry_usable(&lock->registry) && may_make)
            registry_open(&lock->registry, lock->path, lock->table_path);
        else if (!registry_usable(&lock->registry))
            registry_open_existing(&lock->registry, lock->path);
        lock->opening = false;
        if (may_make)
            atomic_store(&lock->registry_opened, true);
    }
    latch_end(&lock->entrance);
}

void publish_open(struct lock *lock)
{
    if (atomic_load(&lock->registry_opened))
        return;
    static _Atomic bool looked;
    if (lock_self_is_here() && !atomic_exchange(&looked, true))
        lock_self_look_at_objects();
    open_registry(lock, true);
}

void publish_open_existing(struct lock *lock)
{
    if (!atomic_load(&lock->registry_opened))
        open_registry(lock, false);
}

/* At most once a second: where there can be no registry, none is looked for at every turn. */
#define MEND_INTERVAL 1000000000u

void publish_mend(struct lock *lock)
{
    uint64_t now = registry_now();
    if (lock->opening ||
        (lock->registry_mended != 0 && now - lock->registry_mended < MEND_INTERVAL))
        return;
    lock->opening = true;
    registry_open_again(&lock->registry, lock->path, lock->table_path);
    lock->registry_mended = now;
    lock->opening = false;
}

static struct registry_holder describe_self(const struct lock *lock, pid_t process)
{
    return (struct registry_holder){
        .process = process,
        .mode = lock->level > 0 ? REGISTRY_JOINED
                : lock->shared  ? REGISTRY_SHARED
                                : REGISTRY_EXCLUSIVE,
        .start_time = lock_self_start_time(),
        .since = lock->acquired_at,
        .acquisition = lock->acquisition,
        .pid_namespace = lock->registry.pid_namespace,
        .scope = (uint32_t)lock->scope,
        .descriptor = atomic_load(&lock->descriptor),
        .level = (uint32_t)lock->level,
        .supervisor = command_supervisor(lock->entry),
        .last_touch = lock->acquired_at,
        .boot = lock->registry.boot,
        .fence = (uint64_t)(uintptr_t)&lock->fence,
        .thread = lock_self_thread(),
        .out_of_reach = atomic_load(&lock->out_of_reach),
        .awaited = awaited_child(),
    };
}

/* What lockctl compares before it believes that it has found our fence. */
static void mark_fence(struct lock *lock)
{
    fence_name(&lock->fence, lock->device, lock->inode);
    atomic_store(&lock->fence.acquisition, lock->acquisition);
}

/* Did the last holder die inside? Only whoever holds the lock may ask. */
static void look_at_mark(struct lock *lock, struct registry_head *head)
{
    const struct registry_mark *mark = &head->mark;
    uint32_t state = mark->state;
    pid_t owner = mark->process;
    /* Under a command the members' marks are the command's own. */
    if (lock->entry != NULL && command_has_changed(lock->entry))
        return;
    /* A broken holder may live, but what it began it can't end: as good as dead. */
    bool broken = head->broken != 0 && mark->acquisition == head->broken;
    if (!broken && owner == lock_self.process && mark->start_time == lock_self_start_time())
        return;
    bool same_boot = mark->boot == lock->registry.boot;
    bool died =
        state == MARK_CHANGED && (broken || !(same_boot && process_runs(owner, mark->start_time)));
    head->mark.state = MARK_CLEAN;
    /* An exclusive holder writes it with all the rest as it enters. */
    if (died || lock->shared || lock->entry != NULL)
        publish_write_word(lock, REGISTRY_OFFSET(head.mark.state), MARK_CLEAN);
    if (died) {
        head->crashed = 1;
        head->generation++; /* it has let go, and may have written */
        registry_add(&lock->registry, REGISTRY_OFFSET(head.generation), 1);
        publish_write_word(lock, REGISTRY_OFFSET(head.crashed), 1);
        registry_count(&lock->registry, COUNT_CRASHES);
        lock_tell(lock, &(struct lock_notice){.kind = EVENT_CRASH,
                                              .other = owner,
                                              .text = "the last holder died, or was broken, "
                                                      "while changing the table; it may be "
                                                      "half-written"});
    }
}

static struct registry_mark mark_of(struct lock *lock)
{
    return (struct registry_mark){.state = MARK_CHANGED,
                                  .process = lock_self.process,
                                  .start_time = lock_self_start_time(),
                                  .boot = lock->registry.boot,
                                  .acquisition = lock->acquisition};
}

static void note_change(struct lock *lock)
{
    atomic_store_explicit(&lock->changed, true, memory_order_release);
    if (lock->entry != NULL)
        command_note_change(lock->entry, lock_self.process);
}

/* Shared holders may be several, and write no more than the two numbers. */
static void enter_shared(struct lock *lock, const struct registry_head *head)
{
    _Static_assert(offsetof(struct registry_head, acquisitions) ==
                       offsetof(struct registry_head, acquisition) + sizeof head->acquisition,
                   "written together");
    (void)registry_write(&lock->registry, REGISTRY_OFFSET(head.acquisition), &head->acquisition,
                         sizeof head->acquisition + sizeof head->acquisitions);
}

static void enter_joined(struct lock *lock, const struct registry_head *head)
{
    if (head->joined != 0)
        registry_add(&lock->registry, REGISTRY_OFFSET(head.joined), 1);
    registry_count(&lock->registry, COUNT_JOINED);
}

static void enter_exclusive(struct lock *lock, struct registry_head *head,
                            const struct registry_holder *self, bool changes)
{
    head->exclusive = *self;
    if (changes) {
        head->mark = mark_of(lock);
        note_change(lock);
    }
    publish_write_half(lock, head);
}

/*
 * A member of a command. The first one names itself as the holder; as several may be at it at once,
 * nobody writes more than what is its own.
 */
static void enter_as_member(struct lock *lock, const struct registry_head *head,
                            const struct registry_holder *self, bool changes)
{
    if (!command_has_locked(lock->entry)) {
        enter_shared(lock, head);
        (void)registry_write(&lock->registry, REGISTRY_OFFSET(head.exclusive), self, sizeof *self);
    }
    command_note_locked(lock->entry);
    if (changes)
        (void)lock_before_change(lock);
}

/* The lock is ours: says so to the others. */
void publish_entered(struct lock *lock, struct registry_head *head, bool changes)
{
    lock->acquired_at = registry_now();
    atomic_store_explicit(&lock->touched_at, lock->acquired_at, memory_order_relaxed);
    lock->taker = lock_this_thread();
    undo_lock_entered(lock);
    lock->hold_counted = false;
    atomic_store(&lock->changed, false);
    if (!registry_usable(&lock->registry)) /* then its own ones are counted */
        head->acquisition = lock->acquisition;
    lock->acquisition = lock->level > 0 ? head->acquisition : ++head->acquisition;
    lock->generation = head->generation;
    head->acquisitions++;
    mark_fence(lock);
    struct registry_holder self = describe_self(lock, lock_self.process);
    if (lock->level > 0)
        enter_joined(lock, head);
    else if (lock->entry != NULL)
        enter_as_member(lock, head, &self, changes);
    else if (lock->shared)
        enter_shared(lock, head);
    else
        enter_exclusive(lock, head, &self, changes);
    if (lock->shared || lock->level > 0 || lock->entry != NULL)
        lock->slot = registry_claim_holder(&lock->registry, &self);
    if ((lock->entry != NULL || atomic_load(&lock->waiting_threads) > 0) && head->waiting > 0)
        registry_wake_companions(&lock->registry, lock_self.process,
                                 command_supervisor(lock->entry));
}

/* Did the last holder die inside, and does that keep us out? */
int publish_check_crash(struct lock *lock, struct registry_head *head)
{
    if (lock->level > 0)
        return 0;
    if (head->mark.state != MARK_CLEAN)
        look_at_mark(lock, head);
    int result = undo_lock_check(lock, head);
    if (result != 0)
        return result;
    return lock->on_crash == ON_CRASH_FAIL && head->crashed != 0 ? -EOWNERDEAD : 0;
}

void lock_note_touch(struct lock *lock)
{
    struct timespec coarse;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &coarse);
    uint64_t now = (uint64_t)coarse.tv_sec * 1000000000u + (uint64_t)coarse.tv_nsec;
    uint64_t noted = atomic_load_explicit(&lock->touched_at, memory_order_relaxed);
    /* The coarse clock may be behind what was noted. */
    if (__builtin_expect((int64_t)(now - noted) < (int64_t)REGISTRY_TOUCH_AGE, 1))
        return;
    atomic_store_explicit(&lock->touched_at, now, memory_order_relaxed);
    if (lock_is_held(lock))
        registry_touched(&lock->registry, lock->slot, lock_self.process, now);
}

/* One who joined sets no mark where there is one: whose that is answers for what follows too. */
static bool is_answered_for(struct lock *lock)
{
    struct registry_mark mark;
    return registry_read(&lock->registry, REGISTRY_OFFSET(head.mark), &mark, sizeof mark) &&
           mark.state == MARK_CHANGED;
}

int lock_before_change(struct lock *lock)
{
    bool marked = atomic_load_explicit(&lock->changed, memory_order_relaxed);
    if (marked && (lock->entry == NULL || command_last_changer(lock->entry) == lock_self.process))
        return 0;
    if (lock->entry != NULL)
        undo_lock_goes_on(lock);
    if (lock->level == 0 || (lock->entry == NULL && !is_answered_for(lock))) {
        struct registry_mark mark = mark_of(lock);
        publish_write_mark(lock, &mark);
    }
    note_change(lock);
    return 0;
}

uint64_t lock_generation(struct lock *lock)
{
    struct registry_head head;
    publish_open(lock);
    return registry_usable(&lock->registry) && registry_look(&lock->registry, &head)
               ? head.generation
               : lock->generation;
}

/*
 * The registry must still name this process (or the parent, which it shared its memory with when
 * the lock was taken before the exec). Without a registry nothing is broken by acquisition.
 */
bool publish_was_broken(struct lock *lock)
{
    struct registry_head head;
    if (!registry_usable(&lock->registry) || lock->shared ||
        !registry_look(&lock->registry, &head) || head.broken == 0)
        return false;
    pid_t holder = head.exclusive.process;
    if (holder == lock_self.process || holder == (pid_t)KERNEL_CALL(SYS_getppid, 0, 0, 0, 0, 0, 0))
        return head.exclusive.acquisition == head.broken;
    (void)kernel_flock(atomic_load(&lock->descriptor), LOCK_UN);
    registry_wake(&lock->registry, 0);
    return true;
}

/* After exec: the registry still names this process as the holder. */
void publish_adopted(struct lock *lock)
{
    struct registry_head head;
    lock->acquired_at = registry_now();
    lock->taker = lock_this_thread();
    undo_lock_entered(lock);
    bool usable = registry_look(&lock->registry, &head);
    if (head.exclusive.process == lock_self.process &&
        head.exclusive.start_time == lock_self_start_time())
        lock->acquired_at = head.exclusive.since;
    lock->acquisition = head.acquisition;
    lock->generation = head.generation;
    mark_fence(lock);
    bool marked = head.mark.process == lock_self.process && head.mark.state != MARK_CLEAN;
    if (marked) /* what an ending program had settled is unsettled again: it went on */
        head.mark.state = MARK_CHANGED;
    atomic_store(&lock->changed, marked);
    head.exclusive = describe_self(lock, lock_self.process);
    if (usable && !lock->shared)
        publish_write_half(lock, &head);
    undo_lock_goes_on(lock);
}

void lock_tell(struct lock *lock, const struct lock_notice *notice)
{
    if (notice->kind != EVENT_NONE)
        registry_event(&lock->registry, &(struct registry_event){.kind = notice->kind,
                                                                 .process = lock_self.process,
                                                                 .other = notice->other,
                                                                 .error = (uint32_t)notice->error,
                                                                 .nanoseconds = notice->waited,
                                                                 .acquisition = lock->acquisition});
    if (lock_notify != NULL)
        lock_notify(lock, notice);
}

void lock_tell_fenced(struct lock *lock)
{
    publish_open(lock);
    registry_count(&lock->registry, COUNT_FENCED);
    if (!atomic_exchange(&lock->fence_told, true))
        lock_tell(lock, &(struct lock_notice){.kind = EVENT_FENCE, .error = ESTALE});
}

void lock_note_out_of_reach(struct lock *lock)
{
    if (!atomic_exchange(&lock->out_of_reach, true) && lock_is_held(lock))
        registry_out_of_reach(&lock->registry, lock->slot, lock_self.process);
}
