/* reshape.c: what rewrites a table as a whole: cleaning up, fields, defaults. The new files are put
 * in place together (replace.h), so that a killed process leaves the old table or the new one.
 * It must never rewrite a table in which slots and rows do not belong together. */
#include "store/image.h"
#include "store/replace.h"
#include "store/table.h"

#include <stdlib.h>
#include <unistd.h>

/* ---- Which row each live slot has ---- */

enum { DEAD_SLOT = -1 };

static bool damaged_slot(const struct image *image, int64_t slot, size_t field, const char *what,
                         struct tablestore_error *error)
{
    int64_t offset = slot * (int64_t)slot_length(&image->schema) + 1 + 4 * (int64_t)field;
    return failure(error, TABLESTORE_DAMAGED, FILE_SLOTS, offset,
                   "slot %lld, field %s: %s (verify tells more)", (long long)slot,
                   image->schema.fields[field].name, what);
}

static bool check_slot(const struct image *image, int64_t slot, int64_t *row,
                       struct tablestore_error *error)
{
    *row = DEAD_SLOT;
    if (image_slot(image, slot)[0] == FLAG_DEAD)
        return true;
    *row = image_row_at(image, FIELD_ID, image_offset(image, slot, FIELD_ID));
    if (*row < 0 || !image_row_is_live(image, *row))
        return damaged_slot(image, slot, FIELD_ID, "the offset is not that of a live row", error);
    for (size_t i = FIELD_VERSION; i < image->schema.count; i++)
        if (*row >= image->fields[i].rows ||
            image_row_start(image, i, *row) != image_offset(image, slot, i))
            return damaged_slot(image, slot, i, "the offset is not that of the record's row",
                                error);
    return true;
}

/* The rows of the slots; the live ones must be all live rows, each once. To be freed. */
static int64_t *rows_of_slots(const struct image *image, struct tablestore_error *error)
{
    int64_t slots = image_slot_count(image), rows = image->fields[FIELD_ID].rows;
    int64_t *found = calloc((size_t)slots + 1, sizeof *found);
    char *used = calloc((size_t)rows + 1, 1);
    bool sound = (found != NULL && used != NULL) || memory_failure(error);
    for (int64_t slot = 0; sound && slot < slots; slot++) {
        sound = check_slot(image, slot, &found[slot], error);
        if (!sound || found[slot] == DEAD_SLOT)
            continue;
        if (used[found[slot]]++)
            sound = damaged_slot(image, slot, FIELD_ID, "another slot has the same row", error);
    }
    for (int64_t row = 0; sound && row < rows; row++)
        if (!used[row] && image_row_is_live(image, row))
            sound = failure(error, TABLESTORE_DAMAGED, "__id__", row * INT_BLOCK_LENGTH,
                            "row %lld is live, but no slot leads to it (verify tells more)",
                            (long long)row);
    free(used);
    if (sound)
        return found;
    free(found);
    return NULL;
}

/* ---- Reshaping ---- */

struct reshape {
    tablestore *table;
    struct image image;
    int64_t *rows; /* of the slots */
    struct replacement replacement;
    struct schema schema; /* the new one */
};

static bool reshape_begin(struct reshape *reshape, struct tablestore_error *error)
{
    tablestore *table = reshape->table;
    reshape->image.directory = -1;
    reshape->replacement.directory = table->directory;
    struct sizes *sizes = table_measure(table, error);
    free(sizes);
    return sizes != NULL && schema_copy(&reshape->schema, &table->schema, error) &&
           image_load_whole(&reshape->image, table->directory, error) &&
           (reshape->rows = rows_of_slots(&reshape->image, error)) != NULL;
}

static void reshape_end(struct reshape *reshape)
{
    replace_end(&reshape->replacement);
    image_free(&reshape->image);
    schema_free(&reshape->schema);
    free(reshape->rows);
}

