/*
 * lockctl break: frees a lock whose holder is not well, and keeps that holder out of the table.
 * This file says what will be done, asks whether it should be, and tells what came of it.
 */
#include "lockctl/break.h"

#include "lockctl/format.h"
#include "lockctl/inspect/arguments.h"
#include "shim/lock/kernel_locks.h"
#include "shim/lock/process.h"
#include "shim/settings.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

const char BREAK_DETAILS[] =
    "Frees a lock that is orphaned, stopped, stuck, split or in a deadlock, and\n"
    "sees to it that the old holder can't change the table any more: its calls fail\n"
    "with ESTALE, and files of the table that it has open go on as copies, so that\n"
    "what it still writes is lost. A healthy holder is broken with --force alone.\n"
    "Says what it does before and after; every break is an event in the registry and\n"
    "a line in syslog.\n"
    "\n"
    "Exit status: 0 if the lock is free or was freed; 1 if it could not be done; 2\n"
    "for wrong usage; 4 if it refuses; 5 without permission; 78 for a lock that does\n"
    "not exist, or a wrong configuration.\n";

enum { OPTION_FORCE, OPTION_KILL, OPTION_DRY_RUN, OPTION_STUCK, OPTION_CONFIG, OPTION_COUNT };

static const struct argument_option OPTIONS[OPTION_COUNT] = {
    [OPTION_FORCE] = {"force", 'f', NULL,
                      "break a healthy holder too, and go on where not all\n"
                      "that break promises can be kept, saying what"},
    [OPTION_KILL] = {"kill", 'k', NULL, "end the holder first; --kill=SIGNAL: by this one"},
    [OPTION_DRY_RUN] = {"dry-run", 'n', NULL, "only say what would be done"},
    [OPTION_STUCK] = {"stuck-after", '\0', "SECONDS", "how long without a touch is stuck (300)"},
    [OPTION_CONFIG] = {"config", '\0', "FILE", "read this instead of /etc/lockshim.conf"},
};

/* --- options --- */

static int signal_of(const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);
    if (*text != '\0' && *end == '\0')
        return number > 0 && number < NSIG ? (int)number : -1;
    if (strncasecmp(text, "SIG", 3) == 0)
        text += 3;
    for (int i = 1; i < NSIG; i++) {
        const char *name = sigabbrev_np(i);
        if (name != NULL && strcasecmp(name, text) == 0)
            return i;
    }
    return -1;
}

static int take_option(void *context, int option, const char *value)
{
    struct break_request *request = context;
    switch (option) {
    case OPTION_FORCE:
        request->force = true;
        break;
    case OPTION_KILL:
        request->kill_signal = SIGKILL;
        break;
    case OPTION_DRY_RUN:
        request->dry_run = true;
        break;
    case OPTION_STUCK:
        if (!arguments_seconds(value, &request->stuck_after)) {
            complain("--stuck-after '%s' is no number of seconds", shown(value));
            return STATUS_USAGE;
        }
        break;
    default:
        request->config = value;
    }
    return STATUS_DONE;
}

/* --kill has an optional value, which the table of options knows nothing of: it is taken out. */
static int take_kill_signals(struct break_request *request, int *count, char **words)
{
    static const char option[] = "--kill=";
    int kept = 0;
    for (int i = 0; i < *count; i++) {
        if (strncmp(words[i], option, sizeof option - 1) != 0) {
            words[kept++] = words[i];
            continue;
        }
        request->kill_signal = signal_of(words[i] + sizeof option - 1);
        if (request->kill_signal <= 0) {
            complain("'%s' is no signal", shown(words[i] + sizeof option - 1));
            return STATUS_USAGE;
        }
    }
    *count = kept;
    words[kept] = NULL;
    return STATUS_DONE;
}

/* --- which lock --- */

static bool is_broken_file(const struct inspected_lock *lock)
{
    return lock->verdict == VERDICT_SPLIT && lock->holder_count > 0;
}

/* Of a deleted lock file and its successor at the same path the old one. */
static const struct inspected_lock *find_lock(const struct inspection *inspection,
                                              const struct target *target)
{
    const struct inspected_lock *found = NULL;
    for (size_t i = 0; i < inspection->count; i++) {
        const struct inspected_lock *lock = &inspection->locks[i];
        if (lock->path == NULL || strcmp(lock->path, target->lock_path) != 0)
            continue;
        if (found == NULL || (is_broken_file(lock) && !is_broken_file(found)))
            found = lock;
    }
    return found;
}

