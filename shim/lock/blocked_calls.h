/*
 * The numbers of system calls in which a process waits, as x86-64 has them and as 32-bit programs
 * have them: whoever looks at a process may be of the other width. On both, blocked.c goes by
 * those of x86-64. For blocked.c alone: it gives the names SYS_* another meaning.
 */
#ifndef LOCKSHIM_BLOCKED_CALLS_H
#define LOCKSHIM_BLOCKED_CALLS_H

#ifdef __i386__
#undef SYS_read
#define SYS_read 0
#undef SYS_write
#define SYS_write 1
#undef SYS_poll
#define SYS_poll 7
#undef SYS_readv
#define SYS_readv 19
#undef SYS_writev
#define SYS_writev 20
#undef SYS_select
#define SYS_select 23
#undef SYS_pause
#define SYS_pause 34
#undef SYS_nanosleep
#define SYS_nanosleep 35
#undef SYS_sendfile
#define SYS_sendfile 40
#undef SYS_sendto
#define SYS_sendto 44
#undef SYS_recvfrom
#define SYS_recvfrom 45
#undef SYS_sendmsg
#define SYS_sendmsg 46
#undef SYS_recvmsg
#define SYS_recvmsg 47
#undef SYS_clone
#define SYS_clone 56
#undef SYS_vfork
#define SYS_vfork 58
#undef SYS_wait4
#define SYS_wait4 61
#undef SYS_rt_sigtimedwait
#define SYS_rt_sigtimedwait 128
#undef SYS_rt_sigsuspend
#define SYS_rt_sigsuspend 130
#undef SYS_futex
#define SYS_futex 202
#undef SYS_clock_nanosleep
#define SYS_clock_nanosleep 230
#undef SYS_epoll_wait
#define SYS_epoll_wait 232
#undef SYS_waitid
#define SYS_waitid 247
#undef SYS_pselect6
#define SYS_pselect6 270
#undef SYS_ppoll
#define SYS_ppoll 271
#undef SYS_splice
#define SYS_splice 275
#undef SYS_tee
#define SYS_tee 276
#undef SYS_epoll_pwait
#define SYS_epoll_pwait 281
#undef SYS_recvmmsg
#define SYS_recvmmsg 299
#undef SYS_preadv2
#define SYS_preadv2 327
#undef SYS_pwritev2
#define SYS_pwritev2 328
#endif

#if defined(__i386__) || defined(__x86_64__)
/* {i386, x86-64}; clone3 and epoll_pwait2 have the same number in both. */
static const short blocked_calls[][2] = {
    {3, 0},     {4, 1},     {168, 7},   {145, 19},  {146, 20},  {142, 23},  {29, 34},   {187, 40},
    {239, 40},  {369, 44},  {371, 45},  {370, 46},  {372, 47},  {120, 56},  {190, 58},  {114, 61},
    {7, 61},    {177, 128}, {421, 128}, {179, 130}, {256, 232}, {284, 247}, {308, 270}, {413, 270},
    {309, 271}, {414, 271}, {313, 275}, {315, 276}, {319, 281}, {337, 299}, {417, 299}, {378, 327},
    {379, 328}, {162, 35},  {240, 202}, {422, 202}, {267, 230}, {407, 230}};
#endif

#endif
