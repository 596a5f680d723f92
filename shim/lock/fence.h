/*
 * The fence: what makes a process whose lock was broken unable to change the table. It stands in
 * the memory of the holder, one for each lock; the registry tells where, and `lockctl break` raises
 * it from outside (takeover.h), then waits until no call that began before is under way.
 *
 * The order on both sides: a call counts itself in, then looks whether the fence is raised; who
 * raises it writes, then looks at the count. So a call that saw no fence is waited for. Counted are
 * calls by name, to their end, and letting go; calls through descriptors only until they have
 * entered: what they change lies in inodes that a break takes out of the table.
 *
 * It is raised against one acquisition: a holder that has let go in order just before it was raised
 * goes on unharmed, whether or not it has taken the lock anew.
 */
#ifndef LOCKSHIM_FENCE_H
#define LOCKSHIM_FENCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FENCE_MAGIC 0x65636e6566736c21ull

struct fence {
    _Alignas(8) uint64_t magic;   /* FENCE_MAGIC; who looks at it from outside asks for this, */
    uint64_t device, inode;       /* for the lock file */
    _Atomic uint64_t acquisition; /* and for which time it was taken, the last one, … */
    _Atomic uint32_t calls;  /* on the lock's tables, under way; FENCE_RELEASE for letting go */
    _Atomic uint32_t raised; /* fence_value(acquisition): every further one fails with ESTALE */
};

/* Written from outside, by a program that may be of another width. */
_Static_assert(sizeof(struct fence) == 40 && offsetof(struct fence, raised) == 36,
               "the same for 32- and 64-bit programs");

/* … with this bit when that has ended in order: nothing is held, or the next is not counted yet. */
#define FENCE_OVER (1ull << 63)

/*
 * How much letting go counts among the calls. Who names an acquisition while its holder stands
 * still sees by it whether that is on the point of being over.
 */
#define FENCE_RELEASE (1u << 16)

/* Says whose fence it is: from then on it is found from outside. */
static inline void fence_name(struct fence *fence, uint64_t device, uint64_t inode)
{
    fence->device = device;
    fence->inode = inode;
    fence->magic = FENCE_MAGIC;
}

/* What `raised` says against an acquisition; never 0. */
static inline uint32_t fence_value(uint64_t acquisition)
{
    return (uint32_t)acquisition != 0 ? (uint32_t)acquisition : 1;
}

static inline bool fence_is_raised(const struct fence *fence)
{
    uint32_t raised = atomic_load(&((struct fence *)fence)->raised);
    if (__builtin_expect(raised == 0, 1))
        return false;
    uint64_t acquisition = atomic_load(&((struct fence *)fence)->acquisition);
    return (acquisition & FENCE_OVER) == 0 && raised == fence_value(acquisition);
}

/* What is refused is over at once: threads that go on trying must not look like a call under way.
 */
static inline bool fence_count(struct fence *fence, uint32_t weight)
{
    atomic_fetch_add(&fence->calls, weight);
    if (__builtin_expect(!fence_is_raised(fence), 1))
        return true;
    atomic_fetch_sub(&fence->calls, weight);
    return false;
}

/* A call on a table begins. False: the fence is raised, it must fail, and has ended. */
static inline bool fence_begin(struct fence *fence)
{
    return fence_count(fence, 1);
}

/* Letting go begins. False, as above: whoever has broken the lock does that. */
static inline bool fence_begin_release(struct fence *fence)
{
    return fence_count(fence, FENCE_RELEASE);
}

/*
 * It was let go of in order. To be called before fence_end_release(): who waits for that sees it
 * then. One that was taken since (by a signal handler) stays as it is.
 */
static inline void fence_is_over(struct fence *fence, uint64_t acquisition)
{
    atomic_compare_exchange_strong(&fence->acquisition, &acquisition, acquisition | FENCE_OVER);
}

static inline void fence_end(struct fence *fence)
{
    atomic_fetch_sub(&fence->calls, 1);
}

static inline void fence_end_release(struct fence *fence)
{
    atomic_fetch_sub(&fence->calls, FENCE_RELEASE);
}

#endif
