/*
 * lockctl status: a line a lock, and below, why those that are not well are not.
 */
#include "lockctl/inspect/cells.h"
#include "lockctl/inspect/json.h"
#include "lockctl/inspect/lock_columns.h"
#include "lockctl/inspect/request.h"

#include <stdio.h>

const char STATUS_DETAILS[] =
    "Without a lock or table: those of the configuration, and every flock on the\n"
    "system. A word is a table or a lock file.\n"
    "\n"
    "Verdicts: free, healthy, crashed (free, but the last holder died inside),\n"
    "orphaned (the taker is gone, another keeps it), stopped, stuck, split (on a lock\n"
    "file that is no longer the one at the path), deadlock. Why a lock that is not\n"
    "well is not, and which process is at fault, stands below the table; `lockctl\n"
    "break` frees it.\n"
    "\n"
    "Exit status: 0; 1 it could not be done; 2 wrong usage; 78 wrong settings or no\n"
    "such lock.\n";

static void print_columns(void)
{
    output_print_columns(LOCK_COLUMNS, LOCK_COLUMN_COUNT);
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

/* What to do about them, once each. */
static void print_ways_out(bool broken, bool crashed)
{
    if (broken)
        printf("`lockctl break LOCK` frees a lock; with --dry-run it says what that would do.\n");
    if (crashed)
        printf("`lockctl recover LOCK` shows what can be put back after a crash, or accepts it.\n");
}

static void print_reasons(const struct inspection *inspection)
{
    bool broken = false;
    bool crashed = false;
    for (size_t i = 0; i < inspection->count; i++) {
        const struct inspected_lock *lock = &inspection->locks[i];
        if (!verdict_is_stale(lock->verdict))
            continue;
        printf("%s%s: %s: %s.\n", broken || crashed ? "" : "\n", shown(lock->label),
               verdict_name(lock->verdict), lock->reason);
        crashed = crashed || lock->verdict == VERDICT_CRASHED;
        broken = broken || lock->verdict != VERDICT_CRASHED;
    }
    print_ways_out(broken, crashed);
}

static int print_table(const struct command_request *request, const char *command,
                       const struct inspection *inspection)
{
    struct output *output =
        output_begin(&request->style, command, "locks", LOCK_COLUMNS, LOCK_COLUMN_COUNT);
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
    request.bare_waiters = !request.style.json || request.style.columns != NULL;
    request.bare_holders = !output_may_show(&request.style, "COMMAND") &&
                           !output_may_show(&request.style, "USER") &&
                           !output_may_show(&request.style, "UID");
    const struct inspection *inspection = request_look(&request, &status);
    if (inspection == NULL)
        return status;
    if (request.style.json && request.style.columns == NULL)
        return print_json(description->name, inspection);
    return print_table(&request, description->name, inspection);
}
