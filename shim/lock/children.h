/*
 * Which of its children a process waits for, where its system call names none. Asked only by those
 * who have to wait.
 */
#ifndef LOCKSHIM_CHILDREN_H
#define LOCKSHIM_CHILDREN_H

#include <stdbool.h>
#include <sys/types.h>

/* Has the parent no other child that lives? False as well where that is not told. */
bool children_has_only(pid_t parent, pid_t child);

/*
 * Does the child run in its parent's memory? Who waits in vfork() waits for such a one, until it
 * executes a program or ends. False where that is not told.
 */
bool children_shares_memory(pid_t parent, pid_t child);

#endif
