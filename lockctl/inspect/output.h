/*
 * Tables of columns, in the manner of util-linux: a table of columns makes headings, -o, JSON and
 * the help text. People get sizes and times as people say them; --json and --raw get them exactly.
 */
#ifndef LOCKCTL_OUTPUT_H
#define LOCKCTL_OUTPUT_H

#include "lockctl/lockctl.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct output; /* one table being printed */

enum { OUTPUT_COLUMNS_MAXIMUM = 64 };

enum column_flags {
    COLUMN_RIGHT = 1,    /* aligned to the right */
    COLUMN_NUMBER = 2,   /* a number in JSON; implies COLUMN_RIGHT */
    COLUMN_BOOLEAN = 4,  /* true or false in JSON: the text is "1" or "0" */
    COLUMN_DEFAULT = 8,  /* shown without -o; JSON has all of them */
    COLUMN_TREE = 16,    /* the tree is drawn here */
    COLUMN_TRUNCATE = 32 /* cut to the width of the terminal */
};

struct column {
    const char *name;  /* as -o takes it and the heading shows it */
    const char *key;   /* in JSON */
    double width_hint; /* below 1: of the terminal's width; else in characters */
    unsigned flags;    /* enum column_flags */
    const char *help;
    /* The text of a row's cell, by one of the functions below or a fixed one; NULL: not known. */
    const char *(*cell)(struct output *output, const void *row);
};

/* For cells; what they return is valid until the next call. */
const char *cell_number(struct output *output, uint64_t number);
const char *cell_duration(struct output *output, uint64_t nanoseconds);
const char *cell_time(struct output *output, uint64_t realtime);
const char *cell_size(struct output *output, uint64_t bytes);
const char *cell_text(struct output *output, const char *hostile); /* NULL stays NULL */
bool cell_is_exact(const struct output *output);

/* What the options of all such commands say. */
struct output_style {
    bool json;
    bool raw;
    bool no_headings;
    const char *columns; /* -o: names separated by commas, +NAMES: further ones; or NULL */
};

/* These options, for the tables of arguments.h; output_take() takes them by their place. */
#define OUTPUT_OPTIONS                                                                             \
    {"json", 'J', NULL, "JSON, times in seconds"},                                                 \
        {"raw", 'r', NULL, "columns without alignment, for scripts"},                              \
        {"noheadings", 'n', NULL, "no headings"},                                                  \
    {                                                                                              \
        "output", 'o', "COLUMNS", "which columns; +COLUMNS: further ones"                          \
    }
#define OUTPUT_OPTION_COUNT 4
int output_take(struct output_style *style, int option, const char *value);

/* May this column be shown? Only -o with other columns excludes it. */
bool output_may_show(const struct output_style *style, const char *name);

/* The list of columns for --help. */
void output_print_columns(const struct column *columns, size_t count);

/*
 * Begins a table; NULL after a complaint about -o (STATUS_USAGE). `name` is the array's in JSON,
 * `command` for complaints. Sets the locale's encoding, and makes a closed pipe an error instead of
 * a signal.
 */
struct output *output_begin(const struct output_style *style, const char *command, const char *name,
                            const struct column *columns, size_t count);

/* Adds a row, below `parent` (what an earlier call returned) or NULL. Ends the program without
 * memory. */
struct libscols_line *output_row(struct output *output, struct libscols_line *parent,
                                 const void *row);

/* Prints and frees it. STATUS_DONE, or STATUS_FAILED after a complaint. */
int output_end(struct output *output);

/* The columns that it shows, from the left; NULL behind the last. */
const struct column *output_column(const struct output *output, size_t index);

/*
 * Lays the table out for so many characters a line. Where it does not fit, all columns that have a
 * share of the width are cut, not only those that always may be.
 */
void output_set_width(struct output *output, size_t width);

/* As output_end(), but into a text, which the caller frees. */
char *output_end_text(struct output *output);

/* Frees it unprinted. */
void output_drop(struct output *output);

/* For what is not printed by a table: as output_begin() prepares and output_end() ends. */
void output_prepare(void);
int output_finish(const char *command);

#endif
