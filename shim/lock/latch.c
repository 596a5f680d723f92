/*
 * A latch between threads. It must never be kept while its thread sleeps for a lock: who waits for
 * the latch looks at no timeout.
 *
 * The word names the thread (the address of its errno) and counts how often it has begun: more than
 * once only by its signal handlers, or below itself, and these have ended before it goes on.
 */
#include "shim/lock/latch.h"

#include "shim/lock/kernel.h"
#include "shim/lock/self.h"

#define COUNT_BITS 16
#define COUNT_MASK ((1ull << COUNT_BITS) - 1)

enum { YIELDS = 100 };
#define PAUSE 100000 /* ns, where that thread does not come on: a debugger, a lower priority */

static uint64_t this_thread(void)
{
    return (uint64_t)lock_this_thread() << COUNT_BITS;
}

static uint64_t word_of(const struct latch *latch)
{
    return atomic_load(&((struct latch *)latch)->word);
}

bool latch_is_ours(const struct latch *latch)
{
    return (word_of(latch) & ~COUNT_MASK) == this_thread();
}

bool latch_is_anothers(const struct latch *latch)
{
    uint64_t word = word_of(latch);
    return __builtin_expect(word != 0, 0) && (word & ~COUNT_MASK) != this_thread();
}

bool latch_begin(struct latch *latch)
{
    if (latch_is_ours(latch)) {
        atomic_fetch_add(&latch->word, 1);
        return false;
    }
    for (int times = 0;; times++) {
        uint64_t nobody = 0;
        if (atomic_compare_exchange_strong(&latch->word, &nobody, this_thread() + 1))
            return true;
        if (times < YIELDS)
            kernel_yield();
        else
            (void)kernel_poll(NULL, 0, PAUSE);
    }
}

void latch_end(struct latch *latch)
{
    uint64_t word = word_of(latch);
    while (!atomic_compare_exchange_weak(&latch->word, &word,
                                         (word & COUNT_MASK) == 1 ? 0 : word - 1)) {
    }
}

void latch_forked(struct latch *latch)
{
    if (latch_is_anothers(latch)) /* what is written in a child is a page to be copied */
        atomic_store(&latch->word, 0);
}
