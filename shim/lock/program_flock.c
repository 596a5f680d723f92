/*
 * A program that flocks the lock file by itself, through a descriptor of its own or one inherited
 * from flock(1): it and the shim are one owner. It must never take a lock from the program, nor let
 * the program drop one that the shim still needs.
 */
#include "shim/lock/kernel.h"
#include "shim/lock/lock.h"
#include "shim/lock/own.h"
#include "shim/lock/process.h"

#include <errno.h>
#include <string.h>
#include <sys/file.h>

struct search {
    struct lock *lock;
    int found;
};

int lock_shows_flock(int descriptor, bool shared_will_do)
{
    char path[64], text[2048];
    ssize_t length = process_read_file(process_path(path, kernel_getpid(), "fdinfo", descriptor),
                                       text, sizeof text);
    if (length <= 0)
        return -ENOENT;
    for (const char *at = text; (at = strstr(at, "lock:")) != NULL; at++) {
        const char *end = strchr(at, '\n');
        const char *kind = strstr(at, "FLOCK ");
        const char *write = strstr(at, "WRITE");
        if (kind == NULL || (end != NULL && kind > end))
            continue;
        if (shared_will_do || (write != NULL && (end == NULL || write < end)))
            return 1;
    }
    return 0;
}

static bool look_at_descriptor(long number, void *context)
{
    struct search *search = context;
    struct stat status;
    int descriptor = (int)number;
    if (own_is(descriptor) || kernel_fstat(descriptor, &status) != 0 ||
        status.st_dev != search->lock->device || status.st_ino != search->lock->inode ||
        lock_shows_flock(descriptor, search->lock->shared) <= 0)
        return true;
    search->found = descriptor;
    return false;
}

int lock_borrow(struct lock *lock)
{
    struct search search = {lock, -1};
    process_each_number("/proc/self/fd", look_at_descriptor, &search);
    if (search.found < 0)
        return -ENOENT;
    int copy = kernel_fcntl(search.found, F_DUPFD_CLOEXEC, own_anchor_number() + 1);
    if (copy < 0)
        return copy;
    own_record(copy);
    int none = -1;
    if (!atomic_compare_exchange_strong(&lock->borrowed, &none, copy))
        own_close(copy);
    atomic_store(&lock->program_wants, true);
    lock->level = 0;
    return 0;
}

static bool program_unlocks(struct lock *lock, int *result)
{
    bool wanted = atomic_exchange(&lock->program_wants, false);
    if (!lock_is_held(lock))
        return false;
    if (atomic_load(&lock->borrowed) < 0 && wanted)
        lock_leave(lock); /* the user that stood for the program */
    *result = 0;
    return true;
}

void lock_program_closed(struct lock *lock)
{
    int result;
    if (atomic_load(&lock->program_wants) && atomic_load(&lock->borrowed) < 0)
        (void)program_unlocks(lock, &result);
}

bool lock_program_flock(struct lock *lock, int descriptor, int operation, int *result)
{
    struct stat status;
    if (kernel_fstat(descriptor, &status) != 0 || status.st_dev != lock->device ||
        status.st_ino != lock->inode)
        return false;
    if ((operation & LOCK_UN) != 0)
        return program_unlocks(lock, result);
    /* Held through the program's own description: the real call is no change, or an upgrade. */
    if (!lock_is_held(lock) || atomic_load(&lock->borrowed) >= 0)
        return false;
    if (lock->shared && (operation & LOCK_EX) != 0)
        return false;
    if (!atomic_exchange(&lock->program_wants, true))
        (void)lock_enter(lock, 0, 0);
    *result = 0;
    return true;
}
