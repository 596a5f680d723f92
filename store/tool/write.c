/* write.c: the commands that change a table, but import.
 * They must never begin to change it before all arguments are read. */
#include "store/tool/tool.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- Tables ---- */

int command_create(const struct options *options, char **arguments, size_t count)
{
    (void)options;
    struct tablestore_error error;
    struct tablestore_field *fields = need(calloc(count, sizeof *fields));
    int status = EXIT_DONE;
    for (size_t i = 1; status == EXIT_DONE && i < count; i++)
        status = parse_field(arguments[i], &fields[i - 1]);
    if (status == EXIT_DONE && !tablestore_create(arguments[0], fields, count - 1, &error))
        status = failed(&error);
    free(fields);
    return status;
}

int command_destroy(const struct options *options, char **arguments, size_t count)
{
    (void)options, (void)count;
    struct tablestore_error error;
    return tablestore_destroy(arguments[0], &error) ? EXIT_DONE : failed(&error);
}

/* Opens, calls, closes: what the commands on a whole table have in common. */
static int on_table(const char *path,
                    bool (*act)(tablestore *table, void *context, struct tablestore_error *error),
                    void *context)
{
    struct tablestore_error error;
    tablestore *table = tablestore_open(path, TABLESTORE_WRITE, &error);
    bool done = table != NULL && act(table, context, &error);
    tablestore_close(table);
    return done ? EXIT_DONE : failed(&error);
}

static bool act_cleanup(tablestore *table, void *context, struct tablestore_error *error)
{
    (void)context;
    return tablestore_cleanup(table, error);
}

int command_cleanup(const struct options *options, char **arguments, size_t count)
{
    (void)options, (void)count;
    return on_table(arguments[0], act_cleanup, NULL);
}

struct new_field {
    struct tablestore_field field;
    const char *after;
};

static bool act_add_field(tablestore *table, void *context, struct tablestore_error *error)
{
    const struct new_field *new_field = context;
    return tablestore_add_field(table, &new_field->field, new_field->after, error);
}

int command_add_field(const struct options *options, char **arguments, size_t count)
{
    (void)count;
    struct new_field new_field = {.after = options->after};
    int status = parse_field(arguments[1], &new_field.field);
    return status == EXIT_DONE ? on_table(arguments[0], act_add_field, &new_field) : status;
}

static bool act_drop_field(tablestore *table, void *context, struct tablestore_error *error)
{
    return tablestore_drop_field(table, context, error);
}

int command_drop_field(const struct options *options, char **arguments, size_t count)
{
    (void)options, (void)count;
    return on_table(arguments[0], act_drop_field, arguments[1]);
}

/* ---- Assignments ---- */

/* Opens the table, and reads the assignments in its terms. */
static int open_with_assignments(const struct options *options, char **arguments, size_t count,
                                 tablestore **table, struct tablestore_assignment **assignments,
                                 size_t *made)
{
    struct tablestore_error error;
    *assignments = NULL;
    *made = 0;
    *table = tablestore_open(arguments[0], TABLESTORE_WRITE, &error);
    if (*table == NULL)
        return failed(&error);
    return parse_assignments(*table, options, arguments + 1, count - 1, assignments, made);
}

int command_set_default(const struct options *options, char **arguments, size_t count)
{
    struct tablestore_error error;
    tablestore *table;
    struct tablestore_assignment *assignments;
    size_t made;
    int status = open_with_assignments(options, arguments, count, &table, &assignments, &made);
    if (status == EXIT_DONE && (made != 1 || assignments == NULL))
        status = misused("set-default takes one FIELD=TEXT or --null FIELD");
    else if (status == EXIT_DONE &&
             !tablestore_set_default(table, assignments[0].field, &assignments[0].value, &error))
        status = failed(&error);
    free(assignments);
    tablestore_close(table);
    return status;
}

int command_insert(const struct options *options, char **arguments, size_t count)
{
    struct tablestore_error error;
    tablestore *table;
    struct tablestore_assignment *assignments;
    size_t made;
    int64_t id = 0;
    int status = open_with_assignments(options, arguments, count, &table, &assignments, &made);
    if (status == EXIT_DONE && !tablestore_insert(table, assignments, made, &id, &error))
        status = failed(&error);
    free(assignments);
    tablestore_close(table);
    if (status == EXIT_DONE)
        printf("%lld\n", (long long)id);
    return status;
}

