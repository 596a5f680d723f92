/* verify.c: every invariant of the format, checked over the whole table; a finding for each breach.
 * It must never write, nor stop at the first finding. */
#include "store/image.h"
#include "store/replace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct verification {
    struct image image;
    tablestore_report *report;
    void *context;
    int64_t findings;
    bool stopped;
    int64_t *row_of_slot; /* -1: none */
    int64_t *slot_of_row;
};

static void find(struct verification *verification, const char *file, int64_t offset,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

static void find(struct verification *verification, const char *file, int64_t offset,
                 const char *format, ...)
{
    char message[512];
    if (verification->stopped)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    verification->findings++;
    struct tablestore_finding finding = {file, offset, message};
    if (verification->report != NULL && !verification->report(verification->context, &finding))
        verification->stopped = true;
}

/* A file that cannot be read is a finding; the others are still looked at. */
static bool note_trouble(void *context, const struct tablestore_error *error)
{
    struct verification *verification = context;
    find(verification, error->file, error->offset, "%s", error->message + error->reason_at);
    return !verification->stopped;
}

static void check_multiple(struct verification *verification, const char *name, size_t size,
                           size_t length)
{
    if (size % length != 0)
        find(verification, name, (int64_t)(size - size % length),
             "the file ends in the middle of a block");
}

/* ---- Field files ---- */

static void check_flags(struct verification *verification, size_t field, int64_t row,
                        struct block block)
{
    const struct image *image = &verification->image;
    const char *name = image->schema.fields[field].name;
    int64_t offset = image_row_start(image, field, row);
    bool dead = block.bytes[0] == FLAG_DEAD;
    if (block.bytes[0] != FLAG_VALUE && block.bytes[0] != FLAG_NULL && !dead)
        find(verification, name, offset, "row %lld: neither value, null nor dead", (long long)row);
    else if (field == FIELD_ID || row >= image->fields[FIELD_ID].rows)
        return;
    else if (dead == image_row_is_live(image, row))
        find(verification, name, offset, "row %lld is %s here, but %s in __id__", (long long)row,
             dead ? "dead" : "live", dead ? "live" : "dead");
}

static void check_value(struct verification *verification, size_t field, int64_t row,
                        struct block block)
{
    const struct image *image = &verification->image;
    const char *name = image->schema.fields[field].name;
    int64_t offset = image_row_start(image, field, row);
    const char *wrong = block_check(image->schema.fields[field].type, block);
    if (wrong != NULL)
        find(verification, name, offset, "row %lld: %s", (long long)row, wrong);
    else if (field < FIRST_USER_FIELD &&
             (block.bytes[0] == FLAG_NULL || int_block_read(block.bytes) < 0))
        find(verification, name, offset, "row %lld: not a number from 0 up", (long long)row);
}

static void check_field(struct verification *verification, size_t field)
{
    const struct image *image = &verification->image;
    const struct image_field *file = &image->fields[field];
    const struct type *type = schema_type(&image->schema, field);
    const char *name = image->schema.fields[field].name;
    if (file->missing)
        return;
    int64_t rows = image->fields[FIELD_ID].rows;
    if (!type->is_line)
        check_multiple(verification, name, file->bytes.length, type->block_length);
    else if (file->bytes.length > 0 && file->bytes.data[file->bytes.length - 1] != '\n')
        find(verification, name, (int64_t)file->bytes.length - 1,
             "the file does not end in a newline");
    if (file->rows != rows)
        find(verification, name, (int64_t)file->bytes.length, "%lld rows, but __id__ has %lld",
             (long long)file->rows, (long long)rows);
    for (int64_t row = 0; row < file->rows && !verification->stopped; row++) {
        struct block block = image_block(image, field, row);
        check_flags(verification, field, row, block);
        if (block.bytes[0] == FLAG_VALUE || block.bytes[0] == FLAG_NULL)
            check_value(verification, field, row, block);
    }
}

/* ---- Slots ---- */

/* The offsets of a slot whose row is known must all be those of that row. */
static void check_offsets(struct verification *verification, int64_t slot, int64_t row)
{
    const struct image *image = &verification->image;
    int64_t start = slot * (int64_t)(1 + 4 * image->schema.count);
    for (size_t i = FIELD_VERSION; i < image->schema.count; i++) {
        if (image->fields[i].missing)
            continue;
        int64_t offset = image_offset(image, slot, i);
        int64_t found = image_row_at(image, i, offset);
        int64_t place = start + 1 + 4 * (int64_t)i;
        if (found < 0)
            find(verification, FILE_SLOTS, place, "slot %lld, field %s: offset %lld starts no row",
                 (long long)slot, image->schema.fields[i].name, (long long)offset);
        else if (found != row)
            find(verification, FILE_SLOTS, place,
                 "slot %lld, field %s: offset %lld is that of row %lld, not %lld", (long long)slot,
                 image->schema.fields[i].name, (long long)offset, (long long)found, (long long)row);
    }
}

static void check_slot_id(struct verification *verification, int64_t slot, int64_t row)
{
    const struct image *image = &verification->image;
    int64_t id = image_id(image, row);
    int64_t place = row * INT_BLOCK_LENGTH;
    if (id < 0 || id >= image_id_count(image)) {
        find(verification, "__id__", place, "row %lld: id %lld was never given out", (long long)row,
             (long long)id);
        return;
    }
    const unsigned char *block = image->ids.data + id * INT_BLOCK_LENGTH;
    if (block[0] != FLAG_VALUE)
        find(verification, FILE_IDS, id * INT_BLOCK_LENGTH,
             "id %lld is not live here, but has slot %lld", (long long)id, (long long)slot);
    else if (int_block_read(block) != slot)
        find(verification, FILE_IDS, id * INT_BLOCK_LENGTH,
             "id %lld leads to slot %lld, but slot %lld leads to a record with that id",
             (long long)id, (long long)int_block_read(block), (long long)slot);
}

static void check_slot(struct verification *verification, int64_t slot)
{
    const struct image *image = &verification->image;
    int64_t start = slot * (int64_t)(1 + 4 * image->schema.count);
    unsigned char flag = image_slot(image, slot)[0];
    verification->row_of_slot[slot] = -1;
    if (flag != FLAG_VALUE) {
        if (flag != FLAG_DEAD)
            find(verification, FILE_SLOTS, start, "slot %lld: neither live nor dead",
                 (long long)slot);
        return;
    }
    int64_t offset = image_offset(image, slot, FIELD_ID);
    int64_t row = image_row_at(image, FIELD_ID, offset);
    if (row < 0) {
        find(verification, FILE_SLOTS, start + 1,
             "slot %lld, field __id__: offset %lld starts no row", (long long)slot,
             (long long)offset);
        return;
    }
    if (!image_row_is_live(image, row)) {
        find(verification, FILE_SLOTS, start + 1, "slot %lld leads to row %lld, which is dead",
             (long long)slot, (long long)row);
        return;
    }
    if (verification->slot_of_row[row] >= 0) {
        find(verification, FILE_SLOTS, start + 1, "slots %lld and %lld share row %lld",
             (long long)verification->slot_of_row[row], (long long)slot, (long long)row);
        return;
    }
    verification->row_of_slot[slot] = row;
    verification->slot_of_row[row] = slot;
    check_offsets(verification, slot, row);
    check_slot_id(verification, slot, row);
}

/* ---- Ids ---- */

static void check_ids(struct verification *verification)
{
    const struct image *image = &verification->image;
    for (int64_t id = 0; id < image_id_count(image) && !verification->stopped; id++) {
        const unsigned char *block = image->ids.data + id * INT_BLOCK_LENGTH;
        int64_t slot = int_block_read(block), offset = id * INT_BLOCK_LENGTH;
        if (block[0] == FLAG_DEAD)
            continue;
        if (block[0] != FLAG_VALUE)
            find(verification, FILE_IDS, offset, "id %lld: neither live nor dead", (long long)id);
        else if (slot < 0 || slot >= image_slot_count(image))
            find(verification, FILE_IDS, offset, "id %lld leads to slot %lld, which does not exist",
                 (long long)id, (long long)slot);
        else if (verification->row_of_slot[slot] < 0)
            find(verification, FILE_IDS, offset,
                 "id %lld leads to slot %lld, which leads to no live row", (long long)id,
                 (long long)slot);
        else if (image_id(image, verification->row_of_slot[slot]) != id)
            find(verification, FILE_IDS, offset,
                 "id %lld leads to slot %lld, which leads to id %lld", (long long)id,
                 (long long)slot, (long long)image_id(image, verification->row_of_slot[slot]));
    }
}

/* ---- Rows ---- */

/* Every live row has a slot, and no id is there twice. */
static void check_rows(struct verification *verification)
{
    const struct image *image = &verification->image;
    int64_t rows = image->fields[FIELD_ID].rows, ids = image_id_count(image);
    char *seen = calloc((size_t)ids + 1, 1);
    for (int64_t row = 0; row < rows && !verification->stopped; row++) {
        if (!image_row_is_live(image, row))
            continue;
        int64_t id = image_id(image, row), offset = row * INT_BLOCK_LENGTH;
        if (verification->slot_of_row[row] < 0)
            find(verification, "__id__", offset, "row %lld is live, but no slot leads to it",
                 (long long)row);
        if (seen == NULL || id < 0 || id >= ids)
            continue;
        if (seen[id])
            find(verification, "__id__", offset, "row %lld: id %lld is there more than once",
                 (long long)row, (long long)id);
        seen[id] = 1;
    }
    free(seen);
}

/* A line of __del_rows__: its row, or -1. */
static int64_t dead_row_number(const unsigned char *line, size_t length)
{
    int64_t number = 0;
    for (size_t i = 0; i < length; i++) {
        if (line[i] < '0' || line[i] > '9' || number > INT32_MAX)
            return -1;
        number = 10 * number + (line[i] - '0');
    }
    return length == 0 ? -1 : number;
}

static void check_dead_row(struct verification *verification, char *listed, int64_t row,
                           int64_t offset)
{
    const struct image *image = &verification->image;
    if (row < 0)
        find(verification, FILE_DEAD_ROWS, offset, "not the number of a row");
    else if (row >= image->fields[FIELD_ID].rows)
        find(verification, FILE_DEAD_ROWS, offset, "row %lld does not exist", (long long)row);
    else if (listed[row])
        find(verification, FILE_DEAD_ROWS, offset, "row %lld is listed more than once",
             (long long)row);
    else if (image->fields[FIELD_ID].bytes.data[row * INT_BLOCK_LENGTH] != FLAG_DEAD)
        find(verification, FILE_DEAD_ROWS, offset, "row %lld is listed, but is not dead",
             (long long)row);
    if (row >= 0 && row < image->fields[FIELD_ID].rows)
        listed[row] = 1;
}

static void check_dead_rows(struct verification *verification)
{
    const struct image *image = &verification->image;
    const struct bytes *text = &image->dead_rows;
    int64_t rows = image->fields[FIELD_ID].rows;
    char *listed = calloc((size_t)rows + 1, 1);
    for (size_t position = 0; listed != NULL && position < text->length;) {
        const unsigned char *line = text->data + position;
        const unsigned char *end = memchr(line, '\n', text->length - position);
        if (end == NULL) {
            find(verification, FILE_DEAD_ROWS, (int64_t)text->length - 1,
                 "the file does not end in a newline");
            break;
        }
        size_t length = (size_t)(end - line);
        check_dead_row(verification, listed, dead_row_number(line, length), (int64_t)position);
        position += length + 1;
    }
    for (int64_t row = 0; listed != NULL && row < rows && !verification->stopped; row++)
        if (!listed[row] && image->fields[FIELD_ID].bytes.data[row * INT_BLOCK_LENGTH] == FLAG_DEAD)
            find(verification, FILE_DEAD_ROWS, (int64_t)text->length,
                 "row %lld is dead, but not listed", (long long)row);
    free(listed);
}

/* ---- All of it ---- */

static bool check_all(struct verification *verification, struct tablestore_error *error)
{
    struct image *image = &verification->image;
    int64_t slots = image_slot_count(image), rows = image->fields[FIELD_ID].rows;
    verification->row_of_slot = calloc((size_t)slots + 1, sizeof *verification->row_of_slot);
    verification->slot_of_row = calloc((size_t)rows + 1, sizeof *verification->slot_of_row);
    if (verification->row_of_slot == NULL || verification->slot_of_row == NULL)
        return memory_failure(error);
    for (int64_t row = 0; row < rows; row++)
        verification->slot_of_row[row] = -1;
    if (replace_pending(image->directory))
        find(verification, REPLACE_LIST, -1,
             "a change of the whole table was interrupted; opening it for writing finishes it");
    check_multiple(verification, FILE_SLOTS, image->slots.length, 1 + 4 * image->schema.count);
    check_multiple(verification, FILE_IDS, image->ids.length, INT_BLOCK_LENGTH);
    for (size_t i = 0; i < image->schema.count; i++)
        check_field(verification, i);
    for (int64_t slot = 0; slot < slots && !verification->stopped; slot++)
        check_slot(verification, slot);
    check_ids(verification);
    check_rows(verification);
    check_dead_rows(verification);
    return true;
}

bool tablestore_verify(const char *path, tablestore_report *report, void *context,
                       int64_t *finding_count, struct tablestore_error *error)
{
    struct verification verification = {.report = report, .context = context};
    bool loaded = image_load(&verification.image, path, note_trouble, &verification);
    bool done = true;
    if (verification.image.directory < 0)
        done = failure(error, TABLESTORE_NOT_FOUND, path, -1, "there is no such table");
    else if (loaded)
        done = check_all(&verification, error);
    free(verification.row_of_slot);
    free(verification.slot_of_row);
    image_free(&verification.image);
    *finding_count = verification.findings;
    return done;
}
