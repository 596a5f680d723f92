/*
 * This process: who it is, and whether the memory that the shim looks at is its own. A vfork child
 * runs in its parent's memory, with descriptors of its own.
 */
#ifndef LOCKSHIM_SELF_H
#define LOCKSHIM_SELF_H

#include "shim/lock/hidden.h"
#include "shim/lock/kernel.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct lock_self {
    _Atomic pid_t process;
    _Atomic uint64_t start_time; /* 0: not asked for yet */
    _Atomic bool may_vfork;      /* some object of this process can make children in its memory */
};
extern HIDDEN struct lock_self lock_self;

/* Fills it in; again in a forked child. */
void lock_self_set_up(void);

/* Looks again who may vfork: after objects have been loaded. */
void lock_self_look_at_objects(void);

/* The start time of this process (process.h), read on first use. */
uint64_t lock_self_start_time(void);

/* A number that no two threads of this process share, without a system call. */
static inline uintptr_t lock_this_thread(void)
{
    return (uintptr_t)&errno;
}

/* The calling thread's number, without a system call where it was asked before. */
pid_t lock_self_thread(void);

/* Is this the process that the memory belongs to? No system call where nobody can vfork. */
static inline bool lock_self_is_here(void)
{
    return !atomic_load_explicit(&lock_self.may_vfork, memory_order_relaxed) ||
           kernel_getpid() == atomic_load_explicit(&lock_self.process, memory_order_relaxed);
}

#endif
