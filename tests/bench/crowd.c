/*
 * A crowd of processes; see the header. They share one anonymous mapping, so that telling what they
 * measured costs no call; and none outlives the first.
 */
#include "tests/bench/crowd.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/worker.h"

struct worker {
    pid_t process;
    _Atomic int done, failed;
    _Atomic long long began; /* of what is under way, or 0 */
};

static struct {
    _Atomic int ready, go;
    _Atomic long long last; /* end of an operation */
} * gate;
static struct worker *workers;
static long long *waits;
static volatile sig_atomic_t late;

static void *shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        die("mmap");
    return memory;
}

static void sleep_at_gate(void)
{
    atomic_fetch_add(&gate->ready, 1);
    while (atomic_load(&gate->go) == 0)
        syscall(SYS_futex, &gate->go, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void open_gate(int count)
{
    while (atomic_load(&gate->ready) < count)
        usleep(1000);
    usleep(5000);
    atomic_store(&gate->go, 1);
    syscall(SYS_futex, &gate->go, FUTEX_WAKE, count, NULL, NULL, 0);
}

static _Noreturn void work(const struct crowd *crowd, int index)
{
    struct worker *self = &workers[index];
    if (crowd->prepare != NULL)
        crowd->prepare(index);
    sleep_at_gate();
    for (int i = 0; i < crowd->operations; i++) {
        struct crowd_turn turn = {
            .worker = index,
            .number = i,
            .record =
                (int)(((unsigned)index * 7919u + (unsigned)i * 104729u) % (unsigned)crowd->records),
            .began = now()};
        atomic_store(&self->began, turn.began);
        bool good = crowd->operate(&turn);
        long long ended = now();
        waits[(size_t)index * (size_t)crowd->operations + (size_t)i] =
            (turn.entered != 0 ? turn.entered : ended) - turn.began;
        atomic_store(&self->began, 0);
        atomic_fetch_add(good ? &self->done : &self->failed, 1);
        atomic_store(&gate->last, ended);
    }
    _exit(0);
}

static void start(const struct crowd *crowd)
{
    pid_t first = getpid();
    for (int i = 0; i < crowd->processes; i++) {
        pid_t child = fork();
        if (child < 0)
            die("fork");
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            setpgid(0, 0);
            if (getppid() != first)
                _exit(1);
            work(crowd, i);
        }
        workers[i].process = child;
    }
}

static void note_late(int signal)
{
    (void)signal;
    late = 1;
}

static void set_limit(double seconds)
{
    struct sigaction action = {.sa_handler = note_late}; /* interrupts the waiting */
    struct itimerval limit = {
        .it_value = {(time_t)seconds, (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6)},
        .it_interval = {.tv_usec = 100000}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &limit, NULL);
}

/* Waits for all; those that are late are ended with what they have started. */
static void wait_for_all(const struct crowd *crowd)
{
    int left = crowd->processes;
    bool ended = false;
    while (left > 0) {
        if (late && !ended) {
            ended = true;
            for (int i = 0; i < crowd->processes; i++)
                kill(-workers[i].process, SIGKILL);
        }
        pid_t child = wait(NULL);
        if (child > 0)
            left--;
        else if (errno != EINTR)
            die("wait");
    }
}

static int compare(const void *left, const void *right)
{
    long long a = *(const long long *)left, b = *(const long long *)right;
    return (a > b) - (a < b);
}

/* The waits of all, one after the other, those of what was ended among them; returns how many. */
static int gather(const struct crowd *crowd, long long end, int *done, int *failed)
{
    int count = 0;
    for (int i = 0; i < crowd->processes; i++) {
        struct worker *worker = &workers[i];
        int finished = worker->done + worker->failed;
        *done += worker->done;
        *failed += worker->failed;
        memmove(&waits[count], &waits[(size_t)i * (size_t)crowd->operations],
                (size_t)finished * sizeof *waits);
        count += finished;
        if (worker->began != 0)
            waits[count++] = end - worker->began;
    }
    qsort(waits, (size_t)count, sizeof *waits, compare);
    return count;
}

static double processor_of_children(void)
{
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e9 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e3;
}

int crowd_run(const struct crowd *crowd)
{
    gate = shared(sizeof *gate);
    workers = shared((size_t)crowd->processes * sizeof *workers);
    waits = shared((size_t)crowd->processes * (size_t)crowd->operations * sizeof *waits);
    start(crowd);
    open_gate(crowd->processes);
    long long begin = now();
    set_limit(crowd->seconds);
    wait_for_all(crowd);
    long long end = late ? now() : gate->last;
    int done = 0, failed = 0, count = gather(crowd, end, &done, &failed);
    if (done == 0) {
        fprintf(stderr, "not one operation was done in %g seconds (%d failed)\n", crowd->seconds,
                failed);
        return 1;
    }
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += (double)waits[i];
    printf(
        "operation %.0f processor %.0f wait50 %lld wait99 %lld waitmax %lld fairness %.2f done %d "
        "asked %d failed %d\n",
        (double)(end - begin) / done, processor_of_children() / done, waits[count / 2],
        waits[(int)((double)count * 0.99)], waits[count - 1],
        (double)waits[count - 1] * count / sum, done, crowd->processes * crowd->operations, failed);
    return 0;
}
