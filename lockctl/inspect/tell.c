/*
 * Opening the registries that a command is about. A missing one is no mistake: nobody has used the
 * lock yet; a wrong one is told once, and the command goes on with the others.
 */
#include "lockctl/inspect/tell.h"

#include "lockctl/inspect/inspect.h"
#include "lockctl/lockctl.h"

#include <errno.h>
#include <string.h>

const char *tell_table(const struct target *target, const struct registry_view *view)
{
    char path[4096];
    if (target->table != NULL)
        return target->table;
    return registry_view_table(view, path)[0] != '\0' ? copy_text(path) : NULL;
}

bool tell_open(const struct target *target, struct registry_view *view, const char *command,
               int *status)
{
    if (registry_view_open(view, target->lock_path))
        return true;
    if (view->error == ENOENT)
        return false;
    complain("%s: '%s' %s", command, shown(view->path), view->problem);
    int reason = view->error == EACCES || view->error == EPERM ? STATUS_PERMISSION : STATUS_FAILED;
    if (*status == STATUS_DONE)
        *status = reason;
    return false;
}

static int refuse_none(const struct targets *targets, const char *command)
{
    if (targets->count > 0)
        return STATUS_DONE;
    complain("%s: no lock to tell of: name a table or lock file, or write a configuration",
             command);
    return STATUS_USAGE;
}

int tell_collect(struct targets *targets, char **words, const char *config, const char *command)
{
    int status = targets_collect(targets, words, config);
    return status == STATUS_DONE ? refuse_none(targets, command) : status;
}

static bool is_known(const struct targets *targets, const char *lock_path)
{
    for (size_t i = 0; i < targets->count; i++)
        if (strcmp(targets->items[i].lock_path, lock_path) == 0)
            return true;
    return false;
}

static int add_used(struct targets *targets)
{
    struct inspector *inspector = inspector_open(&(struct inspect_request){
        .everything = true, .live = true, .bare_holders = true, .bare_waiters = true});
    const struct inspection *inspection = inspector_look(inspector);
    for (size_t i = 0; inspection != NULL && i < inspection->count; i++) {
        const struct inspected_lock *lock = &inspection->locks[i];
        if (lock->path == NULL || lock->path_state != PATH_CURRENT || !lock->has_registry ||
            is_known(targets, lock->path))
            continue;
        targets->items = grow(targets->items, targets->count, sizeof *targets->items);
        targets->items[targets->count++] = (struct target){.lock_path = copy_text(lock->path)};
    }
    inspector_close(inspector);
    return inspection != NULL ? STATUS_DONE : STATUS_FAILED;
}

int tell_collect_used(struct targets *targets, char **words, const char *config,
                      const char *command)
{
    int status = targets_collect(targets, words, config);
    if (status == STATUS_DONE && words[0] == NULL)
        status = add_used(targets);
    return status == STATUS_DONE ? refuse_none(targets, command) : status;
}

static const struct {
    const char *words;
    const char *key;
} COUNTER_NAMES[COUNTERS] = {
    [COUNT_ACQUISITIONS] = {"acquisitions", "acquisitions"},
    [COUNT_CONTENDED] = {"contended", "contended"},
    [COUNT_TIMEOUTS] = {"timeouts", "timeouts"},
    [COUNT_DEADLOCKS] = {"deadlocks", "deadlocks"},
    [COUNT_CRASHES] = {"crashes", "crashes"},
    [COUNT_BREAKS] = {"breaks", "breaks"},
    [COUNT_FENCED] = {"fenced calls", "fenced"},
    [COUNT_JOINED] = {"joined", "joined"},
    [COUNT_LOST_UPDATES] = {"lost updates", "lost_updates"},
    [COUNT_OVERFLOWN] = {"overflown", "overflown"},
    [COUNT_ROLLBACKS] = {"rollbacks", "rollbacks"},
};

const char *tell_counter(enum registry_counter counter)
{
    return COUNTER_NAMES[counter].words;
}

const char *tell_counter_key(enum registry_counter counter)
{
    return COUNTER_NAMES[counter].key;
}
