/*
 * The settings as options of a command. Each setting is one of shim/settings.h; what its value
 * means is judged there alone.
 */
#ifndef LOCKCTL_OPTIONS_H
#define LOCKCTL_OPTIONS_H

#include "lockctl/lockctl.h"

struct assignment {
    const char *key;
    const char *value;
};

struct assignments {
    struct assignment *items;
    size_t count;
};

/* A table as an option or the configuration file names it, with what was said of it. */
struct wanted_table {
    const char *path;
    struct assignments assignments;
    bool eager;
};

struct request {
    const char *config; /* --config, or NULL */
    const char *shim;   /* --shim, or NULL */
    bool eager;
    struct assignments defaults; /* said before the first --table: of all tables */
    struct wanted_table *tables;
    size_t table_count;
    int next; /* the first word that is no option */
};

/* Returns -1 to go on, or the exit status (after --help, or a complaint). */
int options_parse(struct request *request, const struct command_description *description, int count,
                  char **words);

/* Adds one; if it is wrong, complains, with `where` before the key, and returns the status. */
int assignments_add(struct assignments *assignments, const char *where, const char *key,
                    const char *value);

struct table_settings;
void assignments_apply(const struct assignments *assignments, struct table_settings *table);

#endif
