/*
 * What each of the program's descriptors is to us: nothing (almost all), or one on a table. One
 * word a number, in memory that is touched only where a table's descriptor stands, so that the
 * question costs one load. Descriptors beyond DESCRIPTORS_LIMIT can't be tables'; opening one there
 * fails.
 */
#ifndef LOCKSHIM_DESCRIPTORS_H
#define LOCKSHIM_DESCRIPTORS_H

#include "shim/lock/hidden.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define DESCRIPTORS_LIMIT (1 << 20)

/* The word: the table's index + 1, and these. */
#define DESCRIPTOR_TABLE 0xffffu
#define DESCRIPTOR_COUNTED (1u << 16)  /* holds the lock while it is open */
#define DESCRIPTOR_WRITABLE (1u << 17) /* the table can be changed through it */
#define DESCRIPTOR_READ (1u << 18)     /* the file has been read: remember its state at the end */
#define DESCRIPTOR_PROGRAM_LOCK (1u << 19) /* no table's: the program flocked a lock file by it */
#define DESCRIPTOR_TRACED (1u << 20)       /* that it is written through has been recorded */

extern HIDDEN _Atomic uint32_t descriptors[DESCRIPTORS_LIMIT];

/* 0: nobody's. */
static inline uint32_t descriptor_word(int descriptor)
{
    if ((unsigned)descriptor >= DESCRIPTORS_LIMIT)
        return 0;
    // cppcheck-suppress negativeIndex ; the cast above has ruled it out
    return atomic_load_explicit(&descriptors[descriptor], memory_order_relaxed);
}

static inline unsigned descriptor_table(uint32_t word)
{
    return (word & DESCRIPTOR_TABLE) - 1;
}

/* Sets the word of a descriptor, and the key of the file that it is open on. False beyond the
 * limit. */
bool descriptor_set(int descriptor, uint32_t word, uint64_t key);

/* Takes the word away; returns what it was. */
uint32_t descriptor_take(int descriptor);

/* Changes flags of a word that is set. */
void descriptor_change(int descriptor, uint32_t clear, uint32_t set);

/* The key of the file that a table's descriptor is open on (tables.h), 0 when it is not kept. */
uint64_t descriptor_key(int descriptor);

/*
 * Descriptors that open.c opened with an O_NOFOLLOW that the program had not asked for: fcntl
 * (F_GETFL) does not show it.
 */
extern unsigned char descriptor_hides_nofollow[DESCRIPTORS_LIMIT];

/* The first table's descriptor at or above `from`, or -1. */
int descriptor_next(int from);

#endif
