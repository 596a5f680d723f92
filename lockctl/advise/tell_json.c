/* The same for programs: every access, in order. */
#include "lockctl/advise/tell.h"

#include "lockctl/inspect/json.h"

#include <stdio.h>

static void put_scopes(struct json *json, const struct told *told)
{
    char text[TELL_TEXT];
    json_open(json, "scopes", '{');
    for (int scope = SCOPE_COMMAND; scope <= SCOPE_CALL; scope++) {
        json_open(json, settings_scope_name((enum scope)scope), '{');
        json_text(json, "verdict", words_judgement(told->advice->scopes[scope]));
        json_text(json, "why",
                  told->advice->reason != REASON_NONE ? words_scope(told, (enum scope)scope, text)
                                                      : NULL);
        json_close(json, '}');
    }
    json_close(json, '}');
}

static void put_access(struct json *json, const struct account *account,
                       const struct account_access *access)
{
    static const char *const kinds[] = {
        [ACCESS_ASK] = "ask",         [ACCESS_MISS] = "miss",     [ACCESS_LIST] = "list",
        [ACCESS_READ] = "read",       [ACCESS_UPDATE] = "update", [ACCESS_OPEN] = "open",
        [ACCESS_WRITE] = "write",     [ACCESS_APPEND] = "append", [ACCESS_RESIZE] = "resize",
        [ACCESS_REPLACE] = "replace", [ACCESS_MAKE] = "make",     [ACCESS_REMOVE] = "remove",
        [ACCESS_RENAME] = "rename",   [ACCESS_LINK] = "link",     [ACCESS_REFUSED] = "refused",
    };
    json_open(json, NULL, '{');
    json_number(json, "session", access->session);
    json_text(json, "access", kinds[access->kind]);
    json_text(json, "file", account->files[access->file].name);
    if (access->kind == ACCESS_RENAME || access->kind == ACCESS_LINK)
        json_text(json, "from", account->files[access->other].name);
    json_close(json, '}');
}

static void put_process(struct json *json, const struct told *told, size_t index)
{
    const struct account *account = told->account;
    const struct account_process *process = &account->processes[index];
    json_open(json, NULL, '{');
    json_number(json, "pid", (uint64_t)process->pid);
    json_number(json, "parent", (uint64_t)process->parent);
    json_text(json, "program", process->path);
    json_text(json, "command", process->command);
    json_text(json, "out_of_reach",
              process->out_of_reach ? program_reach_text(process->reach) : NULL);
    json_boolean(json, "left_behind", process->left_behind);
    json_number(json, "unseen", process->unseen);
    json_number(json, "sessions", process->sessions);
    json_open(json, "accesses", '[');
    for (size_t i = 0; i < account->access_count; i++)
        if (account->accesses[i].process == index)
            put_access(json, account, &account->accesses[i]);
    json_close(json, ']');
    json_close(json, '}');
}

static void put_processes(struct json *json, const struct told *told)
{
    json_open(json, "processes", '[');
    for (size_t i = 0; i < told->account->process_count; i++) {
        const struct account_process *process = &told->account->processes[i];
        if (told->advice->processes[i].touches || process->out_of_reach || process->left_behind)
            put_process(json, told, i);
    }
    json_close(json, ']');
}

static void put_unseen(struct json *json, const struct told *told)
{
    const struct account *account = told->account;
    json_open(json, "unseen", '[');
    for (size_t i = 0; i < account->unseen_count; i++) {
        const struct account_unseen *unseen = &account->unseen[i];
        json_open(json, NULL, '{');
        if (unseen->process != ACCOUNT_NOBODY && account->processes[unseen->process].pid > 0)
            json_number(json, "pid", (uint64_t)account->processes[unseen->process].pid);
        else
            json_null(json, "pid");
        json_text(json, "program",
                  unseen->process != ACCOUNT_NOBODY ? account->processes[unseen->process].path
                                                    : NULL);
        json_text(json, "file", account->files[unseen->file].name);
        json_boolean(json, "changes", unseen->changes);
        json_text(json, "why", words_escape(told, unseen));
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void put_run(struct json *json, const struct told *told)
{
    static const char *const ways[] = {
        [WAY_COPY] = "copy", [WAY_READ_ONLY] = "read-only", [WAY_IN_PLACE] = "in-place"};
    static const char *const watches[] = {"none", "inotify", "fanotify"};
    const struct observation *observation = told->observation;
    json_text(json, "table", observation->table->path);
    json_text(json, "way", ways[observation->way]);
    json_text(json, "watch", watches[observation->watched ? (observation->attributed ? 2 : 1) : 0]);
    json_number(json, "status", (uint64_t)observation->status);
    json_boolean(json, "timed_out", observation->timed_out);
    json_boolean(json, "interrupted", observation->interrupted);
    json_seconds(json, "seconds", (int64_t)observation->lasted);
    json_number(json, "left_behind", observation->left_count);
}

static void put_notes(struct json *json, const struct told *told)
{
    char text[TELL_TEXT];
    json_open(json, "notes", '[');
    for (unsigned i = 0; words_note(told, i, text) != NULL; i++)
        json_text(json, NULL, text);
    json_close(json, ']');
}

void tell_json(const struct told *told)
{
    struct json json = {.file = stdout};
    char text[TELL_TEXT];
    const struct advice *advice = told->advice;
    bool none = advice->reason == REASON_NONE;
    json_open(&json, NULL, '{');
    put_run(&json, told);
    json_text(&json, "scope", none ? NULL : settings_scope_name(advice->needed));
    json_boolean(&json, "eager", advice->eager);
    json_boolean(&json, "shared", advice->shared);
    json_text(&json, "reason", words_reason(advice->reason));
    json_text(&json, "why", words_need(told, text));
    put_scopes(&json, told);
    put_processes(&json, told);
    put_unseen(&json, told);
    put_notes(&json, told);
    json_text(&json, "run", none ? NULL : words_run(told, text));
    json_close(&json, '}');
}
