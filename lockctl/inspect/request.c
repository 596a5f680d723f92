/*
 * Options of the commands that inspect, and the look itself.
 */
#include "lockctl/inspect/request.h"

#include <stdio.h>

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

static const struct inspection *look(struct command_request *request, bool own_suffice, int *status)
{
    static struct inspector *inspector; /* the picture lives in it */
    *status = targets_collect(&request->targets, request->words, request->config);
    if (*status != STATUS_DONE)
        return NULL;
    bool everything = request->words[0] == NULL && !(own_suffice && request->targets.count > 0);
    inspector = inspector_open(&(struct inspect_request){
        .targets = &request->targets,
        .everything = everything,
        .stuck_after = (int64_t)request->stuck_after,
    });
    const struct inspection *inspection = inspector_look(inspector);
    if (inspection == NULL)
        *status = STATUS_FAILED;
    return inspection;
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
