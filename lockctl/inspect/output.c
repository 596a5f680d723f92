/*
 * Tables of columns by libsmartcols. It must let no byte of another process through to a terminal,
 * and no invalid UTF-8 into JSON.
 */
#include "lockctl/inspect/output.h"

#include "lockctl/format.h"
#include "lockctl/inspect/json.h"
#include "lockctl/inspect/rows.h"
#include "lockctl/inspect/smartcols.h"

#include <err.h>
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <wchar.h>

struct output {
    const char *command;
    const char *name; /* of the array in JSON */
    const struct output_style *style;
    struct libscols_table *table; /* NULL: laid out by rows.h */
    struct rows rows;
    const struct column *shown[OUTPUT_COLUMNS_MAXIMUM];
    size_t count;
    size_t width; /* 0: as the printer finds it */
    char text[FORMAT_TEXT];
};

/* Memory that is there, or the end of the program. */
static void *need(void *memory)
{
    if (memory == NULL)
        err(STATUS_FAILED, NULL);
    return memory;
}

/* --- cells --- */

bool cell_is_exact(const struct output *output)
{
    return output->style->json || output->style->raw;
}

const char *cell_number(struct output *output, uint64_t number)
{
    return format_number(output->text, number);
}

const char *cell_duration(struct output *output, uint64_t nanoseconds)
{
    return cell_is_exact(output) ? format_seconds(output->text, nanoseconds)
                                 : format_duration(output->text, nanoseconds);
}

const char *cell_time(struct output *output, uint64_t realtime)
{
    return cell_is_exact(output) ? format_time_exact(output->text, realtime)
                                 : format_time(output->text, realtime);
}

const char *cell_size(struct output *output, uint64_t bytes)
{
    return cell_is_exact(output) ? cell_number(output, bytes) : format_size(output->text, bytes);
}

/* JSON is read by programs: it gets all of the text, but what is not UTF-8, or no character. */
static const char *plain_copy(const char *hostile)
{
    static const char replacement[] = "\xef\xbf\xbd";
    static char *copy;
    size_t length = 0;
    free(copy);
    copy = need(malloc((sizeof replacement - 1) * strlen(hostile) + 1));
    for (const unsigned char *at = (const unsigned char *)hostile; *at != '\0';) {
        uint32_t character;
        unsigned size = json_character(at, &character);
        bool control = character < 0x20 || (character >= 0x7f && character < 0xa0);
        bool plain = size > 0 && !control;
        memcpy(copy + length, plain ? (const char *)at : replacement, plain ? size : 3);
        length += plain ? size : 3;
        at += size > 0 ? size : 1;
    }
    copy[length] = '\0';
    return copy;
}

/* Printable ASCII of no great length, as nearly all is: shown as it is. */
static bool is_harmless(const char *text)
{
    size_t length = 0;
    while (text[length] >= ' ' && text[length] <= '~')
        length++;
    return length < 200 && text[length] == '\0';
}

const char *cell_text(struct output *output, const char *hostile)
{
    if (hostile == NULL || is_harmless(hostile))
        return hostile;
    return output->style->json ? plain_copy(hostile) : shown(hostile);
}

/* --- options --- */

int output_take(struct output_style *style, int option, const char *value)
{
    switch (option) {
    case 0:
        style->json = true;
        break;
    case 1:
        style->raw = true;
        break;
    case 2:
        style->no_headings = true;
        break;
    default:
        style->columns = value;
        break;
    }
    return STATUS_DONE;
}

bool output_may_show(const struct output_style *style, const char *name)
{
    size_t wanted = strlen(name);
    const char *names = style->columns;
    if (names == NULL || names[0] == '+')
        return true;
    while (*names != '\0') {
        size_t length = strcspn(names, ",");
        if (length == wanted && strncasecmp(names, name, length) == 0)
            return true;
        names += length + (names[length] == ',');
    }
    return false;
}

void output_print_columns(const struct column *columns, size_t count)
{
    printf("\nColumns:\n");
    for (size_t i = 0; i < count; i++)
        printf("  %-20s %s\n", columns[i].name, columns[i].help);
}

