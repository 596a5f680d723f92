/*
 * lockctl metrics: the registries as Prometheus text exposition (format 0.0.4). A file is replaced
 * whole or not at all: node_exporter may read it at any time.
 */
#include "lockctl/lockctl.h"

#include "lockctl/format.h"
#include "lockctl/inspect/arguments.h"
#include "lockctl/inspect/histogram.h"
#include "lockctl/inspect/json.h"
#include "lockctl/inspect/output.h"
#include "lockctl/inspect/tell.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char METRICS_DETAILS[] =
    "With --output the file is replaced whole, for node_exporter's textfile\n"
    "collector. A lock that was never used guarded has lockshim_registry_up 0 only.\n"
    "\n"
    "Exit status: 0; 1 if a registry cannot be used, or the output not be written;\n"
    "2 for wrong usage; 5 for missing permission; 78 for a table that does not\n"
    "exist, or a wrong configuration.\n";

/* One lock, read once: all metrics of it are of one moment, as near as can be. */
struct sample {
    const char *lock;
    const char *table;
    bool known;
    bool head_known;
    struct view_head head;
    size_t holders;
    size_t waiters;
    uint64_t oldest_hold; /* ns */
    uint64_t oldest_wait; /* ns */
    struct view_counters counters;
    struct view_histogram wait;
    struct view_histogram hold;
};

struct samples {
    struct sample *items;
    size_t count;
};

/* --- reading --- */

static void note_age(uint64_t *oldest, uint64_t since, uint64_t now)
{
    if (since != 0 && since <= now && now - since > *oldest)
        *oldest = now - since;
}

static void count_processes(struct sample *sample, const struct registry_view *view)
{
    static struct view_holder holders[REGISTRY_HOLDERS];
    static struct view_waiter waiters[REGISTRY_WAITERS];
    uint64_t now = registry_now();
    struct view_holder exclusive = {.process = 0};
    bool is_held = registry_view_exclusive(view, &exclusive) && exclusive.life != VIEW_GONE;
    if (is_held) {
        sample->holders++;
        note_age(&sample->oldest_hold, exclusive.since, now);
    }
    size_t count = registry_view_holders(view, holders);
    for (size_t i = 0; i < count; i++) {
        if (holders[i].life == VIEW_GONE)
            continue;
        /* A member of a command stands in both places. */
        sample->holders += !is_held || holders[i].process != exclusive.process;
        note_age(&sample->oldest_hold, holders[i].since, now);
    }
    count = registry_view_waiters(view, waiters);
    for (size_t i = 0; i < count; i++) {
        if (waiters[i].life == VIEW_GONE)
            continue;
        sample->waiters++;
        note_age(&sample->oldest_wait, waiters[i].since, now);
    }
}

static void read_sample(struct sample *sample, const struct target *target, int *status)
{
    struct registry_view view;
    memset(sample, 0, sizeof *sample);
    sample->lock = target->lock_path;
    sample->table = target->table;
    if (tell_open(target, &view, "metrics", status)) {
        sample->table = tell_table(target, &view);
        sample->known = registry_view_counters(&view, &sample->counters) &&
                        registry_view_wait_times(&view, &sample->wait) &&
                        registry_view_hold_times(&view, &sample->hold) &&
                        registry_view_head(&view, &sample->head);
        count_processes(sample, &view);
    }
    registry_view_close(&view);
}

static struct samples read_samples(const struct targets *targets, int *status)
{
    struct samples samples = {calloc(targets->count, sizeof *samples.items), targets->count};
    if (samples.items == NULL)
        err(STATUS_FAILED, NULL);
    for (size_t i = 0; i < targets->count; i++)
        read_sample(&samples.items[i], &targets->items[i], status);
    return samples;
}

/* --- labels --- */

/*
 * A label's value: backslash, quote and newline are escaped. It must be UTF-8, may be read on a
 * terminal, and must not be cut, or two series could have one name: a byte that is no part of a
 * character becomes \ooo.
 */
static void print_label(FILE *file, const char *name, const char *value)
{
    (void)fprintf(file, "%s=\"", name);
    for (const unsigned char *at = (const unsigned char *)value; *at != '\0';) {
        uint32_t character;
        unsigned length = json_character(at, &character);
        if (length == 0 || character < 0x20 || (character >= 0x7f && character < 0xa0)) {
            (void)fprintf(file, "\\\\%03o", *at++);
            continue;
        }
        if (character == '\\' || character == '"')
            (void)fputc('\\', file);
        (void)fwrite(at, 1, length, file);
        at += length;
    }
    (void)fputc('"', file);
}

/* {lock="…",table="…"}, with one more label if `bound` is not NULL. */
static void print_labels(FILE *file, const struct sample *sample, const char *bound)
{
    (void)fputc('{', file);
    print_label(file, "lock", sample->lock);
    (void)fputc(',', file);
    print_label(file, "table", sample->table != NULL ? sample->table : "");
    if (bound != NULL)
        (void)fprintf(file, ",le=\"%s\"", bound);
    (void)fputc('}', file);
}

