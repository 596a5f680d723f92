/*
 * lockctl stats: how often each lock was taken, waited for and lost, and how long that took. A page
 * a lock for people, a row a lock for everything else.
 */
#include "lockctl/lockctl.h"

#include "lockctl/format.h"
#include "lockctl/inspect/arguments.h"
#include "lockctl/inspect/histogram.h"
#include "lockctl/inspect/output.h"
#include "lockctl/inspect/tell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

const char STATS_DETAILS[] =
    "Counted are guarded processes, since the registry was made. Times are at most\n"
    "1/16 off, but for mean and max. Wait times are of those who had to wait and\n"
    "got the lock. With -o, --raw, --noheadings or --json it is one row a lock.\n"
    "Without a name: the tables of the configuration, and those in use.\n"
    "\n"
    "Exit status: 0; 1 if a registry cannot be used; 2 for wrong usage; 5 if one may\n"
    "not be read; 78 for a table that does not exist, or a wrong configuration.\n";

/* One lock, and whatever could be read of it. */
struct row {
    const char *lock;
    const char *table;
    bool known; /* there is a registry */
    struct view_counters counters;
    struct view_histogram wait;
    struct view_histogram hold;
};

/* --- columns --- */

static const char *cell_lock(struct output *output, const void *row)
{
    return cell_text(output, ((const struct row *)row)->lock);
}

static const char *cell_table(struct output *output, const void *row)
{
    return cell_text(output, ((const struct row *)row)->table);
}

static const char *cell_count(struct output *output, const struct row *row, int counter)
{
    return row->known ? cell_number(output, row->counters.values[counter]) : NULL;
}
#define COUNT_CELL(name, counter)                                                                  \
    static const char *cell_##name(struct output *output, const void *row)                         \
    {                                                                                              \
        return cell_count(output, row, counter);                                                   \
    }
COUNT_CELL(acquisitions, COUNT_ACQUISITIONS)
COUNT_CELL(contended, COUNT_CONTENDED)
COUNT_CELL(timeouts, COUNT_TIMEOUTS)
COUNT_CELL(deadlocks, COUNT_DEADLOCKS)
COUNT_CELL(crashes, COUNT_CRASHES)
COUNT_CELL(breaks, COUNT_BREAKS)
COUNT_CELL(fenced, COUNT_FENCED)
COUNT_CELL(joined, COUNT_JOINED)
COUNT_CELL(lost_updates, COUNT_LOST_UPDATES)
COUNT_CELL(rollbacks, COUNT_ROLLBACKS)
COUNT_CELL(overflown, COUNT_OVERFLOWN)

/* Which number of a histogram: a quantile, or one of these. */
#define MEAN (-1.0)
#define MAXIMUM 1.0

static const char *cell_of_times(struct output *output, bool known,
                                 const struct view_histogram *histogram, double which)
{
    if (!known || histogram->count == 0)
        return NULL;
    if (which < 0)
        return cell_duration(output, histogram_mean(histogram));
    return cell_duration(output, which == MAXIMUM ? histogram->maximum
                                                  : histogram_quantile(histogram, which));
}
#define TIMES_CELLS(member)                                                                        \
    static const char *cell_##member##_count(struct output *output, const void *data)              \
    {                                                                                              \
        const struct row *row = data;                                                              \
        return row->known ? cell_number(output, row->member.count) : NULL;                         \
    }                                                                                              \
    TIMES_CELL(member, mean, MEAN)                                                                 \
    TIMES_CELL(member, p50, 0.5)                                                                   \
    TIMES_CELL(member, p90, 0.9)                                                                   \
    TIMES_CELL(member, p99, 0.99)                                                                  \
    TIMES_CELL(member, maximum, MAXIMUM)
#define TIMES_CELL(member, name, which)                                                            \
    static const char *cell_##member##_##name(struct output *output, const void *data)             \
    {                                                                                              \
        const struct row *row = data;                                                              \
        return cell_of_times(output, row->known, &row->member, which);                             \
    }
TIMES_CELLS(wait)
TIMES_CELLS(hold)

