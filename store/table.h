/* table.h: what an open table is, shared by the operations on it. */
#ifndef TABLESTORE_TABLE_H
#define TABLESTORE_TABLE_H

#include "store/files.h"
#include "store/replace.h"
#include "store/schema.h"

enum { NO_ROW = -1 };

struct tablestore {
    int directory;
    bool writable;
    struct schema schema;
    int *files; /* of the fields, in their order */
    int slots, ids, dead_rows;
    /* By these a handle notices that another process has changed more than records. */
    struct file_identity info_identity, defaults_identity, slots_identity;
    /* What the search for a dead slot may skip; worth something only as long as __del_rows__ has
     * the size that it had then. Wrong, it costs a slot that is reused late, and nothing else. */
    int64_t counted_size, counted_rows, slot_hint;
};

/* Makes an empty table with that schema. */
bool table_create(const char *path, const struct schema *schema, struct tablestore_error *error);

/* Called by every operation first: the handle must still be that of the table at its place. */
bool table_refresh(tablestore *table, struct tablestore_error *error);
bool table_refresh_for_writing(tablestore *table, struct tablestore_error *error);

/* Opens the files anew after a change of the whole table; takes over the schema, unless NULL. */
bool table_reopen(tablestore *table, struct schema *schema, struct tablestore_error *error);

static inline const char *table_field_name(const tablestore *table, size_t field)
{
    return table->schema.fields[field].name;
}

/* The length of a line of __pos__. */
static inline size_t slot_length(const struct schema *schema)
{
    return 1 + 4 * schema->count;
}

/* ---- Sizes: what fstat tells about all files ---- */

struct sizes {
    int64_t rows, slot_count, id_count, dead_rows;
    int64_t fields[]; /* in bytes */
};

/* Measures the files, and checks what the sizes alone, and the last bytes, tell. To be freed. */
struct sizes *table_measure(tablestore *table, struct tablestore_error *error);

/* How many rows __del_rows__ lists. */
bool table_count_dead_rows(tablestore *table, int64_t size, struct tablestore_error *error);

/* ---- Records at their places ---- */

/* A record's place: its slot and row, and the offsets of its blocks. */
struct place {
    int64_t id, slot, row;
    int32_t offsets[];
};

/* Finds a record by its id, checking each step. To be freed. */
struct place *place_find(tablestore *table, int64_t id, struct tablestore_error *error);

/* Appends the block at the place to the bytes. */
bool place_read(tablestore *table, const struct place *place, size_t field, struct bytes *to,
                struct tablestore_error *error);

/* A record of these fields, whose blocks are given; row is for the message. */
struct tablestore_record *record_make(const struct schema *schema, const size_t *fields,
                                      size_t count, const struct block *blocks, int64_t row,
                                      struct tablestore_error *error);

/* ---- Slots ---- */

/* The lowest dead slots, up to wanted, in ascending order; *found tells how many there are. */
bool slots_find_dead(tablestore *table, const struct sizes *sizes, int64_t *slots, size_t wanted,
                     size_t *found, struct tablestore_error *error);

/* ---- Appending rows ---- */

/* Appends a run of blocks to every field file, and text to __del_rows__; all or, when one write
 * fails, none. */
bool rows_append(tablestore *table, const struct sizes *sizes, const struct bytes *columns,
                 const struct bytes *dead_rows, struct tablestore_error *error);
void rows_cut_off(tablestore *table, const struct sizes *sizes);

/* Whether the other table has the record that the value refers to. */
bool reference_check(const struct tablestore_field *field, const struct tablestore_value *value,
                     struct tablestore_error *error);

#endif
