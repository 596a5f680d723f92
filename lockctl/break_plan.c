/*
 * Whom to break, and whether it can be done: identity, rights, fences, the table. It changes
 * nothing, neither in another process nor in the registry.
 */
#include "lockctl/break.h"

#include "shim/lock/kernel_locks.h"
#include "shim/lock/lock.h"
#include "shim/lock/process.h"
#include "shim/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOOKS 40 /* at one who is seen in the middle of something */

/* --- refusals --- */

bool break_may_go_on(const struct break_plan *plan, const char *what)
{
    complain("%s: %s%s", shown(plan->lock->label), what,
             plan->request->force ? ": not promised (--force)" : "; --force goes on regardless");
    return plan->request->force;
}

static const char *missing_right(const struct inspected_process *process)
{
    static char text[512];
    char scope[16];
    int yama = 0;
    if (process_read_file("/proc/sys/kernel/yama/ptrace_scope", scope, sizeof scope) > 0)
        yama = atoi(scope);
    if (process->uid_known && process->uid != geteuid())
        (void)snprintf(text, sizeof text,
                       "it belongs to user %s: only root (CAP_SYS_PTRACE) may look into another "
                       "user's process and take its lock over",
                       process->user != NULL ? shown(process->user) : "unknown");
    else if (yama > 0)
        (void)snprintf(text, sizeof text, "kernel.yama.ptrace_scope is %d: %s", yama,
                       yama == 3 ? "nobody may look into another process"
                                 : "only root (CAP_SYS_PTRACE) may look into another process");
    else
        (void)snprintf(text, sizeof text,
                       "it can't be traced (set-user-ID, or not dumpable): only root "
                       "(CAP_SYS_PTRACE) may look into it and take its lock over");
    return text;
}

static int refuse_permission(const struct break_plan *plan, const struct inspected_process *process)
{
    complain("%s: no permission to break process %d: %s", shown(plan->lock->label), process->pid,
             missing_right(process));
    return STATUS_PERMISSION;
}

/* --- the table --- */

static bool is_below_same_hands(const char *table, const char *registry_path)
{
    struct stat theirs, registry;
    return stat(table, &theirs) == 0 && lstat(registry_path, &registry) == 0 &&
           S_ISREG(registry.st_mode) && theirs.st_uid == registry.st_uid &&
           (registry.st_mode & 022 & ~theirs.st_mode) == 0 &&
           ((registry.st_mode & 020) == 0 || theirs.st_gid == registry.st_gid);
}

/*
 * The table that the lock is for. What the registry says is believed only if nobody can have
 * written it who may not write the table.
 */
static const char *find_table(const struct inspected_lock *lock, const char *named)
{
    static char table[4096];
    char registry[4200];
    struct stat status;
    if (named != NULL || lock->path == NULL)
        return named;
    size_t length = strlen(lock->path);
    static const char ending[] = ".lock";
    size_t tail = sizeof ending - 1;
    if (length > tail && length < sizeof table && strcmp(lock->path + length - tail, ending) == 0) {
        memcpy(table, lock->path, length - tail);
        table[length - tail] = '\0';
        if (lstat(table, &status) == 0 && !S_ISLNK(status.st_mode))
            return table;
    }
    if (lock->table == NULL || lock->table[0] != '/' ||
        (size_t)snprintf(registry, sizeof registry, "%s.registry", lock->path) >= sizeof registry)
        return NULL;
    return is_below_same_hands(lock->table, registry) ? lock->table : NULL;
}

/* --- victims --- */

static bool is_bad(const struct break_plan *plan, const struct inspected_holder *holder)
{
    const struct inspected_process *process = holder->process;
    return holder->taker_gone || process->state == 'T' || process->state == 't' ||
           process->sleeps_uninterruptibly ||
           (holder->held > (int64_t)plan->request->stuck_after &&
            holder->untouched > (int64_t)plan->request->stuck_after);
}

