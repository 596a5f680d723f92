/*
 * lockctl env: the settings as lines that a shell reads with `.` and systemd with
 * EnvironmentFile=. Both take double quotes, in which backslash, quote, dollar and backquote are
 * escaped by a backslash and a newline stands for itself.
 */
#include "lockctl/lockctl.h"

#include "lockctl/config.h"
#include "lockctl/options.h"
#include "lockctl/preload.h"
#include "lockctl/tables.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char ENV_DETAILS[] =
    "The output is for systemd's EnvironmentFile= and for a shell:\n"
    "  lockctl env --table DIR >guard.env; set -a; . ./guard.env\n"
    "The scope is `process` unless another is given; `command` needs a supervisor,\n"
    "which only `lockctl run` is.\n"
    "\n"
    "Exit status: 0; 2 for wrong usage; 78 for wrong settings or a shim that cannot\n"
    "be loaded; 5 for missing permission; 1 for other failures.\n";

/*
 * One variable. systemd wants UTF-8, so bytes beyond ASCII become \ooo where the shim undoes it:
 * in its list of tables.
 */
static void print_variable(const char *variable)
{
    bool octal = strncmp(variable, "LOCKSHIM_TABLES=", 16) == 0;
    size_t name = strcspn(variable, "=");
    printf("%.*s=\"", (int)name, variable);
    for (const char *at = variable + name + 1; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte >= 0x80 && octal)
            printf("\\\\%03o", byte);
        else if (strchr("\"\\$`", byte) != NULL)
            printf("\\%c", byte);
        else
            (void)putchar(byte);
    }
    printf("\"\n");
}

static int check_scopes(const struct tables *tables)
{
    for (size_t i = 0; i < tables->settings.count; i++) {
        const struct table_settings *table = &tables->settings.tables[i];
        if (table->scope == SCOPE_COMMAND) {
            complain("env: table '%s' has scope command, which needs `lockctl run`; use process, "
                     "session or call",
                     shown(table->path));
            return STATUS_SETTINGS;
        }
        if (tables->eager && table->scope != SCOPE_PROCESS) {
            complain("env: --eager is for scope process; table '%s' has scope %s",
                     shown(table->path), settings_scope_name(table->scope));
            return STATUS_USAGE;
        }
    }
    return STATUS_DONE;
}

static int print_all(const struct tables *tables, const char *wanted_shim)
{
    char *shim = shim_find(wanted_shim);
    if (shim == NULL)
        return STATUS_SETTINGS;
    struct guard guard = {shim, shim_entry(shim), true, tables->eager};
    char **variables = guard_variables(&tables->settings, &guard, environ);
    if (variables == NULL)
        return STATUS_SETTINGS;
    for (; *variables != NULL; variables++)
        print_variable(*variables);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        complain("env: the output could not be written");
        return STATUS_FAILED;
    }
    return STATUS_DONE;
}

int env_command(const struct command_description *description, int count, char **words)
{
    static struct request request;
    static struct config config;
    static struct tables tables;
    int status = options_parse(&request, description, count, words);
    if (status >= 0)
        return status;
    if (words[request.next] != NULL) {
        complain("env: '%s' is too much: it takes settings only", shown(words[request.next]));
        return STATUS_USAGE;
    }
    status = config_read(&config, request.config);
    if (status != STATUS_DONE)
        return status;
    struct source source = {&request, &config, NULL, SCOPE_PROCESS, false};
    status = tables_collect(&tables, &source);
    if (status != STATUS_DONE)
        return status;
    if (tables.settings.count == 0) {
        complain("env: no table to guard; use --table PATH or a configuration file");
        return STATUS_USAGE;
    }
    status = check_scopes(&tables);
    return status == STATUS_DONE ? print_all(&tables, request.shim) : status;
}
