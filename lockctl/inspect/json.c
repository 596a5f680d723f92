/*
 * The writer. What stands open is the caller's to close.
 */
#include "lockctl/inspect/json.h"

#include "lockctl/format.h"

#define REPLACEMENT "\xef\xbf\xbd"

static void begin_value(struct json *json, const char *key)
{
    if (!json->first)
        (void)fputc(',', json->file);
    if (json->depth > 0)
        (void)fprintf(json->file, "\n%*s", 3 * json->depth, "");
    if (key != NULL)
        (void)fprintf(json->file, "\"%s\": ", key);
    json->first = false;
}

void json_open(struct json *json, const char *key, char bracket)
{
    if (json->depth == 0)
        json->first = true;
    begin_value(json, key);
    (void)fputc(bracket, json->file);
    json->depth++;
    json->first = true;
}

void json_close(struct json *json, char bracket)
{
    json->depth--;
    if (!json->first)
        (void)fprintf(json->file, "\n%*s", 3 * json->depth, "");
    (void)fputc(bracket, json->file);
    json->first = false;
    if (json->depth == 0)
        (void)fputc('\n', json->file);
}

unsigned json_character(const unsigned char *at, uint32_t *character)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned length = at[0] < 0x80 ? 1 : at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    *character = at[0];
    if (length == 1)
        return 1;
    if (at[0] < 0xc2 || at[0] > 0xf4)
        return 0;
    *character = at[0] & (0x7fu >> length);
    for (unsigned i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        *character = *character << 6 | (at[i] & 0x3f);
    }
    bool valid = *character >= least[length] && *character <= 0x10ffff &&
                 (*character < 0xd800 || *character > 0xdfff);
    return valid ? length : 0;
}

void json_text(struct json *json, const char *key, const char *text)
{
    if (text == NULL) {
        json_null(json, key);
        return;
    }
    begin_value(json, key);
    (void)fputc('"', json->file);
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0';) {
        uint32_t character;
        unsigned length = json_character(at, &character);
        if (length == 0)
            (void)fputs(REPLACEMENT, json->file);
        else if (character == '"' || character == '\\')
            (void)fprintf(json->file, "\\%c", (int)character);
        else if (character < 0x20 || (character >= 0x7f && character < 0xa0))
            (void)fprintf(json->file, "\\u%04x", character);
        else
            (void)fwrite(at, 1, length, json->file);
        at += length == 0 ? 1 : length;
    }
    (void)fputc('"', json->file);
}

void json_number(struct json *json, const char *key, uint64_t number)
{
    begin_value(json, key);
    (void)fprintf(json->file, "%lu", number);
}

void json_boolean(struct json *json, const char *key, bool value)
{
    begin_value(json, key);
    (void)fputs(value ? "true" : "false", json->file);
}

void json_null(struct json *json, const char *key)
{
    begin_value(json, key);
    (void)fputs("null", json->file);
}

void json_seconds(struct json *json, const char *key, int64_t nanoseconds)
{
    char text[FORMAT_TEXT];
    if (nanoseconds < 0) {
        json_null(json, key);
        return;
    }
    begin_value(json, key);
    (void)fputs(format_seconds(text, (uint64_t)nanoseconds), json->file);
}
