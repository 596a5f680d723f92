/*
 * Columns as wide as their widest cell. No byte goes out that is not part of a printable character.
 */
#include "lockctl/inspect/rows.h"

#include "lockctl/lockctl.h"

#include <limits.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

static bool is_plain(char character)
{
    return character >= ' ' && character <= '~' && character != '\\';
}

static char *put_bytes(char *to, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        to += sprintf(to, "\\x%02x", (unsigned char)bytes[i]);
    return to;
}

/* One character, as libsmartcols has it: bytes that no terminal takes are \xff. */
static char *put_character(char *to, const char **from)
{
    wchar_t character;
    mbstate_t state = {0};
    const char *at = *from;
    size_t length = mbrtowc(&character, at, MB_LEN_MAX, &state);
    bool whole = length != (size_t)-1 && length != (size_t)-2 && length > 0;
    length = whole ? length : 1;
    *from += length;
    if (!whole || !iswprint((wint_t)character) || (*at == '\\' && at[1] == 'x'))
        return put_bytes(to, at, length);
    memcpy(to, at, length);
    return to + length;
}

void rows_add_cell(struct rows *rows, const char *text)
{
    size_t plain = 0;
    while (is_plain(text[plain]))
        plain++;
    char *copy = arena_take(&rows->arena, plain + 4 * strlen(text + plain) + 1);
    memcpy(copy, text, plain);
    char *to = copy + plain;
    for (const char *from = text + plain; *from != '\0';)
        to = put_character(to, &from);
    *to = '\0';
    rows->cells = arena_grow(&rows->arena, rows->cells, rows->count, sizeof *rows->cells);
    rows->cells[rows->count++] = copy;
}

void rows_drop(struct rows *rows)
{
    arena_reset(&rows->arena);
    *rows = (struct rows){.count = 0};
}

/* How many characters of a terminal it takes. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    while (text[width] >= ' ' && text[width] <= '~')
        width++;
    mbstate_t state = {0};
    wchar_t character;
    for (text += width; *text != '\0';) {
        size_t length = mbrtowc(&character, text, MB_LEN_MAX, &state);
        if (length == (size_t)-1 || length == (size_t)-2)
            return width + strlen(text);
        int cells = wcwidth(character);
        width += (size_t)(cells > 0 ? cells : 0);
        text += length;
    }
    return width;
}

/* As libsmartcols has it: the width that was asked for counts where a cell is wider than the
 * heading.
 */
static size_t width_of_column(const struct rows *rows, const struct column *column, size_t index,
                              size_t column_count)
{
    size_t heading = strlen(column->name);
    size_t widest = 0;
    for (size_t i = index; i < rows->count; i += column_count) {
        size_t width = width_of(rows->cells[i]);
        widest = width > widest ? width : widest;
    }
    if (widest < heading)
        return heading;
    size_t wanted = column->width_hint >= 1 ? (size_t)column->width_hint : 0;
    return widest < wanted && heading < wanted ? wanted : widest;
}

static void print_blanks(size_t count, FILE *file)
{
    (void)fprintf(file, "%*s", (int)count, "");
}

static void print_cell(const char *text, size_t width, bool right, bool last, FILE *file)
{
    size_t own = width_of(text);
    if (right && own < width)
        print_blanks(width - own, file);
    (void)fputs(text, file);
    if (!right && !last && own < width)
        print_blanks(width - own, file);
    (void)fputc(last ? '\n' : ' ', file);
}

void rows_print(const struct rows *rows, const struct column *const *columns, size_t column_count,
                bool headings, FILE *file)
{
    size_t widths[OUTPUT_COLUMNS_MAXIMUM];
    if (rows->count == 0 || column_count == 0)
        return;
    for (size_t i = 0; i < column_count; i++)
        widths[i] = width_of_column(rows, columns[i], i, column_count);
    for (size_t i = 0; i < rows->count + (headings ? column_count : 0); i++) {
        size_t column = i % column_count;
        const char *text = columns[column]->name;
        if (!headings || i >= column_count)
            text = rows->cells[headings ? i - column_count : i];
        bool right = (columns[column]->flags & (COLUMN_RIGHT | COLUMN_NUMBER)) != 0;
        print_cell(text, widths[column], right, column + 1 == column_count, file);
    }
}
