/* What the calls that only ask have in common (ask.c, and their twins in time64.c). */
#ifndef LOCKSHIM_ASK_H
#define LOCKSHIM_ASK_H

#include "shim/interpose/real.h"
#include "shim/touch.h"

#define ASK(type, failure, directory, path, follow, call)                                          \
    GUARDED(type, failure, touch_path(&touch, directory, path, follow, TOUCH_ASK), call)

static inline bool ask_follows(int flags)
{
    return (flags & AT_SYMLINK_NOFOLLOW) == 0;
}

/*
 * stat and its relatives follow a link at the end. Whether there is one the same call tells when it
 * does not follow: `plain` is that call, and its answer is the answer unless `is_link`.
 */
#define ASK_STATUS(directory, path, follow, plain, is_link, call)                                  \
    struct touch touch;                                                                            \
    enum touch_answer answer =                                                                     \
        touch_guarding() ? touch_asks(&touch, directory, path, follow) : TOUCH_NOBODYS;            \
    if (answer == TOUCH_UNLESS_LINK) {                                                             \
        int plainly = plain;                                                                       \
        if (plainly != 0 || !(is_link))                                                            \
            return plainly;                                                                        \
        if (touch_path(&touch, directory, path, true, TOUCH_ASK))                                  \
            answer = TOUCH_BEGUN;                                                                  \
    }                                                                                              \
    if (answer != TOUCH_BEGUN)                                                                     \
        return call;                                                                               \
    int result = touch.error != 0 ? -1 : (call);                                                   \
    touch_end(&touch);                                                                             \
    return result

#endif
