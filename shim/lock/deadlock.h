/*
 * Cycles over several locks: told by the registries (who holds this lock and is blocked on which
 * other) and by the kernel's list of flocks (for programs without the shim).
 */
#ifndef LOCKSHIM_DEADLOCK_H
#define LOCKSHIM_DEADLOCK_H

#include "shim/lock/lock.h"

#include <stdbool.h>

/* Writes into the registries of all locks that we hold that we are blocked on this one. */
void deadlock_publish(struct lock *wanted);
void deadlock_withdraw(struct lock *wanted);

/* Would waiting for `wanted` be a cycle? Call after deadlock_publish(). */
bool deadlock_found(struct lock *wanted);

#endif
