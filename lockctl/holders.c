/*
 * lockctl holders and lockctl waiters: a line a process; with --tree, who waits behind whom.
 */
#include "lockctl/inspect/cells.h"
#include "lockctl/inspect/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char HOLDERS_DETAILS[] =
    "Without a lock or table: all flocks on the system. A holder is whoever has the\n"
    "open file description that is locked; TAKER says who locked it, where that is\n"
    "another process.\n"
    "\n"
    "Exit status: 0; 1 it could not be done; 2 wrong usage; 78 wrong settings or no\n"
    "such lock.\n";

const char WAITERS_DETAILS[] =
    "Without a lock or table: all flocks on the system. Who waits behind several\n"
    "shared holders is behind all of them. How long is known of guarded processes.\n"
    "\n"
    "Exit status: 0; 1 it could not be done; 2 wrong usage; 78 wrong settings or no\n"
    "such lock.\n";

/* A process with one lock: it holds, or it waits. */
struct row {
    const struct inspected_lock *lock;
    const struct inspected_holder *holder; /* NULL: it waits */
    const struct inspected_waiter *waiter; /* NULL: it holds */
};

static const struct inspected_process *process_of(const struct row *row)
{
    return row->holder != NULL ? row->holder->process : row->waiter->process;
}

/* --- cells --- */

#define PROCESS_CELL(name, function)                                                               \
    static const char *name(struct output *output, const void *row)                                \
    {                                                                                              \
        return function(output, process_of(row));                                                  \
    }
PROCESS_CELL(pid_cell, cell_pid)
PROCESS_CELL(user_cell, cell_user)
PROCESS_CELL(uid_cell, cell_uid)
PROCESS_CELL(state_cell, cell_state)
PROCESS_CELL(command_cell, cell_command)

static const char *lock_cell(struct output *output, const void *data)
{
    return cell_text(output, ((const struct row *)data)->lock->label);
}

static const char *table_cell(struct output *output, const void *data)
{
    return cell_text(output, ((const struct row *)data)->lock->table);
}

static const char *mode_cell(struct output *output, const void *data)
{
    const struct row *row = data;
    (void)output;
    return mode_name(row->holder != NULL ? row->holder->mode : row->waiter->mode);
}

static const char *does_cell(struct output *output, const void *data)
{
    (void)output;
    return ((const struct row *)data)->holder != NULL ? "holds" : "waits";
}

static const char *for_cell(struct output *output, const void *data)
{
    const struct row *row = data;
    return cell_since(output, row->holder != NULL ? row->holder->held : row->waiter->waited);
}

static const char *guarded_cell(struct output *output, const void *data)
{
    const struct row *row = data;
    return cell_boolean(output, row->holder != NULL ? row->holder->guarded : row->waiter->guarded);
}

static const char *fenceable_cell(struct output *output, const void *data)
{
    return cell_boolean(output, ((const struct row *)data)->holder->fenceable);
}

static const char *untouched_cell(struct output *output, const void *data)
{
    return cell_since(output, ((const struct row *)data)->holder->untouched);
}

static const char *taker_cell(struct output *output, const void *data)
{
    pid_t taker = ((const struct row *)data)->holder->taker;
    return taker > 0 ? cell_number(output, (uint64_t)taker) : NULL;
}

static const char *descriptor_cell(struct output *output, const void *data)
{
    int descriptor = ((const struct row *)data)->holder->descriptor;
    return descriptor >= 0 ? cell_number(output, (uint64_t)descriptor) : NULL;
}

static const char *start_cell(struct output *output, const void *data)
{
    uint64_t start_time = process_of(data)->start_time;
    return start_time > 0 ? cell_number(output, start_time) : NULL;
}

static const char *supervisor_cell(struct output *output, const void *data)
{
    const struct row *row = data;
    pid_t supervisor = row->holder != NULL ? row->holder->supervisor : row->waiter->supervisor;
    return supervisor > 0 ? cell_number(output, (uint64_t)supervisor) : NULL;
}

static const char *thread_cell(struct output *output, const void *data)
{
    const struct row *row = data;
    pid_t thread = row->holder != NULL ? row->holder->thread : row->waiter->thread;
    return thread > 0 ? cell_number(output, (uint64_t)thread) : NULL;
}

/* The pids of those who keep it out; longer than any terminal where there are many. */
static const char *behind_cell(struct output *output, const void *data)
{
    static char text[1024];
    const struct row *row = data;
    const struct inspected_holder **blockers =
        calloc(row->lock->holder_count + 1, sizeof(const struct inspected_holder *));
    size_t count = blockers != NULL ? inspect_blockers(row->lock, row->waiter, blockers) : 0;
    size_t length = 0;
    (void)output;
    text[0] = '\0';
    for (size_t i = 0; i < count && length < sizeof text - 32; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%d",
                                   length > 0 ? "," : "", blockers[i]->process->pid);
    free(blockers);
    return text[0] != '\0' ? text : NULL;
}

/* --- columns --- */

