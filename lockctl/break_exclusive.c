/*
 * Who could interfere while a lock is broken, and is kept from it: another break, processes that
 * join the holder, and those who have a copy of its description and no fence, which could let go of
 * the lock in the midst. Nobody is kept out any longer than the break lasts, nor beyond the end of
 * lockctl.
 */
#include "lockctl/break.h"

#include "shim/lock/command_anchor.h"
#include "shim/lock/process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BREAK_PATIENCE UINT64_C(5000000000) /* ns, for another break */
#define JOIN_PATIENCE UINT64_C(1000000000)  /* for one who has joined to leave */

/* --- one at a time --- */

const struct takeover_lock *break_shared_lock(const struct break_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->victims[i].shared)
            return &plan->victims[i].lock;
    return NULL;
}

/* Another one may have come first, and be done by now: then what was shared has no lock any more.
 */
int break_exclude_others(struct break_plan *plan)
{
    uint64_t end = registry_now() + BREAK_PATIENCE;
    const struct takeover_lock *lock = break_shared_lock(plan);
    if (lock == NULL)
        return STATUS_DONE;
    while ((plan->exclusion = takeover_exclude(lock)) == -EAGAIN && registry_now() < end)
        (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
    if (plan->exclusion == -EAGAIN &&
        !break_may_go_on(plan, "another break of it is under way, and does not end"))
        return STATUS_REFUSED;
    size_t gone = 0;
    for (size_t i = 0; i < plan->count; i++) {
        struct victim *victim = &plan->victims[i];
        victim->let_go = victim->shared && !takeover_has_lock(&victim->lock);
        gone += victim->let_go;
    }
    if (gone < plan->count)
        return STATUS_DONE;
    printf("%s: it has been let go of meanwhile\n", shown(plan->lock->label));
    return -1;
}

/* --- those who join --- */

void break_lift_bar(struct break_plan *plan)
{
    if (plan->bar >= 0)
        (void)close(plan->bar);
    plan->bar = -1;
}

static int count_joined(const struct break_plan *plan)
{
    int count = 0;
    for (size_t i = 0; i < plan->count; i++)
        count += plan->victims[i].holder->mode == REGISTRY_JOINED && plan->victims[i].shared &&
                 takeover_has_lock(&plan->victims[i].lock);
    return count;
}

/* One who has joined since we looked is not fenced; most of them leave soon. */
int break_bar_joining(struct break_plan *plan)
{
    uint64_t end = registry_now() + JOIN_PATIENCE;
    const struct takeover_lock *lock = break_shared_lock(plan);
    while (lock != NULL) {
        int joined;
        plan->bar = takeover_bar_joining(lock, &joined);
        if (joined <= count_joined(plan))
            break;
        if (registry_now() >= end)
            return break_may_go_on(plan, "another process has joined the holder meanwhile, and "
                                         "would go on changing the table; try again")
                       ? STATUS_DONE
                       : STATUS_REFUSED;
        break_lift_bar(plan);
        (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    return STATUS_DONE;
}

/* --- standing still --- */

static bool is_fenced(const struct break_plan *plan, const struct kin *kin)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct victim *victim = &plan->victims[i];
        if (victim->process.pid == kin->pid && victim->fenced && !victim->stands_still)
            return true;
        /* A member of the command asks the anchor before it takes or lets go. */
        if (victim->entry != NULL && kin->guarded)
            return true;
    }
    return false;
}

static bool is_traced(pid_t process)
{
    struct process_status status;
    return process_status_read(process, &status) && status.state == 't';
}

static pid_t tracer_of(pid_t process)
{
    char path[64], text[4096];
    if (process_read_file(process_path(path, process, "status", -1), text, sizeof text) <= 0)
        return 0;
    const char *line = strstr(text, "\nTracerPid:");
    return line != NULL ? (pid_t)strtol(line + sizeof "\nTracerPid:" - 1, NULL, 10) : 0;
}

static int freeze(struct break_plan *plan, const struct kin *kin)
{
    struct takeover_process process;
    if (takeover_open(&process, kin->pid, kin->start_time) != 0)
        return STATUS_DONE;
    int result = takeover_freeze(&plan->frozen, &process);
    takeover_close(&process);
    if (result == 0 || result == -ESRCH || (result == -EPERM && is_traced(kin->pid)))
        return STATUS_DONE;
    char text[200], why[64];
    pid_t tracer = result == -EPERM ? tracer_of(kin->pid) : 0;
    (void)snprintf(why, sizeof why, "process %d traces it", tracer);
    (void)snprintf(text, sizeof text,
                   "process %d has a copy of the lock and can't be made to stand still (%s): it "
                   "could let go of it in the midst of this",
                   kin->pid, tracer != 0 ? why : strerror(-result));
    return break_may_go_on(plan, text) ? STATUS_DONE : STATUS_REFUSED;
}

/* Whoever has the description and no fence; again while those found go on to have children. */
int break_freeze_all(struct break_plan *plan)
{
    for (int round = 0; round < 8; round++) {
        int before = plan->frozen.count;
        for (size_t i = 0; i < plan->kin_count; i++) {
            const struct kin *kin = &plan->kin[i];
            int status = kin->has_copy && !is_fenced(plan, kin) ? freeze(plan, kin) : STATUS_DONE;
            if (status != STATUS_DONE)
                return status;
        }
        if (plan->frozen.count == before)
            break;
        break_find_kin(plan);
    }
    return STATUS_DONE;
}
