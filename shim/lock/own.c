/*
 * The shim's own descriptors, a byte for each number. The bytes lie in memory that is only touched
 * where a descriptor of ours stands, so that the size costs nothing.
 */
#include "shim/lock/own.h"

#include "shim/lock/kernel.h"
#include "shim/lock/sparse.h"

#include <stdatomic.h>
#include <sys/resource.h>

SPARSE_HUGE _Atomic unsigned char own_descriptors[OWN_DESCRIPTOR_LIMIT];
_Atomic unsigned own_lowest = OWN_DESCRIPTOR_LIMIT;
static _Atomic int highest_own = -1;

/*
 * High enough to be out of the way, low enough that the kernel's descriptor table (copied by every
 * fork) stays small. A limit between two of them takes the lower one.
 */
static const int anchor_numbers[OWN_ANCHOR_NUMBERS] = {4000, 960, 224, 48};

int own_anchor_candidate(int index)
{
    return anchor_numbers[index];
}

int own_anchor_number(void)
{
    struct rlimit limit = {0, 0};
    if (KERNEL_CALL(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit, 0, 0) != 0)
        return anchor_numbers[1];
    for (int i = 0; i < OWN_ANCHOR_NUMBERS; i++) {
        if ((rlim_t)anchor_numbers[i] + 16 <= limit.rlim_cur)
            return anchor_numbers[i];
    }
    return anchor_numbers[OWN_ANCHOR_NUMBERS - 1];
}

void own_record(int descriptor)
{
    if ((unsigned)descriptor >= OWN_DESCRIPTOR_LIMIT)
        return;
    atomic_store(&own_descriptors[descriptor], 1);
    unsigned lowest = atomic_load(&own_lowest);
    while (lowest > (unsigned)descriptor &&
           !atomic_compare_exchange_weak(&own_lowest, &lowest, (unsigned)descriptor)) {
    }
    int highest = atomic_load(&highest_own);
    while (highest < descriptor &&
           !atomic_compare_exchange_weak(&highest_own, &highest, descriptor)) {
    }
}

int own_adopt(int descriptor)
{
    int moved = kernel_fcntl(descriptor, F_DUPFD_CLOEXEC, own_anchor_number() + 1);
    if (moved < 0) {
        (void)kernel_fcntl(descriptor, F_SETFD, FD_CLOEXEC);
        own_record(descriptor);
        return descriptor;
    }
    own_record(moved);
    (void)kernel_close(descriptor);
    return moved;
}

void own_forget(int descriptor)
{
    if ((unsigned)descriptor < OWN_DESCRIPTOR_LIMIT)
        atomic_store(&own_descriptors[descriptor], 0);
}

void own_close(int descriptor)
{
    own_forget(descriptor);
    (void)kernel_close(descriptor);
}

int own_next(int from)
{
    int highest = atomic_load(&highest_own);
    for (int at = from < 0 ? 0 : from; at <= highest; at++) {
        if (own_is(at))
            return at;
    }
    return -1;
}
