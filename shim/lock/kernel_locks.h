/*
 * The kernel's own list of flocks, /proc/locks: holders and waiters, of programs with and without
 * the shim. Reading it slows every flock on the machine, so only those who have to wait ask.
 */
#ifndef LOCKSHIM_KERNEL_LOCKS_H
#define LOCKSHIM_KERNEL_LOCKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct kernel_lock {
    pid_t process; /* who took it, or waits; 0: outside of our PID namespace */
    bool waits;
    uint64_t inode; /* the device is left out: btrfs tells another one here than stat does */
};

/* Calls `each` for every flock in the list, until it returns false. */
void kernel_locks_each(bool (*each)(const struct kernel_lock *lock, void *context), void *context);

#endif
