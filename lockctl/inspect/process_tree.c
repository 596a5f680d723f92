/*
 * Who waits behind whom, as a tree: below a holder those whom it keeps out, below each of them what
 * it holds besides. A ring is told of once.
 */
#include "lockctl/inspect/process_tree.h"

#include "lockctl/inspect/process_columns.h"

#include <err.h>
#include <stdlib.h>

struct tree {
    struct output *output;
    const struct inspection *inspection;
    bool *printed; /* of each lock: its waiters were */
};

static bool waits_anywhere(const struct inspection *inspection,
                           const struct inspected_process *process)
{
    for (size_t i = 0; i < inspection->count; i++)
        for (size_t j = 0; j < inspection->locks[i].waiter_count; j++)
            if (inspection->locks[i].waiters[j].process == process)
                return true;
    return false;
}

static void add_waiters(struct tree *tree, struct libscols_line *parent,
                        const struct inspected_holder *holder, const struct inspected_lock *lock);

/* What a process holds besides, as a branch of its own; in a ring each lock is told of once. */
static void add_other_locks(struct tree *tree, struct libscols_line *parent,
                            const struct inspected_process *process)
{
    for (size_t i = 0; i < tree->inspection->count; i++) {
        const struct inspected_lock *lock = &tree->inspection->locks[i];
        for (size_t j = 0; j < lock->holder_count && !tree->printed[i]; j++) {
            if (lock->holders[j].process != process || process->pid == 0)
                continue;
            struct process_row row = {lock, &lock->holders[j], NULL};
            add_waiters(tree, output_row(tree->output, parent, &row), &lock->holders[j], lock);
        }
    }
}

static bool is_kept_out_by(const struct inspected_lock *lock, const struct inspected_waiter *waiter,
                           const struct inspected_holder *holder)
{
    const struct inspected_holder **blockers =
        calloc(lock->holder_count + 1, sizeof(const struct inspected_holder *));
    size_t count = blockers != NULL ? inspect_blockers(lock, waiter, blockers) : 0;
    bool found = false;
    for (size_t i = 0; i < count; i++)
        found = found || blockers[i] == holder;
    free(blockers);
    return found;
}

static void add_waiters(struct tree *tree, struct libscols_line *parent,
                        const struct inspected_holder *holder, const struct inspected_lock *lock)
{
    bool *printed = &tree->printed[lock - tree->inspection->locks];
    bool was_printed = *printed;
    *printed = true;
    for (size_t i = 0; i < lock->waiter_count; i++) {
        if (!is_kept_out_by(lock, &lock->waiters[i], holder))
            continue;
        struct process_row row = {lock, NULL, &lock->waiters[i]};
        struct libscols_line *line = output_row(tree->output, parent, &row);
        if (!was_printed)
            add_other_locks(tree, line, lock->waiters[i].process);
    }
}

/* First those who wait for nobody; then what is left, which is in rings. */
static void add_roots(struct tree *tree, bool in_rings)
{
    for (size_t i = 0; i < tree->inspection->count; i++) {
        const struct inspected_lock *lock = &tree->inspection->locks[i];
        if (in_rings && tree->printed[i])
            continue;
        for (size_t j = 0; j < lock->holder_count; j++) {
            bool waits = waits_anywhere(tree->inspection, lock->holders[j].process);
            if (waits != in_rings)
                continue;
            struct process_row row = {lock, &lock->holders[j], NULL};
            add_waiters(tree, output_row(tree->output, NULL, &row), &lock->holders[j], lock);
        }
    }
}

static struct tree begin(struct output *output, const struct inspection *inspection)
{
    struct tree tree = {output, inspection, calloc(inspection->count + 1, sizeof(bool))};
    if (tree.printed == NULL)
        err(STATUS_FAILED, NULL);
    return tree;
}

void process_tree_add(struct output *output, const struct inspection *inspection)
{
    struct tree tree = begin(output, inspection);
    add_roots(&tree, false);
    add_roots(&tree, true);
    free(tree.printed);
}

void process_tree_add_lock(struct output *output, const struct inspection *inspection,
                           const struct inspected_lock *lock)
{
    struct tree tree = begin(output, inspection);
    for (size_t i = 0; i < lock->holder_count; i++) {
        struct process_row row = {lock, &lock->holders[i], NULL};
        add_waiters(&tree, output_row(output, NULL, &row), &lock->holders[i], lock);
    }
    for (size_t i = 0; i < lock->waiter_count && lock->holder_count == 0; i++)
        (void)output_row(output, NULL, &(struct process_row){lock, NULL, &lock->waiters[i]});
    free(tree.printed);
}
