/*
 * The break itself, in the order of shim/lock/takeover.h. Until the lock is let go of, everything
 * can be given up: fences are lowered again, whoever stood still goes on, and the holder has the
 * lock as before. It must never let go of an acquisition that it did not name, nor before what the
 * old holder may still flush is out of the table.
 */
#include "lockctl/break.h"

#include "shim/lock/command_anchor.h"
#include "shim/lock/process.h"
#include "shim/lock/undo_lock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define CALLS_PATIENCE INT64_C(1000000000) /* ns, for calls that are under way */
#define PROGRAMS 100                     /* that a holder executes one after the other meanwhile */
#define END_PATIENCE INT64_C(5000000000) /* for a process that was sent a signal */
#define SETTLE_PATIENCE 5000000000u      /* for who has the undo journal */

static const char *label(const struct break_plan *plan)
{
    return shown(plan->lock->label);
}

/* --- step 0: said before it is done --- */

static void announce(struct break_plan *plan)
{
    openlog("lockctl", LOG_PID, LOG_DAEMON);
    for (size_t i = 0; i < plan->count; i++) {
        const struct inspected_process *process = plan->victims[i].holder->process;
        syslog(LOG_NOTICE,
               "breaking lock %s (%s), held by process %d of user %s (%s), for user %u%s",
               label(plan), verdict_name(plan->lock->verdict), process->pid,
               process->user != NULL ? shown(process->user) : "unknown",
               process->command != NULL ? shown(process->command) : "unknown", (unsigned)getuid(),
               plan->request->force ? ", forced" : "");
    }
    takeover_announce(&plan->registry, plan->victims[0].process.pid, plan->acquisition);
}

/* --- ending holders --- */

static int end_process(struct break_plan *plan, struct victim *victim, int signal, int64_t patience)
{
    int result = takeover_signal(&victim->process, signal);
    if (result == 0 && signal != SIGKILL) /* one that is stopped does not see it otherwise */
        (void)takeover_signal(&victim->process, SIGCONT);
    if (result == -EPERM) {
        complain("%s: no permission to send process %d a signal: it belongs to another user",
                 label(plan), victim->process.pid);
        return STATUS_PERMISSION;
    }
    if (result == 0)
        result = takeover_await_end(&victim->process, patience);
    if (result == 0 || result == -ESRCH) {
        victim->ended = true;
        return STATUS_DONE;
    }
    complain("%s: process %d has not ended %g s after signal %d%s", label(plan),
             victim->process.pid, (double)patience / 1e9, signal,
             signal == SIGKILL ? ": it is in the kernel, in uninterruptible sleep" : "");
    return STATUS_REFUSED;
}

static int kill_victims(struct break_plan *plan)
{
    for (size_t i = 0; plan->request->kill_signal != 0 && i < plan->count; i++) {
        /* The lockctl of a command ends with its command; another break, when it is done. */
        if (plan->victims[i].let_go || plan->victims[i].holder->only_breaks ||
            plan->victims[i].process.pid == plan->victims[i].holder->supervisor)
            continue;
        int status = end_process(plan, &plan->victims[i], plan->request->kill_signal, END_PATIENCE);
        if (status != STATUS_DONE)
            return status;
    }
    return STATUS_DONE;
}

/* --- fences --- */

static void mark_commands(struct break_plan *plan, uint32_t state)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->victims[i].entry != NULL)
            takeover_command_mark(plan->victims[i].entry, state);
}

static void give_up(struct break_plan *plan)
{
    mark_commands(plan, 0);
    break_lower_members(plan);
    for (size_t i = 0; i < plan->count; i++)
        if (plan->victims[i].raised && plan->victims[i].fenced)
            takeover_fence_lower(&plan->victims[i].fence);
    (void)takeover_name(&plan->registry, plan->named_before);
    break_lift_bar(plan);
    takeover_thaw(&plan->frozen);
}

/*
 * The program that the fence stood in is gone: its process has ended, or has executed another one,
 * which is fenced if it has taken the lock over already. If not it finds its acquisition broken.
 */
static void follow_exec(struct victim *victim)
{
    if (victim->fenced)
        takeover_fence_close(&victim->fence);
    victim->fenced = false;
    victim->ended = takeover_await_end(&victim->process, 0) == 0;
    if (victim->ended || victim->entry != NULL || /* it asks its command */
        takeover_fence_find(&victim->fence, &victim->process, &victim->lock, 0) != 0)
        return;
    victim->fenced = true;
    victim->raised = takeover_fence_raise(&victim->fence, victim->acquisition) == 0;
}

