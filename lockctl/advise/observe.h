/*
 * Running a command once where it can do no harm, and watching it. Three processes: this one, which
 * watches and ends what is left; the stage, which has a mount namespace of its own where the copy
 * stands in the table's place; and the command.
 */
#ifndef LOCKCTL_ADVISE_OBSERVE_H
#define LOCKCTL_ADVISE_OBSERVE_H

#include "lockctl/advise/copy.h"
#include "lockctl/advise/watch.h"
#include "shim/program/program.h"
#include "shim/settings.h"

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum advise_way { WAY_COPY, WAY_READ_ONLY, WAY_IN_PLACE };

struct observation {
    /* what is asked for */
    const struct table_settings *table;
    enum advise_way way;
    char **words;
    const char *shim, *entry;
    uint64_t timeout; /* ns; UINT64_MAX: none */
    uint64_t linger;  /* ns that what the command leaves behind may go on */

    /* on the way */
    sigset_t original; /* the mask that lockctl was started with */
    char place[PATH_MAX];
    bool over_parent; /* the table is no directory: a layer covers its parent */
    struct program_report program;
    pid_t stage;

    /* what came of it */
    struct copied copied;
    struct watch watch;
    bool watched, attributed; /* what the watch was, while there was one */
    bool ran;                 /* else it could not be started */
    int status;               /* of the command, as `lockctl run` would tell it */
    bool timed_out, interrupted;
    pid_t *left_behind;
    size_t left_count;
    uint64_t lasted; /* ns */
    char *trace;     /* what the shim wrote */
    size_t trace_size;
    char *dropped; /* names beside the table that the command wrote, one a line, or NULL */
};

/* Returns STATUS_DONE, or an exit status after a complaint. Nothing is left behind either way. */
int observe(struct observation *observation);

/*
 * A name in the observer's own directory; empty when it is too long. Others may go through it, to
 * write the trace; the copy is behind a door, for the table may have been behind one.
 */
#define PLACE_DOOR "kept"
#define PLACE_COPY "kept/copy"
const char *place_name(const struct observation *observation, const char *name, char *room,
                       size_t size);

/* --- stage.c --- */

/*
 * In a child of its own: makes the stage, tells through `ready` how that went (an errno, then a
 * text that says what failed), waits for a byte on `go`, runs the command and tells its status
 * through `told`.
 */
struct stage_pipes {
    int ready, go, told;
};
_Noreturn void stage_run(const struct observation *observation, const struct stage_pipes *pipes);

/* Where the watch finds the table as the command has it. */
const char *stage_root(const struct observation *observation, char *room, size_t size);

/* --- descendants.c --- */

/* Sends a signal to every process below this one, but for `spared` (0: nobody). */
void descendants_signal(int signal, pid_t spared);

/* The living ones, but for `spared`; the array is allocated. */
pid_t *descendants_list(pid_t spared, size_t *count);

#endif
