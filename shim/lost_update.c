/*
 * The memory of what was read: an open-addressed table of states, grown by mapping. It must never
 * refuse a file that nobody else has changed.
 */
#include "shim/lost_update.h"

#include "shim/content_sum.h"
#include "shim/lock/busy.h"
#include "shim/lock/kernel.h"

#include <string.h>

struct memory {
    uint64_t key; /* 0: empty */
    uint64_t session;
    uint64_t device, inode, size;
    int64_t modified, changed; /* nanoseconds */
    int64_t remembered;
    const struct lock *lock; /* which the next two are of */
    uint64_t generation, own_changes;
    uint64_t content; /* its sum; 0: its times tell, or it is too large */
    bool complete;    /* the state has been noted (not only that it was read) */
    bool absent;      /* it was not there */
    bool replaced;    /* as a whole, by this process: that may be asked about again */
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

/*
 * Changed within the grain of file times before now, it may be changed once more and look the same.
 */
static bool may_hide(int64_t changed, int64_t now)
{
    return changed + time_grain() > now;
}

/*
 * Only who replaces files is ever asked about their content; who changes large ones in place, at
 * each session, is not to pay for it.
 */
enum { SUMMED_OF_ALL = 4096, SUMMED_AT_MOST = 1 << 16 };

/* When that was, as the lock counts. */
static void note_moment(struct memory *memory, const struct lock *lock, uint64_t generation)
{
    memory->lock = lock;
    memory->generation = generation;
    memory->own_changes = lock->own_changes;
    memory->complete = true;
}

static void note_absence(struct memory *memory, const struct table *table, uint64_t generation)
{
    memory->session = table->lock->acquisition;
    memory->absent = true;
    note_moment(memory, table->lock, generation);
}

static void note_state(struct memory *memory, const struct table *table, const struct stat *status,
                       int64_t now, uint64_t content, uint64_t generation)
{
    memory->device = status->st_dev;
    memory->inode = status->st_ino;
    memory->size = (uint64_t)status->st_size;
    memory->modified = nanoseconds(status->st_mtim);
    memory->changed = nanoseconds(status->st_ctim);
    memory->remembered = now;
    memory->content = content;
    memory->absent = false;
    note_moment(memory, table->lock, generation);
}

static bool others_wrote(const struct memory *memory, const struct lock *lock)
{
    return lock->generation - memory->generation != lock->own_changes - memory->own_changes;
}

/*
 * Nobody but ourselves has let go with changes since: what looks different is our own doing, by a
 * call that is not followed here (utimes, the rename of a directory above). Where we have changed
 * nothing either, it was a program without a guard.
 */
static bool is_own_doing(const struct memory *memory, const struct lock *lock)
{
    return registry_usable(&lock->registry) && lock->own_changes != memory->own_changes &&
           !others_wrote(memory, lock);
}

/* As far as can be told without its content. */
enum sameness { DIFFERENT, PERHAPS_SAME, SAME };

static enum sameness compare(const struct memory *memory, const struct table *table,
                             const struct stat *status)
{
    if (is_own_doing(memory, table->lock))
        return SAME;
    if (memory->absent || status == NULL)
        return memory->absent && status == NULL ? SAME : DIFFERENT;
    if (memory->device != status->st_dev || memory->inode != status->st_ino ||
        memory->size != (uint64_t)status->st_size)
        return DIFFERENT;
    if (memory->modified != nanoseconds(status->st_mtim))
        return PERHAPS_SAME; /* its time may have been set, and nothing else */
    /*
     * The same to the eye: perhaps because a change of it was hidden, or its time was set back. But
     * a link or a mode that changed (as by our own journal) is no change of its content. Where that
     * may be so, it counts whether others have written meanwhile.
     */
    bool in_doubt = memory->changed != nanoseconds(status->st_ctim) ||
                    may_hide(memory->changed, memory->remembered);
    return in_doubt && others_wrote(memory, table->lock) ? PERHAPS_SAME : SAME;
}

/* Is the file as we remember it? Asked with a copy of the memory, for it may have to be read. */
static bool is_same(const struct memory *memory, const struct table *table,
                    const struct lost_update_file *file)
{
    enum sameness same = compare(memory, table, file->status);
    return same == SAME || (same == PERHAPS_SAME && memory->content != 0 &&
                            memory->content == content_sum(file, SUMMED_AT_MOST));
}

static void know(const struct table *table, uint64_t key, bool replaced)
{
    if (!enter())
        return;
    struct memory *memory = find_or_add(key);
    if (memory != NULL) {
        memory->session = table->lock->acquisition;
        memory->replaced = memory->replaced || replaced;
    }
    leave();
}

void lost_update_read(const struct table *table, uint64_t key)
{
    know(table, key, false);
}

void lost_update_replaced(const struct table *table, uint64_t key)
{
    know(table, key, true);
}

void lost_update_missed(const struct table *table, uint64_t key, uint64_t generation)
{
    if (!enter())
        return;
    struct memory *memory = find_or_add(key);
    if (memory != NULL)
        note_absence(memory, table, generation);
    leave();
}

/* False: nothing complete is remembered. */
static bool recall(uint64_t key, struct memory *copy)
{
    if (capacity == 0 || !enter())
        return false;
    const struct memory *memory = find(key);
    bool known = memory != NULL && memory->complete;
    if (known)
        *copy = *memory;
    leave();
    return known;
}

bool lost_update_resumes(const struct table *table, uint64_t key,
                         const struct lost_update_file *file)
{
    struct memory known;
    if (!recall(key, &known) || !is_same(&known, table, file) || !enter())
        return false;
    struct memory *memory = find(key);
    if (memory != NULL)
        memory->session = table->lock->acquisition;
    leave();
    return memory != NULL;
}

static void forget(uint64_t key)
{
    if (capacity == 0 || !enter())
        return;
    struct memory *memory = find(key);
    if (memory != NULL)
        memory->complete = false;
    leave();
}

void lost_update_remember(const struct table *table, uint64_t key,
                          const struct lost_update_file *file, uint64_t generation)
{
    struct timespec clock;
    if (!S_ISREG(file->status->st_mode)) {
        forget(key);
        return;
    }
    if (capacity == 0 || !enter())
        return;
    struct memory *memory = find(key);
    bool known = memory != NULL, replaced = known && memory->replaced;
    leave();
    if (!known)
        return;
    clock_gettime(CLOCK_REALTIME, &clock);
    int64_t now = nanoseconds(clock);
    /* Of what is replaced again and again it helps behind a change of its mode or links as well. */
    bool in_doubt = may_hide(nanoseconds(file->status->st_ctim), now);
    uint64_t content = 0;
    if (in_doubt || replaced)
        content = content_sum(file, in_doubt && replaced ? SUMMED_AT_MOST : SUMMED_OF_ALL);
    if (!enter())
        return;
    memory = find(key);
    if (memory != NULL && memory->session == table->lock->acquisition)
        note_state(memory, table, file->status, now, content, generation);
    leave();
}

void lost_update_removed(const struct table *table, uint64_t key)
{
    if (capacity == 0 || !enter())
        return;
    struct memory *memory = find(key);
    if (memory != NULL)
        note_absence(memory, table, lock_generation(table->lock));
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

bool lost_update_was_file(uint64_t key, const struct stat *status)
{
    struct memory known = {.complete = false};
    if (!recall(key, &known) || known.absent || status == NULL)
        return known.complete && known.absent && status == NULL;
    return known.inode == status->st_ino && known.device == status->st_dev;
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

/* The state of that file under a name that is not this key; false: there is none. */
static bool recall_file(uint64_t key, const struct lock *lock, const struct stat *status,
                        struct memory *copy)
{
    bool found = false;
    if (capacity == 0 || !enter())
        return false;
    for (size_t i = 0; i < capacity && !found; i++) {
        const struct memory *memory = &memories[i];
        found = memory->key != key && memory->complete && memory->lock == lock &&
                memory->inode == status->st_ino && memory->device == status->st_dev &&
                memory->size == (uint64_t)status->st_size &&
                memory->modified == nanoseconds(status->st_mtim);
        if (found)
            *copy = *memory;
    }
    leave();
    return found;
}

/* A file with several names, which we have changed or read by another one since. */
static bool is_known_by_another_name(uint64_t key, const struct table *table,
                                     const struct lost_update_file *file)
{
    struct memory known;
    if (file->status == NULL || !recall_file(key, table->lock, file->status, &known))
        return false;
    known.absent = false; /* that name may be gone */
    return is_same(&known, table, file);
}

bool lost_update_threatens(const struct table *table, uint64_t key,
                           const struct lost_update_file *file)
{
    struct memory known;
    if (!recall(key, &known))
        return false;
    if (is_same(&known, table, file) || is_known_by_another_name(key, table, file))
        return false;
    /* The program may read it again, and will be asked about it again. */
    if (enter()) {
        struct memory *memory = find(key);
        if (memory != NULL)
            memory->replaced = true;
        leave();
    }
    return true;
}
