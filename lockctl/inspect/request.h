/*
 * What the commands that inspect have in common: their options, and from words to a first look.
 */
#ifndef LOCKCTL_REQUEST_H
#define LOCKCTL_REQUEST_H

#include "lockctl/inspect/arguments.h"
#include "lockctl/inspect/inspect.h"
#include "lockctl/inspect/output.h"
#include "lockctl/lockctl.h"

struct command_request {
    struct output_style style;
    const char *config; /* --config, or NULL */
    uint64_t stuck_after;
    bool tree;
    bool bare_holders, bare_waiters; /* as in inspect.h; set before the look */
    char **words;                    /* the locks and tables that were named */
    struct targets targets;
};

/* Options by their place behind OUTPUT_OPTIONS. */
#define REQUEST_OPTIONS                                                                            \
    OUTPUT_OPTIONS, {"config", 'c', "FILE", "configuration file (default: /etc/lockshim.conf)"},   \
    {                                                                                              \
        "stuck-after", 's', "SECONDS",                                                             \
            "held so long untouched while others wait: stuck\n"                                    \
            "(default: 300)"                                                                       \
    }
#define TREE_OPTION                                                                                \
    {                                                                                              \
        "tree", 't', NULL, "who waits behind whom"                                                 \
    }

enum { REQUEST_CONFIG = OUTPUT_OPTION_COUNT, REQUEST_STUCK_AFTER, REQUEST_TREE };

/* An argument_taker for these; the context is a struct command_request. */
int request_take(void *context, int option, const char *value);

/* Reads options and words of a command. Returns -1 to go on, or an exit status. */
int request_parse(struct command_request *request, const struct command_description *description,
                  const struct argument_option *options, size_t option_count,
                  void (*more_help)(void), int count, char **words);

/*
 * Looks at what was named, or at everything. NULL after a complaint, with *status set. The picture
 * stays until the program ends.
 */
const struct inspection *request_look(struct command_request *request, int *status);
/* The same without everything where the configuration has tables. */
const struct inspection *request_look_at_own(struct command_request *request, int *status);

/* Says below a table what could not be seen, if anything. */
void request_print_limits(const struct inspection *inspection);

#endif
