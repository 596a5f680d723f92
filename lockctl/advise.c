/*
 * lockctl advise: runs a command once on a copy of its table, watches what it does there, and says
 * which scope it needs. Everything is done in a child, which is told the orphans of the command
 * but none of whoever started lockctl.
 */
#include "lockctl/lockctl.h"

#include "lockctl/advise/account.h"
#include "lockctl/advise/decide.h"
#include "lockctl/advise/observe.h"
#include "lockctl/advise/tell.h"
#include "lockctl/advise/unseen.h"
#include "lockctl/config.h"
#include "lockctl/inspect/arguments.h"
#include "lockctl/preload.h"
#include "lockctl/tables.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

const char ADVISE_DETAILS[] =
    "The command runs for real, once; only the table is a copy, which is dropped\n"
    "afterwards. Its standard output goes to standard error. What it leaves running\n"
    "is ended. As root, accesses past the shim are told with who made them.\n"
    "\n"
    "Exit status: 0 when there is advice, whatever the command's own status (which\n"
    "is told); 1 if the command never touched the table, or could not be watched;\n"
    "2 for wrong usage; 5 for missing permission; 78 for wrong settings or a shim\n"
    "that cannot be loaded; 126 if the command cannot be executed; 127 if it is not\n"
    "found; 128 + N if signal N came while the table was copied.\n";

#define LINGER_DEFAULT UINT64_C(2000000000)

struct advise_request {
    struct request request;
    enum advise_way way;
    bool json;
    uint64_t timeout, linger;
};

enum {
    TAKE_TABLE,
    TAKE_LOCK,
    TAKE_CONFIG,
    TAKE_SHIM,
    TAKE_PLACE,
    TAKE_READ,
    TAKE_TIME,
    TAKE_LINGER,
    TAKE_JSON
};

static const struct argument_option OPTIONS[] = {
    [TAKE_TABLE] = {"table", '\0', "PATH", "the directory or file that it is about"},
    [TAKE_LOCK] = {"lock", '\0', "FILE", "its lock file (default: TABLE.lock)"},
    [TAKE_CONFIG] = {"config", 'c', "FILE", "configuration file (default: /etc/lockshim.conf)"},
    [TAKE_SHIM] = {"shim", '\0', "FILE", "the shim (default: as `lockctl run` finds it)"},
    [TAKE_PLACE] = {"in-place", '\0', NULL, "no copy: on the table itself, under its lock"},
    [TAKE_READ] = {"read-only", '\0', NULL, "on the table itself, refusing every change\n(EROFS)"},
    [TAKE_TIME] = {"timeout", 't', "SECONDS", "end the command after this time"},
    [TAKE_LINGER] = {"linger", '\0', "SECONDS",
                     "end what it leaves running after this time\n(default: 2)"},
    [TAKE_JSON] = {"json", 'J', NULL, "the advice as JSON"},
};

static int take_seconds(const char *name, const char *value, uint64_t *seconds)
{
    if (arguments_seconds(value, seconds))
        return STATUS_DONE;
    complain("advise: --%s: '%s' is no number of seconds", name, shown(value));
    return STATUS_USAGE;
}

static int take_way(struct advise_request *request, enum advise_way way)
{
    if (request->way != WAY_COPY && request->way != way) {
        complain("advise: --in-place and --read-only exclude each other");
        return STATUS_USAGE;
    }
    request->way = way;
    return STATUS_DONE;
}

static int take_table(struct request *request, const char *path)
{
    if (request->table_count > 0) {
        complain("advise: one table at a time: '%s' is a second one", shown(path));
        return STATUS_USAGE;
    }
    request->tables = grow(NULL, 0, sizeof *request->tables);
    request->tables[request->table_count++] = (struct wanted_table){.path = path};
    return STATUS_DONE;
}

static int take_option(void *context, int option, const char *value)
{
    struct advise_request *request = context;
    switch (option) {
    case TAKE_TABLE:
        return take_table(&request->request, value);
    case TAKE_LOCK:
        return assignments_add(&request->request.defaults, "--", "lock", value);
    case TAKE_CONFIG:
        request->request.config = value;
        return STATUS_DONE;
    case TAKE_SHIM:
        request->request.shim = value;
        return STATUS_DONE;
    case TAKE_PLACE:
        return take_way(request, WAY_IN_PLACE);
    case TAKE_READ:
        return take_way(request, WAY_READ_ONLY);
    case TAKE_TIME:
        return take_seconds("timeout", value, &request->timeout);
    case TAKE_LINGER:
        return take_seconds("linger", value, &request->linger);
    default:
        request->json = true;
        return STATUS_DONE;
    }
}

/* --- in the child --- */

/* What is in the table at the beginning is told to the account, as the command will call it. */
static void list_tree(struct account *account, const char *real, const char *told, int depth)
{
    struct stat status;
    if (lstat(real, &status) != 0)
        return;
    account_there(account, told, S_ISDIR(status.st_mode));
    DIR *list = S_ISDIR(status.st_mode) && depth < 64 ? opendir(real) : NULL;
    if (list == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        char *below = NULL;
        char *below_told = NULL;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (asprintf(&below, "%s/%s", real, entry->d_name) < 0 ||
            asprintf(&below_told, "%s/%s", told, entry->d_name) < 0)
            err(STATUS_FAILED, NULL);
        list_tree(account, below, below_told, depth + 1);
        free(below);
        free(below_told);
    }
    (void)closedir(list);
}