static int raise_fences(struct break_plan *plan)
{
    mark_commands(plan, COMMAND_BREAKING);
    if (plan->acquisition != 0)
        plan->named_before = takeover_name(&plan->registry, plan->acquisition);
    for (size_t i = 0; i < plan->count; i++) {
        struct victim *victim = &plan->victims[i];
        if (victim->let_go)
            continue;
        if (!victim->fenced && !victim->ended) /* it may have come so far by now */
            follow_exec(victim);
        if (!victim->fenced || victim->ended)
            continue;
        int result = takeover_fence_raise(&victim->fence, victim->acquisition);
        victim->raised = result == 0;
        if (result == -ESRCH)
            follow_exec(victim);
        if (result == 0 || result == -ESRCH)
            continue;
        complain("%s: the fence of process %d: %s", label(plan), victim->process.pid,
                 strerror(-result));
        return result == -EPERM ? STATUS_PERMISSION : STATUS_FAILED;
    }
    return STATUS_DONE;
}

static bool is_stopped(const struct inspected_process *process)
{
    return process->state == 'T' || process->state == 't';
}

/* A call by name that began before the fence was raised would still reach the table: ends it. */
static int await_calls(struct break_plan *plan, struct victim *victim)
{
    int64_t patience = is_stopped(victim->holder->process) ? 0 : CALLS_PATIENCE;
    int result = takeover_fence_wait(&victim->fence, victim->acquisition, patience);
    for (int programs = 0; result == -ESRCH && programs < PROGRAMS; programs++) {
        follow_exec(victim);
        if (!victim->fenced)
            return STATUS_DONE;
        result = takeover_fence_wait(&victim->fence, victim->acquisition, patience);
    }
    /* Let go of meanwhile: found out when the acquisitions are looked at. */
    victim->let_go = result == -ETIMEDOUT && !takeover_has_lock(&victim->lock);
    if (result == 0 || result == -ESTALE || victim->let_go)
        return STATUS_DONE;
    if (result != -ETIMEDOUT) {
        victim->fenced = false;
        victim->ended = takeover_await_end(&victim->process, 0) == 0;
        return STATUS_DONE;
    }
    printf("killing process %d: a call of it on the table is under way and does not end\n",
           victim->process.pid);
    int status = end_process(plan, victim, SIGKILL, END_PATIENCE);
    if (status == STATUS_DONE)
        return STATUS_DONE;
    return break_may_go_on(plan, "a call of the old holder is under way, and may still change the "
                                 "table when it ends")
               ? STATUS_DONE
               : STATUS_REFUSED;
}

static int await_all_calls(struct break_plan *plan)
{
    int status = STATUS_DONE;
    for (size_t i = 0; i < plan->count && status == STATUS_DONE; i++)
        if (plan->victims[i].fenced && !plan->victims[i].ended && !plan->victims[i].let_go)
            status = await_calls(plan, &plan->victims[i]);
    return status;
}

/* --- commands at their end --- */

/*
 * The lockctl of a command that has just ended may be settling what that did, by the undo journal.
 * One that does not come to an end is killed: what it has undone only halfway is undone here.
 */
static int await_command(struct break_plan *plan, struct victim *victim)
{
    pid_t pid;
    int result = takeover_command_wait(victim->entry, victim->anchor, SETTLE_PATIENCE, &pid);
    if (result == 0)
        return STATUS_DONE;
    struct victim supervisor = {.holder = victim->holder};
    if (pid != 0 && takeover_open(&supervisor.process, pid, 0) == 0) {
        pid_t still = 0;
        result = takeover_command_wait(victim->entry, victim->anchor, 0, &still);
        int status = STATUS_DONE;
        if (result != 0 && still == pid) {
            printf("killing process %d: it is settling what its command did, and does not end\n",
                   pid);
            status = end_process(plan, &supervisor, SIGKILL, END_PATIENCE);
        }
        takeover_close(&supervisor.process);
        if (status != STATUS_DONE || result == 0 || still == pid)
            return status;
    }
    complain("%s: the lockctl of the command is settling what that did, and does not end; try "
             "again later",
             label(plan));
    return STATUS_REFUSED;
}