static bool reshape_commit(struct reshape *reshape, struct tablestore_error *error)
{
    return replace_commit(&reshape->replacement, error) &&
           table_reopen(reshape->table, &reshape->schema, error);
}

static bool add_schema(struct reshape *reshape, struct tablestore_error *error)
{
    struct bytes info = {0}, defaults = {0};
    bool done = ((schema_write_info(&reshape->schema, &info) &&
                  schema_write_defaults(&reshape->schema, &defaults)) ||
                 memory_failure(error)) &&
                replace_add(&reshape->replacement, FILE_DEFAULTS, &defaults, error) &&
                replace_add(&reshape->replacement, FILE_INFO, &info, error);
    bytes_free(&info);
    bytes_free(&defaults);
    return done;
}

/* ---- Cleaning up ---- */

/* The field's file with the live rows alone, in the order of the slots, whose offsets follow. */
static bool clean_field(struct reshape *reshape, size_t field, struct tablestore_error *error)
{
    struct image *image = &reshape->image;
    struct bytes content = {0};
    bool done = bytes_reserve(&content, image->fields[field].bytes.length);
    for (int64_t slot = 0; done && slot < image_slot_count(image); slot++) {
        if (reshape->rows[slot] == DEAD_SLOT)
            continue;
        struct block block = image_block(image, field, reshape->rows[slot]);
        int32_write(image_slot(image, slot) + 1 + 4 * field, (int32_t)content.length);
        done = bytes_append(&content, block.bytes, block.length);
    }
    done =
        done ? replace_add(&reshape->replacement, image->schema.fields[field].name, &content, error)
             : memory_failure(error);
    bytes_free(&content);
    return done;
}

bool tablestore_cleanup(tablestore *table, struct tablestore_error *error)
{
    if (!table_refresh_for_writing(table, error))
        return false;
    struct reshape reshape = {.table = table};
    struct bytes nothing = {0};
    bool done = reshape_begin(&reshape, error);
    for (size_t i = 0; done && i < table->schema.count; i++)
        done = clean_field(&reshape, i, error);
    done = done && replace_add(&reshape.replacement, FILE_SLOTS, &reshape.image.slots, error) &&
           replace_add(&reshape.replacement, FILE_DEAD_ROWS, &nothing, error) &&
           reshape_commit(&reshape, error);
    reshape_end(&reshape);
    return done;
}

/* ---- Fields ---- */

/* A row of the new field for each row there is, dead where that one is dead. (Buzhug writes one for
 * each slot, which then do not line up with the rows of the other fields.) */
static bool add_field_file(struct reshape *reshape, size_t position, struct tablestore_error *error)
{
    const struct image *image = &reshape->image;
    const struct bytes *block = &reshape->schema.default_blocks[position];
    int64_t rows = image->fields[FIELD_ID].rows;
    struct bytes content = {0};
    if (rows * (int64_t)block->length > FILE_SIZE_LIMIT)
        return failure(error, TABLESTORE_RANGE, reshape->schema.fields[position].name, -1,
                       "the file would be larger than 2 GiB");
    bool done = bytes_reserve(&content, (size_t)rows * block->length);
    for (int64_t row = 0; done && row < rows; row++) {
        bytes_append(&content, block->data, block->length);
        if (!image_row_is_live(image, row))
            content.data[content.length - block->length] = FLAG_DEAD;
    }
    done = done ? replace_add(&reshape->replacement, reshape->schema.fields[position].name,
                              &content, error)
                : memory_failure(error);
    bytes_free(&content);
    return done;
}

