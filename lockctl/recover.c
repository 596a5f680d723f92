/*
 * lockctl recover: after a holder died inside. Lists what its undo journal would put back, puts it
 * back, or accepts the table as it is. It must never act on a table that is in use: it takes the
 * lock to act, and refuses where it is not free.
 */
#include "lockctl/lockctl.h"

#include "lockctl/inspect/arguments.h"
#include "lockctl/inspect/output.h"
#include "lockctl/inspect/tell.h"
#include "shim/lock/kernel.h"
#include "shim/lock/lock.h"
#include "shim/lock/undo_lock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

const char RECOVER_DETAILS[] =
    "Without --accept or --rollback it lists. Both take the lock for a moment, and\n"
    "refuse where somebody has it.\n"
    "A journal is followed as far as its owner could have changed the table alone.\n"
    "\n"
    "Exit status: 0; 1 if it could not be done, or the lock is held; 2 for wrong\n"
    "usage; 5 if a permission is missing; 6 if the lock was not free in time; 78 for a\n"
    "table that does not exist, or a wrong configuration.\n";

enum action { ACTION_LIST, ACTION_ACCEPT, ACTION_ROLL_BACK };

struct request {
    enum action action;
    bool chosen;
    uint64_t timeout; /* nanoseconds */
    struct output_style style;
    const char *config;
};

/* One thing that a journal would undo, as the list shows it. */
struct row {
    const char *lock;
    enum undo_kind kind;
    const char *path, *other;
    uint64_t bytes;
};

/* --- listing --- */

static const char *kind_text(enum undo_kind kind)
{
    switch (kind) {
    case UNDO_ABSENT:
        return "remove";
    case UNDO_SAVED:
    case UNDO_PART:
        return "restore";
    case UNDO_DIRECTORY:
        return "make";
    case UNDO_MOVED:
        return "move back";
    case UNDO_CONTENT:
        return "rewrite";
    default:
        return "unknown";
    }
}

static const char *lock_cell(struct output *output, const void *row)
{
    return cell_text(output, ((const struct row *)row)->lock);
}

static const char *action_cell(struct output *output, const void *row)
{
    return cell_text(output, kind_text(((const struct row *)row)->kind));
}

static const char *path_cell(struct output *output, const void *row)
{
    return cell_text(output, ((const struct row *)row)->path);
}

static const char *other_cell(struct output *output, const void *row)
{
    return cell_text(output, ((const struct row *)row)->other);
}

static const char *bytes_cell(struct output *output, const void *row)
{
    return cell_size(output, ((const struct row *)row)->bytes);
}

static const struct column COLUMNS[] = {
    {"ACTION", "action", 9, COLUMN_DEFAULT, "what rolling back would do, in this order",
     action_cell},
    {"SIZE", "bytes", 6, COLUMN_DEFAULT | COLUMN_NUMBER, "bytes that were copied for it",
     bytes_cell},
    {"PATH", "path", 0.5, COLUMN_DEFAULT, "what is put back", path_cell},
    {"FROM", "from", 0.3, COLUMN_DEFAULT, "where it has been moved to", other_cell},
    {"LOCK", "lock", 0.3, 0, "the lock file", lock_cell},
};
enum { COLUMN_COUNT = sizeof COLUMNS / sizeof *COLUMNS };

struct listing {
    struct output *output;
    const char *lock;
};

static void list_item(const struct undo_item *item, void *context)
{
    const struct listing *listing = context;
    struct row row = {.lock = listing->lock,
                      .kind = item->kind,
                      .path = item->path,
                      .other = item->other,
                      .bytes = item->bytes};
    (void)output_row(listing->output, NULL, &row);
}

static int explain(const char *lock_path, int error)
{
    const char *why = error == EPERM     ? "is not to be trusted: others than its owner or who may "
                                           "change the table can have written it"
                      : error == EBADMSG ? "can't be read: it is damaged, or of another lock"
                                         : strerror(error);
    complain("recover: undo journal '%s.undo' %s", shown(lock_path), why);
    return error == EPERM || error == EACCES ? STATUS_PERMISSION : STATUS_FAILED;
}

