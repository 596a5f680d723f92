/* image.h: a whole table in memory, as its files are, for what concerns all of it: verifying,
 * repairing, cleaning up, adding and dropping fields. */
#ifndef TABLESTORE_IMAGE_H
#define TABLESTORE_IMAGE_H

#include "store/files.h"
#include "store/schema.h"

struct image_field {
    struct bytes bytes;
    bool missing;
    int64_t rows;     /* whole blocks */
    uint32_t *starts; /* of each row, in a file of lines; else NULL */
};

struct image {
    int directory;
    struct schema schema;
    struct image_field *fields;
    struct bytes slots, ids, dead_rows;
};

/* Told of each file that cannot be read; returns false to give up. */
typedef bool image_trouble(void *context, const struct tablestore_error *error);

/* Reads the schema, then all files. False when the directory cannot be opened (it is then -1), the
 * schema cannot be read, or trouble says so. */
bool image_load(struct image *image, const char *path, image_trouble *trouble, void *context);

/* The same for the table in that directory, which must be whole. */
bool image_load_whole(struct image *image, int directory, struct tablestore_error *error);
void image_free(struct image *image);

static inline int64_t image_slot_count(const struct image *image)
{
    return (int64_t)(image->slots.length / (1 + 4 * image->schema.count));
}

static inline unsigned char *image_slot(const struct image *image, int64_t slot)
{
    return image->slots.data + (size_t)slot * (1 + 4 * image->schema.count);
}

static inline int32_t image_offset(const struct image *image, int64_t slot, size_t field)
{
    return int32_read(image_slot(image, slot) + 1 + 4 * field);
}

static inline int64_t image_id_count(const struct image *image)
{
    return (int64_t)(image->ids.length / INT_BLOCK_LENGTH);
}

/* The offset and block of a row that the file has. */
int64_t image_row_start(const struct image *image, size_t field, int64_t row);
struct block image_block(const struct image *image, size_t field, int64_t row);

/* The row that starts at the offset, or -1. */
int64_t image_row_at(const struct image *image, size_t field, int64_t offset);

/* The id in a row of __id__; and whether the row is live. */
int64_t image_id(const struct image *image, int64_t row);
bool image_row_is_live(const struct image *image, int64_t row);

#endif
