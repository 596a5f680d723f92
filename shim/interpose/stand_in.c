/*
 * Functions of glibc that are a bare system call, for a libc that lacks them. They must do nothing
 * but make the call and set errno.
 */
#include "shim/interpose/stand_in.h"

#include "shim/interpose/prototypes.h"
#include "shim/lock/kernel.h"

#include <errno.h>
#include <string.h>

static long set_errno(long result)
{
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}

static int stand_in_close_range(unsigned first, unsigned last, int flags)
{
    return (int)set_errno(KERNEL_CALL(SYS_close_range, first, last, flags, 0, 0, 0));
}

static int stand_in_statx(int directory, const char *path, int flags, unsigned mask, void *status)
{
    return (int)set_errno(KERNEL_CALL(SYS_statx, directory, path, flags, mask, status, 0));
}

static int stand_in_renameat2(int old_directory, const char *old_path, int new_directory,
                              const char *new_path, unsigned flags)
{
    return (int)set_errno(
        KERNEL_CALL(SYS_renameat2, old_directory, old_path, new_directory, new_path, flags, 0));
}

static int stand_in_execveat(int directory, const char *path, char *const *arguments,
                             char *const *environment, int flags)
{
    return (int)set_errno(
        KERNEL_CALL(SYS_execveat, directory, path, arguments, environment, flags, 0));
}

static ssize_t stand_in_pwritev2(int descriptor, const struct iovec *vector, int count,
                                 off_t offset, int flags)
{
    return set_errno(KERNEL_CALL(SYS_pwritev2, descriptor, vector, count, offset, 0, flags));
}

static int stand_in_pidfd_getfd(int process, int descriptor, unsigned flags)
{
    return (int)set_errno(KERNEL_CALL(SYS_pidfd_getfd, process, descriptor, flags, 0, 0, 0));
}

void *stand_in_for(const char *name)
{
    static const struct {
        const char *name;
        void *function;
    } stand_ins[] = {
        {"close_range", (void *)stand_in_close_range},
        {"statx", (void *)stand_in_statx},
        {"renameat2", (void *)stand_in_renameat2},
        {"execveat", (void *)stand_in_execveat},
        {"pwritev2", (void *)stand_in_pwritev2},
        {"pidfd_getfd", (void *)stand_in_pidfd_getfd},
    };
    for (size_t i = 0; i < sizeof stand_ins / sizeof *stand_ins; i++)
        if (strcmp(name, stand_ins[i].name) == 0)
            return stand_ins[i].function;
    return NULL;
}
