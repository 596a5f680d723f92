/*
 * Waiting for what becomes of a break that has raised our fence (fenced.c). Safe in signal handlers
 * and for several threads at once; errno stays.
 */
#ifndef LOCKSHIM_FENCED_H
#define LOCKSHIM_FENCED_H

#include "shim/lock/lock.h"

/*
 * Waits, while a break is under way, for it to be given up: true then, and at once when no fence is
 * raised. False: the lock is broken, or it took longer than a break may.
 */
bool fenced_await_outcome(struct lock *lock);

/*
 * Is a break of the lock whose file this is under way, and not since long before `began` (as of
 * registry_now())? If so, a moment has passed when it returns.
 */
bool fenced_break_lasts(int descriptor, uint64_t began);

/* As fence_begin(), for a call that nobody can refuse: the end of a session or of the process. */
static inline bool fenced_begin(struct lock *lock)
{
    while (__builtin_expect(!fence_begin(&lock->fence), 0)) {
        if (!fenced_await_outcome(lock))
            return false;
    }
    return true;
}

#endif
