/*
 * Finding out who answers (succession.h): the kernel tells whether anybody is inside, the registry
 * only which name to write. It must never make one who leaves wait for one who is stopped.
 */
#include "shim/lock/succession.h"

#include "shim/lock/command_member.h"
#include "shim/lock/kernel.h"
#include "shim/lock/process.h"

#include <sys/file.h>

/* A record lock on the byte before those of the levels: whoever has it decides alone. */
#define LEAVING 0
#define PATIENCE 100000000u /* ns */

static void begin_leaving(struct succession *succession, int descriptor)
{
    uint64_t began = registry_now();
    do {
        if (lock_set_level(descriptor, LEAVING, F_WRLCK) == 0) {
            succession->alone_in_leaving = true;
            return;
        }
        kernel_yield();
    } while (registry_now() - began < PATIENCE);
}

static bool may_be_named(const struct lock *lock, const struct registry_holder *holder)
{
    return holder->process > 0 && holder->process != lock_self.process && holder->ending == 0 &&
           holder->boot == lock->registry.boot &&
           holder->pid_namespace == lock->registry.pid_namespace;
}

static void name(struct succession *succession, const struct lock *lock, pid_t process,
                 uint64_t start_time, uint64_t acquisition)
{
    succession->settles = false;
    succession->heir = (struct registry_mark){.state = MARK_CHANGED,
                                              .process = process,
                                              .start_time = start_time,
                                              .boot = lock->registry.boot,
                                              .acquisition = acquisition};
}

/* The holder whom everybody else has joined. For a command its supervisor answers. */
static bool name_holder(struct succession *succession, const struct lock *lock,
                        const struct registry_head *head)
{
    const struct registry_holder *holder = &head->exclusive;
    if (!may_be_named(lock, holder))
        return false;
    if (holder->supervisor > 0 && process_is_alive(holder->supervisor, 0))
        name(succession, lock, holder->supervisor, 0, head->acquisition);
    else if (process_is_alive(holder->process, holder->start_time))
        name(succession, lock, holder->process, holder->start_time, head->acquisition);
    return !succession->settles;
}

/* Of those who have joined the deepest: the others wait for it. */
static void name_joined(struct succession *succession, struct lock *lock,
                        const struct registry_head *head)
{
    struct registry_holder all[REGISTRY_HOLDERS];
    uint32_t deepest = 0;
    if (!registry_read(&lock->registry, REGISTRY_OFFSET(holders), all, sizeof all))
        return;
    for (int i = 0; i < REGISTRY_HOLDERS; i++) {
        const struct registry_holder *holder = &all[i];
        if (holder->level > deepest && holder->mode == REGISTRY_JOINED &&
            may_be_named(lock, holder) && process_is_alive(holder->process, holder->start_time)) {
            deepest = holder->level;
            name(succession, lock, holder->process, holder->start_time, head->acquisition);
        }
    }
}

/*
 * Has the lock itself nobody, now that one who joined leaves? If so we take it, and what follows is
 * done as its holder. Guarded strangers who try have it for a moment.
 */
static bool take_base(int descriptor)
{
    for (int attempt = 0; attempt < 20; attempt++) {
        if (kernel_flock(descriptor, LOCK_EX | LOCK_NB) == 0)
            return true;
        kernel_yield();
    }
    return false;
}

/* One who died inside while others were: whoever comes next must find its mark. */
static bool somebody_died(const struct registry_head *head)
{
    const struct registry_mark *mark = &head->mark;
    return mark->state == MARK_CHANGED && mark->process != lock_self.process &&
           !process_runs(mark->process, mark->start_time);
}

static void leave_holder(struct succession *succession, struct lock *lock,
                         const struct registry_head *head)
{
    int descriptor = atomic_load(&lock->descriptor);
    if (head != NULL && head->joined == 1)
        return;
    begin_leaving(succession, descriptor);
    if (!lock_range_taken(descriptor, 1))
        return;
    if (head == NULL)
        succession->settles = false;
    else
        name_joined(succession, lock, head);
}

static void leave_joined(struct succession *succession, struct lock *lock,
                         const struct registry_head *head)
{
    int descriptor = atomic_load(&lock->descriptor);
    begin_leaving(succession, descriptor);
    succession->base_taken = take_base(descriptor);
    bool others = lock_range_taken(descriptor, 1);
    if (head == NULL) {
        succession->settles = succession->base_taken && !others;
        return;
    }
    if (!succession->base_taken && name_holder(succession, lock, head))
        return;
    if (others)
        name_joined(succession, lock, head);
    if (succession->settles && somebody_died(head))
        succession->settles = false;
}

void succession_begin(struct succession *succession, struct lock *lock,
                      const struct registry_head *head)
{
    *succession = (struct succession){.settles = true};
    if (lock->shared)
        return;
    if (lock->level > 0)
        leave_joined(succession, lock, head);
    else
        leave_holder(succession, lock, head);
}

void succession_end(struct succession *succession, struct lock *lock)
{
    int descriptor = atomic_load(&lock->descriptor);
    if (succession->base_taken)
        (void)kernel_flock(descriptor, LOCK_UN);
    if (succession->alone_in_leaving)
        (void)lock_set_level(descriptor, LEAVING, F_UNLCK);
}
