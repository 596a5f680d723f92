/*
 * Closing. The shim's own descriptors are not the program's to close: for it they are not there.
 * What is closed lets go of its lock after the kernel has closed it, never before.
 */
#include "shim/interpose/real.h"
#include "shim/lock/own.h"
#include "shim/touch.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>

static int close_one(int (*real)(int), int descriptor)
{
    /* In a vfork child too: what belongs to its command is to be there behind its exec. */
    if (own_is(descriptor)) {
        errno = EBADF;
        return -1;
    }
    /* A thread that is cancelled here goes before anything has been done, or when all has. */
    int state;
    pthread_testcancel();
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    uint32_t word = touch_before_close(descriptor);
    int result = real(descriptor);
    touch_after_close(word);
    pthread_setcancelstate(state, NULL);
    return result;
}

static inline __attribute__((always_inline)) bool is_nobodys(int descriptor)
{
    return __builtin_expect(descriptor_word(descriptor) == 0, 1) && !own_is(descriptor);
}

/* Nothing is put on the stack for one that is nobody's. */
#define CLOSE(name)                                                                                \
    static __attribute__((noinline, cold)) int ending_##name(int descriptor)                       \
    {                                                                                              \
        if (is_nobodys(descriptor))                                                                \
            return REAL(name)(descriptor);                                                         \
        return close_one(REAL(name), descriptor);                                                  \
    }                                                                                              \
    INTERPOSE int name(int descriptor)                                                             \
    {                                                                                              \
        if (is_nobodys(descriptor) && real_##name != NULL)                                         \
            return real_##name(descriptor);                                                        \
        return ending_##name(descriptor);                                                          \
    }

CLOSE(close)
CLOSE(__close)

/* Ends the sessions of all table descriptors in a range that the kernel has just closed. */
static void let_go_of_range(unsigned first, unsigned last)
{
    if (!touch_is_own_process())
        return; /* a vfork child closes its own copies, in the parent's memory */
    int at = first > INT_MAX ? -1 : descriptor_next((int)first);
    for (; at >= 0 && (unsigned)at <= last; at = descriptor_next(at + 1))
        touch_after_close(touch_before_close(at));
}

/* Closes around the shim's own. */
static int close_in_pieces(unsigned first, unsigned last, int flags)
{
    unsigned from = first;
    int result = 0;
    while (from <= last && result == 0) {
        int own = from > INT_MAX ? -1 : own_next((int)from);
        if (own < 0 || (unsigned)own > last)
            return REAL(close_range)(from, last, flags);
        if ((unsigned)own > from)
            result = REAL(close_range)(from, (unsigned)own - 1, flags);
        from = (unsigned)own + 1;
    }
    return result;
}

INTERPOSE int close_range(unsigned first, unsigned last, int flags)
{
    if (!touch_guarding() || first > last)
        return REAL(close_range)(first, last, flags);
    /* Everything, the standard three too: a daemon in the making leaves its command. */
    if (first == 0 && last >= 1024 && flags == 0)
        touch_left_command();
    int result = close_in_pieces(first, last, flags);
    if (result == 0 && ((unsigned)flags & CLOSE_RANGE_CLOEXEC) == 0)
        let_go_of_range(first, last);
    return result;
}

INTERPOSE void closefrom(int lowest)
{
    if (!touch_guarding()) {
        REAL(closefrom)(lowest);
        return;
    }
    unsigned first = lowest < 0 ? 0u : (unsigned)lowest;
    if (close_range(first, UINT_MAX, 0) == 0)
        return;
    /* An old kernel: one by one, as libc would. */
    for (int at = (int)first; at < OWN_DESCRIPTOR_LIMIT; at++) {
        if (!own_is(at))
            (void)close(at);
    }
}
