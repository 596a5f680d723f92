/*
 * The configuration file: INI, a `[table PATH]` section for each table, keys as the options are
 * called. Read by lockctl alone.
 */
#ifndef LOCKCTL_CONFIG_H
#define LOCKCTL_CONFIG_H

#include "lockctl/options.h"

struct config {
    struct wanted_table *tables;
    size_t count;
};

/* Reads `path`; NULL: the default one, which may be missing. Returns STATUS_DONE or complains. */
int config_read(struct config *config, const char *path);

#endif
