/*
 * lockctl: its commands, from which dispatch and --help both come. What only some of them need (a
 * terminal's library, a table's) must cost the others nothing: starting a command is to be fast.
 */
#include "lockctl/lockctl.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct command_description COMMANDS[] = {
    {"run", "[SETTINGS] [--] COMMAND [ARGUMENT...]", "start a command with its tables guarded",
     RUN_DETAILS, run_command},
    {"env", "[SETTINGS]", "print the settings as environment lines", ENV_DETAILS, env_command},
    {"status", "[OPTIONS] [LOCK|TABLE...]",
     "show locks: who holds them, who waits, how well they are", STATUS_DETAILS, status_command},
    {"holders", "[OPTIONS] [LOCK|TABLE...]", "show the processes that hold locks", HOLDERS_DETAILS,
     holders_command},
    {"waiters", "[OPTIONS] [LOCK|TABLE...]", "show the processes that wait for locks",
     WAITERS_DETAILS, waiters_command},
    {"deadlocks", "[OPTIONS]", "show processes that wait for one another", DEADLOCKS_DETAILS,
     deadlocks_command},
    {"check", "[OPTIONS] [LOCK|TABLE...]", "say in one line, for monitoring, whether all is well",
     CHECK_DETAILS, check_command},
    {"stats", "[OPTIONS] [TABLE|LOCK...]", "how often and how long locks were taken and waited for",
     STATS_DETAILS, stats_command},
    {"log", "[OPTIONS] [TABLE|LOCK...]", "what happened: timeouts, crashes, breaks, ...",
     LOG_DETAILS, log_command},
    {"wait", "[--timeout SECONDS] TABLE|LOCK", "return when a lock is free", WAIT_DETAILS,
     wait_command},
    {"doctor", "[OPTIONS] [TABLE...]", "can these tables be guarded here?", DOCTOR_DETAILS,
     doctor_command},
    {"metrics", "[OPTIONS] [TABLE|LOCK...]", "the same for Prometheus", METRICS_DETAILS,
     metrics_command},
    {"break", "[OPTIONS] TABLE|LOCK", "free a lock, and keep its old holder out of the table",
     BREAK_DETAILS, break_command},
    {"top", "[OPTIONS] [LOCK|TABLE...]", "a live view of locks, on the whole screen", TOP_DETAILS,
     top_command},
    {"recover", "[--accept|--rollback|--list] [TABLE|LOCK...]",
     "after a holder died inside: put the table back, or accept it", RECOVER_DETAILS,
     recover_command},
    {"advise", "[OPTIONS] [--] COMMAND [ARGUMENT...]",
     "run a command once on a copy of its table: which scope does it need?", ADVISE_DETAILS,
     advise_command},
};
static const size_t COMMAND_COUNT = sizeof COMMANDS / sizeof *COMMANDS;

/*
 * A descriptor among the first three that came closed is filled, so that no file of ours lands
 * there and is taken for stderr; it is closed again at exec.
 */
static void fill_standard_descriptors(void)
{
    for (;;) {
        int descriptor = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (descriptor < 0 || descriptor > STDERR_FILENO) {
            if (descriptor >= 0)
                (void)close(descriptor);
            return;
        }
    }
}

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
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(words[1], COMMANDS[i].name) == 0)
            return COMMANDS[i].run(&COMMANDS[i], count - 1, words + 1);
    complain("'%s' is no command; see `lockctl --help`", shown(words[1]));
    return STATUS_USAGE;
}
