/*
 * The registry's side of a lock; for lock.c, wait.c and lock_file.c.
 */
#ifndef LOCKSHIM_PUBLISH_H
#define LOCKSHIM_PUBLISH_H

#include "shim/lock/lock.h"

#include <stdbool.h>

/* Opens the registry on first use. */
void publish_open(struct lock *lock);

/* The same, if there is one: for a lock that we hold without ever having taken it ourselves. */
void publish_open_existing(struct lock *lock);

/* With the lock just taken and no usable registry: puts that right where it can be. */
void publish_mend(struct lock *lock);

/*
 * With the lock just taken, and what lock_attempt() has read: looks at the last holder's mark.
 * 0; -EOWNERDEAD: it died inside, and the settings say that this keeps others out; -EINPROGRESS:
 * what it left must be undone, and the lock was lost on the way to that: take it again.
 */
int publish_check_crash(struct lock *lock, struct registry_head *head);

/*
 * Names us as holder; with `changes` as one who changes the table. The head is what lock_attempt()
 * has read.
 */
void publish_entered(struct lock *lock, struct registry_head *head, bool changes);

/*
 * About to let go: what we did counts, or is handed on to those who are still inside
 * (succession_end() is due after the unlock). Returns how many wait, and registry_wake() is due
 * then as well. One who queues up in between looks again by itself, soon.
 */
struct succession;
uint32_t publish_leaving(struct lock *lock, struct succession *succession);

/*
 * After exec: was the lock that came with us broken meanwhile? Then what the look at it has locked
 * anew is unlocked again; but not while the break is going on, which still needs it.
 */
bool publish_was_broken(struct lock *lock);

/* After exec: the lock came with us. */
void publish_adopted(struct lock *lock);

/* --- between publish.c and publish_leave.c --- */

/* Writes the holder's half of the head. */
static inline void publish_write_half(struct lock *lock, const struct registry_head *head)
{
    (void)registry_write(&lock->registry, REGISTRY_HOLDERS_HALF,
                         (const char *)head + REGISTRY_HOLDERS_HALF,
                         sizeof *head - REGISTRY_HOLDERS_HALF);
}

static inline void publish_write_word(struct lock *lock, size_t offset, uint32_t value)
{
    (void)registry_write(&lock->registry, offset, &value, sizeof value);
}

static inline void publish_write_mark(struct lock *lock, const struct registry_mark *mark)
{
    (void)registry_write(&lock->registry, REGISTRY_OFFSET(head.mark), mark, sizeof *mark);
}

#endif
