/*
 * syscall(): programs that make system calls by number come to the same entry points as those that
 * use the functions.
 */
#include "shim/interpose/opened.h"
#include "shim/interpose/real.h"
#include "shim/lock/kernel.h"
#include "shim/lock/own.h"
#include "shim/lock/process.h"
#include "shim/mappings.h"
#include "shim/touch.h"

#include <errno.h>
#include <linux/sched.h>

struct arguments {
    long value[6];
};

#define A(index, type) ((type)arguments->value[index])

/* An offset: on 32-bit machines two arguments, the lower half first. */
#define OFFSET(index)                                                                              \
    (sizeof(long) == 8 ? A(index, off64_t)                                                         \
                       : (off64_t)((uint64_t)A((index) + 1, uint32_t) << 32 | A(index, uint32_t)))

static long make_call(long number, const struct arguments *arguments)
{
    long result = kernel_call(number, arguments->value[0], arguments->value[1], arguments->value[2],
                              arguments->value[3], arguments->value[4], arguments->value[5]);
    if (result >= 0 || result < -4095)
        return result;
    errno = (int)-result;
    return -1;
}

static bool is_only_thread(void)
{
    struct process_status status;
    return process_status_read(kernel_getpid(), &status) && status.threads == 1;
}

/* Opening, names and sizes. False: not one of these. */
static bool call_on_names(long number, const struct arguments *arguments, long *result)
{
    switch (number) {
#ifdef SYS_open
    case SYS_open:
        *result = open(A(0, const char *), A(1, int), A(2, mode_t));
        return true;
    case SYS_creat:
        *result = creat(A(0, const char *), A(1, mode_t));
        return true;
    case SYS_rename:
        *result = rename(A(0, const char *), A(1, const char *));
        return true;
    case SYS_link:
        *result = link(A(0, const char *), A(1, const char *));
        return true;
    case SYS_symlink:
        *result = symlink(A(0, const char *), A(1, const char *));
        return true;
    case SYS_unlink:
        *result = unlink(A(0, const char *));
        return true;
    case SYS_rmdir:
        *result = rmdir(A(0, const char *));
        return true;
    case SYS_mkdir:
        *result = mkdir(A(0, const char *), A(1, mode_t));
        return true;
    case SYS_mknod:
        *result = mknod(A(0, const char *), A(1, mode_t), A(2, dev_t));
        return true;
#endif
    case SYS_openat:
        *result = openat(A(0, int), A(1, const char *), A(2, int), A(3, mode_t));
        return true;
    case SYS_openat2:
        *result =
            openat2(A(0, int), A(1, const char *), A(2, const struct open_how *), A(3, size_t));
        return true;
    case SYS_open_by_handle_at:
        *result = open_by_handle_at(A(0, int), A(1, struct file_handle *), A(2, int));
        return true;
#ifdef SYS_renameat
    case SYS_renameat:
        *result = renameat(A(0, int), A(1, const char *), A(2, int), A(3, const char *));
        return true;
#endif
    case SYS_renameat2:
        *result =
            renameat2(A(0, int), A(1, const char *), A(2, int), A(3, const char *), A(4, unsigned));
        return true;
    case SYS_linkat:
        *result = linkat(A(0, int), A(1, const char *), A(2, int), A(3, const char *), A(4, int));
        return true;
    case SYS_symlinkat:
        *result = symlinkat(A(0, const char *), A(1, int), A(2, const char *));
        return true;
    case SYS_unlinkat:
        *result = unlinkat(A(0, int), A(1, const char *), A(2, int));
        return true;
    case SYS_mkdirat:
        *result = mkdirat(A(0, int), A(1, const char *), A(2, mode_t));
        return true;
    case SYS_mknodat:
        *result = mknodat(A(0, int), A(1, const char *), A(2, mode_t), A(3, dev_t));
        return true;
    case SYS_truncate:
        *result = truncate(A(0, const char *), A(1, off_t));
        return true;
    case SYS_ftruncate:
        *result = ftruncate(A(0, int), A(1, off_t));
        return true;
#ifdef SYS_truncate64
    case SYS_truncate64:
        *result = truncate64(A(0, const char *), OFFSET(1));
        return true;
    case SYS_ftruncate64:
        *result = ftruncate64(A(0, int), OFFSET(1));
        return true;
#endif
    case SYS_fallocate:
        *result = fallocate64(A(0, int), A(1, int), OFFSET(2), OFFSET(sizeof(long) == 8 ? 3 : 4));
        return true;
    default:
        return false;
    }
}

/*
 * Calls on data of descriptors that are no table's stay system calls: other libraries interpose
 * these names too (tcmalloc its mmap), and make them by number to get past themselves.
 */
