/*
 * The registry: LOCKFILE.registry, mapped by every guarded process and by lockctl. It tells who
 * holds a lock, who waits, since when, whether the holder has changed anything, and what happened.
 *
 * It is an annotation. The kernel's flock decides who holds; nothing here is ever believed where
 * that would let two in. A registry that is missing, truncated, hostile or not writable is done
 * without: waiters then look by themselves every few milliseconds.
 *
 * Every access goes through the kernel: pread, pwrite, and the futex operations, which can add to a
 * word as well as wait and wake. Others may truncate the file at any time, and a load or a store
 * beyond its end would be a SIGBUS that kills the guarded program; a call just fails. So the file
 * is mapped only to give the futexes an address, and nothing of ours ever touches that memory.
 *
 * Protocol
 *   - The exclusive holder alone writes the second half of the head, from `generation` on: it holds
 *     the flock. It reads all of the head in one call and writes its half in one call.
 *   - Words that several count on (`waiting`, `joined`, counters) are added to by the kernel.
 *   - Slots of `holders` (shared holders, those who joined, members of a command), `waiters` and
 *     `blocked` are taken by writing into one that was free and reading it back: whoever finds
 *     somebody else there takes another one. They are cleared by their owner, or by whoever finds
 *     the owner dead.
 *   - acquire:  flock; look at `mark` (a mark without a living owner: the last holder died inside);
 *               write `exclusive`, with the mark if the table is about to be changed.
 *   - change:   before the first change write `mark`.
 *   - release:  generation + 1 if changed, `mark` and `exclusive` cleared, all in one write;
 *               LOCK_UN; then the first waiters are woken, each by the word in its own slot.
 *   - A crash between any two of these leaves either no trace, or a mark whose owner is dead, which
 *     the next holder finds. A wake that is lost costs a waiter one turn of its timeout.
 */
#ifndef LOCKSHIM_REGISTRY_H
#define LOCKSHIM_REGISTRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define REGISTRY_VERSION 2u
#define REGISTRY_HOLDERS 128
#define REGISTRY_WAITERS 1024
#define REGISTRY_EVENTS 4096
#define REGISTRY_BLOCKED 16

enum registry_mode { REGISTRY_EXCLUSIVE = 1, REGISTRY_SHARED = 2, REGISTRY_JOINED = 3 };

/*
 * One who holds. 128 bytes. Times are CLOCK_MONOTONIC in nanoseconds. A process is named by pid,
 * start time (process.h), boot and PID namespace together.
 */
struct registry_holder {
    int32_t process; /* 0: free */
    uint32_t mode;   /* enum registry_mode */
    uint64_t start_time;
    uint64_t since;
    uint64_t acquisition;
    uint64_t pid_namespace;
    uint32_t scope;        /* enum scope */
    int32_t descriptor;    /* the holder's descriptor of the lock file */
    uint32_t level;        /* 0, or how deep it joined */
    int32_t supervisor;    /* of the command that it belongs to, or 0 */
    uint64_t last_touch;   /* of the table by name; at most REGISTRY_TOUCH_AGE too old */
    uint64_t boot;         /* process_boot_number() */
    uint64_t fence;        /* where in its memory its struct fence is (fence.h), or 0 */
    int32_t thread;        /* the thread that took it */
    uint32_t out_of_reach; /* it has started a program that no fence can stop */
    uint32_t ending; /* it has ended in order, but for what libc still does; answers for nothing */
    int32_t polled;  /* a child that it asks about without waiting, or -1: several */
    uint64_t polled_at; /* when it last did, at most REGISTRY_POLL_AGE too old; 0: never */
    int32_t awaited; /* the child, the only one, that it waits for; 0: not told, or not one alone */
    uint32_t reserved_word;
    uint64_t reserved[2];
};
#define REGISTRY_TOUCH_AGE 1000000000u
#define REGISTRY_POLL_AGE 10000000u

