/*
 * What stats, log and metrics have in common: for each lock that a command is about, its table's
 * name and its registry, and one way to say that there is none to read.
 */
#ifndef LOCKCTL_TELL_H
#define LOCKCTL_TELL_H

#include "lockctl/inspect/registry_view.h"
#include "lockctl/inspect/targets.h"

#include <stdbool.h>

/* The table of a lock: as it was named, or as the registry says; NULL: not known. Kept for good. */
const char *tell_table(const struct target *target, const struct registry_view *view);

/*
 * Opens a target's registry. Where it can't be read, and not because it was never made, complains
 * ("COMMAND: '….registry' is cut off …") and raises *status to the exit status for that.
 */
bool tell_open(const struct target *target, struct registry_view *view, const char *command,
               int *status);

/* The targets of `words`; complains when there are none. As targets_collect() otherwise. */
int tell_collect(struct targets *targets, char **words, const char *config, const char *command);

/* The same; but without words also all locks with a registry that are in use at the moment. */
int tell_collect_used(struct targets *targets, char **words, const char *config,
                      const char *command);

/* The name of a counter in words ("lost updates"), and as a key ("lost_updates"). */
const char *tell_counter(enum registry_counter counter);
const char *tell_counter_key(enum registry_counter counter);

#endif
