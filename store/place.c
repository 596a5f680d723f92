/* place.c: from an id to the record's slot and blocks, and the slots that are free.
 * It must never follow an offset that it has not checked. */
#include "store/table.h"

#include <stdlib.h>

static bool damaged_slot(tablestore *table, const struct place *place, size_t field,
                         const char *what, struct tablestore_error *error)
{
    int64_t offset = place->slot * (int64_t)slot_length(&table->schema) + 1 + 4 * (int64_t)field;
    return failure(error, TABLESTORE_DAMAGED, FILE_SLOTS, offset, "record %lld, field %s: %s",
                   (long long)place->id, table_field_name(table, field), what);
}

/* The offset of a line must be at the start of one. */
static bool check_line_start(tablestore *table, const struct place *place, size_t field,
                             struct tablestore_error *error)
{
    int32_t offset = place->offsets[field];
    char before[2] = {'\n', 0};
    size_t skip = offset == 0 ? 1 : 0;
    ssize_t got = file_read_some(table->files[field], table_field_name(table, field), before + skip,
                                 2 - skip, offset - 1 + (int64_t)skip, error);
    if (got < 0)
        return false;
    if ((size_t)got != 2 - skip || before[0] != '\n')
        return damaged_slot(table, place, field, "the offset is that of no row", error);
    return before[1] != FLAG_DEAD ||
           damaged_slot(table, place, field, "the slot leads to a dead row", error);
}

static bool check_offset(tablestore *table, const struct place *place, size_t field,
                         struct tablestore_error *error)
{
    size_t length = schema_type(&table->schema, field)->block_length;
    if (place->offsets[field] < 0)
        return damaged_slot(table, place, field, "the offset is negative", error);
    if (length == 0)
        return check_line_start(table, place, field, error);
    return place->offsets[field] == place->row * (int64_t)length ||
           damaged_slot(table, place, field, "the offset is not that of the record's row", error);
}

/* From the id to the slot: NOT_FOUND for an id that was never given out, or is deleted. */
static bool find_slot(tablestore *table, struct place *place, struct tablestore_error *error)
{
    unsigned char block[INT_BLOCK_LENGTH];
    ssize_t got = 0;
    if (place->id >= 0 && place->id <= INT_BLOCK_MAXIMUM)
        got = file_read_some(table->ids, FILE_IDS, block, sizeof block,
                             place->id * INT_BLOCK_LENGTH, error);
    if (got < 0)
        return false;
    if (got != sizeof block || block[0] == FLAG_DEAD)
        return failure(error, TABLESTORE_NOT_FOUND, NULL, -1, "there is no record %lld",
                       (long long)place->id);
    place->slot = int_block_read(block);
    return (block[0] == FLAG_VALUE && place->slot >= 0) ||
           failure(error, TABLESTORE_DAMAGED, FILE_IDS, place->id * INT_BLOCK_LENGTH,
                   "not the block of a slot");
}

static bool read_slot(tablestore *table, struct place *place, struct tablestore_error *error)
{
    size_t length = slot_length(&table->schema);
    int64_t start = place->slot * (int64_t)length;
    unsigned char *line = malloc(length);
    if (line == NULL)
        return memory_failure(error);
    bool done = file_read(table->slots, FILE_SLOTS, line, length, start, error);
    if (done && line[0] != FLAG_VALUE)
        done = failure(error, TABLESTORE_DAMAGED, FILE_SLOTS, start,
                       "id %lld leads to this slot, which is not live", (long long)place->id);
    for (size_t i = 0; done && i < table->schema.count; i++)
        place->offsets[i] = int32_read(line + 1 + 4 * i);
    free(line);
    return done;
}

static bool check_id(tablestore *table, struct place *place, struct tablestore_error *error)
{
    unsigned char block[INT_BLOCK_LENGTH];
    int32_t offset = place->offsets[FIELD_ID];
    if (offset < 0 || offset % INT_BLOCK_LENGTH != 0)
        return damaged_slot(table, place, FIELD_ID, "the offset is that of no row", error);
    place->row = offset / INT_BLOCK_LENGTH;
    if (!file_read(table->files[FIELD_ID], "__id__", block, sizeof block, offset, error))
        return false;
    if (block[0] != FLAG_VALUE)
        return failure(error, TABLESTORE_DAMAGED, "__id__", offset,
                       "record %lld is live, but not its row", (long long)place->id);
    return int_block_read(block) == place->id ||
           failure(error, TABLESTORE_DAMAGED, "__id__", offset,
                   "the slot of record %lld leads to record %lld", (long long)place->id,
                   (long long)int_block_read(block));
}