static int await_commands(struct break_plan *plan)
{
    int status = STATUS_DONE;
    for (size_t i = 0; i < plan->count && status == STATUS_DONE; i++)
        if (plan->victims[i].entry != NULL)
            status = await_command(plan, &plan->victims[i]);
    return status;
}

/* --- is it still what was named? --- */

/*
 * Who is without a fence is looked at once more, now that it stands still: a program that it has
 * executed may have taken the lock over since.
 */
static int fence_late(struct break_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        struct victim *victim = &plan->victims[i];
        struct fence found;
        if (victim->fenced || victim->ended)
            continue;
        follow_exec(victim);
        if (victim->fenced && takeover_fence_read(&victim->fence, &found) == 0 &&
            atomic_load(&found.calls) != 0 &&
            !break_may_go_on(plan, "the old holder has just executed another program, and a call "
                                   "of that is under way; try again"))
            return STATUS_REFUSED;
    }
    return STATUS_DONE;
}

/* 1: it is. 0: it has let go by itself. -1: it has taken the lock anew since. */
static int is_still_held(const struct victim *victim)
{
    struct fence now = {.magic = 0};
    /* What we don't share may be anybody's by now. */
    if (victim->let_go || !victim->shared || !takeover_has_lock(&victim->lock))
        return 0;
    if (!victim->fenced || victim->ended || takeover_fence_read(&victim->fence, &now) != 0)
        return 1;
    uint64_t acquisition = atomic_load(&now.acquisition);
    if (acquisition == victim->acquisition && (acquisition & FENCE_OVER) == 0)
        return 1;
    return victim->holder->mode == REGISTRY_JOINED ? 0 : -1; /* nothing is its own but that */
}

static int check_acquisitions(struct break_plan *plan)
{
    size_t free = 0;
    for (size_t i = 0; i < plan->count; i++) {
        int held = is_still_held(&plan->victims[i]);
        if (held < 0) {
            complain("%s: process %d has let go and taken it anew meanwhile: the newer one is not "
                     "broken",
                     label(plan), plan->victims[i].process.pid);
            return STATUS_REFUSED;
        }
        free += held == 0;
    }
    if (free == plan->count) {
        printf("%s: the holder has let go by itself meanwhile\n", label(plan));
        return -1;
    }
    return STATUS_DONE;
}

/* --- files --- */

static int collect(struct break_plan *plan, pid_t pid, uint64_t start_time)
{
    struct takeover_process process;
    if (takeover_open(&process, pid, start_time) != 0)
        return 0;
    int result = takeover_files_collect(&plan->files, &process, plan->table);
    takeover_close(&process);
    return result;
}

static int refuse_files(struct break_plan *plan, int error, const char *what)
{
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "%s: %s, so what the old holder may still write to it can't be kept out", what,
                   strerror(-error));
    if (break_may_go_on(plan, text))
        return STATUS_DONE;
    return error == -EPERM || error == -EACCES ? STATUS_PERMISSION : STATUS_REFUSED;
}

static int collect_all(struct break_plan *plan)
{
    break_find_kin(plan);
    for (size_t i = 0; i < plan->count; i++) {
        const struct takeover_process *process = &plan->victims[i].process;
        int result = plan->victims[i].ended ? 0 : collect(plan, process->pid, process->start_time);
        if (result != 0)
            return refuse_files(plan, result, "the files that a holder has open");
    }
    for (size_t i = 0; i < plan->kin_count; i++) {
        const struct kin *kin = &plan->kin[i];
        if (!kin->related && !kin->has_copy)
            continue;
        char text[64];
        (void)snprintf(text, sizeof text, "the files that process %d has open", kin->pid);
        /* A guarded one too: what it has mapped, and stdio's buffers, reach the file unasked. */
        int result = kin->unreadable ? -EPERM : collect(plan, kin->pid, kin->start_time);
        int status = result != 0 ? refuse_files(plan, result, text) : STATUS_DONE;
        if (status != STATUS_DONE)
            return status;
    }
    return STATUS_DONE;
}

static int renew_files(struct break_plan *plan)
{
    if (plan->table == NULL)
        return STATUS_DONE;
    int status = collect_all(plan);
    if (status != STATUS_DONE)
        return status;
    /* Under --force all but those that fail. */
    while (status == STATUS_DONE) {
        int result = takeover_files_renew(&plan->files, plan->table);
        plan->renewed += plan->files.renewed;
        plan->files.renewed = 0;
        if (result == 0)
            break;
        char text[600];
        bool named = plan->files.failed[0] != '\0';
        (void)snprintf(text, sizeof text, "file '%s' of the table", shown(plan->files.failed));
        status = refuse_files(plan, result, named ? text : "the table");
        if (!named)
            break;
    }
    return status;
}

