/* tool.h: what the commands of the tool share. */
#ifndef TABLESTORE_TOOL_H
#define TABLESTORE_TOOL_H

#include "store/tablestore.h"

#include <stdio.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* Options of the command line; which command takes which is in main.c's table. */
struct options {
    const char *where, *fields, *order, *after, *into, *self_lock, *mix;
    const char **nulls; /* fields that are to be null */
    size_t null_count;
    long long limit, operations, seed, if_version;
    bool json, csv, no_headings, repair, reopen, quiet;
};

/* A command gets its arguments without options: the table first, count at least one. */
typedef int command(const struct options *options, char **arguments, size_t count);

command command_create, command_info, command_insert, command_import, command_select,
    command_update, command_delete, command_get, command_count, command_cleanup, command_add_field,
    command_drop_field, command_set_default, command_destroy, command_verify, command_bench;

/* ---- Failing: each prints one line, and returns the exit status ---- */

int failed(const struct tablestore_error *error);
int failed_because(const char *format, ...) __attribute__((format(printf, 1, 2)));
int misused(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Makes any bytes printable; the result is to be freed. Ends the program when memory is short. */
char *printable(const void *bytes, size_t length);

/* Memory, or the end of the program. */
void *need(void *memory);

/* ---- Arguments ---- */

/* FIELD:TYPE[=DEFAULT], TYPE @PATH for a reference. The strings live in the argument, which is cut
 * up. Returns an exit status. */
int parse_field(char *argument, struct tablestore_field *field);

/* FIELD=TEXT arguments and --null options, as assignments of the table's fields; to be freed. The
 * texts live in the arguments, which are cut up. */
int parse_assignments(const tablestore *table, const struct options *options, char **arguments,
                      size_t count, struct tablestore_assignment **assignments, size_t *made);

/* A decimal number; the exit status of a misuse otherwise. */
int parse_number(const char *text, const char *what, long long minimum, long long *number);

/* Cuts a text at its commas; the parts live in the copy. */
struct list {
    char *copy;
    const char **parts;
    size_t count;
};
void list_make(struct list *list, const char *text);
void list_free(struct list *list);

const struct tablestore_field *find_field(const tablestore *table, const char *name);

/* An empty text means null for a field of a type that has no empty value. */
bool value_from_text(const struct tablestore_field *field, const char *text, size_t length,
                     struct tablestore_value *value, struct tablestore_error *error);

/* ---- Printing records ---- */

struct printer;

/* Prints as the options say, these fields; to be ended even when a record failed. */
struct printer *printer_start(const struct options *options, const tablestore *table,
                              const char *const *fields, size_t count);
tablestore_visit printer_add; /* context: the printer */
int printer_end(struct printer *printer);

/* ---- The yardstick's lock ---- */

/* Waits for an exclusive flock on the file; the descriptor, or -1 after a line of complaint. */
int self_lock_take(const char *file);

#endif
