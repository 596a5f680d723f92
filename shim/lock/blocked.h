/*
 * What all threads of a process are blocked on, taken together: their children, descriptors, words
 * of shared memory.
 * Asked only by those who have to wait.
 */
#ifndef LOCKSHIM_BLOCKED_H
#define LOCKSHIM_BLOCKED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { BLOCKED_DESCRIPTORS = 64, BLOCKED_ADDRESSES = 8, BLOCKED_CHILDREN = 8 };

struct blocked {
    bool on_child; /* until any ends: in wait(), or for the signal of it */
    bool in_vfork; /* until one that shares its memory executes or ends, if it is more than a moment
                    */
    bool asleep;   /* a thread sleeps for a time, or until something happens */
    bool endless;  /* … without a limit of time, where the end of a child would wake it, too */
    bool busy;     /* a thread does something else than to wait */
    bool guessed;  /* what it is in may not be seen */
    int count;
    int descriptors[BLOCKED_DESCRIPTORS]; /* until one can be read or written */
    int child_count;
    pid_t children[BLOCKED_CHILDREN]; /* until this one ends */
    int address_count;
    uint64_t addresses[BLOCKED_ADDRESSES]; /* of words that others may have to change */
};

void blocked_find(pid_t process, struct blocked *blocked);

/*
 * How often a thread of a process has been given a processor, or all of them together (thread 0):
 * what stays the same has not moved. 0: that is not told.
 */
uint64_t blocked_runs(pid_t process, pid_t thread);

/* A number as /proc writes it, decimal or 0x…; returns where it ends. */
const char *blocked_parse(const char *at, uint64_t *number);

#endif