struct place *place_find(tablestore *table, int64_t id, struct tablestore_error *error)
{
    struct place *place = calloc(1, sizeof *place + table->schema.count * sizeof *place->offsets);
    if (place == NULL) {
        record_memory_failure(error);
        return NULL;
    }
    place->id = id;
    bool found = find_slot(table, place, error) && read_slot(table, place, error) &&
                 check_id(table, place, error);
    for (size_t i = FIELD_VERSION; found && i < table->schema.count; i++)
        found = check_offset(table, place, i, error);
    if (found)
        return place;
    free(place);
    return NULL;
}

/* Appends the line at offset, with its newline. */
static bool read_line(int file, const char *name, int64_t offset, struct bytes *to,
                      struct tablestore_error *error)
{
    size_t piece = 256;
    for (;;) {
        if (!bytes_reserve(to, piece))
            return memory_failure(error);
        unsigned char *start = to->data + to->length;
        ssize_t got = file_read_some(file, name, start, piece, offset, error);
        if (got < 0)
            return false;
        const unsigned char *newline = memchr(start, '\n', (size_t)got);
        if (newline != NULL) {
            to->length += (size_t)(newline - start) + 1;
            return true;
        }
        if ((size_t)got < piece)
            return failure(error, TABLESTORE_DAMAGED, name, offset + got,
                           "the file does not end in a newline");
        to->length += (size_t)got;
        offset += got;
        piece *= 2;
    }
}

bool place_read(tablestore *table, const struct place *place, size_t field, struct bytes *to,
                struct tablestore_error *error)
{
    size_t length = schema_type(&table->schema, field)->block_length;
    const char *name = table_field_name(table, field);
    if (length == 0)
        return read_line(table->files[field], name, place->offsets[field], to, error);
    if (!bytes_reserve(to, length))
        return memory_failure(error);
    if (!file_read(table->files[field], name, to->data + to->length, length, place->offsets[field],
                   error))
        return false;
    to->length += length;
    return true;
}

/* ---- Records ---- */

struct tablestore_record *record_make(const struct schema *schema, const size_t *fields,
                                      size_t count, const struct block *blocks, int64_t row,
                                      struct tablestore_error *error)
{
    size_t room = 0;
    for (size_t i = 0; i < count; i++)
        room += blocks[i].length;
    struct tablestore_record *record =
        malloc(sizeof *record + count * sizeof *record->values + room);
    if (record == NULL) {
        record_memory_failure(error);
        return NULL;
    }
    *record = (struct tablestore_record){
        .id = TABLESTORE_ANY_VERSION, .version = TABLESTORE_ANY_VERSION, .count = count};
    char *text = (char *)&record->values[count];
    for (size_t i = 0; i < count; i++) {
        const struct tablestore_field *field = &schema->fields[fields[i]];
        const char *wrong = block_decode(field->type, blocks[i], &record->values[i], text);
        if (wrong != NULL) {
            size_t length = type_table[field->type].block_length;
            record_failure(error, TABLESTORE_DAMAGED, field->name,
                           length == 0 ? -1 : row * (int64_t)length, "row %lld: %s", (long long)row,
                           wrong);
            free(record);
            return NULL;
        }
        text += blocks[i].length;
        if (fields[i] == FIELD_ID)
            record->id = record->values[i].integer;
        if (fields[i] == FIELD_VERSION)
            record->version = record->values[i].integer;
    }
    return record;
}

void tablestore_record_free(struct tablestore_record *record)
{
    free(record);
}

/* All blocks of a record, one after the other, and what they make. */
static struct tablestore_record *read_record(tablestore *table, const struct place *place,
                                             size_t *fields, struct block *blocks,
                                             struct tablestore_error *error)
{
    struct bytes bytes = {0};
    bool done = true;
    for (size_t i = 0; done && i < table->schema.count; i++) {
        size_t start = bytes.length;
        fields[i] = i;
        done = place_read(table, place, i, &bytes, error);
        blocks[i].length = bytes.length - start;
    }
    const unsigned char *start = bytes.data;
    for (size_t i = 0; done && i < table->schema.count; i++) {
        blocks[i].bytes = start;
        start += blocks[i].length;
    }
    struct tablestore_record *record =
        done ? record_make(&table->schema, fields, table->schema.count, blocks, place->row, error)
             : NULL;
    bytes_free(&bytes);
    return record;
}

struct tablestore_record *tablestore_get(tablestore *table, int64_t id,
                                         struct tablestore_error *error)
{
    if (!table_refresh(table, error))
        return NULL;
    struct place *place = place_find(table, id, error);
    if (place == NULL)
        return NULL;
    size_t *fields = calloc(table->schema.count, sizeof *fields);
    struct block *blocks = calloc(table->schema.count, sizeof *blocks);
    struct tablestore_record *record = NULL;
    if (fields == NULL || blocks == NULL)
        record_memory_failure(error);
    else
        record = read_record(table, place, fields, blocks, error);
    free(fields);
    free(blocks);
    free(place);
    return record;
}
