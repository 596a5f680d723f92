/*
 * The anchor of a command: the layout of the sealed memory file that its members inherit, and the
 * rules by which it lives. For command.c (lockctl's side) and command_member.c alone.
 *
 *   - A member that touches takes a POSIX read lock on byte 0. The kernel drops it when the process
 *     ends, keeps it over exec, and does not give it to forked children: exactly "has touched, and
 *     lives".
 *   - lockctl, when the command has ended, waits for the write lock on that byte, sets `over`, and
 *     unlocks the lock files' descriptions. A member that touches later finds `over`, and leaves.
 *   - If lockctl is killed the members go on; the kernel frees the descriptions with the last copy.
 */
#ifndef LOCKSHIM_COMMAND_ANCHOR_H
#define LOCKSHIM_COMMAND_ANCHOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COMMAND_WATCHED 64
#define COMMAND_NESTED 8
#define COMMAND_ENDED 1u
#define COMMAND_KILLED 2u

struct command_entry {
    _Atomic uint32_t locked;  /* a member has locked the description */
    _Atomic uint32_t changed; /* a member has changed a table */
    uint64_t path_hash;       /* of the lock file's path as the settings spell it */
    uint64_t device, inode;
    int32_t descriptor;          /* the shared description, the same number in every member */
    _Atomic int32_t new_process; /* who opened the lock file again after it was replaced */
    _Atomic int32_t new_descriptor;
    int32_t supervisor;
    _Atomic int32_t last_changer;  /* the member that changed a table last */
    _Atomic uint32_t broken;       /* 0, COMMAND_BREAKING or COMMAND_BROKEN: no member's any more */
    _Atomic int32_t ended_changer; /* the last changer, once it has ended (or left) in order */
    _Atomic uint32_t moves;        /* how often members have moved directories (undo journal) */
    _Atomic uint32_t settled;      /* the undo journal says that what was done counts */
    _Atomic uint32_t leaving;      /* lockctl settles what was done, and lets go */
};

/*
 * A break sets BREAKING, fences the members, unlocks, sets BROKEN, and unlocks once more: a member
 * that locks the description in between finds one of the two, and either that second LOCK_UN or its
 * own undoes what it did. Under BREAKING it must not: whoever breaks still needs the lock.
 *
 * A member that has touched asks its own fence alone from then on, so all members are fenced, not
 * only those that were known to hold. One that asked the command just before BREAKING is counted in
 * its fence by then, and that can be found, for it was named before (fence_name()): its calls are
 * waited for, and the fence raised against whichever acquisition it writes down meanwhile. The
 * model is tests/model/command.pml.
 *
 * lockctl at the command's end says that it is LEAVING, and then asks whether the lock is broken; a
 * break says BREAKING, and then waits for who is leaving. So one of the two settles: never both at
 * once, and neither is made to stand still with the undo journal in its hands.
 */
#define COMMAND_BREAKING 1u
#define COMMAND_BROKEN 2u

struct command_anchor {
    char magic[8];
    uint32_t version;
    uint32_t count;
    uint64_t size;
    _Atomic uint32_t over; /* 0, COMMAND_ENDED or COMMAND_KILLED */
    int32_t supervisor;
    int32_t outer; /* where the anchor of the command around this one stands, or -1 */
    int32_t reserved;
    _Atomic int32_t watched[COMMAND_WATCHED]; /* processes out of reach that members started */
    struct command_entry entries[];
};

/* Members may be of either width. */
_Static_assert(sizeof(struct command_entry) == 72 &&
                   offsetof(struct command_anchor, entries) == 296,
               "the same for 32- and 64-bit programs");

#define COMMAND_MAGIC "lockcmd"
#define COMMAND_VERSION 2u

uint64_t command_path_hash(const char *path);

/* A member has it write-locked while it is its turn (command_begin_turn()). */
#define COMMAND_TURN_BYTE 1

/* Sets or clears the POSIX lock on byte 0; `type` is F_RDLCK, F_WRLCK or F_UNLCK. */
int command_byte_lock(int descriptor, short type, bool wait);

#endif
