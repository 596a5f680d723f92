/*
 * Taking a lock over from its holder, step by step (`lockctl break`). A flock belongs to an open
 * file description, so it can be shared with its holder, without a gap and without its help, and
 * then be let go of in its place. For lockctl alone: no part of the shim. No step does more than
 * its comment says; the order is the caller's:
 *
 *   1. takeover_open         a pidfd, and that it is still the process that was named
 *   2. takeover_share        our own copy of the description that has the lock
 *      takeover_exclude      no other break is at it: giving up, it would lower the fence that
 * another one relies on. From here on the lock is looked at once more
 *   3. takeover_command_mark, takeover_fence_raise: members and holder refuse further calls. One
 *      who lets go and takes it anew all the time is made to stand still (as in 4) from before it
 *      is told which acquisition it is until here
 *   4. takeover_fence_wait   no call that began before is under way; only then, as who stands still
 *      takeover_freeze       ends no call: those who could let go past the fence stand still
 *      takeover_bar_joining  nobody goes in under its lock
 *   5. takeover_has_lock, and the fence once more: it is still the acquisition that was named
 *   6. takeover_files_renew  what the holder may still flush is no longer in the table
 *   7. takeover_settle       the registry: a mark, so that the next knows
 *   8. takeover_unlock       the next waiter enters
 *
 * What a crash of lockctl leaves behind: before 3 nothing; between 3 and 8 a holder whose calls
 * fail, which still has the lock, and can be broken again; frozen processes go on by themselves.
 *
 * Everything read from another process or from the registry may be forged. The only thing that is
 * ever written into another process is the word `raised` of a struct fence that lies in the data of
 * a liblockshim.so and names the lock that this process has.
 *
 * Functions return 0 or a negative errno, except where said. -ESRCH: the process has ended.
 */
#ifndef LOCKSHIM_TAKEOVER_H
#define LOCKSHIM_TAKEOVER_H

#include "shim/lock/fence.h"
#include "shim/lock/registry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* --- processes (takeover.c) --- */

struct takeover_process {
    pid_t pid;
    uint64_t start_time; /* clock ticks since boot */
    pid_t thread;        /* a thread that lives: the leader may have exited */
    int pidfd;
    bool guarded; /* it has the shim mapped */
};

/* `start_time` 0: whichever process has this pid now. -ESRCH: another one has it by now. */
int takeover_open(struct takeover_process *process, pid_t pid, uint64_t start_time);
void takeover_close(struct takeover_process *process);

int takeover_signal(const struct takeover_process *process, int signal);
/* Waits for its end, at most `nanoseconds`: -ETIMEDOUT when it goes on. */
int takeover_await_end(const struct takeover_process *process, int64_t nanoseconds);

/* Is it one and the same PID namespace and process that a registry's record names? */
bool takeover_is_recorded_as(const struct takeover_process *process,
                             const struct registry_holder *record);

/* --- the description (takeover.c) --- */

struct takeover_lock {
    uint64_t device, inode; /* of the lock file, as fstat tells them */
    int descriptor;         /* our copy of the description */
    int number;             /* the holder's descriptor that it was copied from */
    bool joined;            /* its lock is the record lock of one who joined (lock.h) */
};

/*
 * Copies that descriptor of the process that has a flock on the lock file with this inode; of one
 * who `joined` a holder, that which has its record lock. -ENOENT: none has. -EPERM: no right to.
 */
int takeover_share(const struct takeover_process *process, uint64_t inode, bool joined,
                   struct takeover_lock *lock);

/* Does the description that we share have its lock still? */
bool takeover_has_lock(const struct takeover_lock *lock);

/* Does this process have a copy of the description? Its number, or -1. */
int takeover_has_copy(const struct takeover_process *process, const struct takeover_lock *lock);

/*
 * Keeps other breaks of this lock out until the descriptor that this returns is closed. -EAGAIN:
 * one is under way.
 */
int takeover_exclude(const struct takeover_lock *lock);

/*
 * Nobody can join the holder any more (lock.h), until the descriptor that this returns is closed;
 * it counts the levels that others have, who joined before. A negative errno: there can't be any.
 */
int takeover_bar_joining(const struct takeover_lock *lock, int *joined);

/* Drops the lock, and with it that of all who share it; keeps the copy. */
void takeover_unlock(const struct takeover_lock *lock);

/* --- the fence (takeover_fence.c) --- */

struct takeover_fence {
    const struct takeover_process *process;
    uint64_t address;
    int memory; /* /proc/PID/mem: of the program that it runs now, not of one it executes later */
};

