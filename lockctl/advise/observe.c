/*
 * The observer. It must never leave anything behind: not a process of the command's, not a file of
 * its own, whatever ends it but SIGKILL.
 */
#include "lockctl/advise/observe.h"

#include "lockctl/lockctl.h"
#include "shim/lock/command.h"
#include "shim/lock/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MILLISECOND UINT64_C(1000000)
#define GRACE (1000 * MILLISECOND) /* between a polite signal and SIGKILL */
#define NEVER UINT64_MAX

struct watching {
    struct observation *observation;
    int signals; /* a signalfd */
    int told;    /* the command's status comes here */
    bool stage_ended, command_ended;
    uint64_t began, ends_at, kills_at;
};

static uint64_t after(uint64_t interval)
{
    uint64_t now = registry_now();
    return interval < NEVER - now ? now + interval : NEVER;
}

/* --- the copy --- */

const char *place_name(const struct observation *observation, const char *name, char *room,
                       size_t size)
{
    if (snprintf(room, size, "%s/%s", observation->place, name) >= (int)size)
        room[0] = '\0';
    return room;
}

/* The copy must not lie in what is copied, nor in what is covered by it. */
static bool is_in_table(const char *path, const char *table)
{
    char real[PATH_MAX];
    size_t length = strlen(table);
    return realpath(path, real) != NULL && strncmp(real, table, length) == 0 &&
           (real[length] == '/' || real[length] == '\0');
}

static int make_place(struct observation *observation)
{
    const char *base = getenv("TMPDIR");
    char path[PATH_MAX];
    if (base == NULL || base[0] != '/')
        base = "/tmp";
    if (is_in_table(base, observation->table->path)) {
        complain("advise: '%s' is in the table: set TMPDIR to where the copy may be made",
                 shown(base));
        return STATUS_SETTINGS;
    }
    if (snprintf(observation->place, sizeof observation->place, "%s/lockctl-advise.XXXXXX", base) >=
            PATH_MAX - 64 ||
        mkdtemp(observation->place) == NULL) {
        complain("advise: no directory for the copy in '%s': %s", shown(base), strerror(errno));
        observation->place[0] = '\0';
        return STATUS_FAILED;
    }
    /* Mounts are compared by their real names. */
    if (realpath(observation->place, path) != NULL)
        memcpy(observation->place, path, sizeof path);
    /* Whoever the command becomes may write the trace. */
    (void)chmod(observation->place, 0711);
    int trace = open(place_name(observation, "trace", path, sizeof path),
                     O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (trace < 0 || fchmod(trace, 0622) != 0 ||
        mkdir(place_name(observation, "layers", path, sizeof path), 0755) != 0 ||
        mkdir(place_name(observation, PLACE_DOOR, path, sizeof path), 0700) != 0) {
        complain("advise: '%s': %s", shown(path), strerror(errno));
        return STATUS_FAILED;
    }
    (void)close(trace);
    return STATUS_DONE;
}

/* In a process of its own, which has the table's lock while it copies, and no longer. */
static _Noreturn void copy_locked(const struct observation *observation, int told)
{
    char target[PATH_MAX];
    char message[8192];
    struct command *command;
    struct copied copied = {0};
    struct table_settings table = *observation->table;
    struct settings settings = {.tables = &table, .count = 1};
    table.scope = SCOPE_COMMAND;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)sigprocmask(SIG_SETMASK, &observation->original, NULL);
    int result = command_create(&command, &settings, message, sizeof message);
    if (result == 0)
        result = command_lock_now(command, message, sizeof message);
    if (result != 0) {
        complain("advise: %s", shown(message));
        _exit(status_of_error(-result));
    }
    result =
        copy_tree(table.path, place_name(observation, PLACE_COPY, target, sizeof target), &copied);
    command_finish(command, false);
    if (result == -ENOENT && copied.files == 0 && access(table.path, F_OK) != 0)
        result = 0; /* it need not be there yet */
    if (result != 0) {
        complain("advise: the table '%s' can't be copied: '%s': %s", shown(table.path),
                 shown(copied.path), strerror(-result));
        _exit(status_of_error(-result));
    }
    (void)!write(told, &copied, sizeof copied);
    _exit(STATUS_DONE);
}

/* Waits for the copier, and hands it the signals that come meanwhile. */
static int wait_for_copier(pid_t copier, const sigset_t *awaited)
{
    int status;
    while (waitpid(copier, &status, WNOHANG) == 0) {
        siginfo_t signal;
        if (sigwaitinfo(awaited, &signal) > 0 && signal.si_signo != SIGCHLD && signal.si_code <= 0)
            (void)kill(copier, signal.si_signo);
    }
    if (WIFSIGNALED(status))
        return STATUS_SIGNAL_BASE + WTERMSIG(status);
    return WEXITSTATUS(status);
}

