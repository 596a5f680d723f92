/*
 * lockctl wait: returns when a lock is free. It must never take the lock, not for a moment, and
 * must not disturb it: no futex can be waited on without queueing up in the registry, and the
 * kernel's list slows every flock on the machine. So:
 *
 *   - the registry names the guarded holders; their own fdinfo says whether they still have it;
 *   - in between it sleeps on their pidfds, and looks again at that one fdinfo every 20 ms
 *     (40 ms where the holder lets go only by ending: then the pidfd tells at once);
 *   - the kernel's list has the last word before it returns, and names unguarded holders: it is
 *     read at most once a second.
 */
#include "lockctl/lockctl.h"

#include "lockctl/format.h"
#include "lockctl/inspect/arguments.h"
#include "lockctl/inspect/inspect.h"
#include "lockctl/inspect/registry_view.h"
#include "lockctl/inspect/tell.h"
#include "shim/lock/kernel.h"
#include "shim/lock/process.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

const char WAIT_DETAILS[] =
    "The lock is looked at, never taken: another may have it when this returns.\n"
    "\n"
    "Exit status: 0 when the lock is free; 6 when it was not free in time; 1 if it\n"
    "cannot be looked at; 2 for wrong usage; 78 for a table that does not exist, or\n"
    "a wrong configuration.\n";

#define MILLISECOND UINT64_C(1000000)
#define LIST_INTERVAL (1000 * MILLISECOND)
#define LOOK_INTERVAL (20 * MILLISECOND)
#define ENDS_INTERVAL (40 * MILLISECOND)
#define WATCHED_MAXIMUM 16

/* A process that was last seen to have the lock. */
struct watched {
    pid_t process;
    int descriptor;  /* of the lock file in it; -1: not known */
    int end;         /* a pidfd, or -1 */
    pid_t other;     /* the supervisor of its command, or 0 */
    bool ends_first; /* it keeps the lock until it ends */
};

struct waiting {
    struct targets targets;
    const char *lock_path;
    uint64_t device, inode; /* of the lock file; inode 0: there is none */
    uint64_t deadline;      /* monotonic; UINT64_MAX: none */
    uint64_t listed_at;     /* when the kernel's list was last read, or 0 */
    struct inspector *inspector;
    struct registry_view registry;
    struct watched watched[WATCHED_MAXIMUM];
    size_t count;
};

/* --- who has it --- */

static void forget(struct waiting *waiting)
{
    for (size_t i = 0; i < waiting->count; i++)
        if (waiting->watched[i].end >= 0)
            (void)kernel_close(waiting->watched[i].end);
    waiting->count = 0;
}

static void watch(struct waiting *waiting, const struct watched *found)
{
    if (waiting->count == WATCHED_MAXIMUM)
        return;
    struct watched *watched = &waiting->watched[waiting->count++];
    *watched = *found;
    watched->end = kernel_pidfd_open(found->other > 0 ? found->other : found->process);
}

/* A line "lock: 1: FLOCK ADVISORY WRITE 77 08:01:1234 0 EOF" about this inode. */
static bool names_lock(const char *text, uint64_t inode)
{
    for (const char *line = text; (line = strstr(line, "FLOCK ")) != NULL; line++) {
        unsigned long long number;
        /* NOLINTNEXTLINE(cert-err34-c): a number too large is no inode of ours */
        if (sscanf(line, "FLOCK %*s %*s %*d %*x:%*x:%llu ", &number) == 1 && number == inode)
            return true;
    }
    return false;
}

/* Does the process itself say that its descriptor has the lock? */
static bool has_lock(const struct waiting *waiting, pid_t process, int descriptor)
{
    char path[64];
    char text[2048];
    return descriptor >= 0 &&
           process_read_file(process_path(path, process, "fdinfo", descriptor), text, sizeof text) >
               0 &&
           names_lock(text, waiting->inode);
}

static bool is_still_held(const struct waiting *waiting)
{
    for (size_t i = 0; i < waiting->count; i++)
        if (has_lock(waiting, waiting->watched[i].process, waiting->watched[i].descriptor))
            return true;
    return false;
}

static void watch_named(struct waiting *waiting, const struct view_holder *holder)
{
    if (holder->life != VIEW_LIVING || holder->mode == REGISTRY_JOINED ||
        !has_lock(waiting, holder->process, holder->descriptor))
        return;
    watch(waiting,
          &(struct watched){
              .process = holder->process,
              .descriptor = holder->descriptor,
              .other = holder->supervisor,
              .ends_first = holder->scope == SCOPE_PROCESS || holder->scope == SCOPE_COMMAND,
          });
}

/* Those whom the registry names, and who say so themselves. */
static void ask_registry(struct waiting *waiting)
{
    static struct view_holder holders[REGISTRY_HOLDERS];
    if (!registry_view_is_current(&waiting->registry)) {
        registry_view_close(&waiting->registry);
        if (!registry_view_open(&waiting->registry, waiting->lock_path))
            return;
    }
    if (registry_view_exclusive(&waiting->registry, &holders[0]))
        watch_named(waiting, &holders[0]);
    size_t count = waiting->count == 0 ? registry_view_holders(&waiting->registry, holders) : 0;
    for (size_t i = 0; i < count; i++)
        watch_named(waiting, &holders[i]);
}

/* --- the kernel's word --- */

