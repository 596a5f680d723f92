/*
 * Who else can reach the table by what the victims have opened, or let go of their lock: their
 * descendants, and whoever has a copy of the description. It only looks.
 */
#include "lockctl/break.h"

#include "shim/lock/process.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static bool add_process(long number, void *context)
{
    struct break_plan *plan = context;
    struct process_status status;
    if (number == getpid() || !process_status_read((pid_t)number, &status) || status.state == 'Z')
        return true;
    plan->kin = grow(plan->kin, plan->kin_count, sizeof *plan->kin);
    plan->kin[plan->kin_count++] = (struct kin){.pid = (pid_t)number,
                                                .start_time = status.start_time,
                                                .parent = status.parent,
                                                .group = status.group,
                                                .session = status.session};
    return true;
}

static struct kin *find(const struct break_plan *plan, pid_t pid)
{
    for (size_t i = 0; i < plan->kin_count; i++)
        if (plan->kin[i].pid == pid)
            return &plan->kin[i];
    return NULL;
}

/* A victim, or the lockctl that has started its command. */
static bool is_root(const struct break_plan *plan, pid_t pid)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->victims[i].process.pid == pid || (plan->victims[i].holder->supervisor != 0 &&
                                                    plan->victims[i].holder->supervisor == pid))
            return true;
    return false;
}

/* Its parent has ended, and it was adopted: then the process group is what is left to tell. */
static bool is_adopted(const struct break_plan *plan, const struct kin *kin)
{
    const struct kin *parent = find(plan, kin->parent);
    if (parent != NULL && parent->session == kin->session)
        return false;
    for (size_t i = 0; i < plan->count; i++) {
        struct process_status status;
        if (process_status_read(plan->victims[i].process.pid, &status) &&
            status.group == kin->group && status.start_time <= kin->start_time)
            return true;
    }
    return false;
}

static void spread(struct break_plan *plan)
{
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < plan->kin_count; i++) {
            struct kin *kin = &plan->kin[i];
            if (kin->related || is_root(plan, kin->pid))
                continue;
            const struct kin *parent = find(plan, kin->parent);
            kin->related = is_root(plan, kin->parent) || (parent != NULL && parent->related);
            more = more || kin->related;
        }
    }
}

/* What an earlier look found out of a stranger holds still: descriptions come by inheritance. */
static bool is_known_stranger(const struct kin *before, size_t count, const struct kin *kin)
{
    for (size_t i = 0; i < count && !kin->related; i++)
        if (before[i].pid == kin->pid && before[i].start_time == kin->start_time)
            return !before[i].has_copy;
    return false;
}

static void look_closely(struct break_plan *plan, struct kin *kin)
{
    char path[64];
    struct takeover_process process = {.pid = kin->pid, .thread = kin->pid, .pidfd = -1};
    if (access(process_path(path, kin->pid, "fd", -1), R_OK | X_OK) != 0) {
        kin->unreadable = errno == EACCES || errno == EPERM;
        return;
    }
    for (size_t i = 0; i < plan->count && !kin->has_copy; i++)
        kin->has_copy =
            plan->victims[i].shared && takeover_has_copy(&process, &plan->victims[i].lock) >= 0;
    if ((kin->related || kin->has_copy) &&
        takeover_open(&process, kin->pid, kin->start_time) == 0) {
        kin->guarded = process.guarded;
        takeover_close(&process);
    }
}

void break_find_kin(struct break_plan *plan)
{
    struct kin *before = plan->kin;
    size_t count = plan->kin_count;
    plan->kin = NULL;
    plan->kin_count = 0;
    process_each_number("/proc", add_process, plan);
    for (size_t i = 0; i < plan->kin_count; i++)
        plan->kin[i].related = !is_root(plan, plan->kin[i].pid) && is_adopted(plan, &plan->kin[i]);
    spread(plan);
    for (size_t i = 0; i < plan->kin_count; i++)
        if (!is_known_stranger(before, count, &plan->kin[i]))
            look_closely(plan, &plan->kin[i]);
    free(before);
}
