/*
 * What is recorded already, so that a change of the same thing costs no system call. A fixed table
 * that forgets when it is full: to record a thing twice is right as well. It must never remember
 * what was not recorded.
 */
#include "shim/lock/undo_memory.h"
#include "shim/lock/sparse.h"

#include <stdatomic.h>

enum { SETS = 1 << 14, WAYS = 4 };

/* Keys mixed with the number of the session: what another session knew is no longer found. */
SPARSE_HUGE static _Atomic uint64_t memory[SETS][WAYS];
static _Atomic uint32_t next_way;
static _Atomic uint32_t last_session;
/* The newest session that anything is remembered of: newer ones need not be looked for. */
static _Atomic uint32_t newest;

uint32_t undo_new_session(void)
{
    uint32_t session;
    do
        session = atomic_fetch_add(&last_session, 1) + 1;
    while (session == 0 || session == UINT32_MAX);
    return session;
}

static uint64_t mix(uint32_t session, uint64_t key)
{
    uint64_t word = key ^ session * 0x9e3779b97f4a7c15u;
    word = (word ^ word >> 31) * 0xbf58476d1ce4e5b9u;
    word ^= word >> 29;
    return word | 1;
}

uint64_t undo_key(const char *path)
{
    uint64_t hash = 14695981039346656037u; /* as tables.c names places */
    for (; *path != '\0'; path++)
        hash = (hash ^ (unsigned char)*path) * 1099511628211u;
    return hash | 1;
}

uint64_t undo_inode_key(const struct stat *status)
{
    return (status->st_ino * 0x9e3779b97f4a7c15u ^ status->st_dev) << 1;
}

bool undo_is_recorded(uint32_t session, uint64_t key)
{
    if (session == 0 ||
        (session != UINT32_MAX &&
         (int32_t)(session - atomic_load_explicit(&newest, memory_order_relaxed)) > 0))
        return false;
    uint64_t word = mix(session, key);
    for (int way = 0; way < WAYS; way++) {
        if (atomic_load_explicit(&memory[(word >> 8) % SETS][way], memory_order_relaxed) == word)
            return true;
    }
    return false;
}

void undo_remember(uint32_t session, uint64_t key)
{
    if (session == 0 || undo_is_recorded(session, key))
        return;
    if (session != UINT32_MAX && (int32_t)(session - atomic_load(&newest)) > 0)
        atomic_store(&newest, session);
    uint64_t word = mix(session, key);
    unsigned way = atomic_fetch_add_explicit(&next_way, 1, memory_order_relaxed) % WAYS;
    atomic_store_explicit(&memory[(word >> 8) % SETS][way], word, memory_order_relaxed);
}
