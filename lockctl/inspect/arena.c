/*
 * Blocks in a chain, the newest in front; a request that is larger than a block gets its own.
 */
#include "lockctl/inspect/arena.h"

#include "lockctl/lockctl.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* So large that malloc maps it: then it is zero, page by page as it is used. */
#define BLOCK_BYTES ((size_t)256 * 1024)
#define ALIGNMENT ((size_t)16)

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    _Alignas(16) char bytes[];
};

static struct arena_block *add_block(struct arena *arena, size_t size)
{
    size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;
    struct arena_block *block = calloc(1, sizeof *block + room); /* fresh memory is zero already */
    if (block == NULL)
        err(STATUS_FAILED, NULL);
    block->next = arena->blocks;
    block->size = room;
    arena->blocks = block;
    return block;
}

void *arena_take(struct arena *arena, size_t size)
{
    size = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    struct arena_block *block = arena->blocks;
    if (block == NULL || block->size - block->used < size)
        block = add_block(arena, size);
    char *memory = block->bytes + block->used;
    block->used += size;
    return memory;
}

void *arena_grow(struct arena *arena, void *array, size_t count, size_t size)
{
    if ((count & (count - 1)) != 0)
        return array;
    void *larger = arena_take(arena, (count == 0 ? 1 : 2 * count) * size);
    if (count > 0)
        memcpy(larger, array, count * size);
    return larger;
}

char *arena_copy(struct arena *arena, const char *text, size_t length)
{
    char *copy = arena_take(arena, length + 1);
    memcpy(copy, text, length);
    return copy;
}

/* Most texts are short: they are made on the stack first. */
char *arena_format(struct arena *arena, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0)
        err(STATUS_FAILED, NULL);
    if ((size_t)length < sizeof text)
        return arena_copy(arena, text, (size_t)length);
    char *longer = arena_take(arena, (size_t)length + 1);
    va_start(arguments, format);
    (void)vsnprintf(longer, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return longer;
}

/* The block that is being filled stays in front. */
void arena_join(struct arena *arena, struct arena *other)
{
    struct arena_block **end = &arena->blocks;
    while (*end != NULL)
        end = &(*end)->next;
    *end = other->blocks;
    other->blocks = NULL;
}

void arena_reset(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
}
