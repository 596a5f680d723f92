/* change.c: updating and deleting records.
 * It must never change a record before its place is found sound, nor one that has another version
 * than the caller read. */
#include "store/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool flag_dead(tablestore *table, const struct place *place, struct tablestore_error *error)
{
    for (size_t i = 0; i < table->schema.count; i++)
        if (!file_write(table->files[i], table_field_name(table, i), "#", 1, place->offsets[i],
                        error))
            return false;
    return true;
}

static bool append_row_number(struct bytes *text, int64_t row)
{
    char line[32];
    int length = snprintf(line, sizeof line, "%lld\n", (long long)row);
    return bytes_append(text, line, (size_t)length);
}

/* Keeps the search for dead slots informed of what this handle itself adds to __del_rows__. */
static void note_dead_rows(tablestore *table, const struct sizes *sizes, const struct bytes *text,
                           int64_t rows, int64_t lowest_slot)
{
    if (table->counted_size != sizes->dead_rows)
        return;
    table->counted_size += (int64_t)text->length;
    table->counted_rows += rows;
    if (lowest_slot < table->slot_hint)
        table->slot_hint = lowest_slot;
}

/* ---- Deleting ---- */

static int compare_ids(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* After __del_rows__ has the row: flags the blocks, the slot and the id. */
static bool delete_at(tablestore *table, const struct place *place, struct tablestore_error *error)
{
    return flag_dead(table, place, error) &&
           file_write(table->slots, FILE_SLOTS, "#", 1,
                      place->slot * (int64_t)slot_length(&table->schema), error) &&
           file_write(table->ids, FILE_IDS, "#", 1, place->id * INT_BLOCK_LENGTH, error);
}

static bool delete_places(tablestore *table, struct place *const *places, size_t count,
                          struct tablestore_error *error)
{
    struct sizes *sizes = table_measure(table, error);
    struct bytes text = {0};
    int64_t lowest_slot = INT64_MAX;
    bool done = sizes != NULL;
    for (size_t i = 0; done && i < count; i++) {
        done = append_row_number(&text, places[i]->row) || memory_failure(error);
        if (places[i]->slot < lowest_slot)
            lowest_slot = places[i]->slot;
    }
    /* The one write that needs room on the disk comes first. */
    if (done && !file_write(table->dead_rows, FILE_DEAD_ROWS, text.data, text.length,
                            sizes->dead_rows, error)) {
        done = false;
        if (ftruncate(table->dead_rows, sizes->dead_rows) != 0)
            table->counted_size = -1;
    }
    for (size_t i = 0; done && i < count; i++)
        done = delete_at(table, places[i], error);
    if (done)
        note_dead_rows(table, sizes, &text, (int64_t)count, lowest_slot);
    bytes_free(&text);
    free(sizes);
    return done;
}

bool tablestore_delete(tablestore *table, const int64_t *ids, size_t count,
                       struct tablestore_error *error)
{
    if (!table_refresh_for_writing(table, error))
        return false;
    if (count == 0)
        return true;
    int64_t *sorted = calloc(count, sizeof *sorted);
    struct place **places =
        calloc(count, sizeof *places); // NOLINT(bugprone-sizeof-expression): pointers
    bool done = (sorted != NULL && places != NULL) || memory_failure(error);
    size_t unique = 0;
    if (done) {
        memcpy(sorted, ids, count * sizeof *sorted);
        qsort(sorted, count, sizeof *sorted, compare_ids);
    }
    for (size_t i = 0; done && i < count; i++)
        if (i == 0 || sorted[i] != sorted[i - 1])
            done = (places[unique++] = place_find(table, sorted[i], error)) != NULL;
    done = done && delete_places(table, places, unique, error);
    for (size_t i = 0; i < unique; i++)
        free(places[i]);
    free(places);
    free(sorted);
    return done;
}

/* ---- Updating ---- */

struct update {
    tablestore *table;
    struct place *place;
    struct bytes *blocks; /* the new block of each field; of __id__ and those not assigned: none */
    bool in_place;
};

static void update_free(struct update *update)
{
    for (size_t i = 0; update->blocks != NULL && i < update->table->schema.count; i++)
        bytes_free(&update->blocks[i]);
    free(update->blocks);
    free(update->place);
}

static bool encode_assignments(struct update *update,
                               const struct tablestore_assignment *assignments, size_t count,
                               struct tablestore_error *error)
{
    const struct schema *schema = &update->table->schema;
    update->in_place = true;
    for (size_t i = 0; i < count; i++) {
        size_t field;
        if (!schema_require(schema, assignments[i].field, &field, error))
            return false;
        const struct tablestore_field *definition = &schema->fields[field];
        if (field < FIRST_USER_FIELD)
            return failure(error, TABLESTORE_ARGUMENT, NULL, -1, "%s is not to be assigned",
                           definition->name);
        if (update->blocks[field].length > 0)
            return failure(error, TABLESTORE_ARGUMENT, NULL, -1, "field %s is assigned twice",
                           definition->name);
        if (!block_encode(definition->type, &assignments[i].value, &update->blocks[field],
                          definition->name, error))
            return false;
        if (definition->type == TABLESTORE_REFERENCE &&
            !reference_check(definition, &assignments[i].value, error))
            return false;
        update->in_place = update->in_place && type_table[definition->type].in_place;
    }
    return true;
}

/* Compares the version on disk with the expected one, and makes the block of the next. */
static bool raise_version(struct update *update, int64_t expected, struct tablestore_error *error)
{
    unsigned char block[INT_BLOCK_LENGTH];
    int64_t offset = update->place->offsets[FIELD_VERSION];
    if (!file_read(update->table->files[FIELD_VERSION], "__version__", block, sizeof block, offset,
                   error))
        return false;
    int64_t version = int_block_read(block);
    if (block[0] != FLAG_VALUE || version < 0)
        return failure(error, TABLESTORE_DAMAGED, "__version__", offset, "not a version");
    if (expected != TABLESTORE_ANY_VERSION && expected != version)
        return failure(error, TABLESTORE_CONFLICT, NULL, -1,
                       "record %lld has changed since it was read: it has version %lld, not %lld",
                       (long long)update->place->id, (long long)version, (long long)expected);
    if (version >= INT_BLOCK_MAXIMUM)
        return failure(error, TABLESTORE_RANGE, NULL, -1, "record %lld was changed too often",
                       (long long)update->place->id);
    int_block_write(block, version + 1);
    return bytes_append(&update->blocks[FIELD_VERSION], block, sizeof block) ||
           memory_failure(error);
}

/* The version first: who has read the old one must not believe that nothing has changed. */
static bool write_in_place(struct update *update, struct tablestore_error *error)
{
    tablestore *table = update->table;
    for (size_t i = FIELD_VERSION; i < table->schema.count; i++)
        if (update->blocks[i].length > 0 &&
            !file_write(table->files[i], table_field_name(table, i), update->blocks[i].data,
                        update->blocks[i].length, update->place->offsets[i], error))
            return false;
    return true;
}

/* The slot's new line, which leads to the row that is to be appended. */
static bool make_slot(struct update *update, const struct sizes *sizes, struct bytes *line,
                      struct tablestore_error *error)
{
    if (!bytes_append(line, "-", 1))
        return memory_failure(error);
    for (size_t i = 0; i < update->table->schema.count; i++) {
        unsigned char offset[4];
        int64_t end = sizes->fields[i] + (int64_t)update->blocks[i].length;
        if (end > FILE_SIZE_LIMIT)
            return failure(error, TABLESTORE_RANGE, table_field_name(update->table, i),
                           sizes->fields[i], "the file would be larger than 2 GiB");
        int32_write(offset, (int32_t)sizes->fields[i]);
        if (!bytes_append(line, offset, sizeof offset))
            return memory_failure(error);
    }
    return true;
}

/* The slot's line is given; the old row is listed as dead together with the new row, and flagged
 * when the slot no longer leads to it. */
static bool write_row(struct update *update, const struct sizes *sizes, const struct bytes *line,
                      struct tablestore_error *error)
{
    tablestore *table = update->table;
    struct bytes dead_row = {0};
    if (!append_row_number(&dead_row, update->place->row)) {
        bytes_free(&dead_row);
        return memory_failure(error);
    }
    bool done = rows_append(table, sizes, update->blocks, &dead_row, error);
    if (done && !file_write(table->slots, FILE_SLOTS, line->data, line->length,
                            update->place->slot * (int64_t)line->length, error)) {
        rows_cut_off(table, sizes);
        done = false;
    }
    done = done && flag_dead(table, update->place, error);
    if (done)
        note_dead_rows(table, sizes, &dead_row, 1, INT64_MAX);
    bytes_free(&dead_row);
    return done;
}

static bool move_record(struct update *update, struct tablestore_error *error)
{
    tablestore *table = update->table;
    struct bytes line = {0};
    struct sizes *sizes = table_measure(table, error);
    bool done = sizes != NULL;
    for (size_t i = 0; done && i < table->schema.count; i++)
        if (update->blocks[i].length == 0)
            done = place_read(table, update->place, i, &update->blocks[i], error);
    done = done && make_slot(update, sizes, &line, error) && write_row(update, sizes, &line, error);
    bytes_free(&line);
    free(sizes);
    return done;
}

bool tablestore_update(tablestore *table, int64_t id, int64_t version,
                       const struct tablestore_assignment *assignments, size_t count,
                       struct tablestore_error *error)
{
    if (!table_refresh_for_writing(table, error))
        return false;
    struct update update = {.table = table,
                            .blocks = calloc(table->schema.count, sizeof *update.blocks)};
    if (update.blocks == NULL)
        return memory_failure(error);
    bool done = encode_assignments(&update, assignments, count, error) &&
                (update.place = place_find(table, id, error)) != NULL &&
                raise_version(&update, version, error) &&
                (update.in_place ? write_in_place(&update, error) : move_record(&update, error));
    update_free(&update);
    return done;
}
