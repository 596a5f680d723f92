/*
 * The child that this process waits for, if it is one alone, told in the registries of the locks
 * that are held: for those who may not see in which system call we are (another user's, or where
 * Yama forbids it). They would take it for granted that any child is waited for, and a child of
 * that kind goes in before we have done.
 */
#ifndef LOCKSHIM_AWAITED_H
#define LOCKSHIM_AWAITED_H

#include <sys/types.h>

/*
 * A thread begins to wait for this child (or RELATIVES_ANY_CHILD), and has ended it. Each is called
 * as often as the other, but where a wait is left by longjmp() or cancelled: then what is told is
 * not believed for longer than that child lives. Keep errno; safe in signal handlers.
 */
void awaited_begin(pid_t child);
void awaited_end(void);

/* What is to be told now: 0 if none is waited for, or several are. */
pid_t awaited_child(void);

/* In a forked child: its parent's threads are not here. */
void awaited_forget(void);

#endif