static const struct column *find_column(const struct column *columns, size_t count,
                                        const char *name, size_t length)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(columns[i].name) == length && strncasecmp(columns[i].name, name, length) == 0)
            return &columns[i];
    return NULL;
}

/*
 * LOCKCTL_COLUMNS: what people want to see without -o. One list for all commands: each takes the
 * names that it knows; false: it knows none.
 */
static bool choose_usual(struct output *output, const struct column *columns, size_t count)
{
    const char *names = getenv("LOCKCTL_COLUMNS");
    if (names == NULL || cell_is_exact(output))
        return false;
    for (; *names != '\0' && output->count < OUTPUT_COLUMNS_MAXIMUM;) {
        size_t length = strcspn(names, ",");
        const struct column *column = find_column(columns, count, names, length);
        if (column != NULL)
            output->shown[output->count++] = column;
        names += length + (names[length] == ',');
    }
    return output->count > 0;
}

/* False after a complaint. */
static bool choose_columns(struct output *output, const struct column *columns, size_t count)
{
    const char *names = output->style->columns;
    bool further = names != NULL && names[0] == '+';
    if (names == NULL && choose_usual(output, columns, count))
        return true;
    for (size_t i = 0; i < count && (names == NULL || further); i++)
        if (output->style->json || (columns[i].flags & COLUMN_DEFAULT) != 0)
            output->shown[output->count++] = &columns[i];
    for (names = names != NULL ? names + further : ""; *names != '\0';) {
        size_t length = strcspn(names, ",");
        const struct column *column = find_column(columns, count, names, length);
        char name[64];
        (void)snprintf(name, sizeof name, "%.*s", (int)(length < 60 ? length : 60), names);
        if (column == NULL || output->count == OUTPUT_COLUMNS_MAXIMUM) {
            complain("%s: %s'%s'%s", output->command, column == NULL ? "" : "with ", shown(name),
                     column == NULL ? " is no column; --help lists them"
                                    : " there are more columns than fit");
            return false;
        }
        output->shown[output->count++] = column;
        names += length + (names[length] == ',');
    }
    if (output->count == 0)
        complain("%s: no columns to print", output->command);
    return output->count > 0;
}

/* --- printing --- */

void output_prepare(void)
{
    (void)setlocale(LC_CTYPE, "");
    (void)signal(SIGPIPE, SIG_IGN);
}

/* Nothing is cut, nothing drawn: no need for the library's care. */
static bool is_plain(const struct output *output)
{
    if (cell_is_exact(output) || isatty(STDOUT_FILENO) == 1)
        return false;
    for (size_t i = 0; i < output->count; i++)
        if ((output->shown[i]->flags & COLUMN_TREE) != 0)
            return false;
    return true;
}

static int column_flags(unsigned flags)
{
    return ((flags & (COLUMN_RIGHT | COLUMN_NUMBER)) != 0 ? SCOLS_FL_RIGHT : 0) |
           ((flags & COLUMN_TREE) != 0 ? SCOLS_FL_TREE : 0) |
           ((flags & COLUMN_TRUNCATE) != 0 ? SCOLS_FL_TRUNC : 0);
}

static void add_column(struct output *output, const struct column *column)
{
    struct libscols_column *made = need(smartcols()->table_new_column(
        output->table, output->style->json ? column->key : column->name, column->width_hint,
        column_flags(column->flags)));
    if ((column->flags & COLUMN_NUMBER) != 0)
        (void)smartcols()->column_set_json_type(made, SCOLS_JSON_NUMBER);
    if ((column->flags & COLUMN_BOOLEAN) != 0)
        (void)smartcols()->column_set_json_type(made, SCOLS_JSON_BOOLEAN);
}

static void make_table(struct output *output)
{
    output->table = need(smartcols()->new_table());
    (void)smartcols()->table_set_name(output->table, output->name);
    (void)smartcols()->table_enable_json(output->table, output->style->json);
    (void)smartcols()->table_enable_raw(output->table, output->style->raw && !output->style->json);
    (void)smartcols()->table_enable_noheadings(output->table, output->style->no_headings);
    (void)smartcols()->table_enable_ascii(output->table, !format_is_utf8());
    for (size_t i = 0; i < output->count; i++)
        add_column(output, output->shown[i]);
}

