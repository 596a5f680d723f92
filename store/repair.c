/* repair.c: rebuilding what is left of a damaged table as a new one.
 *
 * A record is believed first by its slot: it leads to the blocks. A live row that no slot leads to
 * is believed by its number, which is the same in all files. Of two records with one id the one
 * that _id_pos names keeps it; the other gets a new one, unless it is only another version of the
 * first. It must never write to the damaged table, nor leave anything out without a report. */
#include "store/image.h"
#include "store/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct candidate {
    int64_t id, slot, row; /* slot -1: found by its row alone */
    int64_t version;
    int rank; /* the lower, the more to be believed */
};

struct repair {
    struct image image;
    tablestore_report *report;
    void *context;
    struct tablestore_repair_summary *summary;
    struct candidate *candidates;
    size_t count;
    char *claimed; /* rows that some slot leads to */
    int64_t next_id;
    struct bytes *columns; /* of the new table */
    struct bytes slots, ids;
};

static void tell(struct repair *repair, const char *file, int64_t offset, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void tell(struct repair *repair, const char *file, int64_t offset, const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    struct tablestore_finding finding = {file, offset, message};
    if (repair->report != NULL && !repair->report(repair->context, &finding))
        repair->report = NULL;
}

static bool note_trouble(void *context, const struct tablestore_error *error)
{
    tell(context, error->file, error->offset, "%s", error->message + error->reason_at);
    return true;
}

/* ---- Finding the records ---- */

static int64_t version_of(const struct repair *repair, int64_t row)
{
    const struct image_field *field = &repair->image.fields[FIELD_VERSION];
    if (row >= field->rows)
        return 0;
    int64_t version = int_block_read(field->bytes.data + row * INT_BLOCK_LENGTH);
    return version < 0 ? 0 : version;
}

static bool ids_name_slot(const struct repair *repair, int64_t id, int64_t slot)
{
    if (id < 0 || id >= image_id_count(&repair->image))
        return false;
    const unsigned char *block = repair->image.ids.data + id * INT_BLOCK_LENGTH;
    return block[0] == FLAG_VALUE && int_block_read(block) == slot;
}

static void add_candidate(struct repair *repair, int64_t slot, int64_t row)
{
    struct candidate *candidate = &repair->candidates[repair->count++];
    *candidate = (struct candidate){.id = image_id(&repair->image, row),
                                    .slot = slot,
                                    .row = row,
                                    .version = version_of(repair, row)};
    candidate->rank = slot < 0 ? 2 : ids_name_slot(repair, candidate->id, slot) ? 0 : 1;
}

static void look_at_slot(struct repair *repair, int64_t slot)
{
    const struct image *image = &repair->image;
    int64_t place = slot * (int64_t)slot_length(&image->schema);
    if (image_slot(image, slot)[0] == FLAG_DEAD)
        return;
    int64_t row = image_row_at(image, FIELD_ID, image_offset(image, slot, FIELD_ID));
    if (row < 0) {
        tell(repair, FILE_SLOTS, place, "slot %lld leads to no row: left out", (long long)slot);
    } else if (!image_row_is_live(image, row)) {
        tell(repair, FILE_SLOTS, place,
             "slot %lld leads to row %lld, which is dead: record %lld is taken as deleted",
             (long long)slot, (long long)row, (long long)image_id(image, row));
    } else if (repair->claimed[row]) {
        tell(repair, FILE_SLOTS, place, "slot %lld leads to the row of another slot: left out",
             (long long)slot);
    } else {
        repair->claimed[row] = 1;
        add_candidate(repair, slot, row);
    }
}

/* Rows that other files have beyond those of __id__ are what an insert left that did not finish. */
static void look_beyond(struct repair *repair)
{
    const struct image *image = &repair->image;
    int64_t rows = image->fields[FIELD_ID].rows, most = rows;
    for (size_t i = 0; i < image->schema.count; i++)
        if (image->fields[i].rows > most)
            most = image->fields[i].rows;
    if (most > rows)
        tell(repair, "__id__", rows * INT_BLOCK_LENGTH,
             "other files have rows beyond row %lld: inserts that did not finish are lost",
             (long long)rows);
    repair->summary->lost_records += most - rows;
}

static bool find_candidates(struct repair *repair, struct tablestore_error *error)
{
    const struct image *image = &repair->image;
    int64_t rows = image->fields[FIELD_ID].rows;
    repair->claimed = calloc((size_t)rows + 1, 1);
    repair->candidates = calloc((size_t)rows + 1, sizeof *repair->candidates);
    if (repair->claimed == NULL || repair->candidates == NULL)
        return memory_failure(error);
    for (int64_t slot = 0; slot < image_slot_count(image); slot++)
        look_at_slot(repair, slot);
    for (int64_t row = 0; row < rows; row++)
        if (!repair->claimed[row] && image_row_is_live(image, row))
            add_candidate(repair, -1, row);
    look_beyond(repair);
    return true;
}

/* ---- Giving each its id ---- */

static int compare_candidates(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    if (a->rank != b->rank)
        return a->rank - b->rank;
    return (a->row > b->row) - (a->row < b->row);
}

/* Ids far beyond those given out are damage rather than ids. */
static bool id_is_plausible(const struct repair *repair, int64_t id)
{
    const struct image *image = &repair->image;
    return id >= 0 && id < image_id_count(image) + image->fields[FIELD_ID].rows;
}

/* Sorts the candidates by id, drops other versions of a record, and gives new ids to the rest. */
static void settle_ids(struct repair *repair)
{
    size_t kept = 0;
    const struct candidate *first = NULL;
    struct candidate *all = repair->candidates;
    qsort(all, repair->count, sizeof *all, compare_candidates);
    repair->next_id = image_id_count(&repair->image);
    for (size_t i = 0; i < repair->count; i++)
        if (id_is_plausible(repair, all[i].id) && all[i].id >= repair->next_id)
            repair->next_id = all[i].id + 1;
    for (size_t i = 0; i < repair->count; i++) {
        struct candidate candidate = all[i];
        int64_t place = candidate.row * INT_BLOCK_LENGTH;
        bool again = first != NULL && first->id == candidate.id;
        if (again && candidate.slot < 0 && candidate.version != first->version) {
            tell(repair, "__id__", place,
                 "row %lld is version %lld of record %lld, which has %lld: "
                 "left out",
                 (long long)candidate.row, (long long)candidate.version, (long long)candidate.id,
                 (long long)first->version);
            continue;
        }
        if (again || !id_is_plausible(repair, candidate.id)) {
            tell(repair, "__id__", place, "row %lld: id %lld is %s: now record %lld",
                 (long long)candidate.row, (long long)candidate.id,
                 again ? "there twice" : "impossible", (long long)repair->next_id);
            candidate.id = repair->next_id++;
            repair->summary->new_ids++;
        } else if (candidate.slot < 0) {
            tell(repair, "__id__", place, "row %lld had no slot: rebuilt as record %lld",
                 (long long)candidate.row, (long long)candidate.id);
        }
        all[kept] = candidate;
        if (!again)
            first = &all[kept];
        kept++;
    }
    repair->count = kept;
    qsort(all, repair->count, sizeof *all, compare_candidates);
}

/* ---- Writing the new table ---- */

/* The row of a field's file that holds the record's block, or -1. */
static int64_t source_row(const struct repair *repair, const struct candidate *candidate,
                          size_t field)
{
    const struct image *image = &repair->image;
    int64_t row = -1;
    if (candidate->slot >= 0)
        row = image_row_at(image, field, image_offset(image, candidate->slot, field));
    if (row < 0 && candidate->row < image->fields[field].rows)
        row = candidate->row;
    return row;
}

/* Appends the record's block, as it is, revived, or as null. */
static bool salvage_block(struct repair *repair, const struct candidate *candidate, size_t field)
{
    const struct image *image = &repair->image;
    const struct tablestore_field *definition = &image->schema.fields[field];
    struct bytes *column = &repair->columns[field];
    const struct tablestore_value null = {.type = definition->type, .null = true};
    int64_t row = source_row(repair, candidate, field);
    size_t start = column->length;
    const char *wrong = "the value is missing";
    if (row >= 0) {
        struct block block = image_block(image, field, row);
        if (!bytes_append(column, block.bytes, block.length))
            return false;
        bool dead = column->data[start] == FLAG_DEAD;
        if (dead)
            column->data[start] = FLAG_VALUE;
        wrong = block_check(definition->type, (struct block){column->data + start, block.length});
        if (wrong == NULL && !dead)
            return true;
    }
    tell(repair, definition->name, row < 0 ? -1 : image_row_start(image, field, row),
         "record %lld: %s", (long long)candidate->id,
         wrong == NULL ? "the value was flagged dead: kept" : wrong);
    if (wrong == NULL)
        return true;
    repair->summary->lost_values++;
    column->length = start;
    return block_encode(definition->type, &null, column, definition->name, NULL);
}

static bool append_number(struct bytes *column, int64_t number)
{
    unsigned char block[INT_BLOCK_LENGTH];
    int_block_write(block, number);
    return bytes_append(column, block, sizeof block);
}

static bool salvage(struct repair *repair, const struct candidate *candidate)
{
    if (!bytes_append(&repair->slots, "-", 1))
        return false;
    for (size_t i = 0; i < repair->image.schema.count; i++) {
        struct bytes *column = &repair->columns[i];
        unsigned char offset[4];
        int32_write(offset, (int32_t)column->length);
        bool done = bytes_append(&repair->slots, offset, sizeof offset);
        if (i == FIELD_ID)
            done = done && append_number(column, candidate->id);
        else if (i == FIELD_VERSION)
            done = done && append_number(column, candidate->version);
        else
            done = done && salvage_block(repair, candidate, i);
        if (!done || column->length > FILE_SIZE_LIMIT)
            return false;
    }
    return true;
}

/* The blocks of _id_pos: ids without a record are dead. */
static bool make_ids(struct repair *repair)
{
    size_t next = 0;
    for (int64_t id = 0; id < repair->next_id; id++) {
        bool live = next < repair->count && repair->candidates[next].id == id;
        if (!append_number(&repair->ids, live ? (int64_t)next : 0))
            return false;
        if (live)
            next++;
        else
            repair->ids.data[repair->ids.length - INT_BLOCK_LENGTH] = FLAG_DEAD;
    }
    return true;
}

static bool write_table(struct repair *repair, const char *path, struct tablestore_error *error)
{
    const struct schema *schema = &repair->image.schema;
    if (!table_create(path, schema, error))
        return false;
    tablestore *table = tablestore_open(path, TABLESTORE_WRITE, error);
    if (table == NULL)
        return false;
    bool done = true;
    for (size_t i = 0; done && i < schema->count; i++)
        done = file_write(table->files[i], schema->fields[i].name, repair->columns[i].data,
                          repair->columns[i].length, 0, error);
    done =
        done &&
        file_write(table->slots, FILE_SLOTS, repair->slots.data, repair->slots.length, 0, error) &&
        file_write(table->ids, FILE_IDS, repair->ids.data, repair->ids.length, 0, error);
    tablestore_close(table);
    return done;
}

static bool rebuild(struct repair *repair, const char *new_path, struct tablestore_error *error)
{
    repair->columns = calloc(repair->image.schema.count, sizeof *repair->columns);
    if (repair->columns == NULL || !find_candidates(repair, error))
        return memory_failure(error);
    settle_ids(repair);
    bool done = true;
    for (size_t i = 0; done && i < repair->count; i++)
        done = salvage(repair, &repair->candidates[i]);
    if (!done || !make_ids(repair))
        return memory_failure(error);
    repair->summary->records = (int64_t)repair->count;
    return write_table(repair, new_path, error);
}

bool tablestore_repair(const char *path, const char *new_path, tablestore_report *report,
                       void *context, struct tablestore_repair_summary *summary,
                       struct tablestore_error *error)
{
    struct repair repair = {.report = report, .context = context, .summary = summary};
    *summary = (struct tablestore_repair_summary){0};
    bool done = false;
    if (!image_load(&repair.image, path, note_trouble, &repair))
        record_failure(
            error, repair.image.directory < 0 ? TABLESTORE_NOT_FOUND : TABLESTORE_DAMAGED, path, -1,
            repair.image.directory < 0 ? "there is no such table"
                                       : "nothing can be rebuilt without its __info__");
    else if (repair.image.fields[FIELD_ID].missing)
        record_failure(error, TABLESTORE_DAMAGED, "__id__", -1,
                       "nothing can be rebuilt without this file");
    else
        done = rebuild(&repair, new_path, error);
    for (size_t i = 0; repair.columns != NULL && i < repair.image.schema.count; i++)
        bytes_free(&repair.columns[i]);
    free(repair.columns);
    bytes_free(&repair.slots);
    bytes_free(&repair.ids);
    free(repair.candidates);
    free(repair.claimed);
    image_free(&repair.image);
    return done;
}
