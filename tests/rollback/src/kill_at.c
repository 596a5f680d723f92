/*
 * kill_at N PROGRAM ARGUMENT...: runs the program and kills it (SIGKILL) as it enters its N-th
 * system call, counted from its first flock: what comes before belongs to the loader. Exit status:
 * 0 the program ended before that; 9 it was killed; 2 trouble.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(2);
}

static long entered_call(pid_t process)
{
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, process, sizeof info, &info) < 0 ||
        info.op != PTRACE_SYSCALL_INFO_ENTRY)
        return -1;
    return (long)info.entry.nr;
}

static int follow(pid_t process, long wanted)
{
    int status, signal = 0;
    long count = 0;
    for (;;) {
        if (ptrace(PTRACE_SYSCALL, process, NULL, (long)signal) < 0)
            fail("ptrace");
        if (waitpid(process, &status, 0) != process)
            fail("waitpid");
        if (WIFEXITED(status) || WIFSIGNALED(status))
            return 0;
        signal = WSTOPSIG(status) == (SIGTRAP | 0x80) || WSTOPSIG(status) == SIGTRAP
                     ? 0
                     : WSTOPSIG(status);
        long call = WSTOPSIG(status) == (SIGTRAP | 0x80) ? entered_call(process) : -1;
        if (call < 0 || (count == 0 && call != SYS_flock))
            continue;
        if (++count < wanted)
            continue;
        (void)kill(process, SIGKILL);
        (void)waitpid(process, &status, 0);
        return 9;
    }
}

int main(int count, char **words)
{
    int status;
    if (count < 3)
        return 2;
    long wanted = strtol(words[1], NULL, 10);
    pid_t process = fork();
    if (process == 0) {
        (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        (void)raise(SIGSTOP);
        (void)execvp(words[2], words + 2);
        _exit(127);
    }
    if (process < 0 || waitpid(process, &status, 0) != process || !WIFSTOPPED(status))
        fail("fork");
    if (ptrace(PTRACE_SETOPTIONS, process, NULL,
               (long)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)) < 0)
        fail("ptrace");
    return follow(process, wanted);
}
