/*
 * The words and keys of descriptors. Lock-free: a descriptor belongs to whoever opens and closes
 * it, and the kernel gives a number to one at a time.
 */
#include "shim/descriptors.h"
#include "shim/lock/sparse.h"

SPARSE_HUGE _Atomic uint32_t descriptors[DESCRIPTORS_LIMIT];
SPARSE_HUGE unsigned char descriptor_hides_nofollow[DESCRIPTORS_LIMIT];
SPARSE_HUGE static _Atomic uint64_t keys[DESCRIPTORS_LIMIT];
static _Atomic int highest = -1;

bool descriptor_set(int descriptor, uint32_t word, uint64_t key)
{
    if ((unsigned)descriptor >= DESCRIPTORS_LIMIT)
        return false;
    atomic_store_explicit(&keys[descriptor], key, memory_order_relaxed);
    int before = atomic_load(&highest);
    while (before < descriptor && !atomic_compare_exchange_weak(&highest, &before, descriptor)) {
    }
    atomic_store(&descriptors[descriptor], word);
    return true;
}

uint32_t descriptor_take(int descriptor)
{
    if (descriptor_word(descriptor) == 0)
        return 0;
    return atomic_exchange(&descriptors[descriptor], 0);
}

void descriptor_change(int descriptor, uint32_t clear, uint32_t set)
{
    uint32_t word = descriptor_word(descriptor);
    while (word != 0 &&
           !atomic_compare_exchange_weak(&descriptors[descriptor], &word, (word & ~clear) | set)) {
    }
}

uint64_t descriptor_key(int descriptor)
{
    if ((unsigned)descriptor >= DESCRIPTORS_LIMIT)
        return 0;
    return atomic_load_explicit(&keys[descriptor], memory_order_relaxed);
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
