/* The program's own flock: on a lock file of ours, it and the shim are one owner. */
#include "shim/interpose/real.h"
#include "shim/lock/resolve.h"
#include "shim/touch.h"

#include <errno.h>
#include <sys/file.h>

static struct lock *lock_behind(int descriptor)
{
    char path[RESOLVE_SIZE];
    if (!start_guarding() || !resolve_descriptor(descriptor, path))
        return NULL;
    return tables_lock_at(path);
}

INTERPOSE int flock(int descriptor, int operation)
{
    struct lock *lock = touch_guarding() ? lock_behind(descriptor) : NULL;
    int result;
    if (lock != NULL)
        atomic_store(&lock->may_borrow, true);
    if (lock == NULL || !lock_program_flock(lock, descriptor, operation, &result))
        return REAL(flock)(descriptor, operation);
    if (result == 0) {
        touch_program_lock(descriptor, lock, (operation & LOCK_UN) == 0);
        return 0;
    }
    errno = -result;
    return -1;
}
