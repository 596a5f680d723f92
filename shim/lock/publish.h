/*
 * The registry's side of a lock; for lock.c, wait.c and lock_file.c.
 */
#ifndef LOCKSHIM_PUBLISH_H
#define LOCKSHIM_PUBLISH_H

#include "shim/lock/lock.h"

#include <stdbool.h>

/* Opens the registry on first use. */
void publish_open(struct lock *lock);

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

#endif