/* --- metrics --- */

static void print_head(FILE *file, const char *name, const char *type, const char *help)
{
    (void)fprintf(file, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static const struct {
    enum registry_counter counter;
    const char *name;
    const char *help;
} COUNTER_METRICS[] = {
    {COUNT_ACQUISITIONS, "lockshim_acquisitions_total", "How often the lock was taken."},
    {COUNT_CONTENDED, "lockshim_contended_total", "How often the lock had to be waited for."},
    {COUNT_TIMEOUTS, "lockshim_timeouts_total", "Waits that were given up after their timeout."},
    {COUNT_DEADLOCKS, "lockshim_deadlocks_total", "Waits that were refused as part of a cycle."},
    {COUNT_CRASHES, "lockshim_crashes_total", "Holders that died while they changed the table."},
    {COUNT_BREAKS, "lockshim_breaks_total", "Times that the lock was broken by lockctl."},
    {COUNT_FENCED, "lockshim_fenced_calls_total",
     "Calls refused because the caller's lock had been broken."},
    {COUNT_JOINED, "lockshim_joined_total",
     "Processes let in under the lock of a holder that waited for them."},
    {COUNT_LOST_UPDATES, "lockshim_lost_updates_total",
     "Changes that would have undone another process's change."},
    {COUNT_ROLLBACKS, "lockshim_rollbacks_total",
     "Times that the table was put back after its holder had died."},
    {COUNT_OVERFLOWN, "lockshim_overflows_total",
     "Holders and waiters for whom the registry had no room."},
};

static void print_counters(FILE *file, const struct samples *samples)
{
    for (size_t i = 0; i < sizeof COUNTER_METRICS / sizeof *COUNTER_METRICS; i++) {
        print_head(file, COUNTER_METRICS[i].name, "counter", COUNTER_METRICS[i].help);
        for (size_t k = 0; k < samples->count; k++) {
            const struct sample *sample = &samples->items[k];
            if (!sample->known)
                continue;
            (void)fputs(COUNTER_METRICS[i].name, file);
            print_labels(file, sample, NULL);
            (void)fprintf(file, " %llu\n",
                          (unsigned long long)sample->counters.values[COUNTER_METRICS[i].counter]);
        }
    }
}

/*
 * Bounds are powers of two nanoseconds, 16 µs to 73 minutes: buckets of the registry begin there,
 * so the counts are exact and never fall.
 */
enum { FIRST_BOUND = 14, LAST_BOUND = 42 };

static void print_histogram(FILE *file, const char *name, const struct sample *sample,
                            const struct view_histogram *histogram)
{
    char text[FORMAT_TEXT];
    for (unsigned exponent = FIRST_BOUND; exponent <= LAST_BOUND; exponent++) {
        uint64_t bound = UINT64_C(1) << exponent;
        (void)fprintf(file, "%s_bucket", name);
        print_labels(file, sample, format_seconds(text, bound));
        (void)fprintf(file, " %llu\n", (unsigned long long)histogram_below(histogram, bound));
    }
    (void)fprintf(file, "%s_bucket", name);
    print_labels(file, sample, "+Inf");
    (void)fprintf(file, " %llu\n%s_sum", (unsigned long long)histogram->count, name);
    print_labels(file, sample, NULL);
    (void)fprintf(file, " %s\n%s_count", format_seconds(text, histogram->sum), name);
    print_labels(file, sample, NULL);
    (void)fprintf(file, " %llu\n", (unsigned long long)histogram->count);
}

static void print_histograms(FILE *file, const struct samples *samples)
{
    print_head(file, "lockshim_wait_seconds", "histogram",
               "How long was waited for the lock, by those who had to and got it.");
    for (size_t i = 0; i < samples->count; i++)
        if (samples->items[i].known)
            print_histogram(file, "lockshim_wait_seconds", &samples->items[i],
                            &samples->items[i].wait);
    print_head(file, "lockshim_hold_seconds", "histogram", "How long the lock was held.");
    for (size_t i = 0; i < samples->count; i++)
        if (samples->items[i].known)
            print_histogram(file, "lockshim_hold_seconds", &samples->items[i],
                            &samples->items[i].hold);
}

/* What is so now. */
static const char *value_of_up(const struct sample *sample, char text[static FORMAT_TEXT])
{
    (void)text;
    return sample->known ? "1" : "0";
}

static const char *format_count(char text[static FORMAT_TEXT], uint64_t count)
{
    (void)snprintf(text, FORMAT_TEXT, "%llu", (unsigned long long)count);
    return text;
}

static const char *value_of_holders(const struct sample *sample, char text[static FORMAT_TEXT])
{
    return format_count(text, sample->holders);
}

static const char *value_of_waiters(const struct sample *sample, char text[static FORMAT_TEXT])
{
    return format_count(text, sample->waiters);
}

static const char *value_of_held(const struct sample *sample, char text[static FORMAT_TEXT])
{
    return format_seconds(text, sample->oldest_hold);
}

static const char *value_of_waited(const struct sample *sample, char text[static FORMAT_TEXT])
{
    return format_seconds(text, sample->oldest_wait);
}

static const char *value_of_crashed(const struct sample *sample, char text[static FORMAT_TEXT])
{
    (void)text;
    return sample->head.crashed ? "1" : "0";
}

static const char *value_of_generation(const struct sample *sample, char text[static FORMAT_TEXT])
{
    return format_count(text, sample->head.generation);
}

static const struct {
    const char *name;
    const char *help;
    const char *(*value)(const struct sample *sample, char text[static FORMAT_TEXT]);
} GAUGES[] = {
    {"lockshim_registry_up", "Whether the lock's registry could be read.", value_of_up},
    {"lockshim_holders", "Guarded processes that hold the lock.", value_of_holders},
    {"lockshim_waiters", "Guarded processes that wait for the lock.", value_of_waiters},
    {"lockshim_held_seconds", "For how long the oldest guarded holder has had the lock; 0: none.",
     value_of_held},
    {"lockshim_waited_seconds", "For how long the oldest guarded waiter has waited; 0: none.",
     value_of_waited},
    {"lockshim_crashed", "Whether the last holder died inside and nobody has recovered.",
     value_of_crashed},
    {"lockshim_generation", "How many exclusive holders that changed the table have let go.",
     value_of_generation},
};

static void print_gauges(FILE *file, const struct samples *samples)
{
    for (size_t i = 0; i < sizeof GAUGES / sizeof *GAUGES; i++) {
        print_head(file, GAUGES[i].name, "gauge", GAUGES[i].help);
        for (size_t k = 0; k < samples->count; k++) {
            char text[FORMAT_TEXT];
            if (!samples->items[k].known && i > 0)
                continue;
            (void)fputs(GAUGES[i].name, file);
            print_labels(file, &samples->items[k], NULL);
            (void)fprintf(file, " %s\n", GAUGES[i].value(&samples->items[k], text));
        }
    }
}

static void print_all(FILE *file, const struct samples *samples)
{
    print_gauges(file, samples);
    print_counters(file, samples);
    print_histograms(file, samples);
}

/* --- the file --- */

static int fail(const char *path, int error)
{
    complain("metrics: '%s': %s", shown(path), strerror(error));
    return error == EACCES || error == EPERM ? STATUS_PERMISSION : STATUS_FAILED;
}

/* All or nothing: the bytes are on the disk before the name is theirs. */
static int write_whole(int descriptor, const char *temporary, const char *path,
                       const struct samples *samples)
{
    FILE *file = fdopen(descriptor, "w");
    if (file == NULL) {
        int error = errno;
        (void)close(descriptor);
        return error;
    }
    print_all(file, samples);
    int error = 0;
    if (fflush(file) != 0 || ferror(file) || fchmod(descriptor, 0644) != 0 ||
        fsync(descriptor) != 0)
        error = errno != 0 ? errno : EIO;
    if (fclose(file) != 0 && error == 0)
        error = errno;
    if (error == 0 && rename(temporary, path) != 0)
        error = errno;
    return error;
}

/* A rename is on the disk when its directory is. */
static void sync_directory(const char *path)
{
    char *copy = copy_text(path);
    int directory = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return;
    (void)fsync(directory);
    (void)close(directory);
}

static int replace_file(const char *path, const struct samples *samples)
{
    char *temporary;
    if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
        err(STATUS_FAILED, NULL);
    int descriptor = mkostemp(temporary, O_CLOEXEC);
    int error = descriptor < 0 ? errno : 0;
    errno = 0;
    if (descriptor >= 0) {
        error = write_whole(descriptor, temporary, path, samples);
        if (error != 0)
            (void)unlink(temporary);
        else
            sync_directory(path);
    }
    free(temporary);
    return error == 0 ? STATUS_DONE : fail(path, error);
}

/* --- the command --- */

struct request {
    const char *output;
    const char *config;
};

static const struct argument_option OPTIONS[] = {
    {"output", 'o', "FILE", "write to this file, replacing it whole"},
    {"config", '\0', "FILE", "configuration file (default: /etc/lockshim.conf if there)"},
};

static int take_option(void *context, int option, const char *value)
{
    struct request *request = context;
    if (option == 0)
        request->output = value;
    else
        request->config = value;
    return STATUS_DONE;
}

int metrics_command(const struct command_description *description, int count, char **words)
{
    struct request request = {NULL, NULL};
    static struct targets targets;
    int status = arguments_parse(description, OPTIONS, sizeof OPTIONS / sizeof *OPTIONS,
                                 take_option, &request, NULL, count, words, &words);
    if (status >= 0)
        return status;
    status = tell_collect(&targets, words, request.config, "metrics");
    if (status != STATUS_DONE)
        return status;
    struct samples samples = read_samples(&targets, &status);
    int written;
    if (request.output != NULL) {
        written = replace_file(request.output, &samples);
    } else {
        output_prepare();
        print_all(stdout, &samples);
        written = output_finish("metrics");
    }
    free(samples.items);
    return written != STATUS_DONE ? written : status;
}
