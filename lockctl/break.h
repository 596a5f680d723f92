/*
 * What the files of `lockctl break` share: whom it is about to break, what was found out about
 * them, and what is promised. The steps are those of shim/lock/takeover.h.
 */
#ifndef LOCKCTL_BREAK_H
#define LOCKCTL_BREAK_H

#include "lockctl/inspect/inspect.h"
#include "lockctl/lockctl.h"
#include "shim/lock/takeover.h"

#include <stdbool.h>
#include <stddef.h>

#define STATUS_REFUSED 4

struct break_request {
    bool force;
    bool dry_run;
    int kill_signal; /* 0: do not */
    const char *config;
    uint64_t stuck_after;
};

/* One holder that is to be broken. */
struct victim {
    const struct inspected_holder *holder;
    struct takeover_process process;
    struct takeover_lock lock; /* our copy of its description */
    bool shared;               /* we have one */
    bool recorded;             /* the registry tells of it: */
    struct registry_holder record;
    bool fenced; /* it can be: */
    struct takeover_fence fence;
    bool raised;
    bool stands_still;           /* for the time being: the fence does not see it let go */
    uint64_t acquisition;        /* 0: not known; with FENCE_OVER: the one before it */
    struct command_entry *entry; /* of the command that it is a member of, or NULL */
    int anchor;                  /* of that command: a descriptor, or -1 */
    bool ended;
    bool let_go; /* by itself, in order, meanwhile */
};

/* Others who may still write to the table, or let go of the lock. */
struct kin {
    pid_t pid;
    uint64_t start_time;
    pid_t parent, group, session;
    bool related;    /* descends from a victim */
    bool has_copy;   /* of the description */
    bool guarded;    /* has the shim: asks before it writes */
    bool unreadable; /* can't be looked into */
};

/* Of a command that is broken, and no victim. */
struct member {
    struct takeover_process process;
    struct takeover_fence fence;
};

struct break_plan {
    const struct break_request *request;
    const struct inspection *inspection;
    const struct inspected_lock *lock;
    const char *table; /* that is protected, or NULL */
    struct victim *victims;
    size_t count;
    size_t spared; /* shared holders that are well, and keep the lock */
    struct member *members;
    size_t member_count;
    struct kin *kin;
    size_t kin_count;
    struct takeover_frozen standing; /* whose acquisition is named, until its fence is raised */
    struct takeover_frozen frozen;
    struct takeover_files files;
    struct registry registry;
    uint64_t acquisition; /* the one that is broken; 0: not known */
    uint64_t named_before;
    int exclusion; /* of other breaks: a descriptor, or negative */
    int bar;       /* that keeps others from joining the holder, or negative */
    int successor; /* a descriptor that has the lock file now at the path, or -1 */
    size_t renewed;
    bool restored; /* the table was rolled back */
    uint64_t freed_at;
};

/*
 * Chooses whom to break and finds out whether that can be done. STATUS_DONE to go on (no victims:
 * nothing is to be done), negative when the lock has been let go of meanwhile and that is said, or
 * an exit status after a complaint. Changes nothing; keeps other breaks out.
 */
int break_prepare(struct break_plan *plan);

/* Does it. STATUS_DONE, or an exit status after a complaint. */
int break_act(struct break_plan *plan);
void break_plan_free(struct break_plan *plan);

/* What we share with the first victim that could be shared with, or NULL. */
const struct takeover_lock *break_shared_lock(const struct break_plan *plan);

/*
 * Keeps others from interfering: other breaks (negative: the lock has been let go of meanwhile),
 * those who would join the holder, until the bar is lifted, and those who have the description and
 * no fence.
 */
int break_exclude_others(struct break_plan *plan);
int break_bar_joining(struct break_plan *plan);
void break_lift_bar(struct break_plan *plan);
int break_freeze_all(struct break_plan *plan);

/*
 * Raises the fences of members that are no victims, and waits for their calls. After the command
 * was marked. Lowering them: for a break that is given up.
 */
int break_fence_members(struct break_plan *plan);
void break_lower_members(struct break_plan *plan);
void break_free_members(struct break_plan *plan);

/* Looks for kin among all processes. */
void break_find_kin(struct break_plan *plan);

/* Can `force` go on here? If not, complains, with what would be lost, and returns false. */
bool break_may_go_on(const struct break_plan *plan, const char *what);

#endif
