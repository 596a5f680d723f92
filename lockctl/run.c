/*
 * lockctl run: starts a command guarded, or not at all. Under scope `command` it stays as the
 * command's supervisor; under the others it becomes the command.
 */
#include "lockctl/lockctl.h"

#include "lockctl/config.h"
#include "lockctl/options.h"
#include "lockctl/preload.h"
#include "lockctl/supervise.h"
#include "lockctl/tables.h"
#include "shim/lock/command.h"
#include "shim/program/program.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char RUN_DETAILS[] =
    "Settings before the first --table are defaults for all tables, those after\n"
    "one are of this table. They go before what the configuration says of it.\n"
    "Without --table, the tables of the configuration are guarded.\n"
    "A table has one lock, by whatever name it is reached: TABLE.lock lies beside\n"
    "the directory or file itself, not beside a symlink to it.\n"
    "\n"
    "Scopes:\n"
    "  command   the command with all its descendants, as one owner, from the\n"
    "            first touch until all that touched have ended (default)\n"
    "  process   each process, from its first touch to its end\n"
    "  session   each process, while it has something of the table open\n"
    "  call      each changing call by itself; reading is not locked\n"
    "\n"
    "Exit status: the command's own; 128 + N if signal N ended it; 126 if it\n"
    "cannot be executed, or not guarded; 127 if it is not found; 2 for wrong\n"
    "usage; 78 for wrong settings or a shim that cannot be loaded; 5 for missing\n"
    "permission; 1 for other failures. In none of these but the first two was the\n"
    "command started.\n";

/* The words of a command, its guard, and what the kernel would make of the first word. */
struct run {
    struct tables tables;
    char **words;
    char **environment;
    struct program_report program;
};

static bool uses_command_scope(const struct settings *settings)
{
    for (size_t i = 0; i < settings->count; i++)
        if (settings->tables[i].scope == SCOPE_COMMAND)
            return true;
    return false;
}

/* The first table of another scope that the shim would have to guard in this program, or NULL. */
static const struct table_settings *find_other_scope(const struct run *run)
{
    const struct settings *settings = &run->tables.settings;
    for (size_t i = 0; i < settings->count; i++)
        if (settings->tables[i].scope != SCOPE_COMMAND &&
            !settings_names_program(settings->tables[i].exempt, run->program.path))
            return &settings->tables[i];
    return NULL;
}

static bool is_exempt_everywhere(const struct run *run)
{
    const struct settings *settings = &run->tables.settings;
    for (size_t i = 0; i < settings->count; i++)
        if (!settings_names_program(settings->tables[i].exempt, run->program.path))
            return false;
    return true;
}

static bool is_out_of_reach(const struct run *run)
{
    return run->program.reach != PROGRAM_REACHABLE && run->program.reach != PROGRAM_MISSING;
}

static int refuse_program(const struct run *run, const struct table_settings *table)
{
    complain("%s cannot be guarded under scope %s: %s %s; use --scope command, which locks "
             "before it starts",
             shown(run->words[0]), settings_scope_name(table->scope), shown(run->program.path),
             program_reach_text(run->program.reach));
    return STATUS_NOT_EXECUTABLE;
}

/* What the shim can't see can't be rolled back. */
static const struct table_settings *find_journaled(const struct run *run)
{
    const struct settings *settings = &run->tables.settings;
    for (size_t i = 0; i < settings->count; i++)
        if (settings->tables[i].on_crash == ON_CRASH_ROLLBACK &&
            !settings_names_program(settings->tables[i].exempt, run->program.path))
            return &settings->tables[i];
    return NULL;
}

static int check_eager(const struct tables *tables)
{
    for (size_t i = 0; tables->eager && i < tables->settings.count; i++) {
        enum scope scope = tables->settings.tables[i].scope;
        if (scope != SCOPE_COMMAND && scope != SCOPE_PROCESS) {
            complain("--eager is for the scopes command and process; table '%s' has scope %s",
                     shown(tables->settings.tables[i].path), settings_scope_name(scope));
            return STATUS_USAGE;
        }
    }
    return STATUS_DONE;
}