static bool is_nobodys(long number, const struct arguments *arguments)
{
    switch (number) {
    case SYS_write:
    case SYS_pwrite64:
    case SYS_writev:
    case SYS_pwritev:
    case SYS_pwritev2:
    case SYS_sendfile:
#ifdef SYS_sendfile64
    case SYS_sendfile64:
#endif
    case SYS_ioctl:
        return descriptor_word(A(0, int)) == 0;
    case SYS_tee:
        return descriptor_word(A(1, int)) == 0;
    case SYS_copy_file_range:
    case SYS_splice:
        return descriptor_word(A(2, int)) == 0;
#ifdef SYS_mmap2
    case SYS_mmap2:
#else
    case SYS_mmap:
#endif
        return mappings_count == 0 &&
               ((A(3, int) & MAP_ANONYMOUS) != 0 || descriptor_word(A(4, int)) == 0);
    case SYS_munmap:
    case SYS_mremap:
        return mappings_count == 0;
    case SYS_close:
        return descriptor_word(A(0, int)) == 0 && !own_is(A(0, int));
    default:
        return false;
    }
}

static bool call_on_data(long number, const struct arguments *arguments, long *result)
{
    switch (number) {
    case SYS_write:
        *result = write(A(0, int), A(1, const void *), A(2, size_t));
        return true;
    case SYS_pwrite64:
        *result = pwrite64(A(0, int), A(1, const void *), A(2, size_t), OFFSET(3));
        return true;
    case SYS_writev:
        *result = writev(A(0, int), A(1, const struct iovec *), A(2, int));
        return true;
    case SYS_pwritev:
        *result = pwritev64(A(0, int), A(1, const struct iovec *), A(2, int), OFFSET(3));
        return true;
    case SYS_pwritev2:
        *result =
            pwritev64v2(A(0, int), A(1, const struct iovec *), A(2, int), OFFSET(3), A(5, int));
        return true;
    case SYS_sendfile:
        *result = sendfile(A(0, int), A(1, int), A(2, off_t *), A(3, size_t));
        return true;
#ifdef SYS_sendfile64
    case SYS_sendfile64:
        *result = sendfile64(A(0, int), A(1, int), A(2, off64_t *), A(3, size_t));
        return true;
#endif
    case SYS_copy_file_range:
        *result = copy_file_range(A(0, int), A(1, off64_t *), A(2, int), A(3, off64_t *),
                                  A(4, size_t), A(5, unsigned));
        return true;
    case SYS_splice:
        *result = splice(A(0, int), A(1, off64_t *), A(2, int), A(3, off64_t *), A(4, size_t),
                         A(5, unsigned));
        return true;
    case SYS_tee:
        *result = tee(A(0, int), A(1, int), A(2, size_t), A(3, unsigned));
        return true;
    case SYS_ioctl:
        *result = ioctl(A(0, int), A(1, ioctl_request), A(2, void *));
        return true;
#ifdef SYS_mmap2
    case SYS_mmap2:
        *result = (long)mmap64(A(0, void *), A(1, size_t), A(2, int), A(3, int), A(4, int),
                               (off64_t)A(5, unsigned long) << 12);
        return true;
    case SYS_mmap: /* its arguments are in memory */
        arguments = A(0, const struct arguments *);
        *result = (long)mmap64(A(0, void *), A(1, size_t), A(2, int), A(3, int), A(4, int),
                               (off64_t)A(5, unsigned long));
        return true;
#else
    case SYS_mmap:
        *result =
            (long)mmap(A(0, void *), A(1, size_t), A(2, int), A(3, int), A(4, int), A(5, off_t));
        return true;
#endif
    case SYS_munmap:
        *result = munmap(A(0, void *), A(1, size_t));
        return true;
    case SYS_mremap:
        *result = (long)mremap(A(0, void *), A(1, size_t), A(2, size_t), A(3, int), A(4, void *));
        return true;
    default:
        return false;
    }
}

static bool call_on_descriptors(long number, const struct arguments *arguments, long *result)
{
    switch (number) {
    case SYS_close:
        *result = close(A(0, int));
        return true;
    case SYS_close_range:
        *result = close_range(A(0, unsigned), A(1, unsigned), A(2, int));
        return true;
    case SYS_dup:
        *result = dup(A(0, int));
        return true;
#ifdef SYS_dup2
    case SYS_dup2:
        *result = dup2(A(0, int), A(1, int));
        return true;
#endif
    case SYS_dup3:
        *result = dup3(A(0, int), A(1, int), A(2, int));
        return true;
    case SYS_fcntl:
#ifdef SYS_fcntl64
    case SYS_fcntl64:
        /* libc's own is of one width; record locks have one layout for each. */
        if (A(1, int) != F_DUPFD && A(1, int) != F_DUPFD_CLOEXEC && A(1, int) != F_GETFL)
            return false;
#endif
        *result = fcntl(A(0, int), A(1, int), A(2, long));
        return true;
    case SYS_flock:
        *result = flock(A(0, int), A(1, int));
        return true;
    case SYS_recvmsg:
        *result = recvmsg(A(0, int), A(1, struct msghdr *), A(2, int));
        return true;
    case SYS_recvmmsg:
        *result = recvmmsg(A(0, int), A(1, struct mmsghdr *), A(2, unsigned), A(3, recvmmsg_flags),
                           A(4, struct timespec *));
        return true;
#ifdef SYS_recvmmsg_time64
    case SYS_recvmmsg_time64:
        *result = make_call(number, arguments);
        received_messages(A(1, const struct mmsghdr *), *result);
        return true;
#endif
#ifdef SYS_socketcall
    case SYS_socketcall: /* its arguments are in memory */
        *result = make_call(number, arguments);
        if (*result >= 0 && A(0, int) == 17 /* SYS_RECVMSG of <linux/net.h> */)
            received_message(A(1, struct msghdr *const *)[1]);
        else if (*result >= 0 && A(0, int) == 19 /* SYS_RECVMMSG */)
            received_messages(A(1, struct mmsghdr *const *)[1], *result);
        return true;
#endif
    case SYS_pidfd_getfd:
        *result = make_call(number, arguments);
        if (touch_guarding() && *result >= 0)
            touch_received((int)*result);
        return true;
    case SYS_fchdir:
        *result = fchdir(A(0, int));
        return true;
    default:
        return false;
    }
}

