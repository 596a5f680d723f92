/*
 * Opening, making and writing the registry. It must never make a caller wait, fail or crash.
 */
#include "shim/lock/registry.h"

#include "shim/lock/kernel.h"
#include "shim/lock/own.h"
#include "shim/lock/process.h"
#include "shim/lock/self.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char registry_magic[8] = "lockshim";

uint64_t registry_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t wall_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Blocks for the whole file, so that a store can't run into a full disk (a SIGBUS as well). */
static bool fill(int descriptor)
{
    long allocated =
        KERNEL_CALL(SYS_fallocate, descriptor, 0, 0, sizeof(struct registry_layout), 0, 0);
    if (allocated == 0)
        return true;
    if (allocated != -EOPNOTSUPP && allocated != -ENOSYS)
        return false;
    static const char zeros[4096];
    for (size_t at = 0; at < sizeof(struct registry_layout); at += sizeof zeros) {
        if (kernel_pwrite(descriptor, zeros, sizeof zeros, (off_t)at) != (ssize_t)sizeof zeros)
            return false;
    }
    return true;
}

/* How struct registry_layout begins. */
struct header {
    char magic[8];
    uint32_t version;
    uint32_t header_size;
    uint64_t file_size;
};

static bool write_header(int descriptor)
{
    struct header header = {.version = REGISTRY_VERSION,
                            .header_size = (uint32_t)offsetof(struct registry_layout, counters),
                            .file_size = sizeof(struct registry_layout)};
    memcpy(header.magic, registry_magic, sizeof header.magic);
    return kernel_pwrite(descriptor, &header, sizeof header, 0) == (ssize_t)sizeof header;
}

static bool write_table_path(int descriptor, const char *table_path)
{
    size_t length = table_path != NULL ? strlen(table_path) : 0;
    if (length == 0 || length >= sizeof((struct registry_layout *)NULL)->table)
        return true;
    return kernel_pwrite(descriptor, table_path, length, offsetof(struct registry_layout, table)) ==
           (ssize_t)length;
}

/* Whoever may use the table may use its registry. */
static void take_owner_and_mode(int descriptor, const char *table_path, const char *lock_path)
{
    struct stat status, own;
    if ((table_path == NULL || kernel_fstatat(AT_FDCWD, table_path, &status, 0) != 0) &&
        kernel_fstatat(AT_FDCWD, lock_path, &status, 0) != 0)
        return;
    if (kernel_fstat(descriptor, &own) != 0)
        return;
    if (own.st_uid != status.st_uid || own.st_gid != status.st_gid) {
        if (KERNEL_CALL(SYS_fchown, descriptor, status.st_uid, status.st_gid, 0, 0, 0) != 0)
            (void)KERNEL_CALL(SYS_fchown, descriptor, -1, status.st_gid, 0, 0, 0);
    }
    (void)KERNEL_CALL(SYS_fchmod, descriptor, status.st_mode & 0666, 0, 0, 0, 0);
}

/* Made under another name and linked into place whole: nobody ever sees a half-made one. */
static int make(const char *path, const char *table_path, const char *lock_path)
{
    char temporary[4200];
    snprintf(temporary, sizeof temporary, "%s.%d.%llx", path, (int)kernel_gettid(),
             (unsigned long long)registry_now());
    int descriptor = kernel_openat(AT_FDCWD, temporary,
                                   O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (descriptor < 0)
        return descriptor;
    int result = -EIO;
    if (fill(descriptor) && write_table_path(descriptor, table_path) && write_header(descriptor)) {
        take_owner_and_mode(descriptor, table_path, lock_path);
        result = (int)KERNEL_CALL(SYS_renameat2, AT_FDCWD, temporary, AT_FDCWD, path,
                                  1 /* RENAME_NOREPLACE */, 0);
        if (result == -EINVAL)
            result = (int)KERNEL_CALL(SYS_linkat, AT_FDCWD, temporary, AT_FDCWD, path, 0, 0);
    }
    (void)KERNEL_CALL(SYS_unlinkat, AT_FDCWD, temporary, 0, 0, 0, 0);
    if (result == 0)
        return descriptor;
    (void)kernel_close(descriptor);
    return result;
}

static bool is_registry(int descriptor)
{
    struct stat status;
    struct header header;
    return kernel_fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) &&
           status.st_size >= (off_t)sizeof(struct registry_layout) &&
           kernel_pread(descriptor, &header, sizeof header, 0) == (ssize_t)sizeof header &&
           memcmp(header.magic, registry_magic, sizeof header.magic) == 0 &&
           header.version == REGISTRY_VERSION && header.file_size == sizeof(struct registry_layout);
}

