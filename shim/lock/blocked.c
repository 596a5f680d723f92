/*
 * What a process is blocked on: the system calls that its threads are in, and their arguments. It
 * only reads, and guesses where it may not: then rather too much than too little.
 */
#include "shim/lock/blocked.h"

#include "shim/lock/kernel.h"
#include "shim/lock/process.h"

#include <elf.h>
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "shim/lock/blocked_calls.h"

#define IDTYPE_PIDFD 3 /* P_PIDFD, which older headers lack */

static void add_descriptor(struct blocked *blocked, long descriptor)
{
    if (descriptor >= 0 && descriptor < (1 << 30) && blocked->count < BLOCKED_DESCRIPTORS)
        blocked->descriptors[blocked->count++] = (int)descriptor;
}

/*
 * It waits for the end of one child, and not for what the others do. Whose number is no child's is
 * of another PID namespace, where they are counted otherwise.
 */
static void add_child(struct blocked *blocked, pid_t process, pid_t child)
{
    struct process_status status;
    if (blocked->child_count < BLOCKED_CHILDREN && process_status_read(child, &status) &&
        status.parent == process)
        blocked->children[blocked->child_count++] = child;
    else
        blocked->on_child = true;
}

static bool read_memory(pid_t process, uint64_t address, void *buffer, size_t size)
{
    struct iovec here = {buffer, size};
    struct iovec there = {(void *)(uintptr_t)address, size};
    if (address <= UINTPTR_MAX)
        return KERNEL_CALL(SYS_process_vm_readv, process, &here, 1, &there, 1, 0) == (long)size;
    char path[64]; /* of a 64-bit process, looked at by a 32-bit one */
    int memory =
        kernel_openat(AT_FDCWD, process_path(path, process, "mem", -1), O_RDONLY | O_CLOEXEC, 0);
    ssize_t got = kernel_pread(memory, buffer, size, (off_t)address);
    (void)kernel_close(memory);
    return got == (ssize_t)size;
}

