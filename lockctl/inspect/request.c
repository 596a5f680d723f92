/*
 * Options of the commands that inspect, and the look itself.
 */
#include "lockctl/inspect/request.h"

#include <stdio.h>
#include <string.h>

int request_take(void *context, int option, const char *value)
{
    struct command_request *request = context;
    if (option < OUTPUT_OPTION_COUNT)
        return output_take(&request->style, option, value);
    if (option == REQUEST_CONFIG)
        request->config = value;
    else if (option == REQUEST_TREE)
        request->tree = true;
    else if (!arguments_seconds(value, &request->stuck_after)) {
        complain("--stuck-after: '%s' is no number of seconds", shown(value));
        return STATUS_USAGE;
    }
    return STATUS_DONE;
}

int request_parse(struct command_request *request, const struct command_description *description,
                  const struct argument_option *options, size_t option_count,
                  void (*more_help)(void), int count, char **words)
{
    *request = (struct command_request){.stuck_after = STUCK_AFTER_DEFAULT};
    return arguments_parse(description, options, option_count, request_take, request, more_help,
                           count, words, &request->words);
}

static bool is_told_of(const struct inspection *inspection, const char *path)
{
    for (size_t i = 0; i < inspection->count; i++)
        if (inspection->locks[i].named && inspection->locks[i].path != NULL &&
            strcmp(inspection->locks[i].path, path) == 0)
            return true;
    return false;
}

/* Nothing that one of the words may mean exists, nor is it held. */
static int refuse_missing(const struct targets *targets, const struct inspection *inspection)
{
    const char *found = NULL; /* a word has several targets, one behind the other */
    for (size_t i = 0; i < targets->count; i++) {
        const struct target *target = &targets->items[i];
        if (target->missing == NULL || target->missing == found)
            continue;
        if (is_told_of(inspection, target->lock_path))
            found = target->missing;
        else if (i + 1 == targets->count || targets->items[i + 1].missing != target->missing)
            return targets_refuse_missing(target->missing);
    }
    return STATUS_DONE;
}

static const struct inspection *look(struct command_request *request, bool own_suffice, int *status)
{
    static struct inspector *inspector; /* the picture lives in it */
    *status = targets_collect_held(&request->targets, request->words, request->config);
    if (*status != STATUS_DONE)
        return NULL;
    bool everything = request->words[0] == NULL && !(own_suffice && request->targets.count > 0);
    inspector = inspector_open(&(struct inspect_request){
        .targets = &request->targets,
        .everything = everything,
        .stuck_after = (int64_t)request->stuck_after,
        .bare_holders = request->bare_holders,
        .bare_waiters = request->bare_waiters,
    });
    const struct inspection *inspection = inspector_look(inspector);
    *status = inspection != NULL ? refuse_missing(&request->targets, inspection) : STATUS_FAILED;
    return *status == STATUS_DONE ? inspection : NULL;
}

const struct inspection *request_look(struct command_request *request, int *status)
{
    return look(request, false, status);
}

const struct inspection *request_look_at_own(struct command_request *request, int *status)
{
    return look(request, true, status);
}

void request_print_limits(const struct inspection *inspection)
{
    if (inspection->inside_namespace)
        printf("Processes outside of this PID namespace are not visible from here.\n");
    if (inspection->hidden_processes > 0)
        printf("Into %zu of the holders only their user or root can look.\n",
               inspection->hidden_processes);
}
