/* slots.c: finding the lowest dead slots of __pos__ without looking at all of them.
 *
 * The number of dead slots follows from the sizes: as many slots as there are, less the live rows,
 * which are all rows but those of __del_rows__. Most tables have none, and then nothing is read. A
 * few are found by way of the rows that died with them; only when that does not lead to all of them
 * (after a cleanup, or with many dead rows) is __pos__ read, up to the first dead slot.
 * It must never return a slot that is not dead. */
#include "store/table.h"

#include <stdlib.h>

/* With more dead rows than this, reading __pos__ is no dearer than following them. */
#define FOLLOWED_ROWS 512

static int compare_slots(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static bool slot_is_dead(tablestore *table, const struct sizes *sizes, int64_t slot)
{
    char flag;
    return slot >= 0 && slot < sizes->slot_count &&
           file_read(table->slots, FILE_SLOTS, &flag, 1,
                     slot * (int64_t)slot_length(&table->schema), NULL) &&
           flag == FLAG_DEAD;
}

/* The slot of the record whose dead row this is, if that record is deleted and the slot not used
 * again; else -1. */
static int64_t slot_of_dead_row(tablestore *table, const struct sizes *sizes, int64_t row)
{
    unsigned char block[INT_BLOCK_LENGTH];
    if (row < 0 || row >= sizes->rows ||
        !file_read(table->files[FIELD_ID], "__id__", block, sizeof block, row * INT_BLOCK_LENGTH,
                   NULL))
        return -1;
    int64_t id = int_block_read(block);
    if (id < 0 || id >= sizes->id_count ||
        !file_read(table->ids, FILE_IDS, block, sizeof block, id * INT_BLOCK_LENGTH, NULL) ||
        block[0] != FLAG_DEAD)
        return -1;
    int64_t slot = int_block_read(block);
    return slot_is_dead(table, sizes, slot) ? slot : -1;
}

/* Fills in the dead slots that the dead rows lead to, in order and each once. */
static bool follow_dead_rows(tablestore *table, const struct sizes *sizes,
                             int64_t slots[FOLLOWED_ROWS], int64_t *found,
                             struct tablestore_error *error)
{
    struct bytes text = {0};
    *found = 0;
    if (!file_read_whole(table->dead_rows, FILE_DEAD_ROWS, &text, error)) {
        bytes_free(&text);
        return false;
    }
    if (!bytes_append(&text, "", 1)) {
        bytes_free(&text);
        return memory_failure(error);
    }
    const char *line = (const char *)text.data;
    for (int64_t i = 0; i < table->counted_rows && *line != '\0'; i++) {
        char *end;
        int64_t slot = slot_of_dead_row(table, sizes, strtoll(line, &end, 10));
        if (slot >= 0)
            slots[(*found)++] = slot;
        if (*end != '\n')
            break;
        line = end + 1;
    }
    bytes_free(&text);
    qsort(slots, (size_t)*found, sizeof *slots, compare_slots);
    int64_t unique = 0;
    for (int64_t i = 0; i < *found; i++)
        if (unique == 0 || slots[unique - 1] != slots[i])
            slots[unique++] = slots[i];
    *found = unique;
    return true;
}

/* Reads __pos__ from the hint on. */
static bool scan_slots(tablestore *table, const struct sizes *sizes, int64_t *slots, size_t wanted,
                       size_t *found, struct tablestore_error *error)
{
    size_t length = slot_length(&table->schema);
    size_t at_once = 262144 / length + 1;
    unsigned char *buffer = malloc(at_once * length);
    if (buffer == NULL)
        return memory_failure(error);
    int64_t slot = table->slot_hint;
    while (*found < wanted && slot < sizes->slot_count) {
        ssize_t got = file_read_some(table->slots, FILE_SLOTS, buffer, at_once * length,
                                     slot * (int64_t)length, error);
        if (got <= 0) {
            free(buffer);
            return got == 0;
        }
        size_t count = (size_t)got / length;
        for (size_t i = 0; i < count && *found < wanted; i++, slot++)
            if (buffer[i * length] == FLAG_DEAD)
                slots[(*found)++] = slot;
        if (count == 0)
            break;
    }
    free(buffer);
    return true;
}

bool slots_find_dead(tablestore *table, const struct sizes *sizes, int64_t *slots, size_t wanted,
                     size_t *found, struct tablestore_error *error)
{
    *found = 0;
    if (!table_count_dead_rows(table, sizes->dead_rows, error))
        return false;
    int64_t live_rows = sizes->rows - table->counted_rows;
    int64_t dead_slots = sizes->slot_count - live_rows;
    if (dead_slots <= 0)
        return true;
    if (dead_slots < (int64_t)wanted)
        wanted = (size_t)dead_slots;
    if (table->slot_hint == 0 && table->counted_rows <= FOLLOWED_ROWS) {
        int64_t followed[FOLLOWED_ROWS], count;
        if (!follow_dead_rows(table, sizes, followed, &count, error))
            return false;
        if (count == dead_slots) {
            memcpy(slots, followed, wanted * sizeof *slots);
            *found = wanted;
        }
    }
    if (*found < wanted && !scan_slots(table, sizes, slots, wanted, found, error))
        return false;
    if (*found > 0)
        table->slot_hint = slots[*found - 1] + 1;
    return true;
}
