/*
 * Reads the registry by pread and makes sense of it, or leaves it out. It must never map the file,
 * never write, never wait (a FIFO may stand in its place), and believe no byte.
 */
#include "lockctl/inspect/registry_view.h"

#include "shim/lock/kernel.h"
#include "shim/lock/process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char MAGIC[8] = "lockshim";
#define PID_MAXIMUM (1 << 22) /* the kernel's PID_MAX_LIMIT */
#define READ_AGAIN 3

/* --- opening --- */

/* How struct registry_layout begins. */
struct header {
    char magic[8];
    uint32_t version;
    uint32_t header_size;
    uint64_t file_size;
};

static bool refuse(struct registry_view *view, int error, const char *problem)
{
    (void)snprintf(view->problem, sizeof view->problem, "%s", problem);
    view->error = error;
    registry_view_close(view);
    return false;
}

static bool refuse_size(struct registry_view *view, off_t size)
{
    char problem[sizeof view->problem];
    (void)snprintf(problem, sizeof problem, "is cut off (%lld of %zu bytes)", (long long)size,
                   sizeof(struct registry_layout));
    return refuse(view, EINVAL, problem);
}

static bool refuse_version(struct registry_view *view, uint32_t version)
{
    char problem[sizeof view->problem];
    (void)snprintf(problem, sizeof problem, "is of version %u, %s than this lockctl's %u", version,
                   version < REGISTRY_VERSION ? "older" : "newer", REGISTRY_VERSION);
    return refuse(view, EINVAL, problem);
}

static bool check_header(struct registry_view *view, off_t size)
{
    static const struct header zeros;
    struct header header;
    memset(&header, 0, sizeof header);
    ssize_t got = kernel_pread(view->descriptor, &header, sizeof header, 0);
    if (got < 0)
        return refuse(view, (int)-got, strerror((int)-got));
    if (size == 0)
        return refuse(view, EINVAL, "is empty");
    if (memcmp(&header, &zeros, sizeof header) == 0)
        return refuse(view, EINVAL, "has been wiped");
    if (memcmp(header.magic, MAGIC, sizeof MAGIC) != 0)
        return refuse(view, EINVAL, "is no registry of lockshim");
    if (header.version != REGISTRY_VERSION)
        return refuse_version(view, header.version);
    if (size < (off_t)sizeof(struct registry_layout))
        return refuse_size(view, size);
    if (header.file_size != sizeof(struct registry_layout))
        return refuse(view, EINVAL, "is of another layout");
    return true;
}

static const char *open_problem(int error)
{
    switch (error) {
    case ENOENT:
        return "does not exist";
    case ELOOP:
        return "is a symbolic link, which is not followed";
    case EACCES:
    case EPERM:
        return "may not be read";
    default:
        return strerror(error);
    }
}

