/*
 * From words to lock files. Nothing is opened for writing or made; a word that means nothing is a
 * mistake, told before anything is printed.
 */
#include "lockctl/inspect/targets.h"

#include "lockctl/config.h"
#include "lockctl/lockctl.h"
#include "lockctl/paths.h"
#include "lockctl/tables.h"
#include "shim/lock/kernel.h"
#include "shim/lock/resolve.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOCK_ENDING ".lock"
#define REGISTRY_ENDING ".registry"

static bool exists(const char *path, mode_t kind)
{
    struct stat status;
    return kernel_fstatat(AT_FDCWD, path, &status, 0) == 0 &&
           (kind == 0 || (status.st_mode & S_IFMT) == kind);
}

static bool exists_with(const char *path, const char *ending)
{
    char longer[RESOLVE_SIZE + sizeof REGISTRY_ENDING];
    struct stat status;
    return (size_t)snprintf(longer, sizeof longer, "%s%s", path, ending) < sizeof longer &&
           kernel_fstatat(AT_FDCWD, longer, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool ends_in(const char *path, const char *ending)
{
    size_t length = strlen(path);
    size_t size = strlen(ending);
    return length > size && strcmp(path + length - size, ending) == 0;
}

/* Several tables may have one lock: it is one target. */
static void add(struct targets *targets, const char *lock_path, const char *table)
{
    for (size_t i = 0; i < targets->count; i++)
        if (strcmp(targets->items[i].lock_path, lock_path) == 0)
            return;
    targets->items = grow(targets->items, targets->count, sizeof *targets->items);
    targets->items[targets->count++] = (struct target){.lock_path = lock_path, .table = table};
}

/* What may be held though it is no lock file, or none any more. */
static void guess(struct targets *targets, const char *lock_path, const char *missing)
{
    size_t before = targets->count;
    add(targets, lock_path, NULL);
    if (targets->count == before)
        return;
    targets->items[before].if_held = true;
    targets->items[before].missing = missing;
}

int targets_refuse_missing(const char *word)
{
    complain("there is neither a table nor a lock file '%s'", shown(word));
    return STATUS_SETTINGS;
}

static bool is_lock_file(const char *path)
{
    if (exists_with(path, REGISTRY_ENDING) || ends_in(path, LOCK_ENDING))
        return true;
    return exists(path, S_IFREG) && !exists_with(path, LOCK_ENDING);
}

static int add_lock_file(struct targets *targets, const char *word, const char *path)
{
    if (exists(path, 0) || exists_with(path, REGISTRY_ENDING)) {
        add(targets, path, NULL);
        return STATUS_DONE;
    }
    if (targets->guess) {
        guess(targets, path, word);
        return STATUS_DONE;
    }
    complain("there is no lock file '%s'", shown(word));
    return STATUS_SETTINGS;
}

static int add_unconfigured(struct targets *targets, const char *word, const char *path)
{
    if (is_lock_file(path))
        return add_lock_file(targets, word, path);
    char lock_path[RESOLVE_SIZE];
    struct table_settings table = settings_default();
    table.path = path;
    if (!resolve_lock_path_of(&table, path, lock_path)) {
        complain("lock file of table '%s': %s", shown(word), strerror(ENAMETOOLONG));
        return STATUS_SETTINGS;
    }
    if (exists(path, 0) || exists(lock_path, 0) || exists_with(lock_path, REGISTRY_ENDING)) {
        add(targets, copy_text(lock_path), path);
        if (targets->guess && exists(path, S_IFDIR))
            guess(targets, path, NULL);
        return STATUS_DONE;
    }
    if (!targets->guess)
        return targets_refuse_missing(word);
    guess(targets, path, word);
    guess(targets, copy_text(lock_path), word);
    return STATUS_DONE;
}

static int add_table(struct targets *targets, const struct table_settings *table)
{
    char lock_path[RESOLVE_SIZE];
    if (!resolve_lock_path_of(table, table->path, lock_path)) {
        complain("lock file of table '%s': %s", shown(table->path), strerror(ENAMETOOLONG));
        return STATUS_SETTINGS;
    }
    add(targets, copy_text(lock_path), table->path);
    return STATUS_DONE;
}

static int add_word(struct targets *targets, const char *word, const struct settings *settings)
{
    int error;
    const char *path = path_of_object(word, &error);
    if (path == NULL) {
        complain("'%s': %s", shown(word), word[0] == '\0' ? "is empty" : strerror(error));
        return word[0] == '\0' ? STATUS_SETTINGS : status_of_error(error);
    }
    for (size_t i = 0; i < settings->count; i++)
        if (strcmp(settings->tables[i].path, path) == 0)
            return add_table(targets, &settings->tables[i]);
    return add_unconfigured(targets, word, path);
}

int targets_collect(struct targets *targets, char **words, const char *config_path)
{
    static const struct request nothing_asked;
    static struct config config;
    static struct tables tables;
    config = (struct config){NULL, 0};
    tables = (struct tables){.settings = {NULL, 0}};
    int status = config_read(&config, config_path);
    if (status == STATUS_DONE)
        status = tables_collect(
            &tables, &(struct source){&nothing_asked, &config, NULL, SCOPE_PROCESS, false});
    for (size_t i = 0; status == STATUS_DONE && words[0] == NULL && i < tables.settings.count; i++)
        status = add_table(targets, &tables.settings.tables[i]);
    for (; status == STATUS_DONE && *words != NULL; words++)
        status = add_word(targets, *words, &tables.settings);
    return status;
}

int targets_collect_held(struct targets *targets, char **words, const char *config)
{
    targets->guess = true;
    return targets_collect(targets, words, config);
}
