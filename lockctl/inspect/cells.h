/*
 * How the parts of an inspection are put into cells; shared by the commands' tables of columns.
 */
#ifndef LOCKCTL_CELLS_H
#define LOCKCTL_CELLS_H

#include "lockctl/inspect/inspect.h"
#include "lockctl/inspect/json.h"
#include "lockctl/inspect/output.h"

const char *mode_name(enum registry_mode mode); /* NULL: not held, or not known */
const char *cell_pid(struct output *output, const struct inspected_process *process);
const char *cell_command(struct output *output, const struct inspected_process *process);
const char *cell_user(struct output *output, const struct inspected_process *process);
const char *cell_uid(struct output *output, const struct inspected_process *process);
const char *cell_state(struct output *output, const struct inspected_process *process);
const char *cell_since(struct output *output, int64_t duration); /* UNKNOWN_TIME: not known */
const char *cell_boolean(struct output *output, bool value);

/* pid, command, user and uid of a process, in an object that is open. */
void json_process(struct json *json, const struct inspected_process *process);

/* The device as "8:1", as the kernel's list has it. */
const char *cell_device(struct output *output, uint64_t device);

#endif
