/* import.c: records from standard input, as CSV or as JSON objects.
 * It must never insert a part of what it read and then say that nothing was. */
#include "store/tool/tool.h"

#include <csv.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* So many records are inserted with one write for each file. */
#define BATCH 1000

struct import {
    tablestore *table;
    const struct options *options;
    const struct tablestore_field *fields;
    size_t field_count;
    size_t *columns; /* of CSV: the field of each, or SIZE_MAX to pass over */
    size_t column_count, column;
    bool header_read;
    struct tablestore_row rows[BATCH];
    size_t row_count;
    struct tablestore_assignment *row; /* the one being read, with room for all fields */
    size_t assigned;
    long long records, line;
    struct timespec told; /* when progress was last shown */
    bool failed;
};

/* ---- Batches ---- */

static void forget_row(struct tablestore_assignment *assignments, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct tablestore_value *value = &assignments[i].value;
        if (value->type == TABLESTORE_STR || value->type == TABLESTORE_UNICODE)
            free((char *)(uintptr_t)value->text.bytes);
    }
    free(assignments);
}

static void show_progress(struct import *import, bool last)
{
    struct timespec now;
    if (import->options->quiet || !isatty(STDERR_FILENO))
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!last && now.tv_sec == import->told.tv_sec)
        return;
    import->told = now;
    fprintf(stderr, "\r%lld records%s", import->records, last ? "\n" : "");
}

static void insert_batch(struct import *import)
{
    struct tablestore_error error;
    if (!import->failed && import->row_count > 0 &&
        !tablestore_insert_rows(import->table, import->rows, import->row_count, NULL, &error)) {
        failed(&error);
        import->failed = true;
    } else if (!import->failed) {
        import->records += (long long)import->row_count;
    }
    for (size_t i = 0; i < import->row_count; i++)
        forget_row((struct tablestore_assignment *)(uintptr_t)import->rows[i].assignments,
                   import->rows[i].count);
    import->row_count = 0;
    show_progress(import, false);
}

static void start_row(struct import *import)
{
    if (import->row == NULL)
        import->row = need(calloc(import->field_count + 1, sizeof *import->row));
    import->assigned = 0;
}

static void end_row(struct import *import)
{
    import->rows[import->row_count++] = (struct tablestore_row){import->row, import->assigned};
    import->row = NULL;
    import->assigned = 0;
    if (import->row_count == BATCH)
        insert_batch(import);
}

/* Texts are copied: what the parsers hand out does not last. */
static void assign(struct import *import, size_t field, const struct tablestore_value *value)
{
    struct tablestore_assignment *assignment = &import->row[import->assigned++];
    assignment->field = import->fields[field].name;
    assignment->value = *value;
    bool text = value->type == TABLESTORE_STR || value->type == TABLESTORE_UNICODE;
    if (text && !value->null) {
        char *copy = need(malloc(value->text.length + 1));
        memcpy(copy, value->text.bytes, value->text.length);
        assignment->value.text.bytes = copy;
    } else if (text) {
        assignment->value.text.bytes = NULL;
    }
}

static void complain(struct import *import, const char *what)
{
    if (!import->failed)
        failed_because("input record %lld: %s", import->line, what);
    import->failed = true;
}

/* The field of that name; SIZE_MAX for those that the store itself fills in. */
static bool field_of(struct import *import, const char *name, size_t length, size_t *field)
{
    for (*field = 0; *field < import->field_count; ++*field)
        if (strlen(import->fields[*field].name) == length &&
            memcmp(import->fields[*field].name, name, length) == 0)
            break;
    if (*field < import->field_count) {
        if (*field < 2)
            *field = SIZE_MAX;
        return true;
    }
    char *shown = printable(name, length);
    char what[256];
    snprintf(what, sizeof what, "no field named %.200s", shown);
    complain(import, what);
    free(shown);
    return false;
}

/* ---- CSV ---- */

static void csv_cell(void *cell, size_t length, void *context)
{
    struct import *import = context;
    struct tablestore_error error;
    size_t field;
    if (import->failed)
        return;
    if (!import->header_read) {
        if (!field_of(import, cell == NULL ? "" : cell, length, &field))
            return;
        import->columns =
            need(realloc(import->columns, (import->column_count + 1) * sizeof *import->columns));
        import->columns[import->column_count++] = field;
        return;
    }
    if (import->column >= import->column_count) {
        complain(import, "more cells than there are names");
        return;
    }
    field = import->columns[import->column++];
    if (field == SIZE_MAX)
        return;
    struct tablestore_value value = {.type = import->fields[field].type, .null = true};
    if (cell != NULL && !value_from_text(&import->fields[field], cell, length, &value, &error))
        complain(import, error.message);
    else
        assign(import, field, &value);
}

static void csv_line(int end, void *context)
{
    (void)end;
    struct import *import = context;
    if (import->failed)
        return;
    if (!import->header_read) {
        import->header_read = true;
        import->line = 1;
        start_row(import);
        return;
    }
    if (import->column != import->column_count) {
        complain(import, "fewer cells than there are names");
        return;
    }
    import->column = 0;
    import->line++;
    end_row(import);
    start_row(import);
}

