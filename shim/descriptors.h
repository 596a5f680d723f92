/*
 * What each of the program's descriptors is to us: nothing (almost all), or one on a table. One
 * word a number, so that the question costs one load. Descriptors beyond DESCRIPTORS_LIMIT can't be
 * tables'; opening one there fails.
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
#define DESCRIPTOR_COUNTED (1u << 16)      /* holds the lock while it is open */
#define DESCRIPTOR_WRITABLE (1u << 17)     /* the table can be changed through it */
#define DESCRIPTOR_READ (1u << 18)         /* the file has been read: remember its state */
#define DESCRIPTOR_PROGRAM_LOCK (1u << 19) /* no table's: the program flocked a lock file by it */
#define DESCRIPTOR_TRACED (1u << 20)       /* that it is written through has been recorded */
#define DESCRIPTOR_MAPPED (1u << 21)       /* shared and writable, under `call` */

/*
 * What is kept of the numbers, in memory that is touched only where descriptors stand. The notes
 * are counted backwards, from the words on: of both the lowest numbers, which nearly all programs
 * make do with, lie in one page.
 */
enum { DESCRIPTOR_PAGE = 4096, DESCRIPTORS_BELOW = DESCRIPTOR_PAGE / 2 };
struct descriptors {
    char below[DESCRIPTORS_BELOW]; /* so that the words begin in the middle of a page */
    _Atomic uint64_t notes[DESCRIPTORS_LIMIT];
    _Atomic uint32_t words[DESCRIPTORS_LIMIT];
};
extern HIDDEN struct descriptors descriptors;

/* Written so that the compiler adds no two constants at every call. */
static inline _Atomic uint32_t *descriptor_word_of(unsigned descriptor)
{
    return (_Atomic uint32_t *)((uintptr_t)descriptors.words + descriptor * sizeof(uint32_t));
}

/* 0: nobody's. */
static inline uint32_t descriptor_word(int descriptor)
{
    if ((unsigned)descriptor >= DESCRIPTORS_LIMIT)
        return 0;
    return atomic_load_explicit(descriptor_word_of((unsigned)descriptor), memory_order_relaxed);
}

static inline unsigned descriptor_table(uint32_t word)
{
    return (word & DESCRIPTOR_TABLE) - 1;
}

/*
 * Sets the word of a descriptor, and the key of the file that it is open on (but for its lowest
 * bit). False beyond the limit.
 */
bool descriptor_set(int descriptor, uint32_t word, uint64_t key);

/* Takes the word away; returns what it was. */
uint32_t descriptor_take(int descriptor);

/* Changes flags of a word that is set. */
void descriptor_change(int descriptor, uint32_t clear, uint32_t set);

/*
 * The key of the file that a table's descriptor is open on (tables.h), with its lowest bit set; 0
 * when it is not kept.
 */
uint64_t descriptor_key(int descriptor);

/* A note: the key, but for its lowest bit, and in that bit whether O_NOFOLLOW is to be hidden. */
static inline _Atomic uint64_t *descriptor_note(int descriptor)
{
    return &descriptors.notes[DESCRIPTORS_LIMIT - 1 - descriptor];
}

/*
 * A descriptor that was just opened, on no table's file as far as is known; `hides_nofollow`: with
 * an O_NOFOLLOW that the program has not asked for, which fcntl(F_GETFL) is not to show.
 */
static inline void descriptor_opened(int descriptor, bool hides_nofollow)
{
    if ((unsigned)descriptor < DESCRIPTORS_LIMIT)
        atomic_store_explicit(descriptor_note(descriptor), hides_nofollow, memory_order_relaxed);
}

bool descriptor_hides_nofollow(int descriptor);

/* The first table's descriptor at or above `from`, or -1. */
int descriptor_next(int from);

#endif
