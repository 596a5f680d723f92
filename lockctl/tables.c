/*
 * Collects the tables. A table that can't be guarded as asked stops everything with one line that
 * names it: nothing may start with a table missing from the list.
 */
#include "lockctl/tables.h"

#include "lockctl/paths.h"
#include "shim/lock/kernel.h"
#include "shim/lock/lock.h"
#include "shim/lock/resolve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int refuse(const char *what, const char *path, int error)
{
    complain("%s '%s': %s", what, shown(path), path[0] == '\0' ? "is empty" : strerror(error));
    return path[0] == '\0' ? STATUS_SETTINGS : status_of_error(error);
}

static int refuse_because(const char *what, const char *path, const char *why)
{
    complain("%s '%s' %s", what, shown(path), why);
    return STATUS_SETTINGS;
}

static const char *kind_text(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFSOCK:
        return "is a socket, not a directory or file";
    case S_IFIFO:
        return "is a pipe, not a directory or file";
    case S_IFCHR:
    case S_IFBLK:
        return "is a device, not a directory or file";
    default:
        return "is neither a directory nor a file";
    }
}

static int resolve_table(struct table_settings *table, const char *path)
{
    int error;
    struct stat status = {0};
    table->path = path_of_object(path, &error);
    if (table->path == NULL)
        return refuse("table", path, error);
    if (strcmp(table->path, "/") == 0)
        return refuse_because("table", path, "is the root directory: everything would be in it");
    if (kernel_fstatat(AT_FDCWD, table->path, &status, 0) == 0 && !S_ISDIR(status.st_mode) &&
        !S_ISREG(status.st_mode))
        return refuse_because("table", path, kind_text(status.st_mode));
    return STATUS_DONE;
}

static int resolve_files(struct table_settings *table)
{
    int error;
    if (table->lock != NULL) {
        const char *path = path_of_object(table->lock, &error);
        if (path == NULL)
            return refuse("lock file", table->lock, error);
        table->lock = path;
        if (strcmp(path, table->path) == 0)
            return refuse_because("lock file", path, "is the table itself");
    }
    if (table->log != NULL && strcmp(table->log, "stderr") != 0) {
        const char *path = path_of_object(table->log, &error);
        if (path == NULL)
            return refuse("log file", table->log, error);
        table->log = path;
    }
    return STATUS_DONE;
}

