/*
 * The list of mappings: ranges, of which a hole in the middle makes two. It must never report a
 * mapping as gone while a byte of it is left.
 */
#include "shim/mappings.h"

#include "shim/lock/busy.h"
#include "shim/lock/sparse.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { RANGES = 1024 };

struct range {
    uintptr_t begin, end; /* end 0: free */
    unsigned table;
    unsigned mapping; /* which mapping it is a part of */
};

_Atomic int mappings_count;
SPARSE static struct range ranges[RANGES];
static unsigned next_mapping;
static busy_word busy;

/* Who does not get in leaves the list as it is: the lock of that mapping is held for good. */
static bool enter(void)
{
    return busy_enter(&busy, 100000);
}

static void leave(void)
{
    busy_leave(&busy);
}

static struct range *free_range(void)
{
    for (int i = 0; i < RANGES; i++) {
        if (ranges[i].end == 0)
            return &ranges[i];
    }
    return NULL;
}

static bool put(uintptr_t begin, uintptr_t end, unsigned table, unsigned mapping)
{
    struct range *range = free_range();
    if (range == NULL)
        return false;
    *range = (struct range){begin, end, table, mapping};
    atomic_fetch_add(&mappings_count, 1);
    return true;
}

static uintptr_t round_up(uintptr_t address)
{
    return (address + 4095) & ~(uintptr_t)4095;
}

void mappings_add(void *address, size_t size, unsigned table)
{
    if (!enter())
        return;
    (void)put((uintptr_t)address, round_up((uintptr_t)address + size), table, ++next_mapping);
    leave();
}

static bool is_left(unsigned mapping)
{
    for (int i = 0; i < RANGES; i++) {
        if (ranges[i].end != 0 && ranges[i].mapping == mapping)
            return true;
    }
    return false;
}

/* Cuts a hole into one range. False when what is behind the hole finds no room: then it stays. */
static bool cut(struct range *range, uintptr_t begin, uintptr_t end)
{
    if (begin > range->begin && end < range->end) {
        if (!put(end, range->end, range->table, range->mapping))
            return false;
        range->end = begin;
    } else if (begin > range->begin) {
        range->end = begin;
    } else if (end < range->end) {
        range->begin = end;
    } else {
        range->end = 0;
        atomic_fetch_sub(&mappings_count, 1);
    }
    return true;
}

void mappings_remove(void *address, size_t size, void (*gone)(unsigned table))
{
    uintptr_t begin = (uintptr_t)address, end = round_up(begin + size);
    if (atomic_load(&mappings_count) == 0 || !enter())
        return;
    for (int i = 0; i < RANGES; i++) {
        struct range *range = &ranges[i];
        if (range->end == 0 || range->begin >= end || range->end <= begin)
            continue;
        struct range was = *range;
        if (cut(range, begin, end) && range->end == 0 && !is_left(was.mapping)) {
            leave();
            gone(was.table);
            if (!enter())
                return;
        }
    }
    leave();
}

void mappings_move(void *old_address, size_t old_size, void *address, size_t size, bool copied)
{
    bool stays = copied || old_size == 0;
    uintptr_t begin = (uintptr_t)old_address,
              end = round_up(begin + (old_size == 0 ? 1 : old_size));
    if (atomic_load(&mappings_count) == 0 || !enter())
        return;
    for (int i = 0; i < RANGES; i++) {
        struct range *range = &ranges[i];
        if (range->end == 0 || range->begin >= end || range->end <= begin)
            continue;
        /* Without room for the new part the mapping is kept for good: it is never all gone. */
        (void)put((uintptr_t)address, round_up((uintptr_t)address + size), range->table,
                  range->mapping);
        if (!stays)
            (void)cut(range, begin, end);
        break;
    }
    leave();
}

void mappings_forget(void)
{
    for (int i = 0; i < RANGES && atomic_load(&mappings_count) != 0; i++)
        ranges[i].end = 0;
    /* What is written in a child is a page to be copied. */
    if (atomic_load(&mappings_count) != 0)
        atomic_store(&mappings_count, 0);
    if (atomic_load(&busy) != 0)
        leave();
}
