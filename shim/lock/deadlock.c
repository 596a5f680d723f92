/*
 * The search for cycles. Each process that waits while it holds something writes so into the
 * registries of what it holds, then looks: whoever closes a cycle sees all of it. Programs without
 * the shim show in the kernel's list of locks. It must never report a cycle that it did not see.
 */
#include "shim/lock/deadlock.h"

#include "shim/lock/command_member.h"
#include "shim/lock/kernel.h"
#include "shim/lock/kernel_locks.h"
#include "shim/lock/own.h"
#include "shim/lock/process.h"
#include "shim/lock/publish.h"
#include "shim/lock/relatives.h"

#include <string.h>

/* As many locks of the kernel's list as are looked at; of the memory for them only what is used. */
enum { DEPTH_MAXIMUM = 16, KERNEL_LINES = 1 << 17 };

struct search {
    const struct lock *wanted;
    uint64_t since;
    bool patient;
    struct kernel_lock *lines;
    int line_count;
    int depth;
    uint64_t visited[DEPTH_MAXIMUM + 1];
};

/* Held by this process, or by the command that it belongs to. */
static bool owner_holds(const struct lock *lock)
{
    return lock_is_held(lock) || command_has_locked(lock->entry);
}

/* Will it stay held for as long as this thread waits? */
static bool stays_held(const struct lock *lock)
{
    return owner_holds(lock) &&
           (lock->entry != NULL || lock_is_kept(lock) || lock->taker == lock_this_thread());
}

static bool count_held(struct lock *lock, void *context)
{
    if (stays_held(lock) && lock != ((struct search *)context)->wanted)
        ((struct search *)context)->depth++;
    return true;
}

static bool we_hold_another(const struct lock *wanted)
{
    struct search search = {.wanted = wanted};
    lock_each(count_held, &search);
    return search.depth > 0;
}

/* --- publishing --- */

/* How many of our words about being blocked stand in registries. */
static _Atomic int published;

struct publication {
    const struct lock *wanted;
    uint64_t since;
};

static size_t blocked_offset(int slot)
{
    return REGISTRY_OFFSET(blocked) + (size_t)slot * sizeof(struct registry_blocked);
}

static bool read_blocked(struct registry *registry, struct registry_blocked all[REGISTRY_BLOCKED])
{
    return registry_read(registry, REGISTRY_OFFSET(blocked), all, REGISTRY_BLOCKED * sizeof all[0]);
}

static bool write_blocked(struct registry *registry, int slot, const struct registry_blocked *own)
{
    struct registry_blocked found;
    return registry_write(registry, blocked_offset(slot), own, sizeof *own) &&
           registry_read(registry, blocked_offset(slot), &found, sizeof found) &&
           memcmp(&found, own, sizeof found) == 0;
}

static bool publish_in(struct lock *held, void *context)
{
    const struct publication *publication = context;
    const struct lock *wanted = publication->wanted;
    if (held == wanted || !stays_held(held))
        return true;
    if (held->entry != NULL) /* another member took it */
        publish_open_existing(held);
    struct registry_blocked all[REGISTRY_BLOCKED];
    const struct registry_blocked own = {.process = kernel_getpid(),
                                         .descriptor = atomic_load(&wanted->descriptor),
                                         .start_time = lock_self_start_time(),
                                         .device = wanted->device,
                                         .inode = wanted->inode,
                                         .since = publication->since};
    if (!read_blocked(&held->registry, all))
        return true;
    for (int i = 0; i < REGISTRY_BLOCKED; i++) {
        if (all[i].process != 0 && process_is_alive(all[i].process, all[i].start_time))
            continue;
        if (write_blocked(&held->registry, i, &own)) {
            atomic_fetch_add(&published, 1);
            return true;
        }
    }
    return true;
}

