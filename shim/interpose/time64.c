/*
 * The twins that programs of 32-bit machines call when they are built with 64-bit times. Each does
 * what its namesake does elsewhere; on other machines there are none of them.
 */
#include "shim/interpose/ask.h"
#include "shim/interpose/opened.h"

#ifdef __i386__
INTERPOSE int __stat64_time64(const char *path, struct status_time64 *status)
{
    ASK_STATUS(AT_FDCWD, path, true, REAL(__lstat64_time64)(path, status), S_ISLNK(status->st_mode),
               REAL(__stat64_time64)(path, status));
}

INTERPOSE int __lstat64_time64(const char *path, struct status_time64 *status)
{
    ASK(int, -1, AT_FDCWD, path, false, REAL(__lstat64_time64)(path, status));
}

INTERPOSE int __fstatat64_time64(int directory, const char *path, struct status_time64 *status,
                                 int flags)
{
    ASK_STATUS(directory, path, ask_follows(flags),
               REAL(__fstatat64_time64)(directory, path, status, flags | AT_SYMLINK_NOFOLLOW),
               ask_follows(flags) && S_ISLNK(status->st_mode),
               REAL(__fstatat64_time64)(directory, path, status, flags));
}

INTERPOSE int __fcntl_time64(int descriptor, int command, ...)
{
    FCNTL(REAL(__fcntl_time64));
}

INTERPOSE int __ioctl_time64(int descriptor, ioctl_request request, ...)
{
    IOCTL(REAL(__ioctl_time64));
}

INTERPOSE ssize_t __recvmsg64(int socket, struct msghdr *message, int flags)
{
    ssize_t result = REAL(__recvmsg64)(socket, message, flags);
    if (touch_guarding() && result >= 0)
        received_message(message);
    return result;
}

INTERPOSE int __recvmmsg64(int socket, struct mmsghdr *messages, unsigned count,
                           recvmmsg_flags flags, void *timeout)
{
    int result = REAL(__recvmmsg64)(socket, messages, count, flags, timeout);
    if (touch_guarding())
        received_messages(messages, result);
    return result;
}

INTERPOSE int __ftw64_time64(const char *path, void *each, int descriptors_at_most)
{
    GUARDED(int, -1, touch_path(&touch, AT_FDCWD, path, true, TOUCH_READ),
            REAL(__ftw64_time64)(path, each, descriptors_at_most));
}

INTERPOSE int __nftw64_time64(const char *path, void *each, int descriptors_at_most, int flags)
{
    GUARDED(int, -1, touch_path(&touch, AT_FDCWD, path, true, TOUCH_READ),
            REAL(__nftw64_time64)(path, each, descriptors_at_most, flags));
}

INTERPOSE void *__fts64_open_time64(char *const *paths, int options, void *compare)
{
    GUARDED(void *, NULL, walk_touches(&touch, paths),
            REAL(__fts64_open_time64)(paths, options, compare));
}

INTERPOSE int __glob64_time64(const char *pattern, int flags, void *error, void *found)
{
    GUARDED(int, GLOB_ABORTED, pattern_touches(&touch, pattern),
            REAL(__glob64_time64)(pattern, flags, error, found));
}
#endif
