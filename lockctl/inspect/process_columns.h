/*
 * The columns of tables of processes; a row is a struct process_row.
 */
#ifndef LOCKCTL_PROCESS_COLUMNS_H
#define LOCKCTL_PROCESS_COLUMNS_H

#include "lockctl/inspect/inspect.h"
#include "lockctl/inspect/output.h"

/* A process with one lock: it holds, or it waits. */
struct process_row {
    const struct inspected_lock *lock;
    const struct inspected_holder *holder; /* NULL: it waits */
    const struct inspected_waiter *waiter; /* NULL: it holds */
};

extern const struct column HOLDER_COLUMNS[]; /* rows that hold */
extern const size_t HOLDER_COLUMN_COUNT;
extern const struct column WAITER_COLUMNS[]; /* rows that wait */
extern const size_t WAITER_COLUMN_COUNT;
extern const struct column TREE_COLUMNS[]; /* both */
extern const size_t TREE_COLUMN_COUNT;

#endif
