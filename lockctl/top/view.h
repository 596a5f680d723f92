/*
 * What `lockctl top` shows, apart from where: the picture of the last look, which of its locks, in
 * which order, and which one is selected.
 */
#ifndef LOCKCTL_TOP_VIEW_H
#define LOCKCTL_TOP_VIEW_H

#include "lockctl/inspect/inspect.h"
#include "lockctl/inspect/output.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum view_filter { FILTER_ALL, FILTER_HELD, FILTER_WAITED, FILTER_STALE, FILTERS };

/* The word for it, and a line of help, in static memory. */
const char *filter_name(enum view_filter filter);
const char *filter_help(enum view_filter filter);
bool filter_of(const char *name, enum view_filter *filter);

/* A lock by what stays the same from look to look. */
struct lock_identity {
    uint64_t device, inode;
    char *label; /* NULL: none */
};

struct top_view {
    const struct output_style *style; /* which columns */
    struct inspector *inspector;
    const struct inspection *picture; /* of the last look that succeeded; NULL: none yet */
    uint64_t looked_at;               /* CLOCK_REALTIME, nanoseconds */

    const struct column *sort;
    bool reversed;
    enum view_filter filter;
    char search[64]; /* shown are only locks in whose path, table or commands this is; "": all */

    const struct inspected_lock **rows; /* those shown, in order */
    size_t count;
    size_t selected; /* a row; 0 without any */
    struct lock_identity selection;
};

/*
 * The column that locks are sorted by: "NAME", or "-NAME" for the other way round. False: there is
 * no such column.
 */
bool view_sort_by(struct top_view *view, const char *name);

/* The shown column so many to the right of the one that is sorted by; the first for one that is not
 * shown. */
const struct column *view_column_beside(const struct top_view *view, int step);

/* Looks again, keeping the selection. False: it could not be done; the rows are what they were. */
bool view_look(struct top_view *view);

/* After filter, search or order were changed. */
void view_arrange(struct top_view *view);

/* Moves the selection by so many rows, as far as there are any. */
void view_select(struct top_view *view, long distance);
const struct inspected_lock *view_selected(const struct top_view *view);

void view_free(struct top_view *view);

/*
 * Texts, in lines that end in '\n'; the caller frees them. `width` 0: as wide as it comes. The
 * table has its headings in the first line.
 */
char *view_table(const struct top_view *view, size_t width);
char *view_processes(const struct top_view *view, const struct inspected_lock *lock, size_t width);

/* One line without its end: how many locks, held, waited for, not well. */
void view_summary(const struct top_view *view, char *text, size_t size);

#endif
