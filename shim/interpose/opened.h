/* What entry points of several files share. */
#ifndef LOCKSHIM_OPENED_H
#define LOCKSHIM_OPENED_H

#include "shim/touch.h"

#include <linux/fs.h>
#include <stdarg.h>

#include <stdbool.h>

/*
 * Enters a descriptor that a touch has opened (or -1) into the books. Where they have no room for
 * it (beyond DESCRIPTORS_LIMIT), it is closed again: -1, EMFILE. Returns the descriptor.
 */
int opened_or_closed(struct touch *touch, int descriptor, int flags, bool hold);

/* Descriptors that came with messages. Only to be called while there are tables. */
struct msghdr;
struct mmsghdr;
void received_message(const struct msghdr *message);
void received_messages(const struct mmsghdr *messages, long count);

/* The bodies of fcntl and ioctl, each for one of the real functions. */
int after_fcntl(int descriptor, int command, int result);
#define FCNTL(real)                                                                                \
    va_list arguments;                                                                             \
    va_start(arguments, command);                                                                  \
    long argument = va_arg(arguments, long);                                                       \
    va_end(arguments);                                                                             \
    return after_fcntl(descriptor, command, real(descriptor, command, argument))

#define IOCTL(real)                                                                                \
    va_list arguments;                                                                             \
    va_start(arguments, request);                                                                  \
    void *argument = va_arg(arguments, void *);                                                    \
    va_end(arguments);                                                                             \
    if (!ioctl_changes((unsigned)request))                                                         \
        return real(descriptor, request, argument);                                                \
    GUARDED_DESCRIPTOR(int, -1, descriptor, TOUCH_CHANGE, real(descriptor, request, argument))

static inline bool ioctl_changes(unsigned request)
{
    return request == FICLONE || request == FICLONERANGE || request == FIDEDUPERANGE;
}

/* Touches of all roots of a walk, and of where a pattern's first wildcard is looked up. */
bool walk_touches(struct touch *touch, char *const *paths);
bool pattern_touches(struct touch *touch, const char *pattern);

#endif
