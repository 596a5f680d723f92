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
    };
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
    atomic_store_explicit(&holder->process, self->process, memory_order_release);
}

/* Did the last holder die inside? Only whoever holds the lock may ask. */
static void look_at_mark(struct lock *lock, struct registry_layout *map)
{
    struct registry_mark *mark = &map->mark;
    uint32_t state = atomic_load(&mark->state);
    if (state == MARK_CLEAN)
        return;
    pid_t owner = atomic_load(&mark->process);
    /* Under a command the members' marks are the command's own. */
    if (lock->entry != NULL && command_has_changed(lock->entry))
        return;
    if (owner == lock_self.process && mark->start_time == lock_self_start_time())
        return;
    bool same_boot = mark->boot == lock->registry.boot;
    bool died = state == MARK_CHANGED && !(same_boot && process_is_alive(owner, mark->start_time));
    if (died)
        atomic_store(&map->crashed, 1);
    /* Of several shared holders one tells. */
    if (!atomic_compare_exchange_strong(&mark->state, &state, MARK_CLEAN))
        return;
    if (died) {
        registry_count(&lock->registry, COUNT_CRASHES);
        lock_tell(lock, &(struct lock_notice){.kind = EVENT_CRASH,
                                              .other = owner,
                                              .text = "the last holder died while changing the "
                                                      "table; it may be half-written"});
    }
}

static void write_mark(struct lock *lock)
{
    struct registry_mark *mark = &lock->registry.map->mark;
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
    lock->taker = lock_this_thread();
    atomic_store(&lock->changed, false);
    lock->acquisition++;
    if (lock->registry.map == NULL)
        return; /* publish_check_crash() has just asked */
    struct registry_layout *map = lock->registry.map;
    lock->acquisition = atomic_fetch_add(&map->acquisition, 1) + 1;
    lock->generation = atomic_load(&map->generation);
    registry_count(&lock->registry, COUNT_ACQUISITIONS);
    if ((lock->entry != NULL || atomic_load(&lock->waiting_threads) > 0) &&
        atomic_load(&map->waiting) > 0)
        registry_wake_companions(&lock->registry, lock_self.process,
                                 command_supervisor(lock->entry));
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
        atomic_fetch_add(&map->joined, 1);
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
        atomic_store(&map->reserved_until, registry_now() + LOCK_RESERVATION);
        atomic_store(&map->reserved_for, lock_self.process);
    } else if (atomic_load_explicit(&map->reserved_for, memory_order_relaxed) ==
               lock_self.process) {
        atomic_store(&map->reserved_for, 0);
    }
}

void lock_reserve(struct lock *lock)
{
    atomic_store(&lock->reserve, true);
}

void publish_leaving(struct lock *lock)
{
    if (!registry_usable(&lock->registry)) {
        atomic_store(&lock->changed, false);
        return;
    }
    struct registry_layout *map = lock->registry.map;
    publish_reservation(lock, map);
    if (atomic_exchange(&lock->changed, false)) {
        atomic_fetch_add(&map->generation, 1);
        lock->own_changes++;
        lock->generation++;
        if (lock->level == 0) {
            atomic_store(&map->mark.state, MARK_CLEAN);
            if (atomic_load_explicit(&map->crashed, memory_order_relaxed) != 0)
                atomic_store(&map->crashed, 0);
        }
    }
    clear_own_record(lock, map);
    deadlock_released(lock);
    if (lock->level > 0 && atomic_load(&map->joined) > 0)
        atomic_fetch_sub(&map->joined, 1);
}

/*
 * Called right after the unlock, on the strength of publish_leaving()'s look at the registry: a
 * waiter that queued up in between would else sleep a turn too long.
 */
void publish_released(struct lock *lock)
{
    struct registry_layout *map = lock->registry.map;
    if (map == NULL || atomic_load_explicit(&map->waiting, memory_order_seq_cst) == 0)
        return;
    registry_wake(&lock->registry);
}

/* Did the last holder die inside, and does that keep us out? */
int publish_check_crash(struct lock *lock)
{
    struct registry_layout *map = lock->registry.map;
    if (map == NULL || lock->level > 0)
        return 0;
    look_at_mark(lock, map);
    return lock->on_crash == ON_CRASH_FAIL && atomic_load(&map->crashed) != 0 ? -EOWNERDEAD : 0;
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

void lock_process_ends(struct lock *lock)
{
    if (!lock_is_held(lock) || lock->level > 0 || !registry_usable(&lock->registry))
        return;
    struct registry_layout *map = lock->registry.map;
    struct registry_mark *mark = &map->mark;
    if (!atomic_load(&lock->changed) || atomic_load(&mark->process) != lock_self.process)
        return;
    /* Still the holder until the kernel says otherwise: stdio is flushed after this. */
    if (lock->entry == NULL)
        atomic_fetch_add(&map->generation, 1);
    atomic_store(&map->crashed, 0);
    atomic_store(&mark->state, MARK_ENDING);
}

void lock_process_goes_on(struct lock *lock)
{
    if (!atomic_load(&lock->changed) || !registry_usable(&lock->registry))
        return;
    struct registry_mark *mark = &lock->registry.map->mark;
    if (atomic_load(&mark->process) == lock_self.process)
        atomic_store(&mark->state, MARK_CHANGED);
}

uint64_t lock_generation(struct lock *lock)
{
    publish_open(lock);
    return registry_usable(&lock->registry) ? atomic_load(&lock->registry.map->generation)
                                            : lock->generation;
}

/* After exec: the registry still names this process as the holder. */
void publish_adopted(struct lock *lock)
{
    lock->acquired_at = registry_now();
    lock->taker = lock_this_thread();
    if (!registry_usable(&lock->registry))
        return;
    struct registry_layout *map = lock->registry.map;
    lock->acquisition = map->exclusive.acquisition;
    lock->generation = atomic_load(&map->generation);
    bool marked = atomic_load(&map->mark.process) == lock_self.process &&
                  atomic_load(&map->mark.state) != MARK_CLEAN;
    if (marked) /* what an ending program had settled is unsettled again: it went on */
        atomic_store(&map->mark.state, MARK_CHANGED);
    atomic_store(&lock->changed, marked);
    struct registry_holder self = describe_self(lock, lock_self.process);
    write_exclusive(map, &self);
}

void lock_tell(struct lock *lock, const struct lock_notice *notice)
{
    if (notice->kind != EVENT_NONE && registry_usable(&lock->registry))
        registry_event(&lock->registry, notice->kind, notice->other, notice->error, notice->waited);
    if (lock_notify != NULL)
        lock_notify(lock, notice);
}
