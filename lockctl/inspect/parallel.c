/*
 * A handful of threads that take batches of indices. They get no signals: handlers stay with the
 * thread that began.
 */
#include "lockctl/inspect/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { WORKERS_MAXIMUM = 4, BATCHES_WORTH_A_THREAD = 3 };

struct run {
    size_t count, batch;
    atomic_size_t next;
    void (*each)(void *context, struct worker *worker, size_t index);
    void *context;
};

struct thread {
    struct run *run;
    pthread_t thread;
    struct arena arena;
};

void worker_begin(struct worker *worker, struct arena *arena)
{
    *worker = (struct worker){.arena = arena, .usual = -1};
}

void worker_end(struct worker *worker)
{
    free(worker->text);
    worker->text = NULL;
}

static void work(struct run *run, struct arena *arena)
{
    struct worker worker;
    worker_begin(&worker, arena);
    for (size_t first; (first = atomic_fetch_add(&run->next, run->batch)) < run->count;)
        for (size_t i = first; i < first + run->batch && i < run->count; i++)
            run->each(run->context, &worker, i);
    worker_end(&worker);
}

static void *work_in_thread(void *context)
{
    struct thread *thread = context;
    work(thread->run, &thread->arena);
    return NULL;
}

/* How many threads beside this one. */
static size_t helpers(size_t batches)
{
    cpu_set_t processors;
    size_t workers = batches / BATCHES_WORTH_A_THREAD;
    if (workers < 2 || sched_getaffinity(0, sizeof processors, &processors) != 0)
        return 0;
    if (workers > (size_t)CPU_COUNT(&processors))
        workers = (size_t)CPU_COUNT(&processors);
    if (workers > WORKERS_MAXIMUM)
        workers = WORKERS_MAXIMUM;
    return workers - 1;
}

static size_t start(struct thread *threads, size_t wanted, struct run *run)
{
    sigset_t all;
    sigset_t before;
    size_t started = 0;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; started < wanted; started++) {
        threads[started] = (struct thread){.run = run};
        if (pthread_create(&threads[started].thread, NULL, work_in_thread, &threads[started]) != 0)
            break;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

void parallel_run(struct arena *arena, size_t count, size_t batch,
                  void (*each)(void *context, struct worker *worker, size_t index), void *context)
{
    struct thread threads[WORKERS_MAXIMUM];
    struct run run = {.count = count, .batch = batch, .each = each, .context = context};
    size_t started = start(threads, helpers(count / batch), &run);
    work(&run, arena);
    for (size_t i = 0; i < started; i++) {
        (void)pthread_join(threads[i].thread, NULL);
        arena_join(arena, &threads[i].arena);
    }
}
