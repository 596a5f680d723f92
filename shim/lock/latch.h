/*
 * One thread of this process at a time, and the others wait (busy.h: they go without); a signal
 * handler of that very thread goes ahead. Safe in signal handlers, in a process that forks, and
 * before any constructor has run. Zeroed: free.
 */
#ifndef LOCKSHIM_LATCH_H
#define LOCKSHIM_LATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct latch {
    _Atomic uint64_t word; /* 0: free */
};

/*
 * Waits while another thread has it. To be ended as often as begun; true: this is the first time.
 */
bool latch_begin(struct latch *latch);
void latch_end(struct latch *latch);

bool latch_is_ours(const struct latch *latch);
bool latch_is_anothers(const struct latch *latch);

/* In a forked child: the other thread that had it is not here. */
void latch_forked(struct latch *latch);

#endif
