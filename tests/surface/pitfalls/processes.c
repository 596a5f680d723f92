/* Pitfalls of processes: fork, exec, threads, signals, cancellation, the end. */
#include "tests/surface/pitfalls/pitfall.h"

#include "shim/lock/kernel.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* --- children do not own the lock --- */

/* The middle process touches, leaves a child behind that stays, and ends. */
static void outlived(pid_t (*beget)(void), const char *how)
{
    int ends[2];
    CHECK(pipe(ends) == 0, "pipe: %s", strerror(errno));
    pid_t middle = fork();
    if (middle == 0) {
        close_file(open_file(O_RDWR));
        if (!held())
            _exit(1);
        pid_t child = beget();
        if (child == 0) {
            (void)kernel_write(ends[1], "b", 1);
            for (;;)
                (void)kernel_poll(NULL, 0, -1);
        }
        _exit(0);
    }
    char byte;
    CHECK(read(ends[0], &byte, 1) == 1, "%s: no child", how);
    CHECK(status_of(middle) == 0, "%s: the lock was not taken", how);
    CHECK(!held(), "%s: a child keeps the lock of the parent that has ended", how);
    (void)close(ends[0]);
    (void)close(ends[1]);
}
static pid_t by_number(void)
{
    return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}
PITFALL(child_does_not_keep_the_lock, "process", "5")
{
    outlived(fork, "fork");
    outlived(_Fork, "_Fork");
    outlived(by_number, "syscall(SYS_clone)");
}

PITFALL(spawned_does_not_keep_the_lock, "process", "5")
{
    pid_t middle = fork();
    if (middle == 0) {
        pid_t child;
        char *words[] = {(char *)"sleep", (char *)"50", NULL};
        close_file(open_file(O_RDWR));
        _exit(posix_spawn(&child, "/bin/sleep", NULL, NULL, words, environ));
    }
    CHECK(status_of(middle) == 0, "posix_spawn fails");
    /* The kernel wakes the parent a moment before it closes what is close-on-exec. */
    for (int i = 0; i < 200 && held(); i++)
        (void)kernel_poll(NULL, 0, 10000000);
    must_be_held(false, "after the parent's end, while a spawned program runs");
}

/* A child's close or end is not the parent's. */
PITFALL(child_closes_its_copy, "session", "5")
{
    int file = open_file(O_RDWR);
    pid_t child = fork();
    if (child == 0) {
        (void)close(file);
        _exit(0);
    }
    CHECK(status_of(child) == 0, "the child fails");
    must_be_held(true, "after a child has closed its copy");
    close_file(file);
    must_be_held(false, "after the parent's close");
}

/* --- exec --- */

PITFALL(exec_keeps_the_lock, "process", "5")
{
    pid_t child = fork();
    if (child == 0) {
        close_file(open_file(O_RDONLY));
        (void)execl("/bin/sleep", "sleep", "50", (char *)NULL);
        _exit(127);
    }
    char link[64], name[256];
    (void)snprintf(link, sizeof link, "/proc/%d/exe", (int)child);
    do {
        ssize_t length = kernel_readlinkat(AT_FDCWD, link, name, sizeof name - 1);
        name[length > 0 ? length : 0] = '\0';
        (void)kernel_poll(NULL, 0, 1000000);
    } while (strstr(name, "pitfalls") != NULL);
    (void)kernel_poll(NULL, 0, 50000000);
    must_be_held(true, "after the holder has executed another program");
    (void)kill(child, SIGKILL);
    (void)status_of(child);
    must_be_held(false, "after the end of that program");
}

/* The program that is executed has the descriptor: its close ends the session. */
PITFALL(exec_keeps_the_session, "session", "5")
{
    pid_t child = fork();
    if (child == 0) {
        int file = open_file(O_RDWR);
        (void)dup2(file, 9);
        (void)close(file);
        char script[2000];
        (void)snprintf(script, sizeof script,
                       "flock -n %s true && exit 1; exec 9>&-; flock -n %s true || exit 2",
                       at("T.lock"), at("T.lock"));
        (void)execl("/bin/sh", "sh", "-c", script, (char *)NULL);
        _exit(127);
    }
    int status = status_of(child);
    CHECK(status != 1, "the lock is free after exec, with a table's file still open");
    CHECK(status == 0, "the lock is held after the executed program closed the file (%d)", status);
}

PITFALL(failed_exec_changes_nothing, "session", "5")
{
    int file = open_file(O_RDWR);
    CHECK(execl("/no/such/program", "x", (char *)NULL) == -1 && errno == ENOENT, "execl");
    must_be_held(true, "after an exec that failed");
    close_file(file);
    must_be_held(false, "after the close that follows a failed exec");
}

/* --- threads, signals --- */

/* Paths that threads and signal handlers use at the same time: at() has few places. */
static char file_path[256], other_path[256], link_path[256], renamed_path[256];
static void prepare_paths(void)
{
    (void)strcpy(file_path, at("T/file"));
    (void)strcpy(other_path, at("T/other"));
    (void)strcpy(link_path, at("T/link"));
    (void)strcpy(renamed_path, at("T/renamed"));
}

static _Atomic bool stop;
static void *open_and_close(void *unused)
{
    while (!stop) {
        int file = open(file_path, O_RDWR);
        CHECK(file >= 0, "open in a thread: %s", strerror(errno));
        close_file(file);
    }
    return unused;
}

