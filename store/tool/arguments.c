/* arguments.c: what the commands' arguments mean, and how failures are told.
 * It must never print more than one line for a failure, nor a raw byte of what it was given. */
#include "store/tool/tool.h"

#define LIBBSD_NETBSD_VIS /* of the two strnvis, neither is used */
#include <bsd/vis.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistr.h>

/* ---- Failing ---- */

int failed_because(const char *format, ...)
{
    va_list arguments;
    fputs("tablestore: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return EXIT_FAILED;
}

int failed(const struct tablestore_error *error)
{
    return failed_because("%s", error->message);
}

int misused(const char *format, ...)
{
    va_list arguments;
    fputs("tablestore: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputs(" (see tablestore --help)\n", stderr);
    return EXIT_USAGE;
}

void *need(void *memory)
{
    if (memory == NULL) {
        failed_because("no memory");
        exit(EXIT_FAILED);
    }
    return memory;
}

/* Text that is UTF-8 without control characters is shown as it is, anything else escaped. */
char *printable(const void *bytes, size_t length)
{
    const unsigned char *byte = bytes;
    bool plain = length == 0 || u8_check(bytes, length) == NULL;
    for (size_t i = 0; plain && i < length; i++) {
        bool second_control = byte[i] == 0xc2 && i + 1 < length && byte[i + 1] < 0xa0;
        plain = byte[i] >= 0x20 && byte[i] != 0x7f && byte[i] != '\\' && !second_control;
    }
    char *text = need(malloc(4 * length + 1));
    if (plain && length > 0)
        memcpy(text, bytes, length);
    if (plain)
        text[length] = '\0';
    else
        strvisx(text, bytes, length, VIS_CSTYLE | VIS_NL | VIS_TAB);
    return text;
}

/* ---- Numbers and lists ---- */

int parse_number(const char *text, const char *what, long long minimum, long long *number)
{
    char *end;
    errno = 0;
    *number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *number < minimum)
        return misused("%s: not a number from %lld up: %s", what, minimum,
                       printable(text, strlen(text)));
    return 0;
}

void list_make(struct list *list, const char *text)
{
    *list = (struct list){.copy = need(strdup(text))};
    char *rest = list->copy, *part;
    while ((part = strsep(&rest, ",")) != NULL) {
        list->parts = need(realloc(list->parts, (list->count + 1) * sizeof *list->parts));
        list->parts[list->count++] = part;
    }
}

void list_free(struct list *list)
{
    free(list->copy);
    free(list->parts);
}

/* ---- Fields and values ---- */

const struct tablestore_field *find_field(const tablestore *table, const char *name)
{
    size_t count;
    const struct tablestore_field *fields = tablestore_fields(table, &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

bool value_from_text(const struct tablestore_field *field, const char *text, size_t length,
                     struct tablestore_value *value, struct tablestore_error *error)
{
    bool has_empty = field->type == TABLESTORE_STR || field->type == TABLESTORE_UNICODE;
    *value = (struct tablestore_value){.type = field->type, .null = true};
    if (length == 0 && !has_empty)
        return true;
    return tablestore_value_parse(field->type, text, length, value, error);
}

static int parse_type(const char *name, struct tablestore_field *field)
{
    if (name[0] == '@' && name[1] != '\0') {
        field->type = TABLESTORE_REFERENCE;
        field->base = name + 1;
        return 0;
    }
    for (int type = 0; type < TABLESTORE_TYPE_COUNT; type++)
        if (type != TABLESTORE_REFERENCE &&
            strcmp(name, tablestore_type_name((enum tablestore_type)type)) == 0) {
            field->type = (enum tablestore_type)type;
            return 0;
        }
    return misused("no such type: %s", printable(name, strlen(name)));
}

int parse_field(char *argument, struct tablestore_field *field)
{
    struct tablestore_error error;
    char *type = strchr(argument, ':');
    if (type == NULL)
        return misused("not FIELD:TYPE[=DEFAULT]: %s", printable(argument, strlen(argument)));
    *type++ = '\0';
    char *text = type[0] == '@' ? NULL : strchr(type, '=');
    if (text != NULL)
        *text++ = '\0';
    *field = (struct tablestore_field){.name = argument};
    int status = parse_type(type, field);
    if (status != 0)
        return status;
    field->default_value = (struct tablestore_value){.type = field->type, .null = true};
    if (text != NULL && !value_from_text(field, text, strlen(text), &field->default_value, &error))
        return failed(&error);
    return 0;
}

int parse_assignments(const tablestore *table, const struct options *options, char **arguments,
                      size_t count, struct tablestore_assignment **assignments, size_t *made)
{
    struct tablestore_error error;
    *assignments = need(calloc(count + options->null_count + 1, sizeof **assignments));
    *made = 0;
    for (size_t i = 0; i < count + options->null_count; i++) {
        const char *name = i < count ? arguments[i] : options->nulls[i - count];
        char *text = i < count ? strchr(arguments[i], '=') : NULL;
        if (i < count && text == NULL)
            return misused("not FIELD=TEXT: %s", printable(name, strlen(name)));
        if (text != NULL)
            *text++ = '\0';
        const struct tablestore_field *field = find_field(table, name);
        if (field == NULL)
            return failed_because("no field named %s", printable(name, strlen(name)));
        struct tablestore_assignment *assignment = &(*assignments)[(*made)++];
        assignment->field = field->name;
        assignment->value = (struct tablestore_value){.type = field->type, .null = true};
        if (text != NULL && !value_from_text(field, text, strlen(text), &assignment->value, &error))
            return failed_because("field %s: %s", field->name, error.message);
    }
    return 0;
}
