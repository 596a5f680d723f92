/*
 * Members of a broken command that were not seen as holders: they have touched the table since the
 * break looked, or are at it. Whoever touches for the first time asks the command, which says by
 * now that it is broken; who has touched before asks its own fence alone, so that is raised here.
 */
#include "lockctl/break.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define PATIENCE UINT64_C(1000000000) /* ns, for a call that is under way */

static bool has_command(const struct break_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->victims[i].entry != NULL)
            return true;
    return false;
}

static bool is_fenced_victim(const struct break_plan *plan, pid_t pid)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->victims[i].process.pid == pid)
            return plan->victims[i].fenced;
    return false;
}

/* Against whichever acquisition it has: it may be about to write down the one that it got. */
static int raise_against_latest(const struct takeover_fence *fence, bool *quiet)
{
    struct fence before, after;
    int result = takeover_fence_read(fence, &before);
    uint64_t acquisition = atomic_load(&before.acquisition) & ~FENCE_OVER;
    if (result == 0)
        result = takeover_fence_raise(fence, acquisition);
    if (result == 0)
        result = takeover_fence_read(fence, &after);
    *quiet = result == 0 && atomic_load(&after.calls) == 0 &&
             (atomic_load(&after.acquisition) & ~FENCE_OVER) == acquisition;
    return result;
}

/* 0 as well when the program is gone: what it has executed asks the command. */
static int fence_member(const struct takeover_fence *fence)
{
    uint64_t end = registry_now() + PATIENCE;
    for (long pause = 20000;; pause = pause < 5000000 ? pause * 2 : pause) {
        bool quiet;
        int result = raise_against_latest(fence, &quiet);
        if (result == -ESRCH || (result == 0 && quiet))
            return 0;
        if (result != 0)
            return result;
        if (registry_now() >= end)
            return -ETIMEDOUT;
        (void)nanosleep(&(struct timespec){0, pause}, NULL);
    }
}

static int add_member(struct break_plan *plan, const struct kin *kin)
{
    struct member *member = &plan->members[plan->member_count];
    const struct takeover_lock *lock = break_shared_lock(plan);
    if (lock == NULL || takeover_open(&member->process, kin->pid, kin->start_time) != 0)
        return STATUS_DONE;
    if (takeover_fence_find(&member->fence, &member->process, lock, 0) != 0) {
        takeover_close(&member->process); /* it has not got so far */
        return STATUS_DONE;
    }
    plan->member_count++;
    if (fence_member(&member->fence) == 0)
        return STATUS_DONE;
    return break_may_go_on(plan, "a call of another process of the command is under way, and may "
                                 "still change the table when it ends")
               ? STATUS_DONE
               : STATUS_REFUSED;
}

int break_fence_members(struct break_plan *plan)
{
    int status = STATUS_DONE;
    if (!has_command(plan))
        return STATUS_DONE;
    break_find_kin(plan);
    plan->members = calloc(plan->kin_count, sizeof *plan->members);
    for (size_t i = 0; plan->members != NULL && i < plan->kin_count && status == STATUS_DONE; i++) {
        const struct kin *kin = &plan->kin[i];
        if (kin->has_copy && kin->guarded && !is_fenced_victim(plan, kin->pid))
            status = add_member(plan, kin);
    }
    return status;
}

void break_lower_members(struct break_plan *plan)
{
    for (size_t i = 0; i < plan->member_count; i++)
        takeover_fence_lower(&plan->members[i].fence);
}

void break_free_members(struct break_plan *plan)
{
    for (size_t i = 0; i < plan->member_count; i++) {
        takeover_fence_close(&plan->members[i].fence);
        takeover_close(&plan->members[i].process);
    }
    free(plan->members);
}
