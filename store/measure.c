/* measure.c: what the sizes and the ends of the files tell about a table, at a cost that does not
 * depend on the number of records. It must never read a file from end to end, but __del_rows__. */
#include "store/table.h"

#include <stdlib.h>

/* The number of pieces of that length in a file. */
static bool count_pieces(const char *name, int64_t size, size_t length, int64_t *count,
                         struct tablestore_error *error)
{
    *count = size / (int64_t)length;
    return size % (int64_t)length == 0 ||
           failure(error, TABLESTORE_DAMAGED, name, size - size % (int64_t)length,
                   "the file ends in the middle of a block");
}

static bool ends_in_newline(int file, const char *name, int64_t size,
                            struct tablestore_error *error)
{
    char last = '\n';
    if (size > 0 && !file_read(file, name, &last, 1, size - 1, error))
        return false;
    return last == '\n' ||
           failure(error, TABLESTORE_DAMAGED, name, size - 1, "the file does not end in a newline");
}

/* A field's file must have room for exactly the rows that __id__ has, as far as its size tells. */
static bool check_field(tablestore *table, size_t field, const struct sizes *sizes,
                        struct tablestore_error *error)
{
    const struct type *type = schema_type(&table->schema, field);
    const char *name = table_field_name(table, field);
    int64_t size = sizes->fields[field], rows = sizes->rows;
    if (type->block_length != 0) {
        int64_t found;
        if (!count_pieces(name, size, type->block_length, &found, error))
            return false;
        if (found != rows)
            return failure(error, TABLESTORE_DAMAGED, name, size, "%lld rows, but __id__ has %lld",
                           (long long)found, (long long)rows);
    } else if (size < 2 * rows || (rows == 0 && size > 0)) {
        return failure(error, TABLESTORE_DAMAGED, name, size,
                       "the size cannot be that of %lld rows", (long long)rows);
    }
    return !type->is_line || ends_in_newline(table->files[field], name, size, error);
}

/* Ids are given out in order, so that the last row, unless it is an update's, has the highest. */
static bool check_last_row(tablestore *table, const struct sizes *sizes,
                           struct tablestore_error *error)
{
    unsigned char block[INT_BLOCK_LENGTH];
    int64_t offset = (sizes->rows - 1) * INT_BLOCK_LENGTH;
    if (sizes->rows == 0)
        return true;
    if (!file_read(table->files[FIELD_ID], "__id__", block, sizeof block, offset, error))
        return false;
    int64_t id = int_block_read(block);
    return (id >= 0 && id < sizes->id_count) ||
           failure(error, TABLESTORE_DAMAGED, "__id__", offset,
                   "the last row has id %lld, but %lld ids were given out", (long long)id,
                   (long long)sizes->id_count);
}

static bool measure_all(tablestore *table, struct sizes *sizes, struct tablestore_error *error)
{
    for (size_t i = 0; i < table->schema.count; i++)
        if ((sizes->fields[i] = file_size(table->files[i], table_field_name(table, i), error)) < 0)
            return false;
    int64_t slots = file_size(table->slots, FILE_SLOTS, error);
    int64_t ids = slots < 0 ? -1 : file_size(table->ids, FILE_IDS, error);
    sizes->dead_rows = ids < 0 ? -1 : file_size(table->dead_rows, FILE_DEAD_ROWS, error);
    return sizes->dead_rows >= 0 &&
           count_pieces("__id__", sizes->fields[FIELD_ID], INT_BLOCK_LENGTH, &sizes->rows, error) &&
           count_pieces(FILE_SLOTS, slots, slot_length(&table->schema), &sizes->slot_count,
                        error) &&
           count_pieces(FILE_IDS, ids, INT_BLOCK_LENGTH, &sizes->id_count, error);
}

struct sizes *table_measure(tablestore *table, struct tablestore_error *error)
{
    struct sizes *sizes = calloc(1, sizeof *sizes + table->schema.count * sizeof *sizes->fields);
    if (sizes == NULL) {
        record_memory_failure(error);
        return NULL;
    }
    bool sound = measure_all(table, sizes, error);
    for (size_t i = 0; sound && i < table->schema.count; i++)
        sound = check_field(table, i, sizes, error);
    if (sound && sizes->slot_count > sizes->id_count)
        sound = failure(error, TABLESTORE_DAMAGED, FILE_SLOTS,
                        sizes->id_count * (int64_t)slot_length(&table->schema),
                        "%lld slots, but %lld ids were given out", (long long)sizes->slot_count,
                        (long long)sizes->id_count);
    sound = sound && check_last_row(table, sizes, error) &&
            ends_in_newline(table->dead_rows, FILE_DEAD_ROWS, sizes->dead_rows, error);
    if (sound)
        return sizes;
    free(sizes);
    return NULL;
}

bool table_count_dead_rows(tablestore *table, int64_t size, struct tablestore_error *error)
{
    if (table->counted_size == size)
        return true;
    unsigned char buffer[65536];
    int64_t rows = 0;
    for (int64_t offset = 0; offset < size;) {
        ssize_t got =
            file_read_some(table->dead_rows, FILE_DEAD_ROWS, buffer, sizeof buffer, offset, error);
        if (got < 0)
            return false;
        if (got == 0)
            break;
        for (ssize_t i = 0; i < got; i++)
            rows += buffer[i] == '\n';
        offset += got;
    }
    table->counted_size = size;
    table->counted_rows = rows;
    table->slot_hint = 0;
    return true;
}

bool tablestore_summarize(tablestore *table, struct tablestore_summary *summary,
                          struct tablestore_error *error)
{
    if (!table_refresh(table, error))
        return false;
    struct sizes *sizes = table_measure(table, error);
    if (sizes == NULL)
        return false;
    bool done = table_count_dead_rows(table, sizes->dead_rows, error);
    if (done) {
        *summary = (struct tablestore_summary){
            .records = sizes->rows - table->counted_rows,
            .next_id = sizes->id_count,
            .slots = sizes->slot_count,
            .rows = sizes->rows,
            .dead_rows = table->counted_rows,
            .bytes = sizes->dead_rows + sizes->id_count * INT_BLOCK_LENGTH +
                     sizes->slot_count * (int64_t)slot_length(&table->schema),
        };
        for (size_t i = 0; i < table->schema.count; i++)
            summary->bytes += sizes->fields[i];
    }
    free(sizes);
    return done;
}
