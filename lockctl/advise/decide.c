/*
 * The rules. Each looks at the account alone, so that a test can write one down.
 */
#include "lockctl/advise/decide.h"

#include "lockctl/lockctl.h"

#include <err.h>
#include <stdlib.h>

/* What a process knows of a file. */
struct knowledge {
    unsigned read_in, changed_in; /* the last session that did; 0: none */
    unsigned updated_in;          /* that opened it for both */
    unsigned asked_in;            /* the first one */
    bool remembered;              /* was read in a session that did not change it */
    bool made;                    /* its own: nobody else has anything in it */
};

struct judging {
    const struct account *account;
    struct process_advice *advice;
    struct knowledge *files;
    size_t *read; /* the files that were, once each */
    size_t read_count;
};

/* --- one process --- */

/* A file that was read in an earlier session, left as it was, and not read in this one. */
static bool find_stale(const struct judging *judging, unsigned session, size_t *stale)
{
    for (size_t i = 0; i < judging->read_count; i++) {
        const struct knowledge *known = &judging->files[judging->read[i]];
        if (known->read_in >= session || known->made || known->changed_in == known->read_in)
            continue;
        *stale = judging->read[i];
        return true;
    }
    return false;
}

/* Where it is open for both, that has told anew what had been asked before. */
static bool is_in_place(enum access_kind kind)
{
    return kind == ACCESS_WRITE || kind == ACCESS_APPEND || kind == ACCESS_RESIZE;
}

static void remember(struct judging *judging, enum memory memory, size_t remembered, size_t changed)
{
    struct process_advice *advice = judging->advice;
    advice->unnoticed = advice->unnoticed || memory != MEMORY_REPLACES;
    /* The plainest counts: what is read and replaced; then what is derived; then what is asked. */
    if (advice->memory != MEMORY_NONE && advice->memory <= memory)
        return;
    advice->memory = memory;
    advice->remembered = remembered;
    advice->changed = changed;
}

static void judge_change(struct judging *judging, const struct account_access *access, size_t file)
{
    struct knowledge *known = &judging->files[file];
    unsigned session = access->session;
    bool asked = known->asked_in != 0 && known->asked_in < session &&
                 !(is_in_place(access->kind) && known->updated_in == session);
    size_t stale;
    known->changed_in = session;
    if (known->made)
        return;
    if (known->read_in != 0 && known->read_in < session)
        remember(judging, MEMORY_REPLACES, file, file);
    else if (known->read_in == session && known->remembered)
        remember(judging, MEMORY_REOPENS, file, file);
    else if (find_stale(judging, session, &stale))
        remember(judging, MEMORY_DERIVES, stale, file);
    else if (asked && access->kind != ACCESS_APPEND)
        remember(judging, MEMORY_ASKED, file, file);
}

/* A session that has read the file and left it as it was may be what a later change goes by. */
static void note_reading(struct judging *judging, const struct account_access *access)
{
    struct knowledge *known = &judging->files[access->file];
    if (known->read_in != 0 && known->read_in < access->session &&
        known->changed_in != known->read_in)
        known->remembered = true;
    if (known->read_in == 0) {
        judging->read = grow(judging->read, judging->read_count, sizeof *judging->read);
        judging->read[judging->read_count++] = access->file;
    }
    known->read_in = access->session;
    if (access->kind == ACCESS_UPDATE)
        known->updated_in = access->session;
}

static void note_change(struct judging *judging, const struct account_access *access)
{
    struct process_advice *advice = judging->advice;
    const struct account_file *files = judging->account->files;
    advice->changes = true;
    if (access->kind != ACCESS_APPEND)
        advice->appends_only = false;
    if (files[access->file].inside)
        judge_change(judging, access, access->file);
    if (access->kind == ACCESS_RENAME) {
        if (files[access->other].inside)
            judge_change(judging, access, access->other);
        judging->files[access->other].made = false;
    }
    if (access->kind == ACCESS_MAKE)
        judging->files[access->file].made = true;
    else if (!is_in_place(access->kind) && access->kind != ACCESS_REPLACE)
        judging->files[access->file].made = false;
}