/* --- the undo journal --- */

static bool has_journal(const struct break_plan *plan)
{
    const struct inspected_lock *lock = plan->lock;
    return lock->path != NULL && (lock->path_state != PATH_DELETED || plan->successor >= 0) &&
           undo_exists(lock->path);
}

/*
 * Whoever is at work on the journal and stands still (a break that was forced beside ours, or was
 * stopped) would be waited for without an end.
 */
static int await_journal(struct break_plan *plan)
{
    uint64_t end = registry_now() + SETTLE_PATIENCE;
    while (has_journal(plan) && undo_is_busy(plan->lock->path)) {
        if (registry_now() >= end) {
            complain("%s: somebody else is at work on its undo journal, and does not end; try "
                     "again later",
                     label(plan));
            return STATUS_REFUSED;
        }
        (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    return STATUS_DONE;
}

/*
 * With an undo journal the table is put back as it was before the old holder came. What that wrote
 * on is out of the table by now; should the old state be in what it has open, that as well.
 */
static int roll_back(struct break_plan *plan)
{
    const struct inspected_lock *lock = plan->lock;
    if (!has_journal(plan))
        return STATUS_DONE;
    int status = await_journal(plan);
    if (status != STATUS_DONE)
        return status;
    int result = undo_roll_back(lock->path, plan->table);
    if (result < 0)
        complain("%s: the table could not be rolled back: %s; whoever takes the lock next tries "
                 "again",
                 label(plan), strerror(-result));
    if (result != 1)
        return STATUS_DONE;
    plan->restored = true;
    undo_lock_tell(&plan->registry, plan->victims[0].process.pid);
    takeover_files_free(&plan->files);
    return renew_files(plan);
}

/* --- letting go --- */

static void let_go(struct break_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct victim *victim = &plan->victims[i];
        /* Of a deleted lock file's holder the head tells only if nobody has the new one. */
        bool exclusive = victim->holder->mode == REGISTRY_EXCLUSIVE &&
                         (plan->lock->path_state != PATH_DELETED || plan->successor >= 0);
        takeover_settle(&plan->registry, &victim->process, plan->acquisition, exclusive,
                        plan->restored);
    }
    for (size_t i = 0; i < plan->count; i++)
        if (plan->victims[i].shared)
            takeover_unlock(&plan->victims[i].lock);
    plan->freed_at = registry_now();
    mark_commands(plan, COMMAND_BROKEN);
    for (size_t i = 0; i < plan->count; i++)
        if (plan->victims[i].shared && plan->victims[i].entry != NULL)
            takeover_unlock(&plan->victims[i].lock);
    break_lift_bar(plan); /* who looks before that finds somebody inside, and waits to be woken */
    if (registry_usable(&plan->registry))
        registry_wake(&plan->registry, 0);
    if (plan->successor >= 0) {
        (void)close(plan->successor);
        plan->successor = -1;
    }
}

int break_act(struct break_plan *plan)
{
    announce(plan);
    int status = kill_victims(plan);
    if (status != STATUS_DONE)
        return status;
    status = raise_fences(plan);
    takeover_thaw(&plan->standing);
    if (status == STATUS_DONE)
        status = await_commands(plan);
    if (status == STATUS_DONE)
        status = break_fence_members(plan);
    if (status == STATUS_DONE)
        status = await_all_calls(plan);
    if (status == STATUS_DONE)
        status = break_bar_joining(plan);
    if (status == STATUS_DONE)
        status = break_freeze_all(plan);
    if (status == STATUS_DONE)
        status = fence_late(plan);
    if (status == STATUS_DONE)
        status = check_acquisitions(plan);
    if (status == STATUS_DONE)
        status = await_journal(plan); /* before anything is done that can't be taken back */
    if (status == STATUS_DONE)
        status = renew_files(plan);
    if (status == STATUS_DONE)
        status = roll_back(plan);
    if (status != STATUS_DONE) {
        give_up(plan);
        return status;
    }
    let_go(plan);
    takeover_thaw(&plan->frozen);
    return STATUS_DONE;
}