static int copy_table(struct observation *observation, const sigset_t *awaited)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        complain("advise: %s", strerror(errno));
        return STATUS_FAILED;
    }
    pid_t copier = fork();
    if (copier == 0)
        copy_locked(observation, ends[1]);
    (void)close(ends[1]);
    int status = copier < 0 ? STATUS_FAILED : wait_for_copier(copier, awaited);
    if (read(ends[0], &observation->copied, sizeof observation->copied) < 0)
        status = STATUS_FAILED;
    (void)close(ends[0]);
    return status;
}

/* --- the stage --- */

/* Says why there is no stage; the text names what was not to be had. */
static int refuse_stage(const struct observation *observation, const char *told, ssize_t size)
{
    int error = 0;
    char text[PIPE_BUF + 1];
    if (size < (ssize_t)sizeof error) {
        complain("advise: the command could not be started");
        return STATUS_FAILED;
    }
    memcpy(&error, told, sizeof error);
    (void)snprintf(text, sizeof text, "%.*s", (int)(size - (ssize_t)sizeof error),
                   told + sizeof error);
    if (observation->way == WAY_IN_PLACE || strchr(text, '/') != NULL)
        complain("advise: %s: %s", shown(text), strerror(error));
    else
        complain("advise: not to be had here: %s (%s); --in-place runs the command on the table "
                 "itself, under its lock",
                 shown(text), strerror(error));
    return error == EPERM || error == EACCES ? STATUS_PERMISSION : STATUS_FAILED;
}

static void set_watch(struct observation *observation)
{
    char root[PATH_MAX + 32];
    char told[PATH_MAX];
    const char *table = observation->table->path;
    const char *name = strrchr(table, '/') + 1;
    (void)stage_root(observation, root, sizeof root);
    (void)snprintf(told, sizeof told, "%.*s",
                   observation->over_parent ? (int)(name - 1 - table) : (int)strlen(table), table);
    watch_begin(&observation->watch, copy_text(root), copy_text(told),
                observation->over_parent ? name : NULL);
    observation->watched = observation->watch.descriptor >= 0;
    observation->attributed = observation->watched && observation->watch.attributed;
}

static int start_stage(struct watching *watching)
{
    struct observation *observation = watching->observation;
    int ready[2], go[2], told[2];
    char text[PIPE_BUF];
    if (pipe2(ready, O_CLOEXEC) != 0 || pipe2(go, O_CLOEXEC) != 0 || pipe2(told, O_CLOEXEC) != 0) {
        complain("advise: %s", strerror(errno));
        return STATUS_FAILED;
    }
    observation->stage = fork();
    if (observation->stage == 0) {
        (void)close(go[1]);
        stage_run(observation, &(struct stage_pipes){ready[1], go[0], told[1]});
    }
    (void)close(ready[1]);
    (void)close(go[0]);
    (void)close(told[1]);
    watching->told = told[0];
    ssize_t size = observation->stage < 0 ? 0 : read(ready[0], text, sizeof text);
    (void)close(ready[0]);
    if (size != 1) {
        (void)close(go[1]);
        return refuse_stage(observation, text, size);
    }
    set_watch(observation);
    watching->began = registry_now();
    (void)!write(go[1], text, 1);
    (void)close(go[1]);
    return STATUS_DONE;
}

/* --- watching it run --- */

static void take_children(struct watching *watching)
{
    for (pid_t child; (child = waitpid(-1, NULL, WNOHANG)) > 0;)
        if (child == watching->observation->stage)
            watching->stage_ended = true;
}

static void end_politely(struct watching *watching, int signal)
{
    descendants_signal(signal, watching->observation->stage);
    watching->kills_at = after(GRACE);
    watching->ends_at = NEVER;
}

static void take_signal(struct watching *watching)
{
    struct signalfd_siginfo signal;
    if (read(watching->signals, &signal, sizeof signal) != (ssize_t)sizeof signal)
        return;
    if (signal.ssi_signo == SIGCHLD) {
        take_children(watching);
        return;
    }
    /* What the terminal sends, the command has got as well. */
    watching->observation->interrupted = true;
    if (signal.ssi_code <= 0)
        end_politely(watching, (int)signal.ssi_signo);
    else
        watching->kills_at = after(2 * GRACE);
}