#define SHOWN (COLUMN_NUMBER | COLUMN_DEFAULT)
static const struct column COLUMNS[] = {
    {"TABLE", "table", 0.3, COLUMN_DEFAULT | COLUMN_TRUNCATE, "the table", cell_table},
    {"LOCK", "lock", 0.3, COLUMN_TRUNCATE, "the lock file", cell_lock},
    {"ACQUISITIONS", "acquisitions", 6, SHOWN, "how often it was taken", cell_acquisitions},
    {"CONTENDED", "contended", 6, SHOWN, "how often it had to be waited for", cell_contended},
    {"TIMEOUTS", "timeouts", 4, SHOWN, "waits that were given up", cell_timeouts},
    {"DEADLOCKS", "deadlocks", 4, COLUMN_NUMBER, "waits refused: they would be cycles",
     cell_deadlocks},
    {"CRASHES", "crashes", 4, SHOWN, "holders that died inside", cell_crashes},
    {"BREAKS", "breaks", 4, COLUMN_NUMBER, "locks broken by lockctl", cell_breaks},
    {"FENCED", "fenced", 4, COLUMN_NUMBER, "calls of broken holders that were refused",
     cell_fenced},
    {"JOINED", "joined", 4, COLUMN_NUMBER, "those let in by a holder that waited for them",
     cell_joined},
    {"LOST-UPDATES", "lost_updates", 4, COLUMN_NUMBER, "changes that would have undone another's",
     cell_lost_updates},
    {"ROLLBACKS", "rollbacks", 4, COLUMN_NUMBER, "tables put back after a crash", cell_rollbacks},
    {"OVERFLOWN", "overflown", 4, COLUMN_NUMBER, "those for whom the registry had no room",
     cell_overflown},
    {"WAITS", "wait_count", 6, COLUMN_NUMBER, "waits that ended with the lock", cell_wait_count},
    {"WAIT-MEAN", "wait_mean_seconds", 6, COLUMN_NUMBER, "mean wait", cell_wait_mean},
    {"WAIT-P50", "wait_p50_seconds", 6, SHOWN, "half of the waits were no longer", cell_wait_p50},
    {"WAIT-P90", "wait_p90_seconds", 6, COLUMN_NUMBER, "nine of ten", cell_wait_p90},
    {"WAIT-P99", "wait_p99_seconds", 6, SHOWN, "99 of 100", cell_wait_p99},
    {"WAIT-MAX", "wait_max_seconds", 6, COLUMN_NUMBER, "the longest wait", cell_wait_maximum},
    {"HOLDS", "hold_count", 6, COLUMN_NUMBER, "holds that ended in order", cell_hold_count},
    {"HOLD-MEAN", "hold_mean_seconds", 6, COLUMN_NUMBER, "mean hold", cell_hold_mean},
    {"HOLD-P50", "hold_p50_seconds", 6, SHOWN, "half of the holds were no longer", cell_hold_p50},
    {"HOLD-P90", "hold_p90_seconds", 6, COLUMN_NUMBER, "nine of ten", cell_hold_p90},
    {"HOLD-P99", "hold_p99_seconds", 6, SHOWN, "99 of 100", cell_hold_p99},
    {"HOLD-MAX", "hold_max_seconds", 6, COLUMN_NUMBER, "the longest hold", cell_hold_maximum},
};
enum { COLUMN_COUNT = sizeof COLUMNS / sizeof *COLUMNS };

static void print_columns(void)
{
    output_print_columns(COLUMNS, COLUMN_COUNT);
}

/* --- pages --- */

static unsigned terminal_width(void)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size;
    int width = columns != NULL ? atoi(columns) : 0; // NOLINT(cert-err34-c): 0 when it is none
    if (width <= 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        width = size.ws_col;
    return width <= 0 ? 80 : width < 40 ? 40 : width > 400 ? 400 : (unsigned)width;
}

