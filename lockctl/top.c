/*
 * lockctl top: the locks as they are now, again and again: a screen on a terminal, plain tables
 * elsewhere.
 */
#include "lockctl/format.h"
#include "lockctl/inspect/lock_columns.h"
#include "lockctl/inspect/request.h"
#include "lockctl/top/live.h"
#include "lockctl/top/screen.h"
#include "shim/lock/registry.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DELAY_DEFAULT 1000000000u
#define DELAY_LEAST 100000000u

const char TOP_DETAILS[] =
    "A word is a table or a lock file; without, those of the configuration and every\n"
    "flock on the system. Keys: ? lists them, q quits. Where the output is no terminal,\n"
    "or one that can't move its cursor, tables are printed one below the other.\n"
    "\n"
    "Sorting puts the worst and the largest first, texts by the alphabet. Shown can be:\n"
    "all, held, waited (somebody waits), stale (not well).\n"
    "\n"
    "Exit status: 0; 1 it could not be done; 2 wrong usage; 78 wrong settings or no\n"
    "such lock; ended by a signal other than SIGINT, that signal.\n";

struct top_request {
    struct command_request request;
    struct live live;
    bool batch;
};

/* --- options --- */

enum {
    OPTION_DELAY,
    OPTION_COUNT,
    OPTION_BATCH,
    OPTION_SORT,
    OPTION_FILTER,
    OPTION_OUTPUT,
    OPTION_CONFIG,
    OPTION_STUCK_AFTER,
    OPTIONS
};

static const struct argument_option TOP_OPTIONS[OPTIONS] = {
    [OPTION_DELAY] = {"delay", 'd', "SECONDS", "time between looks (default: 1, at least 0.1)"},
    [OPTION_COUNT] = {"count", 'n', "COUNT", "end after so many looks"},
    [OPTION_BATCH] = {"batch", 'b', NULL, "plain tables, even on a terminal"},
    [OPTION_SORT] = {"sort", 'S', "COLUMN",
                     "sort by it (default: VERDICT); -COLUMN: the other way"},
    [OPTION_FILTER] = {"filter", 'f', "WHICH", "all, held, waited or stale"},
    [OPTION_OUTPUT] = {"output", 'o', "COLUMNS", "which columns; +COLUMNS: further ones"},
    [OPTION_CONFIG] = {"config", 'c', "FILE", "configuration file (default: /etc/lockshim.conf)"},
    [OPTION_STUCK_AFTER] = {"stuck-after", 's', "SECONDS",
                            "held so long without a touch while others wait, a lock is\n"
                            "stuck (default: 300)"},
};

static int wrong(const char *option, const char *value, const char *what)
{
    complain("top: --%s: '%s' is %s", option, shown(value), what);
    return STATUS_USAGE;
}

static int take_option(void *context, int option, const char *value)
{
    struct top_request *top = context;
    struct live *live = &top->live;
    char *end;
    switch (option) {
    case OPTION_DELAY:
        if (!arguments_seconds(value, &live->delay) || live->delay < DELAY_LEAST)
            return wrong("delay", value, "no number of seconds, or less than 0.1");
        break;
    case OPTION_COUNT:
        errno = 0;
        live->looks_left = strtoul(value, &end, 10);
        if (live->looks_left == 0 || *end != '\0' || errno != 0 || value[0] == '-')
            return wrong("count", value, "no number from 1 up");
        break;
    case OPTION_BATCH:
        top->batch = true;
        break;
    case OPTION_SORT:
        if (!view_sort_by(&live->view, value))
            return wrong("sort", value, "no column; --help lists them");
        break;
    case OPTION_FILTER:
        if (!filter_of(value, &live->view.filter))
            return wrong("filter", value, "none of all, held, waited, stale");
        break;
    case OPTION_OUTPUT:
        top->request.style.columns = value;
        break;
    case OPTION_CONFIG:
        top->request.config = value;
        break;
    default:
        return request_take(&top->request, REQUEST_STUCK_AFTER, value);
    }
    return STATUS_DONE;
}