/*
 * The fence for this lock in the shim's own data in that process; `hint` is where the registry says
 * that it is, or 0. -EINVAL: there is none, and nothing to close. Reading and raising fail with
 * -ESRCH when that program is gone: the process has ended, or executed another one.
 */
int takeover_fence_find(struct takeover_fence *fence, const struct takeover_process *process,
                        const struct takeover_lock *lock, uint64_t hint);
void takeover_fence_close(struct takeover_fence *fence);
int takeover_fence_read(const struct takeover_fence *fence, struct fence *copy);
int takeover_fence_raise(const struct takeover_fence *fence, uint64_t acquisition);
/* Takes it back: for a break that is given up. */
void takeover_fence_lower(const struct takeover_fence *fence);
/*
 * Until no call is under way, at most `nanoseconds`: -ETIMEDOUT. -ESTALE: it has let go in order,
 * or taken the lock anew, and the fence that was raised against this acquisition is nothing to it.
 */
int takeover_fence_wait(const struct takeover_fence *fence, uint64_t acquisition,
                        int64_t nanoseconds);

/*
 * The entry for this lock of the command that the process is a member of, mapped; NULL when it is
 * in none. `*anchor` becomes a descriptor of the command's anchor, to be closed, or -1.
 * takeover_command_mark() writes COMMAND_BREAKING, COMMAND_BROKEN or 0 into the entry.
 */
struct command_entry;
struct command_entry *takeover_command_find(const struct takeover_process *process,
                                            const struct takeover_lock *lock, int *anchor);
void takeover_command_mark(struct command_entry *entry, uint32_t state);

/*
 * After BREAKING was marked: waits until the command's lockctl, should it be about to let go, has
 * done so (then the lock is free) or has ended. At most `nanoseconds`: -ETIMEDOUT, and
 * `*supervisor` is its pid, 0 when it is not visible from here.
 */
int takeover_command_wait(const struct command_entry *entry, int anchor, int64_t nanoseconds,
                          pid_t *supervisor);

/* --- standing still (takeover_freeze.c) --- */

struct takeover_frozen {
    pid_t threads[1024];
    int count;
};

/*
 * Stops all threads of a process, unseen by its parent (ptrace), until takeover_thaw() or our own
 * end. Those in uninterruptible sleep stop before they return from it. -EPERM when it may not be
 * traced, or somebody else traces it.
 */
int takeover_freeze(struct takeover_frozen *frozen, const struct takeover_process *process);
void takeover_thaw(struct takeover_frozen *frozen);

/* --- fresh inodes (takeover_files.c) --- */

struct takeover_file {
    uint64_t device; /* 0: not known */
    uint64_t inode;
    char *path; /* as its user has it, or NULL; to be freed */
    bool done;  /* it is renewed, not in the table, or given up */
};
struct takeover_files {
    struct takeover_file *items;
    size_t count, room;
    size_t renewed;
    size_t unreadable; /* processes that may have some, but could not be looked into */
    char failed[512];  /* the name that takeover_files_renew() failed at */
};

/*
 * Adds the regular files that the process has open for writing or mapped shared, as far as they can
 * be in the table.
 */
int takeover_files_collect(struct takeover_files *files, const struct takeover_process *process,
                           const char *table);

/*
 * Puts those of them that lie in the table on fresh inodes: a copy takes the place of each, so that
 * who has the old one open no longer reaches the table. Owner, mode (without set-id bits), times,
 * extended attributes and hard links within the table are kept; `renewed` counts them. At the first
 * that fails `failed` is set; once more goes on behind it. Symlinks are never followed.
 */
int takeover_files_renew(struct takeover_files *files, const char *table);
void takeover_files_free(struct takeover_files *files);

/* --- the registry (takeover_registry.c) --- */

/* Says in the registry that this acquisition is about to be broken. Before anything is done. */
void takeover_announce(struct registry *registry, pid_t holder, uint64_t acquisition);

/*
 * Names the acquisition in the head as broken, before a fence is raised: a program that the holder
 * executes meanwhile does not take it for its own. Returns what stood there, for a break that is
 * given up.
 */
uint64_t takeover_name(struct registry *registry, uint64_t acquisition);

/*
 * The mark of the one whom we share the lock with becomes that of a broken holder (or is cleared,
 * if the table was `restored`), and its records are cleared. Only while we have the lock.
 */
void takeover_settle(struct registry *registry, const struct takeover_process *process,
                     uint64_t acquisition, bool exclusive, bool restored);

/* Copies the record of this process among the holders; false when there is none. */
bool takeover_record(struct registry *registry, const struct takeover_process *process,
                     struct registry_holder *record);

#endif