static int list(const struct request *request, const struct targets *targets)
{
    int status = STATUS_DONE;
    struct output *output = output_begin(&request->style, "recover", "undo", COLUMNS, COLUMN_COUNT);
    if (output == NULL)
        return STATUS_USAGE;
    for (size_t i = 0; i < targets->count; i++) {
        struct undo_summary summary;
        struct listing listing = {output, targets->items[i].lock_path};
        int result =
            undo_list(listing.lock, targets->items[i].table, &summary, list_item, &listing);
        if (result < 0)
            status = explain(listing.lock, -result);
    }
    int printed = output_end(output);
    return status != STATUS_DONE ? status : printed;
}

/* --- the lock --- */

static bool is_in_place(const char *path, int descriptor)
{
    struct stat open, named;
    return kernel_fstat(descriptor, &open) == 0 && kernel_fstatat(AT_FDCWD, path, &named, 0) == 0 &&
           open.st_ino == named.st_ino && open.st_dev == named.st_dev;
}

static int try_lock(const char *path)
{
    int how = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int descriptor = kernel_openat(AT_FDCWD, path, O_RDWR | how, 0);
    if (descriptor == -EACCES || descriptor == -EROFS || descriptor == -EISDIR)
        descriptor = kernel_openat(AT_FDCWD, path, O_RDONLY | how, 0);
    if (descriptor < 0)
        return descriptor;
    int result = kernel_flock(descriptor, LOCK_EX | LOCK_NB);
    if (result == 0 && (!is_in_place(path, descriptor) || lock_range_taken(descriptor, 1)))
        result = -EWOULDBLOCK;
    if (result == 0)
        return descriptor;
    (void)kernel_close(descriptor);
    return result;
}

/* The lock, or the exit status, negative, after a complaint. */
static int take_lock(const struct request *request, const char *path)
{
    uint64_t began = registry_now();
    for (;;) {
        int descriptor = try_lock(path);
        if (descriptor >= 0)
            return descriptor;
        if (descriptor != -EWOULDBLOCK) {
            complain("recover: lock file '%s': %s", shown(path), strerror(-descriptor));
            return -status_of_error(-descriptor);
        }
        if (registry_now() - began >= request->timeout)
            break;
        (void)poll(NULL, 0, 20);
    }
    complain("recover: '%s' is held: the table is in use", shown(path));
    return request->timeout == 0 ? -STATUS_FAILED : -STATUS_TIMED_OUT;
}

static void let_go(int descriptor, struct registry *registry)
{
    (void)kernel_flock(descriptor, LOCK_UN);
    (void)kernel_close(descriptor);
    registry_wake(registry, 0);
    registry_close(registry);
}

/* --- acting --- */

/* Nobody has died inside any more. */
static void clear_crash(struct registry *registry)
{
    static const uint32_t clean = MARK_CLEAN;
    (void)registry_write(registry, REGISTRY_OFFSET(head.mark.state), &clean, sizeof clean);
    (void)registry_write(registry, REGISTRY_OFFSET(head.crashed), &clean, sizeof clean);
    (void)registry_write(registry, REGISTRY_OFFSET(head.undo), &clean, sizeof clean);
    registry_add(registry, REGISTRY_OFFSET(head.generation), 1);
}

static bool has_crashed(struct registry *registry)
{
    struct registry_head head;
    return registry_look(registry, &head) && (head.crashed != 0 || head.mark.state == MARK_CHANGED);
}

static int accept(const struct target *target, struct registry *registry)
{
    bool journal = undo_exists(target->lock_path);
    int result = undo_discard(target->lock_path);
    if (result != 0)
        return explain(target->lock_path, -result);
    bool crashed = has_crashed(registry);
    if (!journal && !crashed) {
        printf("%s: there is nothing to accept\n", shown(target->lock_path));
        return STATUS_DONE;
    }
    clear_crash(registry);
    registry_event(registry,
                   &(struct registry_event){.kind = EVENT_ACCEPTED, .process = kernel_getpid()});
    printf("%s: the table is accepted as it is\n", shown(target->lock_path));
    return STATUS_DONE;
}

