/*
 * Threads that change one table's few files at random, all at once, until somebody kills them: they
 * write, cut off, append, replace, rename and remove. One session: a file stays open all the time.
 *
 *   threads TABLE THREADS SEED              says "up" when they are at it
 *   threads TABLE PROCESSES SEED apart      processes instead, which change files of their own, and
 *                                           rename them over files that are common to all
 *   threads TABLE PROCESSES SEED together   processes at the same files, as the threads are
 */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILES = 6, MOST = 64 };

static const char *table;
static int own = -1; /* the number of this process, if files are its own */

static unsigned below(unsigned *seed, unsigned bound)
{
    return (unsigned)rand_r(seed) % bound;
}

static void name_one(char *path, unsigned *seed)
{
    if (own < 0)
        snprintf(path, PATH_MAX, "%s/f%u", table, below(seed, FILES));
    else
        snprintf(path, PATH_MAX, "%s/own%d.%u", table, own, below(seed, FILES));
}

static void name_target(char *path, unsigned *seed)
{
    if (own < 0 || below(seed, 3) > 0)
        name_one(path, seed);
    else
        snprintf(path, PATH_MAX, "%s/f%u", table, below(seed, FILES));
}

/* Opens a file with these flags and writes so much of it at this offset, or at the end (-1). */
static void write_to(const char *path, int flags, size_t size, off_t offset, int letter)
{
    static const size_t most = 9000;
    char text[9000];
    int descriptor = open(path, flags, 0644);
    if (descriptor < 0)
        return;
    memset(text, letter, most);
    ssize_t written =
        offset < 0 ? write(descriptor, text, size) : pwrite(descriptor, text, size, offset);
    (void)written;
    close(descriptor);
}

static void cut(const char *path, off_t size)
{
    int descriptor = open(path, O_WRONLY);
    if (descriptor < 0)
        return;
    int result = ftruncate(descriptor, size);
    (void)result;
    close(descriptor);
}

static void step(unsigned *seed)
{
    char path[PATH_MAX], other[PATH_MAX];
    name_one(path, seed);
    name_target(other, seed);
    int letter = 'A' + (int)below(seed, 26);
    switch (below(seed, 8)) {
    case 0:
        write_to(path, O_WRONLY | O_TRUNC | O_CREAT, 100, -1, letter);
        break;
    case 1:
        write_to(path, O_WRONLY | O_APPEND | O_CREAT, below(seed, 5000), -1, letter);
        break;
    case 2:
        cut(path, (off_t)below(seed, 30000));
        break;
    case 3:
        (void)rename(path, other);
        break;
    case 4:
        (void)unlink(path);
        break;
    default:
        write_to(path, O_RDWR, 1 + below(seed, 8999), (off_t)below(seed, 20000), letter);
    }
}

static void *work(void *seed)
{
    for (;;)
        step(seed);
    return NULL;
}

int main(int argc, char **argv)
{
    static unsigned seeds[MOST];
    char path[PATH_MAX];
    int count = argc == 4 || argc == 5 ? atoi(argv[2]) : 0;
    if (count < 1 || count > MOST) {
        fputs("usage: threads TABLE THREADS SEED [apart|together]\n", stderr);
        return 2;
    }
    table = argv[1];
    snprintf(path, sizeof path, "%s/held", table);
    if (open(path, O_RDONLY | O_CLOEXEC) < 0) {
        perror(path);
        return 1;
    }
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        seeds[i] = (unsigned)atoi(argv[3]) + (unsigned)i;
        if (argc == 5 && fork() == 0) {
            own = strcmp(argv[4], "apart") == 0 ? i : -1;
            work(&seeds[i]);
        }
        if (argc == 4 && pthread_create(&thread, NULL, work, &seeds[i]) != 0)
            return 3;
    }
    puts("up");
    fflush(stdout);
    for (;;)
        pause();
}
