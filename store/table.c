/* table.c: creating, opening, refreshing, closing and destroying tables.
 * Opening must never depend on the number of records, nor keep anything about them in memory. */
#include "store/table.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#ifndef TABLESTORE_VERSION
#define TABLESTORE_VERSION "0"
#endif

const char *tablestore_version(void)
{
    return TABLESTORE_VERSION;
}

static int open_directory(const char *path, struct tablestore_error *error)
{
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0 && (errno == ENOENT || errno == ENOTDIR))
        record_failure(error, TABLESTORE_NOT_FOUND, path, -1, "there is no such table");
    else if (directory < 0)
        record_system_failure(error, path, "cannot open");
    return directory;
}

/* ---- Creating ---- */

static bool create_files(int directory, const struct schema *schema, struct tablestore_error *error)
{
    struct bytes info = {0}, defaults = {0}, nothing = {0};
    bool done = (schema_write_info(schema, &info) && schema_write_defaults(schema, &defaults)) ||
                memory_failure(error);
    for (size_t i = 0; done && i < schema->count; i++)
        done = file_store(directory, schema->fields[i].name, &nothing, true, error);
    static const char *const empty[] = {FILE_SLOTS, FILE_IDS, FILE_DEAD_ROWS};
    for (size_t i = 0; done && i < sizeof empty / sizeof *empty; i++)
        done = file_store(directory, empty[i], &nothing, true, error);
    /* __info__ last: with it the directory becomes a table. */
    done = done && file_store(directory, FILE_DEFAULTS, &defaults, true, error) &&
           file_store(directory, FILE_INFO, &info, false, error);
    bytes_free(&info);
    bytes_free(&defaults);
    return done;
}

static bool make_schema(struct schema *schema, const struct tablestore_field *fields, size_t count,
                        struct tablestore_error *error)
{
    if (!schema_start(schema, error))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!schema_check_name(fields[i].name, error) ||
            !schema_insert(schema, schema->count, &fields[i], error))
            return false;
    for (size_t i = 0; i < count; i++)
        if (fields[i].type == TABLESTORE_REFERENCE &&
            !reference_check(&fields[i], &fields[i].default_value, error))
            return false;
    return true;
}

bool table_create(const char *path, const struct schema *schema, struct tablestore_error *error)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return system_failure(error, path, "cannot make the directory");
    int directory = open_directory(path, error);
    if (directory < 0)
        return false;
    bool done = faccessat(directory, FILE_INFO, F_OK, AT_SYMLINK_NOFOLLOW) != 0 ||
                failure(error, TABLESTORE_EXISTS, path, -1, "there is already a table");
    done = done && create_files(directory, schema, error);
    close(directory);
    return done;
}

bool tablestore_create(const char *path, const struct tablestore_field *fields, size_t field_count,
                       struct tablestore_error *error)
{
    struct schema schema = {0};
    bool done =
        make_schema(&schema, fields, field_count, error) && table_create(path, &schema, error);
    schema_free(&schema);
    return done;
}

/* ---- Opening ---- */

static void close_files(tablestore *table)
{
    for (size_t i = 0; table->files != NULL && i < table->schema.count; i++)
        if (table->files[i] >= 0)
            close(table->files[i]);
    free(table->files);
    table->files = NULL;
    int *indexes[] = {&table->slots, &table->ids, &table->dead_rows};
    for (size_t i = 0; i < sizeof indexes / sizeof *indexes; i++) {
        if (*indexes[i] >= 0)
            close(*indexes[i]);
        *indexes[i] = -1;
    }
}