/* How young: who took its lock last, or, where nobody tells that, the process that started last. */
static bool is_younger(const struct inspected_lock *one, const struct inspected_lock *other)
{
    const struct inspected_holder *left = &one->holders[0], *right = &other->holders[0];
    if (left->held != UNKNOWN_TIME && right->held != UNKNOWN_TIME)
        return left->held < right->held;
    return left->process->start_time > right->process->start_time;
}

static const struct inspected_lock *youngest_of(const struct inspection *inspection,
                                                const struct inspected_lock *lock)
{
    const struct inspected_cycle *cycle = &inspection->cycles[lock->cycle];
    const struct inspected_lock *found = lock;
    for (size_t i = 0; i < cycle->count; i++) {
        const struct inspected_lock *other = cycle->waits[i].lock;
        if (other->holder_count > 0 && (found->holder_count == 0 || is_younger(other, found)))
            found = other;
    }
    return found;
}

/* --- before --- */

static void print_victim(const struct victim *victim)
{
    const struct inspected_holder *holder = victim->holder;
    const struct inspected_process *process = holder->process;
    char held[FORMAT_TEXT];
    printf("  process %d%s%s", process->pid, process->user != NULL ? " of " : "",
           process->user != NULL ? shown(process->user) : "");
    if (process->command != NULL)
        printf(": %s", shown(process->command));
    printf("\n    %s", holder->only_breaks ? "another break of it, which keeps it to its end"
                       : victim->fenced    ? "guarded"
                       : holder->guarded   ? "guarded, without a fence"
                                           : "not guarded");
    if (holder->mode == REGISTRY_JOINED)
        printf(", joined another holder");
    if (holder->mode == REGISTRY_SHARED)
        printf(", shared");
    if (holder->taker != 0)
        printf(", took it over from process %d", holder->taker);
    if (victim->acquisition != 0 && (victim->acquisition & FENCE_OVER) == 0)
        printf(", acquisition %llu", (unsigned long long)victim->acquisition);
    if (holder->held != UNKNOWN_TIME)
        printf(", for %s", format_duration(held, (uint64_t)holder->held));
    printf("\n");
}

static void print_steps(const struct break_plan *plan)
{
    bool fences = false, unfenced = false, kills = false;
    for (size_t i = 0; i < plan->count; i++) {
        kills = kills || (plan->request->kill_signal != 0 && !plan->victims[i].holder->only_breaks);
        fences = fences || plan->victims[i].fenced || plan->victims[i].entry != NULL;
        unfenced = unfenced || !(plan->victims[i].fenced || plan->victims[i].entry != NULL);
    }
    const char *will = plan->request->dry_run ? "would" : "will";
    if (kills)
        printf("  %s send SIG%s, and wait for the end\n", will,
               sigabbrev_np(plan->request->kill_signal) != NULL
                   ? sigabbrev_np(plan->request->kill_signal)
                   : "RT");
    if (fences)
        printf("  %s raise the fence: every further call on the table fails with ESTALE\n", will);
    if (plan->table != NULL)
        printf("  %s put files of %s that are open for writing there on fresh inodes\n", will,
               shown(plan->table));
    else
        printf("  no table is known for this lock: no file is protected\n");
    printf("  %s free the lock\n", will);
    if (unfenced && plan->request->kill_signal == 0 && plan->table != NULL)
        printf("  not stopped by this: a program without the shim that opens files of the table "
               "anew\n");
}

static bool out_of_reach(const struct break_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->victims[i].recorded && plan->victims[i].record.out_of_reach != 0)
            return true;
    for (size_t i = 0; i < plan->kin_count; i++)
        if (plan->kin[i].related && !plan->kin[i].guarded && !plan->kin[i].unreadable)
            return true;
    return false;
}