/* Opens the lock file as the shim will: better to fail now than at the first touch. */
static int try_lock_file(const struct table_settings *table)
{
    char path[RESOLVE_SIZE];
    if (!resolve_lock_path(table, path))
        return refuse("lock file of table", table->path, ENAMETOOLONG);
    int descriptor = lock_open_file(path, table->path);
    if (descriptor < 0)
        return refuse("lock file", path, -descriptor);
    struct stat status = {0};
    int result = kernel_fstat(descriptor, &status);
    (void)kernel_close(descriptor);
    if (result == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
        return refuse_because("lock file", path, "is no regular file");
    return result == 0 ? STATUS_DONE : refuse("lock file", path, -result);
}

static int try_files(const struct table_settings *table)
{
    int status = try_lock_file(table);
    if (status != STATUS_DONE || table->log == NULL || strcmp(table->log, "stderr") == 0)
        return status;
    int descriptor =
        kernel_openat(AT_FDCWD, table->log,
                      O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666);
    if (descriptor < 0)
        return refuse("log file", table->log, -descriptor);
    (void)kernel_close(descriptor);
    return STATUS_DONE;
}

/* The section of the same table, or NULL. `paths` are those of the configuration, resolved. */
static const struct wanted_table *find_section(const struct config *config, char **paths,
                                               const char *path)
{
    for (size_t i = 0; i < config->count; i++)
        if (paths[i] != NULL && strcmp(paths[i], path) == 0)
            return &config->tables[i];
    return NULL;
}

static int make_table(struct tables *tables, const struct wanted_table *wanted,
                      const struct source *source, char **paths)
{
    struct table_settings *table = &tables->settings.tables[tables->settings.count];
    *table = settings_default();
    table->scope = source->scope;
    int status = resolve_table(table, wanted->path);
    if (status != STATUS_DONE)
        return status;
    const struct wanted_table *section = find_section(source->config, paths, table->path);
    if (section != NULL) {
        assignments_apply(&section->assignments, table);
        tables->eager = tables->eager || section->eager;
    }
    assignments_apply(&source->request->defaults, table);
    if (section != wanted)
        assignments_apply(&wanted->assignments, table);
    status = resolve_files(table);
    return status == STATUS_DONE && source->try_files ? try_files(table) : status;
}

static int compare_paths(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* A table named twice could have two meanings. */
static int refuse_twins(const struct settings *settings)
{
    const char **paths = reallocarray(NULL, settings->count + 1, sizeof *paths);
    if (paths == NULL)
        return refuse("table", settings->tables[0].path, ENOMEM);
    for (size_t i = 0; i < settings->count; i++)
        paths[i] = settings->tables[i].path;
    qsort(paths, settings->count, sizeof *paths, compare_paths);
    int status = STATUS_DONE;
    for (size_t i = 1; i < settings->count && status == STATUS_DONE; i++)
        if (strcmp(paths[i - 1], paths[i]) == 0)
            status = refuse_because("table", paths[i], "is named twice");
    free(paths);
    return status;
}

static int add_wanted(struct tables *tables, const struct source *source, char **paths)
{
    struct settings *settings = &tables->settings;
    const struct request *request = source->request;
    const struct wanted_table *wanted =
        request->table_count > 0 ? request->tables : source->config->tables;
    size_t count = request->table_count > 0 ? request->table_count : source->config->count;
    if (count > SETTINGS_TABLES_MAXIMUM) {
        complain("%zu tables are more than %d", count, SETTINGS_TABLES_MAXIMUM);
        return STATUS_SETTINGS;
    }
    for (size_t i = 0; i < count; i++) {
        settings->tables = grow(settings->tables, settings->count, sizeof *settings->tables);
        int status = make_table(tables, &wanted[i], source, paths);
        if (status != STATUS_DONE)
            return status;
        settings->count++;
    }
    return settings->count > 1 ? refuse_twins(settings) : STATUS_DONE;
}

static bool contains(const struct settings *settings, size_t count, const char *path)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(settings->tables[i].path, path) == 0)
            return true;
    return false;
}

/* The tables of an outer guard stay as they are, except those that were named anew. */
static int add_outer(struct settings *settings, char *const *environment)
{
    struct settings outer;
    const char *wrong = settings_from_environment(&outer, environment);
    if (wrong != NULL) {
        complain("%s", shown(wrong));
        return STATUS_SETTINGS;
    }
    size_t named = settings->count;
    for (size_t i = 0; i < outer.count; i++) {
        struct table_settings table = outer.tables[i];
        int status = resolve_table(&table, table.path);
        if (status == STATUS_DONE)
            status = resolve_files(&table);
        if (status != STATUS_DONE)
            return status;
        if (contains(settings, named, table.path))
            continue;
        settings->tables = grow(settings->tables, settings->count, sizeof *settings->tables);
        settings->tables[settings->count++] = table;
    }
    return STATUS_DONE;
}

/* The names in the configuration resolved, to be compared with those of the options. */
static char **resolve_sections(const struct config *config)
{
    char **paths = grow(NULL, 0, sizeof *paths);
    for (size_t i = 0; i < config->count; i++) {
        int error;
        paths = grow(paths, i, sizeof *paths);
        paths[i] = path_of_object(config->tables[i].path, &error);
    }
    return paths;
}

int tables_collect(struct tables *tables, const struct source *source)
{
    tables->eager = source->request->eager;
    char **paths = resolve_sections(source->config);
    int status = add_wanted(tables, source, paths);
    if (status == STATUS_DONE && source->outer != NULL)
        status = add_outer(&tables->settings, source->outer);
    free(paths);
    return status;
}
