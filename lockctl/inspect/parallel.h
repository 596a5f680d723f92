/*
 * Looking into many processes at once: nearly all of such a look is the kernel's time, and the
 * kernel has several processors. Each worker takes memory of its own, which is joined to the look's
 * when all are done; what they do must touch nothing that two of them could have.
 */
#ifndef LOCKCTL_PARALLEL_H
#define LOCKCTL_PARALLEL_H

#include "lockctl/inspect/arena.h"
#include "lockctl/inspect/neighbours.h"

#include <stddef.h>

/* What one worker needs. */
struct worker {
    struct arena *arena;
    char *text; /* room for a command line, kept from one process to the next */
    size_t room;
    int usual; /* the descriptor at which the process before had its lock; -1: none */
    struct neighbours neighbours;
};

void worker_begin(struct worker *worker, struct arena *arena);
void worker_end(struct worker *worker);

/*
 * Calls `each` for every index below `count`, a batch at a time. A single batch is this thread's
 * alone; where no thread can be had, it goes on without.
 */
void parallel_run(struct arena *arena, size_t count, size_t batch,
                  void (*each)(void *context, struct worker *worker, size_t index), void *context);

#endif
