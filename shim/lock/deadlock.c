/*
 * The search for cycles. Each process that waits while it holds something writes so into the
 * registries of what it holds, then looks: whoever closes a cycle sees all of it. Programs without
 * the shim show in the kernel's list of locks. It must never report a cycle that it did not see.
 */
#include "shim/lock/deadlock.h"

#include "shim/lock/command_member.h"
#include "shim/lock/kernel.h"
#include "shim/lock/own.h"
#include "shim/lock/process.h"

#include <string.h>

enum { DEPTH_MAXIMUM = 16, KERNEL_LINES = 256 };

/* A line of /proc/locks that matters here. */
struct kernel_lock {
    pid_t process;
    bool waits;
    uint64_t inode;
};

struct search {
    const struct lock *wanted;
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

static bool count_held(struct lock *lock, void *context)
{
    if (owner_holds(lock) && lock != ((struct search *)context)->wanted)
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

static bool publish_in(struct lock *held, void *context)
{
    const struct lock *wanted = context;
    if (held == wanted || !owner_holds(held))
        return true;
    if (held->registry.map == NULL && held->entry != NULL) /* another member took it */
        registry_open_existing(&held->registry, held->path);
    if (!registry_usable(&held->registry))
        return true;
    for (int i = 0; i < REGISTRY_BLOCKED; i++) {
        struct registry_blocked *slot = &held->registry.map->blocked[i];
        int32_t owner = atomic_load(&slot->process);
        if (owner != 0 && process_is_alive(owner, slot->start_time))
            continue;
        if (!atomic_compare_exchange_strong(&slot->process, &owner, kernel_getpid()))
            continue;
        slot->start_time = lock_self_start_time();
        slot->device = wanted->device;
        slot->inode = wanted->inode;
        slot->descriptor = atomic_load(&wanted->descriptor);
        return true;
    }
    return true;
}

static bool withdraw_from(struct lock *held, void *context)
{
    const struct lock *wanted = context;
    if (held == wanted || !owner_holds(held) || !registry_usable(&held->registry))
        return true;
    for (int i = 0; i < REGISTRY_BLOCKED; i++) {
        struct registry_blocked *slot = &held->registry.map->blocked[i];
        int32_t self = kernel_getpid();
        if (slot->inode == wanted->inode && slot->device == wanted->device)
            atomic_compare_exchange_strong(&slot->process, &self, 0);
    }
    return true;
}

void deadlock_publish(struct lock *wanted)
{
    lock_each(publish_in, wanted);
    atomic_thread_fence(memory_order_seq_cst);
}

void deadlock_withdraw(struct lock *wanted)
{
    lock_each(withdraw_from, wanted);
}

/* --- the kernel's list --- */

static const char *parse_number(const char *at, uint64_t *number)
{
    *number = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        *number = *number * 10 + (uint64_t)(*at - '0');
    return at;
}

/* "1: -> FLOCK  ADVISORY  WRITE 4711 fd:01:42 0 EOF" */
static void parse_line(struct search *search, char *line)
{
    char *save = NULL;
    char *words[8];
    int count = 0;
    for (char *word = strtok_r(line, " ", &save); word != NULL && count < 8;
         word = strtok_r(NULL, " ", &save))
        words[count++] = word;
    bool is_waiter = count > 1 && strcmp(words[1], "->") == 0;
    int at = is_waiter ? 2 : 1;
    if (count < at + 5 || strcmp(words[at], "FLOCK") != 0 || search->line_count == KERNEL_LINES)
        return;
    const char *colon = strrchr(words[at + 4], ':');
    uint64_t process;
    parse_number(words[at + 3], &process);
    if (colon == NULL || process == 0)
        return;
    struct kernel_lock *found = &search->lines[search->line_count++];
    found->process = (pid_t)process;
    found->waits = is_waiter;
    parse_number(colon + 1, &found->inode);
}

static void read_kernel_list(struct search *search)
{
    int descriptor = kernel_openat(AT_FDCWD, "/proc/locks", O_RDONLY | O_CLOEXEC, 0);
    if (descriptor < 0)
        return;
    char text[4096 + 1];
    size_t length = 0;
    ssize_t got;
    while ((got = kernel_read(descriptor, text + length, sizeof text - 1 - length)) > 0) {
        length += (size_t)got;
        text[length] = '\0';
        char *line = text;
        for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
            *end = '\0';
            parse_line(search, line);
        }
        length -= (size_t)(line - text);
        memmove(text, line, length);
    }
    (void)kernel_close(descriptor);
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
        lock->inode == identity->inode && lock->device == identity->device && owner_holds(lock);
    return !identity->held;
}

static bool we_hold(uint64_t device, uint64_t inode)
{
    struct identity identity = {device, inode, false};
    lock_each(is_held_by_us, &identity);
    return identity.held;
}

static bool follow(struct search *search, const char *path, uint64_t inode);

/* The lock file that another process is blocked on, as that process names it. */
static bool path_of_blocked(const struct registry_blocked *blocked, char *path, size_t size)
{
    char name[64];
    pid_t process = atomic_load(&((struct registry_blocked *)blocked)->process);
    ssize_t length = kernel_readlinkat(
        AT_FDCWD, process_path(name, process, "fd", blocked->descriptor), path, size - 1);
    if (length <= 0 || path[0] != '/')
        return false;
    path[length] = '\0';
    return true;
}

static bool look_at_blocked(struct search *search, struct registry_layout *map)
{
    for (int i = 0; i < REGISTRY_BLOCKED; i++) {
        struct registry_blocked *blocked = &map->blocked[i];
        pid_t process = atomic_load(&blocked->process);
        if (process == 0 || process == kernel_getpid() ||
            !process_is_alive(process, blocked->start_time))
            continue;
        if (we_hold(blocked->device, blocked->inode))
            return true;
        char path[4096];
        bool named = path_of_blocked(blocked, path, sizeof path);
        if (follow(search, named ? path : NULL, blocked->inode))
            return true;
    }
    return false;
}

static bool look_at_kernel_list(struct search *search, uint64_t inode)
{
    for (int i = 0; i < search->line_count; i++) {
        const struct kernel_lock *holder = &search->lines[i];
        if (holder->waits || holder->inode != inode || holder->process == kernel_getpid())
            continue;
        for (int j = 0; j < search->line_count; j++) {
            const struct kernel_lock *waiter = &search->lines[j];
            if (!waiter->waits || waiter->process != holder->process)
                continue;
            if (we_hold(search->wanted->device, waiter->inode) ||
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
        if (registry_usable(&registry))
            found = look_at_blocked(search, registry.map);
        registry_close(&registry);
    }
    return found;
}

bool deadlock_found(struct lock *wanted)
{
    if (!we_hold_another(wanted))
        return false;
    struct kernel_lock lines[KERNEL_LINES];
    struct search search = {.wanted = wanted, .lines = lines};
    read_kernel_list(&search);
    search.visited[search.depth++] = wanted->inode;
    if (registry_usable(&wanted->registry) && look_at_blocked(&search, wanted->registry.map))
        return true;
    return look_at_kernel_list(&search, wanted->inode);
}
