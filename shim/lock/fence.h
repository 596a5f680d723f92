/*
 * The fence: what makes a process whose lock was broken unable to change the table. It stands in
 * the memory of the holder, one for each lock; the registry tells where, and `lockctl break` raises
 * it from outside (process_vm_writev), then waits until no call that began before is under way.
 *
 * The order on both sides: a call counts itself in, then looks whether the fence is raised; who
 * raises it writes, then looks at the count. So a call that saw no fence is waited for.
 */
#ifndef LOCKSHIM_FENCE_H
#define LOCKSHIM_FENCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define FENCE_MAGIC 0x65636e6566736c21ull

struct fence {
    uint64_t magic;          /* FENCE_MAGIC; whoever looks at it from outside asks for this, */
    uint64_t device, inode;  /* for the lock file */
    uint64_t acquisition;    /* and for which time it was taken */
    _Atomic uint32_t calls;  /* calls on the lock's tables that are under way */
    _Atomic uint32_t raised; /* not 0: every further one fails with ESTALE, for good */
};

/* A call on a table begins. False: the fence is raised, and it must fail. */
static inline bool fence_begin(struct fence *fence)
{
    atomic_fetch_add(&fence->calls, 1);
    return __builtin_expect(atomic_load(&fence->raised) == 0, 1);
}

static inline void fence_end(struct fence *fence)
{
    atomic_fetch_sub(&fence->calls, 1);
}

#endif
