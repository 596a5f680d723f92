/*
 * state: builds states of locks and processes that tests/e2e/src/act.c has no steps for, says
 * "ready", and keeps them until it is killed. Its children die with it.
 *
 *   state many COUNT DIRECTORY       one process holds COUNT locks
 *   state processes COUNT DIRECTORY  COUNT processes hold a lock each
 *   state waiters COUNT FILE         COUNT processes wait for one lock, which this one holds
 *   state vfork FILE                 holds it, and is in uninterruptible sleep (a vfork parent)
 *   state leaderless FILE            holds it; the first thread has ended, another goes on
 *   state stopped-thread FILE        holds it by a thread beside the first
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void ready(void)
{
    printf("ready\n");
    fflush(stdout);
}

static void hold(const char *path)
{
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0 || flock(descriptor, LOCK_EX) != 0)
        fail(path);
}

static void hold_number(const char *directory, int number)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%d", directory, number);
    hold(path);
}

static void many(int count, const char *directory)
{
    struct rlimit limit = {(rlim_t)count + 64, (rlim_t)count + 64};
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        fail("setrlimit");
    for (int i = 0; i < count; i++)
        hold_number(directory, i);
}

/* They hold locks of their own in a directory, or wait for one; they do not return. */
static void make_children(int count, const char *path, int waits)
{
    int pipe_ends[2];
    if (pipe(pipe_ends) != 0)
        fail("pipe");
    for (int i = 0; i < count; i++) {
        pid_t child = fork();
        if (child < 0)
            fail("fork");
        if (child > 0)
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!waits)
            hold_number(path, i);
        if (write(pipe_ends[1], "x", 1) != 1)
            _exit(1);
        if (waits)
            hold(path);
        pause();
        _exit(0);
    }
    char byte;
    for (int i = 0; i < count; i++)
        if (read(pipe_ends[0], &byte, 1) != 1)
            fail("read");
}

static void *sleep_on(void *nothing)
{
    ready();
    while (pause() != 0) {
    }
    return nothing;
}

static void *hold_and_sleep(void *path)
{
    hold(path);
    return sleep_on(NULL);
}

static void in_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, body, argument) != 0)
        fail("pthread_create");
}

/* The child never executes anything: the parent stays where it is. */
static void sleep_in_kernel(void)
{
    ready();
    pid_t child = vfork(); /* NOLINT: what it is here for */
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* NOLINT: a bare system call */
        for (;;)
            pause();
    }
}

int main(int count, char **words)
{
    const char *what = count > 2 ? words[1] : "";
    if (strcmp(what, "many") == 0 && count == 4) {
        many(atoi(words[2]), words[3]);
    } else if (strcmp(what, "processes") == 0 && count == 4) {
        make_children(atoi(words[2]), words[3], 0);
    } else if (strcmp(what, "waiters") == 0 && count == 4) {
        hold(words[3]);
        make_children(atoi(words[2]), words[3], 1);
    } else if (strcmp(what, "vfork") == 0) {
        hold(words[2]);
        sleep_in_kernel();
    } else if (strcmp(what, "leaderless") == 0) {
        hold(words[2]);
        in_thread(sleep_on, NULL);
        pthread_exit(NULL);
    } else if (strcmp(what, "stopped-thread") == 0) {
        in_thread(hold_and_sleep, words[2]);
        pause();
    } else {
        fprintf(stderr, "state: see its source\n");
        return 2;
    }
    ready();
    for (;;)
        pause();
}