#ifdef SYS_oldstat
static long ask(long number, const struct arguments *arguments, bool follow)
{
    GUARDED(long, -1, touch_path(&touch, AT_FDCWD, A(0, const char *), follow, TOUCH_ASK),
            make_call(number, arguments));
}
#endif

static bool call_that_asks(long number, const struct arguments *arguments, long *result)
{
    switch (number) {
#ifdef SYS_stat64
    case SYS_stat64:
        *result = stat64(A(0, const char *), A(1, struct stat64 *));
        return true;
    case SYS_lstat64:
        *result = lstat64(A(0, const char *), A(1, struct stat64 *));
        return true;
    case SYS_fstatat64:
        *result = fstatat64(A(0, int), A(1, const char *), A(2, struct stat64 *), A(3, int));
        return true;
    case SYS_oldstat: /* the kernel's older structures are not libc's */
    case SYS_stat:
        *result = ask(number, arguments, true);
        return true;
    case SYS_oldlstat:
    case SYS_lstat:
        *result = ask(number, arguments, false);
        return true;
#elif defined(SYS_stat)
    case SYS_stat:
        *result = stat(A(0, const char *), A(1, struct stat *));
        return true;
    case SYS_lstat:
        *result = lstat(A(0, const char *), A(1, struct stat *));
        return true;
#endif
#ifdef SYS_access
    case SYS_access:
        *result = access(A(0, const char *), A(1, int));
        return true;
    case SYS_readlink:
        *result = readlink(A(0, const char *), A(1, char *), A(2, size_t));
        return true;
#endif
#ifdef SYS_newfstatat
    case SYS_newfstatat:
        *result = fstatat(A(0, int), A(1, const char *), A(2, struct stat *), A(3, int));
        return true;
#endif
    case SYS_statx:
        *result =
            statx(A(0, int), A(1, const char *), A(2, int), A(3, unsigned), A(4, struct statx *));
        return true;
    case SYS_faccessat:
        *result = faccessat(A(0, int), A(1, const char *), A(2, int), 0);
        return true;
    case SYS_faccessat2:
        *result = faccessat(A(0, int), A(1, const char *), A(2, int), A(3, int));
        return true;
    case SYS_readlinkat:
        *result = readlinkat(A(0, int), A(1, const char *), A(2, char *), A(3, size_t));
        return true;
    case SYS_chdir:
        *result = chdir(A(0, const char *));
        return true;
    default:
        return false;
    }
}

static bool call_on_processes(long number, const struct arguments *arguments, long *result)
{
    switch (number) {
    case SYS_execve:
        *result = execve(A(0, const char *), A(1, char *const *), A(2, char *const *));
        return true;
    case SYS_execveat:
        *result = execveat(A(0, int), A(1, const char *), A(2, char *const *), A(3, char *const *),
                           A(4, int));
        return true;
    case SYS_setsid:
        *result = setsid();
        return true;
    case SYS_exit_group:
        _exit(A(0, int));
    case SYS_exit: /* of a thread; of the process, where there is no other one */
        if (is_only_thread())
            _exit(A(0, int));
        return false;
#ifdef SYS_fork
    case SYS_fork:
#endif
    case SYS_clone:
        lock_self.may_vfork = true;
        *result = make_call(number, arguments);
        /* A thread, or a child in the same memory, is no process of its own here. */
        if (*result == 0 && (number != SYS_clone || (A(0, unsigned long) & CLONE_VM) == 0))
            start_forked();
        return true;
    case SYS_clone3: {
        const struct clone_args *how = A(0, const struct clone_args *);
        lock_self.may_vfork = true;
        *result = make_call(number, arguments);
        if (*result == 0 && (how->flags & CLONE_VM) == 0)
            start_forked();
        return true;
    }
    default:
        return false;
    }
}

INTERPOSE long syscall(long number, ...)
{
    struct arguments arguments;
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        arguments.value[i] = va_arg(list, long);
    va_end(list);
    long result;
    if (!touch_guarding() || is_nobodys(number, &arguments))
        return make_call(number, &arguments);
    if (call_on_names(number, &arguments, &result) || call_on_data(number, &arguments, &result) ||
        call_on_descriptors(number, &arguments, &result) ||
        call_that_asks(number, &arguments, &result) ||
        call_on_processes(number, &arguments, &result))
        return result;
    return make_call(number, &arguments);
}