/* One who waits. 64 bytes. */
struct registry_waiter {
    int32_t process; /* 0: free */
    uint32_t mode;
    uint64_t start_time;
    uint64_t since; /* who came first */
    uint64_t pid_namespace;
    uint32_t wake;      /* futex: look again */
    int32_t supervisor; /* of the command that it belongs to, or 0 */
    uint64_t boot;
    int32_t thread;
    uint32_t number; /* which wait of the process it is */
    uint64_t reserved;
};

/* A holder of this lock is blocked on another lock: an edge for the search of cycles. 40 bytes. */
struct registry_blocked {
    int32_t process;    /* 0: free */
    int32_t descriptor; /* of the other lock file, in that process */
    uint64_t start_time;
    uint64_t device;
    uint64_t inode;
    uint64_t since; /* written last; 0: not yet */
};

enum registry_mark_state { MARK_CLEAN = 0, MARK_CHANGED = 1, MARK_ENDING = 2 };

/* Set before an exclusive holder's first change, cleared when it lets go in order. */
struct registry_mark {
    uint32_t state; /* enum registry_mark_state */
    int32_t process;
    uint64_t start_time;
    uint64_t boot;
    uint64_t acquisition;
};

enum registry_event_kind {
    EVENT_NONE,
    EVENT_LONG_WAIT,
    EVENT_TIMEOUT,
    EVENT_DEADLOCK,
    EVENT_CRASH,
    EVENT_BREAK,
    EVENT_FENCE,
    EVENT_REPLACED,
    EVENT_JOINED,
    EVENT_LOST_UPDATE,
    EVENT_OUT_OF_REACH,
    EVENT_ROLLBACK, /* a table was put back as it was before its last holder */
    EVENT_ACCEPTED, /* a person said that a table is well though its last holder died inside */
    EVENT_KINDS
};

/* 64 bytes. An event whose number does not fit its place is none. */
struct registry_event {
    uint64_t number;
    uint64_t time; /* CLOCK_REALTIME, nanoseconds */
    uint32_t kind; /* enum registry_event_kind */
    int32_t process;
    int32_t other;        /* the process on the other side, or 0 */
    uint32_t error;       /* errno, or 0 */
    uint64_t nanoseconds; /* how long it was waited, or held */
    uint64_t acquisition; /* the one that it is about, or 0 */
    uint64_t reserved[2];
};

enum registry_counter {
    COUNT_ACQUISITIONS, /* stands in the head instead: `acquisitions` */
    COUNT_CONTENDED,
    COUNT_TIMEOUTS,
    COUNT_DEADLOCKS,
    COUNT_CRASHES,
    COUNT_BREAKS,
    COUNT_FENCED,
    COUNT_JOINED,
    COUNT_LOST_UPDATES,
    COUNT_OVERFLOWN, /* waiters and holders that found no slot */
    COUNT_ROLLBACKS,
    COUNTERS = 16
};

/*
 * How long something took: a bucket for every sixteenth of a power of two, so that a value read
 * back is at most 1/16 off. Up to 2^48 ns (78 hours); what is longer counts there.
 */
#define REGISTRY_BUCKETS (16 + 44 * 16)
struct registry_histogram {
    uint64_t sum; /* ns */
    uint64_t maximum;
    uint64_t buckets[REGISTRY_BUCKETS];
};

/* The bucket that a time belongs to. */
static inline unsigned registry_bucket(uint64_t nanoseconds)
{
    if (nanoseconds < 16)
        return (unsigned)nanoseconds;
    unsigned exponent = 63 - (unsigned)__builtin_clzll(nanoseconds);
    if (exponent >= 48)
        return REGISTRY_BUCKETS - 1;
    return (exponent - 3) * 16 + (unsigned)(nanoseconds >> (exponent - 4) & 15);
}

/* The smallest time that belongs to a bucket; of one behind the last: where that ends. */
static inline uint64_t registry_bucket_start(unsigned bucket)
{
    if (bucket < 16)
        return bucket;
    return (uint64_t)(16 + bucket % 16) << (bucket / 16 - 1);
}

enum { REGISTRY_RECENT = 96 };

