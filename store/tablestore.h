/* tablestore.h: a small embedded store over tables in the format of Buzhug 1.8.
 *
 * This page is the whole contract. The library prints nothing, never exits, keeps no state outside
 * its handles, and takes no lock: where several processes use a table at once, one of them at a
 * time may be between tablestore_open and tablestore_close, and it is the caller who sees to that.
 *
 * - Every function that can fail returns false (or NULL) and fills in *error, which may be NULL.
 * - Handles are independent of one another. One handle is for one thread at a time.
 * - Table bytes are not trusted: what does not decode is an error that names file and offset.
 * - Nothing about records is remembered between two calls. Each call asks the files for the next
 *   id, the rows and the slots, so that a lock around each call is enough to keep a table sound.
 * - When a call fails while it adds records, what it had appended is cut off again.
 * - A process killed inside cleanup, add_field, drop_field or set_default leaves the table as it
 *   was or as it should be: the next opening for writing finishes or forgets the replacement. One
 *   killed inside insert, update or delete leaves what tablestore_verify describes and
 *   tablestore_repair mends.
 * - Numbers are read and written with a point: LC_NUMERIC must be that of the C locale.
 */
#ifndef TABLESTORE_H
#define TABLESTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TABLESTORE_API __attribute__((visibility("default")))

typedef struct tablestore tablestore;
typedef struct tablestore_condition tablestore_condition;

/* ---- Errors ---- */

enum tablestore_status {
    TABLESTORE_OK,
    TABLESTORE_SYSTEM,    /* the system refused something: see system_error */
    TABLESTORE_DAMAGED,   /* the bytes of the table are not those of a sound table */
    TABLESTORE_NOT_FOUND, /* no such table, field or record */
    TABLESTORE_EXISTS,    /* there is one already */
    TABLESTORE_TYPE,      /* a value of the wrong type, or text that is no such value */
    TABLESTORE_RANGE,     /* a value, or the table, too large for the format */
    TABLESTORE_NAME,      /* a name that no field may have */
    TABLESTORE_CONFLICT,  /* the record has changed since it was read */
    TABLESTORE_STALE,     /* the schema has changed, or the table is gone: open it again */
    TABLESTORE_ARGUMENT,  /* the call itself makes no sense */
};

struct tablestore_error {
    enum tablestore_status status;
    int system_error;   /* an errno, or 0 */
    int64_t offset;     /* in file, or -1 */
    char file[256];     /* name of a file within the table, or "" */
    char message[1024]; /* one line, complete in itself, safe to print */
    int reason_at;      /* where in message, after file and offset, the reason itself begins */
};

/* ---- Values ---- */

enum tablestore_type {
    TABLESTORE_INT,       /* integer, from -2^31 - 2^30 to 2^30 - 1 */
    TABLESTORE_FLOAT,     /* real, finite */
    TABLESTORE_STR,       /* text, any bytes */
    TABLESTORE_UNICODE,   /* text, valid UTF-8 */
    TABLESTORE_DATE,      /* moment: year, month, day */
    TABLESTORE_DATETIME,  /* moment */
    TABLESTORE_TIME,      /* moment: hour, minute, second */
    TABLESTORE_BOOL,      /* boolean */
    TABLESTORE_REFERENCE, /* integer: the id of a record in another table */
    TABLESTORE_TYPE_COUNT
};

struct tablestore_moment {
    int year, month, day, hour, minute, second;
};

struct tablestore_value {
    enum tablestore_type type;
    bool null;
    union {
        int64_t integer;
        double real;
        bool boolean;
        struct tablestore_moment moment;
        struct {
            const char *bytes; /* not terminated; owned by whoever made the value */
            size_t length;
        } text;
    };
};

/* The name of a type as __info__ spells it; a reference is "<base>". */
TABLESTORE_API const char *tablestore_type_name(enum tablestore_type type);

/* Reads a value of the type from text: 42, 1.5, any text, 2026-01-31, 2026-01-31T23:59:59 (or with
 * a blank), 23:59:59, true or false. The value of a text type points into text. */
TABLESTORE_API bool tablestore_value_parse(enum tablestore_type type, const char *text,
                                           size_t length, struct tablestore_value *value,
                                           struct tablestore_error *error);

/* Writes a value that is neither null nor a text as text that tablestore_value_parse reads.
 * TABLESTORE_TEXT_SIZE bytes are always enough. */
#define TABLESTORE_TEXT_SIZE 40
TABLESTORE_API const char *tablestore_value_format(const struct tablestore_value *value,
                                                   char text[TABLESTORE_TEXT_SIZE]);

/* ---- Tables ---- */