struct output *output_begin(const struct output_style *style, const char *command, const char *name,
                            const struct column *columns, size_t count)
{
    struct output *output = need(calloc(1, sizeof *output));
    output_prepare();
    output->command = command;
    output->style = style;
    if (!choose_columns(output, columns, count)) {
        free(output);
        return NULL;
    }
    output->name = name;
    if (!is_plain(output))
        make_table(output);
    return output;
}

struct libscols_line *output_row(struct output *output, struct libscols_line *parent,
                                 const void *row)
{
    struct libscols_line *line =
        output->table != NULL ? need(smartcols()->table_new_line(output->table, parent)) : NULL;
    for (size_t i = 0; i < output->count; i++) {
        const char *text = output->shown[i]->cell(output, row);
        if (text == NULL && !cell_is_exact(output))
            text = "-";
        if (line == NULL)
            rows_add_cell(&output->rows, output->count, text);
        else if (smartcols()->line_set_data(line, i, text) != 0)
            errx(STATUS_FAILED, "not enough memory");
    }
    return line;
}

int output_finish(const char *command)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return STATUS_DONE;
    complain("%s: the output could not be written: %s", command, strerror(errno));
    return STATUS_FAILED;
}

void output_drop(struct output *output)
{
    if (output->table != NULL)
        smartcols()->unref_table(output->table);
    rows_drop(&output->rows);
    free(output);
}

int output_end(struct output *output)
{
    errno = 0;
    if (output->table != NULL)
        (void)smartcols()->print_table(output->table);
    else
        rows_print(&output->rows, output->shown, output->count, !output->style->no_headings,
                   stdout);
    int status = output_finish(output->command);
    output_drop(output);
    return status;
}

/* --- for a screen --- */

const struct column *output_column(const struct output *output, size_t index)
{
    return index < output->count ? output->shown[index] : NULL;
}

void output_set_width(struct output *output, size_t width)
{
    output->width = width;
    if (output->table == NULL)
        make_table(output);
    (void)smartcols()->table_set_termforce(output->table, SCOLS_TERMFORCE_ALWAYS);
    (void)smartcols()->table_set_termwidth(output->table, width);
}

/* Does any line need more than the width? */
static bool is_too_wide(const char *text, size_t width)
{
    size_t used = 0;
    mbstate_t state = {0};
    for (wchar_t character; *text != '\0' && used <= width;) {
        size_t length = mbrtowc(&character, text, MB_LEN_MAX, &state);
        if (length == (size_t)-1 || length == (size_t)-2)
            return true;
        int cells = wcwidth(character);
        used = character == L'\n' ? 0 : used + (size_t)(cells > 0 ? cells : 0);
        text += length;
    }
    return used > width;
}

static void cut_shares(struct output *output)
{
    for (size_t i = 0; i < output->count; i++) {
        const struct column *column = output->shown[i];
        bool cut = column->width_hint < 1 && (column->flags & COLUMN_TREE) == 0;
        (void)smartcols()->column_set_flags(smartcols()->table_get_column(output->table, i),
                                            column_flags(column->flags) |
                                                (cut ? SCOLS_FL_TRUNC : 0));
    }
}

static char *print_rows_to_text(struct output *output)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = need(open_memstream(&text, &size));
    rows_print(&output->rows, output->shown, output->count, !output->style->no_headings, file);
    if (fclose(file) != 0 || text == NULL)
        errx(STATUS_FAILED, "not enough memory");
    return text;
}

static char *print_to_text(struct output *output)
{
    char *text = NULL;
    if (output->table == NULL)
        return print_rows_to_text(output);
    if (smartcols()->print_table_to_string(output->table, &text) != 0 || text == NULL)
        errx(STATUS_FAILED, "not enough memory");
    return text;
}

char *output_end_text(struct output *output)
{
    char *text = print_to_text(output);
    if (output->width > 0 && is_too_wide(text, output->width)) {
        free(text);
        cut_shares(output);
        text = print_to_text(output);
    }
    output_drop(output);
    size_t length = strlen(text);
    if (length == 0 || text[length - 1] == '\n')
        return text;
    text = need(realloc(text, length + 2)); /* the printer ends no line behind the last */
    memcpy(text + length, "\n", 2);
    return text;
}
