/* insert.c: adding records. Blocks first, then the slot, then the id, so that nothing leads to a
 * record that is not there; what a failed write leaves behind is cut off again.
 * It must never cost more in a large table than in a small one. */
#include "store/table.h"

#include <stdlib.h>
#include <unistd.h>

/* ---- Appending rows, for insert and update ---- */

void rows_cut_off(tablestore *table, const struct sizes *sizes)
{
    for (size_t i = 0; i < table->schema.count; i++)
        if (ftruncate(table->files[i], sizes->fields[i]) != 0)
            continue; /* nothing better can be done than to go on with the others */
    if (ftruncate(table->dead_rows, sizes->dead_rows) != 0)
        return;
}

bool rows_append(tablestore *table, const struct sizes *sizes, const struct bytes *columns,
                 const struct bytes *dead_rows, struct tablestore_error *error)
{
    bool done = true;
    /* __id__ last: until it is written, the row does not exist for a reader. */
    for (size_t i = table->schema.count; done && i-- > 0;)
        done = file_write(table->files[i], table_field_name(table, i), columns[i].data,
                          columns[i].length, sizes->fields[i], error);
    done = done && file_write(table->dead_rows, FILE_DEAD_ROWS, dead_rows->data, dead_rows->length,
                              sizes->dead_rows, error);
    if (!done)
        rows_cut_off(table, sizes);
    return done;
}

/* ---- References ---- */

bool reference_check(const struct tablestore_field *field, const struct tablestore_value *value,
                     struct tablestore_error *error)
{
    if (value->null)
        return true;
    struct tablestore_error inner = {0};
    tablestore *other = tablestore_open(field->base, TABLESTORE_READ, &inner);
    struct place *place = other == NULL ? NULL : place_find(other, value->integer, &inner);
    if (place == NULL) {
        char shown[VISIBLE_SIZE];
        record_failure(error, inner.status, NULL, -1, "field %s refers to %s: %s", field->name,
                       visible(field->base, shown), inner.message);
    }
    tablestore_close(other);
    free(place);
    return place != NULL;
}

/* ---- Inserting ---- */

struct insertion {
    tablestore *table;
    struct sizes *sizes;
    struct bytes *columns;               /* a run of blocks for each field */
    struct bytes lines;                  /* of __pos__, a slot after the other */
    struct bytes ids;                    /* blocks of _id_pos */
    int64_t *slots;                      /* in the order of the records */
    size_t reused;                       /* so many of them were dead */
    struct tablestore_value id, version; /* of the record at hand */
};

static void insertion_free(struct insertion *insertion)
{
    for (size_t i = 0; insertion->columns != NULL && i < insertion->table->schema.count; i++)
        bytes_free(&insertion->columns[i]);
    free(insertion->columns);
    bytes_free(&insertion->lines);
    bytes_free(&insertion->ids);
    free(insertion->slots);
    free(insertion->sizes);
}

/* For each field, the value assigned to it, or NULL. */
static bool resolve(const struct schema *schema, const struct tablestore_row *row,
                    const struct tablestore_value **values, struct tablestore_error *error)
{
    for (size_t i = 0; i < schema->count; i++)
        values[i] = NULL;
    for (size_t i = 0; i < row->count; i++) {
        const struct tablestore_assignment *assignment = &row->assignments[i];
        size_t field;
        if (!schema_require(schema, assignment->field, &field, error))
            return false;
        if (field < FIRST_USER_FIELD)
            return failure(error, TABLESTORE_ARGUMENT, NULL, -1, "%s is not to be assigned",
                           assignment->field);
        if (values[field] != NULL)
            return failure(error, TABLESTORE_ARGUMENT, NULL, -1, "field %s is assigned twice",
                           assignment->field);
        if (schema->fields[field].type == TABLESTORE_REFERENCE &&
            assignment->value.type == TABLESTORE_REFERENCE &&
            !reference_check(&schema->fields[field], &assignment->value, error))
            return false;
        values[field] = &assignment->value;
    }
    return true;
}

/* Appends the block of one field of a new record, and its offset to the slot's line. */
static bool encode_field(struct insertion *insertion, size_t field,
                         const struct tablestore_value *value, struct tablestore_error *error)
{
    const struct schema *schema = &insertion->table->schema;
    struct bytes *column = &insertion->columns[field];
    const struct bytes *standard = &schema->default_blocks[field];
    int64_t offset = insertion->sizes->fields[field] + (int64_t)column->length;
    unsigned char written[4];
    int32_write(written, (int32_t)offset);
    if (!bytes_append(&insertion->lines, written, sizeof written))
        return memory_failure(error);
    bool done = value != NULL ? block_encode(schema->fields[field].type, value, column,
                                             schema->fields[field].name, error)
                              : bytes_append(column, standard->data, standard->length) ||
                                    memory_failure(error);
    if (done && insertion->sizes->fields[field] + (int64_t)column->length > FILE_SIZE_LIMIT)
        done = failure(error, TABLESTORE_RANGE, schema->fields[field].name, offset,
                       "the file would be larger than 2 GiB");
    return done;
}