bool registry_view_open(struct registry_view *view, const char *lock_path)
{
    struct stat status;
    *view = (struct registry_view){.descriptor = -1};
    if ((size_t)snprintf(view->path, sizeof view->path, "%s.registry", lock_path) >=
        sizeof view->path)
        return refuse(view, ENAMETOOLONG, strerror(ENAMETOOLONG));
    int descriptor = kernel_openat(AT_FDCWD, view->path,
                                   O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
    if (descriptor < 0)
        return refuse(view, -descriptor, open_problem(-descriptor));
    view->descriptor = descriptor;
    int result = kernel_fstat(descriptor, &status);
    if (result < 0)
        return refuse(view, -result, strerror(-result));
    if (!S_ISREG(status.st_mode))
        return refuse(view, EINVAL, "is no regular file");
    view->device = status.st_dev;
    view->inode = status.st_ino;
    view->boot = process_boot_number();
    view->pid_namespace = process_pid_namespace();
    return check_header(view, status.st_size);
}

void registry_view_close(struct registry_view *view)
{
    if (view->descriptor >= 0)
        (void)kernel_close(view->descriptor);
    view->descriptor = -1;
}

bool registry_view_is_current(const struct registry_view *view)
{
    struct stat status;
    return view->descriptor >= 0 &&
           kernel_fstatat(AT_FDCWD, view->path, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           status.st_dev == view->device && status.st_ino == view->inode &&
           status.st_size >= (off_t)sizeof(struct registry_layout);
}

static bool read_part(const struct registry_view *view, size_t offset, void *buffer, size_t size)
{
    return view->descriptor >= 0 &&
           kernel_pread(view->descriptor, buffer, size, (off_t)offset) == (ssize_t)size;
}
#define PART(member) offsetof(struct registry_layout, member)

/* --- processes and times --- */

enum view_life registry_view_life(const struct registry_view *view, pid_t process,
                                  uint64_t start_time, uint64_t pid_namespace, uint64_t boot)
{
    if (boot != view->boot && boot != 0 && view->boot != 0)
        return VIEW_GONE;
    if (pid_namespace != view->pid_namespace)
        return VIEW_ELSEWHERE;
    return process_is_alive(process, start_time) ? VIEW_LIVING : VIEW_GONE;
}

static pid_t sane_process(int32_t process)
{
    return process > 0 && process <= PID_MAXIMUM ? process : 0;
}

/* A moment of this boot that has been, or 0. */
static uint64_t sane_moment(const struct registry_view *view, uint64_t moment, uint64_t boot)
{
    return boot == view->boot && moment <= registry_now() ? moment : 0;
}

/* A slot was claimed, but the rest may be its last owner's: the pid lives, and began later. */
static bool looks_torn(enum view_life life, pid_t process)
{
    return life == VIEW_GONE && process_is_alive(process, 0);
}

/* --- who holds and who waits --- */

static bool make_holder(const struct registry_view *view, const struct registry_holder *raw,
                        struct view_holder *holder)
{
    pid_t process = sane_process(raw->process);
    if (process == 0 || raw->mode < REGISTRY_EXCLUSIVE || raw->mode > REGISTRY_JOINED ||
        raw->scope > SCOPE_CALL)
        return false;
    *holder = (struct view_holder){
        .process = process,
        .mode = (enum registry_mode)raw->mode,
        .scope = (enum scope)raw->scope,
        .life = registry_view_life(view, process, raw->start_time, raw->pid_namespace, raw->boot),
        .start_time = raw->start_time,
        .since = sane_moment(view, raw->since, raw->boot),
        .last_touch = sane_moment(view, raw->last_touch, raw->boot),
        .acquisition = raw->acquisition,
        .pid_namespace = raw->pid_namespace,
        .boot = raw->boot,
        .fence = raw->fence,
        .descriptor = raw->descriptor >= 0 ? raw->descriptor : -1,
        .level = raw->level < 32 ? raw->level : 0,
        .supervisor = sane_process(raw->supervisor),
        .thread = sane_process(raw->thread),
        .out_of_reach = raw->out_of_reach != 0,
    };
    return true;
}

/* What has been read already, or, when it can't be right, what stands there a moment later. */
static bool settle_holder(const struct registry_view *view, struct registry_holder *raw,
                          size_t offset, struct view_holder *holder)
{
    for (int again = 0; again < READ_AGAIN; again++) {
        if (sane_process(raw->process) == 0)
            return false;
        if (make_holder(view, raw, holder) && !looks_torn(holder->life, holder->process))
            return true;
        kernel_yield();
        if (!read_part(view, offset, raw, sizeof *raw))
            return false;
    }
    return make_holder(view, raw, holder);
}

bool registry_view_exclusive(const struct registry_view *view, struct view_holder *holder)
{
    struct registry_holder raw;
    return read_part(view, PART(head.exclusive), &raw, sizeof raw) &&
           settle_holder(view, &raw, PART(head.exclusive), holder);
}

size_t registry_view_holders(const struct registry_view *view,
                             struct view_holder holders[static REGISTRY_HOLDERS])
{
    struct registry_holder raw[REGISTRY_HOLDERS];
    size_t count = 0;
    if (!read_part(view, PART(holders), raw, sizeof raw))
        return 0;
    for (size_t i = 0; i < REGISTRY_HOLDERS; i++)
        if (settle_holder(view, &raw[i], PART(holders) + i * sizeof raw[0], &holders[count]))
            count++;
    return count;
}

static bool make_waiter(const struct registry_view *view, const struct registry_waiter *raw,
                        struct view_waiter *waiter)
{
    pid_t process = sane_process(raw->process);
    uint64_t ticket = raw->since;
    if (process == 0 || ticket == 0 ||
        (raw->mode != REGISTRY_EXCLUSIVE && raw->mode != REGISTRY_SHARED))
        return false;
    *waiter = (struct view_waiter){
        .process = process,
        .mode = (enum registry_mode)raw->mode,
        .life = registry_view_life(view, process, raw->start_time, raw->pid_namespace, raw->boot),
        .ticket = ticket,
        .start_time = raw->start_time,
        .since = sane_moment(view, raw->since, raw->boot),
        .pid_namespace = raw->pid_namespace,
        .boot = raw->boot,
        .supervisor = sane_process(raw->supervisor),
        .thread = sane_process(raw->thread),
    };
    return true;
}

static int compare_tickets(const void *left, const void *right)
{
    uint64_t one = ((const struct view_waiter *)left)->ticket;
    uint64_t other = ((const struct view_waiter *)right)->ticket;
    return (one > other) - (one < other);
}

size_t registry_view_waiters(const struct registry_view *view,
                             struct view_waiter waiters[static REGISTRY_WAITERS])
{
    struct registry_waiter raw[REGISTRY_WAITERS];
    size_t count = 0;
    if (!read_part(view, PART(waiters), raw, sizeof raw))
        return 0;
    for (int i = 0; i < REGISTRY_WAITERS; i++) {
        if (!make_waiter(view, &raw[i], &waiters[count]))
            continue;
        waiters[count++].slot = i;
    }
    qsort(waiters, count, sizeof *waiters, compare_tickets);
    return count;
}

size_t registry_view_blocked(const struct registry_view *view,
                             struct view_blocked blocked[static REGISTRY_BLOCKED])
{
    struct registry_blocked raw[REGISTRY_BLOCKED];
    size_t count = 0;
    if (!read_part(view, PART(blocked), raw, sizeof raw))
        return 0;
    for (size_t i = 0; i < REGISTRY_BLOCKED; i++) {
        pid_t process = sane_process(raw[i].process);
        uint64_t since = sane_moment(view, raw[i].since, view->boot);
        if (process == 0 || since == 0)
            continue;
        blocked[count++] = (struct view_blocked){
            .process = process,
            .descriptor = raw[i].descriptor >= 0 ? raw[i].descriptor : -1,
            .start_time = raw[i].start_time,
            .device = raw[i].device,
            .inode = raw[i].inode,
            .since = since,
        };
    }
    return count;
}

/* --- head and counters --- */

static uint32_t at_most(uint32_t value, uint32_t limit)
{
    return value < limit ? value : limit;
}

static struct view_mark make_mark(const struct registry_view *view, const struct registry_mark *raw)
{
    uint32_t state = raw->state;
    struct view_mark mark = {
        .state = state <= MARK_ENDING ? (enum registry_mark_state)state : MARK_CLEAN,
        .process = sane_process(raw->process),
        .start_time = raw->start_time,
        .boot = raw->boot,
        .acquisition = raw->acquisition,
    };
    /* The mark names no namespace: what we can't see from here counts as gone. */
    if (mark.process != 0)
        mark.life =
            registry_view_life(view, mark.process, mark.start_time, view->pid_namespace, mark.boot);
    return mark;
}

bool registry_view_head(const struct registry_view *view, struct view_head *head)
{
    struct registry_head raw;
    if (!read_part(view, PART(head), &raw, sizeof raw))
        return false;
    *head = (struct view_head){
        .generation = raw.generation,
        .acquisition = raw.acquisition,
        .broken = raw.broken,
        .next_event = raw.next_event,
        .lock_inode = raw.lock_inode,
        .unlisted = at_most(raw.unlisted, PID_MAXIMUM),
        .waiting = at_most(raw.waiting, REGISTRY_WAITERS),
        .joined = at_most(raw.joined != 0 ? raw.joined - 1 : 0, REGISTRY_HOLDERS),
        .crashed = raw.crashed != 0,
        .reserved_until = raw.reserved_until,
        .reserved_for = sane_process(raw.reserved_for),
        .mark = make_mark(view, &raw.mark),
    };
    return true;
}

bool registry_view_counters(const struct registry_view *view, struct view_counters *counters)
{
    return read_part(view, PART(counters), counters->values, sizeof counters->values) &&
           read_part(view, PART(head.acquisitions), &counters->values[COUNT_ACQUISITIONS],
                     sizeof counters->values[0]);
}

/* --- histograms --- */

static uint64_t limited(unsigned __int128 value)
{
    return value < UINT64_MAX ? (uint64_t)value : UINT64_MAX;
}

/* Where a bucket ends; the last one has no end. */
static uint64_t bucket_last(unsigned bucket)
{
    return bucket + 1 < REGISTRY_BUCKETS ? registry_bucket_start(bucket + 1) - 1 : UINT64_MAX;
}

/*
 * A sum and a maximum that contradict the buckets are put to the nearest that do not: they are
 * hostile, or have overflown, or the buckets were read a moment earlier.
 */
static void reconcile(struct view_histogram *histogram)
{
    unsigned __int128 least = 0;
    unsigned __int128 most = 0;
    unsigned __int128 count = 0;
    unsigned last = 0;
    for (unsigned i = 0; i < REGISTRY_BUCKETS; i++) {
        if (histogram->buckets[i] == 0)
            continue;
        count += histogram->buckets[i];
        least += (unsigned __int128)histogram->buckets[i] * registry_bucket_start(i);
        most += (unsigned __int128)histogram->buckets[i] * bucket_last(i);
        last = i;
    }
    histogram->count = limited(count);
    if (count == 0) {
        histogram->sum = histogram->maximum = 0;
        return;
    }
    if (histogram->sum < least)
        histogram->sum = limited(least);
    if (histogram->sum > most)
        histogram->sum = limited(most);
    if (histogram->maximum < registry_bucket_start(last))
        histogram->maximum = registry_bucket_start(last);
    if (histogram->maximum > bucket_last(last))
        histogram->maximum = bucket_last(last);
}

static void take_histogram(const struct registry_histogram *raw, struct view_histogram *histogram)
{
    histogram->sum = raw->sum;
    histogram->maximum = raw->maximum;
    for (unsigned i = 0; i < REGISTRY_BUCKETS; i++)
        histogram->buckets[i] = raw->buckets[i];
    reconcile(histogram);
}

bool registry_view_wait_times(const struct registry_view *view, struct view_histogram *histogram)
{
    struct registry_histogram raw;
    if (!read_part(view, PART(wait_times), &raw, sizeof raw))
        return false;
    take_histogram(&raw, histogram);
    return true;
}

/*
 * The latest of them stand in the head, and are folded into the histogram when there is no more
 * room. If that happens meanwhile, all is read again: nothing may be missing, or be counted twice.
 * Where both have the same sum, the histogram has them all already.
 */
bool registry_view_hold_times(const struct registry_view *view, struct view_histogram *histogram)
{
    struct registry_histogram raw;
    struct registry_head head;
    struct registry_head later;
    int tries = 0;
    do {
        if (!read_part(view, PART(head), &head, sizeof head) ||
            !read_part(view, PART(hold_times), &raw, sizeof raw) ||
            !read_part(view, PART(head), &later, sizeof later))
            return false;
    } while ((later.recent_count < head.recent_count ||
              later.acquisitions - head.acquisitions >= REGISTRY_RECENT) &&
             ++tries < 8);
    if (raw.sum != head.hold_sum)
        registry_fold(&raw, &head);
    take_histogram(&raw, histogram);
    return true;
}

/* --- events --- */

static uint64_t wall_clock(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int compare_numbers(const void *left, const void *right)
{
    uint64_t one = ((const struct view_event *)left)->number;
    uint64_t other = ((const struct view_event *)right)->number;
    return (one > other) - (one < other);
}

static struct view_event make_event(const struct registry_event *raw, uint64_t now)
{
    return (struct view_event){
        .number = raw->number,
        .time = raw->time <= now ? raw->time : 0,
        .kind = raw->kind,
        .process = sane_process(raw->process),
        .other = sane_process(raw->other),
        .error = raw->error < 4096 ? (int)raw->error : 0,
        .nanoseconds = raw->nanoseconds,
        .acquisition = raw->acquisition,
    };
}

/*
 * The ring is read twice. Who writes an event wipes its number first: where the number is the same
 * both times, what was read the first time belongs to it.
 */
size_t registry_view_events(const struct registry_view *view, uint64_t after,
                            struct view_event events[static REGISTRY_EVENTS])
{
    enum { CHUNK = 128 };
    struct registry_event first[CHUNK];
    struct registry_event second[CHUNK];
    struct view_head head;
    size_t count = 0;
    if (!registry_view_head(view, &head) || head.next_event <= after)
        return 0;
    for (size_t start = 0; start < REGISTRY_EVENTS; start += CHUNK) {
        size_t offset = PART(events) + start * sizeof first[0];
        if (!read_part(view, offset, first, sizeof first) ||
            !read_part(view, offset, second, sizeof second))
            break;
        uint64_t now = wall_clock();
        for (size_t i = 0; i < CHUNK; i++) {
            uint64_t number = first[i].number;
            if (number > after && memcmp(&first[i], &second[i], sizeof first[i]) == 0 &&
                number % REGISTRY_EVENTS == start + i && first[i].kind != EVENT_NONE &&
                number <= head.next_event && head.next_event - number < REGISTRY_EVENTS)
                events[count++] = make_event(&first[i], now);
        }
    }
    qsort(events, count, sizeof *events, compare_numbers);
    return count;
}

const char *registry_view_table(const struct registry_view *view, char path[static 4096])
{
    if (!read_part(view, PART(table), path, sizeof((struct registry_layout *)NULL)->table) ||
        path[0] != '/' || memchr(path, '\0', 4096) == NULL)
        path[0] = '\0';
    return path;
}
