/*
 * Opening the registries that a command is about. A missing one is no mistake: nobody has used the
 * lock yet; a wrong one is told once, and the command goes on with the others.
 */
#include "lockctl/inspect/tell.h"

#include "lockctl/lockctl.h"

#include <errno.h>

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

int tell_collect(struct targets *targets, char **words, const char *config, const char *command)
{
    int status = targets_collect(targets, words, config);
    if (status == STATUS_DONE && targets->count == 0) {
        complain("%s: no lock to tell of: name a table or lock file, or write a configuration",
                 command);
        return STATUS_USAGE;
    }
    return status;
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