/* Of several shared holders only those that are not well, but all when forced. */
static bool is_chosen(const struct break_plan *plan, const struct inspected_holder *holder)
{
    enum verdict verdict = plan->lock->verdict;
    if (plan->request->force || plan->lock->mode != REGISTRY_SHARED ||
        plan->lock->holder_count < 2 || verdict == VERDICT_SPLIT || verdict == VERDICT_DEADLOCK)
        return true;
    return is_bad(plan, holder);
}

static uint64_t wanted_inode(const struct inspected_lock *lock)
{
    struct stat status;
    if (lock->path_state == PATH_CURRENT && stat(lock->path, &status) == 0)
        return status.st_ino;
    return lock->inode;
}

static void pause_shortly(void)
{
    nanosleep(&(struct timespec){0, 50000}, NULL);
}

/* One who lets go and takes it anew all the time may be without it when we look. */
static int share_sometime(const struct break_plan *plan, struct victim *victim)
{
    for (int attempt = 0;; attempt++) {
        int result = takeover_share(&victim->process, wanted_inode(plan->lock),
                                    victim->holder->mode == REGISTRY_JOINED, &victim->lock);
        if (result != -ENOENT || !victim->process.guarded || attempt == LOOKS)
            return result;
        pause_shortly();
    }
}

static bool look_at_kernel_lock(const struct kernel_lock *lock, void *context)
{
    uint64_t *inode = context;
    if (!lock->waits && lock->inode == *inode)
        *inode = 0;
    return *inode != 0;
}

static bool is_free_by_now(const struct break_plan *plan)
{
    uint64_t inode = plan->lock->inode;
    kernel_locks_each(look_at_kernel_lock, &inode);
    return inode != 0;
}

/*
 * A member that is about to end can't be asked any more which command it is in; its lockctl can,
 * if it has the same description. What the registry says of that is only where to look.
 */
static void find_command(struct victim *victim)
{
    struct takeover_process supervisor;
    victim->entry = takeover_command_find(&victim->process, &victim->lock, &victim->anchor);
    if (victim->entry != NULL || victim->holder->supervisor <= 0 ||
        takeover_open(&supervisor, victim->holder->supervisor, 0) != 0)
        return;
    if (takeover_has_copy(&supervisor, &victim->lock) >= 0)
        victim->entry = takeover_command_find(&supervisor, &victim->lock, &victim->anchor);
    takeover_close(&supervisor);
}

static int share(struct break_plan *plan, struct victim *victim)
{
    const struct inspected_process *process = victim->holder->process;
    int result = share_sometime(plan, victim);
    victim->shared = result == 0;
    if (victim->shared)
        find_command(victim);
    victim->let_go = result == -ENOENT && is_free_by_now(plan);
    if (result == -EPERM)
        return refuse_permission(plan, process);
    if (result == -ENOSYS) {
        complain("%s: this kernel has no pidfd_getfd (Linux 5.6): the lock can't be taken over",
                 shown(plan->lock->label));
        return STATUS_FAILED;
    }
    if (result == -ESRCH || result == -ENOENT)
        return STATUS_DONE; /* whether that is the end of it is asked below */
    if (result != 0) {
        complain("%s: process %d: %s", shown(plan->lock->label), process->pid, strerror(-result));
        return STATUS_FAILED;
    }
    return STATUS_DONE;
}

static void look_up_record(struct break_plan *plan, struct victim *victim)
{
    victim->recorded = takeover_record(&plan->registry, &victim->process, &victim->record);
}

/*
 * One who lets go and takes it anew all the time would have a newer one by the time that the fence
 * is raised: it is named while it stands still, not on the point of letting go. Others are left
 * alone: who takes the lock once holds what is named.
 */
static bool is_to_stand_still(const struct break_plan *plan, const struct victim *victim)
{
    return !plan->request->dry_run && plan->request->kill_signal == 0 &&
           plan->lock->verdict == VERDICT_HEALTHY && victim->holder->mode == REGISTRY_EXCLUSIVE &&
           victim->entry == NULL && (!victim->recorded || victim->record.scope != SCOPE_PROCESS);
}