static bool encode_record(struct insertion *insertion, const struct tablestore_row *row,
                          const struct tablestore_value **values, int64_t id,
                          struct tablestore_error *error)
{
    const struct schema *schema = &insertion->table->schema;
    if (!resolve(schema, row, values, error))
        return false;
    insertion->id = (struct tablestore_value){.type = TABLESTORE_INT, .integer = id};
    insertion->version = (struct tablestore_value){.type = TABLESTORE_INT};
    values[FIELD_ID] = &insertion->id;
    values[FIELD_VERSION] = &insertion->version;
    if (!bytes_append(&insertion->lines, "-", 1))
        return memory_failure(error);
    for (size_t i = 0; i < schema->count; i++)
        if (!encode_field(insertion, i, values[i], error))
            return false;
    return true;
}

/* Chooses the slots, dead ones first, and makes the blocks of _id_pos. */
static bool choose_slots(struct insertion *insertion, size_t row_count,
                         struct tablestore_error *error)
{
    const struct sizes *sizes = insertion->sizes;
    if (!slots_find_dead(insertion->table, sizes, insertion->slots, row_count, &insertion->reused,
                         error))
        return false;
    for (size_t i = 0; i < row_count; i++) {
        unsigned char block[INT_BLOCK_LENGTH];
        if (i >= insertion->reused)
            insertion->slots[i] = sizes->slot_count + (int64_t)(i - insertion->reused);
        int_block_write(block, insertion->slots[i]);
        if (!bytes_append(&insertion->ids, block, sizeof block))
            return memory_failure(error);
    }
    int64_t end = (sizes->slot_count + (int64_t)(row_count - insertion->reused)) *
                  (int64_t)slot_length(&insertion->table->schema);
    return end <= FILE_SIZE_LIMIT ||
           failure(error, TABLESTORE_RANGE, FILE_SLOTS, -1, "the file would be larger than 2 GiB");
}

static bool write_slots(struct insertion *insertion, size_t row_count,
                        struct tablestore_error *error)
{
    size_t length = slot_length(&insertion->table->schema);
    const unsigned char *lines = insertion->lines.data;
    for (size_t i = 0; i < insertion->reused; i++)
        if (!file_write(insertion->table->slots, FILE_SLOTS, lines + i * length, length,
                        insertion->slots[i] * (int64_t)length, error))
            return false;
    if (insertion->reused == row_count)
        return true;
    return file_write(insertion->table->slots, FILE_SLOTS, lines + insertion->reused * length,
                      (row_count - insertion->reused) * length,
                      insertion->sizes->slot_count * (int64_t)length, error);
}

/* Takes back what write_slots and the write of the ids may have done. */
static void cut_off_slots(struct insertion *insertion)
{
    tablestore *table = insertion->table;
    int64_t length = (int64_t)slot_length(&table->schema);
    for (size_t i = 0; i < insertion->reused; i++)
        file_write(table->slots, FILE_SLOTS, "#", 1, insertion->slots[i] * length, NULL);
    if (ftruncate(table->slots, insertion->sizes->slot_count * length) != 0 ||
        ftruncate(table->ids, insertion->sizes->id_count * INT_BLOCK_LENGTH) != 0)
        return;
}

static bool write_all(struct insertion *insertion, size_t row_count, struct tablestore_error *error)
{
    tablestore *table = insertion->table;
    const struct bytes nothing = {0};
    if (!rows_append(table, insertion->sizes, insertion->columns, &nothing, error))
        return false;
    if (write_slots(insertion, row_count, error) &&
        file_write(table->ids, FILE_IDS, insertion->ids.data, insertion->ids.length,
                   insertion->sizes->id_count * INT_BLOCK_LENGTH, error))
        return true;
    cut_off_slots(insertion);
    rows_cut_off(table, insertion->sizes);
    table->counted_size = -1;
    return false;
}

static bool prepare(struct insertion *insertion, const struct tablestore_row *rows,
                    size_t row_count, struct tablestore_error *error)
{
    const struct schema *schema = &insertion->table->schema;
    insertion->columns = calloc(schema->count, sizeof *insertion->columns);
    insertion->slots = calloc(row_count + 1, sizeof *insertion->slots);
    const struct tablestore_value **values =
        calloc(schema->count, sizeof *values); // NOLINT(bugprone-sizeof-expression): pointers
    bool done = (insertion->columns != NULL && insertion->slots != NULL && values != NULL) ||
                memory_failure(error);
    int64_t next_id = insertion->sizes->id_count;
    if (done && next_id + (int64_t)row_count > INT_BLOCK_MAXIMUM)
        done = failure(error, TABLESTORE_RANGE, NULL, -1, "all ids have been given out");
    for (size_t i = 0; done && i < row_count; i++)
        done = encode_record(insertion, &rows[i], values, next_id + (int64_t)i, error);
    free(values);
    return done && choose_slots(insertion, row_count, error);
}

bool tablestore_insert_rows(tablestore *table, const struct tablestore_row *rows, size_t row_count,
                            int64_t *first_id, struct tablestore_error *error)
{
    if (!table_refresh_for_writing(table, error))
        return false;
    struct insertion insertion = {.table = table, .sizes = table_measure(table, error)};
    bool done = insertion.sizes != NULL && prepare(&insertion, rows, row_count, error) &&
                write_all(&insertion, row_count, error);
    if (done && first_id != NULL)
        *first_id = insertion.sizes->id_count;
    insertion_free(&insertion);
    return done;
}

bool tablestore_insert(tablestore *table, const struct tablestore_assignment *assignments,
                       size_t count, int64_t *id, struct tablestore_error *error)
{
    struct tablestore_row row = {assignments, count};
    return tablestore_insert_rows(table, &row, 1, id, error);
}
