/* scan.h: the blocks of a field's file, row by row, in large reads. */
#ifndef TABLESTORE_SCAN_H
#define TABLESTORE_SCAN_H

#include "store/schema.h"

struct column {
    int file;
    const char *name;
    const struct type *type;
    int64_t size;              /* of the file, when the scan began */
    int64_t offset;            /* in the file, of the next block */
    int64_t row;               /* of the next block */
    int64_t buffered, in_file; /* so many bytes of the file from offset in_file on are in buffer */
    unsigned char *buffer;
    size_t capacity;
    struct block block; /* the last one read */
};

/* Begins a scan. The column is freed by column_free also when this failed. */
bool column_open(struct column *column, int file, const char *name, const struct type *type,
                 struct tablestore_error *error);
void column_free(struct column *column);

static inline bool column_at_end(const struct column *column)
{
    return column->offset >= column->size;
}

/* Reads the next block; a block that is cut off by the end of the file is damage. */
bool column_next(struct column *column, struct block *block, struct tablestore_error *error);

/* Reads the block of that row, which must be the last row read or a later one. */
bool column_at(struct column *column, int64_t row, struct block *block,
               struct tablestore_error *error);

#endif
