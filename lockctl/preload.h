/*
 * The shim: finding it, making sure that the loader will load it, and the environment in which it
 * does.
 */
#ifndef LOCKCTL_PRELOAD_H
#define LOCKCTL_PRELOAD_H

#include "shim/settings.h"

#include <stdbool.h>
#include <stddef.h>

/* The shim's absolute path; NULL after a complaint. `wanted`: --shim, or NULL. */
char *shim_find(const char *wanted);

/* The same without a complaint: `message` says what is wrong. */
char *shim_look(const char *wanted, char *message, size_t size);

/*
 * What LD_PRELOAD gets for it: where there are builds for several libcs, the entry by which each
 * loader finds its own ("…/$LIB/…"); else the shim's path.
 */
const char *shim_entry(const char *shim);

struct guard {
    const char *shim;
    const char *entry; /* as shim_entry() returned it */
    bool loadable; /* into the program that is started: with another libc it would not even start */
    bool eager;
};

/*
 * The variables that make a program guarded, NULL-terminated ("NAME=value"); NULL after a
 * complaint. `before` is the environment whose LD_PRELOAD goes on. To be called once.
 */
char **guard_variables(const struct settings *settings, const struct guard *guard,
                       char *const *before);

/* `before` without what an earlier guard left, and with the variables of this one. */
char **guard_environment(char **variables, char *const *before);

#endif
