/*
 * What an exec means for the locks: a holder's lock goes with it into the new program, and a
 * program that is out of the shim's reach gets a command's locks taken first, as if by its touch.
 */
#ifndef LOCKSHIM_EXECUTION_H
#define LOCKSHIM_EXECUTION_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * This process (or a vfork child) is about to execute `path` (a name that is searched along PATH,
 * with `search`). Returns 0, or the errno to fail with. May be called in a vfork child.
 */
int execution_begins(const char *path, bool search, char *const *arguments,
                     char *const *environment);

/* The exec has failed: all is as before. */
void execution_failed(void);

/*
 * A child will execute it. `*out_of_reach` tells that the child's pid is to be given to
 * execution_watch(), so that its command lasts as long as it does.
 */
int execution_of_child(const char *path, bool search, char *const *arguments,
                       char *const *environment, bool *out_of_reach);
void execution_watch(pid_t process);

#endif
