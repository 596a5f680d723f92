/*
 * Children that this process asks about again and again, without waiting for them (WNOHANG): a way
 * to wait for a child with a limit of time, or while doing something else. Whoever holds a lock so,
 * and waits for a child that waits for the lock, would wait for ever.
 */
#ifndef LOCKSHIM_POLLS_H
#define LOCKSHIM_POLLS_H

#include <sys/types.h>

/*
 * The child (or -1: any) has not ended yet. Told in the registries of the locks that are held, once
 * in REGISTRY_POLL_AGE, from the second time on. Safe in signal handlers.
 */
void polls_note(pid_t child);

#endif
