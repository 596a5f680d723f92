/*
 * The supervisor: parent of the command, in the same process group, on the same terminal. All
 * signals are blocked and taken one by one with sigwaitinfo, so there are no handlers. Those that
 * the terminal sends have reached the command too and are not passed on; those sent to this process
 * alone are. It must never change what the command inherits.
 */
#include "lockctl/supervise.h"

#include "lockctl/lockctl.h"
#include "shim/lock/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct supervision {
    pid_t child;
    sigset_t original; /* the mask that lockctl was started with */
    sigset_t awaited;
    struct sigaction original_child; /* what it was started with for SIGCHLD */
    volatile int exec_error; /* told by the child, which shares this memory until it executes */
};

static int status_of_exec(int error)
{
    return error == ENOENT || error == ENOTDIR ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
}

static int refuse_exec(char **words, int error)
{
    complain("%s: %s", shown(words[0]), strerror(error));
    return status_of_exec(error);
}

int execute(char **words, char **environment)
{
    environ = environment; /* execvp looks PATH up there */
    (void)execvp(words[0], words);
    return refuse_exec(words, errno);
}

/* Everything but what means an error of this program itself. */
static void block_signals(struct supervision *supervision)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    (void)sigfillset(&supervision->awaited);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        (void)sigdelset(&supervision->awaited, faults[i]);
    (void)sigprocmask(SIG_BLOCK, &supervision->awaited, &supervision->original);
    /* Where SIGCHLD came ignored, the kernel would throw the command's status away. */
    struct sigaction action = {.sa_handler = SIG_DFL};
    (void)sigaction(SIGCHLD, &action, &supervision->original_child);
}

static void restore_signals(const struct supervision *supervision)
{
    (void)sigaction(SIGCHLD, &supervision->original_child, NULL);
    (void)sigprocmask(SIG_SETMASK, &supervision->original, NULL);
}

/*
 * In the child, which borrows this process's memory until it has become the command (copying it
 * would take longer than all else that is done here) and so changes nothing else in it.
 */
static _Noreturn void become_command(struct supervision *supervision, char **words)
{
    restore_signals(supervision);
    (void)execvp(words[0], words);
    supervision->exec_error = errno;
    _exit(status_of_exec(supervision->exec_error));
}

/* Is this job in the foreground of a terminal, where a shell waits to be told that it stopped? */
static bool is_in_foreground(void)
{
    int terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0)
        return false;
    bool foreground = tcgetpgrp(terminal) == getpgrp();
    (void)close(terminal);
    return foreground;
}

/*
 * A stopped command stops this process in the same way, as whoever started both expects. Not so
 * when somebody stops the command alone from elsewhere (SIGSTOP): continued alone, it would end
 * with nobody there to let go of its locks.
 */
static void stop_alike(const struct supervision *supervision, int signal)
{
    struct sigaction original;
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t only;
    if (signal == SIGSTOP) {
        if (is_in_foreground())
            (void)raise(SIGSTOP);
        return;
    }
    (void)sigemptyset(&only);
    (void)sigaddset(&only, signal);
    (void)sigaction(signal, &action, &original);
    (void)raise(signal);
    (void)sigprocmask(SIG_UNBLOCK, &only, NULL); /* here it stops, until SIGCONT */
    (void)sigprocmask(SIG_BLOCK, &supervision->awaited, NULL);
    (void)sigaction(signal, &original, NULL);
}

/* The news that it has stopped may be old: it can have been continued since. */
static bool is_stopped(pid_t process)
{
    struct process_status status;
    return process_status_read(process, &status) && status.state == 'T';
}

/* Looks at what became of the command. True when it has ended. */
static bool has_ended(const struct supervision *supervision, int *status)
{
    int stopped_by = 0;
    int state;
    pid_t process;
    while ((process = waitpid(supervision->child, &state, WNOHANG | WUNTRACED | WCONTINUED)) != 0) {
        if (process < 0 && errno == EINTR)
            continue;
        if (process < 0) {
            *status = W_EXITCODE(STATUS_FAILED, 0); /* cannot be: the child is ours */
            return true;
        }
        if (WIFEXITED(state) || WIFSIGNALED(state)) {
            *status = state;
            return true;
        }
        stopped_by = WIFSTOPPED(state) ? WSTOPSIG(state) : 0;
    }
    if (stopped_by != 0 && is_stopped(supervision->child))
        stop_alike(supervision, stopped_by);
    return false;
}

/* Sent by a process, not by the kernel or the terminal, and not by ourselves? */
static bool is_for_us_alone(const siginfo_t *signal)
{
    return signal->si_code <= 0 && signal->si_pid != getpid();
}

static void pass_on(const struct supervision *supervision, const siginfo_t *signal)
{
    if (signal->si_code == SI_QUEUE)
        (void)sigqueue(supervision->child, signal->si_signo, signal->si_value);
    else
        (void)kill(supervision->child, signal->si_signo);
}

static int wait_for_command(const struct supervision *supervision)
{
    int status;
    while (!has_ended(supervision, &status)) {
        siginfo_t signal;
        if (sigwaitinfo(&supervision->awaited, &signal) < 0)
            continue; /* EINTR, after a stop */
        if (signal.si_signo != SIGCHLD && is_for_us_alone(&signal))
            pass_on(supervision, &signal);
    }
    return status;
}

/* What came while the command ended was meant for it, not for what is still to be done. */
static void drop_pending(const struct supervision *supervision)
{
    static const struct timespec now = {0, 0};
    while (sigtimedwait(&supervision->awaited, NULL, &now) > 0)
        ;
}

int supervise(char **words, char **environment, bool *by_signal)
{
    struct supervision supervision = {.exec_error = 0};
    *by_signal = false;
    environ = environment; /* execvp looks PATH up there */
    block_signals(&supervision);
    pid_t child = vfork(); // NOLINT(clang-analyzer-security.insecureAPI.vfork)
    if (child == 0)
        become_command(&supervision, words); // NOLINT(clang-analyzer-unix.Vfork)
    supervision.child = child;
    if (child < 0) {
        int error = errno;
        restore_signals(&supervision);
        complain("cannot start a process: %s", strerror(error));
        return STATUS_FAILED;
    }
    int status = wait_for_command(&supervision);
    drop_pending(&supervision);
    restore_signals(&supervision);
    if (supervision.exec_error != 0)
        return refuse_exec(words, supervision.exec_error);
    *by_signal = WIFSIGNALED(status);
    return *by_signal ? STATUS_SIGNAL_BASE + WTERMSIG(status) : WEXITSTATUS(status);
}
