/*
 * Columns as wide as their widest cell. No byte goes out that is not part of a printable character.
 */
#include "lockctl/inspect/rows.h"

#include "lockctl/lockctl.h"

#include <limits.h>
#include <stdlib.h>
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

static struct cell make_cell(struct arena *arena, const char *text)
{
    size_t plain = 0;
    while (is_plain(text[plain]))
        plain++;
    const char *from = text + plain;
    bool as_it_was = *from == '\0';
    char *copy = arena_take(arena, plain + 4 * strlen(from) + 1);
    memcpy(copy, text, plain);
    char *to = copy + plain;
    while (*from != '\0')
        to = put_character(to, &from);
    *to = '\0';
    size_t width = plain + width_of(copy + plain);
    return (struct cell){copy, (uint32_t)(to - copy), width & INT32_MAX, as_it_was};
}

void rows_add_cell(struct rows *rows, size_t column_count, const char *text)
{
    struct cell cell = {.as_it_was = false};
    if (rows->count >= column_count)
        cell = rows->cells[rows->count - column_count];
    if (!cell.as_it_was || strcmp(cell.text, text) != 0)
        cell = make_cell(&rows->arena, text);
    rows->cells = grow(rows->cells, rows->count, sizeof *rows->cells);
    rows->cells[rows->count++] = cell;
}

void rows_drop(struct rows *rows)
{
    arena_reset(&rows->arena);
    free(rows->cells);
    *rows = (struct rows){.count = 0};
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
        size_t width = rows->cells[i].width;
        widest = width > widest ? width : widest;
    }
    if (widest < heading)
        return heading;
    size_t wanted = column->width_hint >= 1 ? (size_t)column->width_hint : 0;
    return widest < wanted && heading < wanted ? wanted : widest;
}

static char *put_blanks(char *to, size_t count)
{
    memset(to, ' ', count);
    return to + count;
}

static char *put_cell(char *to, const struct cell *cell, size_t width, bool right, bool last)
{
    size_t blanks = cell->width < width ? width - cell->width : 0;
    if (right)
        to = put_blanks(to, blanks);
    memcpy(to, cell->text, cell->bytes);
    to += cell->bytes;
    if (!right && !last)
        to = put_blanks(to, blanks);
    *to = last ? '\n' : ' ';
    return to + 1;
}

static struct cell heading_of(const struct column *column)
{
    size_t length = strlen(column->name);
    return (struct cell){column->name, (uint32_t)length, length & INT32_MAX, true};
}

/* The most bytes of a line: what a cell has, and blanks up to its column's width. */
static size_t longest_line(const struct rows *rows, const size_t *widths, size_t column_count)
{
    size_t longest = 0;
    size_t line = 0;
    for (size_t i = 0; i < rows->count; i++) {
        line = (i % column_count == 0 ? 0 : line) + rows->cells[i].bytes + 1;
        longest = line > longest ? line : longest;
    }
    for (size_t i = 0; i < column_count; i++)
        longest += widths[i] + 1;
    return longest;
}

static void print_line(const struct cell *cells, const struct column *const *columns,
                       const size_t *widths, size_t column_count, char *line, FILE *file)
{
    char *to = line;
    for (size_t i = 0; i < column_count; i++) {
        bool right = (columns[i]->flags & (COLUMN_RIGHT | COLUMN_NUMBER)) != 0;
        to = put_cell(to, &cells[i], widths[i], right, i + 1 == column_count);
    }
    (void)fwrite(line, 1, (size_t)(to - line), file);
}

void rows_print(struct rows *rows, const struct column *const *columns, size_t column_count,
                bool headings, FILE *file)
{
    size_t widths[OUTPUT_COLUMNS_MAXIMUM];
    struct cell names[OUTPUT_COLUMNS_MAXIMUM];
    if (rows->count == 0 || column_count == 0)
        return;
    for (size_t i = 0; i < column_count; i++) {
        widths[i] = width_of_column(rows, columns[i], i, column_count);
        names[i] = heading_of(columns[i]);
    }
    char *line = arena_take(&rows->arena, longest_line(rows, widths, column_count));
    if (headings)
        print_line(names, columns, widths, column_count, line, file);
    for (size_t i = 0; i + column_count <= rows->count; i += column_count)
        print_line(&rows->cells[i], columns, widths, column_count, line, file);
}
