/*
 * lockctl status: a line a lock, and below, why those that are not well are not.
 */
#include "lockctl/inspect/cells.h"
#include "lockctl/inspect/json.h"
#include "lockctl/inspect/request.h"

#include <stdio.h>

const char STATUS_DETAILS[] =
    "Without a lock or table: those of the configuration, and every flock on the\n"
    "system. A word is a table or a lock file.\n"
    "\n"
    "Verdicts: free, healthy, crashed (free, but the last holder died inside),\n"
    "orphaned (the taker is gone, another keeps it), stopped, stuck, split (on a lock\n"
    "file that is no longer the one at the path), deadlock.\n"
    "\n"
    "Exit status: 0; 1 it could not be done; 2 wrong usage; 78 wrong settings or no\n"
    "such lock.\n";

/* --- columns --- */

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

static const struct column COLUMNS[] = {
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
enum { COLUMN_COUNT = sizeof COLUMNS / sizeof *COLUMNS };

static void print_columns(void)
{
    output_print_columns(COLUMNS, COLUMN_COUNT);
}

/* --- JSON --- */

static void json_holder(struct json *json, const struct inspected_holder *holder)
{
    char state[2] = {holder->process->state, '\0'};
    json_open(json, NULL, '{');
    json_process(json, holder->process);
    json_seconds(json, "held_seconds", holder->held);
    json_boolean(json, "guarded", holder->guarded);
    json_boolean(json, "fenceable", holder->fenceable);
    json_text(json, "state", state[0] != '?' ? state : NULL);
    json_close(json, '}');
}

static void json_waiter(struct json *json, const struct inspected_waiter *waiter)
{
    json_open(json, NULL, '{');
    json_process(json, waiter->process);
    json_seconds(json, "waited_seconds", waiter->waited);
    json_text(json, "mode", mode_name(waiter->mode));
    json_boolean(json, "guarded", waiter->guarded);
    json_close(json, '}');
}

/* Numbers as stat gives them, where the file system does not tell the kernel others. */
static void json_identity(struct json *json, const struct inspected_lock *lock)
{
    if (lock->inode == 0) {
        json_null(json, "inode");
        json_null(json, "device");
        return;
    }
    json_number(json, "inode", lock->inode);
    json_number(json, "device", lock->device);
}

static void json_lock(struct json *json, const struct inspected_lock *lock)
{
    json_open(json, NULL, '{');
    json_text(json, "lock", lock->path != NULL ? lock->label : NULL);
    json_text(json, "table", lock->table);
    json_identity(json, lock);
    json_text(json, "mode", mode_name(lock->mode));
    json_text(json, "verdict", verdict_name(lock->verdict));
    json_seconds(json, "held_seconds",
                 lock->holder_count > 0 ? lock->holders[0].held : UNKNOWN_TIME);
    json_number(json, "waiter_count", lock->waiter_count);
    json_seconds(json, "longest_wait_seconds", lock->longest_wait);
    if (lock->has_registry)
        json_number(json, "generation", lock->generation);
    else
        json_null(json, "generation");
    json_open(json, "holders", '[');
    for (size_t i = 0; i < lock->holder_count; i++)
        json_holder(json, &lock->holders[i]);
    json_close(json, ']');
    json_open(json, "waiters", '[');
    for (size_t i = 0; i < lock->waiter_count; i++)
        json_waiter(json, &lock->waiters[i]);
    json_close(json, ']');
    json_close(json, '}');
}

static int print_json(const char *command, const struct inspection *inspection)
{
    struct json json = {.file = stdout};
    output_prepare();
    json_open(&json, NULL, '{');
    json_open(&json, "locks", '[');
    for (size_t i = 0; i < inspection->count; i++)
        json_lock(&json, &inspection->locks[i]);
    json_close(&json, ']');
    json_close(&json, '}');
    return output_finish(command);
}

/* --- text --- */

static void print_reasons(const struct inspection *inspection)
{
    bool any = false;
    for (size_t i = 0; i < inspection->count; i++) {
        const struct inspected_lock *lock = &inspection->locks[i];
        if (!verdict_is_stale(lock->verdict))
            continue;
        printf("%s%s: %s: %s.\n", any ? "" : "\n", shown(lock->label), verdict_name(lock->verdict),
               lock->reason);
        any = true;
    }
}

static int print_table(const struct command_request *request, const char *command,
                       const struct inspection *inspection)
{
    struct output *output = output_begin(&request->style, command, "locks", COLUMNS, COLUMN_COUNT);
    if (output == NULL)
        return STATUS_USAGE;
    for (size_t i = 0; i < inspection->count; i++)
        (void)output_row(output, NULL, &inspection->locks[i]);
    int status = output_end(output);
    bool for_people = !request->style.json && !request->style.raw && !request->style.no_headings &&
                      request->style.columns == NULL;
    if (for_people && status == STATUS_DONE) {
        print_reasons(inspection);
        request_print_limits(inspection);
        status = output_finish(command);
    }
    return status;
}

int status_command(const struct command_description *description, int count, char **words)
{
    static const struct argument_option options[] = {REQUEST_OPTIONS};
    struct command_request request;
    int status = request_parse(&request, description, options, sizeof options / sizeof *options,
                               print_columns, count, words);
    if (status >= 0)
        return status;
    const struct inspection *inspection = request_look(&request, &status);
    if (inspection == NULL)
        return status;
    if (request.style.json && request.style.columns == NULL)
        return print_json(description->name, inspection);
    return print_table(&request, description->name, inspection);
}