/* ---- Changing and deleting what ids or a condition name ---- */

struct targets {
    int64_t *ids, *versions;
    size_t count, capacity;
};

static void add_target(struct targets *targets, int64_t id, int64_t version)
{
    if (targets->count == targets->capacity) {
        targets->capacity = 2 * targets->capacity + 16;
        targets->ids = need(realloc(targets->ids, targets->capacity * sizeof *targets->ids));
        targets->versions =
            need(realloc(targets->versions, targets->capacity * sizeof *targets->versions));
    }
    targets->ids[targets->count] = id;
    targets->versions[targets->count++] = version;
}

static void targets_free(struct targets *targets)
{
    free(targets->ids);
    free(targets->versions);
}

static bool note_target(void *context, const struct tablestore_record *record)
{
    add_target(context, record->id, record->version);
    return true;
}

static int find_targets(tablestore *table, const char *where, struct targets *targets)
{
    struct tablestore_error error;
    static const char *const fields[] = {"__id__", "__version__"};
    tablestore_condition *condition = tablestore_condition_parse(where, &error);
    if (condition == NULL)
        return failed(&error);
    struct tablestore_query query = {.condition = condition, .fields = fields, .field_count = 2};
    bool done = tablestore_select(table, &query, note_target, targets, &error);
    tablestore_condition_free(condition);
    return done ? EXIT_DONE : failed(&error);
}

/* The ids at the start of the arguments; *used tells how many arguments they are. */
static int read_ids(const struct options *options, char **arguments, size_t count,
                    struct targets *targets, size_t *used)
{
    for (*used = 1; *used < count && isdigit((unsigned char)arguments[*used][0]); ++*used) {
        long long id;
        int status = parse_number(arguments[*used], "id", 0, &id);
        if (status != EXIT_DONE)
            return status;
        add_target(targets, id, options->if_version);
    }
    if ((targets->count > 0) == (options->where != NULL))
        return misused("either ids or --where say which records");
    return EXIT_DONE;
}

int command_delete(const struct options *options, char **arguments, size_t count)
{
    struct tablestore_error error;
    struct targets targets = {0};
    size_t used;
    int status = read_ids(options, arguments, count, &targets, &used);
    if (status == EXIT_DONE && used < count)
        status = misused("not an id: %s", printable(arguments[used], strlen(arguments[used])));
    tablestore *table = NULL;
    if (status == EXIT_DONE &&
        (table = tablestore_open(arguments[0], TABLESTORE_WRITE, &error)) == NULL)
        status = failed(&error);
    if (status == EXIT_DONE && options->where != NULL)
        status = find_targets(table, options->where, &targets);
    if (status == EXIT_DONE && !tablestore_delete(table, targets.ids, targets.count, &error))
        status = failed(&error);
    if (status == EXIT_DONE)
        printf("%zu\n", targets.count);
    tablestore_close(table);
    targets_free(&targets);
    return status;
}

static int update_targets(tablestore *table, const struct targets *targets,
                          const struct tablestore_assignment *assignments, size_t count)
{
    struct tablestore_error error;
    for (size_t i = 0; i < targets->count; i++)
        if (!tablestore_update(table, targets->ids[i], targets->versions[i], assignments, count,
                               &error))
            return failed(&error);
    printf("%zu\n", targets->count);
    return EXIT_DONE;
}

int command_update(const struct options *options, char **arguments, size_t count)
{
    struct targets targets = {0};
    struct tablestore_assignment *assignments = NULL;
    struct tablestore_error error;
    tablestore *table = NULL;
    size_t used, made = 0;
    int status = read_ids(options, arguments, count, &targets, &used);
    if (status == EXIT_DONE && used == count && options->null_count == 0)
        status = misused("nothing is to be changed");
    if (status == EXIT_DONE &&
        (table = tablestore_open(arguments[0], TABLESTORE_WRITE, &error)) == NULL)
        status = failed(&error);
    if (status == EXIT_DONE)
        status =
            parse_assignments(table, options, arguments + used, count - used, &assignments, &made);
    if (status == EXIT_DONE && options->where != NULL)
        status = find_targets(table, options->where, &targets);
    if (status == EXIT_DONE)
        status = update_targets(table, &targets, assignments, made);
    free(assignments);
    targets_free(&targets);
    tablestore_close(table);
    return status;
}
