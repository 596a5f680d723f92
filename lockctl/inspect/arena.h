/*
 * Memory for one look: taken piece by piece, given back all at once. It ends the program when there
 * is none.
 */
#ifndef LOCKCTL_ARENA_H
#define LOCKCTL_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks;
};

/* All bytes are 0; fit for any type. */
void *arena_take(struct arena *arena, size_t size);

/* Room for one more element behind `count`, zeroed; what was there is moved along. */
void *arena_grow(struct arena *arena, void *array, size_t count, size_t size);

char *arena_copy(struct arena *arena, const char *text, size_t length);
char *arena_format(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What was taken from the other one is from now on part of this one. */
void arena_join(struct arena *arena, struct arena *other);

/* Everything that was taken is gone. */
void arena_reset(struct arena *arena);

#endif
