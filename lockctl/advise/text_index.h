/* Numbers found by a text and a number: a hash table that only grows. */
#ifndef LOCKCTL_ADVISE_TEXT_INDEX_H
#define LOCKCTL_ADVISE_TEXT_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text_index {
    struct text_entry {
        const char *text; /* the caller's; NULL: free */
        int64_t number;
        size_t value;
    } * entries;
    size_t size, count;
};

/* Found: *value is set. The text need not be terminated. */
bool text_index_find(const struct text_index *index, const char *text, size_t length,
                     int64_t number, size_t *value);

/* Adds what is not there yet; the text must stay. */
void text_index_add(struct text_index *index, const char *text, int64_t number, size_t value);

void text_index_end(struct text_index *index);

#endif
