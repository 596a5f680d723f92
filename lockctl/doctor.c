/*
 * lockctl doctor: can these tables be guarded here? The checks are in lockctl/doctor/; this file
 * puts them in order and prints what they find. Nothing is left behind, and no lock is touched.
 */
#include "lockctl/lockctl.h"

#include "lockctl/config.h"
#include "lockctl/doctor/findings.h"
#include "lockctl/inspect/arguments.h"
#include "lockctl/inspect/json.h"
#include "lockctl/inspect/output.h"
#include "lockctl/tables.h"
#include "shim/lock/resolve.h"

#include <err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char DOCTOR_DETAILS[] =
    "Without TABLE, the tables of the configuration. A table need not exist yet.\n"
    "To try flock, a file is made beside the lock file, and removed again.\n"
    "\n"
    "Exit status: 0 when the tables can be guarded, perhaps with warnings; 1 when\n"
    "one cannot; 2 for wrong usage; 5 for missing permission; 78 for wrong settings.\n";

const char *finding_text(const char *format, ...)
{
    char text[5000];
    va_list arguments;
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it was started just above */
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return copy_text(text);
}

void finding_add(struct findings *findings, enum finding_result result, const char *check,
                 const char *advice, const char *format, ...)
{
    char text[5000];
    va_list arguments;
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it was started just above */
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    findings->items = grow(findings->items, findings->count, sizeof *findings->items);
    findings->items[findings->count++] =
        (struct finding){result, findings->table, check, copy_text(text), advice};
}

static const char *const RESULT_NAMES[] = {"ok", "warning", "problem"};

/* --- printing --- */

static void print_lines(const struct findings *findings)
{
    const char *table = NULL;
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];
        if (i == 0 && finding->table == NULL)
            printf("system\n");
        if (finding->table != NULL && finding->table != table)
            printf("%s%s\n", i > 0 ? "\n" : "", shown(finding->table));
        table = finding->table;
        printf("  %-8s %-14s %s\n", RESULT_NAMES[finding->result], finding->check, finding->text);
        if (finding->advice != NULL)
            printf("  %-8s %-14s -> %s\n", "", "", finding->advice);
    }
}

static void print_json(const struct findings *findings, bool guardable)
{
    struct json json = {.file = stdout};
    json_open(&json, NULL, '{');
    json_boolean(&json, "guardable", guardable);
    json_open(&json, "checks", '[');
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];
        json_open(&json, NULL, '{');
        json_text(&json, "table", finding->table);
        json_text(&json, "check", finding->check);
        json_text(&json, "result", RESULT_NAMES[finding->result]);
        json_text(&json, "finding", finding->text);
        json_text(&json, "advice", finding->advice);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_close(&json, '}');
}

/* --- looking --- */

static int look_at_table(struct findings *findings, const struct table_settings *table)
{
    char lock_path[RESOLVE_SIZE];
    if (!resolve_lock_path(table, lock_path)) {
        complain("doctor: the path of '%s' is too long", shown(table->path));
        return STATUS_SETTINGS;
    }
    findings->table = table->path;
    doctor_look_at_settings(findings, table, lock_path);
    doctor_look_at_permissions(findings, lock_path, table->path);
    doctor_look_at_file_system(findings, lock_path, table->path);
    doctor_look_at_cleaners(findings, lock_path);
    return STATUS_DONE;
}

static bool is_guardable(const struct findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        if (findings->items[i].result == FINDING_PROBLEM)
            return false;
    return true;
}

/* --- the command --- */

struct doctor_request {
    bool json;
    struct request settings;
};

static const struct argument_option OPTIONS[] = {
    {"json", 'J', NULL, "JSON"},
    {"shim", '\0', "FILE", "the shim (default: as lockctl run finds it)"},
    {"config", 'c', "FILE", "configuration file (default: /etc/lockshim.conf)"},
};

static int take_option(void *context, int option, const char *value)
{
    struct doctor_request *request = context;
    if (option == 0)
        request->json = true;
    else if (option == 1)
        request->settings.shim = value;
    else
        request->settings.config = value;
    return STATUS_DONE;
}

static int collect(struct doctor_request *request, char **words, struct tables *tables)
{
    static struct config config;
    struct request *settings = &request->settings;
    for (; *words != NULL; words++) {
        settings->tables = grow(settings->tables, settings->table_count, sizeof *settings->tables);
        settings->tables[settings->table_count++] = (struct wanted_table){.path = *words};
    }
    int status = config_read(&config, settings->config);
    if (status != STATUS_DONE)
        return status;
    return tables_collect(tables, &(struct source){settings, &config, NULL, SCOPE_COMMAND, false});
}

int doctor_command(const struct command_description *description, int count, char **words)
{
    static struct doctor_request request;
    static struct tables tables;
    static struct findings findings;
    int status = arguments_parse(description, OPTIONS, sizeof OPTIONS / sizeof *OPTIONS,
                                 take_option, &request, NULL, count, words, &words);
    if (status >= 0)
        return status;
    status = collect(&request, words, &tables);
    if (status != STATUS_DONE)
        return status;
    output_prepare();
    doctor_look_at_system(&findings, request.settings.shim);
    for (size_t i = 0; i < tables.settings.count && status == STATUS_DONE; i++)
        status = look_at_table(&findings, &tables.settings.tables[i]);
    if (status != STATUS_DONE)
        return status;
    bool guardable = is_guardable(&findings);
    if (request.json)
        print_json(&findings, guardable);
    else
        print_lines(&findings);
    status = output_finish("doctor");
    return status == STATUS_DONE && !guardable ? STATUS_FAILED : status;
}
