/*
 * lockctl-inspect: the commands of lockctl that look at locks and act on them. It is started by
 * lockctl, which hands on its own place as the first word, and is no command of its own to anybody.
 */
#include "lockctl/companion.h"
#include "lockctl/lockctl.h"

#include <stdlib.h>

static const struct command_description COMMANDS[] = {
#define HERE(name, details, arguments, summary)
#define THERE(name, details, arguments, summary)                                                   \
    {#name, arguments, summary, details, name##_command},
#include "lockctl/commands.def"
};

int main(int count, char **words)
{
    fill_standard_descriptors();
    if (count < 2) {
        complain("no command; see `lockctl --help`");
        return STATUS_USAGE;
    }
    companion_started_by(words[0]);
    return dispatch(COMMANDS, sizeof COMMANDS / sizeof *COMMANDS, count, words);
}
