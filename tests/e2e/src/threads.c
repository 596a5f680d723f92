/*
 * Threads that work at one table at once, each at a file of its own: a number in it grows by one
 * with each time that it is opened, and must be found as it was left.
 *
 *   threads DIRECTORY THREADS ROUNDS [SIGNALS]
 *     SIGNALS: so many microseconds from one signal to the next, whose handler opens a file too
 *
 * Ends with 0 if all went well and standard input is still open.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum { MOST = 64 };

static const char *directory;
static char common[PATH_MAX];
static int rounds;
static _Atomic int lost, failed;

static void handle(int signal)
{
    (void)signal;
    int error = errno;
    char text[32];
    int descriptor = open(common, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 || read(descriptor, text, sizeof text) != 7)
        failed++;
    if (descriptor >= 0)
        close(descriptor);
    errno = error;
}

/* Opens, reads, adds one, writes, closes. Returns the number found, or -1. */
static long step(const char *path)
{
    char text[32] = "";
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0)
        return -1;
    long found = pread(descriptor, text, sizeof text - 1, 0) < 0 ? -1 : strtol(text, NULL, 10);
    int length = snprintf(text, sizeof text, "%ld", found + 1);
    if (pwrite(descriptor, text, (size_t)length, 0) != length)
        found = -1;
    close(descriptor);
    return found;
}

static void *work(void *which)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%d", directory, *(int *)which);
    for (int i = 0; i < rounds; i++) {
        long found = step(path);
        if (found < 0)
            fprintf(stderr, "%s: %s\n", path, strerror(errno));
        else if (found != i)
            fprintf(stderr, "%s: %ld instead of %d\n", path, found, i);
        failed += found < 0;
        lost += found != i;
        if (found != i)
            break;
        if (i % 8 == 0) /* now and then nobody is inside */
            usleep((useconds_t)(100 + *(int *)which * 10));
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static int numbers[MOST];
    pthread_t threads[MOST];
    int count = argc < 4 ? 0 : atoi(argv[2]);
    if (count < 1 || count > MOST) {
        fputs("usage: threads DIRECTORY THREADS ROUNDS [SIGNALS]\n", stderr);
        return 2;
    }
    directory = argv[1];
    rounds = atoi(argv[3]);
    snprintf(common, sizeof common, "%s/common", directory);
    if (argc > 4) {
        struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
        struct itimerval interval = {.it_interval = {0, atoi(argv[4])},
                                     .it_value = {0, atoi(argv[4])}};
        sigaction(SIGALRM, &action, NULL);
        setitimer(ITIMER_REAL, &interval, NULL);
    }
    for (int i = 0; i < count; i++) {
        numbers[i] = i;
        if (pthread_create(&threads[i], NULL, work, &numbers[i]) != 0)
            return 3;
    }
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    if (fcntl(STDIN_FILENO, F_GETFD) < 0)
        fputs("standard input was closed\n", stderr);
    return lost == 0 && failed == 0 && fcntl(STDIN_FILENO, F_GETFD) >= 0 ? 0 : 1;
}
