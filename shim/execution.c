/*
 * Before and after exec. It must never let a program that the shim can't reach at a command's
 * tables without the lock, nor lose a lock on the way into a program that it can.
 */
#include "shim/execution.h"

#include "shim/lock/command_member.h"
#include "shim/program/program.h"
#include "shim/report.h"
#include "shim/touch.h"
#include "shim/trace.h"
#include "shim/undo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *search_path(char *const *environment)
{
    for (; environment != NULL && *environment != NULL; environment++) {
        if (strncmp(*environment, "PATH=", 5) == 0)
            return *environment + 5;
    }
    return NULL;
}

/* Does it matter what is executed? A command's member takes the lock, others write to the log. */
static bool is_of_interest(void)
{
    for (unsigned i = 0; i < tables_count; i++) {
        const struct table *table = tables_get(i);
        if (table->lock->entry != NULL || table->settings.log != NULL || undo_guards(table))
            return true;
    }
    return false;
}

static void examine(struct execution *execution, const char *path, bool search,
                    char *const *arguments, char *const *environment, struct program_report *report)
{
    extern char **environ;
    *execution = (struct execution){false, false};
    report->path[0] = '\0';
    report->reach = PROGRAM_REACHABLE;
    if (!touch_is_text(path) || !start_guarding() || !is_of_interest())
        return;
    if (!touch_is_text((const char *)arguments))
        arguments = NULL;
    if (search) /* as execvp does: along the caller's own PATH */
        program_examine_name(path, search_path(environ), arguments, environment, report);
    else
        program_examine(path, arguments, environment, report);
    execution->out_of_reach =
        report->reach != PROGRAM_REACHABLE && report->reach != PROGRAM_MISSING;
    execution->drop_preload = report->reach == PROGRAM_OTHER_LIBC;
}

size_t execution_environment_size(char *const *environment)
{
    size_t count = 1;
    while (environment != NULL && environment[count - 1] != NULL)
        count++;
    return count;
}

char *const *execution_environment(const struct execution *execution, char *const *environment,
                                   char **room)
{
    if (!execution->drop_preload || environment == NULL)
        return environment;
    size_t count = 0;
    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, "LD_PRELOAD=", 11) != 0)
            room[count++] = *environment;
    }
    room[count] = NULL;
    return room;
}

/* Takes a command's lock for a program that will not; says so where nobody can. */
static int stand_in(struct table *table, const struct program_report *report)
{
    if (settings_names_program(table->settings.exempt, report->path))
        return 0;
    char text[4400];
    bool member = table->lock->entry != NULL;
    const char *then = !member              ? "it runs unguarded"
                       : undo_guards(table) ? "it is refused, for it can't be rolled back"
                                            : "the lock is taken for it";
    snprintf(text, sizeof text, "%s %s: %s", report->path, program_reach_text(report->reach), then);
    report_log(table, text);
    lock_tell(table->lock, &(struct lock_notice){.kind = EVENT_OUT_OF_REACH});
    lock_note_out_of_reach(table->lock);
    if (!member)
        return 0;
    if (undo_guards(table)) {
        report_failure(table, ENOLCK, "what a program out of reach changes can't be journaled");
        return ENOLCK;
    }
    struct touch touch;
    struct place place = {.table = table};
    if (!touch_place(&touch, &place, table->settings.shared ? TOUCH_READ : TOUCH_CHANGE))
        return 0;
    int error = touch.error;
    touch_end(&touch);
    return error;
}

static int stand_in_for_all(const struct program_report *report)
{
    for (unsigned i = 0; i < tables_count; i++) {
        int error = stand_in(tables_get(i), report);
        if (error != 0)
            return error;
    }
    return 0;
}

static bool survive(struct lock *lock, void *context)
{
    lock_survive_exec(lock, *(bool *)context);
    return true;
}

static bool go_on(struct lock *lock, void *context)
{
    (void)context;
    lock_process_goes_on(lock);
    return true;
}

/* Will the next program know the journal, and go on with it? */
static bool goes_on_guarded(const struct execution *execution, const struct program_report *report,
                            char *const *environment)
{
    bool preload = false, table = false;
    if (execution->out_of_reach || report->reach != PROGRAM_REACHABLE || environment == NULL)
        return report->reach == PROGRAM_MISSING;
    for (; *environment != NULL; environment++) {
        preload = preload || strncmp(*environment, "LD_PRELOAD=", 11) == 0;
        table = table || strncmp(*environment, "LOCKSHIM_TABLE", 14) == 0;
    }
    return preload && table;
}

int execution_begins(struct execution *execution, const char *path, bool search,
                     char *const *arguments, char *const *environment)
{
    struct program_report report;
    examine(execution, path, search, arguments, environment, &report);
    if (execution->out_of_reach) {
        if (trace_on)
            trace_out_of_reach(report.path, (int)report.reach, false);
        int error = stand_in_for_all(&report);
        if (error != 0)
            return error;
    }
    if (!touch_is_own_process())
        touch_process_made(); /* a vfork child: what the next program writes has no other sign */
    if (start_guarding() && touch_is_own_process()) {
        bool yes = true;
        touch_process_executes(goes_on_guarded(execution, &report, environment));
        lock_each(survive, &yes); /* after that: a break that is waited for may end ours */
    }
    return 0;
}

void execution_failed(void)
{
    int error = errno;
    if (touch_is_own_process()) {
        bool no = false;
        lock_each(survive, &no);
        lock_each(go_on, NULL);
    }
    errno = error;
}

int execution_of_child(struct execution *execution, const char *path, bool search,
                       char *const *arguments, char *const *environment)
{
    struct program_report report;
    touch_process_made();
    examine(execution, path, search, arguments, environment, &report);
    if (execution->out_of_reach && trace_on)
        trace_out_of_reach(report.path, (int)report.reach, true);
    return execution->out_of_reach ? stand_in_for_all(&report) : 0;
}

void execution_watch(pid_t process)
{
    if (trace_on)
        trace_event(TRACE_SPAWNED, (int)process, 0);
    command_watch(process);
}
