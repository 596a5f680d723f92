/* image.c: a whole table in memory, with the start of every row.
 * It must never judge what it reads: that is for those who asked. */
#include "store/image.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static bool add_start(struct image_field *field, size_t *capacity, size_t start)
{
    if ((size_t)field->rows == *capacity) {
        *capacity = 2 * *capacity + 1024;
        uint32_t *starts = realloc(field->starts, *capacity * sizeof *starts);
        if (starts == NULL)
            return false;
        field->starts = starts;
    }
    field->starts[field->rows++] = (uint32_t)start;
    return true;
}

/* Finds the start of each line; a last one without newline is no row. */
static bool index_lines(struct image_field *field)
{
    const unsigned char *data = field->bytes.data;
    size_t capacity = 0, position = 0;
    while (position < field->bytes.length) {
        const unsigned char *newline =
            memchr(data + position, '\n', field->bytes.length - position);
        if (newline == NULL)
            break;
        if (!add_start(field, &capacity, position))
            return false;
        position = (size_t)(newline - data) + 1;
    }
    return true;
}

static bool index_rows(struct image_field *field, const struct type *type)
{
    if (type->is_line)
        return index_lines(field);
    field->rows = (int64_t)(field->bytes.length / type->block_length);
    return true;
}

static bool load_schema(struct image *image, struct tablestore_error *error)
{
    struct bytes info = {0};
    bool done = file_load(image->directory, FILE_INFO, &info, error) &&
                schema_read_info(&image->schema, &info, error);
    bytes_free(&info);
    if (!done)
        return false;
    image->fields = calloc(image->schema.count, sizeof *image->fields);
    return image->fields != NULL || memory_failure(error);
}

static bool load_defaults(struct image *image, struct tablestore_error *error)
{
    struct bytes defaults = {0};
    bool done = file_load(image->directory, FILE_DEFAULTS, &defaults, error) &&
                schema_read_defaults(&image->schema, &defaults, error);
    bytes_free(&defaults);
    return done;
}

static bool load_field(struct image *image, size_t i, struct tablestore_error *error)
{
    struct image_field *field = &image->fields[i];
    field->missing =
        !file_load(image->directory, image->schema.fields[i].name, &field->bytes, error);
    bool indexed = index_rows(field, schema_type(&image->schema, i));
    return !field->missing && (indexed || memory_failure(error));
}

/* All but the schema; trouble decides about each file. */
static bool load_files(struct image *image, image_trouble *trouble, void *context)
{
    struct tablestore_error error = {0};
    if (!load_defaults(image, &error) && !trouble(context, &error))
        return false;
    struct {
        const char *name;
        struct bytes *bytes;
    } indexes[] = {
        {FILE_SLOTS, &image->slots}, {FILE_IDS, &image->ids}, {FILE_DEAD_ROWS, &image->dead_rows}};
    for (size_t i = 0; i < sizeof indexes / sizeof *indexes; i++)
        if (!file_load(image->directory, indexes[i].name, indexes[i].bytes, &error) &&
            !trouble(context, &error))
            return false;
    for (size_t i = 0; i < image->schema.count; i++)
        if (!load_field(image, i, &error) && !trouble(context, &error))
            return false;
    return true;
}

bool image_load(struct image *image, const char *path, image_trouble *trouble, void *context)
{
    struct tablestore_error error = {0};
    *image = (struct image){.directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (image->directory < 0)
        return false;
    if (!load_schema(image, &error)) {
        trouble(context, &error);
        return false;
    }
    return load_files(image, trouble, context);
}

/* The first trouble is the last. */
static bool give_up(void *context, const struct tablestore_error *error)
{
    struct tablestore_error *to = context;
    if (to != NULL)
        *to = *error;
    return false;
}

bool image_load_whole(struct image *image, int directory, struct tablestore_error *error)
{
    *image = (struct image){.directory = dup(directory)};
    if (image->directory < 0)
        return system_failure(error, NULL, "cannot open");
    return load_schema(image, error) && load_files(image, give_up, error);
}

void image_free(struct image *image)
{
    for (size_t i = 0; image->fields != NULL && i < image->schema.count; i++) {
        bytes_free(&image->fields[i].bytes);
        free(image->fields[i].starts);
    }
    free(image->fields);
    bytes_free(&image->slots);
    bytes_free(&image->ids);
    bytes_free(&image->dead_rows);
    schema_free(&image->schema);
    if (image->directory >= 0)
        close(image->directory);
    *image = (struct image){.directory = -1};
}

/* Whether the rows of the file are found by their starts. */
static bool is_indexed(const struct image *image, size_t field)
{
    return schema_type(&image->schema, field)->is_line;
}

int64_t image_row_start(const struct image *image, size_t field, int64_t row)
{
    const struct image_field *file = &image->fields[field];
    if (is_indexed(image, field))
        return file->starts[row];
    return row * (int64_t)schema_type(&image->schema, field)->block_length;
}

struct block image_block(const struct image *image, size_t field, int64_t row)
{
    const struct image_field *file = &image->fields[field];
    int64_t start = image_row_start(image, field, row);
    const unsigned char *bytes = file->bytes.data + start;
    if (!is_indexed(image, field))
        return (struct block){bytes, schema_type(&image->schema, field)->block_length};
    size_t end = row + 1 < file->rows ? file->starts[row + 1] : 0;
    if (end == 0) {
        const unsigned char *newline = memchr(bytes, '\n', file->bytes.length - (size_t)start);
        return (struct block){bytes, (size_t)(newline - bytes) + 1};
    }
    return (struct block){bytes, end - (size_t)start};
}

int64_t image_row_at(const struct image *image, size_t field, int64_t offset)
{
    const struct image_field *file = &image->fields[field];
    int64_t length = (int64_t)schema_type(&image->schema, field)->block_length;
    if (offset < 0)
        return -1;
    if (!is_indexed(image, field))
        return offset % length == 0 && offset / length < file->rows ? offset / length : -1;
    int64_t low = 0, high = file->rows;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (file->starts[middle] < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < file->rows && file->starts[low] == offset ? low : -1;
}

int64_t image_id(const struct image *image, int64_t row)
{
    return int_block_read(image->fields[FIELD_ID].bytes.data + row * INT_BLOCK_LENGTH);
}

bool image_row_is_live(const struct image *image, int64_t row)
{
    return image->fields[FIELD_ID].bytes.data[row * INT_BLOCK_LENGTH] == FLAG_VALUE;
}