/*
 * What somebody has cut off or zeroed is made whole: in place, so that those who have it mapped
 * stay together; and not at once, for who cuts it off again and again would hit one who has just
 * mapped it. Anything else that is no registry is not ours to touch.
 */
static bool mend(int descriptor)
{
    static const struct header none;
    struct stat status;
    struct header header;
    if (kernel_fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode) ||
        wall_clock() < ((uint64_t)status.st_ctim.tv_sec + 2) * 1000000000u)
        return false;
    memset(&header, 0, sizeof header);
    (void)kernel_pread(descriptor, &header, sizeof header, 0);
    bool zeroed = memcmp(&header, &none, sizeof header) == 0;
    bool cut_off = memcmp(header.magic, registry_magic, sizeof header.magic) == 0 &&
                   header.version == REGISTRY_VERSION &&
                   status.st_size < (off_t)sizeof(struct registry_layout);
    return (zeroed || cut_off) && fill(descriptor) && write_header(descriptor);
}

static int open_file(const char *path, bool may_mend)
{
    int descriptor =
        kernel_openat(AT_FDCWD, path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
    if (descriptor < 0 || is_registry(descriptor) || (may_mend && mend(descriptor)))
        return descriptor;
    (void)kernel_close(descriptor);
    return -EINVAL;
}

static bool name_registry(char *path, size_t size, const char *lock_path)
{
    return (size_t)snprintf(path, size, "%s.registry", lock_path) < size;
}

static int open_or_make(const char *lock_path, const char *table_path, bool may_mend)
{
    char path[4120];
    if (!name_registry(path, sizeof path, lock_path))
        return -ENAMETOOLONG;
    for (int attempt = 0; attempt < 3; attempt++) {
        int descriptor = open_file(path, may_mend);
        if (descriptor != -ENOENT)
            return descriptor;
        descriptor = make(path, table_path, lock_path);
        if (descriptor != -EEXIST)
            return descriptor;
    }
    return -EEXIST;
}

static void map_registry(struct registry *registry, int descriptor)
{
    *registry = (struct registry){.descriptor = -1};
    if (descriptor < 0)
        return;
    void *map = kernel_mmap(NULL, sizeof(struct registry_layout), PROT_READ | PROT_WRITE,
                            MAP_SHARED, descriptor, 0);
    if (map == NULL) {
        (void)kernel_close(descriptor);
        return;
    }
    registry->descriptor = own_adopt(descriptor);
    registry->boot = process_boot_number();
    registry->pid_namespace = process_pid_namespace();
    registry->map = map;
}

void registry_open_existing(struct registry *registry, const char *lock_path)
{
    char path[4120];
    map_registry(registry, name_registry(path, sizeof path, lock_path) ? open_file(path, false)
                                                                       : -ENAMETOOLONG);
}

void registry_open(struct registry *registry, const char *lock_path, const char *table_path,
                   bool may_mend)
{
    map_registry(registry, open_or_make(lock_path, table_path, may_mend));
}

void registry_close(struct registry *registry)
{
    if (registry->map != NULL)
        (void)kernel_munmap(registry->map, sizeof(struct registry_layout));
    if (registry->descriptor >= 0)
        own_close(registry->descriptor);
    *registry = (struct registry){.descriptor = -1};
}

bool registry_usable(struct registry *registry)
{
    if (registry->map == NULL)
        return false;
    if (kernel_lseek(registry->descriptor, 0, SEEK_END) >= (off_t)sizeof(struct registry_layout))
        return true;
    /* The map stays where it is: another thread may be inside. It is not touched again. */
    registry->map = NULL;
    return false;
}

bool registry_look(struct registry *registry, struct registry_head *head)
{
    if (registry->map != NULL) {
        if (registry_read(registry, offsetof(struct registry_layout, head), head, sizeof *head))
            return true;
        registry->map = NULL;
    }
    memset(head, 0, sizeof *head);
    return false;
}

void registry_time(struct registry_histogram *histogram, uint64_t nanoseconds)
{
    atomic_fetch_add_explicit(&histogram->buckets[registry_bucket(nanoseconds)], 1,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum, nanoseconds, memory_order_relaxed);
    uint64_t maximum = atomic_load_explicit(&histogram->maximum, memory_order_relaxed);
    while (nanoseconds > maximum &&
           !atomic_compare_exchange_weak(&histogram->maximum, &maximum, nanoseconds)) {
    }
}

void registry_count(struct registry *registry, enum registry_counter counter)
{
    atomic_fetch_add_explicit(&registry->map->counters[counter], 1, memory_order_relaxed);
}

void registry_event(struct registry *registry, const struct registry_event *event)
{
    uint64_t number = atomic_fetch_add(&registry->map->head.next_event, 1) + 1;
    struct registry_event *slot = &registry->map->events[number % REGISTRY_EVENTS];
    atomic_store(&slot->number, 0);
    slot->time = wall_clock();
    slot->kind = event->kind;
    slot->process = event->process;
    slot->other = event->other;
    slot->error = event->error;
    slot->nanoseconds = event->nanoseconds;
    slot->acquisition = event->acquisition;
    atomic_store_explicit(&slot->number, number, memory_order_release);
}

static bool is_gone(const struct registry *registry, pid_t process, uint64_t start_time,
                    uint64_t pid_namespace, uint64_t boot)
{
    if (boot != registry->boot && boot != 0 && registry->boot != 0)
        return true;
    /* A pid of another namespace says nothing here. */
    if (pid_namespace != registry->pid_namespace)
        return false;
    return !process_is_alive(process, start_time);
}

struct registry_holder *registry_claim_holder(struct registry *registry,
                                              const struct registry_holder *holder)
{
    int32_t pid = atomic_load(&holder->process);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < REGISTRY_HOLDERS; i++) {
            struct registry_holder *slot = &registry->map->holders[i];
            int32_t owner = atomic_load(&slot->process);
            if (owner != 0 && (round == 0 || !is_gone(registry, owner, slot->start_time,
                                                      slot->pid_namespace, slot->boot)))
                continue;
            if (!atomic_compare_exchange_strong(&slot->process, &owner, pid))
                continue;
            slot->mode = holder->mode;
            slot->start_time = holder->start_time;
            slot->since = holder->since;
            slot->acquisition = holder->acquisition;
            slot->pid_namespace = holder->pid_namespace;
            slot->scope = holder->scope;
            slot->descriptor = holder->descriptor;
            slot->level = holder->level;
            slot->supervisor = holder->supervisor;
            slot->last_touch = holder->since;
            slot->boot = holder->boot;
            slot->fence = holder->fence;
            slot->thread = holder->thread;
            slot->out_of_reach = holder->out_of_reach;
            return slot;
        }
    }
    registry_count(registry, COUNT_OVERFLOWN);
    return NULL;
}

