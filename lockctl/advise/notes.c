/*
 * What else is to be known of a run: whatever makes the advice less than certain, and what the
 * scope asks of the command.
 */
#include "lockctl/advise/tell.h"

#include "lockctl/lockctl.h"

#include <stdio.h>
#include <string.h>

typedef bool note_writer(const struct told *told, char *text);

static bool note_failed(const struct told *told, char *text)
{
    const struct observation *observation = told->observation;
    if (observation->status == 0 || observation->timed_out || observation->interrupted)
        return false;
    (void)snprintf(text, TELL_TEXT,
                   "The command failed (status %d): this is about what it did until then.",
                   observation->status);
    return true;
}

static bool note_ended(const struct told *told, char *text)
{
    const struct observation *observation = told->observation;
    if (!observation->timed_out && !observation->interrupted)
        return false;
    (void)snprintf(text, TELL_TEXT,
                   "The command was ended %s: this is about what it did until then.",
                   observation->timed_out ? "when its time was over" : "by a signal");
    return true;
}

static bool note_lives_on(const struct told *told, char *text)
{
    const struct advice *advice = told->advice;
    if (advice->touching == 0 || told->account->process_count == 0 ||
        !advice->processes[advice->first].lives_on)
        return false;
    if (advice->reason == REASON_MEMORY)
        (void)snprintf(text, TELL_TEXT,
                       "It runs for long: under `process` others wait for its end. Under `session` "
                       "they need not, but then it fails with ESTALE where it would undo their "
                       "changes. Better is a command for each operation.");
    else if (advice->reason == REASON_RETURNS || advice->reason == REASON_OPEN)
        (void)snprintf(text, TELL_TEXT,
                       "It runs for long: what it remembers from one time to the next, the lock "
                       "does not protect. An update that would be lost by it fails with ESTALE.");
    else
        return false;
    return true;
}

static bool note_returns(const struct told *told, char *text)
{
    const struct advice *advice = told->advice;
    if (advice->reason != REASON_RETURNS || advice->processes[advice->first].lives_on)
        return false;
    (void)snprintf(
        text, TELL_TEXT,
        "Between those times others may change the table: what it remembers of it is not "
        "protected. If in doubt use --scope process.");
    return true;
}

static bool note_left(const struct told *told, char *text)
{
    const struct observation *observation = told->observation;
    if (observation->left_count == 0)
        return false;
    (void)snprintf(text, TELL_TEXT,
                   "%zu %s went on when the command had ended, and %s ended here. Under `command` "
                   "one that daemonizes is a stranger from then on, with scope session; any "
                   "other that has touched the table keeps the lock.",
                   observation->left_count, observation->left_count == 1 ? "process" : "processes",
                   observation->left_count == 1 ? "was" : "were");
    return true;
}

static bool note_idle_stranger(const struct told *told, char *text)
{
    for (size_t i = 0; i < told->account->process_count; i++) {
        const struct account_process *process = &told->account->processes[i];
        if (!process->out_of_reach || process->unseen > 0 || !told->account->watched)
            continue;
        (void)snprintf(text, TELL_TEXT,
                       "%s %s: it did not touch the table this time. Only under `command` is the "
                       "lock taken for it.",
                       words_process(told->account, i), program_reach_text(process->reach));
        return true;
    }
    return false;
}

static bool note_io_uring(const struct told *told, char *text)
{
    for (size_t i = 0; i < told->account->process_count; i++) {
        const struct account_process *process = &told->account->processes[i];
        if (!process->uses_io_uring || process->unseen == 0)
            continue;
        (void)snprintf(
            text, TELL_TEXT,
            "%s uses io_uring, which no preload sees: if it can be told not to, a narrower "
            "scope may do.",
            words_process(told->account, i));
        return true;
    }
    return false;
}

static bool note_unattributed(const struct told *told, char *text)
{
    if (!told->account->watched)
        (void)snprintf(text, TELL_TEXT,
                       "Nobody could watch from outside: accesses past the shim were not looked "
                       "for.");
    else if (!told->account->attributed && told->account->unseen_count > 0)
        (void)snprintf(text, TELL_TEXT,
                       "Whose the accesses past the shim were is a guess: only root is told.");
    else
        return false;
    return true;
}

static bool note_lossy(const struct told *told, char *text)
{
    if (!told->account->damaged && !told->observation->watch.overflowed)
        return false;
    (void)snprintf(text, TELL_TEXT, "Not everything was recorded: %s.",
                   told->account->damaged ? "the trace is damaged" : "there was too much to watch");
    return true;
}

static bool note_refused(const struct told *told, char *text)
{
    size_t refused = 0;
    for (size_t i = 0; i < told->account->access_count; i++)
        refused += told->account->accesses[i].kind == ACCESS_REFUSED ? 1 : 0;
    if (refused == 0)
        return false;
    (void)snprintf(text, TELL_TEXT,
                   "%zu %s refused (EROFS): what it would have done next is not known.", refused,
                   refused == 1 ? "change was" : "changes were");
    return true;
}

static bool note_dropped(const struct told *told, char *text)
{
    const char *dropped = told->observation->dropped;
    if (dropped == NULL)
        return false;
    char first[256];
    (void)snprintf(first, sizeof first, "%.*s", (int)strcspn(dropped, "\n"), dropped);
    (void)snprintf(text, TELL_TEXT,
                   "What it wrote beside the table was dropped with the copy: %s%s.", shown(first),
                   strchr(dropped, '\n')[1] != '\0' ? " and more" : "");
    return true;
}

static bool note_once(const struct told *told, char *text)
{
    if (told->advice->needed == SCOPE_COMMAND || told->advice->touching == 0)
        return false;
    (void)snprintf(text, TELL_TEXT,
                   "This is what one run shows; `--scope command` is right whatever it does.");
    return true;
}

const char *words_note(const struct told *told, unsigned number, char text[static TELL_TEXT])
{
    static note_writer *const notes[] = {
        note_failed, note_ended,         note_lives_on, note_returns,
        note_left,   note_idle_stranger, note_io_uring, note_unattributed,
        note_lossy,  note_refused,       note_dropped,  note_once,
    };
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
        if (notes[i](told, text) && number-- == 0)
            return text;
    return NULL;
}
