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
    struct shared_names names;
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
    neighbours_drop(&worker->neighbours);
    free(worker->text);
    worker->text = NULL;
}

static void work(struct run *run, struct arena *arena)
{
    struct worker worker;
    worker_begin(&worker, arena);
    worker.neighbours.shared = &run->names;
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

/* How many threads beside this one, and where they may run. */
static size_t helpers(size_t batches, cpu_set_t *processors)
{
    size_t workers = batches / BATCHES_WORTH_A_THREAD;
    if (workers < 2 || sched_getaffinity(0, sizeof *processors, processors) != 0)
        return 0;
    if (workers > (size_t)CPU_COUNT(processors))
        workers = (size_t)CPU_COUNT(processors);
    if (workers > WORKERS_MAXIMUM)
        workers = WORKERS_MAXIMUM;
    return workers - 1;
}

/*
 * They are kept off the processor that this one runs on: the kernel often starts a thread there,
 * and what is to be done takes less time than it needs to move one.
 */
static void keep_apart(pthread_attr_t *attributes, cpu_set_t *processors)
{
    int here = sched_getcpu();
    if (here < 0)
        return;
    CPU_CLR((size_t)here, processors);
    if (CPU_COUNT(processors) > 0)
        (void)pthread_attr_setaffinity_np(attributes, sizeof *processors, processors);
}

static size_t start(struct thread *threads, size_t wanted, struct run *run, cpu_set_t *processors)
{
    sigset_t all;
    sigset_t before;
    pthread_attr_t attributes;
    size_t started = 0;
    if (wanted == 0 || pthread_attr_init(&attributes) != 0)
        return 0;
    keep_apart(&attributes, processors);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; started < wanted; started++) {
        threads[started] = (struct thread){.run = run};
        if (pthread_create(&threads[started].thread, &attributes, work_in_thread,
                           &threads[started]) != 0)
            break;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return started;
}

void parallel_run(struct arena *arena, size_t count, size_t batch,
                  void (*each)(void *context, struct worker *worker, size_t index), void *context)
{
    struct thread threads[WORKERS_MAXIMUM];
    struct run run = {.count = count, .batch = batch, .each = each, .context = context};
    cpu_set_t processors;
    size_t wanted = helpers(count / batch, &processors);
    size_t started = start(threads, wanted, &run, &processors);
    work(&run, arena);
    for (size_t i = 0; i < started; i++) {
        (void)pthread_join(threads[i].thread, NULL);
        arena_join(arena, &threads[i].arena);
    }
    shared_names_drop(&run.names);
}
