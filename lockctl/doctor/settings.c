/*
 * Settings that are valid, for wrong ones stop every command, but that are seldom what is meant.
 */
#include "lockctl/doctor/findings.h"

#include "lockctl/format.h"
#include "lockctl/lockctl.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool lies_in(const char *path, const char *directory)
{
    size_t length = strlen(directory);
    return strncmp(path, directory, length) == 0 && path[length] == '/';
}

static bool warn_of_lock_file(struct findings *findings, const char *table, const char *lock_path)
{
    if (!lies_in(lock_path, table))
        return false;
    finding_add(findings, FINDING_WARNING, "settings", "put it beside the table",
                "the lock file lies inside the table: who copies, replaces or removes the table "
                "takes it along");
    return true;
}

static bool warn_of_log(struct findings *findings, const char *log)
{
    if (log == NULL || strcmp(log, "stderr") == 0 || strcmp(log, "none") == 0)
        return false;
    const char *directory = dirname(copy_text(log));
    bool exists = access(log, F_OK) == 0;
    if (access(exists ? log : directory, W_OK) == 0)
        return false;
    finding_add(findings, FINDING_WARNING, "settings", "choose another log file",
                "the log %s cannot be written: %s", shown(log), strerror(errno));
    return true;
}

static bool warn_of_scope(struct findings *findings, const struct table_settings *table)
{
    if (table->scope != SCOPE_CALL || table->on_crash == ON_CRASH_REPORT)
        return false;
    finding_add(findings, FINDING_WARNING, "settings", "use scope session or process",
                "under scope call a crash between two calls is never noticed, so --on-crash does "
                "little");
    return true;
}

void doctor_look_at_settings(struct findings *findings, const struct table_settings *table,
                             const char *lock_path)
{
    char text[FORMAT_TEXT];
    static const char *const policies[] = {"report", "fail", "rollback"};
    bool warned = warn_of_lock_file(findings, table->path, lock_path);
    warned = warn_of_log(findings, table->log) || warned;
    warned = warn_of_scope(findings, table) || warned;
    if (warned)
        return;
    finding_add(findings, FINDING_OK, "settings", NULL, "scope %s, wait %s, on crash %s",
                settings_scope_name(table->scope),
                table->timeout < 0    ? "for ever"
                : table->timeout == 0 ? "not at all"
                                      : format_duration(text, (uint64_t)table->timeout),
                policies[table->on_crash]);
}
