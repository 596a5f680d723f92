/*
 * lockctl deadlocks: rings of processes that wait for one another, among all flocks on the system.
 */
#include "lockctl/inspect/cells.h"
#include "lockctl/inspect/request.h"

#include <stdio.h>

const char DEADLOCKS_DETAILS[] =
    "Of the processes in a cycle each waits for a lock that the next one holds, the\n"
    "last for one that the first holds. THROUGH names the descendant that waits, where\n"
    "the process waits for that descendant (as flock(1) waits for its command).\n"
    "\n"
    "Exit status: 0 no cycle; 3 there is one; 1 it could not be done; 2 wrong usage;\n"
    "78 wrong settings or no such lock.\n";

struct row {
    size_t cycle; /* from 1 */
    const struct inspected_wait *wait;
    const struct inspected_process *behind;
};

/* --- columns --- */

static const char *cycle_cell(struct output *output, const void *data)
{
    return cell_number(output, ((const struct row *)data)->cycle);
}

static const char *pid_cell(struct output *output, const void *data)
{
    return cell_pid(output, ((const struct row *)data)->wait->process);
}

static const char *user_cell(struct output *output, const void *data)
{
    return cell_user(output, ((const struct row *)data)->wait->process);
}

static const char *uid_cell(struct output *output, const void *data)
{
    return cell_uid(output, ((const struct row *)data)->wait->process);
}

static const char *command_cell(struct output *output, const void *data)
{
    return cell_command(output, ((const struct row *)data)->wait->process);
}

static const char *lock_cell(struct output *output, const void *data)
{
    return cell_text(output, ((const struct row *)data)->wait->lock->label);
}

static const char *behind_cell(struct output *output, const void *data)
{
    return cell_pid(output, ((const struct row *)data)->behind);
}

static const char *through_cell(struct output *output, const void *data)
{
    pid_t through = ((const struct row *)data)->wait->through;
    return through > 0 ? cell_number(output, (uint64_t)through) : NULL;
}

static const struct column COLUMNS[] = {
    {"CYCLE", "cycle", 3, COLUMN_DEFAULT | COLUMN_NUMBER, "number of the cycle", cycle_cell},
    {"PID", "pid", 5, COLUMN_DEFAULT | COLUMN_NUMBER, "who waits", pid_cell},
    {"USER", "user", 8, COLUMN_DEFAULT, "as whom it acts", user_cell},
    {"UID", "uid", 5, COLUMN_NUMBER, "the same as a number", uid_cell},
    {"LOCK", "lock", 0.3, COLUMN_DEFAULT, "for which lock", lock_cell},
    {"BEHIND", "behind", 5, COLUMN_DEFAULT | COLUMN_NUMBER, "who holds that", behind_cell},
    {"THROUGH", "through", 5, COLUMN_DEFAULT | COLUMN_NUMBER, "the descendant that waits for it",
     through_cell},
    {"COMMAND", "command", 0.3, COLUMN_DEFAULT | COLUMN_TRUNCATE, "command line", command_cell},
};
enum { COLUMN_COUNT = sizeof COLUMNS / sizeof *COLUMNS };

static void print_columns(void)
{
    output_print_columns(COLUMNS, COLUMN_COUNT);
}

/* --- output --- */

static struct row make_row(const struct inspection *inspection, size_t cycle, size_t wait)
{
    const struct inspected_cycle *ring = &inspection->cycles[cycle];
    return (struct row){cycle + 1, &ring->waits[wait],
                        ring->waits[(wait + 1) % ring->count].process};
}

static void json_wait(struct json *json, const struct row *row)
{
    json_open(json, NULL, '{');
    json_process(json, row->wait->process);
    json_text(json, "lock", row->wait->lock->path != NULL ? row->wait->lock->label : NULL);
    json_number(json, "inode", row->wait->lock->inode);
    json_number(json, "device", row->wait->lock->device);
    json_number(json, "behind", (uint64_t)row->behind->pid);
    if (row->wait->through > 0)
        json_number(json, "through", (uint64_t)row->wait->through);
    else
        json_null(json, "through");
    json_close(json, '}');
}

static int print_json(const char *command, const struct inspection *inspection)
{
    struct json json = {.file = stdout};
    output_prepare();
    json_open(&json, NULL, '{');
    json_open(&json, "deadlocks", '[');
    for (size_t i = 0; i < inspection->cycle_count; i++) {
        json_open(&json, NULL, '{');
        json_open(&json, "waits", '[');
        for (size_t j = 0; j < inspection->cycles[i].count; j++) {
            struct row row = make_row(inspection, i, j);
            json_wait(&json, &row);
        }
        json_close(&json, ']');
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_close(&json, '}');
    return output_finish(command);
}

static int print_table(const struct command_request *request, const char *command,
                       const struct inspection *inspection)
{
    struct output *output =
        output_begin(&request->style, command, "deadlocks", COLUMNS, COLUMN_COUNT);
    if (output == NULL)
        return STATUS_USAGE;
    for (size_t i = 0; i < inspection->cycle_count; i++) {
        for (size_t j = 0; j < inspection->cycles[i].count; j++) {
            struct row row = make_row(inspection, i, j);
            (void)output_row(output, NULL, &row);
        }
    }
    return output_end(output);
}

int deadlocks_command(const struct command_description *description, int count, char **words)
{
    static const struct argument_option options[] = {REQUEST_OPTIONS};
    struct command_request request;
    int status = request_parse(&request, description, options, sizeof options / sizeof *options,
                               print_columns, count, words);
    if (status >= 0)
        return status;
    if (request.words[0] != NULL) {
        complain("deadlocks: '%s' is too much: it looks at all locks", shown(request.words[0]));
        return STATUS_USAGE;
    }
    const struct inspection *inspection = request_look(&request, &status);
    if (inspection == NULL)
        return status;
    if (request.style.json && request.style.columns == NULL)
        status = print_json(description->name, inspection);
    else if (inspection->cycle_count > 0 || request.style.json)
        status = print_table(&request, description->name, inspection);
    return status == STATUS_DONE && inspection->cycle_count > 0 ? STATUS_STALE : status;
}