/* Takes our words out of a registry: those about `wanted`, or all. */
static void withdraw(struct registry *registry, const struct lock *wanted)
{
    static const struct registry_blocked none;
    struct registry_blocked all[REGISTRY_BLOCKED];
    if (!read_blocked(registry, all))
        return;
    for (int i = 0; i < REGISTRY_BLOCKED; i++) {
        if (all[i].process != lock_self.process ||
            (wanted != NULL && (all[i].inode != wanted->inode || all[i].device != wanted->device)))
            continue;
        (void)registry_write(registry, blocked_offset(i), &none, sizeof none);
        atomic_fetch_sub(&published, 1);
    }
}

static bool withdraw_from(struct lock *held, void *context)
{
    if (held != context)
        withdraw(&held->registry, context);
    return true;
}

bool deadlock_publish(struct lock *wanted, uint64_t since)
{
    struct publication publication = {wanted, since};
    if (!we_hold_another(wanted))
        return false;
    lock_each(publish_in, &publication);
    atomic_thread_fence(memory_order_seq_cst);
    return true;
}

void deadlock_withdraw(struct lock *wanted)
{
    if (atomic_load(&published) > 0)
        lock_each(withdraw_from, wanted);
}

void deadlock_released(struct lock *lock)
{
    if (__builtin_expect(atomic_load_explicit(&published, memory_order_relaxed) > 0, 0))
        withdraw(&lock->registry, NULL);
}

static bool keep_line(const struct kernel_lock *lock, void *context)
{
    struct search *search = context;
    search->lines[search->line_count++] = *lock;
    return search->line_count < KERNEL_LINES;
}

/* --- the search --- */

struct identity {
    uint64_t device, inode;
    bool held;
};

static bool is_held_by_us(struct lock *lock, void *context)
{
    struct identity *identity = context;
    identity->held =
        lock->inode == identity->inode && lock->device == identity->device && stays_held(lock);
    return !identity->held;
}

/* Held by us, or (a patient look) by one who waits for us. */
static bool we_hold(const struct search *search, uint64_t device, uint64_t inode)
{
    struct identity identity = {device, inode, false};
    lock_each(is_held_by_us, &identity);
    for (int i = 0; search->patient && !identity.held && i < search->line_count; i++) {
        const struct kernel_lock *line = &search->lines[i];
        identity.held = !line->waits && line->inode == inode && inode != search->wanted->inode &&
                        relatives_wait_for(line->process, kernel_getpid());
    }
    return identity.held;
}

static bool follow(struct search *search, const char *path, uint64_t inode);

#define TIME_TO_FIND 100000000u /* ns */

/* The lock file that another process is blocked on, as that process names it. */
static bool path_of_blocked(const struct registry_blocked *blocked, char *path, size_t size)
{
    char name[64];
    ssize_t length = kernel_readlinkat(
        AT_FDCWD, process_path(name, blocked->process, "fd", blocked->descriptor), path, size - 1);
    if (length <= 0 || path[0] != '/')
        return false;
    path[length] = '\0';
    return true;
}

static bool look_at_blocked(struct search *search, struct registry *registry)
{
    struct registry_blocked all[REGISTRY_BLOCKED];
    if (!registry_usable(registry) || !read_blocked(registry, all))
        return false;
    for (int i = 0; i < REGISTRY_BLOCKED; i++) {
        const struct registry_blocked *blocked = &all[i];
        pid_t process = blocked->process;
        uint64_t since = blocked->since;
        if (process == 0 || since == 0 || process == kernel_getpid() ||
            !process_is_alive(process, blocked->start_time))
            continue;
        /* Who began later than we did finds the cycle by itself, and is given the time to. */
        bool later = since > search->since || (since == search->since && process > kernel_getpid());
        if (later && (!search->patient || registry_now() < since + TIME_TO_FIND))
            continue;
        if (we_hold(search, blocked->device, blocked->inode))
            return true;
        char path[4096];
        bool named = path_of_blocked(blocked, path, sizeof path);
        if (follow(search, named ? path : NULL, blocked->inode))
            return true;
    }
    return false;
}

