/* fuzz_table.c: any bytes as the files of a table. Nothing may crash, hang or leak; what verify
 * calls sound must open, read whole, take a record, and still be sound; what repair makes must be
 * sound.
 *
 * An input is a sequence of files: a byte (which file), two bytes of length, little-endian, and the
 * bytes. Fields are named after those of the sample tables; fuzz_corpus.py packs these. */
#include "store/tablestore.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const file_names[] = {"__info__",
                                         "__defaults__",
                                         "__pos__",
                                         "_id_pos",
                                         "__del_rows__",
                                         "__id__",
                                         "__version__",
                                         "name",
                                         "n",
                                         "x",
                                         "age",
                                         "note",
                                         "i",
                                         "f",
                                         "s",
                                         "u",
                                         "d",
                                         "dt",
                                         "t",
                                         "b",
                                         "k",
                                         "a",
                                         "added",
                                         "front",
                                         "c",
                                         "house",
                                         "address",
                                         "none",
                                         ".replace"};
#define FILE_NAME_COUNT (sizeof file_names / sizeof *file_names)

static char directory[64];

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* With all files: a schema may name any. */
static void remove_table(const char *path)
{
    DIR *entries = opendir(path);
    const struct dirent *entry;
    while (entries != NULL && (entry = readdir(entries)) != NULL)
        unlinkat(dirfd(entries), entry->d_name, 0);
    if (entries != NULL)
        closedir(entries);
    rmdir(path);
}

static void leave(void)
{
    rmdir(directory);
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count, (void)arguments;
    snprintf(directory, sizeof directory, "%s/store-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(directory) == NULL)
        abort();
    atexit(leave);
    return 0;
}

static void write_files(const char *path, const uint8_t *data, size_t size)
{
    char name[256];
    mkdir(path, 0700);
    while (size >= 3) {
        size_t length = (size_t)data[1] | (size_t)data[2] << 8;
        const char *file = file_names[data[0] % FILE_NAME_COUNT];
        data += 3;
        size -= 3;
        if (length > size)
            length = size;
        snprintf(name, sizeof name, "%s/%s", path, file);
        FILE *stream = fopen(name, "wb");
        if (stream == NULL)
            abort();
        fwrite(data, 1, length, stream);
        fclose(stream);
        data += length;
        size -= length;
    }
}

static bool look(void *context, const struct tablestore_record *record)
{
    char text[TABLESTORE_TEXT_SIZE];
    int64_t *last = context;
    for (size_t i = 0; i < record->count; i++)
        tablestore_value_format(&record->values[i], text);
    *last = record->id;
    return true;
}

static void check(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

static void use(const char *path, bool sound)
{
    struct tablestore_error error = {0};
    int64_t last = -1, count = 0, findings;
    tablestore *table = tablestore_open(path, TABLESTORE_WRITE, &error);
    check(table != NULL || !sound, "what is sound can be opened");
    check(table != NULL || error.message[0] != '\0', "a refusal says why");
    if (table == NULL)
        return;
    bool read = tablestore_each(table, look, &last, &error);
    check(read || !sound, "what is sound can be read");
    tablestore_record_free(tablestore_get(table, last < 0 ? 0 : last, &error));
    tablestore_condition *condition = tablestore_condition_parse(
        "__id__ > 1 or not (name ~ 'a|b' and n <= 3) or note is null", &error);
    tablestore_count(table, condition, &count, &error);
    tablestore_condition_free(condition);
    bool added = tablestore_insert(table, NULL, 0, &last, &error);
    check(added || !sound || error.status == TABLESTORE_NOT_FOUND, "what is sound takes a record");
    bool clean = tablestore_cleanup(table, &error);
    check(clean || !sound, "what is sound can be cleaned up");
    if (added)
        tablestore_delete(table, &last, 1, &error);
    tablestore_close(table);
    tablestore_verify(path, NULL, NULL, &findings, &error);
    check(findings == 0 || !sound, "what is sound stays sound");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char table[128], fixed[128];
    struct tablestore_error error = {0};
    struct tablestore_repair_summary summary;
    int64_t findings = 0;
    snprintf(table, sizeof table, "%s/t", directory);
    snprintf(fixed, sizeof fixed, "%s/fixed", directory);
    write_files(table, data, size);
    bool looked = tablestore_verify(table, NULL, NULL, &findings, &error);
    bool sound = looked && findings == 0;
    if (tablestore_repair(table, fixed, NULL, NULL, &summary, &error)) {
        tablestore_verify(fixed, NULL, NULL, &findings, &error);
        check(findings == 0, "what repair makes is sound");
        use(fixed, true);
    }
    use(table, sound);
    remove_table(table);
    remove_table(fixed);
    return 0;
}
