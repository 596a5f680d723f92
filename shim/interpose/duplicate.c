/* Copies of descriptors, and those that arrive from other processes. */
#include "shim/interpose/opened.h"
#include "shim/interpose/real.h"
#include "shim/lock/kernel.h"
#include "shim/lock/own.h"
#include "shim/touch.h"

#include <errno.h>
#include <string.h>

static int duplicated(int descriptor, int copy)
{
    descriptor_opened(copy, descriptor_hides_nofollow(descriptor));
    if (copy < 0 || descriptor_word(descriptor) == 0)
        return copy;
    touch_duplicated(descriptor, copy);
    if (copy > STDERR_FILENO || touch_standard_stream(copy))
        return copy;
    int error = errno;
    (void)close(copy);
    errno = error;
    return -1;
}

INTERPOSE int dup(int descriptor)
{
    return duplicated(descriptor, REAL(dup)(descriptor));
}

/*
 * The new number may be a table's, which is closed by this, or the shim's own, which first moves
 * out of the way.
 */
#define DUPLICATE_TO(from, to, call)                                                               \
    if (from == to)                                                                                \
        return call;                                                                               \
    if (__builtin_expect(own_is(to), 0) && touch_is_own_process() && !own_is(from))                \
        touch_move_own(to);                                                                        \
    uint32_t word = touch_before_close(to);                                                        \
    int result = call;                                                                             \
    if (result < 0) {                                                                              \
        if (word != 0) /* still open, and what it was */                                           \
            (void)descriptor_set(to, word, descriptor_key(to));                                    \
        return result;                                                                             \
    }                                                                                              \
    touch_after_close(word);                                                                       \
    return duplicated(from, result)

INTERPOSE int dup2(int from, int to)
{
    DUPLICATE_TO(from, to, REAL(dup2)(from, to));
}

INTERPOSE int __dup2(int from, int to)
{
    DUPLICATE_TO(from, to, REAL(__dup2)(from, to));
}

INTERPOSE int dup3(int from, int to, int flags)
{
    DUPLICATE_TO(from, to, REAL(dup3)(from, to, flags));
}

int after_fcntl(int descriptor, int command, int result)
{
    if (result < 0)
        return result;
    if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
        return duplicated(descriptor, result);
    if (command == F_GETFL && descriptor_hides_nofollow(descriptor))
        return result & ~O_NOFOLLOW;
    return result;
}

INTERPOSE int fcntl(int descriptor, int command, ...)
{
    FCNTL(REAL(fcntl));
}

INTERPOSE int fcntl64(int descriptor, int command, ...)
{
    FCNTL(REAL(fcntl64));
}

INTERPOSE int __fcntl(int descriptor, int command, ...)
{
    FCNTL(REAL(__fcntl));
}

/* --- descriptors from other processes --- */

void received_message(const struct msghdr *given)
{
    struct msghdr *message = (struct msghdr *)given;
    if (message->msg_controllen == 0)
        return;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
         part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS ||
            part->cmsg_len < CMSG_LEN(sizeof(int)))
            continue;
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(part) + i * sizeof descriptor, sizeof descriptor);
            touch_received(descriptor);
        }
    }
}

void received_messages(const struct mmsghdr *messages, long count)
{
    for (long i = 0; i < count; i++)
        received_message(&messages[i].msg_hdr);
}

INTERPOSE ssize_t recvmsg(int socket, struct msghdr *message, int flags)
{
    ssize_t result = REAL(recvmsg)(socket, message, flags);
    if (touch_guarding() && result >= 0)
        received_message(message);
    return result;
}

INTERPOSE int recvmmsg(int socket, struct mmsghdr *messages, unsigned count, recvmmsg_flags flags,
                       struct timespec *timeout)
{
    int result = REAL(recvmmsg)(socket, messages, count, flags, timeout);
    if (touch_guarding())
        received_messages(messages, result);
    return result;
}

INTERPOSE int pidfd_getfd(int process, int descriptor, unsigned flags)
{
    int result = REAL(pidfd_getfd)(process, descriptor, flags);
    if (touch_guarding() && result >= 0)
        touch_received(result);
    return result;
}