static int ask_kernel(struct waiting *waiting, bool *held)
{
    if (waiting->inspector == NULL)
        waiting->inspector = inspector_open(&(struct inspect_request){
            .targets = &waiting->targets, .stuck_after = STUCK_AFTER_DEFAULT, .live = true});
    const struct inspection *inspection = inspector_look(waiting->inspector);
    waiting->listed_at = registry_now();
    if (inspection == NULL)
        return STATUS_FAILED;
    *held = false;
    for (size_t i = 0; i < inspection->count; i++) {
        const struct inspected_lock *lock = &inspection->locks[i];
        /* A lock file that was deleted is not the one that others will lock now. */
        if (!lock->held || lock->path_state == PATH_DELETED)
            continue;
        *held = true;
        for (size_t k = 0; k < lock->holder_count; k++)
            if (lock->holders[k].process->pid > 0)
                watch(waiting, &(struct watched){.process = lock->holders[k].process->pid,
                                                 .descriptor = lock->holders[k].descriptor,
                                                 .other = lock->holders[k].supervisor});
    }
    return STATUS_DONE;
}

/* --- waiting --- */

/* The lock file at the path may come, go, or be another one now. */
static void look_at_path(struct waiting *waiting)
{
    struct stat status = {0};
    if (kernel_fstatat(AT_FDCWD, waiting->lock_path, &status, 0) != 0)
        status = (struct stat){.st_ino = 0};
    if (status.st_ino == waiting->inode && status.st_dev == waiting->device)
        return;
    forget(waiting);
    waiting->device = status.st_dev;
    waiting->inode = status.st_ino;
}

/* Until one of those watched ends, or it is time to look again. */
static void pause_for_a_while(const struct waiting *waiting)
{
    struct pollfd ends[WATCHED_MAXIMUM];
    uint64_t interval = waiting->count > 0 ? ENDS_INTERVAL : LOOK_INTERVAL;
    for (size_t i = 0; i < waiting->count; i++) {
        ends[i] = (struct pollfd){.fd = waiting->watched[i].end, .events = POLLIN};
        if (!waiting->watched[i].ends_first || waiting->watched[i].end < 0)
            interval = LOOK_INTERVAL;
    }
    uint64_t now = registry_now();
    if (waiting->deadline - now < interval)
        interval = waiting->deadline > now ? waiting->deadline - now : 0;
    (void)kernel_poll(ends, (unsigned)waiting->count, (int64_t)interval);
}

/* One look: is it held? True also while that can't be told yet. */
static int look(struct waiting *waiting, bool *held)
{
    *held = true;
    look_at_path(waiting);
    if (waiting->inode == 0) {
        *held = false;
        return STATUS_DONE;
    }
    if (is_still_held(waiting))
        return STATUS_DONE;
    forget(waiting);
    ask_registry(waiting);
    if (waiting->count > 0)
        return STATUS_DONE;
    if (waiting->listed_at != 0 && registry_now() - waiting->listed_at < LIST_INTERVAL)
        return STATUS_DONE;
    return ask_kernel(waiting, held);
}

static int wait_until_free(struct waiting *waiting)
{
    uint64_t began = registry_now();
    for (;;) {
        bool held;
        int status = look(waiting, &held);
        if (status != STATUS_DONE || !held)
            return status;
        if (registry_now() >= waiting->deadline) {
            char text[FORMAT_TEXT];
            complain("wait: '%s' was not free within %s", shown(waiting->lock_path),
                     format_duration(text, registry_now() - began));
            return STATUS_TIMED_OUT;
        }
        pause_for_a_while(waiting);
    }
}

/* --- the command --- */

struct request {
    const char *config;
    uint64_t timeout; /* ns; UINT64_MAX: none */
};

static const struct argument_option OPTIONS[] = {
    {"timeout", 't', "SECONDS", "wait no longer; 0: do not wait (default: for ever)"},
    {"config", 'c', "FILE", "configuration file (default: /etc/lockshim.conf)"},
};

static int take_option(void *context, int option, const char *value)
{
    struct request *request = context;
    if (option == 1) {
        request->config = value;
    } else if (!arguments_seconds(value, &request->timeout)) {
        complain("wait: --timeout: '%s' is no number of seconds", shown(value));
        return STATUS_USAGE;
    }
    return STATUS_DONE;
}

int wait_command(const struct command_description *description, int count, char **words)
{
    struct request request = {NULL, UINT64_MAX};
    static struct waiting waiting = {.registry = {.descriptor = -1}};
    int status = arguments_parse(description, OPTIONS, sizeof OPTIONS / sizeof *OPTIONS,
                                 take_option, &request, NULL, count, words, &words);
    if (status >= 0)
        return status;
    if (words[0] == NULL || words[1] != NULL) {
        complain("wait: name one table or lock file");
        return STATUS_USAGE;
    }
    status = tell_collect(&waiting.targets, words, request.config, "wait");
    if (status != STATUS_DONE)
        return status;
    uint64_t now = registry_now();
    waiting.lock_path = waiting.targets.items[0].lock_path;
    waiting.deadline = request.timeout < UINT64_MAX - now ? now + request.timeout : UINT64_MAX;
    status = wait_until_free(&waiting);
    forget(&waiting);
    registry_view_close(&waiting.registry);
    if (waiting.inspector != NULL)
        inspector_close(waiting.inspector);
    return status;
}