static void take_status(struct watching *watching)
{
    struct observation *observation = watching->observation;
    if (read(watching->told, &observation->status, sizeof observation->status) ==
        (ssize_t)sizeof observation->status)
        observation->ran = true;
    else
        observation->status = STATUS_FAILED;
    observation->lasted = registry_now() - watching->began;
    watching->command_ended = true;
    watching->ends_at = watching->kills_at == NEVER ? after(observation->linger) : NEVER;
    (void)close(watching->told);
    watching->told = -1;
}

static bool is_over(const struct watching *watching)
{
    if (!watching->command_ended || !watching->stage_ended)
        return false;
    return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
}

/* The time has come: to say that it is enough, or to make an end. */
static void take_time(struct watching *watching)
{
    struct observation *observation = watching->observation;
    uint64_t now = registry_now();
    if (now >= watching->kills_at) {
        descendants_signal(SIGKILL, 0);
        watching->kills_at = after(GRACE / 10);
    } else if (now >= watching->ends_at) {
        if (watching->command_ended)
            observation->left_behind =
                descendants_list(observation->stage, &observation->left_count);
        else
            observation->timed_out = true;
        end_politely(watching, SIGTERM);
    }
}

static void watch_it_run(struct watching *watching)
{
    struct observation *observation = watching->observation;
    watching->ends_at = after(observation->timeout);
    watching->kills_at = NEVER;
    while (!is_over(watching)) {
        struct pollfd polled[] = {{.fd = watching->signals, .events = POLLIN},
                                  {.fd = observation->watch.descriptor, .events = POLLIN},
                                  {.fd = watching->told, .events = POLLIN}};
        uint64_t now = registry_now();
        uint64_t next =
            watching->ends_at < watching->kills_at ? watching->ends_at : watching->kills_at;
        int pause = next == NEVER ? -1 : next > now ? (int)((next - now) / MILLISECOND) + 1 : 0;
        /* Orphans come without a signal of their own being lost: look again now and then. */
        if (watching->command_ended && (pause < 0 || pause > 50))
            pause = 50;
        (void)poll(polled, 3, pause);
        watch_take(&observation->watch);
        if (polled[0].revents != 0)
            take_signal(watching);
        if (polled[2].revents != 0)
            take_status(watching);
        take_children(watching);
        take_time(watching);
    }
    watch_take(&observation->watch);
}

/* --- what it left --- */

static char *read_whole(const char *path, size_t *size)
{
    struct stat status;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    *size = 0;
    if (descriptor < 0 || fstat(descriptor, &status) != 0 || status.st_size <= 0) {
        if (descriptor >= 0)
            (void)close(descriptor);
        return NULL;
    }
    char *bytes = malloc((size_t)status.st_size + 1);
    while (bytes != NULL && *size < (size_t)status.st_size) {
        ssize_t part = read(descriptor, bytes + *size, (size_t)status.st_size - *size);
        if (part <= 0)
            break;
        *size += (size_t)part;
    }
    if (bytes != NULL)
        bytes[*size] = '\0';
    (void)close(descriptor);
    return bytes;
}

static int observe_in_place(struct observation *observation, const sigset_t *awaited)
{
    char path[PATH_MAX];
    size_t size;
    struct stat status;
    bool there = stat(observation->table->path, &status) == 0;
    observation->over_parent = !there || !S_ISDIR(status.st_mode);
    if (observation->way == WAY_READ_ONLY && !there) {
        complain("advise: there is no '%s' to be read", shown(observation->table->path));
        return STATUS_SETTINGS;
    }
    int result = observation->way == WAY_COPY ? copy_table(observation, awaited) : STATUS_DONE;
    if (result != STATUS_DONE)
        return result;
    struct watching watching = {.observation = observation, .told = -1};
    watching.signals = signalfd(-1, awaited, SFD_CLOEXEC | SFD_NONBLOCK);
    if (watching.signals < 0) {
        complain("advise: %s", strerror(errno));
        return STATUS_FAILED;
    }
    result = start_stage(&watching);
    if (result == STATUS_DONE)
        watch_it_run(&watching);
    (void)close(watching.signals);
    observation->trace =
        read_whole(place_name(observation, "trace", path, sizeof path), &observation->trace_size);
    observation->dropped = read_whole(place_name(observation, "dropped", path, sizeof path), &size);
    return result;
}

int observe(struct observation *observation)
{
    sigset_t awaited;
    static const int signals[] = {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    (void)sigemptyset(&awaited);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        (void)sigaddset(&awaited, signals[i]);
    (void)sigprocmask(SIG_BLOCK, &awaited, NULL);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    int result = make_place(observation);
    if (result == STATUS_DONE)
        result = observe_in_place(observation, &awaited);
    if (observation->place[0] != '\0')
        remove_tree(observation->place);
    return result;
}
