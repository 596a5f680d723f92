/*
 * Does a process wait for us? A holder that waits (for its child, or at a pipe or Unix socket whose
 * other end we have) would wait for ever if we waited for it. Asked only by those who have to wait.
 */
#ifndef LOCKSHIM_RELATIVES_H
#define LOCKSHIM_RELATIVES_H

#include <stdbool.h>
#include <sys/types.h>

/* Is `holder` blocked, directly or through others, on something that only we can do? */
bool relatives_wait_for_us(pid_t holder);

/* The same for any other process instead of us. */
bool relatives_wait_for(pid_t holder, pid_t process);

#endif