static bool open_files(tablestore *table, struct tablestore_error *error)
{
    int flags = table->writable ? O_RDWR : O_RDONLY;
    table->counted_size = -1;
    if (!file_identify(table->directory, FILE_SLOTS, &table->slots_identity))
        return failure(error, TABLESTORE_DAMAGED, FILE_SLOTS, -1, "the file is missing");
    table->files = malloc(table->schema.count * sizeof *table->files);
    if (table->files == NULL)
        return memory_failure(error);
    for (size_t i = 0; i < table->schema.count; i++)
        table->files[i] = -1;
    for (size_t i = 0; i < table->schema.count; i++) {
        table->files[i] = file_open(table->directory, table_field_name(table, i), flags, error);
        if (table->files[i] < 0)
            return false;
    }
    return (table->slots = file_open(table->directory, FILE_SLOTS, flags, error)) >= 0 &&
           (table->ids = file_open(table->directory, FILE_IDS, flags, error)) >= 0 &&
           (table->dead_rows = file_open(table->directory, FILE_DEAD_ROWS, flags, error)) >= 0;
}

static bool load_schema(tablestore *table, struct tablestore_error *error)
{
    struct bytes info = {0}, defaults = {0};
    if (!file_identify(table->directory, FILE_INFO, &table->info_identity))
        return failure(error, TABLESTORE_NOT_FOUND, FILE_INFO, -1,
                       "the file is missing: not a table");
    if (!file_identify(table->directory, FILE_DEFAULTS, &table->defaults_identity))
        return failure(error, TABLESTORE_DAMAGED, FILE_DEFAULTS, -1, "the file is missing");
    bool done = file_load(table->directory, FILE_INFO, &info, error) &&
                file_load(table->directory, FILE_DEFAULTS, &defaults, error) &&
                schema_read(&table->schema, &info, &defaults, error);
    bytes_free(&info);
    bytes_free(&defaults);
    return done;
}

bool table_reopen(tablestore *table, struct schema *schema, struct tablestore_error *error)
{
    close_files(table);
    if (schema != NULL) {
        schema_free(&table->schema);
        table->schema = *schema;
        *schema = (struct schema){0};
    }
    if (!file_identify(table->directory, FILE_INFO, &table->info_identity) ||
        !file_identify(table->directory, FILE_DEFAULTS, &table->defaults_identity))
        return failure(error, TABLESTORE_STALE, NULL, -1, "the table is gone");
    return open_files(table, error);
}

static bool recover(tablestore *table, struct tablestore_error *error)
{
    if (table->writable)
        return replace_recover(table->directory, error);
    return !replace_pending(table->directory) ||
           failure(
               error, TABLESTORE_DAMAGED, REPLACE_LIST, -1,
               "a change of the whole table was interrupted; opening it for writing finishes it");
}

tablestore *tablestore_open(const char *path, enum tablestore_mode mode,
                            struct tablestore_error *error)
{
    tablestore *table = malloc(sizeof *table);
    if (table == NULL) {
        record_memory_failure(error);
        return NULL;
    }
    *table = (tablestore){.writable = mode == TABLESTORE_WRITE,
                          .slots = -1,
                          .ids = -1,
                          .dead_rows = -1,
                          .directory = open_directory(path, error)};
    struct sizes *sizes = NULL;
    if (table->directory >= 0 && recover(table, error) && load_schema(table, error) &&
        open_files(table, error) && (sizes = table_measure(table, error)) != NULL) {
        free(sizes);
        return table;
    }
    tablestore_close(table);
    return NULL;
}

void tablestore_close(tablestore *table)
{
    if (table == NULL)
        return;
    close_files(table);
    schema_free(&table->schema);
    if (table->directory >= 0)
        close(table->directory);
    free(table);
}

/* ---- Refreshing ---- */

static bool reload_defaults(tablestore *table, struct tablestore_error *error)
{
    struct bytes defaults = {0};
    bool done = file_load(table->directory, FILE_DEFAULTS, &defaults, error) &&
                schema_read_defaults(&table->schema, &defaults, error);
    bytes_free(&defaults);
    return done;
}