PITFALL(fork_among_threads, "session", "20")
{
    pthread_t threads[4];
    prepare_paths();
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, open_and_close, NULL) == 0, "pthread_create");
    for (int i = 0; i < 200; i++) {
        pid_t child = i % 2 == 0 ? fork() : _Fork();
        if (child == 0) {
            int file = open(file_path, O_RDWR);
            _exit(file < 0 ? errno : close(file));
        }
        int status = status_of(child);
        CHECK(status == 0, "a child of a threaded program: %d (%s)", status, strerror(status));
    }
    stop = true;
    for (int i = 0; i < 4; i++)
        (void)pthread_join(threads[i], NULL);
    must_be_held(false, "after all threads have closed");
}

static volatile sig_atomic_t handled, handler_error;
static void handle(int signal)
{
    int error = errno;
    (void)signal;
    int file = open(other_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (file < 0 || write(file, "s", 1) != 1 || close(file) != 0)
        handler_error = errno;
    handled++;
    errno = error;
}
static void with_signals(const char *scope)
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    /* No alarm: that is the limit for a case that hangs. */
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec millisecond = {{0, 1000000}, {0, 1000000}};
    timer_t timer;
    prepare_paths();
    (void)sigaction(SIGUSR1, &action, NULL);
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0, "timer_create: %s", strerror(errno));
    (void)timer_settime(timer, 0, &millisecond, NULL);
    int turns = 0;
    for (; turns < 5000 || handled < 300; turns++) {
        int file = open(file_path, O_RDWR);
        CHECK(file >= 0, "%s: open among signals: %s", scope, strerror(errno));
        CHECK(write(file, "m", 1) == 1, "%s: write among signals: %s", scope, strerror(errno));
        CHECK(close(file) == 0, "%s: close among signals: %s", scope, strerror(errno));
        CHECK(rename(link_path, renamed_path) == 0 && rename(renamed_path, link_path) == 0,
              "%s: rename among signals: %s", scope, strerror(errno));
    }
    (void)timer_delete(timer);
    CHECK(handler_error == 0, "%s: in the handler: %s", scope, strerror(handler_error));
    CHECK(size_of(at("T/other")) == handled, "%s: %d writes of the handler, %ld bytes", scope,
          (int)handled, size_of(at("T/other")));
    must_be_held(false, "after thousands of sessions among signals");
}
PITFALL(signals_under_session, "session", "20")
{
    with_signals("session");
}
PITFALL(signals_under_call, "call", "20")
{
    with_signals("call");
}

/* --- cancellation --- */

static int cancelled_file;
static FILE *cancelled_stream;
static void *cancelled(void *context)
{
    void (*call)(void) = *(void (**)(void))context;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    (void)pthread_cancel(pthread_self()); /* pending, until the call */
    (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    call();
    return NULL;
}
static void cancel_in(void (*call)(void), const char *name)
{
    pthread_t thread;
    void *result;
    cancelled_file = open_file(O_RDWR);
    cancelled_stream = fdopen(dup(cancelled_file), "r+");
    CHECK(pthread_create(&thread, NULL, cancelled, &call) == 0, "pthread_create");
    (void)pthread_join(thread, &result);
    /* Whether the call was cancelled or went through: what is open now is closed, and that is all.
     */
    if (fcntl(cancelled_file, F_GETFD) != -1)
        close_file(cancelled_file);
    CHECK(fclose(cancelled_stream) == 0 || errno == EBADF, "fclose: %s", strerror(errno));
    CHECK(!held(), "the lock stays behind after a thread was cancelled in %s (%s)", name,
          result == PTHREAD_CANCELED ? "cancelled" : "went through");
}
static void in_close(void)
{
    (void)close(cancelled_file);
}
static void in_write(void)
{
    (void)!write(cancelled_file, "x", 1);
}
static void in_open(void)
{
    int file = open(at("T/sub/inner"), O_RDONLY);
    if (file >= 0)
        (void)close(file);
}
static void in_rename(void)
{
    (void)rename(at("T/link"), at("T/link"));
}
static void in_control(void)
{
    (void)fcntl(cancelled_file, F_GETFD);
}
PITFALL(cancelled_threads, "session", "5")
{
    cancel_in(in_close, "close");
    cancel_in(in_write, "write");
    cancel_in(in_open, "open");
    cancel_in(in_rename, "rename");
    cancel_in(in_control, "fcntl");
}

/* --- the end, and messages --- */

/* The number 2 is somebody's file by now: the shim's message must not get into it. */
PITFALL(closed_standard_error, "process", "0")
{
    (void)close(2);
    int file = open(at("O/victim"), O_WRONLY | O_CREAT, 0644);
    CHECK(file == 2, "the file did not get number 2, but %d", file);
    CHECK(open(at("T/file"), O_RDONLY) == -1 && errno == EAGAIN, "open is not refused");
    CHECK(size_of(at("O/victim")) == 0, "a message is in a file of the program's");
}
static void started_without_standard_error(void)
{
    pid_t child = fork();
    if (child == 0) {
        char script[2000];
        (void)close(2);
        (void)snprintf(script, sizeof script, "exec 2>%s; cat %s; test $? = 1", at("O/victim"),
                       at("T/file"));
        (void)execl("/bin/sh", "sh", "-c", script, (char *)NULL);
        _exit(127);
    }
    CHECK(status_of(child) == 0, "cat of a locked table is not refused");
}
PITFALL(no_standard_error, "process", "0")
{
    started_without_standard_error();
}