/* What every taker reads in one call, and whoever holds writes the second half of. */
struct registry_head {
    char magic[8];
    uint32_t version;
    uint32_t header_size;
    uint64_t file_size;
    uint64_t next_event;
    uint32_t waiting;        /* how many slots of waiters are taken; a hint */
    uint32_t unlisted;       /* waiters that found no slot; a hint */
    uint32_t joined;         /* 1 + how many have joined; 0: not known */
    uint32_t crashed;        /* the last holder died inside and nobody has recovered */
    uint64_t lock_inode;     /* the lock file that the last holder saw at the path */
    uint64_t reserved_until; /* CLOCK_MONOTONIC; see lock_reserve() */
    int32_t reserved_for;    /* the process that is about to come back */
    uint32_t undo;           /* there is an undo journal; a hint */
    uint64_t broken;         /* the last acquisition that was broken */
    uint64_t reserved[4];
    /* From here on the holder's. */
    uint64_t generation;
    uint64_t acquisition;
    uint64_t acquisitions;            /* how many there were */
    uint64_t hold_sum;                /* ns */
    uint64_t hold_maximum;            /* ns */
    uint32_t recent_count;            /* of the following */
    uint16_t recent[REGISTRY_RECENT]; /* buckets of hold times not yet in the histogram */
    uint32_t reserved_end;
    struct registry_mark mark;
    struct registry_holder exclusive;
};
#define REGISTRY_HOLDERS_HALF offsetof(struct registry_head, generation)

/* The file. A wait histogram's sum and maximum stand in it, those of hold times in the head. */
struct registry_layout {
    struct registry_head head;
    _Alignas(512) uint64_t counters[COUNTERS];
    struct registry_blocked blocked[REGISTRY_BLOCKED];
    struct registry_histogram wait_times; /* of those who had to wait and got it */
    struct registry_histogram hold_times;
    char table[4096]; /* the path of the table that it was made for; ends in a NUL */
    _Alignas(4096) struct registry_holder holders[REGISTRY_HOLDERS];
    struct registry_waiter waiters[REGISTRY_WAITERS];
    struct registry_event events[REGISTRY_EVENTS];
};
_Static_assert(sizeof(struct registry_head) == 512, "one small read");
_Static_assert(sizeof(struct registry_holder) == 128 && sizeof(struct registry_waiter) == 64 &&
                   sizeof(struct registry_event) == 64 && sizeof(struct registry_blocked) == 40 &&
                   sizeof(struct registry_layout) == 364544,
               "the layout is the same for all compilers and widths");
#define REGISTRY_OFFSET(member) offsetof(struct registry_layout, member)

/* A process's hold on a registry, for all of its threads. */
struct registry {
    _Atomic int descriptor; /* -1: done without. Written last */
    _Atomic bool lost;      /* it was found cut off or foreign: not asked again */
    void *_Atomic map;      /* for the futexes alone; NULL until one is needed */
    uint64_t device, inode; /* of what the descriptor has open */
    uint64_t boot;
    uint64_t pid_namespace;
};

/*
 * Opens LOCKFILE.registry, making it if it is missing (owner, group and mode as the table's, or as
 * the lock file's where there is no table yet). A file that is no registry of this version is left
 * alone and done without. Never fails: registry_usable() tells. One thread at a time.
 */
void registry_open(struct registry *registry, const char *lock_path, const char *table_path);
void registry_close(struct registry *registry);

/*
 * For whoever holds the lock and finds the registry unusable: opens it again, as above, and makes
 * one whole that was cut off or zeroed. Other threads may be using what was open before: that stays
 * where it is, and so does its map. One thread at a time.
 */
void registry_open_again(struct registry *registry, const char *lock_path, const char *table_path);

/* Opens a registry that is there already, to read another lock's. */
void registry_open_existing(struct registry *registry, const char *lock_path);

/* Is there one, as far as is known? No system call. */
static inline bool registry_usable(const struct registry *registry)
{
    return registry->descriptor >= 0 && !registry->lost;
}

/* Copies the head; all of it is 0 without a registry. */
bool registry_look(struct registry *registry, struct registry_head *head);

