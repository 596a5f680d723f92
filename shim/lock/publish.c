/*
 * What taking, changing and letting go write into the registry, and what they read there about the
 * last holder. Nothing here decides who holds.
 */
#include "shim/lock/publish.h"

#include "shim/lock/command_member.h"
#include "shim/lock/deadlock.h"
#include "shim/lock/kernel.h"
#include "shim/lock/own.h"
#include "shim/lock/process.h"

#include <errno.h>

void publish_open(struct lock *lock)
{
    if (lock->registry_opened)
        return;
    lock->registry_opened = true;
    static _Atomic bool looked;
    if (lock_self_is_here() && !atomic_exchange(&looked, true))
        lock_self_look_at_objects();
    registry_open(&lock->registry, lock->path, lock->table_path, false);
}

/* At most once a second: where there can be no registry, none is looked for at every turn. */
#define MEND_INTERVAL 1000000000u

void publish_mend(struct lock *lock)
{
    uint64_t now = registry_now();
    if (lock->registry_mended != 0 && now - lock->registry_mended < MEND_INTERVAL)
        return;
    lock->registry_mended = now;
    if (lock->registry.descriptor >= 0) /* the old map stays: another thread may be inside */
        own_close(lock->registry.descriptor);
    registry_open(&lock->registry, lock->path, lock->table_path, true);
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
    };
}

/* What lockctl compares before it believes that it has found our fence. */
static void mark_fence(struct lock *lock)
{
    lock->fence.magic = FENCE_MAGIC;
    lock->fence.device = lock->device;
    lock->fence.inode = lock->inode;
    atomic_store(&lock->fence.acquisition, lock->acquisition);
}

static void write_exclusive(struct registry_layout *map, const struct registry_holder *self)
{
    struct registry_holder *holder = &map->exclusive;
    holder->mode = self->mode;
    holder->start_time = self->start_time;
    holder->since = self->since;
    holder->acquisition = self->acquisition;
    holder->pid_namespace = self->pid_namespace;
    holder->scope = self->scope;
    holder->descriptor = self->descriptor;
    holder->level = self->level;
    holder->supervisor = self->supervisor;
    holder->last_touch = self->last_touch;
    holder->boot = self->boot;
    holder->fence = self->fence;
    holder->thread = self->thread;
    holder->out_of_reach = self->out_of_reach;
    atomic_store_explicit(&holder->process, self->process, memory_order_release);
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
    bool died = state == MARK_CHANGED &&
                (broken || !(same_boot && process_is_alive(owner, mark->start_time)));
    if (!registry_usable(&lock->registry))
        return;
    struct registry_head *shared = &lock->registry.map->head;
    if (died) {
        atomic_store(&head->crashed, 1);
        atomic_store(&shared->crashed, 1);
    }
    /* Of several shared holders one tells. */
    if (!atomic_compare_exchange_strong(&shared->mark.state, &state, MARK_CLEAN))
        return;
    if (died) {
        registry_count(&lock->registry, COUNT_CRASHES);
        lock_tell(lock, &(struct lock_notice){.kind = EVENT_CRASH,
                                              .other = owner,
                                              .text = "the last holder died, or was broken, "
                                                      "while changing the table; it may be "
                                                      "half-written"});
    }
}

static void write_mark(struct lock *lock)
{
    struct registry_mark *mark = &lock->registry.map->head.mark;
    mark->start_time = lock_self_start_time();
    mark->boot = lock->registry.boot;
    mark->acquisition = lock->acquisition;
    atomic_store_explicit(&mark->process, lock_self.process, memory_order_relaxed);
    atomic_store_explicit(&mark->state, MARK_CHANGED, memory_order_release);
    atomic_store_explicit(&lock->changed, true, memory_order_release);
    if (lock->entry != NULL)
        command_note_change(lock->entry, lock_self.process);
}