struct tablestore_field {
    const char *name;
    enum tablestore_type type;
    const char *base;                      /* a reference: the other table's path; else NULL */
    struct tablestore_value default_value; /* null when there is none */
};

/* Makes a table of these fields, which do not include __id__ and __version__. Names are ASCII
 * letters, digits and _, and start with a letter. The directory may exist, but not as a table. */
TABLESTORE_API bool tablestore_create(const char *path, const struct tablestore_field *fields,
                                      size_t field_count, struct tablestore_error *error);

enum tablestore_mode { TABLESTORE_READ, TABLESTORE_WRITE };

/* Opens a table. What can be seen without reading its records is checked. Files stay open until
 * tablestore_close. A reference's path is relative to the working directory, as in Buzhug; the
 * other table is looked into only when a reference to it is stored. */
TABLESTORE_API tablestore *tablestore_open(const char *path, enum tablestore_mode mode,
                                           struct tablestore_error *error);
TABLESTORE_API void tablestore_close(tablestore *table);

/* Removes a table: its directory with all files in it, as Buzhug does. NOT_FOUND when there is no
 * __info__ in it, EXISTS when there is a directory in it; nothing is then removed. */
TABLESTORE_API bool tablestore_destroy(const char *path, struct tablestore_error *error);

/* Waits until what was written is on the disk. */
TABLESTORE_API bool tablestore_commit(tablestore *table, struct tablestore_error *error);

/* All fields, __id__ and __version__ first; valid until the next call that changes the schema. */
TABLESTORE_API const struct tablestore_field *tablestore_fields(const tablestore *table,
                                                                size_t *count);

struct tablestore_summary {
    int64_t records, next_id, slots, rows, dead_rows, bytes;
};
TABLESTORE_API bool tablestore_summarize(tablestore *table, struct tablestore_summary *summary,
                                         struct tablestore_error *error);

/* ---- Records ---- */

struct tablestore_record {
    int64_t id;
    int64_t version; /* TABLESTORE_ANY_VERSION when a selection did not ask for it */
    size_t count;    /* of values: those asked for, in that order */
    struct tablestore_value values[];
};

struct tablestore_assignment {
    const char *field;
    struct tablestore_value value;
};

struct tablestore_row {
    const struct tablestore_assignment *assignments;
    size_t count;
};

/* Adds a record; fields that are not assigned get their defaults. Its cost does not depend on the
 * number of records. The id of the new record goes to *id, which may be NULL. */
TABLESTORE_API bool tablestore_insert(tablestore *table,
                                      const struct tablestore_assignment *assignments, size_t count,
                                      int64_t *id, struct tablestore_error *error);

/* Adds several records, all or none, with a write for each file; their ids are consecutive. */
TABLESTORE_API bool tablestore_insert_rows(tablestore *table, const struct tablestore_row *rows,
                                           size_t row_count, int64_t *first_id,
                                           struct tablestore_error *error);

/* The record with all fields, to be freed; NULL with NOT_FOUND when there is none. */
TABLESTORE_API struct tablestore_record *tablestore_get(tablestore *table, int64_t id,
                                                        struct tablestore_error *error);
TABLESTORE_API void tablestore_record_free(struct tablestore_record *record);

#define TABLESTORE_ANY_VERSION (-1)

/* Changes the record if it still has the version that the caller read, else CONFLICT. */
TABLESTORE_API bool tablestore_update(tablestore *table, int64_t id, int64_t version,
                                      const struct tablestore_assignment *assignments, size_t count,
                                      struct tablestore_error *error);

/* Deletes records; NOT_FOUND, and nothing deleted, when one of them does not exist. */
TABLESTORE_API bool tablestore_delete(tablestore *table, const int64_t *ids, size_t count,
                                      struct tablestore_error *error);

/* ---- Selecting ---- */

enum tablestore_comparison {
    TABLESTORE_EQUAL,
    TABLESTORE_NOT_EQUAL, /* the contrary of EQUAL: a null is unequal to every value */
    TABLESTORE_LESS,      /* these four are false for a null */
    TABLESTORE_LESS_OR_EQUAL,
    TABLESTORE_GREATER,
    TABLESTORE_GREATER_OR_EQUAL,
};

/* Conditions are built without a table and may serve several. Text is read as the type of the field
 * when the condition is used; a value is compared as it would be stored. A condition passed to and,
 * or, not belongs to the result. They return NULL when memory is short or an argument is NULL; the
 * other arguments are then freed, so that calls can be nested without tests in between. */
TABLESTORE_API tablestore_condition *tablestore_compare(const char *field,
                                                        enum tablestore_comparison comparison,
                                                        const char *text, size_t length);
