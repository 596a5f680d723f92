/* read.c: the commands that only read: info, select, get, count.
 * They must never open a table for writing. */
#include "store/tool/tool.h"

#include <jansson.h>
#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <string.h>

/* ---- select ---- */

struct selection {
    tablestore *table;
    tablestore_condition *condition;
    struct list fields, order_list;
    struct tablestore_order *order;
    const char **all;
};

static void selection_free(struct selection *selection)
{
    tablestore_condition_free(selection->condition);
    list_free(&selection->fields);
    list_free(&selection->order_list);
    free(selection->order);
    free(selection->all);
    tablestore_close(selection->table);
}

/* The names of the fields to print: those wanted, or all. */
static const char *const *wanted_fields(struct selection *selection, const struct options *options,
                                        size_t *count)
{
    if (options->fields != NULL) {
        list_make(&selection->fields, options->fields);
        *count = selection->fields.count;
        return selection->fields.parts;
    }
    const struct tablestore_field *fields = tablestore_fields(selection->table, count);
    selection->all = need(calloc(*count, sizeof *selection->all));
    for (size_t i = 0; i < *count; i++)
        selection->all[i] = fields[i].name;
    return selection->all;
}

static void make_order(struct selection *selection, const struct options *options,
                       struct tablestore_query *query)
{
    if (options->order == NULL)
        return;
    list_make(&selection->order_list, options->order);
    query->order_count = selection->order_list.count;
    selection->order = need(calloc(query->order_count, sizeof *selection->order));
    for (size_t i = 0; i < query->order_count; i++) {
        const char *name = selection->order_list.parts[i];
        selection->order[i].descending = name[0] == '-';
        selection->order[i].field = name[0] == '-' ? name + 1 : name;
    }
    query->order = selection->order;
}

int command_select(const struct options *options, char **arguments, size_t count)
{
    (void)count;
    struct tablestore_error error;
    struct selection selection = {0};
    struct tablestore_query query = {.limit = (size_t)options->limit};
    if (options->where != NULL) {
        selection.condition = tablestore_condition_parse(options->where, &error);
        if (selection.condition == NULL)
            return failed(&error);
        query.condition = selection.condition;
    }
    selection.table = tablestore_open(arguments[0], TABLESTORE_READ, &error);
    if (selection.table == NULL) {
        selection_free(&selection);
        return failed(&error);
    }
    query.fields = wanted_fields(&selection, options, &query.field_count);
    make_order(&selection, options, &query);
    struct printer *printer =
        printer_start(options, selection.table, query.fields, query.field_count);
    bool done = tablestore_select(selection.table, &query, printer_add, printer, &error);
    int status = printer_end(printer);
    if (!done)
        status = failed(&error);
    selection_free(&selection);
    return status;
}

/* ---- get ---- */

/* Prints the record's wanted fields; get itself always has all. */
static int print_some(const struct options *options, struct printer *printer, tablestore *table,
                      const char *const *names, size_t count,
                      const struct tablestore_record *record)
{
    size_t all;
    const struct tablestore_field *fields = tablestore_fields(table, &all);
    struct tablestore_record *part =
        need(malloc(sizeof *part + (count + 1) * sizeof *part->values));
    (void)options;
    part->count = count;
    for (size_t i = 0; i < count; i++) {
        const struct tablestore_field *field = find_field(table, names[i]);
        if (field == NULL) {
            free(part);
            return failed_because("no field named %s", printable(names[i], strlen(names[i])));
        }
        part->values[i] = record->values[field - fields];
    }
    bool done = printer_add(printer, part);
    free(part);
    return done ? EXIT_DONE : EXIT_FAILED;
}

int command_get(const struct options *options, char **arguments, size_t count)
{
    struct tablestore_error error;
    struct selection selection = {0};
    selection.table = tablestore_open(arguments[0], TABLESTORE_READ, &error);
    if (selection.table == NULL)
        return failed(&error);
    size_t field_count;
    const char *const *names = wanted_fields(&selection, options, &field_count);
    struct printer *printer = printer_start(options, selection.table, names, field_count);
    int status = EXIT_DONE;
    for (size_t i = 1; status == EXIT_DONE && i < count; i++) {
        long long id;
        status = parse_number(arguments[i], "id", 0, &id);
        if (status != EXIT_DONE)
            break;
        struct tablestore_record *record = tablestore_get(selection.table, id, &error);
        status = record == NULL
                     ? failed(&error)
                     : print_some(options, printer, selection.table, names, field_count, record);
        tablestore_record_free(record);
    }
    int printed = printer_end(printer);
    selection_free(&selection);
    return status != EXIT_DONE ? status : printed;
}

/* ---- count ---- */