/* The lock is ours: says so to the others. */
void publish_entered(struct lock *lock, bool changes)
{
    lock->acquired_at = registry_now();
    atomic_store_explicit(&lock->touched_at, lock->acquired_at, memory_order_relaxed);
    lock->taker = lock_this_thread();
    atomic_store(&lock->changed, false);
    lock->acquisition++;
    if (lock->registry.map == NULL)
        return; /* lock_attempt() has just looked */
    struct registry_layout *map = lock->registry.map;
    lock->acquisition = atomic_fetch_add(&map->head.acquisition, 1) + 1;
    lock->generation = atomic_load(&map->head.generation);
    registry_count(&lock->registry, COUNT_ACQUISITIONS);
    if ((lock->entry != NULL || atomic_load(&lock->waiting_threads) > 0) &&
        atomic_load(&map->head.waiting) > 0)
        registry_wake_companions(&lock->registry, lock_self.process,
                                 command_supervisor(lock->entry));
    mark_fence(lock);
    struct registry_holder self = describe_self(lock, lock_self.process);
    if (lock->entry != NULL)
        command_note_locked(lock->entry);
    if (!lock->shared && lock->level == 0) {
        write_exclusive(map, &self);
        if (changes)
            write_mark(lock);
        if (lock->entry == NULL)
            return;
    }
    if (lock->level > 0) {
        atomic_fetch_add(&map->head.joined, 1);
        registry_count(&lock->registry, COUNT_JOINED);
    }
    lock->slot = registry_claim_holder(&lock->registry, &self);
}

static void clear_own_record(struct lock *lock, struct registry_layout *map)
{
    if (lock->slot != NULL) {
        int32_t self = lock_self.process;
        atomic_compare_exchange_strong(&lock->slot->process, &self, 0);
        lock->slot = NULL;
    } else if (!lock->shared && lock->level == 0) {
        atomic_store(&map->exclusive.process, 0);
    }
}

static void publish_reservation(struct lock *lock, struct registry_layout *map)
{
    if (atomic_load_explicit(&lock->reserve, memory_order_relaxed)) {
        atomic_store(&lock->reserve, false);
        atomic_store(&map->head.reserved_until, registry_now() + LOCK_RESERVATION);
        atomic_store(&map->head.reserved_for, lock_self.process);
    } else if (atomic_load_explicit(&map->head.reserved_for, memory_order_relaxed) ==
               lock_self.process) {
        atomic_store(&map->head.reserved_for, 0);
    }
}

void lock_reserve(struct lock *lock)
{
    atomic_store(&lock->reserve, true);
}

bool publish_leaving(struct lock *lock)
{
    uint64_t now = registry_now();
    if (!registry_usable(&lock->registry)) {
        atomic_store(&lock->changed, false);
        return false;
    }
    struct registry_layout *map = lock->registry.map;
    publish_reservation(lock, map);
    if (atomic_exchange(&lock->changed, false)) {
        atomic_fetch_add(&map->head.generation, 1);
        lock->own_changes++;
        lock->generation++;
        if (lock->level == 0) {
            atomic_store(&map->head.mark.state, MARK_CLEAN);
            if (atomic_load_explicit(&map->head.crashed, memory_order_relaxed) != 0)
                atomic_store(&map->head.crashed, 0);
        }
    }
    registry_time(&map->hold_times, now - lock->acquired_at);
    clear_own_record(lock, map);
    if (lock->level > 0 && atomic_load(&map->head.joined) > 0)
        atomic_fetch_sub(&map->head.joined, 1);
    bool waiters = atomic_load_explicit(&map->head.waiting, memory_order_seq_cst) > 0;
    deadlock_released(lock);
    return waiters;
}

/* Did the last holder die inside, and does that keep us out? */
int publish_check_crash(struct lock *lock, struct registry_head *head)
{
    if (lock->level > 0)
        return 0;
    if (head->mark.state != MARK_CLEAN)
        look_at_mark(lock, head);
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
    if (!lock_is_held(lock) || !registry_usable(&lock->registry))
        return;
    struct registry_holder *slot = lock->slot != NULL ? lock->slot : &lock->registry.map->exclusive;
    if (atomic_load(&slot->process) == lock_self.process)
        atomic_store_explicit(&slot->last_touch, now, memory_order_relaxed);
}

int lock_before_change(struct lock *lock)
{
    bool marked = atomic_load_explicit(&lock->changed, memory_order_relaxed);
    if (marked && (lock->entry == NULL || command_last_changer(lock->entry) == lock_self.process))
        return 0;
    if (lock->level > 0 || !registry_usable(&lock->registry)) {
        atomic_store(&lock->changed, true);
        if (lock->entry != NULL)
            command_note_change(lock->entry, lock_self.process);
        return 0;
    }
    write_mark(lock);
    return 0;
}

