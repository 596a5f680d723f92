/*
 * The command line of the commands that look: options from a table, which makes parser and help
 * text both, and the words that remain (tables and lock files).
 */
#ifndef LOCKCTL_ARGUMENTS_H
#define LOCKCTL_ARGUMENTS_H

#include "lockctl/lockctl.h"

#include <stdint.h>

struct argument_option {
    const char *name;     /* without the hyphens */
    char letter;          /* or '\0' */
    const char *argument; /* as the help shows it, or NULL: takes none */
    const char *help;     /* lines after the first are indented by the printer */
};

/*
 * Takes option number `option` of the table; `value` is NULL where it takes none. Returns
 * STATUS_DONE, or an exit status after a complaint.
 */
typedef int argument_taker(void *context, int option, const char *value);

/*
 * Parses `words`; --help is known to all. Returns -1 to go on, with *rest the words that remain
 * (NULL-terminated), or an exit status after --help or a complaint.
 * Where the words are a COMMAND (description->arguments says so), options end at the first of them.
 * `more_help`, if not NULL, prints what the help ends with (before the command's details).
 */
int arguments_parse(const struct command_description *description,
                    const struct argument_option *options, size_t count, argument_taker *take,
                    void *context, void (*more_help)(void), int word_count, char **words,
                    char ***rest);

/*
 * A number of seconds with decimals, as nanoseconds. False: it is none. At most 10^9 seconds.
 */
bool arguments_seconds(const char *text, uint64_t *nanoseconds);

#endif