static void import_csv(struct import *import)
{
    struct csv_parser parser;
    char buffer[65536];
    size_t length;
    if (csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI | CSV_EMPTY_IS_NULL) != 0) {
        complain(import, "no memory");
        return;
    }
    /* Blanks belong to the values; libcsv would trim them. */
    csv_set_space_func(&parser, NULL);
    while (!import->failed && (length = fread(buffer, 1, sizeof buffer, stdin)) > 0)
        if (csv_parse(&parser, buffer, length, csv_cell, csv_line, import) != length)
            complain(import, csv_strerror(csv_error(&parser)));
    if (!import->failed && csv_fini(&parser, csv_cell, csv_line, import) != 0)
        complain(import, csv_strerror(csv_error(&parser)));
    csv_free(&parser);
}

/* ---- JSON ---- */

/* {"bytes": "HEX"}, as select prints what is not UTF-8. */
static bool bytes_from_json(const json_t *object, char **bytes, size_t *length)
{
    const char *text = json_string_value(json_object_get(object, "bytes"));
    *length = text == NULL ? 0 : strlen(text) / 2;
    if (text == NULL || strlen(text) % 2 != 0 ||
        text[strspn(text, "0123456789abcdefABCDEF")] != '\0')
        return false;
    *bytes = need(malloc(*length + 1));
    for (size_t i = 0; i < *length; i++) {
        char pair[3] = {text[2 * i], text[2 * i + 1], '\0'};
        (*bytes)[i] = (char)strtoul(pair, NULL, 16);
    }
    return true;
}

static void assign_json(struct import *import, size_t field, const json_t *json)
{
    const struct tablestore_field *definition = &import->fields[field];
    struct tablestore_value value = {.type = definition->type, .null = json_is_null(json)};
    struct tablestore_error error = {.message = "a value of the wrong type"};
    enum tablestore_type type = definition->type;
    bool text = type == TABLESTORE_STR || type == TABLESTORE_UNICODE;
    bool whole = type == TABLESTORE_INT || type == TABLESTORE_REFERENCE;
    char *bytes = NULL;
    bool done = true;
    if (value.null) {
    } else if (json_is_string(json) &&
               (text || (!whole && type != TABLESTORE_BOOL && type != TABLESTORE_FLOAT))) {
        done = tablestore_value_parse(type, json_string_value(json), json_string_length(json),
                                      &value, &error);
    } else if (json_is_object(json) && text) {
        done = bytes_from_json(json, &bytes, &value.text.length);
        value.text.bytes = bytes;
    } else if (json_is_integer(json) && whole) {
        value.integer = json_integer_value(json);
    } else if (json_is_number(json) && type == TABLESTORE_FLOAT) {
        value.real = json_number_value(json);
    } else if (json_is_boolean(json) && type == TABLESTORE_BOOL) {
        value.boolean = json_is_true(json);
    } else {
        done = false;
    }
    char what[2048];
    snprintf(what, sizeof what, "field %s: %s", definition->name, error.message);
    if (done)
        assign(import, field, &value);
    else
        complain(import, what);
    free(bytes);
}

static void import_json(struct import *import)
{
    for (;;) {
        json_error_t error;
        int first;
        while ((first = getc(stdin)) == ' ' || first == '\n' || first == '\r' || first == '\t')
            continue;
        if (import->failed || first == EOF)
            return;
        ungetc(first, stdin);
        import->line++;
        json_t *object = json_loadf(
            stdin, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
        if (!json_is_object(object)) {
            char *shown = printable(error.text, strlen(error.text));
            complain(import, object == NULL ? shown : "not an object");
            free(shown);
        }
        const char *name;
        json_t *value;
        start_row(import);
        json_object_foreach(object, name, value)
        {
            size_t field;
            if (!import->failed && field_of(import, name, strlen(name), &field) &&
                field != SIZE_MAX)
                assign_json(import, field, value);
        }
        json_decref(object);
        if (!import->failed)
            end_row(import);
    }
}

/* ---- The command ---- */

int command_import(const struct options *options, char **arguments, size_t count)
{
    (void)count;
    struct tablestore_error error;
    if (options->json == options->csv)
        return misused("import takes either --csv or --json");
    struct import *import = need(calloc(1, sizeof *import));
    import->options = options;
    import->table = tablestore_open(arguments[0], TABLESTORE_WRITE, &error);
    if (import->table == NULL) {
        free(import);
        return failed(&error);
    }
    import->fields = tablestore_fields(import->table, &import->field_count);
    if (options->json)
        import_json(import);
    else
        import_csv(import);
    if (ferror(stdin))
        complain(import, strerror(errno));
    insert_batch(import);
    show_progress(import, true);
    if (import->failed && import->records > 0)
        failed_because("the first %lld records were inserted", import->records);
    else if (!import->failed)
        printf("%lld\n", import->records);
    int status = import->failed ? EXIT_FAILED : EXIT_DONE;
    forget_row(import->row, import->assigned);
    free(import->columns);
    tablestore_close(import->table);
    free(import);
    return status;
}