/* Is what it says what it will still say when the fence is raised? */
static bool is_told(const struct break_plan *plan, const struct victim *victim,
                    const struct fence *found)
{
    if ((victim->acquisition & FENCE_OVER) != 0)
        return false;
    if (plan->standing.count > 0 && atomic_load(&found->calls) >= FENCE_RELEASE)
        return false;
    return !registry_usable(&plan->registry) ||
           (victim->recorded && victim->record.acquisition == victim->acquisition);
}

/*
 * What the process itself says is better than what the registry does. Between two acquisitions, or
 * just before one is written down, it is asked again.
 */
static bool name_acquisition(struct break_plan *plan, struct victim *victim)
{
    struct fence found = {.magic = 0};
    bool still = is_to_stand_still(plan, victim);
    for (int attempt = 0;; attempt++) {
        if (still)
            (void)takeover_freeze(&plan->standing, &victim->process);
        look_up_record(plan, victim);
        if (takeover_fence_read(&victim->fence, &found) != 0)
            return false;
        victim->acquisition = atomic_load(&found.acquisition);
        if (is_told(plan, victim, &found))
            return true;
        if (attempt == LOOKS)
            break;
        takeover_thaw(&plan->standing);
        pause_shortly();
    }
    victim->let_go = (victim->acquisition & FENCE_OVER) != 0 && !takeover_has_lock(&victim->lock);
    return true;
}

static void find_fence(struct break_plan *plan, struct victim *victim)
{
    look_up_record(plan, victim);
    victim->acquisition = victim->recorded ? victim->record.acquisition : 0;
    if (!victim->shared)
        return;
    if (takeover_fence_find(&victim->fence, &victim->process, &victim->lock,
                            victim->recorded ? victim->record.fence : 0) != 0)
        return;
    victim->fenced = name_acquisition(plan, victim);
    if (!victim->fenced) { /* it executes another program just now */
        takeover_fence_close(&victim->fence);
        return;
    }
    /* Its own flock on the lock file, borrowed by the shim, can be dropped past the fence. */
    victim->stands_still = victim->entry == NULL &&
                           (!victim->recorded || victim->lock.number != victim->record.descriptor);
}

static int add_victim(struct break_plan *plan, const struct inspected_holder *holder)
{
    const struct inspected_process *process = holder->process;
    if (process->pid == 0) {
        complain("%s: the holder is not visible from here (another PID namespace): run lockctl "
                 "where it is",
                 shown(plan->lock->label));
        return STATUS_REFUSED;
    }
    struct victim victim = {.holder = holder, .anchor = -1};
    int result = takeover_open(&victim.process, process->pid, process->start_time);
    if (result == -ESRCH)
        return STATUS_DONE;
    if (result != 0) {
        complain("%s: process %d: %s", shown(plan->lock->label), process->pid, strerror(-result));
        return STATUS_FAILED;
    }
    int status =
        process->descriptors_hidden ? refuse_permission(plan, process) : share(plan, &victim);
    /* Another break that has nothing of it any more is done. */
    if (status != STATUS_DONE || victim.let_go || (holder->only_breaks && !victim.shared)) {
        takeover_close(&victim.process);
        return status;
    }
    plan->victims = grow(plan->victims, plan->count, sizeof *plan->victims);
    plan->victims[plan->count++] = victim;
    return STATUS_DONE;
}

/* The last step: the less time passes after it, the more likely it is not a newer one by then. */
static void find_fences(struct break_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        struct victim *victim = &plan->victims[i];
        find_fence(plan, victim);
        uint64_t acquisition = victim->acquisition & ~FENCE_OVER;
        if (victim->holder->mode != REGISTRY_JOINED && acquisition > plan->acquisition)
            plan->acquisition = acquisition;
    }
}

