/* Rows: copies of descriptors, closing, descriptors that arrive, locks of the program's own. */
#include "tests/surface/surface.h"

#include "shim/interpose/prototypes.h"

#include <errno.h>
#include <linux/close_range.h>
#include <string.h>
#include <sys/syscall.h>

/* Closes what a row has opened, keeping errno. */
static long and_close(long opened)
{
    int error = errno;
    if (opened >= 0)
        (void)close((int)opened);
    errno = error;
    return opened;
}

#define CLOSINGS(name)                                                                             \
    ROW(name, table, NONE, name(dup(area->descriptor)))                                            \
    ROW(name, outside, NONE, name(dup(area->data)))                                                \
    ROW(name, closed, NONE, name(99))                                                              \
    ROW(name, negative, NONE, name(-1))
CLOSINGS(close)
CLOSINGS(__close)

static long close_some(unsigned first, unsigned last, int flags)
{
    return close_range(first, last, flags);
}
static long range_of_copies(struct area *area)
{
    int copy = fcntl(area->descriptor, F_DUPFD, 200);
    int second = fcntl(area->data, F_DUPFD, 201);
    long result = close_some((unsigned)copy, (unsigned)second, 0);
    if (fcntl(copy, F_GETFD) != -1 || fcntl(second, F_GETFD) != -1)
        return -1000;
    errno = 77;
    return result;
}
ROW(close_range, copies, NONE, range_of_copies(area))
static long range_on_exec(struct area *area)
{
    int copy = fcntl(area->descriptor, F_DUPFD, 200);
    long result = close_some(200, 300, CLOSE_RANGE_CLOEXEC);
    int flags = fcntl(copy, F_GETFD);
    (void)close(copy);
    return result != 0 ? result : flags;
}
ROW(close_range, on_exec, NONE, range_on_exec(area))
ROW(close_range, unshare, NONE, close_some(200, ~0u, CLOSE_RANGE_UNSHARE))
ROW(close_range, everything, NONE, close_some(150, ~0u, 0))
ROW(close_range, backwards, NONE, close_some(200, 100, 0))
ROW(close_range, bad_flags, NONE, close_some(200, 300, 0x100))
ROW(close_range, bad_flags_everything, NONE, close_some(200, ~0u, 0x100))
static long close_from(struct area *area)
{
    int copy = fcntl(area->descriptor, F_DUPFD, 250);
    closefrom(240);
    return fcntl(copy, F_GETFD);
}
ROW(closefrom, copies, NONE, close_from(area))

ROW(dup, table, NONE, and_close(dup(area->descriptor)))
ROW(dup, outside, NONE, and_close(dup(area->data)))
ROW(dup, closed, NONE, dup(99))
ROW(dup, negative, NONE, dup(-1))
#define CALL_dup2(from, to) dup2(from, to)
#define CALL___dup2(from, to) __dup2(from, to)
#define CALL_dup3(from, to) dup3(from, to, O_CLOEXEC)
#define DUPLICATES(name, CALL)                                                                     \
    ROW(name, table, NONE, and_close(CALL(area->descriptor, 210)))                                 \
    ROW(name, outside, NONE, and_close(CALL(area->data, 210)))                                     \
    ROW(name, itself, NONE, CALL(area->descriptor, area->descriptor))                              \
    ROW(name, itself_closed, NONE, CALL(99, 99))                                                   \
    ROW(name, from_closed, NONE, CALL(99, 210))                                                    \
    ROW(name, onto_table, NONE, onto_table(area, CALL(area->data, area->descriptor)))              \
    ROW(name, failed_onto_table, CHANGE, failed_onto(area, CALL(99, area->descriptor)))            \
    ROW(name, beyond, NONE, CALL(area->data, 1 << 30))                                             \
    ROW(name, negative, NONE, CALL(area->data, -1))
/* Written through the number, the other file changes and the table does not. */
static long onto_table(struct area *area, int result)
{
    return result < 0 ? -1 : write(area->descriptor, "elsewhere", 9);
}
static long failed_onto(struct area *area, int result)
{
    return result >= 0 ? -1000 : write(area->descriptor, "still", 5);
}
DUPLICATES(dup2, CALL_dup2)
DUPLICATES(__dup2, CALL___dup2)
DUPLICATES(dup3, CALL_dup3)
ROW(dup3, bad_flags, NONE, dup3(area->data, 210, O_APPEND))

