/*
 * A command: lockctl's child with all its descendants, as one owner of its locks (scope `command`).
 * They share one open file description of each lock file, made by lockctl and inherited; whichever
 * member touches a table first locks it for all. What the members must know of one another stands
 * in the anchor, a sealed memory file that is inherited too, at a fixed high number.
 */
#ifndef LOCKSHIM_COMMAND_H
#define LOCKSHIM_COMMAND_H

#include "shim/settings.h"

#include <stdbool.h>
#include <stddef.h>

struct command; /* lockctl's side of it; opaque */

/*
 * Makes the anchor and opens the lock file of every table of scope `command` among the settings, at
 * high descriptors that are inherited through exec. If this process is itself inside a command that
 * guards one of these lock files, that command goes on owning it.
 * Returns 0, or a negative errno with one line in `message` that names the file at fault.
 */
int command_create(struct command **command, const struct settings *settings, char *message,
                   size_t size);

/*
 * Takes every lock of the command now, before its first touch (--eager, or a program that the shim
 * can't reach), waiting as long as each table's timeout says. Returns 0 or a negative errno with a
 * message.
 */
int command_lock_now(struct command *command, char *message, size_t size);

/*
 * To be called when the command (the direct child) has ended: waits until every member that touched
 * a table has ended or left, then lets go of the locks and wakes waiters. `by_signal` tells that
 * the command itself was ended by a signal: then what it changed counts as half done.
 * May be interrupted by signal handlers (it goes on waiting).
 */
void command_finish(struct command *command, bool by_signal);

#endif
