/* output.c: records as aligned columns, as CSV, as JSON objects.
 * It must never let a byte of a table reach a terminal unescaped in columns. */
#include "store/tool/tool.h"

#include <csv.h>
#include <jansson.h>
#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <string.h>

struct printer {
    const struct options *options;
    struct list names; /* copies: the table may be closed before the end */
    struct libscols_table *columns;
    bool failed;
};

static bool is_text(const struct tablestore_value *value)
{
    return value->type == TABLESTORE_STR || value->type == TABLESTORE_UNICODE;
}

/* ---- JSON: bytes that are not UTF-8 become {"bytes": "HEX"} ---- */

static json_t *json_from_bytes(const char *bytes, size_t length)
{
    char *hexadecimal = need(malloc(2 * length + 1));
    hexadecimal[0] = '\0';
    for (size_t i = 0; i < length; i++)
        snprintf(hexadecimal + 2 * i, 3, "%02x", (unsigned char)bytes[i]);
    json_t *object = json_pack("{s:s}", "bytes", hexadecimal);
    free(hexadecimal);
    return object;
}

static json_t *json_from_value(const struct tablestore_value *value)
{
    char text[TABLESTORE_TEXT_SIZE];
    json_t *string;
    if (value->null)
        return json_null();
    switch (value->type) {
    case TABLESTORE_INT:
    case TABLESTORE_REFERENCE:
        return json_integer(value->integer);
    case TABLESTORE_FLOAT:
        return json_real(value->real);
    case TABLESTORE_BOOL:
        return json_boolean(value->boolean);
    case TABLESTORE_STR:
    case TABLESTORE_UNICODE:
        string = json_stringn(value->text.bytes, value->text.length);
        return string != NULL ? string : json_from_bytes(value->text.bytes, value->text.length);
    default:
        return json_string(tablestore_value_format(value, text));
    }
}

static bool add_json(struct printer *printer, const struct tablestore_record *record)
{
    json_t *object = need(json_object());
    for (size_t i = 0; i < record->count; i++)
        if (json_object_set_new_nocheck(object, printer->names.parts[i],
                                        json_from_value(&record->values[i])) != 0)
            printer->failed = true;
    if (json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(17)) != 0)
        printer->failed = true;
    fputc('\n', stdout);
    json_decref(object);
    return !printer->failed;
}

/* ---- CSV: a null is nothing, an empty text is "" ---- */

static void put_csv(const char *bytes, size_t length, bool quoted)
{
    if (quoted)
        csv_fwrite(stdout, bytes, length);
    else
        fwrite(bytes, 1, length, stdout);
}

static bool add_csv(struct printer *printer, const struct tablestore_record *record)
{
    char text[TABLESTORE_TEXT_SIZE];
    for (size_t i = 0; i < record->count; i++) {
        const struct tablestore_value *value = &record->values[i];
        if (i > 0)
            fputc(',', stdout);
        if (value->null)
            continue;
        if (is_text(value)) {
            put_csv(value->text.bytes, value->text.length, true);
        } else {
            tablestore_value_format(value, text);
            put_csv(text, strlen(text), false);
        }
    }
    fputc('\n', stdout);
    return !printer->failed && !ferror(stdout);
}

/* ---- Columns ---- */

static bool add_columns(struct printer *printer, const struct tablestore_record *record)
{
    struct libscols_line *line = need(scols_table_new_line(printer->columns, NULL));
    char text[TABLESTORE_TEXT_SIZE];
    for (size_t i = 0; i < record->count; i++) {
        const struct tablestore_value *value = &record->values[i];
        char *shown = !value->null && is_text(value)
                          ? printable(value->text.bytes, value->text.length)
                          : need(strdup(tablestore_value_format(value, text)));
        if (scols_line_refer_data(line, i, shown) != 0) {
            free(shown);
            printer->failed = true;
        }
    }
    return !printer->failed;
}

static void start_columns(struct printer *printer, const tablestore *table)
{
    printer->columns = need(scols_new_table());
    scols_table_enable_noheadings(printer->columns, printer->options->no_headings);
    /* What does not fit on a line goes beyond it: nothing is ever cut off. */
    scols_table_set_termforce(printer->columns, SCOLS_TERMFORCE_NEVER);
    for (size_t i = 0; i < printer->names.count; i++) {
        const struct tablestore_field *field = find_field(table, printer->names.parts[i]);
        bool number =
            field != NULL && (field->type == TABLESTORE_INT || field->type == TABLESTORE_FLOAT ||
                              field->type == TABLESTORE_REFERENCE);
        struct libscols_column *column = need(scols_table_new_column(
            printer->columns, printer->names.parts[i], 0, number ? SCOLS_FL_RIGHT : 0));
        /* Or libsmartcols would escape our escapes. */
        scols_column_set_safechars(column, "\\");
    }
}

/* ---- All three ---- */

struct printer *printer_start(const struct options *options, const tablestore *table,
                              const char *const *fields, size_t count)
{
    struct printer *printer = need(calloc(1, sizeof *printer));
    printer->options = options;
    printer->names.parts = need(calloc(count + 1, sizeof *printer->names.parts));
    for (size_t i = 0; i < count; i++)
        printer->names.parts[printer->names.count++] = need(strdup(fields[i]));
    if (!options->csv && !options->json) {
        start_columns(printer, table);
    } else if (options->csv && !options->no_headings) {
        for (size_t i = 0; i < count; i++) {
            if (i > 0)
                fputc(',', stdout);
            put_csv(fields[i], strlen(fields[i]), false);
        }
        fputc('\n', stdout);
    }
    return printer;
}

bool printer_add(void *context, const struct tablestore_record *record)
{
    struct printer *printer = context;
    if (printer->options->json)
        return add_json(printer, record);
    return printer->options->csv ? add_csv(printer, record) : add_columns(printer, record);
}

int printer_end(struct printer *printer)
{
    bool good = !printer->failed;
    if (printer->columns != NULL) {
        if (scols_table_get_nlines(printer->columns) > 0 || !printer->options->no_headings)
            good = scols_print_table(printer->columns) == 0 && good;
        scols_unref_table(printer->columns);
    }
    for (size_t i = 0; i < printer->names.count; i++)
        free((char *)(uintptr_t)printer->names.parts[i]);
    free(printer->names.parts);
    free(printer);
    return good ? EXIT_DONE : failed_because("cannot print the records");
}
