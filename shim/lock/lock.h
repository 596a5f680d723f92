/*
 * A lock: an exclusive (or shared) flock on a lock file, owned by this process, or by the command
 * that it belongs to. Taking it, waiting for it, joining a holder that waits for us, letting go.
 *
 * The protocol, in order, and what a crash between two steps leaves behind:
 *
 *   take     1. open the lock file, once            nothing
 *            2. flock, without waiting              the kernel drops it
 *            3. is the locked inode still the one   the kernel drops it
 *               at the path? If not: begin again
 *            4. is one who joined the last holder   the kernel drops it
 *               still inside? Then let go and wait
 *            5. read the mark of the last holder,   the kernel drops the lock; the registry names a
 *               write ourselves into the registry   dead holder, which whoever reads it can tell
 *   change   6. set the mark, then change           a mark with a dead owner: "died inside"
 *   release  7. generation + 1, clear the mark      at worst a generation too many
 *            8. LOCK_UN, then wake a waiter         the waiter looks again by itself
 *
 * A holder that waits for another process is joined by that one (wait.c): then several are inside,
 * each with a mark of its own to set and clear, but one mark in the registry. At step 7 whoever
 * leaves while others are inside puts the name of one of them into the mark instead of clearing it;
 * the last one out clears it (succession.h).
 *
 * Steps 2 to 4 can be repeated by any thread or signal handler at any time: flock on a description
 * that has the lock is no change. So taking needs no lock inside the process; letting go (7, 8) is
 * done by the one who brings the count of users to none, while the others stand back.
 *
 * Nothing here knows of interposition. All functions return 0 or a negative errno, leave errno
 * alone, and may be called from threads and signal handlers, except where said.
 */
#ifndef LOCKSHIM_LOCK_H
#define LOCKSHIM_LOCK_H

#include "shim/lock/fence.h"
#include "shim/lock/latch.h"
#include "shim/lock/registry.h"
#include "shim/lock/self.h"
#include "shim/lock/undo.h"
#include "shim/settings.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct command_entry;

struct lock {
    const char *path;       /* of the lock file, absolute */
    const char *table_path; /* of the first table that names it: its mode is the registry's */
    bool shared;            /* only readers: LOCK_SH */
    enum scope scope;       /* the longest-lived scope among its tables */
    enum dependents dependents;
    enum on_crash on_crash;
    bool durable;                /* of its undo journal */
    uint64_t undo_limit;         /* bytes */
    struct command_entry *entry; /* the command that owns it, or NULL */
    struct lock *next;           /* in the list of all locks */

    _Atomic uint64_t state;     /* see lock.c */
    _Atomic uintptr_t releaser; /* the thread that is letting go */
    _Atomic int descriptor;     /* of the lock file; -1: not open */
    _Atomic int borrowed;       /* the program's own descriptor that has the flock, or -1 */
    _Atomic bool may_borrow;    /* the program has a descriptor of the lock file, as far as known */
    _Atomic bool program_wants; /* the program itself has the lock (through `borrowed`) */
    uint64_t borrow_looked;     /* when its descriptors were last looked through for one */
    uint64_t device, inode;     /* of what `descriptor` has open */
    uint64_t path_checked;      /* when the path was last compared with it */
    uint64_t path_changed;      /* the change time that it had then */
    int level;                  /* 0, or how deep we joined a holder that waits for us */
    _Atomic bool changed;       /* the mark is set */
    int open_error;             /* why the lock file could not be opened: a positive errno, or 0 */
    _Atomic bool registry_opened;
    /*
     * One thread at a time opens the lock's files, takes it, settles what the last holder left and
     * says who holds: its threads share one description, so the kernel would let in all of them.
     */
    struct latch entrance;
    bool opening;                /* whose thread is opening the registry */
    _Atomic int waiting_threads; /* of this process */
    _Atomic bool reserve;        /* lock_reserve() was called in this session */
    _Atomic bool fence_told;     /* that calls are refused since it was broken */
    _Atomic bool out_of_reach;   /* lock_note_out_of_reach() was called */
    uint64_t registry_mended;    /* when that was last tried */
    uintptr_t taker;             /* the thread that took it */
    uint64_t acquired_at;
    _Atomic uint64_t touched_at; /* as the registry has it */
    uint64_t acquisition;
    uint64_t generation;           /* as it was when the lock was taken */
    uint64_t own_changes;          /* how often we ourselves raised it */
    _Atomic uint32_t undo_session; /* what is recorded in the undo journal is remembered by it */
    uint32_t undo_moves;           /* how often the command had moved directories at its start */
    _Atomic bool undo_noted;       /* the registry says that there is a journal */
    bool undo_looked;              /* for a journal that the registry does not know of */
    struct undo_kept undo_kept;
    uint64_t undo_sequence; /* as one who joined has last seen it */
    int undo_error;         /* why a journal could not be undone: a positive errno, or 0 */
    bool hold_counted;      /* how long it was held has been told already */
    int slot;               /* among the holders in the registry, or -1 */
    struct registry registry;
    struct fence fence;
};

/* What happened that a person may want to know. Set once, before the first lock is taken. */
struct lock_notice {
    enum registry_event_kind kind;
    int error;        /* positive errno, or 0 */
    pid_t other;      /* the process on the other side, or 0 */
    uint64_t waited;  /* nanoseconds */
    const char *text; /* a clause that explains, or NULL */
};
extern void (*lock_notify)(const struct lock *lock, const struct lock_notice *notice);

