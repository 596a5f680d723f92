/*
 * One process's directory under /proc, opened once: what is asked there is asked of the same
 * process, whoever gets its pid afterwards. Fit for several threads, each with processes of its
 * own.
 */
#ifndef LOCKCTL_FACTS_H
#define LOCKCTL_FACTS_H

#include "lockctl/inspect/parallel.h"
#include "lockctl/inspect/processes.h"

/* The directory, for the functions below, or a negative errno, which they take as well. */
int facts_open(pid_t pid);

/*
 * The start of a file in it, by one read: what is wanted here comes whole, and there may be
 * thousands of processes. Ends in a NUL; the length, or a negative errno.
 */
ssize_t facts_read(int directory, const char *name, char *text, size_t size);

/* State, parent, threads, start time; `own_pids`: kill() means the same process by that pid. */
void facts_look_up(struct process *process, int directory, bool own_pids, struct arena *arena);

/* Command line and uid. */
void facts_read_details(struct process *process, int directory, struct worker *worker);

#endif
