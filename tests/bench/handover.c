/*
 * From the moment at which a holder lets go to the next one's first instruction below the lock. A
 * page that all processes share holds the time of the one and is looked at by the other.
 *
 *   handover LOCK END TABLE LOCKFILE HOLD PROCESSES
 *     LOCK: none (whoever starts this guards it), flock, open+flock, fcntl
 *     END: release, exit, kill          HOLD: microseconds; the next ones wait by then
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/worker.h"

#define MOST 100000

static struct {
    _Atomic long long let_go;   /* when the last holder began to */
    _Atomic int acquired, over; /* how many have had it; whether that is enough */
    _Atomic int holder;         /* the last of them */
    long long gaps[MOST];
} * shared;

static enum { BY_NONE, BY_FLOCK, BY_NEW_FLOCK, BY_FCNTL } way;
static enum { BY_RELEASE, BY_EXIT, BY_KILL } end;
static char file_path[PATH_MAX];
static const char *lock_path;
static int lock_descriptor = -1, hold, processes;

static void take(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (lock_descriptor < 0 && (way != BY_NONE))
        lock_descriptor = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (((way == BY_FLOCK || way == BY_NEW_FLOCK) && flock(lock_descriptor, LOCK_EX) != 0) ||
        (way == BY_FCNTL && fcntl(lock_descriptor, F_SETLKW, &lock) != 0))
        die(lock_path);
}

static void let_go(void)
{
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    if (way == BY_FLOCK) {
        flock(lock_descriptor, LOCK_UN);
    } else if (way == BY_NEW_FLOCK) {
        close(lock_descriptor);
        lock_descriptor = -1;
    } else if (way == BY_FCNTL) {
        fcntl(lock_descriptor, F_SETLKW, &lock);
    }
}

static void pause_for(int microseconds)
{
    usleep((useconds_t)microseconds);
}

/* Until somebody else has had the lock after the one who had it as `number`. */
static void await_next(int number)
{
    while (atomic_load(&shared->acquired) == number && !atomic_load(&shared->over))
        syscall(SYS_futex, &shared->acquired, FUTEX_WAIT, number, NULL, NULL, 0);
}

/* Takes the lock, as all of them do the same work below it; returns the descriptor to close. */
static int enter(int *number, int count)
{
    take();
    int descriptor = open(file_path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    long long entered = now();
    if (descriptor < 0)
        die(file_path);
    long long since = atomic_load(&shared->let_go);
    *number = atomic_load(&shared->acquired) + 1;
    if (*number >= 2 && *number - 2 < count)
        shared->gaps[*number - 2] = entered - since;
    if (*number > count)
        atomic_store(&shared->over, 1);
    atomic_store(&shared->holder, getpid());
    atomic_store(&shared->acquired, *number);
    syscall(SYS_futex, &shared->acquired, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    return descriptor;
}

static pid_t child(void)
{
    pid_t process = fork();
    if (process < 0)
        die("fork");
    if (process == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return process;
}

static void reap(int count)
{
    while (count-- > 0)
        wait(NULL);
}

/* Each lets go and lines up again once another one has it. */
static void ring(int count)
{
    for (int i = 0; i < processes; i++) {
        if (child() != 0)
            continue;
        while (!atomic_load(&shared->over)) {
            int number, descriptor = enter(&number, count);
            pause_for(hold);
            atomic_store(&shared->let_go, now());
            close(descriptor);
            let_go();
            await_next(number);
        }
        _exit(0);
    }
    reap(processes);
}

/* Has it once, and ends, or waits to be killed. */
static pid_t start_link(int count)
{
    pid_t process = child();
    if (process != 0)
        return process;
    int number;
    (void)enter(&number, count);
    if (end == BY_KILL)
        pause();
    pause_for(hold);
    atomic_store(&shared->let_go, now());
    _exit(0);
}

static void chain(int count)
{
    for (int i = 1; i < processes; i++)
        start_link(count);
    for (int number = 1; number <= count + 1; number++) {
        start_link(count);
        while (atomic_load(&shared->acquired) < number)
            await_next(number - 1);
        if (end == BY_KILL) {
            pause_for(hold);
            atomic_store(&shared->let_go, now());
            kill(atomic_load(&shared->holder), SIGKILL);
        }
        reap(1);
    }
    /* Those who still wait are not wanted any more. */
    for (int i = 1; i < processes; i++) {
        while (end != BY_KILL && waitpid(-1, NULL, WNOHANG) == 0)
            pause_for(100);
        if (end == BY_KILL) {
            while (atomic_load(&shared->acquired) < count + 1 + i)
                await_next(count + i);
            kill(atomic_load(&shared->holder), SIGKILL);
            reap(1);
        }
    }
}

static int compare(const void *left, const void *right)
{
    long long a = *(const long long *)left, b = *(const long long *)right;
    return (a > b) - (a < b);
}

static void measure(int count)
{
    if (count > MOST) {
        fprintf(stderr, "at most %d\n", MOST);
        exit(2);
    }
    memset(shared, 0, sizeof *shared);
    if (end == BY_RELEASE)
        ring(count);
    else
        chain(count);
    qsort(shared->gaps, (size_t)count, sizeof *shared->gaps, compare);
    printf("time %lld time90 %lld\n", shared->gaps[count / 2], shared->gaps[count * 9 / 10]);
}

/* The place of the word in the list, which ends with NULL. */
static unsigned choose(const char *word, const char *const *words)
{
    for (unsigned i = 0; words[i] != NULL; i++) {
        if (strcmp(word, words[i]) == 0)
            return i;
    }
    fprintf(stderr, "handover: '%s'?\n", word);
    exit(2);
}

int main(int argc, char **argv)
{
    static const char *const ways[] = {"none", "flock", "open+flock", "fcntl", NULL};
    static const char *const ends[] = {"release", "exit", "kill", NULL};
    if (argc != 7) {
        fputs("usage: handover LOCK END TABLE LOCKFILE HOLD PROCESSES\n", stderr);
        return 2;
    }
    way = choose(argv[1], ways);
    end = choose(argv[2], ends);
    snprintf(file_path, sizeof file_path, "%s/data", argv[3]);
    lock_path = argv[4];
    hold = number(argv[5]);
    processes = number(argv[6]);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die("mmap");
    return serve_counts(measure);
}
