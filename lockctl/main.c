/*
 * lockctl: its commands, from which dispatch and --help both come. What shows and breaks locks
 * needs libraries, and is another program's, which this one becomes: starting a command must not
 * pay for them. It must hand that program exactly the descriptors and words that it was started
 * with.
 */
#include "lockctl/companion.h"
#include "lockctl/lockctl.h"

#include <stdio.h>
#include <string.h>

static const struct command_description COMMANDS[] = {
#define HERE(name, details, arguments, summary)                                                    \
    {#name, arguments, summary, details, name##_command},
#define THERE(name, details, arguments, summary)                                                   \
    {#name, arguments, summary, NULL, companion_command},
#include "lockctl/commands.def"
};
static const size_t COMMAND_COUNT = sizeof COMMANDS / sizeof *COMMANDS;

static int print_help(void)
{
    printf("Usage: lockctl COMMAND [OPTIONS]\n\n"
           "Guards tables (directories or files) against programs that change them at once.\n\n"
           "Commands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        printf("  %-10s %s\n", COMMANDS[i].name, COMMANDS[i].summary);
    printf("\n`lockctl COMMAND --help` tells more. `lockctl --version` prints the version.\n");
    return fflush(stdout) == 0 ? STATUS_DONE : STATUS_FAILED;
}

int main(int count, char **words)
{
    fill_standard_descriptors();
    if (count < 2) {
        complain("no command; see `lockctl --help`");
        return STATUS_USAGE;
    }
    if (strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0)
        return print_help();
    if (strcmp(words[1], "--version") == 0) {
        printf("lockctl %s\n", LOCKSHIM_VERSION);
        return fflush(stdout) == 0 ? STATUS_DONE : STATUS_FAILED;
    }
    return dispatch(COMMANDS, COMMAND_COUNT, count, words);
}