static void explain(const struct break_plan *plan)
{
    printf("%s: %s: %s\n", shown(plan->lock->label), verdict_name(plan->lock->verdict),
           plan->lock->reason);
    for (size_t i = 0; i < plan->count; i++)
        print_victim(&plan->victims[i]);
    print_steps(plan);
    if (out_of_reach(plan))
        printf("  not stopped by this: programs without the shim that the holder has started, if "
               "they open files of the table anew\n");
    if (plan->spared > 0)
        printf("  %zu other shared holder%s well and keep%s the lock (--force breaks them too)\n",
               plan->spared, plan->spared == 1 ? " is" : "s are", plan->spared == 1 ? "s" : "");
    (void)fflush(stdout);
}

/* --- after --- */

struct successor_search {
    const struct break_plan *plan;
    uint64_t inode;
    pid_t found;
};

static bool look_at_kernel_lock(const struct kernel_lock *lock, void *context)
{
    struct successor_search *search = context;
    if (lock->waits || lock->inode != search->inode)
        return true;
    search->found = lock->process;
    return false;
}

/* One who has let go of it again already: its record stays, but for the pid. */
static pid_t former_successor(const struct break_plan *plan, const struct registry_holder *record)
{
    if (record->since < plan->freed_at)
        return 0;
    for (size_t i = 0; i < plan->lock->waiter_count; i++) {
        const struct inspected_process *process = plan->lock->waiters[i].process;
        if (process->pid > 0 && process->start_time == record->start_time)
            return process->pid;
    }
    return record->thread;
}

static pid_t registered_successor(struct break_plan *plan, uint64_t *since)
{
    struct registry_head head;
    struct registry_holder holders[REGISTRY_HOLDERS];
    if (!registry_look(&plan->registry, &head) ||
        !registry_read(&plan->registry, REGISTRY_OFFSET(holders), holders, sizeof holders))
        return 0;
    if (head.exclusive.process > 0 && head.exclusive.since >= plan->freed_at) {
        *since = head.exclusive.since;
        return head.exclusive.process;
    }
    for (int i = 0; i < REGISTRY_HOLDERS; i++) {
        if (holders[i].process > 0 && holders[i].level == 0 && holders[i].since >= plan->freed_at) {
            *since = holders[i].since;
            return holders[i].process;
        }
    }
    *since = head.exclusive.since;
    return former_successor(plan, &head.exclusive);
}

/* The guarded ones say so themselves, soon; of the others the kernel's list tells. */
static pid_t await_successor(struct break_plan *plan, uint64_t *since)
{
    bool guarded = false;
    *since = 0;
    if (plan->lock->waiter_count == 0)
        return 0;
    for (size_t i = 0; i < plan->lock->waiter_count; i++)
        guarded = guarded || plan->lock->waiters[i].guarded;
    for (int i = 0; guarded && i < 200; i++) {
        pid_t process = registered_successor(plan, since);
        if (process > 0)
            return process;
        nanosleep(&(struct timespec){0, 500000}, NULL);
    }
    struct successor_search search = {plan, plan->lock->inode, 0};
    for (long pause = 1000000; search.found == 0; pause *= 4) {
        kernel_locks_each(look_at_kernel_lock, &search);
        if (search.found != 0 || pause > 64000000)
            break;
        nanosleep(&(struct timespec){0, pause}, NULL);
    }
    return search.found;
}

static void report(struct break_plan *plan, uint64_t began)
{
    char took[FORMAT_TEXT], waited[FORMAT_TEXT], path[64], command[256];
    uint64_t since;
    printf("freed in %s", format_duration(took, plan->freed_at - began));
    if (plan->acquisition != 0)
        printf("; acquisition %llu is broken", (unsigned long long)plan->acquisition);
    if (plan->table != NULL)
        printf("; %zu file%s on fresh inodes", plan->renewed, plan->renewed == 1 ? "" : "s");
    if (plan->restored)
        printf("; the table is as it was before the holder came");
    printf("\n");
    pid_t next = await_successor(plan, &since);
    if (next == 0) {
        printf("%s\n", plan->spared > 0                ? "the other shared holders keep it"
                       : plan->lock->waiter_count == 0 ? "nobody waits for it"
                                                       : "nobody has taken it yet");
        return;
    }
    if (process_read_file(process_path(path, next, "comm", -1), command, sizeof command) <= 0)
        command[0] = '\0';
    command[strcspn(command, "\n")] = '\0';
    printf("next: process %d", next);
    if (command[0] != '\0')
        printf(" (%s)", shown(command));
    if (since > plan->freed_at)
        printf(", %s later,", format_duration(waited, since - plan->freed_at));
    printf(" has got the lock\n");
}

