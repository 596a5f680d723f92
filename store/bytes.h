/* bytes.h: a growing run of bytes. Everything is inline and does nothing but grow. */
#ifndef TABLESTORE_BYTES_H
#define TABLESTORE_BYTES_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
    unsigned char *data;
    size_t length, capacity;
};

/* Makes room for so many more; false when memory is short. */
static inline bool bytes_reserve(struct bytes *bytes, size_t more)
{
    if (bytes->capacity - bytes->length >= more)
        return true;
    size_t wanted = bytes->length + more;
    size_t capacity = bytes->capacity < 64 ? 64 : bytes->capacity;
    while (capacity < wanted)
        capacity += capacity / 2;
    unsigned char *data = realloc(bytes->data, capacity);
    if (data == NULL)
        return false;
    bytes->data = data;
    bytes->capacity = capacity;
    return true;
}

static inline bool bytes_append(struct bytes *bytes, const void *data, size_t length)
{
    if (!bytes_reserve(bytes, length))
        return false;
    if (length > 0)
        memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
    return true;
}

static inline void bytes_free(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){0};
}

#endif
