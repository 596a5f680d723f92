/* support.c: what the unit tests of the store share. It must leave no file behind. */
#include "tests/store/support.h"

#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>

static char test_directory[PATH_MAX], start_directory[PATH_MAX];

int enter_directory(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
    if (start_directory[0] == '\0' && getcwd(start_directory, sizeof start_directory) == NULL)
        return -1;
    snprintf(test_directory, sizeof test_directory, "%.200s/tablestore-XXXXXX", base);
    return mkdtemp(test_directory) == NULL || chdir(test_directory) != 0 ? -1 : 0;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status, (void)kind, (void)walk;
    return remove(path);
}

int leave_directory(void **state)
{
    (void)state;
    if (chdir(start_directory) != 0)
        return -1;
    return nftw(test_directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

char *read_file(const char *table, const char *file, size_t *length)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", table, file);
    FILE *stream = fopen(path, "rb");
    if (stream == NULL)
        fail_msg("cannot read %s", path);
    char *bytes = malloc(1 << 20);
    *length = fread(bytes, 1, 1 << 20, stream);
    fclose(stream);
    return bytes;
}

void write_file(const char *table, const char *file, const void *bytes, size_t length)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", table, file);
    FILE *stream = fopen(path, "wb");
    if (stream == NULL || fwrite(bytes, 1, length, stream) != length || fclose(stream) != 0)
        fail_msg("cannot write %s", path);
}

void copy_sample(const char *name)
{
    char command[PATH_MAX + 300];
    snprintf(command, sizeof command, "cp -R '%s/tests/store/tables/%s' . && chmod -R u+w '%s'",
             start_directory, name, name);
    if (system(command) != 0)
        fail_msg("cannot copy %s: the tests run from the top of the tree", name);
}

struct tablestore_value int_value(int64_t integer)
{
    return (struct tablestore_value){.type = TABLESTORE_INT, .integer = integer};
}

struct tablestore_value float_value(double real)
{
    return (struct tablestore_value){.type = TABLESTORE_FLOAT, .real = real};
}

struct tablestore_value bool_value(bool boolean)
{
    return (struct tablestore_value){.type = TABLESTORE_BOOL, .boolean = boolean};
}

struct tablestore_value text_value(enum tablestore_type type, const char *text)
{
    return (struct tablestore_value){.type = type, .text = {text, strlen(text)}};
}

struct tablestore_value null_value(enum tablestore_type type)
{
    return (struct tablestore_value){.type = type, .null = true};
}

struct tablestore_value parsed_value(enum tablestore_type type, const char *text)
{
    struct tablestore_error error;
    struct tablestore_value value;
    require(tablestore_value_parse(type, text, strlen(text), &value, &error));
    return value;
}

static bool print_finding(void *context, const struct tablestore_finding *finding)
{
    fprintf(stderr, "%s/%s: byte %lld: %s\n", (const char *)context, finding->file,
            (long long)finding->offset, finding->message);
    return true;
}

void assert_sound(const char *table)
{
    struct tablestore_error error;
    int64_t findings;
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%s", table);
    require(tablestore_verify(table, print_finding, name, &findings, &error));
    assert_int_equal(findings, 0);
}

int64_t count_findings(const char *table)
{
    struct tablestore_error error;
    int64_t findings;
    require(tablestore_verify(table, NULL, NULL, &findings, &error));
    return findings;
}
