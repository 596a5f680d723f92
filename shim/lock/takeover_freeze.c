/*
 * Making a process stand still while its lock is taken over, by tracing it: unlike SIGSTOP that is
 * not seen by its parent, and it goes on by itself if lockctl should die. It must never leave a
 * process stopped that was not.
 */
#include "shim/lock/process.h"
#include "shim/lock/takeover.h"

#include <errno.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

enum { THREADS = sizeof((struct takeover_frozen *)NULL)->threads / sizeof(pid_t) };
#define PATIENCE 500000000u /* ns, for a thread that has to leave the kernel first */

struct freezing {
    struct takeover_frozen *frozen;
    int before; /* how many there were when this round began */
    int error;
};

static bool is_frozen(const struct takeover_frozen *frozen, pid_t thread)
{
    for (int i = 0; i < frozen->count; i++) {
        if (frozen->threads[i] == thread)
            return true;
    }
    return false;
}

static bool seize(long number, void *context)
{
    struct freezing *freezing = context;
    struct takeover_frozen *frozen = freezing->frozen;
    pid_t thread = (pid_t)number;
    if (is_frozen(frozen, thread))
        return true;
    if (frozen->count == THREADS) {
        freezing->error = -E2BIG;
        return false;
    }
    if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) != 0) {
        struct process_status status;
        bool gone = errno == ESRCH || !process_status_read(thread, &status) ||
                    status.state == 'Z' || status.state == 'X';
        if (!gone)
            freezing->error = -EPERM;
        return gone;
    }
    (void)ptrace(PTRACE_INTERRUPT, thread, NULL, NULL);
    frozen->threads[frozen->count++] = thread;
    return true;
}

/* Until it stops, ends, or is seen in a sleep that only the kernel ends. */
static int await_stop(pid_t thread)
{
    uint64_t end = registry_now() + PATIENCE;
    for (;;) {
        int status;
        pid_t found = waitpid(thread, &status, __WALL | WNOHANG);
        if (found == thread || (found < 0 && errno != EINTR))
            return 0;
        struct process_status now;
        if (registry_now() >= end)
            return process_status_read(thread, &now) && now.state == 'D' ? 0 : -ETIMEDOUT;
        nanosleep(&(struct timespec){0, 50000}, NULL);
    }
}

int takeover_freeze(struct takeover_frozen *frozen, const struct takeover_process *process)
{
    char path[64];
    struct freezing freezing = {.frozen = frozen};
    /* A thread that is not stopped yet may start another one: until a round finds none. */
    do {
        freezing.before = frozen->count;
        process_each_number(process_path(path, process->pid, "task", -1), seize, &freezing);
        for (int i = freezing.before; i < frozen->count && freezing.error == 0; i++)
            freezing.error = await_stop(frozen->threads[i]);
    } while (freezing.error == 0 && frozen->count > freezing.before);
    return freezing.error;
}

/* One that has not stopped yet can't be let go of. */
void takeover_thaw(struct takeover_frozen *frozen)
{
    for (int i = 0; i < frozen->count; i++) {
        if (ptrace(PTRACE_DETACH, frozen->threads[i], NULL, NULL) != 0 && errno == ESRCH &&
            await_stop(frozen->threads[i]) == 0)
            (void)ptrace(PTRACE_DETACH, frozen->threads[i], NULL, NULL);
    }
    frozen->count = 0;
}
