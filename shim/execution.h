/*
 * What an exec means for the locks: a holder's lock goes with it into the new program, and a
 * program that is out of the shim's reach gets a command's locks taken first, as if by its touch.
 */
#ifndef LOCKSHIM_EXECUTION_H
#define LOCKSHIM_EXECUTION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What execution_begins() and execution_of_child() have found out about the program. */
struct execution {
    bool out_of_reach;
    bool drop_preload; /* another libc's: it would die of the preload */
};

/*
 * This process (or a vfork child) is about to execute `path` (a name that is searched along PATH,
 * with `search`). Returns 0, or the errno to fail with. May be called in a vfork child.
 */
int execution_begins(struct execution *execution, const char *path, bool search,
                     char *const *arguments, char *const *environment);

/* How much room execution_environment() needs for `environment`, in pointers. */
size_t execution_environment_size(char *const *environment);

/*
 * The environment to execute with: `environment` itself, or for a program of another libc a copy of
 * it in `room` that has no LD_PRELOAD.
 */
char *const *execution_environment(const struct execution *execution, char *const *environment,
                                   char **room);

/* The exec has failed: all is as before. */
void execution_failed(void);

/*
 * A child will execute it. When that is out of reach, the child's pid is to be given to
 * execution_watch(), so that its command lasts as long as it does.
 */
int execution_of_child(struct execution *execution, const char *path, bool search,
                       char *const *arguments, char *const *environment);
void execution_watch(pid_t process);

#endif