/* Two columns of counters, in the order of their enum. */
static void print_counters(const struct row *row)
{
    for (int i = 0; i < COUNTERS && tell_counter((enum registry_counter)i) != NULL; i++)
        printf("%s  %-14s%10llu",
               i == 0       ? ""
               : i % 2 == 0 ? "\n"
                            : "  ",
               tell_counter((enum registry_counter)i), (unsigned long long)row->counters.values[i]);
    (void)putchar('\n');
}

static void print_times(const char *what, const struct view_histogram *histogram, unsigned width)
{
    static const double parts[] = {0.5, 0.9, 0.99};
    static const char *const names[] = {"p50", "p90", "p99"};
    char text[FORMAT_TEXT];
    printf("\n  %s: %llu", what, (unsigned long long)histogram->count);
    if (histogram->count > 0) {
        printf(", mean %s", format_duration(text, histogram_mean(histogram)));
        for (size_t i = 0; i < 3; i++)
            printf(", %s %s", names[i],
                   format_duration(text, histogram_quantile(histogram, parts[i])));
        printf(", max %s", format_duration(text, histogram->maximum));
    }
    (void)putchar('\n');
    histogram_draw(histogram, 4, width - 1);
}

static void print_page(const struct row *row, unsigned width)
{
    printf("%s\n", shown(row->table != NULL ? row->table : row->lock));
    if (row->table != NULL)
        printf("  lock file     %s\n", shown(row->lock));
    if (!row->known) {
        printf("  nothing is known of it\n");
        return;
    }
    print_counters(row);
    print_times("waits", &row->wait, width);
    print_times("holds", &row->hold, width);
}

/* --- the command --- */

struct request {
    struct output_style style;
    const char *config;
};

static const struct argument_option OPTIONS[] = {
    OUTPUT_OPTIONS,
    {"config", '\0', "FILE", "configuration file (default: /etc/lockshim.conf if there)"},
};

static int take_option(void *context, int option, const char *value)
{
    struct request *request = context;
    if (option < OUTPUT_OPTION_COUNT)
        return output_take(&request->style, option, value);
    request->config = value;
    return STATUS_DONE;
}

static void read_row(struct row *row, const struct target *target, int *status)
{
    struct registry_view view;
    memset(row, 0, sizeof *row);
    row->lock = target->lock_path;
    row->table = target->table;
    if (tell_open(target, &view, "stats", status)) {
        row->table = tell_table(target, &view);
        row->known = registry_view_counters(&view, &row->counters) &&
                     registry_view_wait_times(&view, &row->wait) &&
                     registry_view_hold_times(&view, &row->hold);
    }
    registry_view_close(&view);
}

static int print_pages(const struct targets *targets)
{
    static struct row row;
    int status = STATUS_DONE;
    output_prepare();
    for (size_t i = 0; i < targets->count; i++) {
        read_row(&row, &targets->items[i], &status);
        if (i > 0)
            (void)putchar('\n');
        print_page(&row, terminal_width());
    }
    int written = output_finish("stats");
    return written != STATUS_DONE ? written : status;
}

static int print_rows(const struct targets *targets, const struct output_style *style)
{
    static struct row row;
    int status = STATUS_DONE;
    struct output *output = output_begin(style, "stats", "stats", COLUMNS, COLUMN_COUNT);
    if (output == NULL)
        return STATUS_USAGE;
    for (size_t i = 0; i < targets->count; i++) {
        read_row(&row, &targets->items[i], &status);
        (void)output_row(output, NULL, &row);
    }
    int written = output_end(output);
    return written != STATUS_DONE ? written : status;
}

int stats_command(const struct command_description *description, int count, char **words)
{
    struct request request = {{false, false, false, NULL}, NULL};
    static struct targets targets;
    int status = arguments_parse(description, OPTIONS, sizeof OPTIONS / sizeof *OPTIONS,
                                 take_option, &request, print_columns, count, words, &words);
    if (status < 0)
        status = tell_collect_used(&targets, words, request.config, "stats");
    else
        return status;
    if (status != STATUS_DONE)
        return status;
    const struct output_style *style = &request.style;
    bool rows = style->json || style->raw || style->no_headings || style->columns != NULL;
    return rows ? print_rows(&targets, style) : print_pages(&targets);
}
