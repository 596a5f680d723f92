/*
 * Inspection: which locks there are, who holds them, who waits, and how well each of them is. A
 * picture of the kernel's list of flocks, of the processes that it names and of the registries,
 * joined. It never takes, opens for writing or disturbs a lock, and creates nothing.
 *
 * All texts that come from other processes (paths, command lines) are raw bytes: whoever prints
 * them passes them through shown() or the printer of output.h.
 */
#ifndef LOCKCTL_INSPECT_H
#define LOCKCTL_INSPECT_H

#include "lockctl/inspect/targets.h"
#include "shim/lock/registry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Durations are nanoseconds; what nobody tells is unknown, never guessed. */
#define UNKNOWN_TIME ((int64_t)-1)
#define STUCK_AFTER_DEFAULT (INT64_C(300) * 1000000000)

enum verdict {
    VERDICT_FREE,
    VERDICT_HEALTHY,
    VERDICT_CRASHED,
    VERDICT_ORPHANED,
    VERDICT_STOPPED,
    VERDICT_STUCK,
    VERDICT_SPLIT,
    VERDICT_DEADLOCK,
    VERDICTS
};

/* The word for it, in static memory. */
const char *verdict_name(enum verdict verdict);

/* Would `check` complain of it? */
bool verdict_is_stale(enum verdict verdict);

/* One process, looked into once for a whole inspection: the same process is the same pointer. */
struct inspected_process {
    pid_t pid;           /* as /proc here counts; 0: not visible from here */
    uint64_t start_time; /* clock ticks since boot; 0: unknown. With the pid it names a process */
    bool gone;           /* it has ended: there was such a pid, now there is none */
    const char *command; /* its command line, a blank between arguments; NULL: unknown */
    bool uid_known;
    uid_t uid;
    const char *user; /* NULL: unknown, or the uid has no name */
    char state;       /* as in proc(5); 'T' and 't' only if all threads are; '?': unknown */
    bool sleeps_uninterruptibly; /* a thread that matters was in D, all the while it was watched */
    bool descriptors_hidden;     /* no right to see them: what it has open is not known */
};

struct inspected_holder {
    const struct inspected_process *process;
    enum registry_mode mode;
    int descriptor;       /* that process's descriptor that has the lock; -1: unknown */
    pid_t taker;          /* who took it, where that is another process; else 0 */
    bool taker_gone;      /* and it has ended, or has no copy of the description any more */
    bool guarded;         /* by the shim */
    bool fenceable;       /* the shim can be made to refuse its further calls */
    bool only_breaks;     /* a lockctl: while it breaks the lock it shares it with a holder */
    bool shares;          /* beside the holder proper: has another copy of its description */
    pid_t supervisor;     /* of the command that it is a member of (lockctl's pid), or 0 */
    pid_t thread;         /* that took it; 0: unknown */
    uint32_t scope;       /* enum scope, of guarded ones */
    uint64_t acquisition; /* of guarded ones; 0: unknown */
    uint64_t fence;       /* where in its memory its struct fence stands, or 0 */
    int64_t held;         /* how long */
    int64_t untouched;    /* how long since its last touch of the table */
};

struct inspected_waiter {
    const struct inspected_process *process;
    enum registry_mode mode; /* what it waits for; 0: unknown */
    bool guarded;
    pid_t supervisor;
    pid_t thread;    /* 0: unknown */
    uint64_t ticket; /* its place in the queue of the guarded; 0: none */
    int64_t waited;
};

enum path_state {
    PATH_UNKNOWN, /* nobody who has it open may be looked into */
    PATH_CURRENT, /* the lock file is the one at its path */
    PATH_DELETED, /* it has no name any more, or another file has taken its place */
    PATH_MISSING  /* a named lock whose file does not exist (yet) */
};

struct inspected_lock {
    uint64_t device;  /* as the kernel's list tells it (btrfs: not as stat does) */
    uint64_t inode;   /* likewise; 0: there is no such file */
    const char *path; /* of the lock file, without "(deleted)"; NULL: unknown */
    enum path_state path_state;
    const char *label; /* for people and for JSON: the path, " (deleted)" behind it where that is
                          so, or device and inode; never NULL */
    const char *table; /* NULL: unknown */
    bool named;        /* asked for by name or by the configuration */

    bool held;
    enum registry_mode mode; /* 0 if not held */
    struct inspected_holder *holders;
    size_t holder_count;
    struct inspected_waiter *waiters; /* guarded ones in the order of their queue, then the rest */
    size_t waiter_count;
    int64_t longest_wait; /* of those that are known */

    bool has_registry;
    uint64_t generation; /* these three only with a registry */
    uint64_t acquisition;
    bool crashed; /* the last holder died inside and nobody has recovered */

    enum verdict verdict;
    const char *reason; /* one sentence, fit for a terminal, no full stop */
    int cycle;          /* index among the inspection's cycles, or -1 */
};

/* One that waits for the next in the ring. */
struct inspected_wait {
    const struct inspected_process *process; /* who waits */
    const struct inspected_lock *lock;       /* for what; held by the next one's process */
    pid_t through; /* the process waits for this descendant, which waits for the lock; else 0 */
};

struct inspected_cycle {
    struct inspected_wait *waits;
    size_t count;
};

struct inspection {
    struct inspected_lock *locks; /* named ones first, in their order; then by path */
    size_t count;
    struct inspected_cycle *cycles;
    size_t cycle_count;
    size_t hidden_processes; /* holders whose descriptors we had no right to see */
    bool inside_namespace;   /* processes outside of this PID namespace can't be seen */
};

struct inspect_request {
    const struct targets *targets; /* locks to tell of even when they are free; may be NULL */
    bool everything;               /* and all other flocks on the system */
    int64_t stuck_after;           /* nanoseconds */
    /* Nobody asks for command lines and users of these: they are not read, and must not be shown.
     */
    bool bare_holders, bare_waiters;
    bool live; /* a live view: the kernel's list is read at most once a second, in between the
                  registries and the known holders tell; nothing waits to see what is in D */
};

/* Ends the program when there is no memory. The request's targets must outlive it. */
struct inspector *inspector_open(const struct inspect_request *request);
void inspector_close(struct inspector *inspector);

/*
 * Looks, and returns the picture, which is valid until the next look. NULL after a complaint
 * (/proc can't be read).
 */
const struct inspection *inspector_look(struct inspector *inspector);

/*
 * Who keeps this waiter out: those holders of its lock that are in conflict with it. Fills
 * `blockers` (room for holder_count) and returns how many.
 */
size_t inspect_blockers(const struct inspected_lock *lock, const struct inspected_waiter *waiter,
                        const struct inspected_holder **blockers);

#endif