/* __pos__ with four bytes more at the position, or less. The offsets of dead slots mean nothing. */
static bool reshape_slots(struct reshape *reshape, size_t position, bool add,
                          struct tablestore_error *error)
{
    const struct image *image = &reshape->image;
    size_t before = 1 + 4 * position, old = slot_length(&image->schema);
    size_t skipped = add ? 0 : 4;
    int64_t length = add ? (int64_t)reshape->schema.default_blocks[position].length : 0;
    struct bytes content = {0};
    int64_t count = image_slot_count(image);
    bool done = bytes_reserve(&content, image->slots.length + 4 * (size_t)count);
    for (int64_t slot = 0; done && slot < count; slot++) {
        const unsigned char *line = image_slot(image, slot);
        int64_t row = reshape->rows[slot] == DEAD_SLOT ? 0 : reshape->rows[slot];
        unsigned char offset[4];
        int32_write(offset, (int32_t)(row * length));
        bytes_append(&content, line, before);
        if (add)
            bytes_append(&content, offset, sizeof offset);
        bytes_append(&content, line + before + skipped, old - before - skipped);
    }
    done = done ? replace_add(&reshape->replacement, FILE_SLOTS, &content, error)
                : memory_failure(error);
    bytes_free(&content);
    return done;
}

bool tablestore_add_field(tablestore *table, const struct tablestore_field *field,
                          const char *after, struct tablestore_error *error)
{
    size_t position = FIRST_USER_FIELD;
    if (!table_refresh_for_writing(table, error) || !schema_check_name(field->name, error))
        return false;
    if (after != NULL) {
        if (!schema_require(&table->schema, after, &position, error))
            return false;
        position++;
        if (position < FIRST_USER_FIELD)
            return failure(error, TABLESTORE_ARGUMENT, NULL, -1,
                           "%s must be followed by __version__", after);
    }
    struct reshape reshape = {.table = table};
    bool done = reshape_begin(&reshape, error) &&
                schema_insert(&reshape.schema, position, field, error) &&
                (field->type != TABLESTORE_REFERENCE ||
                 reference_check(field, &field->default_value, error)) &&
                add_field_file(&reshape, position, error) &&
                reshape_slots(&reshape, position, true, error) && add_schema(&reshape, error) &&
                reshape_commit(&reshape, error);
    reshape_end(&reshape);
    return done;
}

bool tablestore_drop_field(tablestore *table, const char *name, struct tablestore_error *error)
{
    size_t position;
    if (!table_refresh_for_writing(table, error) ||
        !schema_require(&table->schema, name, &position, error))
        return false;
    if (position < FIRST_USER_FIELD)
        return failure(error, TABLESTORE_ARGUMENT, NULL, -1, "%s cannot be dropped", name);
    struct reshape reshape = {.table = table};
    bool done = reshape_begin(&reshape, error);
    if (done)
        schema_remove(&reshape.schema, position);
    done = done && reshape_slots(&reshape, position, false, error) && add_schema(&reshape, error) &&
           reshape_commit(&reshape, error);
    reshape_end(&reshape);
    return done;
}

bool tablestore_set_default(tablestore *table, const char *name,
                            const struct tablestore_value *value, struct tablestore_error *error)
{
    size_t position;
    if (!table_refresh_for_writing(table, error) ||
        !schema_require(&table->schema, name, &position, error))
        return false;
    const struct tablestore_field *field = &table->schema.fields[position];
    if (position < FIRST_USER_FIELD)
        return failure(error, TABLESTORE_ARGUMENT, NULL, -1, "%s has no default", name);
    if (field->type == TABLESTORE_REFERENCE && value->type == TABLESTORE_REFERENCE &&
        !reference_check(field, value, error))
        return false;
    struct reshape reshape = {
        .table = table, .image.directory = -1, .replacement.directory = table->directory};
    struct bytes defaults = {0};
    bool done = schema_copy(&reshape.schema, &table->schema, error) &&
                schema_set_default(&reshape.schema, position, value, error) &&
                (schema_write_defaults(&reshape.schema, &defaults) || memory_failure(error)) &&
                replace_add(&reshape.replacement, FILE_DEFAULTS, &defaults, error) &&
                reshape_commit(&reshape, error);
    bytes_free(&defaults);
    reshape_end(&reshape);
    return done;
}