TABLESTORE_API tablestore_condition *tablestore_compare_value(const char *field,
                                                              enum tablestore_comparison comparison,
                                                              const struct tablestore_value *value);
/* A POSIX extended regular expression found anywhere in a str or unicode value. */
TABLESTORE_API tablestore_condition *tablestore_match(const char *field, const char *expression);
TABLESTORE_API tablestore_condition *tablestore_is_null(const char *field);
TABLESTORE_API tablestore_condition *tablestore_and(tablestore_condition *left,
                                                    tablestore_condition *right);
TABLESTORE_API tablestore_condition *tablestore_or(tablestore_condition *left,
                                                   tablestore_condition *right);
TABLESTORE_API tablestore_condition *tablestore_not(tablestore_condition *operand);
TABLESTORE_API void tablestore_condition_free(tablestore_condition *condition);

/* Reads a condition such as:  age >= 30 and not (name ~ '^A' or note is null)
 * Operators: = != < <= > >= ~ !~, is null, is not null, and, or, not, parentheses. A constant is a
 * word, or stands in single or double quotes, which are doubled inside. */
TABLESTORE_API tablestore_condition *tablestore_condition_parse(const char *text,
                                                                struct tablestore_error *error);

struct tablestore_order {
    const char *field;
    bool descending; /* nulls come first, or last when descending */
};

struct tablestore_query {
    const tablestore_condition *condition; /* NULL: all records */
    const char *const *fields;             /* NULL: all fields */
    size_t field_count;
    const struct tablestore_order *order; /* NULL: the order of the rows in the files */
    size_t order_count;
    size_t limit; /* 0: none */
};

/* Gets each record in turn, valid during the call only; returns false to stop. It must not change
 * the table. */
typedef bool tablestore_visit(void *context, const struct tablestore_record *record);

/* Visits the records that fulfil the condition; query may be NULL. Only the files of the fields
 * that are named are read. */
TABLESTORE_API bool tablestore_select(tablestore *table, const struct tablestore_query *query,
                                      tablestore_visit *visit, void *context,
                                      struct tablestore_error *error);

/* Visits all records with all fields. */
TABLESTORE_API bool tablestore_each(tablestore *table, tablestore_visit *visit, void *context,
                                    struct tablestore_error *error);

/* How many records fulfil the condition; all when it is NULL, without reading them. */
TABLESTORE_API bool tablestore_count(tablestore *table, const tablestore_condition *condition,
                                     int64_t *count, struct tablestore_error *error);

/* ---- Changing the table as a whole ---- */

/* Drops the rows that are dead from the files. */
TABLESTORE_API bool tablestore_cleanup(tablestore *table, struct tablestore_error *error);

/* Adds a field after the one named, or first when after is NULL; every record gets its default. */
TABLESTORE_API bool tablestore_add_field(tablestore *table, const struct tablestore_field *field,
                                         const char *after, struct tablestore_error *error);

/* Removes a field; its file stays on the disk, as with Buzhug. */
TABLESTORE_API bool tablestore_drop_field(tablestore *table, const char *name,
                                          struct tablestore_error *error);

/* Sets the default of a field for records to come, and writes it down. */
TABLESTORE_API bool tablestore_set_default(tablestore *table, const char *name,
                                           const struct tablestore_value *value,
                                           struct tablestore_error *error);

/* ---- Verifying and repairing ---- */

struct tablestore_finding {
    const char *file;    /* name within the table */
    int64_t offset;      /* or -1 */
    const char *message; /* safe to print, without file and offset */
};

/* Gets each finding in turn; returns false to stop. */
typedef bool tablestore_report(void *context, const struct tablestore_finding *finding);

/* Checks every invariant of the format. Returns false only when it could not look; a sound table is
 * one without findings. Writes nothing. */
TABLESTORE_API bool tablestore_verify(const char *path, tablestore_report *report, void *context,
                                      int64_t *finding_count, struct tablestore_error *error);

struct tablestore_repair_summary {
    int64_t records;      /* in the new table */
    int64_t lost_records; /* that were there in part, and could not be rebuilt */
    int64_t lost_values;  /* that are null in the new table */
    int64_t new_ids;      /* records that had to be given another id */
};

/* Rebuilds what can be rebuilt of the table at path into a new table; each loss is reported. The
 * schema must be readable. The old table is left as it is. */
TABLESTORE_API bool tablestore_repair(const char *path, const char *new_path,
                                      tablestore_report *report, void *context,
                                      struct tablestore_repair_summary *summary,
                                      struct tablestore_error *error);

TABLESTORE_API const char *tablestore_version(void);

#ifdef __cplusplus
}
#endif

#endif
