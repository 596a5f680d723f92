/*
 * How many threads wait, and for whom, in one word: they may begin and end at the same time. It
 * must not tell of one child while another one is waited for: that one would wait for ever.
 */
#include "shim/lock/awaited.h"

#include "shim/lock/lock.h"
#include "shim/lock/relatives.h"
#include "shim/lock/self.h"

#include <stdatomic.h>
#include <stdint.h>

/* Above: how many wait. Below: for whom all of them do, or RELATIVES_ANY_CHILD. */
static _Atomic uint64_t waits;

static uint64_t make(uint32_t count, pid_t child)
{
    return (uint64_t)count << 32 | (uint32_t)child;
}

static pid_t told_by(uint64_t word)
{
    pid_t child = (pid_t)(uint32_t)word;
    return child > 0 ? child : 0;
}

static bool tell(struct lock *lock, void *context)
{
    const pid_t *child = context;
    if (lock_is_held(lock))
        registry_awaits(&lock->registry, lock->slot, lock_self.process, *child);
    return true;
}

/* Another thread may tell in between what was true before: whoever looks last sets it right. */
static void tell_all(void)
{
    pid_t child;
    do {
        child = awaited_child();
        lock_each(tell, &child);
    } while (child != awaited_child());
}

pid_t awaited_child(void)
{
    return told_by(atomic_load(&waits));
}

void awaited_begin(pid_t child)
{
    uint64_t before = atomic_load(&waits), after;
    do {
        uint32_t count = (uint32_t)(before >> 32);
        bool same = count == 0 || (pid_t)(uint32_t)before == child;
        after = make(count + 1, same ? child : RELATIVES_ANY_CHILD);
    } while (!atomic_compare_exchange_weak(&waits, &before, after));
    if (told_by(before) != told_by(after))
        tell_all();
}

void awaited_end(void)
{
    uint64_t before = atomic_load(&waits), after;
    do {
        uint32_t count = (uint32_t)(before >> 32);
        after = count > 1 ? make(count - 1, (pid_t)(uint32_t)before) : 0;
    } while (!atomic_compare_exchange_weak(&waits, &before, after));
    if (told_by(before) != told_by(after))
        tell_all();
}

void awaited_forget(void)
{
    atomic_store(&waits, 0);
}