static int roll_back(const struct target *target, struct registry *registry)
{
    struct registry_head head = {.crashed = 0};
    bool crashed = has_crashed(registry);
    (void)registry_look(registry, &head);
    int result = undo_roll_back(target->lock_path, target->table);
    if (result < 0)
        return explain(target->lock_path, -result);
    if (result == 1) {
        undo_lock_tell(registry, head.mark.process);
        clear_crash(registry);
        printf("%s: the table is as before its last holder\n", shown(target->lock_path));
        return STATUS_DONE;
    }
    if (!crashed) {
        printf("%s: there is nothing to roll back\n", shown(target->lock_path));
        return STATUS_DONE;
    }
    complain("recover: '%s': the last holder died inside, but kept no undo journal; look at the "
             "table, then use --accept",
             shown(target->lock_path));
    return STATUS_FAILED;
}

static int act(const struct request *request, const struct target *target)
{
    struct registry registry;
    int descriptor = take_lock(request, target->lock_path);
    if (descriptor < 0)
        return -descriptor;
    registry_open_existing(&registry, target->lock_path);
    int status =
        request->action == ACTION_ACCEPT ? accept(target, &registry) : roll_back(target, &registry);
    let_go(descriptor, &registry);
    return status;
}

/* --- the command line --- */

enum {
    OPTION_LIST = OUTPUT_OPTION_COUNT,
    OPTION_ACCEPT,
    OPTION_ROLL_BACK,
    OPTION_TIMEOUT,
    OPTION_CONFIG
};

static const struct argument_option OPTIONS[] = {
    OUTPUT_OPTIONS,
    {"list", 'l', NULL, "list what a rollback would do (default)"},
    {"accept", 'a', NULL, "take the table as it is, and drop the journal"},
    {"rollback", 'b', NULL, "put the table back as it was before its last holder"},
    {"timeout", 't', "SECONDS", "wait so long for the lock (default: not at all)"},
    {"config", '\0', "FILE", "configuration file"},
};

static int choose(struct request *request, enum action action)
{
    if (request->chosen && request->action != action) {
        complain("recover: only one of --list, --accept and --rollback");
        return STATUS_USAGE;
    }
    request->chosen = true;
    request->action = action;
    return STATUS_DONE;
}

static int take_option(void *context, int option, const char *value)
{
    struct request *request = context;
    switch (option) {
    case OPTION_LIST:
        return choose(request, ACTION_LIST);
    case OPTION_ACCEPT:
        return choose(request, ACTION_ACCEPT);
    case OPTION_ROLL_BACK:
        return choose(request, ACTION_ROLL_BACK);
    case OPTION_TIMEOUT:
        if (arguments_seconds(value, &request->timeout))
            return STATUS_DONE;
        complain("recover: --timeout '%s' is not a number of seconds", shown(value));
        return STATUS_USAGE;
    case OPTION_CONFIG:
        request->config = value;
        return STATUS_DONE;
    default:
        return output_take(&request->style, option, value);
    }
}

static void print_columns(void)
{
    output_print_columns(COLUMNS, COLUMN_COUNT);
}

int recover_command(const struct command_description *description, int count, char **words)
{
    struct request request = {.action = ACTION_LIST};
    struct targets targets = {.items = NULL};
    char **rest;
    int status = arguments_parse(description, OPTIONS, sizeof OPTIONS / sizeof *OPTIONS,
                                 take_option, &request, print_columns, count, words, &rest);
    if (status >= 0)
        return status;
    status = tell_collect(&targets, rest, request.config, "recover");
    if (status != STATUS_DONE)
        return status;
    if (request.action == ACTION_LIST)
        return list(&request, &targets);
    for (size_t i = 0; i < targets.count; i++) {
        int result = act(&request, &targets.items[i]);
        status = result != STATUS_DONE ? result : status;
    }
    int printed = output_finish("recover");
    return status != STATUS_DONE ? status : printed;
}
