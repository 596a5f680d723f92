/*
 * ends FILE WAY: opens a file of a table, writes `1` into it, and ends in that way with the file
 * open. Without arguments it lists the ways. Those that are in order begin with a letter, deaths
 * with a -.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_t first;

static void end_by_return(void)
{
}

static void end_by_quick_exit(void)
{
    quick_exit(0);
}

static void end_by_exit_in_handler(int signal)
{
    (void)signal;
    exit(0); // NOLINT(bugprone-signal-handler,cert-sig30-c): programs do
}

static void handle_exit(void)
{
    (void)signal(SIGTERM, end_by_exit_in_handler);
    (void)raise(SIGTERM);
}

static void end_by_exit_group(void)
{
    syscall(SYS_exit_group, 0);
}

static void end_by_exit_call(void)
{
    syscall(SYS_exit, 0);
}

static void end_by_pthread_exit(void)
{
    pthread_exit(NULL);
}

static void *call_exit(void *context)
{
    exit(0);
    return context;
}

static void *call_underscore_exit(void *context)
{
    _exit(0);
    return context;
}

static void *outlive_first(void *context)
{
    (void)pthread_join(first, NULL);
    return context;
}

static void *abort_there(void *context)
{
    abort();
    return context;
}

static void *execute(void *context)
{
    (void)execlp("true", "true", (char *)NULL);
    _exit(127);
    return context;
}

static void start(void *(*body)(void *))
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, NULL) != 0)
        _exit(126);
}

static void wait_in_thread(void *(*body)(void *))
{
    start(body);
    for (;;)
        (void)pause();
}

static void end_by_thread_exit(void)
{
    wait_in_thread(call_exit);
}

static void end_by_thread_underscore_exit(void)
{
    wait_in_thread(call_underscore_exit);
}

static void end_by_thread_exec(void)
{
    wait_in_thread(execute);
}

static void end_by_thread_abort(void)
{
    wait_in_thread(abort_there);
}

static void end_by_last_thread(void)
{
    start(outlive_first);
    pthread_exit(NULL);
}

static void end_by_underscore_exit(void)
{
    _exit(3);
}

static void end_by_exec(void)
{
    (void)execute(NULL);
}

static void end_by_child(void)
{
    pid_t parent = getpid();
    if (fork() == 0) {
        (void)kill(parent, SIGKILL);
        _exit(0);
    }
    for (;;)
        (void)pause();
}

static void end_by_default(int number)
{
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void end_by_term(void)
{
    end_by_default(SIGTERM);
}

static void end_by_kill(void)
{
    end_by_default(SIGKILL);
}

static void end_by_alarm(void)
{
    (void)alarm(1);
    for (;;)
        (void)pause();
}

static void end_by_pipe(void)
{
    int ends[2];
    (void)signal(SIGPIPE, SIG_DFL);
    if (pipe(ends) == 0) {
        (void)close(ends[0]);
        (void)!write(ends[1], "x", 1);
    }
}

static void end_by_limit(void)
{
    (void)setrlimit(RLIMIT_CPU, &(struct rlimit){1, 1});
    for (volatile unsigned i = 0;; i++) {
    }
}

static void end_by_fault(void)
{
    (void)raise(SIGSEGV);
}

static const struct {
    const char *name;
    void (*end)(void);
} WAYS[] = {
    {"return", end_by_return},
    {"quick_exit", end_by_quick_exit},
    {"exit in a signal handler", handle_exit},
    {"_exit", end_by_underscore_exit},
    {"exit_group by number", end_by_exit_group},
    {"exit by number", end_by_exit_call},
    {"pthread_exit", end_by_pthread_exit},
    {"pthread_exit, another thread is the last", end_by_last_thread},
    {"exit in a thread", end_by_thread_exit},
    {"_exit in a thread", end_by_thread_underscore_exit},
    {"exec in a thread", end_by_thread_exec},
    {"exec", end_by_exec},
    {"-abort", abort},
    {"-abort in a thread", end_by_thread_abort},
    {"-SIGTERM", end_by_term},
    {"-SIGKILL", end_by_kill},
    {"-SIGKILL by its child", end_by_child},
    {"-SIGALRM", end_by_alarm},
    {"-SIGPIPE", end_by_pipe},
    {"-SIGXCPU", end_by_limit},
    {"-SIGSEGV", end_by_fault},
};
enum { COUNT = sizeof WAYS / sizeof WAYS[0] };

int main(int count, char **words)
{
    first = pthread_self();
    if (count != 3) {
        for (int i = 0; i < COUNT; i++)
            puts(WAYS[i].name);
        return 2;
    }
    int file = open(words[1], O_RDWR | O_CREAT, 0644);
    if (file < 0 || write(file, "1", 1) != 1)
        return 1;
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    for (int i = 0; i < COUNT; i++)
        if (strcmp(WAYS[i].name, words[2]) == 0)
            WAYS[i].end();
    return 0;
}