/* The counts are hints: a registry that was wiped meanwhile must not make them run below none. */
static void count_down(_Atomic uint32_t *count)
{
    uint32_t now = atomic_load(count);
    while (now > 0 && !atomic_compare_exchange_weak(count, &now, now - 1)) {
    }
}

static void clear_waiter(struct registry_layout *map, struct registry_waiter *slot, int32_t owner)
{
    atomic_store(&slot->ticket, 0);
    if (atomic_compare_exchange_strong(&slot->process, &owner, 0))
        count_down(&map->head.waiting);
}

int registry_wait_begin(struct registry *registry, pid_t process, uint64_t start_time,
                        enum registry_mode mode, uint64_t since, pid_t supervisor)
{
    struct registry_layout *map = registry->map;
    uint64_t ticket = atomic_fetch_add(&map->head.ticket, 1) + 1;
    /* The second time round the places of those who died waiting are taken. */
    for (int tried = 0; tried < 2 * REGISTRY_WAITERS; tried++) {
        int index = (int)((ticket + (uint64_t)tried) % REGISTRY_WAITERS);
        struct registry_waiter *slot = &map->waiters[index];
        int32_t owner = atomic_load(&slot->process);
        if (owner != 0 && tried >= REGISTRY_WAITERS &&
            is_gone(registry, owner, slot->start_time, slot->pid_namespace, slot->boot))
            clear_waiter(map, slot, owner);
        owner = 0;
        if (!atomic_compare_exchange_strong(&slot->process, &owner, process))
            continue;
        slot->mode = mode;
        slot->start_time = start_time;
        slot->since = since;
        slot->supervisor = supervisor;
        slot->pid_namespace = registry->pid_namespace;
        slot->boot = registry->boot;
        slot->thread = lock_self_thread();
        atomic_store(&slot->ticket, ticket);
        atomic_fetch_add(&map->head.waiting, 1);
        return index;
    }
    registry_count(registry, COUNT_OVERFLOWN);
    atomic_fetch_add(&map->head.unlisted, 1);
    return -1;
}

