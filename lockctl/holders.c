/*
 * lockctl holders and lockctl waiters: a line a process; with --tree, who waits behind whom.
 */
#include "lockctl/inspect/process_columns.h"
#include "lockctl/inspect/process_tree.h"
#include "lockctl/inspect/request.h"

#include <stdio.h>

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

static void print_holder_columns(void)
{
    output_print_columns(HOLDER_COLUMNS, HOLDER_COLUMN_COUNT);
}

static void print_waiter_columns(void)
{
    output_print_columns(WAITER_COLUMNS, WAITER_COLUMN_COUNT);
}

static int print_tree(const struct command_request *request, const char *command,
                      const struct inspection *inspection)
{
    struct output *output =
        output_begin(&request->style, command, command, TREE_COLUMNS, TREE_COLUMN_COUNT);
    if (output == NULL)
        return STATUS_USAGE;
    process_tree_add(output, inspection);
    return output_end(output);
}

/* --- the lists --- */

static void add_lock(struct output *output, const struct inspected_lock *lock, bool holders)
{
    for (size_t i = 0; holders && i < lock->holder_count; i++)
        (void)output_row(output, NULL, &(struct process_row){lock, &lock->holders[i], NULL});
    for (size_t i = 0; !holders && i < lock->waiter_count; i++)
        (void)output_row(output, NULL, &(struct process_row){lock, NULL, &lock->waiters[i]});
}

static int list(const struct command_description *description, bool holders, int count,
                char **words)
{
    static const struct argument_option options[] = {REQUEST_OPTIONS, TREE_OPTION};
    struct command_request request;
    int status = request_parse(&request, description, options, sizeof options / sizeof *options,
                               holders ? print_holder_columns : print_waiter_columns, count, words);
    if (status >= 0)
        return status;
    const struct inspection *inspection = request_look(&request, &status);
    if (inspection == NULL)
        return status;
    if (request.tree)
        return print_tree(&request, description->name, inspection);
    struct output *output = holders ? output_begin(&request.style, description->name, "holders",
                                                   HOLDER_COLUMNS, HOLDER_COLUMN_COUNT)
                                    : output_begin(&request.style, description->name, "waiters",
                                                   WAITER_COLUMNS, WAITER_COLUMN_COUNT);
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
