/*
 * Which locks are shown, in which order. Sorted is by what a column's cells say exactly, so that
 * no second list of columns is needed. It must never keep a pointer into a picture that is gone.
 */
#include "lockctl/top/view.h"

#include "lockctl/inspect/lock_columns.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static const struct {
    const char *name;
    const char *help;
} FILTER_WORDS[FILTERS] = {
    [FILTER_ALL] = {"all", "every lock"},
    [FILTER_HELD] = {"held", "those that somebody holds"},
    [FILTER_WAITED] = {"waited", "those that somebody waits for"},
    [FILTER_STALE] = {"stale", "those that are not well"},
};

const char *filter_name(enum view_filter filter)
{
    return FILTER_WORDS[filter].name;
}

const char *filter_help(enum view_filter filter)
{
    return FILTER_WORDS[filter].help;
}

bool filter_of(const char *name, enum view_filter *filter)
{
    for (int i = 0; i < FILTERS; i++)
        if (strcmp(FILTER_WORDS[i].name, name) == 0) {
            *filter = (enum view_filter)i;
            return true;
        }
    return false;
}

bool view_sort_by(struct top_view *view, const char *name)
{
    bool reversed = name[0] == '-';
    for (size_t i = 0; i < LOCK_COLUMN_COUNT; i++) {
        if (strcasecmp(LOCK_COLUMNS[i].name, name + reversed) != 0)
            continue;
        view->sort = &LOCK_COLUMNS[i];
        view->reversed = reversed;
        return true;
    }
    return false;
}

const struct column *view_column_beside(const struct top_view *view, int step)
{
    struct output *output =
        output_begin(view->style, "top", "locks", LOCK_COLUMNS, LOCK_COLUMN_COUNT);
    if (output == NULL)
        return view->sort;
    size_t count = 0;
    size_t place = 0;
    bool found = false;
    for (; output_column(output, count) != NULL; count++)
        if (!found && output_column(output, count) == view->sort) {
            place = count;
            found = true;
        }
    if (found)
        place = (place + count + (size_t)step) % count;
    const struct column *column = output_column(output, place);
    output_drop(output);
    return column;
}

/* --- what is shown --- */

static bool contains(const char *text, const char *part)
{
    return text != NULL && strcasestr(text, part) != NULL;
}

static bool is_found(const struct inspected_lock *lock, const char *part)
{
    if (part[0] == '\0' || contains(lock->label, part) || contains(lock->table, part))
        return true;
    for (size_t i = 0; i < lock->holder_count; i++)
        if (contains(lock->holders[i].process->command, part))
            return true;
    for (size_t i = 0; i < lock->waiter_count; i++)
        if (contains(lock->waiters[i].process->command, part))
            return true;
    return false;
}

static bool is_shown(const struct top_view *view, const struct inspected_lock *lock)
{
    switch (view->filter) {
    case FILTER_HELD:
        if (!lock->held)
            return false;
        break;
    case FILTER_WAITED:
        if (lock->waiter_count == 0)
            return false;
        break;
    case FILTER_STALE:
        if (!verdict_is_stale(lock->verdict))
            return false;
        break;
    default:
        break;
    }
    return is_found(lock, view->search);
}

/* --- order --- */

struct key {
    const struct inspected_lock *lock;
    char *text; /* NULL: not known */
    size_t place;
};

struct order {
    bool numbers;
    bool verdicts;
    bool reversed;
};

/* Decimal numbers without sign or leading zeros, as cells have them when they are exact. */
static int compare_numbers(const char *left, const char *right)
{
    size_t one = strspn(left, "0123456789");
    size_t other = strspn(right, "0123456789");
    return one != other ? (one > other) - (one < other) : strcmp(left, right);
}

