/*
 * The memory of what was read: an open-addressed table of states, grown by mapping. It must never
 * refuse a file that nobody else has changed.
 */
#include "shim/lost_update.h"

#include "shim/lock/busy.h"
#include "shim/lock/kernel.h"

#include <string.h>

struct memory {
    uint64_t key; /* 0: empty */
    uint64_t session;
    uint64_t device, inode, size;
    int64_t modified, changed; /* nanoseconds */
    int64_t remembered;
    uint64_t generation, own_changes;
    bool complete; /* the state has been noted (not only that it was read) */
    bool absent;   /* it was not there */
};

static struct memory *memories;
static size_t capacity, used;
static busy_word busy;

/* File times move in ticks of the coarse clock: two changes within one look the same. */
static int64_t time_grain(void)
{
    struct timespec grain;
    return clock_getres(CLOCK_REALTIME_COARSE, &grain) == 0 ? grain.tv_nsec : 10000000;
}

static bool enter(void)
{
    return busy_enter(&busy, 1000);
}

static void leave(void)
{
    busy_leave(&busy);
}

void lost_update_forked(void)
{
    if (atomic_load(&busy) != 0) /* what a child writes is a page to be copied */
        leave();
}

static struct memory *slot_for(struct memory *table, size_t size, uint64_t key)
{
    size_t at = (size_t)(key ^ key >> 32);
    while (table[at % size].key != 0 && table[at % size].key != key)
        at++;
    return &table[at % size];
}

static bool grow(void)
{
    size_t size = capacity == 0 ? 64 : capacity * 2;
    struct memory *larger = kernel_mmap(NULL, size * sizeof *larger, PROT_READ | PROT_WRITE,
                                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (larger == NULL)
        return false;
    for (size_t i = 0; i < capacity; i++) {
        if (memories[i].key != 0)
            *slot_for(larger, size, memories[i].key) = memories[i];
    }
    if (memories != NULL)
        (void)kernel_munmap(memories, capacity * sizeof *memories);
    memories = larger;
    capacity = size;
    return true;
}

static struct memory *find(uint64_t key)
{
    if (capacity == 0 || key == 0)
        return NULL;
    struct memory *memory = slot_for(memories, capacity, key);
    return memory->key == key ? memory : NULL;
}

static struct memory *find_or_add(uint64_t key)
{
    if (key == 0 || (used * 2 >= capacity && !grow()))
        return NULL;
    struct memory *memory = slot_for(memories, capacity, key);
    if (memory->key != key) {
        *memory = (struct memory){.key = key};
        used++;
    }
    return memory;
}

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void note_state(struct memory *memory, const struct table *table, const struct stat *status)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct lock *lock = table->lock;
    memory->device = status->st_dev;
    memory->inode = status->st_ino;
    memory->size = (uint64_t)status->st_size;
    memory->modified = nanoseconds(status->st_mtim);
    memory->changed = nanoseconds(status->st_ctim);
    memory->remembered = nanoseconds(now);
    memory->generation = lock_generation(lock);
    memory->own_changes = lock->own_changes;
    memory->complete = true;
    memory->absent = false;
}

static bool is_same(const struct memory *memory, const struct table *table,
                    const struct stat *status)
{
    if (memory->absent || status == NULL)
        return memory->absent && status == NULL;
    if (memory->device != status->st_dev || memory->inode != status->st_ino ||
        memory->size != (uint64_t)status->st_size ||
        memory->modified != nanoseconds(status->st_mtim) ||
        memory->changed != nanoseconds(status->st_ctim))
        return false;
    /*
     * The same to the eye. If it was changed within the grain of file times before we looked, a
     * later change may show no difference; then it counts whether others have written meanwhile.
     */
    bool may_hide = memory->changed + time_grain() > memory->remembered;
    const struct lock *lock = table->lock;
    bool others_wrote =
        lock->generation - memory->generation != lock->own_changes - memory->own_changes;
    return !(may_hide && others_wrote);
}

void lost_update_read(const struct table *table, uint64_t key)
{
    if (!enter())
        return;
    struct memory *memory = find_or_add(key);
    if (memory != NULL)
        memory->session = table->lock->acquisition;
    leave();
}

void lost_update_missed(const struct table *table, uint64_t key)
{
    if (!enter())
        return;
    struct memory *memory = find_or_add(key);
    if (memory != NULL) {
        memory->session = table->lock->acquisition;
        memory->absent = true;
        memory->complete = true;
    }
    leave();
}

void lost_update_written(const struct table *table, uint64_t key, const struct stat *status)
{
    if (capacity == 0 || !enter())
        return;
    struct memory *memory = find(key);
    if (memory != NULL && memory->complete && is_same(memory, table, status))
        memory->session = table->lock->acquisition;
    leave();
}

void lost_update_remember(const struct table *table, uint64_t key, const struct stat *status)
{
    if (capacity == 0 || !enter())
        return;
    struct memory *memory = find(key);
    /* Under `call` each change is an acquisition of its own; what we saw last is what counts. */
    if (memory != NULL &&
        (memory->session == table->lock->acquisition || table->settings.scope == SCOPE_CALL))
        note_state(memory, table, status);
    leave();
}

void lost_update_removed(const struct table *table, uint64_t key)
{
    if (capacity == 0 || !enter())
        return;
    struct memory *memory = find(key);
    if (memory != NULL) {
        memory->session = table->lock->acquisition;
        memory->absent = true;
        memory->complete = true;
    }
    leave();
}

bool lost_update_known(uint64_t key)
{
    if (capacity == 0 || !enter())
        return false;
    bool known = find(key) != NULL;
    leave();
    return known;
}

bool lost_update_concerns(const struct table *table, uint64_t key)
{
    if (capacity == 0 || !enter())
        return false;
    const struct memory *memory = find(key);
    bool concerns =
        memory != NULL && memory->complete &&
        (memory->session != table->lock->acquisition || table->settings.scope == SCOPE_CALL);
    leave();
    return concerns;
}

bool lost_update_threatens(const struct table *table, uint64_t key, const struct stat *status)
{
    if (!enter())
        return false;
    const struct memory *memory = find(key);
    bool threatens = memory != NULL && memory->complete && !is_same(memory, table, status);
    leave();
    return threatens;
}