static void note_left_behind(struct account *account, const struct observation *observation)
{
    for (size_t i = 0; i < observation->left_count; i++)
        for (size_t k = 0; k < account->process_count; k++)
            if (account->processes[k].pid == observation->left_behind[i])
                account->processes[k].left_behind = true;
}

static int tell(const struct observation *observation, struct account *account, bool json)
{
    struct advice advice;
    account_read_trace(account, observation->trace, observation->trace_size);
    account->ended_by_us = observation->timed_out || observation->interrupted;
    unseen_add(account, observation);
    note_left_behind(account, observation);
    decide(&advice, account);
    struct told told = {observation, account, &advice};
    if (json)
        tell_json(&told);
    else
        tell_people(&told);
    int status = advice.reason == REASON_NONE ? STATUS_FAILED : STATUS_DONE;
    free(advice.processes);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        complain("advise: the output could not be written");
        return STATUS_FAILED;
    }
    return status;
}

static bool was_not_executed(const struct observation *observation)
{
    return observation->trace_size == 0 && observation->watch.access_count == 0 &&
           (observation->status == STATUS_NOT_FOUND ||
            observation->status == STATUS_NOT_EXECUTABLE) &&
           (observation->program.reach == PROGRAM_MISSING ||
            access(observation->program.path, X_OK) != 0);
}

static int advise(struct observation *observation, bool json)
{
    static struct account account;
    account_set_up(&account, observation->table->path);
    list_tree(&account, observation->table->path, observation->table->path, 0);
    int status = observe(observation);
    if (status == STATUS_DONE)
        status =
            was_not_executed(observation) ? observation->status : tell(observation, &account, json);
    watch_end(&observation->watch);
    account_end(&account);
    free(observation->trace);
    free(observation->dropped);
    free(observation->left_behind);
    return status;
}

/* --- in the parent --- */

/* The child has what the terminal sends; it is handed what is sent to this process alone. */
static int wait_for_child(pid_t child, const sigset_t *awaited)
{
    int status;
    while (waitpid(child, &status, WNOHANG) == 0) {
        siginfo_t signal;
        if (sigwaitinfo(awaited, &signal) > 0 && signal.si_signo != SIGCHLD && signal.si_code <= 0)
            (void)kill(child, signal.si_signo);
    }
    return WIFSIGNALED(status) ? STATUS_SIGNAL_BASE + WTERMSIG(status) : WEXITSTATUS(status);
}

static int advise_in_child(struct observation *observation, bool json)
{
    sigset_t awaited;
    static const int signals[] = {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    (void)sigemptyset(&awaited);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        (void)sigaddset(&awaited, signals[i]);
    (void)sigprocmask(SIG_BLOCK, &awaited, &observation->original);
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0) {
        complain("advise: %s", strerror(errno));
        return STATUS_FAILED;
    }
    if (child > 0)
        return wait_for_child(child, &awaited);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    int status = getppid() == parent ? advise(observation, json) : STATUS_FAILED;
    exit(status);
}

/* As it will be started: what LD_PRELOAD is then tells whether there is a shim for its libc. */
static void examine(struct observation *observation)
{
    char *environment[] = {NULL, NULL, NULL};
    const char *search = getenv("PATH");
    if (asprintf(&environment[0], "LD_PRELOAD=%s", observation->entry) < 0 ||
        (search != NULL && asprintf(&environment[1], "PATH=%s", search) < 0))
        err(STATUS_FAILED, NULL);
    program_examine_name(observation->words[0], search, observation->words, environment,
                         &observation->program);
    free(environment[0]);
    free(environment[1]);
}

static int collect(struct tables *tables, const struct advise_request *request)
{
    static struct config config;
    int status = config_read(&config, request->request.config);
    if (status != STATUS_DONE)
        return status;
    struct source source = {&request->request, &config, NULL, SCOPE_COMMAND,
                            request->way != WAY_READ_ONLY};
    status = tables_collect(tables, &source);
    if (status == STATUS_DONE && tables->settings.count != 1) {
        complain("advise: %s; use --table PATH",
                 tables->settings.count == 0 ? "no table" : "more than one table");
        status = STATUS_USAGE;
    }
    return status;
}

int advise_command(const struct command_description *description, int count, char **words)
{
    static struct advise_request request = {.timeout = UINT64_MAX, .linger = LINGER_DEFAULT};
    static struct tables tables;
    static struct observation observation;
    int status = arguments_parse(description, OPTIONS, sizeof OPTIONS / sizeof *OPTIONS,
                                 take_option, &request, NULL, count, words, &observation.words);
    if (status >= 0)
        return status;
    if (observation.words[0] == NULL) {
        complain("advise: no command to run; see `lockctl advise --help`");
        return STATUS_USAGE;
    }
    status = collect(&tables, &request);
    if (status != STATUS_DONE)
        return status;
    observation.shim = shim_find(request.request.shim);
    if (observation.shim == NULL)
        return STATUS_SETTINGS;
    observation.entry = shim_entry(observation.shim);
    observation.table = &tables.settings.tables[0];
    observation.way = request.way;
    observation.timeout = request.timeout;
    observation.linger = request.linger;
    examine(&observation);
    return advise_in_child(&observation, request.json);
}
