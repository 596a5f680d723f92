/*
 * Taking and letting go. The order of steps stands in lock.h. This file must never let go while
 * there are users, and never go on without the lock.
 */
#include "shim/lock/lock.h"

#include "shim/lock/command_member.h"
#include "shim/lock/kernel.h"
#include "shim/lock/own.h"
#include "shim/lock/process.h"

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

/* The path of the lock file is compared with what we have open at most this often (ns). */
#define PATH_CHECK_INTERVAL 4000000u

struct lock_self lock_self;
void (*lock_notify)(const struct lock *lock, const struct lock_notice *notice);

uint64_t lock_self_start_time(void)
{
    if (lock_self.start_time == 0)
        lock_self.start_time = process_start_time(kernel_getpid());
    return lock_self.start_time;
}

/* --- opening the lock file --- */

static int open_existing(const char *path)
{
    int descriptor = kernel_openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
    /* Enough for flock on a local file system, where the file may not be written. */
    if (descriptor == -EACCES || descriptor == -EROFS || descriptor == -EPERM)
        descriptor = kernel_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
    return descriptor;
}

/* A new lock file lets in whoever may use the table. */
static void open_to_users(int descriptor, const char *table_path)
{
    struct stat table, own;
    if (table_path == NULL || kernel_fstatat(AT_FDCWD, table_path, &table, 0) != 0 ||
        kernel_fstat(descriptor, &own) != 0)
        return;
    if (table.st_uid != own.st_uid || table.st_gid != own.st_gid) {
        if (KERNEL_CALL(SYS_fchown, descriptor, table.st_uid, table.st_gid, 0, 0, 0) != 0)
            (void)KERNEL_CALL(SYS_fchown, descriptor, -1, table.st_gid, 0, 0, 0);
    }
    (void)KERNEL_CALL(SYS_fchmod, descriptor, table.st_mode & 0666, 0, 0, 0, 0);
}

int lock_open_file(const char *path, const char *table_path)
{
    for (int attempt = 0; attempt < 16; attempt++) {
        /* Without O_CREAT first: fs.protected_regular refuses it on others' files in /tmp. */
        int descriptor = open_existing(path);
        if (descriptor != -ENOENT)
            return descriptor;
        descriptor = kernel_openat(
            AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0666);
        if (descriptor >= 0) {
            open_to_users(descriptor, table_path);
            return descriptor;
        }
        if (descriptor != -EEXIST)
            return descriptor;
    }
    return -ENOENT;
}

