/* What is told of polls. It must stay cheap: some ask thousands of times a second. */
#include "shim/lock/polls.h"

#include "shim/lock/lock.h"
#include "shim/lock/relatives.h"
#include "shim/lock/self.h"

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#define RUN_ENDS 10000000000u /* ns without a poll */

static _Atomic pid_t polled;
static _Atomic uint64_t polled_at;

static uint64_t coarse_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct poll {
    pid_t child;
    uint64_t now;
};

static bool tell(struct lock *lock, void *context)
{
    const struct poll *poll = context;
    if (lock_is_held(lock))
        registry_polled(&lock->registry, lock->slot, lock_self.process, poll->child, poll->now);
    return true;
}

void polls_note(pid_t child)
{
    uint64_t now = coarse_now(), before = atomic_load(&polled_at);
    pid_t known = atomic_load(&polled);
    bool runs = before != 0 && now - before < RUN_ENDS;
    if (child <= 0 || (runs && known != child))
        child = RELATIVES_ANY_CHILD;
    if (runs && known == child && now - before < REGISTRY_POLL_AGE)
        return;
    atomic_store(&polled, child);
    atomic_store(&polled_at, now);
    if (runs)
        lock_each(tell, &(struct poll){child, now});
}