bool table_refresh(tablestore *table, struct tablestore_error *error)
{
    struct file_identity now;
    if (table->files == NULL)
        return failure(error, TABLESTORE_STALE, NULL, -1, "the table has to be opened again");
    if (!file_identify(table->directory, FILE_INFO, &now))
        return failure(error, TABLESTORE_STALE, NULL, -1, "the table was destroyed meanwhile");
    if (!file_identity_equal(&now, &table->info_identity))
        return failure(error, TABLESTORE_STALE, FILE_INFO, -1,
                       "the fields of the table were changed meanwhile: open it again");
    if (!file_identify(table->directory, FILE_DEFAULTS, &now))
        return failure(error, TABLESTORE_DAMAGED, FILE_DEFAULTS, -1, "the file is missing");
    if (!file_identity_equal(&now, &table->defaults_identity)) {
        table->defaults_identity = now;
        if (!reload_defaults(table, error))
            return false;
    }
    if (!file_identify(table->directory, FILE_SLOTS, &now))
        return failure(error, TABLESTORE_DAMAGED, FILE_SLOTS, -1, "the file is missing");
    if (now.device != table->slots_identity.device || now.inode != table->slots_identity.inode)
        return table_reopen(table, NULL, error);
    return true;
}

bool table_refresh_for_writing(tablestore *table, struct tablestore_error *error)
{
    if (!table->writable)
        return failure(error, TABLESTORE_ARGUMENT, NULL, -1,
                       "the table was opened for reading only");
    return table_refresh(table, error);
}

const struct tablestore_field *tablestore_fields(const tablestore *table, size_t *count)
{
    *count = table->schema.count;
    return table->schema.fields;
}

/* ---- Destroying and committing ---- */

/* Every file of the directory, as Buzhug does, because nothing tells the files of dropped fields
 * from others; __info__ last, so that what was interrupted can be repeated. A directory among them
 * stops it before anything is removed. */
static bool remove_files(int directory, bool really, struct tablestore_error *error)
{
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = copy < 0 ? NULL : fdopendir(copy);
    if (entries == NULL) {
        if (copy >= 0)
            close(copy);
        return system_failure(error, NULL, "cannot list the directory");
    }
    const struct dirent *entry;
    bool done = true;
    while (done && (entry = readdir(entries)) != NULL) {
        const char *name = entry->d_name;
        struct stat status;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, FILE_INFO) == 0)
            continue;
        if (!really && fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISDIR(status.st_mode))
            done = failure(error, TABLESTORE_EXISTS, name, -1, "a directory, which is no table's");
        else if (really && unlinkat(directory, name, 0) != 0 && errno != ENOENT)
            done = system_failure(error, name, "cannot remove");
    }
    closedir(entries);
    return done;
}

bool tablestore_destroy(const char *path, struct tablestore_error *error)
{
    int directory = open_directory(path, error);
    if (directory < 0)
        return false;
    bool done = faccessat(directory, FILE_INFO, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
                failure(error, TABLESTORE_NOT_FOUND, path, -1, "there is no table");
    done = done && remove_files(directory, false, error) && remove_files(directory, true, error);
    if (done && unlinkat(directory, FILE_INFO, 0) != 0)
        done = system_failure(error, FILE_INFO, "cannot remove");
    if (done && rmdir(path) != 0)
        done = system_failure(error, path, "cannot remove the directory");
    close(directory);
    return done;
}

bool tablestore_commit(tablestore *table, struct tablestore_error *error)
{
    if (!table_refresh(table, error))
        return false;
    for (size_t i = 0; i < table->schema.count; i++)
        if (fsync(table->files[i]) != 0)
            return system_failure(error, table_field_name(table, i), "cannot write to the disk");
    if (fsync(table->slots) != 0 || fsync(table->ids) != 0 || fsync(table->dead_rows) != 0 ||
        fsync(table->directory) != 0)
        return system_failure(error, FILE_SLOTS, "cannot write to the disk");
    return true;
}
