/*
 * threads DIR THREADS TIMES: each thread raises the number in a file of its own in DIR, TIMES
 * times: opens it, reads, writes it anew, closes. The threads do not race with one another, only
 * with the threads of the other processes; but they open and close all the time while others have
 * files open.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_THREADS = 64 };

static const char *directory;
static int times;

static void raise_number(const char *path)
{
    char text[32];
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        err(1, "open %s", path);
    }
    ssize_t length = pread(fd, text, sizeof(text) - 1, 0);
    if (length <= 0) {
        err(1, "read %s", path);
    }
    text[length] = '\0';
    char *end;
    long number = strtol(text, &end, 10);
    if (end == text || strcmp(end, "\n") != 0) {
        errx(1, "%s: damaged: %s", path, text);
    }
    int size = snprintf(text, sizeof(text), "%ld\n", number + 1);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)size, 0) != size) {
        err(1, "write %s", path);
    }
    if (close(fd) != 0) {
        err(1, "close %s", path);
    }
}

static void *run_thread(void *argument)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/count%d", directory, *(const int *)argument);
    for (int i = 0; i < times; i++) {
        raise_number(path);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        errx(2, "usage: threads DIR THREADS TIMES");
    }
    directory = argv[1];
    times = atoi(argv[3]);
    int count = atoi(argv[2]);
    if (count < 1 || count > MAX_THREADS) {
        errx(2, "between 1 and %d threads", MAX_THREADS);
    }

    pthread_t threads[MAX_THREADS];
    int numbers[MAX_THREADS];
    for (int i = 0; i < count; i++) {
        numbers[i] = i;
        errno = pthread_create(&threads[i], NULL, run_thread, &numbers[i]);
        if (errno != 0) {
            err(1, "pthread_create");
        }
    }
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    return 0;
}
