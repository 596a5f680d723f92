/*
 * The columns of a table of locks: what status prints and top shows. A cell tells what the
 * inspection knows, and computes nothing.
 */
#include "lockctl/inspect/lock_columns.h"

#include "lockctl/inspect/cells.h"

#include <stdio.h>

static const struct inspected_holder *first_holder(const struct inspected_lock *lock)
{
    return lock->holder_count > 0 ? &lock->holders[0] : NULL;
}

static const char *table_cell(struct output *output, const void *row)
{
    const struct inspected_lock *lock = row;
    if (cell_is_exact(output) || lock->table != NULL)
        return cell_text(output, lock->table);
    return cell_text(output, lock->label);
}

static const char *lock_cell(struct output *output, const void *row)
{
    return cell_text(output, ((const struct inspected_lock *)row)->label);
}

static const char *mode_cell(struct output *output, const void *row)
{
    (void)output;
    return mode_name(((const struct inspected_lock *)row)->mode);
}

static const char *pid_cell(struct output *output, const void *row)
{
    static char text[64];
    const struct inspected_lock *lock = row;
    if (lock->holder_count == 0)
        return NULL;
    const char *pid = cell_pid(output, lock->holders[0].process);
    if (cell_is_exact(output) || lock->holder_count == 1)
        return pid;
    (void)snprintf(text, sizeof text, "%s +%zu", pid != NULL ? pid : "-", lock->holder_count - 1);
    return text;
}

#define HOLDER_CELL(name, function)                                                                \
    static const char *name(struct output *output, const void *row)                                \
    {                                                                                              \
        const struct inspected_holder *holder = first_holder(row);                                 \
        return holder != NULL ? function(output, holder->process) : NULL;                          \
    }
HOLDER_CELL(user_cell, cell_user)
HOLDER_CELL(uid_cell, cell_uid)
HOLDER_CELL(command_cell, cell_command)
HOLDER_CELL(state_cell, cell_state)

static const char *held_cell(struct output *output, const void *row)
{
    const struct inspected_holder *holder = first_holder(row);
    return holder != NULL ? cell_since(output, holder->held) : NULL;
}

static const char *holders_cell(struct output *output, const void *row)
{
    return cell_number(output, ((const struct inspected_lock *)row)->holder_count);
}

static const char *waiters_cell(struct output *output, const void *row)
{
    return cell_number(output, ((const struct inspected_lock *)row)->waiter_count);
}

static const char *longest_cell(struct output *output, const void *row)
{
    return cell_since(output, ((const struct inspected_lock *)row)->longest_wait);
}

static const char *verdict_cell(struct output *output, const void *row)
{
    (void)output;
    return verdict_name(((const struct inspected_lock *)row)->verdict);
}

static const char *reason_cell(struct output *output, const void *row)
{
    (void)output;
    return ((const struct inspected_lock *)row)->reason;
}

static const char *inode_cell(struct output *output, const void *row)
{
    const struct inspected_lock *lock = row;
    return lock->inode != 0 ? cell_number(output, lock->inode) : NULL;
}

static const char *device_cell(struct output *output, const void *row)
{
    const struct inspected_lock *lock = row;
    if (lock->inode == 0)
        return NULL;
    return cell_is_exact(output) ? cell_number(output, lock->device)
                                 : cell_device(output, lock->device);
}

static const char *generation_cell(struct output *output, const void *row)
{
    const struct inspected_lock *lock = row;
    return lock->has_registry ? cell_number(output, lock->generation) : NULL;
}

const struct column LOCK_COLUMNS[] = {
    {"TABLE", "table", 0.2, COLUMN_DEFAULT, "the table; where it is not known, the lock file",
     table_cell},
    {"LOCK", "lock", 0.2, 0, "the lock file", lock_cell},
    {"MODE", "mode", 6, COLUMN_DEFAULT, "exclusive or shared", mode_cell},
    {"PID", "pid", 5, COLUMN_DEFAULT | COLUMN_NUMBER, "who holds it; +N: and N others", pid_cell},
    {"USER", "user", 8, COLUMN_DEFAULT, "as whom the holder acts", user_cell},
    {"UID", "uid", 5, COLUMN_NUMBER, "the same as a number", uid_cell},
    {"STATE", "state", 1, 0, "of the holder's process: R, S, D, T, t, Z", state_cell},
    {"HELD", "held_seconds", 6, COLUMN_DEFAULT | COLUMN_NUMBER, "for how long", held_cell},
    {"HOLDERS", "holder_count", 3, COLUMN_NUMBER, "how many hold it", holders_cell},
    {"WAITERS", "waiter_count", 3, COLUMN_DEFAULT | COLUMN_NUMBER, "how many wait", waiters_cell},
    {"LONGEST", "longest_wait_seconds", 6, COLUMN_DEFAULT | COLUMN_NUMBER,
     "how long the longest has waited", longest_cell},
    {"VERDICT", "verdict", 8, COLUMN_DEFAULT, "how well the lock is", verdict_cell},
    {"COMMAND", "command", 0.3, COLUMN_DEFAULT | COLUMN_TRUNCATE, "command line of the holder",
     command_cell},
    {"REASON", "reason", 0.3, 0, "why that is the verdict", reason_cell},
    {"INODE", "inode", 6, COLUMN_NUMBER, "of the lock file", inode_cell},
    {"DEVICE", "device", 5, COLUMN_NUMBER, "of its file system, as /proc/locks has it",
     device_cell},
    {"GENERATION", "generation", 5, COLUMN_NUMBER, "how often the table was changed",
     generation_cell},
};
const size_t LOCK_COLUMN_COUNT = sizeof LOCK_COLUMNS / sizeof *LOCK_COLUMNS;
