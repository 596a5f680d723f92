/*
 * handover: how long it takes from letting go of a lock to the next holder's entering.
 *   handover hold KIND FILE SHARED ROUNDS   holds again and again, and lets go while the other
 * waits handover once NUMBER FILE SHARED        holds once, as round NUMBER, and ends handover wait
 * FILE SHARED ROUNDS        waits as often; prints median, 90 % and maximum in us KIND: session
 * (FILE is opened and closed), flock (FILE is flocked), process (a child opens it and ends). SHARED
 * is a file by which the two tell one another where they are.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct shared {
    _Atomic uint64_t held, entered; /* numbers of rounds */
    _Atomic uint64_t let_go;        /* when, in nanoseconds */
};

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void pause_for(long microseconds)
{
    struct timespec time = {0, microseconds * 1000};
    nanosleep(&time, NULL);
}

static void await(_Atomic uint64_t *word, uint64_t number)
{
    for (int i = 0; atomic_load(word) < number; i++) {
        if (i > 200000) {
            printf("awaited in vain\n");
            exit(1);
        }
        pause_for(100);
    }
}

static struct shared *map(const char *path)
{
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0 || ftruncate(descriptor, sizeof(struct shared)) != 0)
        exit(1);
    void *address =
        mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    return address == MAP_FAILED ? NULL : address;
}

/* Inside: says so, gives the other time to queue up, and notes when it is over. */
static void inside(struct shared *shared, uint64_t round)
{
    atomic_store(&shared->held, round);
    pause_for(8000 + (long)(round * 37 % 20) * 1000);
    atomic_store(&shared->let_go, now());
}

static void hold(const char *kind, const char *file, struct shared *shared, uint64_t round)
{
    if (strcmp(kind, "process") == 0) {
        pid_t child = fork();
        if (child == 0) {
            (void)open(file, O_RDONLY | O_CLOEXEC);
            inside(shared, round);
            _exit(0);
        }
        await(&shared->entered, round);
        waitpid(child, NULL, 0);
        return;
    }
    int descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (strcmp(kind, "flock") == 0)
        flock(descriptor, LOCK_EX);
    inside(shared, round);
    close(descriptor);
    await(&shared->entered, round);
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static int wait_for(const char *file, struct shared *shared, uint64_t rounds)
{
    uint64_t *took = calloc(rounds, sizeof *took);
    for (uint64_t round = 1; took != NULL && round <= rounds; round++) {
        await(&shared->held, round);
        int descriptor = open(file, O_RDONLY | O_CLOEXEC);
        uint64_t entered = now();
        uint64_t let_go = atomic_load(&shared->let_go);
        took[round - 1] = entered > let_go ? entered - let_go : 0;
        close(descriptor);
        atomic_store(&shared->entered, round);
    }
    if (took == NULL)
        return 1;
    qsort(took, rounds, sizeof *took, compare);
    uint64_t middle = rounds / 2, most = rounds * 9 / 10;
    printf("%.0f %.0f %.0f\n", (double)took[middle] / 1e3, (double)took[most] / 1e3,
           (double)took[rounds - 1] / 1e3);
    free(took);
    return 0;
}

int main(int count, char **words)
{
    if (count == 6 && strcmp(words[1], "hold") == 0) {
        struct shared *shared = map(words[4]);
        for (uint64_t round = 1; round <= strtoull(words[5], NULL, 10); round++)
            hold(words[2], words[3], shared, round);
        return 0;
    }
    if (count == 5 && strcmp(words[1], "once") == 0) {
        int descriptor = open(words[3], O_RDONLY | O_CLOEXEC);
        inside(map(words[4]), strtoull(words[2], NULL, 10));
        return descriptor < 0;
    }
    if (count == 5 && strcmp(words[1], "wait") == 0)
        return wait_for(words[2], map(words[3]), strtoull(words[4], NULL, 10));
    return 2;
}
