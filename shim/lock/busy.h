/*
 * A moment in which one thread alone is at something of the shim's that is no lock's: a word with
 * the thread that is. It never waits for the thread that it runs in, nor for ever: who does not get
 * in goes without.
 */
#ifndef LOCKSHIM_BUSY_H
#define LOCKSHIM_BUSY_H

#include "shim/lock/kernel.h"
#include "shim/lock/lock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef _Atomic uintptr_t busy_word; /* 0: nobody */

/*
 * A signal handler may have interrupted its own thread in there: then it goes without, at once, as
 * waiting would never help. Who waits for another thread gives up after so many attempts.
 */
static inline bool busy_enter(busy_word *busy, int attempts)
{
    for (int attempt = 0; attempt < attempts; attempt++) {
        uintptr_t inside = 0;
        if (atomic_compare_exchange_strong(busy, &inside, lock_this_thread()))
            return true;
        if (inside == lock_this_thread())
            return false;
        kernel_yield();
    }
    return false;
}

/* Also in a forked child, whose thread this may not have been. */
static inline void busy_leave(busy_word *busy)
{
    atomic_store(busy, 0);
}

#endif