/* The number of a call as this file knows it, or -1. */
static long call_of(pid_t process, long number)
{
#if defined(__i386__) || defined(__x86_64__)
    char path[64];
    unsigned char kind[EI_NIDENT] = {0};
    int file = kernel_openat(AT_FDCWD, process_path(path, process, "exe", -1),
                             O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    ssize_t size = kernel_pread(file, kind, sizeof kind, 0);
    (void)kernel_close(file);
    bool narrow = size == (ssize_t)sizeof kind ? kind[EI_CLASS] == ELFCLASS32 : sizeof(long) == 4;
    if (!narrow || number == SYS_clone3 || number == SYS_epoll_pwait2)
        return number;
    for (size_t i = 0; i < sizeof blocked_calls / sizeof blocked_calls[0]; i++) {
        if (blocked_calls[i][0] == number)
            return blocked_calls[i][1];
    }
    return -1;
#else
    (void)process;
    return number;
#endif
}

static void add_polled(struct blocked *blocked, pid_t process, uint64_t address, uint64_t count)
{
    struct pollfd polled[BLOCKED_DESCRIPTORS];
    if (count > BLOCKED_DESCRIPTORS)
        count = BLOCKED_DESCRIPTORS;
    if (count == 0 || !read_memory(process, address, polled, (size_t)count * sizeof polled[0]))
        return;
    for (uint64_t i = 0; i < count; i++)
        add_descriptor(blocked, polled[i].fd);
}

static void add_selected(struct blocked *blocked, pid_t process, uint64_t count, uint64_t set)
{
    uint64_t words[16];
    if (set == 0)
        return;
    if (count > 1024)
        count = 1024;
    size_t bytes = (size_t)((count + 63) / 64) * sizeof words[0];
    if (bytes == 0 || !read_memory(process, set, words, bytes))
        return;
    for (uint64_t i = 0; i < count; i++) {
        if ((words[i / 64] >> (i % 64) & 1) != 0)
            add_descriptor(blocked, (long)i);
    }
}

/* fdinfo of an epoll descriptor has a line "tfd: N events: …" for everything watched. */
static void add_watched(struct blocked *blocked, pid_t process, long epoll)
{
    char path[64], text[4096];
    if (process_read_file(process_path(path, process, "fdinfo", epoll), text, sizeof text) <= 0)
        return;
    for (const char *at = text; (at = strstr(at, "tfd:")) != NULL;) {
        at += 4;
        while (*at == ' ')
            at++;
        long number = 0;
        for (; *at >= '0' && *at <= '9'; at++)
            number = number * 10 + (*at - '0');
        add_descriptor(blocked, number);
    }
}

const char *blocked_parse(const char *at, uint64_t *number)
{
    unsigned base = 10;
    *number = 0;
    while (*at == ' ')
        at++;
    if (at[0] == '0' && at[1] == 'x') {
        base = 16;
        at += 2;
    }
    for (;; at++) {
        unsigned digit = *at >= '0' && *at <= '9'   ? (unsigned)(*at - '0')
                         : *at >= 'a' && *at <= 'f' ? (unsigned)(*at - 'a') + 10
                                                    : 99;
        if (digit >= base)
            return at;
        *number = *number * base + digit;
    }
}

/* Is this signal in the set, one of the lines of /proc/PID/status? */
static bool is_in_set(pid_t process, const char *name, int signal)
{
    char path[64], text[4096];
    if (process_read_file(process_path(path, process, "status", -1), text, sizeof text) <= 0)
        return true;
    const char *digits = strstr(text, name);
    if (digits == NULL)
        return true;
    uint64_t set = 0;
    for (digits += strlen(name); *digits != '\0' && *digits != '\n'; digits++)
        set = set << 4 | (uint64_t)(*digits <= '9' ? *digits - '0' : *digits - 'a' + 10);
    return (set >> (signal - 1) & 1) != 0;
}

/* Of calls that wait for signals: would the end of a child end them? */
static bool end_of_child_wakes(pid_t process, long call, uint64_t set)
{
    uint64_t signals;
    bool takes_set = call == SYS_rt_sigtimedwait || call == SYS_rt_sigsuspend;
    bool known = takes_set && read_memory(process, set, &signals, sizeof signals);
    bool has_it = known && (signals >> (SIGCHLD - 1) & 1) != 0;
    if (call == SYS_rt_sigtimedwait)
        return !known || has_it;
    return !has_it && is_in_set(process, "\nSigCgt:\t", SIGCHLD);
}

/* It sleeps until something happens, or a time is over. */
static void note_sleep(struct blocked *blocked, pid_t process, bool limited)
{
    blocked->asleep = true;
    if (!limited && !blocked->endless)
        blocked->endless = is_in_set(process, "\nSigCgt:\t", SIGCHLD);
}

static void note_call(struct blocked *blocked, pid_t process, long call, const uint64_t *argument)
{
    switch (call) {
    case SYS_futex: /* a private one is for its own threads alone */
        if ((argument[1] & FUTEX_PRIVATE_FLAG) == 0 && blocked->address_count < BLOCKED_ADDRESSES)
            blocked->addresses[blocked->address_count++] = argument[0];
        break;
    case SYS_nanosleep:
    case SYS_clock_nanosleep:
        note_sleep(blocked, process, true);
        break;
    case SYS_rt_sigsuspend:
    case SYS_rt_sigtimedwait:
#ifdef SYS_pause
    case SYS_pause:
#endif
        blocked->on_child = blocked->on_child || end_of_child_wakes(process, call, argument[0]);
        break;
    case SYS_wait4:
        if ((pid_t)argument[0] > 0)
            add_child(blocked, process, (pid_t)argument[0]);
        else
            blocked->on_child = true;
        break;
    case SYS_waitid:
        if (argument[0] == P_PID)
            add_child(blocked, process, (pid_t)argument[1]);
        else if (argument[0] == IDTYPE_PIDFD)
            add_descriptor(blocked, (long)argument[1]);
        else
            blocked->on_child = true;
        break;
#ifdef SYS_vfork
    case SYS_vfork:
#endif
    case SYS_clone: /* posix_spawn waits in clone for the exec */
    case SYS_clone3:
        blocked->in_vfork = true;
        break;
    case SYS_read:
    case SYS_readv:
    case SYS_write:
    case SYS_writev:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_preadv2:
    case SYS_pwritev2:
        add_descriptor(blocked, (long)argument[0]);
        break;
    case SYS_splice:
    case SYS_tee:
    case SYS_sendfile:
        add_descriptor(blocked, (long)argument[0]);
        add_descriptor(blocked, (long)argument[call == SYS_splice ? 2 : 1]);
        break;
#ifdef SYS_poll
    case SYS_poll:
#endif
    case SYS_ppoll:
        add_polled(blocked, process, argument[0], argument[1]);
        note_sleep(blocked, process, call == SYS_ppoll ? argument[2] != 0 : (int)argument[2] >= 0);
        break;
#ifdef SYS_select
    case SYS_select:
#endif
    case SYS_pselect6:
        add_selected(blocked, process, argument[0], argument[1]);
        add_selected(blocked, process, argument[0], argument[2]);
        note_sleep(blocked, process, argument[4] != 0);
        break;
#ifdef SYS_epoll_wait
    case SYS_epoll_wait:
#endif
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
        add_watched(blocked, process, (long)argument[0]);
        note_sleep(blocked, process,
                   call == SYS_epoll_pwait2 ? argument[3] != 0 : (int)argument[3] >= 0);
        break;
    default:
        blocked->busy = true;
        break;
    }
}

static bool add_any_descriptor(long descriptor, void *context)
{
    struct blocked *blocked = context;
    add_descriptor(blocked, descriptor);
    return blocked->count < BLOCKED_DESCRIPTORS;
}

/*
 * Where we may not see a process's system call (Yama's ptrace scope), the function of the kernel in
 * which it sleeps still tells that it waits for a child; for the rest any descriptor may be meant.
 */
static void guess_call(struct blocked *blocked, pid_t process)
{
    char path[64], text[128];
    struct process_status status;
    if (!process_status_read(process, &status) || status.state != 'S')
        return;
    if (process_read_file(process_path(path, process, "wchan", -1), text, sizeof text) <= 0 ||
        strcmp(text, "0") == 0 || strstr(text, "wait") != NULL ||
        strstr(text, "sigsuspend") != NULL)
        blocked->on_child = true;
    else
        process_each_number(process_path(path, process, "fd", -1), add_any_descriptor, blocked);
    blocked->asleep = true;
    blocked->guessed = true;
}

enum { THREADS_MAXIMUM = 64 };

struct thread_search {
    pid_t process;
    struct blocked *blocked;
    uint64_t runs;
    int looked_at;
};

/* A file of one of the process's threads: the length, or a negative errno. */
static ssize_t read_of_thread(pid_t process, long thread, const char *name, char *text, size_t size)
{
    char task[32] = "task/", path[64], digits[24];
    size_t length = 5;
    int count = 0;
    for (long rest = thread; rest != 0 || count == 0; rest /= 10)
        digits[count++] = (char)('0' + rest % 10);
    while (count > 0)
        task[length++] = digits[--count];
    memcpy(task + length, name, strlen(name) + 1);
    return process_read_file(process_path(path, process, task, -1), text, size);
}

static bool look_at_thread(long thread, void *context)
{
    struct thread_search *search = context;
    char text[256];
    ssize_t length_read = read_of_thread(search->process, thread, "/syscall", text, sizeof text);
    if (length_read == -EPERM || length_read == -EACCES) {
        guess_call(search->blocked, search->process);
        return false;
    }
    if (length_read > 0 && text[0] >= '0' && text[0] <= '9') {
        uint64_t call, argument[6] = {0};
        const char *at = blocked_parse(text, &call);
        for (int i = 0; i < 6; i++)
            at = blocked_parse(at, &argument[i]);
        note_call(search->blocked, search->process, call_of(search->process, (long)call), argument);
    } else {
        search->blocked->busy = true; /* it runs */
    }
    return ++search->looked_at < THREADS_MAXIMUM;
}

/* "time-on-it time-waited-for-it times": the third. */
static bool add_runs(long thread, void *context)
{
    struct thread_search *search = context;
    char text[128];
    uint64_t number;
    ssize_t length = read_of_thread(search->process, thread, "/schedstat", text, sizeof text);
    if (length <= 0)
        return true;
    const char *at = blocked_parse(text, &number);
    at = blocked_parse(at, &number);
    (void)blocked_parse(at, &number);
    search->runs += number;
    return ++search->looked_at < THREADS_MAXIMUM;
}

void blocked_find(pid_t process, struct blocked *blocked)
{
    char path[64];
    struct thread_search search = {.process = process, .blocked = blocked};
    memset(blocked, 0, sizeof *blocked);
    process_each_number(process_path(path, process, "task", -1), look_at_thread, &search);
}

uint64_t blocked_runs(pid_t process, pid_t thread)
{
    char path[64];
    struct thread_search search = {.process = process};
    if (thread != 0)
        (void)add_runs(thread, &search);
    else
        process_each_number(process_path(path, process, "task", -1), add_runs, &search);
    return search.runs;
}
