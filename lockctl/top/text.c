/*
 * The view as text: tables are laid out by the printer that all commands share, so that columns,
 * widths and the harmlessness of foreign text are the same here.
 */
#include "lockctl/format.h"
#include "lockctl/inspect/lock_columns.h"
#include "lockctl/inspect/process_columns.h"
#include "lockctl/inspect/process_tree.h"
#include "lockctl/top/view.h"

#include <err.h>
#include <stdio.h>
#include <string.h>

static struct output *begin(const struct output_style *style, const char *name,
                            const struct column *columns, size_t count, size_t width)
{
    struct output *output = output_begin(style, "top", name, columns, count);
    if (output == NULL) /* it complained; the style was tried at the start */
        errx(STATUS_USAGE, "no columns");
    if (width > 0)
        output_set_width(output, width);
    return output;
}

char *view_table(const struct top_view *view, size_t width)
{
    struct output *output = begin(view->style, "locks", LOCK_COLUMNS, LOCK_COLUMN_COUNT, width);
    for (size_t i = 0; i < view->count; i++)
        (void)output_row(output, NULL, view->rows[i]);
    return output_end_text(output);
}

char *view_processes(const struct top_view *view, const struct inspected_lock *lock, size_t width)
{
    static const struct output_style style = {.columns = NULL};
    struct output *output = begin(&style, "processes", TREE_COLUMNS, TREE_COLUMN_COUNT, width);
    process_tree_add_lock(output, view->picture, lock);
    return output_end_text(output);
}

void view_summary(const struct top_view *view, char *text, size_t size)
{
    char moment[FORMAT_TEXT];
    size_t held = 0;
    size_t waiters = 0;
    size_t stale = 0;
    for (size_t i = 0; i < view->picture->count; i++) {
        const struct inspected_lock *lock = &view->picture->locks[i];
        held += lock->held;
        waiters += lock->waiter_count;
        stale += verdict_is_stale(lock->verdict);
    }
    format_time(moment, view->looked_at);
    const char *time_of_day = strchr(moment, ' ');
    size_t count = view->picture->count;
    (void)snprintf(text, size, "lockctl top%s: %zu lock%s, %zu held, %zu waiting, %zu not well",
                   time_of_day != NULL ? time_of_day : "", count, count == 1 ? "" : "s", held,
                   waiters, stale);
}