void registry_wait_end(struct registry *registry, int slot, pid_t process)
{
    if (slot >= 0)
        clear_waiter(registry->map, &registry->map->waiters[slot], process);
    else
        count_down(&registry->map->head.unlisted);
}

/*
 * Going through all waiters takes too long to trust one look at the file's size: they are read, a
 * page at a time, and the map is touched only to change one of them.
 */
enum { CHUNK = 64 };

bool registry_read(const struct registry *registry, size_t offset, void *buffer, size_t size)
{
    return registry->descriptor >= 0 &&
           kernel_pread(registry->descriptor, buffer, size, (off_t)offset) == (ssize_t)size;
}

static bool read_waiters(const struct registry *registry, int first,
                         struct registry_waiter chunk[CHUNK])
{
    return registry_read(
        registry, offsetof(struct registry_layout, waiters) + (size_t)first * sizeof chunk[0],
        chunk, CHUNK * sizeof chunk[0]);
}

int registry_wait_rank(struct registry *registry, int slot)
{
    struct registry_waiter chunk[CHUNK];
    if (slot < 0)
        return 0;
    uint64_t ticket = atomic_load(&registry->map->waiters[slot].ticket);
    int before = 0;
    for (int i = 0; i < REGISTRY_WAITERS; i++) {
        if (i % CHUNK == 0 && !read_waiters(registry, i, chunk))
            break;
        struct registry_waiter *other = &chunk[i % CHUNK];
        uint64_t theirs = atomic_load(&other->ticket);
        int32_t owner = atomic_load(&other->process);
        if (owner == 0 || theirs == 0 || theirs >= ticket)
            continue;
        /* Only the few in front matter, so only they are looked at closely. */
        if (before < 4 &&
            is_gone(registry, owner, other->start_time, other->pid_namespace, other->boot)) {
            if (registry_usable(registry))
                clear_waiter(registry->map, &registry->map->waiters[i], owner);
            continue;
        }
        before++;
    }
    return before;
}

struct first {
    int count;
    uint64_t tickets[REGISTRY_WOKEN];
    int slots[REGISTRY_WOKEN];
};

/* Keeps the smallest tickets, in order. */
static void consider(struct first *first, int slot, uint64_t ticket)
{
    int at = first->count < REGISTRY_WOKEN ? first->count++ : REGISTRY_WOKEN;
    for (; at > 0 && first->tickets[at - 1] > ticket; at--) {
        if (at < REGISTRY_WOKEN) {
            first->tickets[at] = first->tickets[at - 1];
            first->slots[at] = first->slots[at - 1];
        }
    }
    if (at < REGISTRY_WOKEN) {
        first->tickets[at] = ticket;
        first->slots[at] = slot;
    }
}

static void wake(struct registry *registry, int slot)
{
    if (!registry_usable(registry))
        return;
    atomic_fetch_add(&registry->map->waiters[slot].wake, 1);
    (void)kernel_futex_wake(&registry->map->waiters[slot].wake, 1);
}

void registry_wake(struct registry *registry)
{
    struct registry_waiter chunk[CHUNK];
    struct first first = {.count = 0};
    for (int i = 0; i < REGISTRY_WAITERS; i++) {
        if (i % CHUNK == 0 && !read_waiters(registry, i, chunk))
            break;
        uint64_t ticket = atomic_load(&chunk[i % CHUNK].ticket);
        if (ticket != 0)
            consider(&first, i, ticket);
    }
    for (int i = 0; i < first.count; i++)
        wake(registry, first.slots[i]);
}

void registry_wake_companions(struct registry *registry, pid_t process, pid_t supervisor)
{
    struct registry_waiter chunk[CHUNK];
    for (int i = 0; i < REGISTRY_WAITERS; i++) {
        if (i % CHUNK == 0 && !read_waiters(registry, i, chunk))
            return;
        const struct registry_waiter *slot = &chunk[i % CHUNK];
        pid_t waiter = slot->process;
        if (waiter != 0 &&
            (waiter == process || (supervisor != 0 && slot->supervisor == supervisor)))
            wake(registry, i);
    }
}
