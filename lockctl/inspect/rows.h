/*
 * Tables laid out for files and pipes, where nothing is cut: what libsmartcols prints there, for a
 * fraction of its time, which is most of a look where there are thousands of rows. On a terminal,
 * in trees and in JSON it is libsmartcols that prints.
 */
#ifndef LOCKCTL_ROWS_H
#define LOCKCTL_ROWS_H

#include "lockctl/inspect/arena.h"
#include "lockctl/inspect/output.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Small: there may be a hundred thousand. */
struct cell {
    const char *text;
    uint32_t bytes;
    uint32_t width : 31;    /* in characters of a terminal */
    uint32_t as_it_was : 1; /* none had to be made printable */
};

struct rows {
    struct arena arena;
    struct cell *cells; /* row by row */
    size_t count;       /* of cells */
};

/*
 * The next cell of a table of so many columns, row by row. The text is copied, made printable; what
 * stands above it already is not copied again.
 */
void rows_add_cell(struct rows *rows, size_t column_count, const char *text);

/* Prints nothing, not even the headings, if there are no rows. */
void rows_print(struct rows *rows, const struct column *const *columns, size_t column_count,
                bool headings, FILE *file);

void rows_drop(struct rows *rows);

#endif
