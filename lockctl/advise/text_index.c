/* Open addressing, at most half full. */
#include "lockctl/advise/text_index.h"

#include "lockctl/lockctl.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hash_of(const char *text, size_t length, int64_t number)
{
    uint64_t hash = 14695981039346656037u ^ (uint64_t)number;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * 1099511628211u;
    return hash ^ hash >> 32;
}

/* The entry, or the free one where it belongs. */
static struct text_entry *look_up(const struct text_index *index, const char *text, size_t length,
                                  int64_t number)
{
    for (uint64_t at = hash_of(text, length, number);; at++) {
        struct text_entry *entry = &index->entries[at & (index->size - 1)];
        if (entry->text == NULL || (entry->number == number && strlen(entry->text) == length &&
                                    memcmp(entry->text, text, length) == 0))
            return entry;
    }
}

bool text_index_find(const struct text_index *index, const char *text, size_t length,
                     int64_t number, size_t *value)
{
    if (index->size == 0)
        return false;
    const struct text_entry *entry = look_up(index, text, length, number);
    *value = entry->value;
    return entry->text != NULL;
}

static void make_room(struct text_index *index)
{
    struct text_index larger = {.size = index->size == 0 ? 64 : 2 * index->size};
    larger.entries = calloc(larger.size, sizeof *larger.entries);
    if (larger.entries == NULL)
        err(STATUS_FAILED, NULL);
    for (size_t i = 0; i < index->size; i++) {
        const struct text_entry *entry = &index->entries[i];
        if (entry->text != NULL)
            *look_up(&larger, entry->text, strlen(entry->text), entry->number) = *entry;
    }
    larger.count = index->count;
    free(index->entries);
    *index = larger;
}

void text_index_add(struct text_index *index, const char *text, int64_t number, size_t value)
{
    if (2 * (index->count + 1) > index->size)
        make_room(index);
    struct text_entry *entry = look_up(index, text, strlen(text), number);
    if (entry->text != NULL)
        return;
    *entry = (struct text_entry){text, number, value};
    index->count++;
}

void text_index_end(struct text_index *index)
{
    free(index->entries);
    *index = (struct text_index){0};
}
