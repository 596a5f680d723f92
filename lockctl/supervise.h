/*
 * Runs a command as a child and behaves like it: passes signals on, stops when it stops, ends with
 * its status.
 */
#ifndef LOCKCTL_SUPERVISE_H
#define LOCKCTL_SUPERVISE_H

#include <stdbool.h>

/*
 * Starts the command in `environment` and returns the exit status for it: its own, 128 + the
 * signal that ended it (*by_signal), 126 or 127 after a complaint if it could not be executed.
 */
int supervise(char **words, char **environment, bool *by_signal);

/* Executes the command in place of this program; returns 126 or 127 after a complaint. */
int execute(char **words, char **environment);

#endif