static bool anything_shared(const struct break_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->victims[i].shared)
            return true;
    return false;
}

/* --- the lock file that is at the path by now --- */

/*
 * The old lock file was deleted or replaced: files of the table are put on fresh inodes only while
 * we have the new one as well, whose holder would lose what it writes meanwhile.
 */
static int take_successor(struct break_plan *plan)
{
    plan->successor = lock_open_file(plan->lock->path, plan->table);
    if (plan->successor < 0)
        return plan->successor;
    for (int attempt = 0; attempt < 500; attempt++) {
        if (flock(plan->successor, LOCK_EX | LOCK_NB) == 0)
            return 0;
        nanosleep(&(struct timespec){0, 2000000}, NULL);
    }
    (void)close(plan->successor);
    plan->successor = -1;
    return -EWOULDBLOCK;
}

static int look_at_successor(struct break_plan *plan)
{
    plan->successor = -1;
    if (plan->lock->path_state != PATH_DELETED || plan->table == NULL || plan->request->dry_run)
        return STATUS_DONE;
    int result = take_successor(plan);
    if (result == 0)
        return STATUS_DONE;
    plan->table = NULL;
    return break_may_go_on(plan, "the new lock file at this path is held, and while somebody else "
                                 "works on the table what the old holder has open can't be put on "
                                 "fresh inodes")
               ? STATUS_DONE
               : STATUS_REFUSED;
}

/* --- all together --- */

/* A registry of several names may be another lock's: nothing is said there about this one. */
static void open_registry(struct break_plan *plan)
{
    struct stat status;
    registry_open_existing(&plan->registry, plan->lock->path);
    if (plan->registry.descriptor >= 0 &&
        (fstat(plan->registry.descriptor, &status) != 0 || status.st_nlink != 1))
        registry_close(&plan->registry);
}

int break_prepare(struct break_plan *plan)
{
    const struct inspected_lock *lock = plan->lock;
    plan->table = find_table(lock, plan->table);
    plan->registry = (struct registry){.descriptor = -1};
    plan->successor = plan->bar = plan->exclusion = -1;
    if (lock->path != NULL)
        open_registry(plan);
    for (size_t i = 0; i < lock->holder_count; i++) {
        if (!is_chosen(plan, &lock->holders[i])) {
            plan->spared++;
            continue;
        }
        int status = add_victim(plan, &lock->holders[i]);
        if (status != STATUS_DONE)
            return status;
    }
    if (plan->count > 0 && !anything_shared(plan)) {
        complain("%s: no descriptor of process %d has the lock (any more): a mapping or a message "
                 "may keep it; --kill ends the process",
                 shown(lock->label), plan->victims[0].process.pid);
        if (plan->request->kill_signal == 0)
            return STATUS_REFUSED;
    }
    break_find_kin(plan);
    int status = plan->count > 0 ? look_at_successor(plan) : STATUS_DONE;
    /* Before somebody is made to stand still, whose call another break may be waiting for. */
    if (status == STATUS_DONE && !plan->request->dry_run)
        status = break_exclude_others(plan);
    if (status == STATUS_DONE)
        find_fences(plan);
    return status;
}

void break_plan_free(struct break_plan *plan)
{
    takeover_thaw(&plan->standing);
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->victims[i].shared)
            (void)close(plan->victims[i].lock.descriptor);
        if (plan->victims[i].fenced)
            takeover_fence_close(&plan->victims[i].fence);
        if (plan->victims[i].anchor >= 0)
            (void)close(plan->victims[i].anchor);
        takeover_close(&plan->victims[i].process);
    }
    free(plan->victims);
    break_free_members(plan);
    free(plan->kin);
    if (plan->bar >= 0)
        (void)close(plan->bar);
    if (plan->exclusion >= 0)
        (void)close(plan->exclusion);
    if (plan->successor >= 0)
        (void)close(plan->successor);
    takeover_files_free(&plan->files);
    registry_close(&plan->registry);
}