int command_count(const struct options *options, char **arguments, size_t count)
{
    (void)count;
    struct tablestore_error error;
    tablestore_condition *condition = NULL;
    if (options->where != NULL) {
        condition = tablestore_condition_parse(options->where, &error);
        if (condition == NULL)
            return failed(&error);
    }
    int64_t records;
    tablestore *table = tablestore_open(arguments[0], TABLESTORE_READ, &error);
    bool done = table != NULL && tablestore_count(table, condition, &records, &error);
    tablestore_close(table);
    tablestore_condition_free(condition);
    if (!done)
        return failed(&error);
    printf("%lld\n", (long long)records);
    return EXIT_DONE;
}

/* ---- info ---- */

static char *default_text(const struct tablestore_field *field)
{
    char text[TABLESTORE_TEXT_SIZE];
    const struct tablestore_value *value = &field->default_value;
    if (value->null)
        return need(strdup(""));
    if (field->type == TABLESTORE_STR || field->type == TABLESTORE_UNICODE)
        return printable(value->text.bytes, value->text.length);
    return need(strdup(tablestore_value_format(value, text)));
}

/* Type as create takes it. */
static char *type_text(const struct tablestore_field *field)
{
    if (field->base == NULL)
        return need(strdup(tablestore_type_name(field->type)));
    char *base = printable(field->base, strlen(field->base));
    size_t size = strlen(base) + 2;
    char *text = need(malloc(size));
    snprintf(text, size, "@%s", base);
    free(base);
    return text;
}

static const struct {
    const char *name;
    size_t offset;
} summary_rows[] = {
    {"records", offsetof(struct tablestore_summary, records)},
    {"next_id", offsetof(struct tablestore_summary, next_id)},
    {"slots", offsetof(struct tablestore_summary, slots)},
    {"rows", offsetof(struct tablestore_summary, rows)},
    {"dead_rows", offsetof(struct tablestore_summary, dead_rows)},
    {"bytes", offsetof(struct tablestore_summary, bytes)},
};
#define SUMMARY_ROWS (sizeof summary_rows / sizeof *summary_rows)

static long long summary_number(const struct tablestore_summary *summary, size_t row)
{
    return *(const int64_t *)((const char *)summary + summary_rows[row].offset);
}

static int info_json(const tablestore *table, const struct tablestore_summary *summary)
{
    size_t count;
    const struct tablestore_field *fields = tablestore_fields(table, &count);
    json_t *list = json_array(), *object = json_object();
    for (size_t i = 0; i < count; i++) {
        char *type = type_text(&fields[i]), *standard = default_text(&fields[i]);
        char *name = printable(fields[i].name, strlen(fields[i].name));
        json_array_append_new(list,
                              json_pack("{s:s,s:s,s:s?}", "name", name, "type", type, "default",
                                        fields[i].default_value.null ? NULL : standard));
        free(type);
        free(standard);
        free(name);
    }
    json_object_set_new(object, "fields", list);
    for (size_t i = 0; i < SUMMARY_ROWS; i++)
        json_object_set_new(object, summary_rows[i].name, json_integer(summary_number(summary, i)));
    int result = json_dumpf(object, stdout, JSON_COMPACT);
    fputc('\n', stdout);
    json_decref(object);
    return result == 0 ? EXIT_DONE : failed_because("cannot print");
}

static int info_columns(const tablestore *table, const struct tablestore_summary *summary)
{
    size_t count;
    const struct tablestore_field *fields = tablestore_fields(table, &count);
    struct libscols_table *columns = need(scols_new_table());
    scols_table_set_termforce(columns, SCOLS_TERMFORCE_NEVER);
    need(scols_table_new_column(columns, "FIELD", 0, 0));
    need(scols_table_new_column(columns, "TYPE", 0, 0));
    need(scols_table_new_column(columns, "DEFAULT", 0, 0));
    for (size_t i = 0; i < count; i++) {
        struct libscols_line *line = need(scols_table_new_line(columns, NULL));
        scols_line_refer_data(line, 0, printable(fields[i].name, strlen(fields[i].name)));
        scols_line_refer_data(line, 1, type_text(&fields[i]));
        scols_line_refer_data(line, 2, default_text(&fields[i]));
    }
    int result = scols_print_table(columns);
    scols_unref_table(columns);
    fputc('\n', stdout);
    for (size_t i = 0; i < SUMMARY_ROWS; i++)
        printf("%-10s%lld\n", summary_rows[i].name, summary_number(summary, i));
    return result == 0 ? EXIT_DONE : failed_because("cannot print");
}

int command_info(const struct options *options, char **arguments, size_t count)
{
    (void)count;
    struct tablestore_error error;
    struct tablestore_summary summary;
    tablestore *table = tablestore_open(arguments[0], TABLESTORE_READ, &error);
    if (table == NULL || !tablestore_summarize(table, &summary, &error)) {
        tablestore_close(table);
        return failed(&error);
    }
    int status = options->json ? info_json(table, &summary) : info_columns(table, &summary);
    tablestore_close(table);
    return status;
}