/* Copies a part, or writes one; false when it is not (any more) there. */
bool registry_read(struct registry *registry, size_t offset, void *buffer, size_t size);
bool registry_write(struct registry *registry, size_t offset, const void *buffer, size_t size);

/* Adds a small number to the 32-bit word at `offset` (of a 64-bit one: the lower half). */
void registry_add(struct registry *registry, size_t offset, int number);
void registry_count(struct registry *registry, enum registry_counter counter);

/* Adds an event to the ring; its number and time are given here. */
void registry_event(struct registry *registry, const struct registry_event *event);

/* How long the caller, who now has the lock, has waited for it. */
void registry_waited(struct registry *registry, uint64_t nanoseconds);

/* How long the caller has held the lock: into its copy of the head, which it is about to write. */
void registry_held(struct registry *registry, struct registry_head *head, uint64_t nanoseconds);

/* Adds the hold times that stand in the head only to a copy of their histogram. */
void registry_fold(struct registry_histogram *histogram, const struct registry_head *head);

/* Takes a slot among the holders: its index, or -1 when all are taken by the living. */
int registry_claim_holder(struct registry *registry, const struct registry_holder *holder);
void registry_clear_holder(struct registry *registry, int slot, pid_t process);

/* The process that holds by this slot (-1: as the exclusive holder) has touched its table. */
void registry_touched(struct registry *registry, int slot, pid_t process, uint64_t now);
/* … or has asked about a child (-1: several) that has not ended, with WNOHANG. */
void registry_polled(struct registry *registry, int slot, pid_t process, pid_t child, uint64_t now);
/* … or waits for this child alone; 0: not any more. */
void registry_awaits(struct registry *registry, int slot, pid_t process, pid_t child);

/* It ends in order: nothing is handed on to it any more. */
void registry_ends(struct registry *registry, int slot, pid_t process);

/* It has started a program that no fence can stop. */
void registry_out_of_reach(struct registry *registry, int slot, pid_t process);

/*
 * Queues up: returns the slot's index, or -1 when there is none (then it is only counted). `number`
 * tells the waits of one process apart.
 */
int registry_wait_begin(struct registry *registry, const struct registry_waiter *waiter);
void registry_wait_end(struct registry *registry, int slot, const struct registry_waiter *waiter);

/* Is the slot still ours? Reads the word to sleep on as well. */
bool registry_wait_check(struct registry *registry, int slot, const struct registry_waiter *waiter,
                         uint32_t *wake);

/* Sleeps until the slot's word is no longer `wake`, or the time is over. */
void registry_wait_sleep(struct registry *registry, int slot, uint32_t wake, int64_t nanoseconds);

/*
 * How many living waiters came before this one (the dead ones are cleared on the way). `waiting`
 * here and below: what the head says, which saves looking further; 0 where it was not read.
 */
int registry_wait_rank(struct registry *registry, int slot, const struct registry_waiter *waiter,
                       uint32_t waiting);

/*
 * The lock is free: wakes who came first; where that one is not asleep (it is on its way, or it was
 * stopped) the next one too, up to REGISTRY_WOKEN of them.
 */
#define REGISTRY_WOKEN 3
void registry_wake(struct registry *registry, uint32_t waiting);

/* Those in front have moved up: wakes the one that now belongs to them, to keep watch. */
void registry_wake_watcher(struct registry *registry, uint32_t waiting);

/*
 * The owner that we belong to has the lock now: wakes those who wait for it on behalf of the same
 * one, other threads of this process and other members of its command.
 */
void registry_wake_companions(struct registry *registry, pid_t process, pid_t supervisor);

/* Is the owner of a slot gone, as far as can be told from here? */
bool registry_is_gone(const struct registry *registry, pid_t process, uint64_t start_time,
                      uint64_t pid_namespace, uint64_t boot);

uint64_t registry_now(void); /* CLOCK_MONOTONIC, nanoseconds */

/* --- between the files of the registry --- */

extern const char registry_magic[8];

/* The address of a word, for the kernel's futexes alone: never to be loaded or stored to. */
void *registry_word(struct registry *registry, size_t offset);

#endif
