/*
 * Memory that processes share: who waits for a semaphore, a barrier or a lock there can be woken by
 * whoever has the same memory. Asked only by those who have to wait.
 */
#ifndef LOCKSHIM_SHARED_MEMORY_H
#define LOCKSHIM_SHARED_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct shared_memory {
    uint64_t device, inode; /* as /proc/PID/maps has them; inode 0: none */
};

/* What the address of that process is in; false: in no shared memory, or in a registry of ours. */
bool shared_memory_at(pid_t process, uint64_t address, struct shared_memory *memory);

/* Has that process mapped it, too? */
bool shared_memory_is_in(pid_t process, const struct shared_memory *memory);

#endif
