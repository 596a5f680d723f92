/*
 * System calls of 32-bit x86 (kernel.h), for the files that are built with 64-bit offsets and
 * times. Where a call exists in several widths it is the widest, by the name that 64-bit machines
 * know it by. Times need Linux 5.1. It must not be included by anybody but kernel.h.
 */
#ifndef LOCKSHIM_KERNEL_I386_H
#define LOCKSHIM_KERNEL_I386_H

/*
 * By the interrupt, not through the vdso: its entry lies behind the thread register, which a
 * clone's child need not have yet. The sixth argument's register is the frame pointer, which no
 * operand can be.
 */
static inline long kernel_call(long number, long a, long b, long c, long d, long e, long f)
{
    long result;
    __asm__ volatile("pushl %7\n\t"
                     "pushl %%ebp\n\t"
                     "movl 4(%%esp), %%ebp\n\t"
                     "int $0x80\n\t"
                     "popl %%ebp\n\t"
                     "addl $4, %%esp"
                     : "=a"(result)
                     : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e), "g"(f)
                     : "memory", "cc");
    return result;
}

#define KERNEL_HALVES(offset) (uint32_t)(offset), (uint32_t)((uint64_t)(int64_t)(offset) >> 32)

#define KERNEL_FTRUNCATE SYS_ftruncate64
#define KERNEL_FCNTL SYS_fcntl64
#define KERNEL_PPOLL SYS_ppoll_time64
#define KERNEL_FUTEX SYS_futex_time64
#define KERNEL_UTIMENSAT SYS_utimensat_time64
#define KERNEL_SIGTIMEDWAIT SYS_rt_sigtimedwait_time64
#define KERNEL_FCHOWN SYS_fchown32
#define KERNEL_GETUID SYS_getuid32
#define KERNEL_GETEUID SYS_geteuid32
#define KERNEL_GETRESUID SYS_getresuid32
#define KERNEL_GETRESGID SYS_getresgid32

#endif