struct description_search {
    pid_t process;
    uint64_t inode;
    bool found;
};

static bool look_for_flock(long descriptor, void *context)
{
    struct description_search *search = context;
    char path[64], text[1024];
    struct stat status;
    if (kernel_fstatat(AT_FDCWD, process_path(path, search->process, "fd", descriptor), &status,
                       0) != 0 ||
        status.st_ino != search->inode)
        return true;
    process_path(path, search->process, "fdinfo", descriptor);
    search->found =
        process_read_file(path, text, sizeof text) > 0 && strstr(text, "FLOCK ") != NULL;
    return !search->found;
}

/*
 * Does the holder wait for this waiter? flock(1) waits for its command, and that for the next lock.
 * Where a shell has a child flock its descriptor, the list names a dead process, and whoever has
 * the description is the holder.
 */
static bool holder_waits_for(const struct kernel_lock *holder, pid_t waiter)
{
    if (waiter == holder->process || relatives_wait_for(holder->process, waiter))
        return true;
    if (process_is_alive(holder->process, 0))
        return false;
    struct description_search search = {waiter, holder->inode, false};
    char path[64];
    process_each_number(process_path(path, waiter, "fd", -1), look_for_flock, &search);
    return search.found;
}

static bool look_at_kernel_list(struct search *search, uint64_t inode)
{
    for (int i = 0; i < search->line_count; i++) {
        const struct kernel_lock *holder = &search->lines[i];
        if (holder->waits || holder->inode != inode || holder->process == kernel_getpid())
            continue;
        for (int j = 0; j < search->line_count; j++) {
            const struct kernel_lock *waiter = &search->lines[j];
            if (!waiter->waits || !holder_waits_for(holder, waiter->process))
                continue;
            if (we_hold(search, search->wanted->device, waiter->inode) ||
                follow(search, NULL, waiter->inode))
                return true;
        }
    }
    return false;
}

/* Do the holders of this lock, in the end, wait for one that we hold? */
static bool follow(struct search *search, const char *path, uint64_t inode)
{
    for (int i = 0; i < search->depth; i++) {
        if (search->visited[i] == inode)
            return false;
    }
    if (search->depth >= DEPTH_MAXIMUM)
        return false;
    search->visited[search->depth++] = inode;
    bool found = look_at_kernel_list(search, inode);
    if (!found && path != NULL) {
        struct registry registry;
        registry_open_existing(&registry, path);
        found = look_at_blocked(search, &registry);
        registry_close(&registry);
    }
    return found;
}

/* Where we hold nothing ourselves: is the holder blocked, or one that says nothing of itself? */
static bool holder_may_be_blocked(struct lock *wanted)
{
    struct registry_blocked all[REGISTRY_BLOCKED];
    struct registry_head head;
    if (!read_blocked(&wanted->registry, all) || !registry_look(&wanted->registry, &head))
        return true;
    for (int i = 0; i < REGISTRY_BLOCKED; i++) {
        if (all[i].process != 0)
            return true;
    }
    return !process_is_alive(head.exclusive.process, head.exclusive.start_time);
}

bool deadlock_found(struct lock *wanted, uint64_t since, bool patient)
{
    if (!we_hold_another(wanted) && (!patient || !holder_may_be_blocked(wanted)))
        return false;
    const size_t size = KERNEL_LINES * sizeof(struct kernel_lock);
    struct search search = {.wanted = wanted, .since = since, .patient = patient};
    search.lines = kernel_mmap(NULL, size, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (search.lines != NULL)
        kernel_locks_each(keep_line, &search);
    search.visited[search.depth++] = wanted->inode;
    bool found =
        look_at_blocked(&search, &wanted->registry) || look_at_kernel_list(&search, wanted->inode);
    if (search.lines != NULL)
        (void)kernel_munmap(search.lines, size);
    return found;
}
