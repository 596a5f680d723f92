/* text.c: values as people write them, in both directions.
 * It must never depend on anything but its arguments. */
#include "store/block.h"

#include <bsd/string.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static bool parse_integer(const char *text, struct tablestore_value *value)
{
    char *end;
    errno = 0;
    value->integer = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && !isspace((unsigned char)text[0]);
}

static bool parse_float(const char *text, struct tablestore_value *value)
{
    char *end;
    value->real = strtod(text, &end);
    return end != text && *end == '\0' && !isspace((unsigned char)text[0]);
}

static bool parse_bool(const char *text, struct tablestore_value *value)
{
    value->boolean = strcmp(text, "true") == 0;
    return value->boolean || strcmp(text, "false") == 0;
}

/* Matches text against a pattern in which a letter stands for a digit of the part it names. */
static bool parse_pattern(const char *text, const char *pattern, struct tablestore_moment *moment)
{
    *moment = (struct tablestore_moment){0};
    for (; *pattern != '\0'; pattern++, text++) {
        int *part = *pattern == 'Y'   ? &moment->year
                    : *pattern == 'M' ? &moment->month
                    : *pattern == 'D' ? &moment->day
                    : *pattern == 'h' ? &moment->hour
                    : *pattern == 'm' ? &moment->minute
                    : *pattern == 's' ? &moment->second
                                      : NULL;
        if (part == NULL ? *text != *pattern : !isdigit((unsigned char)*text))
            return false;
        if (part != NULL)
            *part = 10 * *part + (*text - '0');
    }
    return *text == '\0';
}

static bool parse_moment(enum tablestore_type type, const char *text,
                         struct tablestore_value *value)
{
    switch (type) {
    case TABLESTORE_DATE:
        return parse_pattern(text, "YYYY-MM-DD", &value->moment) && date_is_real(&value->moment);
    case TABLESTORE_TIME:
        return parse_pattern(text, "hh:mm:ss", &value->moment) && time_is_real(&value->moment);
    default:
        return (parse_pattern(text, "YYYY-MM-DDThh:mm:ss", &value->moment) ||
                parse_pattern(text, "YYYY-MM-DD hh:mm:ss", &value->moment)) &&
               date_is_real(&value->moment) && time_is_real(&value->moment);
    }
}

static bool parse(enum tablestore_type type, const char *text, struct tablestore_value *value)
{
    switch (type) {
    case TABLESTORE_INT:
    case TABLESTORE_REFERENCE:
        return parse_integer(text, value);
    case TABLESTORE_FLOAT:
        return parse_float(text, value);
    case TABLESTORE_BOOL:
        return parse_bool(text, value);
    default:
        return parse_moment(type, text, value);
    }
}

bool tablestore_value_parse(enum tablestore_type type, const char *text, size_t length,
                            struct tablestore_value *value, struct tablestore_error *error)
{
    *value = (struct tablestore_value){.type = type};
    if (type == TABLESTORE_STR || type == TABLESTORE_UNICODE) {
        value->text.bytes = text;
        value->text.length = length;
        return true;
    }
    char copy[512], name[VISIBLE_SIZE];
    bool fits = length < sizeof copy && memchr(text, '\0', length) == NULL;
    if (fits) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    if (!fits || !parse(type, copy, value))
        return failure(error, TABLESTORE_TYPE, NULL, -1, "not %s %s: %s",
                       type == TABLESTORE_INT ? "an" : "a",
                       type == TABLESTORE_REFERENCE ? "record id" : tablestore_type_name(type),
                       visible_bytes(text, length, name));
    return true;
}

/* The shortest decimal that reads back as the same double, recognizable as a float. */
static void format_float(double real, char text[TABLESTORE_TEXT_SIZE])
{
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, TABLESTORE_TEXT_SIZE, "%.*g", precision, real);
        if (strtod(text, NULL) == real)
            break;
    }
    if (strpbrk(text, ".en") == NULL)
        strlcat(text, ".0", TABLESTORE_TEXT_SIZE);
}

const char *tablestore_value_format(const struct tablestore_value *value,
                                    char text[TABLESTORE_TEXT_SIZE])
{
    const struct tablestore_moment *moment = &value->moment;
    text[0] = '\0';
    if (value->null)
        return text;
    switch (value->type) {
    case TABLESTORE_INT:
    case TABLESTORE_REFERENCE:
        snprintf(text, TABLESTORE_TEXT_SIZE, "%lld", (long long)value->integer);
        break;
    case TABLESTORE_FLOAT:
        format_float(value->real, text);
        break;
    case TABLESTORE_BOOL:
        snprintf(text, TABLESTORE_TEXT_SIZE, "%s", value->boolean ? "true" : "false");
        break;
    case TABLESTORE_DATE:
        snprintf(text, TABLESTORE_TEXT_SIZE, "%04hd-%02hhd-%02hhd", (short)moment->year,
                 (signed char)moment->month, (signed char)moment->day);
        break;
    case TABLESTORE_TIME:
        snprintf(text, TABLESTORE_TEXT_SIZE, "%02hhd:%02hhd:%02hhd", (signed char)moment->hour,
                 (signed char)moment->minute, (signed char)moment->second);
        break;
    case TABLESTORE_DATETIME:
        snprintf(text, TABLESTORE_TEXT_SIZE, "%04hd-%02hhd-%02hhdT%02hhd:%02hhd:%02hhd",
                 (short)moment->year, (signed char)moment->month, (signed char)moment->day,
                 (signed char)moment->hour, (signed char)moment->minute,
                 (signed char)moment->second);
        break;
    default:
        break;
    }
    return text;
}