#define CONTROLS(name)                                                                             \
    ROW(name, duplicate, NONE, and_close(name(area->descriptor, F_DUPFD, 220)))                    \
    ROW(name, duplicate_on_exec, NONE, and_close(name(area->descriptor, F_DUPFD_CLOEXEC, 220)))    \
    ROW(name, outside, NONE, and_close(name(area->data, F_DUPFD, 0)))                              \
    ROW(name, beyond, NONE, name(area->data, F_DUPFD, 1 << 30))                                    \
    ROW(name, flags, NONE, name(area->descriptor, F_GETFL))                                        \
    ROW(name, set_flags, NONE, set_and_get(area, name(area->descriptor, F_SETFL, O_APPEND)))       \
    ROW(name, on_exec, NONE, name(area->descriptor, F_GETFD))                                      \
    ROW(name, owner, NONE, name(area->pipe[0], F_GETOWN))                                          \
    ROW(name, locks, NONE, record_lock(area, name))                                                \
    ROW(name, closed, NONE, name(99, F_GETFL))                                                     \
    ROW(name, invalid, NONE, name(area->descriptor, 4711, 0))
static long set_and_get(struct area *area, int result)
{
    return result != 0 ? -1 : fcntl(area->descriptor, F_GETFL);
}
static long record_lock(struct area *area, int (*call)(int, int, ...))
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 4};
    if (call(area->descriptor, F_OFD_SETLK, &range) != 0)
        return -1;
    range.l_type = F_WRLCK;
    return call(area->descriptor, F_OFD_GETLK, &range) != 0 ? -1 : range.l_type;
}
CONTROLS(fcntl)
CONTROLS(fcntl64)
CONTROLS(__fcntl)

/* --- descriptors that arrive --- */

static long arrives(struct area *area, bool several)
{
    int pair[2], received;
    char byte = 'x', control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec vector = {&byte, 1};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &vector,
                                          .msg_iovlen = 1,
                                          .msg_control = control,
                                          .msg_controllen = sizeof control}};
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        return -1000;
    struct cmsghdr *part = CMSG_FIRSTHDR(&message.msg_hdr);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(part), &area->descriptor, sizeof(int));
    if (sendmsg(pair[0], &message.msg_hdr, 0) != 1)
        return -1001;
    long got =
        several ? recvmmsg(pair[1], &message, 1, 0, NULL) : recvmsg(pair[1], &message.msg_hdr, 0);
    if (got != 1)
        return -1002;
    // NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): exactly one has been sent
    memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&message.msg_hdr)), sizeof received);
    long result = write(received, "arrived", 7);
    int error = errno;
    (void)close(received);
    (void)close(pair[0]);
    (void)close(pair[1]);
    errno = error;
    return result;
}
ROW(recvmsg, table, CHANGE, arrives(area, false))
ROW(recvmsg, closed, NONE, recvmsg(99, &(struct msghdr){.msg_iov = NULL}, 0))
ROW(recvmmsg, table, CHANGE, arrives(area, true))
ROW(recvmmsg, closed, NONE, recvmmsg(99, &(struct mmsghdr){.msg_len = 0}, 1, 0, NULL))
static long fetched(struct area *area)
{
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    int copy = pidfd_getfd(self, area->descriptor, 0);
    int error = errno;
    (void)close(self);
    errno = error;
    if (copy < 0)
        return -1;
    long result = write(copy, "fetched", 7);
    return and_close(copy) == copy ? result : -1000;
}
ROW(pidfd_getfd, table, CHANGE, fetched(area))
ROW(pidfd_getfd, closed, NONE, pidfd_getfd(99, 0, 0))

ROW(flock, file, NONE, flock(area->descriptor, LOCK_EX | LOCK_NB))
ROW(flock, shared, NONE, flock(area->reader, LOCK_SH))
ROW(flock, release, NONE, flock(area->data, LOCK_UN))
ROW(flock, closed, NONE, flock(99, LOCK_EX))
ROW(flock, invalid, NONE, flock(area->descriptor, 0x7000))
