/*
 * lockctl check: for monitoring. One line that says what is stale, and the exit status.
 */
#include "lockctl/inspect/cells.h"
#include "lockctl/inspect/request.h"

#include <stdio.h>

const char CHECK_DETAILS[] =
    "Without a lock or table: those of the configuration, or, where it has none, every\n"
    "flock on the system. Stale is what is crashed, orphaned, stopped, stuck, split or\n"
    "in a deadlock; see `lockctl status`.\n"
    "\n"
    "Exit status: 0 all is well; 3 something is stale; 1 it could not be done; 2 wrong\n"
    "usage; 78 wrong settings or no such lock.\n";

static size_t count_stale(const struct inspection *inspection)
{
    size_t count = 0;
    for (size_t i = 0; i < inspection->count; i++)
        count += verdict_is_stale(inspection->locks[i].verdict);
    return count;
}

static int print_line(const char *command, const struct inspection *inspection, size_t stale)
{
    output_prepare();
    printf("%zu %s %s", inspection->count, inspection->count == 1 ? "lock," : "locks,",
           stale == 0 ? "all well" : "stale:");
    const char *separator = " ";
    for (size_t i = 0; i < inspection->count; i++) {
        const struct inspected_lock *lock = &inspection->locks[i];
        if (!verdict_is_stale(lock->verdict))
            continue;
        printf("%s%s: %s, %s", separator, shown(lock->label), verdict_name(lock->verdict),
               lock->reason);
        separator = "; ";
    }
    printf("\n");
    return output_finish(command);
}

static void json_stale(struct json *json, const struct inspected_lock *lock)
{
    json_open(json, NULL, '{');
    json_text(json, "lock", lock->path != NULL ? lock->label : NULL);
    json_text(json, "table", lock->table);
    json_text(json, "verdict", verdict_name(lock->verdict));
    json_text(json, "reason", lock->reason);
    json_close(json, '}');
}

static int print_json(const char *command, const struct inspection *inspection, size_t stale)
{
    struct json json = {.file = stdout};
    output_prepare();
    json_open(&json, NULL, '{');
    json_boolean(&json, "healthy", stale == 0);
    json_number(&json, "lock_count", inspection->count);
    json_open(&json, "stale", '[');
    for (size_t i = 0; i < inspection->count; i++)
        if (verdict_is_stale(inspection->locks[i].verdict))
            json_stale(&json, &inspection->locks[i]);
    json_close(&json, ']');
    json_close(&json, '}');
    return output_finish(command);
}

int check_command(const struct command_description *description, int count, char **words)
{
    static const struct argument_option options[] = {REQUEST_OPTIONS};
    struct command_request request;
    int status = request_parse(&request, description, options, sizeof options / sizeof *options,
                               NULL, count, words);
    if (status >= 0)
        return status;
    request.bare_holders = request.bare_waiters = true;
    const struct inspection *inspection = request_look_at_own(&request, &status);
    if (inspection == NULL)
        return status;
    size_t stale = count_stale(inspection);
    status = request.style.json ? print_json(description->name, inspection, stale)
                                : print_line(description->name, inspection, stale);
    return status == STATUS_DONE && stale > 0 ? STATUS_STALE : status;
}
