/*
 * Does a process wait for us? A holder that waits (for its child, or at a pipe or Unix socket whose
 * other end we have) would wait for ever if we waited for it. Asked only by those who have to wait.
 */
#ifndef LOCKSHIM_RELATIVES_H
#define LOCKSHIM_RELATIVES_H

#include <stdbool.h>
#include <sys/types.h>

/* What whoever waits knows besides. All 0 where it knows nothing. */
struct relatives_hints {
    bool rested; /* the lock is with that holder for a while */
    bool still; /* … who has not moved for a while: it may wait for any of those who can wake it */
    /*
     * The holder asks again and again, with WNOHANG, whether this child has ended; of several:
     * RELATIVES_ANY_CHILD. 0: it does not.
     */
    pid_t polled;
    pid_t awaited; /* by its own words it waits for this child alone; 0: it says nothing */
};
#define RELATIVES_ANY_CHILD (-1)

/* Is `holder` blocked, directly or through others, on something that only we can do? */
bool relatives_wait_for_us(pid_t holder, const struct relatives_hints *hints);

/* The same for any other process instead of us, of a holder that has been watched. */
bool relatives_wait_for(pid_t holder, pid_t process);

#endif