/* --- the command --- */

static int nothing_to_do(const struct inspected_lock *lock)
{
    printf("%s: %s: %s: nothing to break%s\n", shown(lock->label), verdict_name(lock->verdict),
           lock->reason, lock->verdict == VERDICT_CRASHED ? "; see 'lockctl recover'" : "");
    return STATUS_DONE;
}

static int refuse_healthy(const struct inspected_lock *lock)
{
    complain("%s: healthy: %s; a break would take the lock away from a program that works "
             "(--force does)",
             shown(lock->label), lock->reason);
    return STATUS_REFUSED;
}

static bool all_have_let_go(const struct break_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        if (!plan->victims[i].let_go)
            return false;
    return true;
}

static int break_lock(struct break_plan *plan)
{
    uint64_t began = registry_now();
    int status = break_prepare(plan);
    if (status == STATUS_DONE && all_have_let_go(plan)) {
        printf("%s: the holder has let go by itself meanwhile\n", shown(plan->lock->label));
        return STATUS_DONE;
    }
    if (status < 0)
        return STATUS_DONE;
    if (status != STATUS_DONE)
        return status;
    explain(plan);
    if (plan->request->dry_run)
        return STATUS_DONE;
    status = break_act(plan);
    if (status < 0) /* there was nothing left to do */
        return STATUS_DONE;
    if (status == STATUS_DONE)
        report(plan, began);
    return status;
}

static int judge_and_break(const struct break_request *request, const struct target *target,
                           const struct inspection *inspection)
{
    const struct inspected_lock *lock = find_lock(inspection, target);
    if (lock == NULL) {
        complain("there is no lock '%s'", shown(target->lock_path));
        return STATUS_FAILED;
    }
    if (!lock->held)
        return nothing_to_do(lock);
    if (lock->verdict == VERDICT_HEALTHY && !request->force)
        return refuse_healthy(lock);
    struct break_plan plan = {.request = request, .inspection = inspection, .lock = lock};
    plan.table = target->table;
    if (lock->verdict == VERDICT_DEADLOCK) {
        plan.lock = youngest_of(inspection, lock);
        if (plan.lock != lock) {
            plan.table = NULL;
            printf("%s is in a deadlock; the youngest in it holds %s\n", shown(lock->label),
                   shown(plan.lock->label));
        }
    }
    int status = break_lock(&plan);
    break_plan_free(&plan);
    return fflush(stdout) == 0 ? status : STATUS_FAILED;
}

/* A word of which nothing exists may be either name of what was deleted while it was held. */
static int break_target(const struct break_request *request, const struct targets *targets,
                        const struct inspection *inspection)
{
    const struct target *named = &targets->items[0];
    for (size_t i = 0; i < targets->count && named->missing != NULL; i++) {
        const struct inspected_lock *lock = find_lock(inspection, &targets->items[i]);
        if (lock != NULL && lock->held)
            return judge_and_break(request, &targets->items[i], inspection);
    }
    return named->missing != NULL ? targets_refuse_missing(named->missing)
                                  : judge_and_break(request, named, inspection);
}

int break_command(const struct command_description *description, int count, char **words)
{
    struct break_request request = {.stuck_after = STUCK_AFTER_DEFAULT};
    char **rest;
    int status = take_kill_signals(&request, &count, words);
    if (status != STATUS_DONE)
        return status;
    status = arguments_parse(description, OPTIONS, OPTION_COUNT, take_option, &request, NULL, count,
                             words, &rest);
    if (status >= 0)
        return status;
    if (rest[0] == NULL || rest[1] != NULL) {
        complain("break: exactly one lock or table is to be named");
        return STATUS_USAGE;
    }
    struct targets targets = {.items = NULL};
    status = targets_collect_held(&targets, rest, request.config);
    if (status != STATUS_DONE)
        return status;
    struct inspect_request wanted = {
        .targets = &targets, .everything = true, .stuck_after = (int64_t)request.stuck_after};
    struct inspector *inspector = inspector_open(&wanted);
    const struct inspection *inspection = inspector_look(inspector);
    status = inspection == NULL ? STATUS_FAILED : break_target(&request, &targets, inspection);
    inspector_close(inspector);
    free(targets.items);
    return status;
}
