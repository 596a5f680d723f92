/* Processes that begin, end, or leave the command that they belong to. */
#include "shim/interpose/real.h"
#include "shim/lock/awaited.h"
#include "shim/lock/kernel.h"
#include "shim/lock/polls.h"
#include "shim/lock/relatives.h"
#include "shim/touch.h"

/* fork() itself runs the handlers that start.c has registered; this one skips them. */
INTERPOSE pid_t _Fork(void)
{
    pid_t child = REAL(_Fork)();
    if (child == 0)
        start_forked();
    else
        touch_process_made();
    return child;
}

/* Who asks for a child that has not ended, and does not wait, may do so until it has. */
static pid_t asked(pid_t child, pid_t ended)
{
    if (ended == 0 && touch_guarding() && touch_is_own_process())
        polls_note(child);
    return ended;
}

/* Who waits says for whom. True: wait_ends() is due. */
static bool wait_begins(pid_t child, int options)
{
    bool waits = (options & WNOHANG) == 0 && touch_guarding() && touch_is_own_process();
    if (waits)
        awaited_begin(child > 0 ? child : RELATIVES_ANY_CHILD);
    return waits;
}

static pid_t wait_ends(bool waited, pid_t child, pid_t ended)
{
    if (waited)
        awaited_end();
    return asked(child, ended);
}

INTERPOSE pid_t waitpid(pid_t child, int *status, int options)
{
    bool waits = wait_begins(child, options);
    return wait_ends(waits, child, REAL(waitpid)(child, status, options));
}

INTERPOSE pid_t wait3(int *status, int options, struct rusage *usage)
{
    bool waits = wait_begins(-1, options);
    return wait_ends(waits, -1, REAL(wait3)(status, options, usage));
}

INTERPOSE pid_t wait4(pid_t child, int *status, int options, struct rusage *usage)
{
    bool waits = wait_begins(child, options);
    return wait_ends(waits, child, REAL(wait4)(child, status, options, usage));
}

#ifdef __i386__
INTERPOSE pid_t __wait3_time64(int *status, int options, void *usage)
{
    bool waits = wait_begins(-1, options);
    return wait_ends(waits, -1, REAL(__wait3_time64)(status, options, usage));
}

INTERPOSE pid_t __wait4_time64(pid_t child, int *status, int options, void *usage)
{
    bool waits = wait_begins(child, options);
    return wait_ends(waits, child, REAL(__wait4_time64)(child, status, options, usage));
}
#endif

INTERPOSE int waitid(idtype_t kind, id_t id, siginfo_t *told, int options)
{
    pid_t child = kind == P_PID ? (pid_t)id : -1;
    bool waits = wait_begins(child, options);
    int result = REAL(waitid)(kind, id, told, options);
    bool none_yet = result == 0 && (options & WNOHANG) != 0 && told != NULL && told->si_pid == 0;
    (void)wait_ends(waits, child, none_yet ? 0 : -1);
    return result;
}

/* A session of its own: the process is no part of its command any more. */
INTERPOSE pid_t setsid(void)
{
    pid_t session = REAL(setsid)();
    if (session >= 0 && touch_guarding())
        touch_left_command();
    return session;
}

/* The parent ends inside libc, in order; the child comes back in a session of its own. */
INTERPOSE int daemon(int keep_directory, int keep_streams)
{
    if (!touch_guarding())
        return REAL(daemon)(keep_directory, keep_streams);
    touch_process_ends();
    int result = REAL(daemon)(keep_directory, keep_streams);
    tables_forget_cache();
    if (result == 0)
        touch_left_command();
    return result;
}

static void end(void)
{
    if (touch_guarding() && touch_is_own_process())
        touch_process_ends();
}

/*
 * The kernel's call, which is all that libc does: looking the real ones up would cost every forked
 * child, where they are called for the first time, more than all the rest of it.
 */
INTERPOSE void _exit(int status)
{
    end();
    kernel_exit_group(status);
}

INTERPOSE void _Exit(int status)
{
    end();
    kernel_exit_group(status);
}

INTERPOSE void quick_exit(int status)
{
    end();
    REAL(quick_exit)(status);
    __builtin_unreachable();
}
