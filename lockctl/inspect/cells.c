/*
 * Cells. What is not known is NULL, which tables show as such; for people, one who is not visible
 * is said to be so.
 */
#include "lockctl/inspect/cells.h"

#include <stdio.h>
#include <sys/sysmacros.h>

#define NOT_VISIBLE "not visible from here"

const char *mode_name(enum registry_mode mode)
{
    switch (mode) {
    case REGISTRY_EXCLUSIVE:
        return "exclusive";
    case REGISTRY_SHARED:
        return "shared";
    case REGISTRY_JOINED:
        return "joined";
    default:
        return NULL;
    }
}

const char *cell_pid(struct output *output, const struct inspected_process *process)
{
    return process->pid > 0 ? cell_number(output, (uint64_t)process->pid) : NULL;
}

const char *cell_command(struct output *output, const struct inspected_process *process)
{
    if (process->command == NULL && !cell_is_exact(output))
        return NOT_VISIBLE;
    return cell_text(output, process->command);
}

const char *cell_user(struct output *output, const struct inspected_process *process)
{
    if (process->user == NULL && process->uid_known && !cell_is_exact(output))
        return cell_number(output, process->uid);
    return cell_text(output, process->user);
}

const char *cell_uid(struct output *output, const struct inspected_process *process)
{
    return process->uid_known ? cell_number(output, process->uid) : NULL;
}

const char *cell_state(struct output *output, const struct inspected_process *process)
{
    static char state[2];
    (void)output;
    state[0] = process->state;
    return process->state == '?' ? NULL : state;
}

const char *cell_since(struct output *output, int64_t duration)
{
    return duration < 0 ? NULL : cell_duration(output, (uint64_t)duration);
}

const char *cell_boolean(struct output *output, bool value)
{
    if (!cell_is_exact(output))
        return value ? "yes" : "no";
    return value ? "1" : "0";
}

const char *cell_device(struct output *output, uint64_t device)
{
    static char text[32];
    (void)output;
    (void)snprintf(text, sizeof text, "%u:%u", major(device), minor(device));
    return text;
}

void json_process(struct json *json, const struct inspected_process *process)
{
    if (process->pid > 0)
        json_number(json, "pid", (uint64_t)process->pid);
    else
        json_null(json, "pid");
    json_text(json, "command", process->command);
    json_text(json, "user", process->user);
    if (process->uid_known)
        json_number(json, "uid", process->uid);
    else
        json_null(json, "uid");
}
