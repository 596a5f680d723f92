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
#include <stdio.h>

struct rows {
    struct arena arena;
    const char **cells; /* row by row */
    size_t count;       /* of cells */
};

/* The text is copied, made printable. */
void rows_add_cell(struct rows *rows, const char *text);

/* Prints nothing, not even the headings, if there are no rows. */
void rows_print(const struct rows *rows, const struct column *const *columns, size_t column_count,
                bool headings, FILE *file);

void rows_drop(struct rows *rows);

#endif