static void print_columns(void)
{
    output_print_columns(LOCK_COLUMNS, LOCK_COLUMN_COUNT);
}

/* --- plain tables --- */

/* False: nobody reads any more. */
static bool write_all(const char *text)
{
    return fputs(text, stdout) >= 0;
}

static int print_look(const struct top_view *view, bool first)
{
    char summary[256];
    view_summary(view, summary, sizeof summary);
    char *table = view_table(view, 0);
    bool written =
        (first || write_all("\n")) && write_all(summary) && write_all("\n") && write_all(table);
    for (size_t i = 0; i < view->count && written; i++)
        if (verdict_is_stale(view->rows[i]->verdict))
            written = printf("%s: %s: %s.\n", shown(view->rows[i]->label),
                             verdict_name(view->rows[i]->verdict), view->rows[i]->reason) > 0;
    free(table);
    return written && fflush(stdout) == 0 ? 0 : errno;
}

/* Until the next look is due; false: whoever reads has gone meanwhile. */
static bool pause_for(uint64_t delay)
{
    struct timespec timeout = {(time_t)(delay / 1000000000), (long)(delay % 1000000000)};
    struct pollfd output = {STDOUT_FILENO, 0, 0};
    return ppoll(&output, 1, &timeout, NULL) == 0;
}

static int print_looks(struct live *live)
{
    for (bool first = true;; first = false) {
        if (!view_look(&live->view))
            return STATUS_FAILED;
        int error = print_look(&live->view, first);
        if (error == EPIPE)
            return STATUS_DONE;
        if (error != 0) {
            complain("top: the output could not be written: %s", strerror(error));
            return STATUS_FAILED;
        }
        if (live->looks_left > 0 && --live->looks_left == 0)
            return STATUS_DONE;
        if (!pause_for(live->delay))
            return STATUS_DONE;
    }
}

/* --- the command --- */

/* The screen, if there is one; else -1. */
static int show_screen(struct live *live)
{
    if (!screen_is_possible() || !screen_open())
        return -1;
    live_run(live);
    screen_close();
    int number = screen_ending_signal();
    if (number == 0 || number == SIGINT)
        return STATUS_DONE;
    (void)signal(number, SIG_DFL);
    (void)raise(number);
    return STATUS_SIGNAL_BASE + number;
}

/* Columns that do not exist are complained of before the screen is taken. */
static bool columns_exist(const struct output_style *style)
{
    struct output *output = output_begin(style, "top", "locks", LOCK_COLUMNS, LOCK_COLUMN_COUNT);
    if (output != NULL)
        output_drop(output);
    return output != NULL;
}

int top_command(const struct command_description *description, int count, char **words)
{
    struct top_request top = {.request = {.stuck_after = STUCK_AFTER_DEFAULT},
                              .live = {.delay = DELAY_DEFAULT}};
    struct command_request *request = &top.request;
    struct live *live = &top.live;
    (void)view_sort_by(&live->view, "VERDICT");
    int status = arguments_parse(description, TOP_OPTIONS, OPTIONS, take_option, &top,
                                 print_columns, count, words, &request->words);
    if (status >= 0)
        return status;
    if (!columns_exist(&request->style))
        return STATUS_USAGE;
    status = targets_collect(&request->targets, request->words, request->config);
    if (status != STATUS_DONE)
        return status;
    live->view.style = &request->style;
    live->config = request->config;
    live->stuck_after = request->stuck_after;
    live->view.inspector = inspector_open(&(struct inspect_request){
        .targets = &request->targets,
        .everything = request->words[0] == NULL,
        .stuck_after = (int64_t)request->stuck_after,
        .live = true,
    });
    status = top.batch ? -1 : show_screen(live);
    if (status < 0)
        status = print_looks(live);
    view_free(&live->view);
    free(live->text);
    free(live->doomed.lock.label);
    return status;
}
