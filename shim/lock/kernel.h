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
#else
#error "lockshim knows the system call conventions of x86-64 and arm64 only"
#endif

#ifdef __clang_analyzer__
#define KERNEL_CALL(...) kernel_call(__VA_ARGS__)
#else
#define KERNEL_CALL(number, a, b, c, d, e, f)                                                      \
    kernel_call((number), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
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
    return KERNEL_CALL(SYS_pread64, descriptor, buffer, size, offset, 0, 0);
}

static inline ssize_t kernel_pwrite(int descriptor, const void *buffer, size_t size, off_t offset)
{
    return KERNEL_CALL(SYS_pwrite64, descriptor, buffer, size, offset, 0, 0);
}

static inline off_t kernel_lseek(int descriptor, off_t offset, int whence)
{
    return KERNEL_CALL(SYS_lseek, descriptor, offset, whence, 0, 0, 0);
}

static inline int kernel_ftruncate(int descriptor, off_t size)
{
    return (int)KERNEL_CALL(SYS_ftruncate, descriptor, size, 0, 0, 0, 0);
}

static inline int kernel_fstatat(int directory, const char *path, struct stat *status, int flags)
{
    return (int)KERNEL_CALL(SYS_newfstatat, directory, path, status, flags, 0, 0);
}

static inline int kernel_fstat(int descriptor, struct stat *status)
{
    return (int)KERNEL_CALL(SYS_fstat, descriptor, status, 0, 0, 0, 0);
}

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
    return (int)KERNEL_CALL(SYS_fcntl, descriptor, command, argument, 0, 0, 0);
}

static inline int kernel_flock(int descriptor, int operation)
{
    return (int)KERNEL_CALL(SYS_flock, descriptor, operation, 0, 0, 0, 0);
}

static inline int kernel_dup3(int from, int to, int flags)
{
    return (int)KERNEL_CALL(SYS_dup3, from, to, flags, 0, 0, 0);
}

static inline void *kernel_mmap(void *address, size_t size, int protection, int flags,
                                int descriptor, off_t offset)
{
    long result = KERNEL_CALL(SYS_mmap, address, size, protection, flags, descriptor, offset);
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
    struct timespec timeout = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    return (int)KERNEL_CALL(SYS_ppoll, polled, count, nanoseconds < 0 ? NULL : &timeout, NULL, 0,
                            0);
}

/* Waits until *word is no longer expected, a wake, a signal or the end of the time (relative). */
static inline int kernel_futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t nanoseconds)
{
    struct timespec timeout = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    return (int)KERNEL_CALL(SYS_futex, word, FUTEX_WAIT, expected,
                            nanoseconds < 0 ? NULL : &timeout, NULL, 0);
}

static inline int kernel_futex_wake(_Atomic uint32_t *word, int count)
{
    return (int)KERNEL_CALL(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
}

/* Adds to the word and wakes up to `count` who wait on it, in one call; -EFAULT, never a fault. */
static inline int kernel_futex_add_and_wake(_Atomic uint32_t *word, int number, int count)
{
    /* The second wake, of those who wait on the word added to, is for an old value of -2048. */
    unsigned operation = FUTEX_OP(FUTEX_OP_ADD, (unsigned)number, FUTEX_OP_CMP_EQ, 0x800u);
    return (int)KERNEL_CALL(SYS_futex, word, FUTEX_WAKE_OP, count, 0, word, operation);
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