static int open_descriptor(struct lock *lock)
{
    int descriptor = lock_open_file(lock->path, lock->table_path);
    if (descriptor < 0)
        return descriptor;
    struct stat status;
    int result = kernel_fstat(descriptor, &status);
    if (result == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
        result = -ENOLCK;
    if (result != 0) {
        (void)kernel_close(descriptor);
        return result;
    }
    descriptor = own_adopt(descriptor);
    int none = -1;
    if (!atomic_compare_exchange_strong(&lock->descriptor, &none, descriptor)) {
        own_close(descriptor); /* another thread was faster */
        return 0;
    }
    lock->device = status.st_dev;
    lock->inode = status.st_ino;
    lock->path_checked = 0;
    return 0;
}

static void close_descriptor(struct lock *lock, int descriptor)
{
    int expected = descriptor;
    if (atomic_compare_exchange_strong(&lock->descriptor, &expected, -1))
        own_close(descriptor);
}

/* --- one attempt --- */

static uint64_t coarse_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/*
 * Is what we have locked the file at the path? An unlinked or overwritten lock file shows at once
 * by its link count; one that was renamed away shows at the next look at the path, at most 4 ms
 * later. A descriptor that the program closed behind our back shows by its inode.
 */
static bool still_in_place(struct lock *lock, int descriptor)
{
    struct stat status;
    if (kernel_fstat(descriptor, &status) != 0 || status.st_dev != lock->device ||
        status.st_ino != lock->inode || status.st_nlink == 0)
        return false;
    uint64_t now = coarse_now();
    if (lock->path_checked != 0 && now - lock->path_checked < PATH_CHECK_INTERVAL)
        return true;
    if (kernel_fstatat(AT_FDCWD, lock->path, &status, 0) != 0 || status.st_dev != lock->device ||
        status.st_ino != lock->inode)
        return false;
    lock->path_checked = now;
    return true;
}

bool lock_range_taken(int descriptor, int from_level)
{
    struct flock range = {.l_type = F_WRLCK,
                          .l_whence = SEEK_SET,
                          .l_start = LOCK_LEVEL_OFFSET + from_level,
                          .l_len = LOCK_LEVELS};
    if (kernel_fcntl(descriptor, F_OFD_GETLK, (long)&range) != 0)
        return false;
    return range.l_type != F_UNLCK && range.l_pid == -1;
}

/*
 * Those who joined the last holder are looked for in the kernel, where the registry does not say
 * that there are none; what the registry says is enough only in a loop of short sessions.
 */
static bool joined_inside(struct lock *lock, int descriptor)
{
    struct registry_layout *map = lock->registry.map;
    bool often = lock->scope == SCOPE_SESSION || lock->scope == SCOPE_CALL;
    if (often && map != NULL && lock->acquisition != 0 && registry_usable(&lock->registry) &&
        atomic_load_explicit(&map->joined, memory_order_acquire) == 0)
        return false;
    return lock_range_taken(descriptor, 1);
}

static void replace_descriptor(struct lock *lock, int descriptor)
{
    lock_tell(lock, &(struct lock_notice){.kind = EVENT_REPLACED,
                                          .text = "the lock file was removed or replaced"});
    (void)kernel_flock(descriptor, LOCK_UN);
    close_descriptor(lock, descriptor);
}

int lock_attempt(struct lock *lock)
{
    for (int attempt = 0; attempt < 64; attempt++) {
        int descriptor = atomic_load(&lock->descriptor);
        if (descriptor < 0) {
            int result = lock->entry != NULL ? command_open_again(lock) : open_descriptor(lock);
            if (result != 0)
                return result;
            continue;
        }
        int result;
        do
            result = kernel_flock(descriptor, (lock->shared ? LOCK_SH : LOCK_EX) | LOCK_NB);
        while (result == -EINTR);
        if (result == -EBADF) {
            own_forget(descriptor);
            atomic_compare_exchange_strong(&lock->descriptor, &descriptor, -1);
            continue;
        }
        if (result == -EINVAL || result == -EOPNOTSUPP || result == -ENOSYS)
            return -ENOLCK;
        if (result != 0)
            return result;
        if (!still_in_place(lock, descriptor)) {
            replace_descriptor(lock, descriptor);
            continue;
        }
        if (joined_inside(lock, descriptor)) {
            (void)kernel_flock(descriptor, LOCK_UN);
            return -EWOULDBLOCK;
        }
        lock->level = 0;
        return 0;
    }
    return -ENOLCK;
}

/* --- the registry's side of taking and letting go --- */

static void open_registry(struct lock *lock)
{
    if (lock->registry_opened)
        return;
    lock->registry_opened = true;
    registry_open(&lock->registry, lock->path, lock->table_path, false);
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
    if (owner == kernel_getpid() && mark->start_time == lock_self_start_time())
        return;
    bool same_boot = mark->boot == lock->registry.boot;
    if (state == MARK_CHANGED && !(same_boot && process_is_alive(owner, mark->start_time))) {
        atomic_store(&map->crashed, 1);
        registry_count(&lock->registry, COUNT_CRASHES);
        lock_tell(lock, &(struct lock_notice){.kind = EVENT_CRASH,
                                              .other = owner,
                                              .text = "the last holder died while changing the "
                                                      "table; it may be half-written"});
    }
    atomic_store(&mark->state, MARK_CLEAN);
}

/* The lock is ours: says so to the others. */
static void entered(struct lock *lock)
{
    lock->acquired_at = registry_now();
    atomic_store(&lock->changed, false);
    lock->acquisition++;
    if (lock->registry.map == NULL)
        return; /* check_crash has just asked */
    struct registry_layout *map = lock->registry.map;
    lock->acquisition = atomic_fetch_add(&map->acquisition, 1) + 1;
    lock->generation = atomic_load(&map->generation);
    registry_count(&lock->registry, COUNT_ACQUISITIONS);
    struct registry_holder self = describe_self(lock, kernel_getpid());
    if (lock->entry != NULL)
        command_note_locked(lock->entry);
    if (!lock->shared && lock->level == 0) {
        write_exclusive(map, &self);
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
        int32_t self = kernel_getpid();
        atomic_compare_exchange_strong(&lock->slot->process, &self, 0);
        lock->slot = NULL;
    } else if (!lock->shared && lock->level == 0) {
        atomic_store(&map->exclusive.process, 0);
    }
}

static void leaving(struct lock *lock)
{
    if (!registry_usable(&lock->registry))
        return;
    struct registry_layout *map = lock->registry.map;
    if (atomic_exchange(&lock->changed, false)) {
        atomic_fetch_add(&map->generation, 1);
        lock->own_changes++;
        if (lock->level == 0) {
            atomic_store(&map->mark.state, MARK_CLEAN);
            if (atomic_load_explicit(&map->crashed, memory_order_relaxed) != 0)
                atomic_store(&map->crashed, 0);
        }
    }
    clear_own_record(lock, map);
    if (lock->level > 0 && atomic_load(&map->joined) > 0)
        atomic_fetch_sub(&map->joined, 1);
}

static void wake_waiter(struct lock *lock)
{
    struct registry_layout *map = lock->registry.map;
    if (map == NULL || !registry_usable(&lock->registry) ||
        atomic_load_explicit(&map->waiting, memory_order_acquire) == 0)
        return;
    atomic_fetch_add(&map->release_sequence, 1);
    (void)kernel_futex_wake(&map->release_sequence, 3);
}

static void unlock(struct lock *lock, int descriptor, int level)
{
    if (level > 0) {
        struct flock range = {.l_type = F_UNLCK,
                              .l_whence = SEEK_SET,
                              .l_start = LOCK_LEVEL_OFFSET + level,
                              .l_len = 1};
        (void)kernel_fcntl(descriptor, F_OFD_SETLK, (long)&range);
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

/* A number that no two threads share, without a system call. */
static uintptr_t this_thread(void)
{
    return (uintptr_t)&errno;
}

static void let_go(struct lock *lock, uint64_t releasing)
{
    int descriptor = atomic_load(&lock->descriptor);
    int level = lock->level;
    leaving(lock);
    unlock(lock, descriptor, level);
    lock->level = 0;
    uint64_t free_state = (releasing & EPOCH_MASK) + EPOCH_ONE;
    if (!atomic_compare_exchange_strong(&lock->state, &releasing, free_state)) {
        /* A signal handler of this thread went ahead on a description of its own. */
        own_close(descriptor);
        return;
    }
    wake_waiter(lock);
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

/* Did the last holder die inside, and does that keep us out? */
static int check_crash(struct lock *lock)
{
    if (lock->level > 0 || !registry_usable(&lock->registry))
        return 0;
    struct registry_layout *map = lock->registry.map;
    if (!lock->shared)
        look_at_mark(lock, map);
    if (lock->on_crash != ON_CRASH_FAIL || atomic_load(&map->crashed) == 0)
        return 0;
    unlock(lock, atomic_load(&lock->descriptor), 0);
    wake_waiter(lock);
    return -EOWNERDEAD;
}

static int take(struct lock *lock, int64_t timeout)
{
    lock->waited = false;
    if (lock->entry != NULL) {
        int result = command_register(lock->entry);
        if (result == COMMAND_IS_OVER)
            lock_leave_command(lock);
        else if (result != 0)
            return result;
    }
    int result = lock_attempt(lock);
    open_registry(lock);
    if (result == -EWOULDBLOCK)
        result = lock_wait(lock, timeout);
    return result == 0 ? check_crash(lock) : result;
}

/*
 * A vfork child lives in its parent's memory but has descriptors of its own: what it takes must not
 * show in that memory. Its description stays open over the exec that is to come, and the program
 * then goes on as its owner; the members of a command share theirs anyway.
 */
static int take_in_vfork_child(struct lock *lock, int64_t timeout)
{
    if (lock->entry != NULL)
        return take(lock, timeout);
    struct lock own = *lock;
    atomic_store(&own.descriptor, -1);
    atomic_store(&own.borrowed, -1);
    int result = take(&own, timeout);
    if (result != 0)
        return result;
    entered(&own);
    int descriptor = atomic_load(&own.descriptor);
    own_forget(descriptor);
    (void)kernel_fcntl(descriptor, F_SETFD, 0);
    return 0;
}

int lock_enter(struct lock *lock, int64_t timeout, bool keep)
{
    uint64_t kept = keep ? KEPT : 0;
    for (;;) {
        uint64_t state = atomic_load(&lock->state);
        if ((state & RELEASING) != 0) {
            if (atomic_load(&lock->releaser) == this_thread())
                overtake_release(lock, state);
            else
                kernel_yield();
            continue;
        }
        if ((state & HELD) != 0) {
            if (atomic_compare_exchange_weak(&lock->state, &state, (state + 1) | kept))
                return 0;
            continue;
        }
        if (kernel_getpid() != atomic_load(&lock_self.process))
            return take_in_vfork_child(lock, timeout);
        int result = take(lock, timeout);
        if (result != 0)
            return result;
        uint64_t held = (state & EPOCH_MASK) | HELD | kept | 1;
        if (!atomic_compare_exchange_strong(&lock->state, &state, held))
            continue; /* another thread was faster, and may have let go since */
        entered(lock);
        return 0;
    }
}

void lock_leave(struct lock *lock)
{
    uint64_t state = atomic_load(&lock->state);
    for (;;) {
        if ((state & USERS_MASK) == 0)
            return;
        if ((state & KEPT) != 0 || (state & USERS_MASK) > 1) {
            if (atomic_compare_exchange_weak(&lock->state, &state, state - 1))
                return;
            continue;
        }
        uint64_t releasing = (state & EPOCH_MASK) | RELEASING;
        atomic_store(&lock->releaser, this_thread());
        if (atomic_compare_exchange_weak(&lock->state, &state, releasing)) {
            let_go(lock, releasing);
            return;
        }
    }
}

bool lock_is_held(const struct lock *lock)
{
    return (atomic_load(&lock->state) & HELD) != 0;
}

uint32_t lock_users(const struct lock *lock)
{
    return (uint32_t)(atomic_load(&lock->state) & USERS_MASK);
}

int lock_before_change(struct lock *lock)
{
    if (atomic_load_explicit(&lock->changed, memory_order_relaxed) && lock->entry == NULL)
        return 0;
    bool first = !atomic_exchange(&lock->changed, true);
    if (!registry_usable(&lock->registry) || lock->level > 0)
        return 0;
    struct registry_mark *mark = &lock->registry.map->mark;
    pid_t self = lock->entry != NULL ? kernel_getpid() : lock_self.process;
    if (!first && atomic_load(&mark->process) == self)
        return 0;
    if (lock->entry != NULL)
        command_note_change(lock->entry);
    mark->start_time = lock_self_start_time();
    mark->boot = lock->registry.boot;
    mark->acquisition = lock->acquisition;
    atomic_store(&mark->process, kernel_getpid());
    atomic_store(&mark->state, MARK_CHANGED);
    return 0;
}

void lock_process_ends(struct lock *lock)
{
    if (!lock_is_held(lock) || lock->level > 0 || !registry_usable(&lock->registry))
        return;
    struct registry_layout *map = lock->registry.map;
    struct registry_mark *mark = &map->mark;
    if (!atomic_load(&lock->changed) || atomic_load(&mark->process) != kernel_getpid())
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
    if (atomic_load(&mark->process) == kernel_getpid())
        atomic_store(&mark->state, MARK_CHANGED);
}

void lock_forked(struct lock *lock)
{
    if (lock->entry == NULL) {
        lock_abandon(lock);
        return;
    }
    atomic_store(&lock->state, 0);
    atomic_store(&lock->changed, false);
    lock->slot = NULL;
}

void lock_leave_command(struct lock *lock)
{
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
    lock->slot = NULL;
}

void lock_survive_exec(struct lock *lock, bool survive)
{
    int borrowed = atomic_load(&lock->borrowed);
    int descriptor = borrowed >= 0 ? borrowed : atomic_load(&lock->descriptor);
    if (descriptor >= 0 && lock->entry == NULL && (!survive || lock_is_held(lock)))
        (void)kernel_fcntl(descriptor, F_SETFD, survive ? 0 : FD_CLOEXEC);
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
    /* One flock more changes nothing where the description has the lock, and tells whether it has. */
    if (kernel_flock(descriptor, (lock->shared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0)
        return;
    open_registry(lock);
    atomic_store(&lock->state, HELD | (keep ? KEPT : 0) | 1);
    lock->acquired_at = registry_now();
    if (!registry_usable(&lock->registry))
        return;
    struct registry_layout *map = lock->registry.map;
    lock->acquisition = map->exclusive.acquisition;
    lock->generation = atomic_load(&map->generation);
    bool marked = atomic_load(&map->mark.process) == kernel_getpid() &&
                  atomic_load(&map->mark.state) != MARK_CLEAN;
    if (marked) /* what an ending program had settled is unsettled again: it went on */
        atomic_store(&map->mark.state, MARK_CHANGED);
    atomic_store(&lock->changed, marked);
    struct registry_holder self = describe_self(lock, kernel_getpid());
    write_exclusive(map, &self);
}

void lock_tell(struct lock *lock, const struct lock_notice *notice)
{
    if (notice->kind != EVENT_NONE && registry_usable(&lock->registry))
        registry_event(&lock->registry, notice->kind, notice->other, notice->error,
                       notice->waited);
    if (lock_notify != NULL)
        lock_notify(lock, notice);
}
