/*
 * The columns of tables of processes: holders, waiters, and the tree of both. A cell tells what the
 * inspection knows, and computes nothing but who keeps a waiter out.
 */
#include "lockctl/inspect/process_columns.h"

#include "lockctl/inspect/cells.h"

#include <stdio.h>
#include <stdlib.h>

static const struct inspected_process *process_of(const struct process_row *row)
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
    return cell_text(output, ((const struct process_row *)data)->lock->label);
}

static const char *table_cell(struct output *output, const void *data)
{
    return cell_text(output, ((const struct process_row *)data)->lock->table);
}

static const char *mode_cell(struct output *output, const void *data)
{
    const struct process_row *row = data;
    (void)output;
    return mode_name(row->holder != NULL ? row->holder->mode : row->waiter->mode);
}

static const char *does_cell(struct output *output, const void *data)
{
    (void)output;
    return ((const struct process_row *)data)->holder != NULL ? "holds" : "waits";
}

static const char *for_cell(struct output *output, const void *data)
{
    const struct process_row *row = data;
    return cell_since(output, row->holder != NULL ? row->holder->held : row->waiter->waited);
}

static const char *guarded_cell(struct output *output, const void *data)
{
    const struct process_row *row = data;
    return cell_boolean(output, row->holder != NULL ? row->holder->guarded : row->waiter->guarded);
}

static const char *fenceable_cell(struct output *output, const void *data)
{
    return cell_boolean(output, ((const struct process_row *)data)->holder->fenceable);
}

static const char *untouched_cell(struct output *output, const void *data)
{
    return cell_since(output, ((const struct process_row *)data)->holder->untouched);
}

static const char *taker_cell(struct output *output, const void *data)
{
    pid_t taker = ((const struct process_row *)data)->holder->taker;
    return taker > 0 ? cell_number(output, (uint64_t)taker) : NULL;
}

static const char *descriptor_cell(struct output *output, const void *data)
{
    int descriptor = ((const struct process_row *)data)->holder->descriptor;
    return descriptor >= 0 ? cell_number(output, (uint64_t)descriptor) : NULL;
}

static const char *start_cell(struct output *output, const void *data)
{
    uint64_t start_time = process_of(data)->start_time;
    return start_time > 0 ? cell_number(output, start_time) : NULL;
}

static const char *supervisor_cell(struct output *output, const void *data)
{
    const struct process_row *row = data;
    pid_t supervisor = row->holder != NULL ? row->holder->supervisor : row->waiter->supervisor;
    return supervisor > 0 ? cell_number(output, (uint64_t)supervisor) : NULL;
}

static const char *thread_cell(struct output *output, const void *data)
{
    const struct process_row *row = data;
    pid_t thread = row->holder != NULL ? row->holder->thread : row->waiter->thread;
    return thread > 0 ? cell_number(output, (uint64_t)thread) : NULL;
}

/* The pids of those who keep it out; longer than any terminal where there are many. */
static const char *behind_cell(struct output *output, const void *data)
{
    static char text[1024];
    const struct process_row *row = data;
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

const struct column HOLDER_COLUMNS[] = {
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

const struct column WAITER_COLUMNS[] = {
    PID_COLUMN(0),
    {"WAITED", "waited_seconds", 6, COLUMN_DEFAULT | COLUMN_NUMBER, "for how long", for_cell},
    {"BEHIND", "behind", 8, COLUMN_DEFAULT, "the holders that keep it out", behind_cell},
    SHARED_COLUMNS,
};

const struct column TREE_COLUMNS[] = {
    {"PID", "pid", 8, COLUMN_DEFAULT | COLUMN_TREE, "the process", pid_cell},
    {"DOES", "does", 5, COLUMN_DEFAULT, "holds or waits", does_cell},
    {"FOR", "seconds", 6, COLUMN_DEFAULT | COLUMN_NUMBER, "how long it has", for_cell},
    SHARED_COLUMNS,
};

const size_t HOLDER_COLUMN_COUNT = sizeof HOLDER_COLUMNS / sizeof *HOLDER_COLUMNS;
const size_t WAITER_COLUMN_COUNT = sizeof WAITER_COLUMNS / sizeof *WAITER_COLUMNS;
const size_t TREE_COLUMN_COUNT = sizeof TREE_COLUMNS / sizeof *TREE_COLUMNS;
