/*
 * A holder that wants to let go, or to end, while somebody is breaking its lock: that may come to
 * nothing, and then the holder has the lock as before, and what it did counts. So it waits for the
 * outcome. It must never wait while a call of its own is counted: the break waits for those.
 */
#include "shim/lock/fenced.h"

#include "shim/lock/kernel.h"

#define PATIENCE UINT64_C(60000000000)     /* ns, for a break */
#define CALLS_PATIENCE UINT64_C(100000000) /* for calls of ours: one may be what we interrupt */
#define PAUSE 500000

bool fenced_break_lasts(int descriptor, uint64_t began)
{
    struct flock byte = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCK_BREAK_OFFSET, .l_len = 1};
    if (kernel_fcntl(descriptor, F_OFD_GETLK, (long)&byte) != 0 || byte.l_type == F_UNLCK ||
        registry_now() - began > PATIENCE)
        return false;
    (void)kernel_poll(NULL, 0, PAUSE);
    return true;
}

static bool calls_last(const struct fence *fence, uint64_t *since)
{
    uint64_t now = registry_now();
    if (atomic_load(&((struct fence *)fence)->calls) == 0)
        *since = now;
    return now - *since > CALLS_PATIENCE;
}

bool fenced_await_outcome(struct lock *lock)
{
    uint64_t began = registry_now(), idle = began;
    while (fence_is_raised(&lock->fence)) {
        if (calls_last(&lock->fence, &idle) ||
            !fenced_break_lasts(atomic_load(&lock->descriptor), began))
            return !fence_is_raised(&lock->fence);
    }
    return true;
}
