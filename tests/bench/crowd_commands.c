/*
 * A crowd of processes that each run commands one after the other, as scripts and cron do: an
 * operation is one command that reads and one that writes. In their words @K is the record, @W the
 * worker.
 *
 *   crowd-commands PROCESSES OPERATIONS RECORDS SECONDS [NAME=VALUE ...] :: READ ... :: INSERT ...
 *                  :: UPDATE ... :: DELETE ...          the variables are those commands' alone
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/crowd.h"
#include "tests/bench/worker.h"

enum { READ, INSERT, UPDATE, DELETE, KINDS };
#define WORDS 64

extern char **environ;
static char **commands[KINDS]; /* in main's arguments; each ends with NULL */
static char **environment;
static posix_spawn_file_actions_t quiet;

static void prepare(int worker)
{
    (void)worker;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
}

/* The word with the number in the place of its mark; in `text` where there is one. */
static char *filled(char *word, const struct crowd_turn *turn, char *text, size_t size)
{
    char *mark = strpbrk(word, "@");
    if (mark == NULL || (mark[1] != 'K' && mark[1] != 'W'))
        return word;
    snprintf(text, size, "%.*s%d%s", (int)(mark - word), word,
             mark[1] == 'K' ? turn->record : turn->worker, mark + 2);
    return text;
}

static bool run(char **command, const struct crowd_turn *turn)
{
    char *words[WORDS + 1], texts[WORDS][512];
    int count = 0;
    for (; count < WORDS && command[count] != NULL; count++)
        words[count] = filled(command[count], turn, texts[count], sizeof texts[count]);
    words[count] = NULL;
    if (words[0] == NULL)
        return false;
    pid_t child;
    int status, error = posix_spawnp(&child, words[0], &quiet, NULL, words, environment);
    if (error != 0) {
        fprintf(stderr, "%s: %s\n", words[0], strerror(error));
        return false;
    }
    return waitpid(child, &status, 0) == child && status == 0;
}

static bool operate(struct crowd_turn *turn)
{
    static const int kinds[] = {INSERT, DELETE, UPDATE};
    return run(commands[READ], turn) &&
           run(commands[kinds[(turn->worker + turn->number) % 3]], turn);
}

/* The variables given, before those of this process. */
static void set_environment(char **given, int count)
{
    int own = 0;
    while (environ[own] != NULL)
        own++;
    environment = calloc((size_t)count + (size_t)own + 1, sizeof *environment);
    if (environment == NULL)
        die("memory");
    memcpy(environment, given, (size_t)count * sizeof *given);
    memcpy(environment + count, environ, (size_t)own * sizeof *environ);
}

int main(int argc, char **argv)
{
    int kind = -1, variables = 0;
    for (int i = 5; i < argc; i++) {
        if (strcmp(argv[i], "::") == 0 && kind < KINDS - 1 &&
            (kind < 0 || commands[kind] < &argv[i])) {
            argv[i] = NULL;
            commands[++kind] = &argv[i + 1];
        } else if (kind < 0) {
            variables++;
        }
    }
    if (kind != KINDS - 1) {
        fputs("usage: crowd-commands PROCESSES OPERATIONS RECORDS SECONDS [NAME=VALUE ...]\n"
              "           :: READ ... :: INSERT ... :: UPDATE ... :: DELETE ...\n",
              stderr);
        return 2;
    }
    set_environment(argv + 5, variables);
    return crowd_run(&(struct crowd){.processes = number(argv[1]),
                                     .operations = number(argv[2]),
                                     .records = number(argv[3]),
                                     .seconds = strtod(argv[4], NULL),
                                     .prepare = prepare,
                                     .operate = operate});
}
