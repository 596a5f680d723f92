/*
 * Runs a command from its start to its end, again and again; what it says goes nowhere.
 *
 *   start [NAME=VALUE ...] WORD ...      the variables are the command's alone
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/bench/worker.h"

extern char **environ;

static char **words, **environment;
static posix_spawn_file_actions_t quiet;

static void run(void)
{
    pid_t child;
    int status, error = posix_spawnp(&child, words[0], &quiet, NULL, words, environment);
    if (error != 0) {
        fprintf(stderr, "%s: %s\n", words[0], strerror(error));
        exit(1);
    }
    if (waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "%s: wait status %#x\n", words[0], (unsigned)status);
        exit(1);
    }
}

static const struct operation operations[] = {{"run", run}, {NULL, NULL}};

int main(int argc, char **argv)
{
    int variables = 0, own = 0;
    while (variables + 1 < argc && strchr(argv[variables + 1], '=') != NULL)
        variables++;
    words = argv + variables + 1;
    if (words[0] == NULL) {
        fputs("usage: start [NAME=VALUE ...] WORD ...\n", stderr);
        return 2;
    }
    while (environ[own] != NULL)
        own++;
    environment = calloc((size_t)variables + (size_t)own + 1, sizeof *environment);
    if (environment == NULL)
        die("memory");
    memcpy(environment, argv + 1, (size_t)variables * sizeof *argv);
    memcpy(environment + variables, environ, (size_t)own * sizeof *environ);
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    return serve(operations, "run", NULL);
}
