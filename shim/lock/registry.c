/*
 * Reading and writing the registry: the head, counters, times, events, the holders' slots. It must
 * never make a caller wait, fail or crash, whatever the file has become.
 */
#include "shim/lock/registry.h"

#include "shim/lock/kernel.h"
#include "shim/lock/process.h"

#include <errno.h>
#include <string.h>

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

bool registry_read(struct registry *registry, size_t offset, void *buffer, size_t size)
{
    return registry_usable(registry) &&
           kernel_pread(registry->descriptor, buffer, size, (off_t)offset) == (ssize_t)size;
}

bool registry_write(struct registry *registry, size_t offset, const void *buffer, size_t size)
{
    return registry_usable(registry) &&
           kernel_pwrite(registry->descriptor, buffer, size, (off_t)offset) == (ssize_t)size;
}

/*
 * What is no registry any more (cut off, or somebody's data by now) is not written again. A zeroed
 * one goes on: it says what an empty one says.
 */
bool registry_look(struct registry *registry, struct registry_head *head)
{
    uint64_t magic, expected;
    memcpy(&expected, registry_magic, sizeof expected);
    if (registry_read(registry, 0, head, sizeof *head)) {
        memcpy(&magic, head->magic, sizeof magic);
        if (__builtin_expect(magic == expected || magic == 0, 1))
            return true;
    }
    registry->lost = true;
    memset(head, 0, sizeof *head);
    return false;
}

/* --- what the kernel does for us in the map --- */

void *registry_word(struct registry *registry, size_t offset)
{
    if (!registry_usable(registry))
        return NULL;
    char *map = atomic_load(&registry->map);
    if (map == NULL) {
        void *none = NULL;
        map = kernel_mmap(NULL, sizeof(struct registry_layout), PROT_READ | PROT_WRITE, MAP_SHARED,
                          registry->descriptor, 0);
        if (map != NULL && !atomic_compare_exchange_strong(&registry->map, &none, map)) {
            (void)kernel_munmap(map, sizeof(struct registry_layout));
            map = none; /* another thread was faster */
        }
    }
    return map == NULL ? NULL : map + offset;
}

void registry_add(struct registry *registry, size_t offset, int number)
{
    _Atomic uint32_t *word = registry_word(registry, offset);
    if (word != NULL)
        (void)kernel_futex_add_and_wake(word, number, 1);
}

void registry_count(struct registry *registry, enum registry_counter counter)
{
    registry_add(registry, REGISTRY_OFFSET(counters) + counter * sizeof(uint64_t), 1);
}

/* --- times --- */

void registry_waited(struct registry *registry, uint64_t nanoseconds)
{
    enum { BUCKETS_AT = offsetof(struct registry_histogram, buckets) };
    size_t histogram = REGISTRY_OFFSET(wait_times);
    registry_add(registry, histogram + BUCKETS_AT + registry_bucket(nanoseconds) * sizeof(uint64_t),
                 1);
    uint64_t sum_and_maximum[2];
    if (!registry_read(registry, histogram, sum_and_maximum, sizeof sum_and_maximum))
        return;
    sum_and_maximum[0] += nanoseconds;
    if (nanoseconds > sum_and_maximum[1])
        sum_and_maximum[1] = nanoseconds;
    (void)registry_write(registry, histogram, sum_and_maximum, sizeof sum_and_maximum);
}

static uint32_t recent_count(const struct registry_head *head)
{
    return head->recent_count < REGISTRY_RECENT ? head->recent_count : REGISTRY_RECENT;
}

void registry_fold(struct registry_histogram *histogram, const struct registry_head *head)
{
    for (uint32_t i = 0; i < recent_count(head); i++) {
        if (head->recent[i] < REGISTRY_BUCKETS)
            histogram->buckets[head->recent[i]]++;
    }
    histogram->sum = head->hold_sum;
    histogram->maximum = head->hold_maximum;
}

/* One in REGISTRY_RECENT pays for all of them. */
void registry_held(struct registry *registry, struct registry_head *head, uint64_t nanoseconds)
{
    if (recent_count(head) == REGISTRY_RECENT) {
        struct registry_histogram histogram;
        if (registry_read(registry, REGISTRY_OFFSET(hold_times), &histogram, sizeof histogram)) {
            registry_fold(&histogram, head);
            (void)registry_write(registry, REGISTRY_OFFSET(hold_times), &histogram,
                                 sizeof histogram);
        }
        head->recent_count = 0;
    }
    head->recent[head->recent_count++] = (uint16_t)registry_bucket(nanoseconds);
    head->hold_sum += nanoseconds;
    if (nanoseconds > head->hold_maximum)
        head->hold_maximum = nanoseconds;
}

/* --- events --- */

static size_t event_offset(uint64_t number)
{
    return REGISTRY_OFFSET(events) +
           (size_t)(number % REGISTRY_EVENTS) * sizeof(struct registry_event);
}

/*
 * The next number is looked for from where the head says; who finds that another one has written
 * into the same place goes on to the next.
 */
