/*
 * One look in the making; between the files of this folder. The steps, in order:
 *
 *   inspector.c   reads the kernel's list, again where it must be
 *   candidates.c  makes a candidate of every file with a flock that the request is about, looks
 *                 into the processes named there
 *   paths.c       where the lock files lie, and whether they are still there
 *   join.c        who holds: the kernel's word, completed by descriptors and registry
 *   waiters.c     who waits
 *   cycles.c      who waits for whom in a ring
 *   verdict.c     what that amounts to
 */
#ifndef LOCKCTL_LOOK_H
#define LOCKCTL_LOOK_H

#include "lockctl/inspect/arena.h"
#include "lockctl/inspect/identity.h"
#include "lockctl/inspect/inspect.h"
#include "lockctl/inspect/kernel_view.h"
#include "lockctl/inspect/processes.h"
#include "lockctl/inspect/registry_view.h"

/* What a registry says, read once; several lock files (one deleted, one new) may share it. */
struct registry_words {
    struct registry_words *next;
    const char *path; /* of the lock file, as it is reached from here */
    bool present;
    struct view_head head;
    struct view_holder *holders; /* the exclusive one first */
    size_t holder_count;
    struct view_waiter *waiters;
    size_t waiter_count;
    const char *table; /* NULL: it does not say */
    bool mark_is_left; /* the last exclusive holder has changed the table, and is gone */
    bool shared;       /* by several candidates */
};

enum { REGISTRY_BUCKET_COUNT = 4096 };

struct candidate {
    struct inspected_lock told;
    bool beside;              /* was not asked for: only looked at to see whether there is a ring */
    bool if_held;             /* told of only then */
    size_t order;             /* among the named ones */
    uint64_t device, inode;   /* as the kernel's list tells them; inode 0: there is no file */
    size_t first, line_count; /* its lines in the kernel's list */
    const char *reachable_path;   /* from here; NULL: unknown */
    bool has_no_registry;         /* that much is known */
    struct registry_words *words; /* NULL: not looked for */
};

struct look {
    struct arena *arena;
    const struct inspect_request *request;
    const struct kernel_view *view;
    /* Another reading of the list. A holder that was not found has let go between the reading and
     * the looking, unless it stands here too; NULL: not asked. */
    const struct kernel_view *again;
    struct processes processes;
    struct wanted_inodes wanted;                              /* of all locks in the list */
    struct wanted_inodes named;                               /* of the candidates */
    struct registry_words *registries[REGISTRY_BUCKET_COUNT]; /* by their paths' hashes */
    struct view_blocked *blocked; /* what all registries say about who holds and waits elsewhere */
    size_t blocked_count;
    struct candidate *candidates;
    size_t count, room;
    size_t looked; /* so many candidates were looked at before */
    size_t blocked_followed;
    bool waiting_added;
    bool seeks_deleted; /* a lock file that was named does not exist: who holds it is sought */
    bool everywhere;    /* all processes have been looked through, if that was to be */
    uint64_t now;       /* CLOCK_MONOTONIC when it began */
    bool inside_namespace;
    size_t hidden_processes;
};

/* candidates.c, in this order. Which files it is about, and what is looked for. */
void candidates_collect(struct look *look);
/* Processes that the list and the registries name. */
void candidates_look_near(struct look *look);
/* Is there a holder that was not found among them? */
bool candidates_miss_holder(struct look *look);
/* Deleted lock files and, if need be, all processes. */
void candidates_look_everywhere(struct look *look, bool all_processes);

/*
 * The locks that others wait for and that may be in a ring with one of the candidates, which are
 * then looked at as well. False: there are no more.
 */
bool candidates_add_beside(struct look *look);

/* paths.c: where the candidate's file lies, from what those who have it open say. */
void paths_find(struct look *look, struct candidate *candidate);

/* registries.c: the words beside the lock file at a path; asked for twice, they are shared. */
struct registry_words *registries_read(struct look *look, const char *lock_path);

/* join.c: after all descriptors were looked at and sorted. */
void join_lock(struct look *look, struct candidate *candidate);

/*
 * Before that: must all processes be looked into to find who has this lock? Not if its taker has
 * it, or the registry names a command that runs. With look->again only what stands there counts.
 */
bool join_misses_holder(struct look *look, const struct candidate *candidate);

/* waiters.c: the part of join_lock() that is about them. */
void join_waiters(struct look *look, struct candidate *candidate);

/* How long ago that was; UNKNOWN_TIME for 0. */
int64_t look_age(const struct look *look, uint64_t moment);

/* The supervisor of a member's command, if it lives: one that is younger is somebody else. */
struct process *look_supervisor(struct look *look, pid_t supervisor, uint64_t pid_namespace,
                                uint64_t start_time);

static inline const struct kernel_flock *look_line(const struct look *look,
                                                   const struct candidate *candidate, size_t index)
{
    return &look->view->items[candidate->first + index];
}

/* cycles.c: fills in cycles, and which lock is in which. */
void cycles_find(struct look *look, struct inspection *inspection);

#endif