static void note_access(struct judging *judging, const struct account_access *access)
{
    struct process_advice *advice = judging->advice;
    struct knowledge *known = &judging->files[access->file];
    advice->touches = true;
    if (access_changes(access->kind)) {
        note_change(judging, access);
        return;
    }
    if (access->kind == ACCESS_ASK || access->kind == ACCESS_OPEN) {
        if (access->kind == ACCESS_ASK && known->asked_in == 0)
            known->asked_in = access->session;
        return;
    }
    if (!known->made) {
        advice->reads = true;
        advice->appends_only = false;
        note_reading(judging, access);
    }
}

/* A file that it made in a session of its own, and goes on with, is its own for good. */
static void judge_process(struct advice *advice, const struct account *account, size_t process)
{
    struct knowledge *files = calloc(account->file_count + 1, sizeof *files);
    if (files == NULL)
        err(STATUS_FAILED, NULL);
    struct judging judging = {account, &advice->processes[process], files, NULL, 0};
    *judging.advice = (struct process_advice){.appends_only = true};
    for (size_t i = 0; i < account->access_count; i++)
        if (account->accesses[i].process == process)
            note_access(&judging, &account->accesses[i]);
    judging.advice->sessions = account->processes[process].sessions;
    judging.advice->lives_on = account->ended_by_us && !account->processes[process].ended;
    judging.advice->touches = judging.advice->touches || account->processes[process].unseen > 0;
    free(judging.read);
    free(files);
}

/* --- all of them --- */

static bool descends(const struct account *account, size_t process, size_t ancestor)
{
    pid_t parent = account->processes[process].parent;
    for (size_t steps = 0; steps <= account->process_count; steps++) {
        if (parent == account->processes[ancestor].pid)
            return true;
        size_t next = account->process_count;
        for (size_t i = 0; i < account->process_count; i++)
            if (account->processes[i].pid == parent)
                next = i;
        if (next == account->process_count)
            return false;
        parent = account->processes[next].parent;
    }
    return false;
}

/* Does everything happen between the first touch and the end of one, among its descendants? */
static bool is_contained(const struct account *account, size_t first)
{
    const struct account_process *process = &account->processes[first];
    size_t end = process->ended ? process->end_order : 0;
    for (size_t i = 0; i < account->access_count; i++)
        if (account->accesses[i].process == first && i >= end)
            end = i + 1;
    for (size_t i = 0; i < account->access_count; i++) {
        size_t other = account->accesses[i].process;
        if (other != first && (i >= end || !descends(account, other, first)))
            return false;
    }
    return true;
}

static bool any(const struct advice *advice, const struct account *account,
                bool (*holds)(const struct process_advice *process))
{
    for (size_t i = 0; i < account->process_count; i++)
        if (advice->processes[i].touches && holds(&advice->processes[i]))
            return true;
    return false;
}

static bool changes(const struct process_advice *process)
{
    return process->changes;
}

static bool is_no_appender(const struct process_advice *process)
{
    return !process->appends_only;
}

static bool is_stranger(const struct account_process *process)
{
    return process->unseen > 0 && !process->out_of_reach;
}

static void set_all(struct advice *advice, enum judgement judgement)
{
    for (int scope = SCOPE_COMMAND; scope <= SCOPE_CALL; scope++)
        advice->scopes[scope] = judgement;
    advice->scopes[SCOPE_COMMAND] = JUDGED_RIGHT;
}

/* Somebody is there whom no preload reaches: true, and all is said. */
static bool decide_unseen(struct advice *advice, const struct account *account)
{
    bool out_of_reach = false;
    bool stranger = false;
    for (size_t i = 0; i < account->process_count; i++) {
        const struct account_process *process = &account->processes[i];
        if (process->out_of_reach && (process->unseen > 0 || !account->watched))
            out_of_reach = true;
        stranger = stranger || is_stranger(process);
    }
    for (size_t i = 0; i < account->unseen_count; i++)
        stranger = stranger || (account->unseen[i].process == ACCOUNT_NOBODY && !out_of_reach);
    if (!out_of_reach && !stranger)
        return false;
    set_all(advice, JUDGED_WRONG);
    advice->reason = stranger ? REASON_UNSEEN : REASON_OUT_OF_REACH;
    advice->eager = stranger;
    advice->needed = SCOPE_COMMAND;
    return true;
}

