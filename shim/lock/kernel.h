/*
 * System calls made directly, without libc: the only way into the kernel for what lies under the
 * interposed functions. It must never touch errno, never call a libc function that can be
 * interposed, and never allocate: it runs before constructors, in vfork children and in signal
 * handlers. This is the one place where platforms differ.
 *
 * Every function returns what the kernel returns: a value, or a negative errno.
 */
#ifndef LOCKSHIM_KERNEL_H
#define LOCKSHIM_KERNEL_H

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>

#if defined(__clang_analyzer__)
/* The analyzer does not look into assembly: for it this is a function that may do anything. */
long kernel_call(long number, ...);
#elif defined(__x86_64__)
static inline long kernel_call(long number, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
static inline long kernel_call(long number, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}
#elif defined(__i386__)
#include "shim/lock/kernel_i386.h"
#else
#error "lockshim knows the system call conventions of x86-64, i386 and arm64 only"
#endif

/* What 32-bit machines have under other names, and an offset as arguments. */
#ifndef KERNEL_HALVES
#define KERNEL_HALVES(offset) (offset), 0
#define KERNEL_FTRUNCATE SYS_ftruncate
#define KERNEL_FCNTL SYS_fcntl
#define KERNEL_PPOLL SYS_ppoll
#define KERNEL_FUTEX SYS_futex
#define KERNEL_UTIMENSAT SYS_utimensat
#define KERNEL_SIGTIMEDWAIT SYS_rt_sigtimedwait
#define KERNEL_FCHOWN SYS_fchown
#define KERNEL_GETUID SYS_getuid
#define KERNEL_GETEUID SYS_geteuid
#define KERNEL_GETRESUID SYS_getresuid
#define KERNEL_GETRESGID SYS_getresgid
#endif

/* As the kernel takes it, whatever the width of libc's. */
struct kernel_time {
    int64_t seconds;
    int64_t nanoseconds;
};

static inline struct kernel_time kernel_time_of(struct timespec time)
{
    return (struct kernel_time){time.tv_sec, time.tv_nsec};
}

/* In two steps: an argument may be a macro for two (KERNEL_HALVES). */
#ifdef __clang_analyzer__
#define KERNEL_CALL(...) kernel_call(__VA_ARGS__)
#else
#define KERNEL_CALL_LONGS(number, a, b, c, d, e, f)                                                \
    kernel_call((number), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define KERNEL_CALL(...) KERNEL_CALL_LONGS(__VA_ARGS__)
#endif

static inline int kernel_openat(int directory, const char *path, int flags, mode_t mode)
{
    return (int)KERNEL_CALL(SYS_openat, directory, path, flags, mode, 0, 0);
}

static inline int kernel_close(int descriptor)
{
    return (int)KERNEL_CALL(SYS_close, descriptor, 0, 0, 0, 0, 0);
}

static inline ssize_t kernel_read(int descriptor, void *buffer, size_t size)
{
    return KERNEL_CALL(SYS_read, descriptor, buffer, size, 0, 0, 0);
}

static inline ssize_t kernel_write(int descriptor, const void *buffer, size_t size)
{
    return KERNEL_CALL(SYS_write, descriptor, buffer, size, 0, 0, 0);
}

static inline ssize_t kernel_pread(int descriptor, void *buffer, size_t size, off_t offset)
{
    return KERNEL_CALL(SYS_pread64, descriptor, buffer, size, KERNEL_HALVES(offset), 0);
}

static inline ssize_t kernel_pwrite(int descriptor, const void *buffer, size_t size, off_t offset)
{
    return KERNEL_CALL(SYS_pwrite64, descriptor, buffer, size, KERNEL_HALVES(offset), 0);
}

static inline off_t kernel_lseek(int descriptor, off_t offset, int whence)
{
#ifdef SYS__llseek
    int64_t result = 0;
    long error =
        KERNEL_CALL(SYS__llseek, descriptor, offset >> 31 >> 1, offset, &result, whence, 0);
    return error < 0 ? error : (off_t)result;
#else
    return KERNEL_CALL(SYS_lseek, descriptor, offset, whence, 0, 0, 0);
#endif
}

static inline int kernel_ftruncate(int descriptor, off_t size)
{
    return (int)KERNEL_CALL(KERNEL_FTRUNCATE, descriptor, KERNEL_HALVES(size), 0, 0, 0);
}

#ifdef SYS_newfstatat
static inline int kernel_fstatat(int directory, const char *path, struct stat *status, int flags)
{
    return (int)KERNEL_CALL(SYS_newfstatat, directory, path, status, flags, 0, 0);
}

static inline int kernel_fstat(int descriptor, struct stat *status)
{
    return (int)KERNEL_CALL(SYS_fstat, descriptor, status, 0, 0, 0, 0);
}
#else
/* No struct stat of the kernel's has 64-bit times there; struct statx is the same everywhere. */
#define KERNEL_DEVICE(major, minor)                                                                \
    ((dev_t)((major)&0xfff) << 8 | (dev_t)((major) & ~0xfffu) << 32 | ((minor)&0xff) |             \
     (dev_t)((minor) & ~0xffu) << 12)

static inline int kernel_fstatat(int directory, const char *path, struct stat *status, int flags)
{
    struct statx all;
    int result = (int)KERNEL_CALL(SYS_statx, directory, path, flags, STATX_BASIC_STATS, &all, 0);
    if (result != 0)
        return result;
    __builtin_memset(status, 0, sizeof *status); /* what is between the members as well */
    status->st_dev = KERNEL_DEVICE(all.stx_dev_major, all.stx_dev_minor);
    status->st_rdev = KERNEL_DEVICE(all.stx_rdev_major, all.stx_rdev_minor);
    status->st_ino = (ino_t)all.stx_ino;
    status->st_mode = all.stx_mode;
    status->st_nlink = all.stx_nlink;
    status->st_uid = all.stx_uid;
    status->st_gid = all.stx_gid;
    status->st_size = (off_t)all.stx_size;
    status->st_blksize = (blksize_t)all.stx_blksize;
    status->st_blocks = (blkcnt_t)all.stx_blocks;
    status->st_atim.tv_sec = (time_t)all.stx_atime.tv_sec;
    status->st_atim.tv_nsec = (long)all.stx_atime.tv_nsec;
    status->st_mtim.tv_sec = (time_t)all.stx_mtime.tv_sec;
    status->st_mtim.tv_nsec = (long)all.stx_mtime.tv_nsec;
    status->st_ctim.tv_sec = (time_t)all.stx_ctime.tv_sec;
    status->st_ctim.tv_nsec = (long)all.stx_ctime.tv_nsec;
    return 0;
}

static inline int kernel_fstat(int descriptor, struct stat *status)
{
    return kernel_fstatat(descriptor, "", status, AT_EMPTY_PATH);
}
#endif

static inline ssize_t kernel_readlinkat(int directory, const char *path, char *target, size_t size)
{
    return KERNEL_CALL(SYS_readlinkat, directory, path, target, size, 0, 0);
}

static inline ssize_t kernel_getcwd(char *buffer, size_t size)
{
    return KERNEL_CALL(SYS_getcwd, buffer, size, 0, 0, 0, 0);
}

static inline int kernel_fcntl(int descriptor, int command, long argument)
{
    return (int)KERNEL_CALL(KERNEL_FCNTL, descriptor, command, argument, 0, 0, 0);
}

static inline int kernel_flock(int descriptor, int operation)
{
    return (int)KERNEL_CALL(SYS_flock, descriptor, operation, 0, 0, 0, 0);
}

static inline int kernel_dup3(int from, int to, int flags)
{
    return (int)KERNEL_CALL(SYS_dup3, from, to, flags, 0, 0, 0);
}

/* The address, or a negative errno. */
static inline long kernel_map(void *address, size_t size, int protection, int flags, int descriptor,
                              int64_t offset)
{
#ifdef SYS_mmap2
    if ((offset & 0xfff) != 0)
        return -EINVAL;
    return KERNEL_CALL(SYS_mmap2, address, size, protection, flags, descriptor, offset >> 12);
#else
    return KERNEL_CALL(SYS_mmap, address, size, protection, flags, descriptor, offset);
#endif
}

static inline void *kernel_mmap(void *address, size_t size, int protection, int flags,
                                int descriptor, off_t offset)
{
    long result = kernel_map(address, size, protection, flags, descriptor, offset);
    return result < 0 && result > -4096 ? NULL : (void *)result;
}

static inline int kernel_munmap(void *address, size_t size)
{
    return (int)KERNEL_CALL(SYS_munmap, address, size, 0, 0, 0, 0);
}

static inline int kernel_memfd_create(const char *name, unsigned flags)
{
    return (int)KERNEL_CALL(SYS_memfd_create, name, flags, 0, 0, 0, 0);
}

static inline pid_t kernel_getpid(void)
{
    return (pid_t)KERNEL_CALL(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static inline pid_t kernel_gettid(void)
{
    return (pid_t)KERNEL_CALL(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

static inline int kernel_kill(pid_t process, int signal)
{
    return (int)KERNEL_CALL(SYS_kill, process, signal, 0, 0, 0, 0);
}

static inline ssize_t kernel_getdents(int descriptor, void *buffer, size_t size)
{
    return KERNEL_CALL(SYS_getdents64, descriptor, buffer, size, 0, 0, 0);
}

static inline int kernel_pidfd_open(pid_t process)
{
    return (int)KERNEL_CALL(SYS_pidfd_open, process, 0, 0, 0, 0, 0);
}

static inline int kernel_poll(struct pollfd *polled, unsigned count, int64_t nanoseconds)
{
    struct kernel_time timeout = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    return (int)KERNEL_CALL(KERNEL_PPOLL, polled, count, nanoseconds < 0 ? NULL : &timeout, NULL, 0,
                            0);
}

/* Waits until *word is no longer expected, a wake, a signal or the end of the time (relative). */
static inline int kernel_futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t nanoseconds)
{
    struct kernel_time timeout = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    return (int)KERNEL_CALL(KERNEL_FUTEX, word, FUTEX_WAIT, expected,
                            nanoseconds < 0 ? NULL : &timeout, NULL, 0);
}

static inline int kernel_futex_wake(_Atomic uint32_t *word, int count)
{
    return (int)KERNEL_CALL(KERNEL_FUTEX, word, FUTEX_WAKE, count, NULL, NULL, 0);
}

/* Adds to the word and wakes up to `count` who wait on it, in one call; -EFAULT, never a fault. */
static inline int kernel_futex_add_and_wake(_Atomic uint32_t *word, int number, int count)
{
    /* The second wake, of those who wait on the word added to, is for an old value of -2048. */
    unsigned operation = FUTEX_OP(FUTEX_OP_ADD, (unsigned)number, FUTEX_OP_CMP_EQ, 0x800u);
    return (int)KERNEL_CALL(KERNEL_FUTEX, word, FUTEX_WAKE_OP, count, 0, word, operation);
}

static inline void kernel_yield(void)
{
    (void)KERNEL_CALL(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

static inline _Noreturn void kernel_exit_group(int status)
{
    for (;;)
        (void)KERNEL_CALL(SYS_exit_group, status, 0, 0, 0, 0, 0);
}

#endif
