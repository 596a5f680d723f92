/*
 * The writer. What stands open is the caller's to close.
 */
#include "lockctl/inspect/json.h"

#include "lockctl/format.h"

#define REPLACEMENT "\xef\xbf\xbd"

/*
 * There may be thousands of locks with dozens of values each: what is the same every time is
 * written without printf, and without taking the stream's lock, as only one thread writes.
 */
static void put(struct json *json, char character)
{
    (void)fputc_unlocked(character, json->file);
}

static void put_text(struct json *json, const char *text)
{
    (void)fputs_unlocked(text, json->file);
}

static void new_line(struct json *json)
{
    static const char text[] = "\n                        "; /* eight deep: more than any */
    size_t length = 1 + 3 * (size_t)json->depth;
    if (length > sizeof text - 1)
        length = sizeof text - 1;
    (void)fwrite_unlocked(text, 1, length, json->file);
}

static void begin_value(struct json *json, const char *key)
{
    if (!json->first)
        put(json, ',');
    if (json->depth > 0)
        new_line(json);
    if (key != NULL) {
        put(json, '"');
        put_text(json, key);
        put_text(json, "\": ");
    }
    json->first = false;
}

void json_open(struct json *json, const char *key, char bracket)
{
    if (json->depth == 0)
        json->first = true;
    begin_value(json, key);
    put(json, bracket);
    json->depth++;
    json->first = true;
}

void json_close(struct json *json, char bracket)
{
    json->depth--;
    if (!json->first)
        new_line(json);
    put(json, bracket);
    json->first = false;
    if (json->depth == 0)
        put(json, '\n');
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

/* Most are. */
static bool is_plain(unsigned char character)
{
    return character >= ' ' && character <= '~' && character != '"' && character != '\\';
}

/* What stands for it between quotes, where it can't stand for itself; else NULL. */
static const char *escape(char room[static 8], unsigned length, uint32_t character)
{
    if (length == 0)
        return REPLACEMENT;
    if (character == '"' || character == '\\')
        (void)snprintf(room, 8, "\\%c", (int)character);
    else if (character < 0x20 || (character >= 0x7f && character < 0xa0))
        (void)snprintf(room, 8, "\\u%04x", character);
    else
        return NULL;
    return room;
}

void json_text(struct json *json, const char *key, const char *text)
{
    if (text == NULL) {
        json_null(json, key);
        return;
    }
    begin_value(json, key);
    put(json, '"');
    const unsigned char *at = (const unsigned char *)text;
    const unsigned char *plain = at;
    for (;;) {
        while (is_plain(*at))
            at++;
        if (*at == '\0')
            break;
        char room[8];
        uint32_t character;
        unsigned length = json_character(at, &character);
        const char *escaped = escape(room, length, character);
        if (escaped != NULL) {
            (void)fwrite_unlocked(plain, 1, (size_t)(at - plain), json->file);
            put_text(json, escaped);
        }
        at += length == 0 ? 1 : length;
        if (escaped != NULL)
            plain = at;
    }
    (void)fwrite_unlocked(plain, 1, (size_t)(at - plain), json->file);
    put(json, '"');
}

void json_number(struct json *json, const char *key, uint64_t number)
{
    char text[FORMAT_TEXT];
    begin_value(json, key);
    put_text(json, format_number(text, number));
}

void json_boolean(struct json *json, const char *key, bool value)
{
    begin_value(json, key);
    put_text(json, value ? "true" : "false");
}

void json_null(struct json *json, const char *key)
{
    begin_value(json, key);
    put_text(json, "null");
}

void json_seconds(struct json *json, const char *key, int64_t nanoseconds)
{
    char text[FORMAT_TEXT];
    if (nanoseconds < 0) {
        json_null(json, key);
        return;
    }
    begin_value(json, key);
    put_text(json, format_seconds(text, (uint64_t)nanoseconds));
}