/* Says in a table's log, in the shim's format, that its lock is taken before there is a touch. */
static void log_early_lock(const struct run *run, const struct table_settings *table)
{
    char line[4096];
    char when[32];
    struct timespec now;
    struct tm broken_down;
    if (table->log == NULL)
        return;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", gmtime_r(&now.tv_sec, &broken_down));
    int length = snprintf(line, sizeof line,
                          "%s.%03ldZ lockctl[%d] %s: locked before the command starts: %s %s\n",
                          when, now.tv_nsec / 1000000, (int)getpid(), shown(table->path),
                          shown(run->program.path), program_reach_text(run->program.reach));
    bool to_stderr = strcmp(table->log, "stderr") == 0;
    int descriptor = to_stderr ? STDERR_FILENO
                               : open(table->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0 || write(descriptor, line, (size_t)length) < 0)
        complain("log '%s': %s", shown(table->log), strerror(errno));
    if (descriptor >= 0 && !to_stderr)
        (void)close(descriptor);
}

static void log_early_locks(const struct run *run)
{
    const struct settings *settings = &run->tables.settings;
    for (size_t i = 0; i < settings->count; i++)
        if (settings->tables[i].scope == SCOPE_COMMAND)
            log_early_lock(run, &settings->tables[i]);
}

static int run_supervised(const struct run *run)
{
    struct command *command;
    char message[8192];
    int result = command_create(&command, &run->tables.settings, message, sizeof message);
    if (result != 0) {
        complain("%s", shown(message));
        return status_of_error(-result);
    }
    bool early = is_out_of_reach(run) && !is_exempt_everywhere(run);
    if (early)
        log_early_locks(run);
    if (early || run->tables.eager) {
        result = command_lock_now(command, message, sizeof message);
        if (result != 0) {
            complain("%s", shown(message));
            return status_of_error(-result);
        }
    }
    bool by_signal;
    int status = supervise(run->words, run->environment, &by_signal);
    command_finish(command, by_signal);
    return status;
}

/* As it will be started: what LD_PRELOAD is then tells whether there is a shim for its libc. */
static void examine_program(struct run *run, const char *entry)
{
    char *environment[] = {NULL, NULL, NULL};
    const char *search = getenv("PATH");
    if (asprintf(&environment[0], "LD_PRELOAD=%s", entry) < 0 ||
        (search != NULL && asprintf(&environment[1], "PATH=%s", search) < 0))
        err(STATUS_FAILED, NULL);
    program_examine_name(run->words[0], search, run->words, environment, &run->program);
    free(environment[0]);
    free(environment[1]);
}

static int start(struct run *run, const char *shim)
{
    int status = check_eager(&run->tables);
    if (status != STATUS_DONE)
        return status;
    const char *entry = shim_entry(shim);
    examine_program(run, entry);
    const struct table_settings *other = find_other_scope(run);
    if (is_out_of_reach(run) && other != NULL)
        return refuse_program(run, other);
    if (is_out_of_reach(run) && find_journaled(run) != NULL) {
        complain("%s cannot be rolled back: %s %s; use --on-crash report or fail for it",
                 shown(run->words[0]), shown(run->program.path),
                 program_reach_text(run->program.reach));
        return STATUS_NOT_EXECUTABLE;
    }
    const struct settings *settings = &run->tables.settings;
    struct guard guard = {.shim = shim,
                          .entry = entry,
                          .loadable = run->program.reach != PROGRAM_OTHER_LIBC,
                          .eager = run->tables.eager && other != NULL};
    char **variables = guard_variables(settings, &guard, environ);
    if (variables == NULL)
        return STATUS_SETTINGS;
    run->environment = guard_environment(variables, environ);
    return uses_command_scope(settings) ? run_supervised(run)
                                        : execute(run->words, run->environment);
}

int run_command(const struct command_description *description, int count, char **words)
{
    static struct request request;
    static struct config config;
    static struct run run;
    int status = options_parse(&request, description, count, words);
    if (status >= 0)
        return status;
    run.words = words + request.next;
    if (run.words[0] == NULL) {
        complain("run: no command to start; see `lockctl run --help`");
        return STATUS_USAGE;
    }
    status = config_read(&config, request.config);
    if (status != STATUS_DONE)
        return status;
    struct source source = {&request, &config, environ, SCOPE_COMMAND, true};
    status = tables_collect(&run.tables, &source);
    if (status != STATUS_DONE)
        return status;
    if (run.tables.settings.count == 0) {
        complain("run: no table to guard; use --table PATH or a configuration file");
        return STATUS_USAGE;
    }
    const char *shim = shim_find(request.shim);
    return shim == NULL ? STATUS_SETTINGS : start(&run, shim);
}
