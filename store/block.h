/* block.h: the block format. One table of types holds all that differs between them. Values and
 * blocks only: nothing here knows of files or tables. */
#ifndef TABLESTORE_BLOCK_H
#define TABLESTORE_BLOCK_H

#include "store/bytes.h"
#include "store/error.h"

/* The first byte of a block. */
enum { FLAG_VALUE = '-', FLAG_NULL = '!', FLAG_DEAD = '#' };

#define INT_BLOCK_LENGTH 5
#define INT_BLOCK_BIAS ((int64_t)1 << 30)
#define INT_BLOCK_MAXIMUM (INT_BLOCK_BIAS - 1)

struct block {
    const unsigned char *bytes;
    size_t length;
};

struct type {
    const char *name;    /* as __info__ spells it */
    size_t block_length; /* 0: up to and with a newline */
    bool is_line;        /* the block ends in a newline */
    bool in_place;       /* an update writes over the old block */
    bool bytes_ordered;  /* the order of blocks, bytewise, is that of the values */
    char null_filler;    /* what follows the flag of a null, block_length permitting */
    bool (*encode)(const struct tablestore_value *value, struct bytes *to);
    /* Reads the bytes between the flag and the newline; text goes to room, which has space for it.
     * Returns NULL, or what is wrong. */
    const char *(*decode)(const unsigned char *body, size_t length, struct tablestore_value *value,
                          char *room);
};

extern const struct type type_table[TABLESTORE_TYPE_COUNT];

/* The type of that name among those that need no path. */
const struct type *type_by_name(const char *name, size_t length);

/* Appends the value's block. The value must be of the type; field is for the message. */
bool block_encode(enum tablestore_type type, const struct tablestore_value *value, struct bytes *to,
                  const char *field, struct tablestore_error *error);

/* Reads a block whose flag is - or !. Text is put into room, which must have block.length bytes.
 * Returns NULL, or what is wrong with the block. */
const char *block_decode(enum tablestore_type type, struct block block,
                         struct tablestore_value *value, char *room);

/* Whether the block is one of the type, value or null; NULL, or what is wrong with it. */
const char *block_check(enum tablestore_type type, struct block block);

/* Below, at or above 0 as the first value comes before, with or after the second; nulls first. */
int block_compare(enum tablestore_type type, struct block left, struct block right);

/* The int block, in both directions; what is read may be any int32 less the bias. */
void int_block_write(unsigned char block[INT_BLOCK_LENGTH], int64_t value);
int64_t int_block_read(const unsigned char *block);

/* A big-endian int32. */
void int32_write(unsigned char bytes[4], int32_t value);
int32_t int32_read(const unsigned char *bytes);

/* Whether there is such a day, such a time. */
bool date_is_real(const struct tablestore_moment *moment);
bool time_is_real(const struct tablestore_moment *moment);

#endif