/* What is not known comes last, either way round; equals stay as the inspection has them. */
static int compare_keys(const void *left, const void *right, void *context)
{
    const struct key *one = left;
    const struct key *other = right;
    const struct order *order = context;
    int result = 0;
    if (one->text == NULL || other->text == NULL)
        result = (one->text == NULL) - (other->text == NULL);
    else {
        /* The largest and the worst first, texts by the alphabet. */
        if (order->verdicts)
            result = (int)other->lock->verdict - (int)one->lock->verdict;
        else if (order->numbers)
            result = compare_numbers(other->text, one->text);
        else
            result = strcasecmp(one->text, other->text);
        if (order->reversed)
            result = -result;
    }
    return result != 0 ? result : (one->place > other->place) - (one->place < other->place);
}

static void *need(void *memory)
{
    if (memory == NULL)
        err(STATUS_FAILED, NULL);
    return memory;
}

static void sort_rows(struct top_view *view)
{
    static const struct output_style exact = {.raw = true};
    struct order order = {.numbers = (view->sort->flags & COLUMN_NUMBER) != 0,
                          .verdicts = strcmp(view->sort->key, "verdict") == 0,
                          .reversed = view->reversed};
    struct output *output =
        need(output_begin(&exact, "top", "locks", LOCK_COLUMNS, LOCK_COLUMN_COUNT));
    struct key *keys = need(calloc(view->count + 1, sizeof *keys));
    for (size_t i = 0; i < view->count; i++) {
        const char *text = view->sort->cell(output, view->rows[i]);
        keys[i] = (struct key){view->rows[i], text != NULL ? need(strdup(text)) : NULL, i};
    }
    output_drop(output);
    qsort_r(keys, view->count, sizeof *keys, compare_keys, &order);
    for (size_t i = 0; i < view->count; i++) {
        view->rows[i] = keys[i].lock;
        free(keys[i].text);
    }
    free(keys);
}

/* --- the selection --- */

static bool is_selection(const struct top_view *view, const struct inspected_lock *lock)
{
    const struct lock_identity *selection = &view->selection;
    return selection->label != NULL && selection->device == lock->device &&
           selection->inode == lock->inode && strcmp(selection->label, lock->label) == 0;
}

static void remember_selection(struct top_view *view)
{
    const struct inspected_lock *lock = view_selected(view);
    free(view->selection.label);
    view->selection = (struct lock_identity){.label = NULL};
    if (lock != NULL)
        view->selection =
            (struct lock_identity){lock->device, lock->inode, need(strdup(lock->label))};
}

/* Without the lock that was selected, the row where it stood is. */
static void find_selection(struct top_view *view)
{
    for (size_t i = 0; i < view->count; i++)
        if (is_selection(view, view->rows[i])) {
            view->selected = i;
            return;
        }
    if (view->selected >= view->count)
        view->selected = view->count > 0 ? view->count - 1 : 0;
}

void view_select(struct top_view *view, long distance)
{
    long row = (long)view->selected;
    long last = (long)view->count - 1;
    row = distance > last - row ? last : row + distance;
    view->selected = row > 0 ? (size_t)row : 0;
    remember_selection(view);
}

const struct inspected_lock *view_selected(const struct top_view *view)
{
    return view->selected < view->count ? view->rows[view->selected] : NULL;
}

/* --- looking --- */

void view_arrange(struct top_view *view)
{
    free(view->rows);
    view->count = 0;
    view->rows = need(calloc(view->picture->count + 1, sizeof(const struct inspected_lock *)));
    for (size_t i = 0; i < view->picture->count; i++)
        if (is_shown(view, &view->picture->locks[i]))
            view->rows[view->count++] = &view->picture->locks[i];
    sort_rows(view);
    find_selection(view);
}

bool view_look(struct top_view *view)
{
    struct timespec now;
    const struct inspection *picture = inspector_look(view->inspector);
    if (picture == NULL)
        return false;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    view->looked_at = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    view->picture = picture;
    view_arrange(view);
    return true;
}

void view_free(struct top_view *view)
{
    free(view->rows);
    free(view->selection.label);
    if (view->inspector != NULL)
        inspector_close(view->inspector);
    *view = (struct top_view){.style = NULL};
}
