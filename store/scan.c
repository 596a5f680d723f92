/* scan.c: reading a field's file from end to end, a large piece at a time.
 * It must never hand out a block that is not wholly in the file. */
#include "store/scan.h"

#include "store/files.h"

#define PIECE ((size_t)256 * 1024)

bool column_open(struct column *column, int file, const char *name, const struct type *type,
                 struct tablestore_error *error)
{
    *column = (struct column){.file = file, .name = name, .type = type};
    column->size = file_size(file, name, error);
    if (column->size < 0)
        return false;
    /* The buffer of a small file is as small. */
    column->capacity = column->size < (int64_t)PIECE ? (size_t)column->size + 1 : PIECE;
    column->buffer = malloc(column->capacity);
    return column->buffer != NULL || memory_failure(error);
}

void column_free(struct column *column)
{
    free(column->buffer);
    column->buffer = NULL;
}

/* Moves what is left to the front, and fills up; the buffer grows when the block at hand fills it.
 */
static bool refill(struct column *column, struct tablestore_error *error)
{
    int64_t start = column->offset - column->in_file;
    int64_t kept = column->buffered - start;
    if (kept < 0)
        kept = 0;
    if (kept > 0)
        memmove(column->buffer, column->buffer + start, (size_t)kept);
    if ((size_t)kept == column->capacity) {
        unsigned char *buffer = realloc(column->buffer, 2 * column->capacity + 1);
        if (buffer == NULL)
            return memory_failure(error);
        column->buffer = buffer;
        column->capacity *= 2;
    }
    column->in_file = column->offset;
    column->buffered = kept;
    size_t room = column->capacity - (size_t)kept;
    int64_t left = column->size - column->offset - kept;
    if (left < (int64_t)room)
        room = left < 0 ? 0 : (size_t)left;
    ssize_t got = file_read_some(column->file, column->name, column->buffer + kept, room,
                                 column->offset + kept, error);
    if (got < 0)
        return false;
    if (got == 0)
        return failure(error, TABLESTORE_DAMAGED, column->name, column->offset,
                       column->offset < column->size
                           ? "the file ends in the middle of a block"
                           : "the file has fewer rows than the others (row %lld is missing)",
                       (long long)column->row);
    column->buffered += got;
    return true;
}

bool column_next(struct column *column, struct block *block, struct tablestore_error *error)
{
    size_t length = column->type->block_length;
    size_t searched = 0;
    for (;;) {
        int64_t start = column->offset - column->in_file;
        size_t there = column->buffered > start ? (size_t)(column->buffered - start) : 0;
        const unsigned char *bytes = column->buffer + (there > 0 ? start : 0);
        const unsigned char *newline = NULL;
        if (column->type->block_length == 0 && there > searched)
            newline = memchr(bytes + searched, '\n', there - searched);
        if (newline != NULL)
            length = (size_t)(newline - bytes) + 1;
        searched = there;
        if (length != 0 && there >= length) {
            column->block = *block = (struct block){bytes, length};
            column->offset += (int64_t)length;
            column->row++;
            return true;
        }
        if (!refill(column, error))
            return false;
    }
}

bool column_at(struct column *column, int64_t row, struct block *block,
               struct tablestore_error *error)
{
    size_t length = column->type->block_length;
    if (row == column->row - 1) {
        *block = column->block;
        return true;
    }
    if (length != 0) {
        column->row = row;
        column->offset = row * (int64_t)length;
        return column_next(column, block, error);
    }
    while (column->row < row)
        if (!column_next(column, block, error))
            return false;
    return column_next(column, block, error);
}
