/*
 * From what was asked for to what the shim gets: defaults, configuration, options and the tables
 * of an outer guard, in this order, with every path made absolute and looked at.
 */
#ifndef LOCKCTL_TABLES_H
#define LOCKCTL_TABLES_H

#include "lockctl/config.h"
#include "lockctl/options.h"
#include "shim/settings.h"

struct source {
    const struct request *request;
    const struct config *config;
    char *const *outer; /* an environment whose tables stay guarded too, or NULL */
    enum scope scope;   /* where nobody says another */
    bool try_files;     /* open each lock and log file, as the shim will */
};

struct tables {
    struct settings settings;
    bool eager;
};

/* Returns STATUS_DONE, or the exit status after a complaint. */
int tables_collect(struct tables *tables, const struct source *source);

#endif
