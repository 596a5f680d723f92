/*
 * One process that has much of something: open descriptors, or threads that open at once. What is
 * measured is opening and closing one file more.
 *
 *   scale descriptors COUNT PATH       scale threads COUNT PATH
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/bench/worker.h"

#define TURN 100 /* openings by each thread between two meetings */

static const char *path;
static int how_many;
static pthread_barrier_t before, behind;

static void open_close(void)
{
    int descriptor = open(path, O_RDONLY);
    if (descriptor < 0)
        die(path);
    close(descriptor);
}

static void *work(void *unused)
{
    for (;;) {
        pthread_barrier_wait(&before);
        for (int i = 0; i < TURN; i++)
            open_close();
        pthread_barrier_wait(&behind);
    }
    return unused;
}

static void start_threads(void)
{
    pthread_t thread;
    pthread_barrier_init(&before, NULL, (unsigned)how_many + 1);
    pthread_barrier_init(&behind, NULL, (unsigned)how_many + 1);
    for (int i = 0; i < how_many; i++)
        if (pthread_create(&thread, NULL, work, NULL) != 0)
            die("pthread_create");
}

/* All of them, by COUNT threads at once: TURN times COUNT openings. */
static void open_by_threads(void)
{
    pthread_barrier_wait(&before);
    pthread_barrier_wait(&behind);
}

static void have_descriptors(void)
{
    struct rlimit limit = {(rlim_t)how_many + 1000, (rlim_t)how_many + 1000};
    struct rlimit present;
    getrlimit(RLIMIT_NOFILE, &present);
    if (limit.rlim_max < present.rlim_max)
        limit.rlim_max = present.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        die("setrlimit");
    for (int i = 0; i < how_many; i++)
        if (open(path, O_RDONLY) < 0)
            die(path);
}

static const struct operation operations[] = {
    {"descriptors", open_close},
    {"threads", open_by_threads},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: scale descriptors|threads COUNT PATH\n", stderr);
        return 2;
    }
    how_many = number(argv[2]);
    path = argv[3];
    if (strcmp(argv[1], "threads") == 0)
        start_threads();
    else
        have_descriptors();
    return serve(operations, argv[1], NULL);
}
