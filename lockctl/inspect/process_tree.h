/*
 * Who waits behind whom, as rows of a table with TREE_COLUMNS.
 */
#ifndef LOCKCTL_PROCESS_TREE_H
#define LOCKCTL_PROCESS_TREE_H

#include "lockctl/inspect/inspect.h"
#include "lockctl/inspect/output.h"

/* All locks of the inspection. */
void process_tree_add(struct output *output, const struct inspection *inspection);

/* The holders of one lock, those behind them, and what these hold besides. */
void process_tree_add_lock(struct output *output, const struct inspection *inspection,
                           const struct inspected_lock *lock);

#endif