#define LOCK_KEEP 1u    /* never let go again before the process ends */
#define LOCK_CHANGES 2u /* the user is about to change the table: as lock_before_change() */

/*
 * One more user. The first takes the lock, waiting at most `timeout` nanoseconds (-1: for ever).
 * Each success wants one leave, unless kept.
 */
int lock_enter(struct lock *lock, int64_t timeout, unsigned how);

/* Held, and never to be let go before the process ends? Then nothing is to be entered. */
#define LOCK_STATE_KEPT (1ull << 34)
static inline bool lock_is_kept(const struct lock *lock)
{
    return (atomic_load_explicit(&lock->state, memory_order_acquire) & LOCK_STATE_KEPT) != 0;
}

/* One user less. The last one lets go. */
void lock_leave(struct lock *lock);

/* Does this process (or its command, through this process) hold it? */
bool lock_is_held(const struct lock *lock);

/* Users at present, for whoever adopts inherited descriptors. */
uint32_t lock_users(const struct lock *lock);

/*
 * This user has moved a file aside that it will make anew in a session of its own, as programs do
 * that keep a backup (dbm.dumb's commit). Others who find the lock free in between stand back for
 * LOCK_RESERVATION at most: a courtesy, told through the registry, on which nothing else depends.
 */
#define LOCK_RESERVATION 200000000u /* ns */
void lock_reserve(struct lock *lock);

/* A touch inside: tells the registry when the last one was, once in REGISTRY_TOUCH_AGE. */
void lock_note_touch(struct lock *lock);

/* A call found the fence raised: tells the registry, and once whoever reads the log. */
void lock_tell_fenced(struct lock *lock);

/* A program that no fence can stop was started on the owner's behalf: the registry tells so. */
void lock_note_out_of_reach(struct lock *lock);

/* To be called before each change of the table, while inside. */
int lock_before_change(struct lock *lock);

/* The generation as it is now, whether or not we hold the lock. */
uint64_t lock_generation(struct lock *lock);

/* The process is about to end by itself, or to execute another program: what it changed counts as
 * done. */
void lock_process_ends(struct lock *lock, bool executes);

/* An exec that lock_process_ends() made ready for has failed: the process goes on. */
void lock_process_goes_on(struct lock *lock);

/* Forgets everything and closes the copy of the description: the lock is no longer ours. */
void lock_abandon(struct lock *lock);

/* In a forked child: the parent's lock is the parent's; a command's lock is the command's. */
void lock_forked(struct lock *lock);

/*
 * Before a member's touch: the command goes on until it has ended. If the command is over already,
 * the member leaves it. 0 or a negative errno.
 */
int lock_register(struct lock *lock);

/* A member leaves its command: from now on it is an owner of its own, under `session`. */
void lock_leave_command(struct lock *lock);

/* Before exec in the holder: the lock's descriptor survives it; undone by `survive` = false. */
void lock_survive_exec(struct lock *lock, bool survive);

/* After exec: takes over a descriptor of the lock file that survived it. */
void lock_adopt(struct lock *lock, int descriptor, bool keep);

/*
 * The program flocks this lock file by itself. Returns true when `*result` (0 or a negative errno)
 * is the answer, false when the real call is to be made.
 */
bool lock_program_flock(struct lock *lock, int descriptor, int operation, int *result);

/* It has closed the last descriptor by which it had the lock through us: as good as LOCK_UN. */
void lock_program_closed(struct lock *lock);

/* Adds a lock, for good, to the list that lock_each goes through until `each` returns false. */
void lock_list_add(struct lock *lock);
void lock_each(bool (*each)(struct lock *lock, void *context), void *context);

/* --- between the files of this folder --- */

/* Another thread of this process has the lock: nothing was begun, and nothing is to be ended. */
#define LOCK_IS_HELD 1
/* Begins lock->entrance, to take the lock: 0, or LOCK_IS_HELD. */
int lock_entrance_unless_held(struct lock *lock);

int lock_open_file(const char *path, const char *table_path);
/*
 * Takes it if it is free, and reads the registry's head: 0, and the end of lock->entrance is due;
 * else LOCK_IS_HELD, -EWOULDBLOCK or another error.
 */
int lock_attempt(struct lock *lock, struct registry_head *head);

/* Is the last holder expected back, in the middle of what it does (lock_reserve())? */
bool lock_reserved_for_another(struct lock *lock, const struct registry_head *head);
/* The same, as soon as it is free. */
int lock_wait(struct lock *lock, int64_t timeout, struct registry_head *head);
bool lock_range_taken(int descriptor, int from_level);
/* Takes (F_WRLCK) or lets go of (F_UNLCK) a level's record lock, without waiting. */
int lock_set_level(int descriptor, int level, short type);
int lock_borrow(struct lock *lock);
/* Has the description behind a descriptor of ours a flock? 1, 0, or -ENOENT: /proc does not tell.
 */
int lock_shows_flock(int descriptor, bool shared_will_do);
void lock_tell(struct lock *lock, const struct lock_notice *notice);

#define LOCK_LEVELS 32
/*
 * Joined processes hold a record lock on a byte far behind any data: one byte for each level, from
 * 1 on. Byte 0 is for those who leave (succession.c).
 */
#define LOCK_LEVEL_OFFSET ((off_t)1 << 61)
/* Behind them, the one of whoever breaks the lock (takeover.h). */
#define LOCK_BREAK_OFFSET (LOCK_LEVEL_OFFSET + (off_t)2 * LOCK_LEVELS)

#endif