void registry_event(struct registry *registry, const struct registry_event *event)
{
    enum { TRIES = 64 };
    struct registry_event written = *event, found;
    uint64_t number = 0;
    written.time = wall_clock();
    if (!registry_read(registry, REGISTRY_OFFSET(head.next_event), &number, sizeof number))
        return;
    for (int i = 0; i < TRIES; i++) {
        written.number = ++number;
        if (!registry_read(registry, event_offset(number), &found, sizeof found))
            return;
        if (found.number >= number && found.number - number < REGISTRY_EVENTS)
            continue; /* taken a moment ago */
        if (!registry_write(registry, event_offset(number), &written, sizeof written) ||
            !registry_read(registry, event_offset(number), &found, sizeof found))
            return;
        if (memcmp(&found, &written, sizeof found) == 0)
            break;
    }
    (void)registry_write(registry, REGISTRY_OFFSET(head.next_event), &number, sizeof number);
}

/* --- holders --- */

bool registry_is_gone(const struct registry *registry, pid_t process, uint64_t start_time,
                      uint64_t pid_namespace, uint64_t boot)
{
    if (boot != registry->boot && boot != 0 && registry->boot != 0)
        return true;
    /* A pid of another namespace says nothing here. */
    if (pid_namespace != registry->pid_namespace)
        return false;
    return !process_is_alive(process, start_time);
}

static size_t holder_offset(int slot)
{
    return REGISTRY_OFFSET(holders) + (size_t)slot * sizeof(struct registry_holder);
}

static bool is_free_holder(const struct registry *registry, const struct registry_holder *holder,
                           bool look_closely)
{
    return holder->process == 0 ||
           (look_closely && registry_is_gone(registry, holder->process, holder->start_time,
                                             holder->pid_namespace, holder->boot));
}

static bool take_holder(struct registry *registry, int slot, const struct registry_holder *holder)
{
    struct registry_holder found;
    return registry_write(registry, holder_offset(slot), holder, sizeof *holder) &&
           registry_read(registry, holder_offset(slot), &found, sizeof found) &&
           memcmp(&found, holder, sizeof found) == 0;
}

int registry_claim_holder(struct registry *registry, const struct registry_holder *holder)
{
    struct registry_holder all[REGISTRY_HOLDERS];
    if (!registry_read(registry, REGISTRY_OFFSET(holders), all, sizeof all))
        return -1;
    /* The second time round the places of the dead are taken. */
    for (int tried = 0; tried < 2 * REGISTRY_HOLDERS; tried++) {
        int slot = tried % REGISTRY_HOLDERS;
        if (is_free_holder(registry, &all[slot], tried >= REGISTRY_HOLDERS) &&
            take_holder(registry, slot, holder))
            return slot;
    }
    registry_count(registry, COUNT_OVERFLOWN);
    return -1;
}

/* Where the record of this holder is, or 0 when it is another's by now. */
static size_t own_holder_offset(struct registry *registry, int slot, pid_t process)
{
    size_t offset = slot < 0 ? REGISTRY_OFFSET(head.exclusive) : holder_offset(slot);
    int32_t owner;
    return registry_read(registry, offset, &owner, sizeof owner) && owner == process ? offset : 0;
}

void registry_touched(struct registry *registry, int slot, pid_t process, uint64_t now)
{
    size_t offset = own_holder_offset(registry, slot, process);
    if (offset != 0)
        (void)registry_write(registry, offset + offsetof(struct registry_holder, last_touch), &now,
                             sizeof now);
}

void registry_polled(struct registry *registry, int slot, pid_t process, pid_t child, uint64_t now)
{
    enum { FROM = offsetof(struct registry_holder, polled) };
    struct registry_holder holder = {.polled = child, .polled_at = now};
    size_t offset = own_holder_offset(registry, slot, process);
    if (offset != 0)
        (void)registry_write(registry, offset + FROM, (const char *)&holder + FROM,
                             offsetof(struct registry_holder, awaited) - FROM);
}

void registry_awaits(struct registry *registry, int slot, pid_t process, pid_t child)
{
    int32_t number = child;
    size_t offset = own_holder_offset(registry, slot, process);
    if (offset != 0)
        (void)registry_write(registry, offset + offsetof(struct registry_holder, awaited), &number,
                             sizeof number);
}

static void set_own_flag(struct registry *registry, int slot, pid_t process, size_t member)
{
    static const uint32_t yes = 1;
    size_t offset = own_holder_offset(registry, slot, process);
    if (offset != 0)
        (void)registry_write(registry, offset + member, &yes, sizeof yes);
}

void registry_ends(struct registry *registry, int slot, pid_t process)
{
    set_own_flag(registry, slot, process, offsetof(struct registry_holder, ending));
}

void registry_out_of_reach(struct registry *registry, int slot, pid_t process)
{
    set_own_flag(registry, slot, process, offsetof(struct registry_holder, out_of_reach));
}

void registry_clear_holder(struct registry *registry, int slot, pid_t process)
{
    int32_t owner;
    static const struct registry_holder none;
    if (slot >= 0 && registry_read(registry, holder_offset(slot), &owner, sizeof owner) &&
        owner == process)
        (void)registry_write(registry, holder_offset(slot), &none, sizeof none);
}
