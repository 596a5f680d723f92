/*
 * Cycles over several locks: told by the registries (who holds this lock and is blocked on which
 * other) and by the kernel's list of flocks (for programs without the shim).
 */
#ifndef LOCKSHIM_DEADLOCK_H
#define LOCKSHIM_DEADLOCK_H

#include "shim/lock/lock.h"

#include <stdbool.h>

/*
 * Writes into the registries of all locks that we hold that we are blocked on this one, since then.
 * Held by another thread for a session only, a lock does not count: that thread goes on. False when
 * we hold none that counts.
 */
bool deadlock_publish(struct lock *wanted, uint64_t since);
void deadlock_withdraw(struct lock *wanted);

/* We let go of a lock: nobody who holds it is blocked any more. Right after registry_usable(). */
void deadlock_released(struct lock *lock);

/*
 * Would waiting for `wanted` be a cycle? Call after deadlock_publish(). Of those in a cycle the one
 * that began to wait last gets to know it, at once. `patient`: looks further, at what those hold
 * who wait for us, and tells the others too.
 */
bool deadlock_found(struct lock *wanted, uint64_t since, bool patient);

#endif