static void decide_several(struct advice *advice, const struct account *account)
{
    if (!any(advice, account, is_no_appender)) {
        set_all(advice, JUDGED_RIGHT);
        advice->reason = REASON_APPENDS;
        advice->needed = SCOPE_CALL;
        return;
    }
    bool reads_only = !any(advice, account, changes);
    set_all(advice, reads_only ? JUDGED_MIXED : JUDGED_WRONG);
    advice->reason = reads_only ? REASON_READERS : REASON_PROCESSES;
    advice->needed = SCOPE_COMMAND;
    if (is_contained(account, advice->first))
        advice->scopes[SCOPE_PROCESS] = JUDGED_JOINED;
}

static enum judgement judge_session(const struct process_advice *process)
{
    switch (process->memory) {
    case MEMORY_NONE:
        return !process->changes && process->sessions > 1 ? JUDGED_MIXED : JUDGED_RIGHT;
    case MEMORY_REPLACES:
        return process->unnoticed ? JUDGED_WRONG : JUDGED_REFUSED;
    default:
        return JUDGED_WRONG;
    }
}

static enum reason reason_of(const struct process_advice *process)
{
    if (process->memory != MEMORY_NONE)
        return REASON_MEMORY;
    if (!process->changes)
        return process->lives_on       ? REASON_FOLLOWS
               : process->sessions > 1 ? REASON_READERS
                                       : REASON_READS;
    if (process->appends_only)
        return REASON_APPENDS;
    if (!process->reads)
        return REASON_BLIND;
    return process->sessions > 1 ? REASON_RETURNS : REASON_OPEN;
}

static void decide_one(struct advice *advice)
{
    const struct process_advice *process = &advice->processes[advice->first];
    set_all(advice, JUDGED_RIGHT);
    advice->reason = reason_of(process);
    advice->scopes[SCOPE_SESSION] = judge_session(process);
    bool by_call = advice->reason == REASON_APPENDS || advice->reason == REASON_FOLLOWS;
    advice->scopes[SCOPE_CALL] = by_call ? JUDGED_RIGHT : JUDGED_WRONG;
    advice->needed = by_call                                         ? SCOPE_CALL
                     : advice->scopes[SCOPE_SESSION] == JUDGED_RIGHT ? SCOPE_SESSION
                                                                     : SCOPE_PROCESS;
}

/* The one that touched first, by what the shim saw. */
static size_t first_to_touch(const struct advice *advice, const struct account *account)
{
    if (account->access_count > 0)
        return account->accesses[0].process;
    for (size_t i = 0; i < account->process_count; i++)
        if (advice->processes[i].touches)
            return i;
    return 0;
}

void decide(struct advice *advice, const struct account *account)
{
    *advice = (struct advice){.needed = SCOPE_COMMAND};
    advice->processes = calloc(account->process_count + 1, sizeof *advice->processes);
    if (advice->processes == NULL)
        err(STATUS_FAILED, NULL);
    for (size_t i = 0; i < account->process_count; i++) {
        judge_process(advice, account, i);
        advice->touching += advice->processes[i].touches ? 1 : 0;
    }
    advice->first = first_to_touch(advice, account);
    if (decide_unseen(advice, account))
        return;
    if (advice->touching == 0) {
        set_all(advice, JUDGED_RIGHT);
        return;
    }
    if (advice->touching > 1)
        decide_several(advice, account);
    else
        decide_one(advice);
    /* A follower reads beside its writers: under `call` reading is not locked. */
    advice->shared = !any(advice, account, changes) && advice->reason != REASON_FOLLOWS;
}
