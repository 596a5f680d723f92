/* bench.c: a workload of reads and writes on a table, and what it cost.
 * It must never count the time of choosing an operation as that of doing it. */
#include "store/tool/tool.h"

#include <jansson.h>
#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum operation { GET, SELECT, INSERT, UPDATE, DELETE, OPERATION_COUNT };
static const char *const operation_names[] = {"get", "select", "insert", "update", "delete"};

struct bench {
    const struct options *options;
    const char *path;
    tablestore *table;
    int lock;
    long long shares[OPERATION_COUNT], share_sum;
    double *times[OPERATION_COUNT]; /* in seconds */
    size_t counts[OPERATION_COUNT];
    uint64_t random;
    struct tablestore_assignment *assignments;
    size_t assignment_count;
    char (*texts)[32]; /* of the assignments */
};

/* xorshift64*: the same sequence for the same seed, everywhere. */
static uint64_t next_random(struct bench *bench)
{
    bench->random ^= bench->random >> 12;
    bench->random ^= bench->random << 25;
    bench->random ^= bench->random >> 27;
    return bench->random * 2685821657736338717ULL;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- Options ---- */

static int read_mix(struct bench *bench, const char *mix)
{
    struct list list;
    int status = EXIT_DONE;
    list_make(&list, mix);
    for (size_t i = 0; status == EXIT_DONE && i < list.count; i++) {
        char *name = (char *)(uintptr_t)list.parts[i];
        char *share = strchr(name, '=');
        size_t operation = OPERATION_COUNT;
        if (share != NULL) {
            *share++ = '\0';
            for (operation = 0; operation < OPERATION_COUNT; operation++)
                if (strcmp(name, operation_names[operation]) == 0)
                    break;
        }
        if (operation == OPERATION_COUNT)
            status =
                misused("--mix: not an operation and its share: %s", printable(name, strlen(name)));
        else
            status = parse_number(share, "--mix", 0, &bench->shares[operation]);
    }
    list_free(&list);
    for (size_t i = 0; status == EXIT_DONE && i < OPERATION_COUNT; i++) {
        if (bench->shares[i] > 1000000)
            status = misused("--mix: a share is at most 1000000");
        bench->share_sum += bench->shares[i];
    }
    if (status == EXIT_DONE && bench->share_sum == 0)
        status = misused("--mix: nothing to do");
    return status;
}

/* ---- Operations ---- */

static struct tablestore_value random_value(struct bench *bench,
                                            const struct tablestore_field *field, char text[32])
{
    struct tablestore_value value = {.type = field->type};
    uint64_t number = next_random(bench);
    switch (field->type) {
    case TABLESTORE_INT:
        value.integer = (int64_t)(number % 100000);
        break;
    case TABLESTORE_FLOAT:
        value.real = (double)(number % 1000000) / 1000;
        break;
    case TABLESTORE_BOOL:
        value.boolean = number % 2;
        break;
    case TABLESTORE_REFERENCE:
        value.null = true;
        break;
    case TABLESTORE_STR:
    case TABLESTORE_UNICODE:
        value.text.length =
            (size_t)snprintf(text, 32, "text %llu", (unsigned long long)(number % 100000));
        value.text.bytes = text;
        break;
    default:
        value.moment = (struct tablestore_moment){.year = 1970 + (int)(number % 100),
                                                  .month = 1 + (int)(number / 128 % 12),
                                                  .day = 1 + (int)(number / 2048 % 28),
                                                  .hour = (int)(number / 65536 % 24),
                                                  .minute = (int)(number / 2097152 % 60)};
    }
    return value;
}

static void randomize(struct bench *bench)
{
    size_t count;
    const struct tablestore_field *fields = tablestore_fields(bench->table, &count);
    bench->assignments = need(realloc(bench->assignments, count * sizeof *bench->assignments));
    bench->texts = need(realloc(bench->texts, count * sizeof *bench->texts));
    bench->assignment_count = count - 2;
    for (size_t i = 2; i < count; i++)
        bench->assignments[i - 2] = (struct tablestore_assignment){
            fields[i].name, random_value(bench, &fields[i], bench->texts[i])};
}

static bool count_one(void *context, const struct tablestore_record *record)
{
    (void)record;
    ++*(size_t *)context;
    return true;
}

/* Selects by equality with a random value of the last field. */
static bool do_select(struct bench *bench, struct tablestore_error *error)
{
    size_t found = 0;
    if (bench->assignment_count == 0)
        return tablestore_each(bench->table, count_one, &found, error);
    const struct tablestore_assignment *last = &bench->assignments[bench->assignment_count - 1];
    tablestore_condition *condition =
        tablestore_compare_value(last->field, TABLESTORE_EQUAL, &last->value);
    struct tablestore_query query = {.condition = need(condition)};
    bool done = tablestore_select(bench->table, &query, count_one, &found, error);
    tablestore_condition_free(condition);
    return done;
}

/* A record that another operation has deleted is no failure: it took its time to find that out. */
static bool operate(struct bench *bench, enum operation operation, int64_t id,
                    struct tablestore_error *error)
{
    struct tablestore_record *record;
    bool done;
    switch (operation) {
    case GET:
        record = tablestore_get(bench->table, id, error);
        done = record != NULL;
        tablestore_record_free(record);
        break;
    case SELECT:
        return do_select(bench, error);
    case INSERT:
        return tablestore_insert(bench->table, bench->assignments, bench->assignment_count, NULL,
                                 error);
    case UPDATE:
        done = tablestore_update(bench->table, id, TABLESTORE_ANY_VERSION, bench->assignments,
                                 bench->assignment_count, error);
        break;
    default:
        done = tablestore_delete(bench->table, &id, 1, error);
        break;
    }
    return done || error->status == TABLESTORE_NOT_FOUND;
}

static bool open_table(struct bench *bench, struct tablestore_error *error)
{
    if (bench->options->self_lock != NULL && bench->options->reopen) {
        bench->lock = self_lock_take(bench->options->self_lock);
        if (bench->lock < 0)
            exit(EXIT_FAILED);
    }
    bench->table = tablestore_open(bench->path, TABLESTORE_WRITE, error);
    return bench->table != NULL;
}

static void close_table(struct bench *bench)
{
    tablestore_close(bench->table);
    bench->table = NULL;
    if (bench->lock >= 0)
        close(bench->lock);
    bench->lock = -1;
}

static bool run_one(struct bench *bench, enum operation operation, struct tablestore_error *error)
{
    struct tablestore_summary summary;
    bool reopen = bench->options->reopen;
    if (!reopen && !tablestore_summarize(bench->table, &summary, error))
        return false;
    uint64_t number = next_random(bench);
    if (!reopen)
        randomize(bench);
    double begun = seconds();
    if (reopen) {
        if (!open_table(bench, error) || !tablestore_summarize(bench->table, &summary, error))
            return false;
        randomize(bench);
    }
    int64_t id = summary.next_id == 0 ? 0 : (int64_t)(number % (uint64_t)summary.next_id);
    bool done = operate(bench, operation, id, error);
    if (reopen)
        close_table(bench);
    bench->times[operation][bench->counts[operation]++] = seconds() - begun;
    return done;
}

static bool run_all(struct bench *bench, struct tablestore_error *error)
{
    if (!bench->options->reopen && !open_table(bench, error))
        return false;
    for (long long i = 0; i < bench->options->operations; i++) {
        long long choice = (long long)(next_random(bench) % (uint64_t)bench->share_sum);
        enum operation operation = GET;
        while (choice >= bench->shares[operation])
            choice -= bench->shares[operation++];
        if (!run_one(bench, operation, error))
            return false;
    }
    return true;
}

/* ---- Results ---- */

static int compare_times(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static const struct {
    const char *name;
    double share;
} percentiles[] = {{"P50", 0.50}, {"P90", 0.90}, {"P99", 0.99}, {"MAX", 1}};
#define PERCENTILES (sizeof percentiles / sizeof *percentiles)

static double percentile(const double *times, size_t count, double share)
{
    size_t index = (size_t)((double)count * share);
    return times[index < count ? index : count - 1];
}

static void set_cell(struct libscols_line *line, size_t column, const char *format, double number)
{
    char text[64];
    snprintf(text, sizeof text, format, number);
    scols_line_set_data(line, column, text);
}

static void print_columns(struct bench *bench, double total)
{
    struct libscols_table *table = need(scols_new_table());
    scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
    need(scols_table_new_column(table, "OPERATION", 0, 0));
    need(scols_table_new_column(table, "COUNT", 0, SCOLS_FL_RIGHT));
    need(scols_table_new_column(table, "PER SECOND", 0, SCOLS_FL_RIGHT));
    for (size_t i = 0; i < PERCENTILES; i++)
        need(scols_table_new_column(table, percentiles[i].name, 0, SCOLS_FL_RIGHT));
    for (size_t i = 0; i < OPERATION_COUNT; i++) {
        if (bench->counts[i] == 0)
            continue;
        struct libscols_line *line = need(scols_table_new_line(table, NULL));
        double sum = 0;
        for (size_t j = 0; j < bench->counts[i]; j++)
            sum += bench->times[i][j];
        scols_line_set_data(line, 0, operation_names[i]);
        set_cell(line, 1, "%.0f", (double)bench->counts[i]);
        set_cell(line, 2, "%.0f", (double)bench->counts[i] / sum);
        for (size_t j = 0; j < PERCENTILES; j++)
            set_cell(line, 3 + j, "%.1f us",
                     1e6 * percentile(bench->times[i], bench->counts[i], percentiles[j].share));
    }
    scols_print_table(table);
    scols_unref_table(table);
    printf("\n%lld operations in %.3f s: %.0f a second\n", bench->options->operations, total,
           (double)bench->options->operations / total);
}

static void print_json(struct bench *bench, double total)
{
    json_t *object = json_pack("{s:I,s:f}", "operations", (json_int_t)bench->options->operations,
                               "seconds", total);
    for (size_t i = 0; i < OPERATION_COUNT; i++) {
        if (bench->counts[i] == 0)
            continue;
        json_t *part = json_pack("{s:I}", "count", (json_int_t)bench->counts[i]);
        for (size_t j = 0; j < PERCENTILES; j++)
            json_object_set_new(
                part, percentiles[j].name,
                json_real(percentile(bench->times[i], bench->counts[i], percentiles[j].share)));
        json_object_set_new(object, operation_names[i], part);
    }
    json_dumpf(object, stdout, JSON_COMPACT);
    fputc('\n', stdout);
    json_decref(object);
}

int command_bench(const struct options *options, char **arguments, size_t count)
{
    (void)count;
    struct tablestore_error error;
    struct bench bench = {.options = options, .path = arguments[0], .lock = -1};
    bench.random = (uint64_t)options->seed * 2 + 1;
    int status =
        read_mix(&bench, options->mix != NULL ? options->mix
                                              : "get=60,select=5,insert=15,update=15,delete=5");
    if (status != EXIT_DONE)
        return status;
    for (size_t i = 0; i < OPERATION_COUNT; i++)
        bench.times[i] = need(calloc((size_t)options->operations, sizeof(double)));
    double begun = seconds();
    bool done = run_all(&bench, &error);
    double total = seconds() - begun;
    close_table(&bench);
    for (size_t i = 0; done && i < OPERATION_COUNT; i++)
        qsort(bench.times[i], bench.counts[i], sizeof(double), compare_times);
    if (!done)
        status = failed(&error);
    else if (options->json)
        print_json(&bench, total);
    else
        print_columns(&bench, total);
    for (size_t i = 0; i < OPERATION_COUNT; i++)
        free(bench.times[i]);
    free(bench.assignments);
    free(bench.texts);
    return status;
}
