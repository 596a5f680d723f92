/*
 * The words and keys of descriptors. Lock-free: a descriptor belongs to whoever opens and closes
 * it, and the kernel gives a number to one at a time.
 */
#include "shim/descriptors.h"
#include "shim/lock/sparse.h"

#define HIDES_NOFOLLOW 1u

SPARSE_HUGE _Alignas(DESCRIPTOR_PAGE) struct descriptors descriptors;
static _Atomic int highest = -1;

bool descriptor_set(int descriptor, uint32_t word, uint64_t key)
{
    if ((unsigned)descriptor >= DESCRIPTORS_LIMIT)
        return false;
    _Atomic uint64_t *note = descriptor_note(descriptor);
    uint64_t hides = atomic_load_explicit(note, memory_order_relaxed) & HIDES_NOFOLLOW;
    atomic_store_explicit(note, (key & ~(uint64_t)HIDES_NOFOLLOW) | hides, memory_order_relaxed);
    int before = atomic_load(&highest);
    while (before < descriptor && !atomic_compare_exchange_weak(&highest, &before, descriptor)) {
    }
    atomic_store(&descriptors.words[descriptor], word);
    return true;
}

uint32_t descriptor_take(int descriptor)
{
    if (descriptor_word(descriptor) == 0)
        return 0;
    return atomic_exchange(&descriptors.words[descriptor], 0);
}

void descriptor_change(int descriptor, uint32_t clear, uint32_t set)
{
    uint32_t word = descriptor_word(descriptor);
    while (word != 0 && !atomic_compare_exchange_weak(&descriptors.words[descriptor], &word,
                                                      (word & ~clear) | set)) {
    }
}

uint64_t descriptor_key(int descriptor)
{
    if ((unsigned)descriptor >= DESCRIPTORS_LIMIT)
        return 0;
    uint64_t note = atomic_load_explicit(descriptor_note(descriptor), memory_order_relaxed);
    return note > HIDES_NOFOLLOW ? note | 1 : 0;
}

bool descriptor_hides_nofollow(int descriptor)
{
    return (unsigned)descriptor < DESCRIPTORS_LIMIT &&
           (atomic_load_explicit(descriptor_note(descriptor), memory_order_relaxed) &
            HIDES_NOFOLLOW) != 0;
}

int descriptor_next(int from)
{
    int last = atomic_load(&highest);
    for (int at = from < 0 ? 0 : from; at <= last; at++) {
        if (descriptor_word(at) != 0)
            return at;
    }
    return -1;
}