static void settle(struct lock *lock)
{
    if (!lock_is_held(lock) || lock->level > 0 || !registry_usable(&lock->registry))
        return;
    struct registry_layout *map = lock->registry.map;
    struct registry_mark *mark = &map->head.mark;
    if (!atomic_load(&lock->changed) || atomic_load(&mark->process) != lock_self.process)
        return;
    /* Still the holder until the kernel says otherwise: stdio is flushed after this. */
    if (lock->entry == NULL)
        atomic_fetch_add(&map->head.generation, 1);
    atomic_store(&map->head.crashed, 0);
    atomic_store(&mark->state, MARK_ENDING);
}

void lock_process_ends(struct lock *lock)
{
    if (fence_begin(&lock->fence))
        settle(lock);
    fence_end(&lock->fence);
}

void lock_process_goes_on(struct lock *lock)
{
    if (fence_is_raised(&lock->fence) || !atomic_load(&lock->changed) ||
        !registry_usable(&lock->registry))
        return;
    struct registry_mark *mark = &lock->registry.map->head.mark;
    if (atomic_load(&mark->process) == lock_self.process)
        atomic_store(&mark->state, MARK_CHANGED);
}

uint64_t lock_generation(struct lock *lock)
{
    publish_open(lock);
    return registry_usable(&lock->registry) ? atomic_load(&lock->registry.map->head.generation)
                                            : lock->generation;
}

/*
 * The registry must still name this process (or the parent, which it shared its memory with when
 * the lock was taken before the exec). Without a registry nothing is broken by acquisition.
 */
bool publish_was_broken(struct lock *lock)
{
    if (!registry_usable(&lock->registry) || lock->shared)
        return false;
    const struct registry_layout *map = lock->registry.map;
    uint64_t broken = atomic_load(&((struct registry_layout *)map)->head.broken);
    if (broken == 0)
        return false;
    pid_t holder = atomic_load(&((struct registry_layout *)map)->exclusive.process);
    bool ours =
        holder == lock_self.process || holder == (pid_t)KERNEL_CALL(SYS_getppid, 0, 0, 0, 0, 0, 0);
    return !ours || map->exclusive.acquisition == broken;
}

/* After exec: the registry still names this process as the holder. */
void publish_adopted(struct lock *lock)
{
    lock->acquired_at = registry_now();
    atomic_store_explicit(&lock->touched_at, lock->acquired_at, memory_order_relaxed);
    lock->taker = lock_this_thread();
    if (!registry_usable(&lock->registry))
        return;
    struct registry_layout *map = lock->registry.map;
    lock->acquisition = map->exclusive.acquisition;
    lock->generation = atomic_load(&map->head.generation);
    bool marked = atomic_load(&map->head.mark.process) == lock_self.process &&
                  atomic_load(&map->head.mark.state) != MARK_CLEAN;
    if (marked) /* what an ending program had settled is unsettled again: it went on */
        atomic_store(&map->head.mark.state, MARK_CHANGED);
    atomic_store(&lock->changed, marked);
    mark_fence(lock);
    struct registry_holder self = describe_self(lock, lock_self.process);
    write_exclusive(map, &self);
}

void lock_tell(struct lock *lock, const struct lock_notice *notice)
{
    if (notice->kind != EVENT_NONE && registry_usable(&lock->registry))
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
    if (registry_usable(&lock->registry))
        registry_count(&lock->registry, COUNT_FENCED);
    if (!atomic_exchange(&lock->fence_told, true))
        lock_tell(lock, &(struct lock_notice){.kind = EVENT_FENCE, .error = ESTALE});
}

void lock_note_out_of_reach(struct lock *lock)
{
    if (atomic_exchange(&lock->out_of_reach, true) || !lock_is_held(lock) ||
        !registry_usable(&lock->registry))
        return;
    struct registry_holder *slot = lock->slot != NULL ? lock->slot : &lock->registry.map->exclusive;
    if (atomic_load(&slot->process) == lock_self.process)
        slot->out_of_reach = 1;
}
