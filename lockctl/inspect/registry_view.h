/*
 * Looks at LOCKFILE.registry from outside: read-only, never mapped (others may cut it off), nothing
 * made or changed. Every byte of it is hostile: what comes out of here has been looked at, so that
 * counts, kinds and times are what they claim to be, or are left out. The registry is an
 * annotation: the kernel alone knows who holds (registry.h).
 *
 * All reads return how many entries they filled in, or false, and never fail harder than that. An
 * entry can be in the middle of being written: those whose process does not fit are read again.
 */
#ifndef LOCKCTL_INSPECT_REGISTRY_VIEW_H
#define LOCKCTL_INSPECT_REGISTRY_VIEW_H

#include "shim/lock/registry.h"
#include "shim/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define REGISTRY_VIEW_PATH 4480

struct registry_view {
    int descriptor;   /* -1: there is none to read */
    int error;        /* then why, as a positive errno; EINVAL: not one of this version */
    char problem[96]; /* and as a clause: "is cut off (4096 of 503552 bytes)" */
    char path[REGISTRY_VIEW_PATH]; /* of the registry */
    uint64_t device, inode;        /* of the registry, as it was opened */
    uint64_t boot;                 /* ours: process_boot_number() */
    uint64_t pid_namespace;        /* ours: process_pid_namespace() */
};

/*
 * Opens the registry of a lock file. False when it can't be read: view->error and view->problem
 * tell why (ENOENT: there is none, which is no fault). It may be closed in either case.
 */
bool registry_view_open(struct registry_view *view, const char *lock_path);
void registry_view_close(struct registry_view *view);

/* Is what was opened still what lies at the path, and whole? */
bool registry_view_is_current(const struct registry_view *view);

/* Is a process that the registry names still there? */
enum view_life {
    VIEW_GONE,     /* it has ended, or belongs to an earlier boot */
    VIEW_LIVING,   /* its pid is what we call it, too */
    VIEW_ELSEWHERE /* of another PID namespace: not visible from here */
};

/* Times are CLOCK_MONOTONIC in nanoseconds; 0: not known (of another boot, or in the future). */
struct view_holder {
    pid_t process; /* > 0 */
    enum registry_mode mode;
    enum scope scope;
    enum view_life life;
    uint64_t start_time;
    uint64_t since;
    uint64_t last_touch;
    uint64_t acquisition;
    uint64_t pid_namespace;
    uint64_t boot;
    uint64_t fence;    /* an address in the process's memory, not looked at */
    int descriptor;    /* of the lock file in that process; -1: not known */
    unsigned level;    /* 0, or how deep it joined */
    pid_t supervisor;  /* of its command, or 0 */
    pid_t thread;      /* that took it, or 0 */
    bool out_of_reach; /* it has started a program that no fence can stop */
};

struct view_waiter {
    pid_t process; /* > 0 */
    enum registry_mode mode;
    enum view_life life;
    int slot;        /* its place among the waiters */
    uint64_t ticket; /* the smaller came first */
    uint64_t start_time;
    uint64_t since;
    uint64_t pid_namespace;
    uint64_t boot;
    pid_t supervisor; /* of its command, or 0 */
    pid_t thread;     /* that waits, or 0 */
};

/* A holder of this lock waits for another one. */
struct view_blocked {
    pid_t process;
    int descriptor; /* of the other lock file in that process, or -1 */
    uint64_t start_time;
    uint64_t device, inode; /* of the other lock file */
    uint64_t since;
};

struct view_mark {
    enum registry_mark_state state;
    pid_t process; /* 0: not known */
    enum view_life life;
    uint64_t start_time;
    uint64_t boot;
    uint64_t acquisition;
};

struct view_head {
    uint64_t generation;
    uint64_t acquisition;
    uint64_t broken;         /* the last acquisition that was broken */
    uint64_t next_event;     /* how many events there have been */
    uint64_t lock_inode;     /* the lock file that the last holder saw at the path */
    uint32_t unlisted;       /* waiters that found no slot; at most 1 << 22 */
    uint32_t waiting;        /* at most REGISTRY_WAITERS */
    uint32_t joined;         /* at most REGISTRY_HOLDERS */
    bool crashed;            /* the last holder died inside and nobody has recovered */
    uint64_t reserved_until; /* CLOCK_MONOTONIC */
    pid_t reserved_for;
    struct view_mark mark;
};

struct view_counters {
    uint64_t values[COUNTERS]; /* enum registry_counter */
};

/* How long something took. Sum and maximum never contradict the buckets. */
struct view_histogram {
    uint64_t count;
    uint64_t sum;     /* ns */
    uint64_t maximum; /* ns */
    uint64_t buckets[REGISTRY_BUCKETS];
};

struct view_event {
    uint64_t number; /* 1 is the first that there ever was */
    uint64_t time;   /* CLOCK_REALTIME, ns; 0: not known */
    uint32_t kind;   /* enum registry_event_kind, or one of a later lockshim: EVENT_KINDS or more */
    pid_t process;   /* 0: not known */
    pid_t other;
    int error; /* a positive errno, or 0 */
    uint64_t nanoseconds;
    uint64_t acquisition;
};

bool registry_view_head(const struct registry_view *view, struct view_head *head);

/* The exclusive holder; false: none is named (or it can't be read). */
bool registry_view_exclusive(const struct registry_view *view, struct view_holder *holder);

/* The others: shared holders, those who joined, members of a command. */
size_t registry_view_holders(const struct registry_view *view,
                             struct view_holder holders[static REGISTRY_HOLDERS]);

/* In the order in which they came. */
size_t registry_view_waiters(const struct registry_view *view,
                             struct view_waiter waiters[static REGISTRY_WAITERS]);

size_t registry_view_blocked(const struct registry_view *view,
                             struct view_blocked blocked[static REGISTRY_BLOCKED]);

bool registry_view_counters(const struct registry_view *view, struct view_counters *counters);

/* Of the waits that ended with the lock, and of the times that it was held. */
bool registry_view_wait_times(const struct registry_view *view, struct view_histogram *histogram);
bool registry_view_hold_times(const struct registry_view *view, struct view_histogram *histogram);

/*
 * Those events of the ring that came after number `after` (0: all that are still there), oldest
 * first. Unfinished and overwritten ones are left out.
 */
size_t registry_view_events(const struct registry_view *view, uint64_t after,
                            struct view_event events[static REGISTRY_EVENTS]);

/* The table that the registry was made for; "" when it does not say. Not fit for a terminal. */
const char *registry_view_table(const struct registry_view *view, char path[static 4096]);

enum view_life registry_view_life(const struct registry_view *view, pid_t process,
                                  uint64_t start_time, uint64_t pid_namespace, uint64_t boot);

#endif
