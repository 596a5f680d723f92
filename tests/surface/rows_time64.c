/* Rows: the twins with 64-bit times, which only 32-bit machines have. */
#include "tests/surface/surface.h"

#include "shim/interpose/prototypes.h"

#ifdef __i386__
static struct {
    struct status_time64 known;
    char rest[256];
} status;

#define MODE(call) ((call) != 0 ? -1 : (long)status.known.st_mode)
#define ASKS(name, CALL)                                                                           \
    ROW(name, file, ASK, CALL(in(area, "file")))                                                   \
    ROW(name, link, ASK, CALL(in(area, "link")))                                                   \
    ROW(name, dangling, ASK, CALL(in(area, "dangling")))                                           \
    ROW(name, missing, ASK, CALL(in(area, "missing")))                                             \
    ROW(name, away, EITHER, CALL(in(area, "away")))                                                \
    ROW(name, outside, NONE, CALL(out(area, "plain")))                                             \
    ROW(name, bad_name, NONE, CALL(BAD))
#define CALL_stat(path) MODE(__stat64_time64(path, &status.known))
ASKS(__stat64_time64, CALL_stat)
#define CALL_lstat(path) MODE(__lstat64_time64(path, &status.known))
ASKS(__lstat64_time64, CALL_lstat)
#define CALL_fstatat(path) MODE(__fstatat64_time64(AT_FDCWD, path, &status.known, 0))
ASKS(__fstatat64_time64, CALL_fstatat)
ROW(__fstatat64_time64, at, ASK, MODE(__fstatat64_time64(area->at, "link", &status.known, 0)))

ROW(__fcntl_time64, dup, NONE, descriptor(area, __fcntl_time64(area->data, F_DUPFD, 210)))
ROW(__fcntl_time64, flags, NONE, __fcntl_time64(area->descriptor, F_GETFL))
ROW(__fcntl_time64, closed, NONE, __fcntl_time64(99, F_GETFD))
static long waiting(const struct area *area)
{
    int bytes = -1;
    return __ioctl_time64(area->pipe[0], FIONREAD, &bytes) != 0 ? -1 : bytes;
}
ROW(__ioctl_time64, waiting, NONE, waiting(area))
ROW(__ioctl_time64, closed, NONE, __ioctl_time64(99, FIONREAD, NULL))

/* A descriptor comes by a socket: it is the table's all the same. */
static long received(struct area *area, bool several)
{
    int pair[2];
    char byte = 'x', space[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {&byte, 1};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &part,
                                          .msg_iovlen = 1,
                                          .msg_control = space,
                                          .msg_controllen = sizeof space}};
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) != 0)
        return -2;
    struct cmsghdr *control = CMSG_FIRSTHDR(&message.msg_hdr);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(sizeof(int));
    *(int *)(void *)CMSG_DATA(control) = area->data;
    if (sendmsg(pair[0], &message.msg_hdr, 0) != 1)
        return -3;
    long result = several ? __recvmmsg64(pair[1], &message, 1, 0, NULL)
                          : __recvmsg64(pair[1], &message.msg_hdr, 0);
    close(*(int *)(void *)CMSG_DATA(CMSG_FIRSTHDR(&message.msg_hdr)));
    close(pair[0]);
    close(pair[1]);
    return result;
}
ROW(__recvmsg64, descriptor, NONE, received(area, false))
ROW(__recvmmsg64, descriptor, NONE, received(area, true))

static int no_more(void)
{
    return 7;
}
ROW(__ftw64_time64, table, READ, __ftw64_time64(in(area, "."), (void *)no_more, 4))
ROW(__ftw64_time64, outside, NONE, __ftw64_time64(out(area, "plain"), (void *)no_more, 4))
ROW(__nftw64_time64, table, READ, __nftw64_time64(in(area, "."), (void *)no_more, 4, 0))

static long walk(const char *path)
{
    char *const paths[] = {(char *)(uintptr_t)path, NULL};
    void *tree = __fts64_open_time64(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    return yes(tree);
}
ROW(__fts64_open_time64, table, READ, walk(in(area, ".")))
ROW(__fts64_open_time64, outside, NONE, walk(out(area, "plain")))

static long count(const char *pattern)
{
    glob64_t found;
    int result = __glob64_time64(pattern, 0, NULL, &found);
    return result != 0 ? -1 : (long)found.gl_pathc;
}
ROW(__glob64_time64, table, READ, count(in(area, "f*")))
ROW(__glob64_time64, outside, NONE, count(out(area, "p*")))
#endif