#define SHARED_COLUMNS                                                                               \
    {"USER", "user", 8, COLUMN_DEFAULT, "as whom the process acts", user_cell},                      \
        {"UID", "uid", 5, COLUMN_NUMBER, "the same as a number", uid_cell},                          \
        {"STATE", "state", 1, COLUMN_DEFAULT, "R, S, D, T, t, Z; T and t: all threads", state_cell}, \
        {"LOCK", "lock", 0.3, COLUMN_DEFAULT, "the lock file", lock_cell},                           \
        {"TABLE", "table", 0.2, 0, "the table", table_cell},                                         \
        {"MODE", "mode", 6, COLUMN_DEFAULT, "exclusive, shared or joined", mode_cell},               \
        {"GUARDED", "guarded", 3, COLUMN_BOOLEAN, "by the shim", guarded_cell},                      \
        {"SUPERVISOR",   "supervisor", 5, COLUMN_NUMBER, "lockctl run, of a guarded command",        \
         supervisor_cell},                                                                           \
        {"THREAD", "thread", 5, COLUMN_NUMBER, "that took it, or waits", thread_cell},               \
        {"START",   "start_time", 5, COLUMN_NUMBER, "of the process, in clock ticks since boot",     \
         start_cell},                                                                                \
    {                                                                                                \
        "COMMAND", "command", 0.3, COLUMN_DEFAULT | COLUMN_TRUNCATE, "command line", command_cell    \
    }
#define PID_COLUMN(flags)                                                                          \
    {                                                                                              \
        "PID", "pid", 5, COLUMN_DEFAULT | COLUMN_NUMBER | (flags), "the process", pid_cell         \
    }

static const struct column HOLDER_COLUMNS[] = {
    PID_COLUMN(0),
    {"HELD", "held_seconds", 6, COLUMN_DEFAULT | COLUMN_NUMBER, "for how long", for_cell},
    {"UNTOUCHED", "untouched_seconds", 6, COLUMN_NUMBER, "since its last touch of the table",
     untouched_cell},
    {"TAKER", "taker", 5, COLUMN_NUMBER, "who took the lock, if that is another process",
     taker_cell},
    {"FENCEABLE", "fenceable", 3, COLUMN_BOOLEAN, "its further calls can be refused",
     fenceable_cell},
    {"FD", "descriptor", 3, COLUMN_NUMBER, "its descriptor of the lock file", descriptor_cell},
    SHARED_COLUMNS,
};

static const struct column WAITER_COLUMNS[] = {
    PID_COLUMN(0),
    {"WAITED", "waited_seconds", 6, COLUMN_DEFAULT | COLUMN_NUMBER, "for how long", for_cell},
    {"BEHIND", "behind", 8, COLUMN_DEFAULT, "the holders that keep it out", behind_cell},
    SHARED_COLUMNS,
};

static const struct column TREE_COLUMNS[] = {
    {"PID", "pid", 8, COLUMN_DEFAULT | COLUMN_TREE, "the process", pid_cell},
    {"DOES", "does", 5, COLUMN_DEFAULT, "holds or waits", does_cell},
    {"FOR", "seconds", 6, COLUMN_DEFAULT | COLUMN_NUMBER, "how long it has", for_cell},
    SHARED_COLUMNS,
};
#define COUNT(array) (sizeof(array) / sizeof *(array))

static void print_holder_columns(void)
{
    output_print_columns(HOLDER_COLUMNS, COUNT(HOLDER_COLUMNS));
}

static void print_waiter_columns(void)
{
    output_print_columns(WAITER_COLUMNS, COUNT(WAITER_COLUMNS));
}

/* --- the tree --- */

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
            struct row row = {lock, &lock->holders[j], NULL};
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
        struct row row = {lock, NULL, &lock->waiters[i]};
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
            struct row row = {lock, &lock->holders[j], NULL};
            add_waiters(tree, output_row(tree->output, NULL, &row), &lock->holders[j], lock);
        }
    }
}

static int print_tree(const struct command_request *request, const char *command,
                      const struct inspection *inspection)
{
    struct tree tree = {.inspection = inspection,
                        .printed = calloc(inspection->count + 1, sizeof(bool))};
    tree.output = tree.printed != NULL ? output_begin(&request->style, command, command,
                                                      TREE_COLUMNS, COUNT(TREE_COLUMNS))
                                       : NULL;
    int status = STATUS_USAGE;
    if (tree.output != NULL) {
        add_roots(&tree, false);
        add_roots(&tree, true);
        status = output_end(tree.output);
    }
    free(tree.printed);
    return status;
}

/* --- the lists --- */

static void add_lock(struct output *output, const struct inspected_lock *lock, bool holders)
{
    for (size_t i = 0; holders && i < lock->holder_count; i++)
        (void)output_row(output, NULL, &(struct row){lock, &lock->holders[i], NULL});
    for (size_t i = 0; !holders && i < lock->waiter_count; i++)
        (void)output_row(output, NULL, &(struct row){lock, NULL, &lock->waiters[i]});
}

static int list(const struct command_description *description, bool holders, int count,
                char **words)
{
    static const struct argument_option options[] = {REQUEST_OPTIONS, TREE_OPTION};
    struct command_request request;
    int status = request_parse(&request, description, options, COUNT(options),
                               holders ? print_holder_columns : print_waiter_columns, count, words);
    if (status >= 0)
        return status;
    const struct inspection *inspection = request_look(&request, &status);
    if (inspection == NULL)
        return status;
    if (request.tree)
        return print_tree(&request, description->name, inspection);
    struct output *output = holders ? output_begin(&request.style, description->name, "holders",
                                                   HOLDER_COLUMNS, COUNT(HOLDER_COLUMNS))
                                    : output_begin(&request.style, description->name, "waiters",
                                                   WAITER_COLUMNS, COUNT(WAITER_COLUMNS));
    if (output == NULL)
        return STATUS_USAGE;
    for (size_t i = 0; i < inspection->count; i++)
        add_lock(output, &inspection->locks[i], holders);
    return output_end(output);
}

int holders_command(const struct command_description *description, int count, char **words)
{
    return list(description, true, count, words);
}

int waiters_command(const struct command_description *description, int count, char **words)
{
    return list(description, false, count, words);
}
