/*
 * Watching holders while one waits for them: has one moved, does it keep asking for its child? What
 * relatives.h makes of a holder depends on that. One waiter's own, no other thread's.
 */
#ifndef LOCKSHIM_HOLDER_WATCH_H
#define LOCKSHIM_HOLDER_WATCH_H

#include "shim/lock/lock.h"
#include "shim/lock/relatives.h"

#include <stdint.h>
#include <sys/types.h>

/* Nanoseconds with one holder, who then is asleep; without a move, over three looks. */
#define HOLDER_RESTED 20000000
#define HOLDER_STILL 140000000
#define HOLDERS_WATCHED LOCK_LEVELS

struct holder_movement {
    uint64_t runs; /* blocked_runs() */
    uint64_t since;
};

/* All 0: nobody was looked at yet. */
struct holder_watch {
    struct watched_holder {
        uint64_t acquisition;
        pid_t process;
        uint64_t looked_at;
        struct holder_movement all, taker; /* of its threads, of the one that took the lock */
        uint64_t polled_at;                /* when it last asked after a child, without waiting */
        uint64_t poll_seen_at;
        int looks_with_poll;
    } holders[HOLDERS_WATCHED]; /* on each level one holds, or several share */
};

/* A look at a holder, by one who has waited since `began`: what is known of it by now. */
struct relatives_hints holder_watch_look(struct holder_watch *watch,
                                         const struct registry_holder *holder, uint64_t began);

#endif
