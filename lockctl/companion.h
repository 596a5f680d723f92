/*
 * lockctl is two programs: lockctl itself, and lockctl-inspect beside it or in LIBEXECDIR.
 */
#ifndef LOCKCTL_COMPANION_H
#define LOCKCTL_COMPANION_H

#include "lockctl/lockctl.h"

/* Becomes lockctl-inspect, with the same words. Returns only after a complaint. */
int companion_command(const struct command_description *description, int count, char **words);

/* In lockctl-inspect: `path` is where lockctl lies, if it is absolute. */
void companion_started_by(const char *path);

/* Where lockctl lies; NULL where /proc does not tell. What is to be found beside it is there. */
const char *lockctl_path(void);

/*
 * A descriptor among the first three that came closed is filled, so that no file of ours lands
 * there and is taken for stderr; it is closed again at exec.
 */
void fill_standard_descriptors(void);

/* The command that words[1] names, or a complaint. */
int dispatch(const struct command_description *commands, size_t command_count, int count,
             char **words);

#endif
