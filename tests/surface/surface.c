/*
 * Runs every row once and judges it:
 *
 *     surface CONDITION AREA BESIDE LOCK RECORD
 *
 * The condition `record` (without the preload) writes down what libc does; every other condition
 * reads that, and says what must be the same and what must be refused. RECORD is the file.
 */
#include "tests/surface/surface.h"

#include "shim/lock/kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ERRNO_BEFORE = 77, RESULTS_MAXIMUM = 2000 };

/* What a condition makes of each kind of call. */
struct condition {
    const char *name;
    int error;             /* what refused calls fail with */
    enum kind refused;     /* this kind and beyond are refused; beyond CHANGE: none */
    bool holds_while_open; /* the lock is held while something is open, and free afterwards */
    bool free_afterwards;
};

static const struct condition conditions[] = {
    {"record", 0, CHANGE + 1, false, false},     {"same", 0, CHANGE + 1, false, false},
    {"session-free", 0, CHANGE + 1, true, true}, {"call-free", 0, CHANGE + 1, false, true},
    {"process-held", EAGAIN, ASK, false, false}, {"session-held", EAGAIN, READ, false, false},
    {"call-held", EAGAIN, CHANGE, false, false}, {"shared", EROFS, CHANGE, false, false},
};

struct result {
    char label[96];
    long value;
    int error;
    uint64_t change; /* 0: the files are as before */
};

static const char *lock_path;
static struct result recorded[RESULTS_MAXIMUM];
static int recorded_count;
static int passed, failed;

/* --- what rows are made of --- */

void note_probe(struct area *area)
{
    int error = errno;
    area->probed = true;
    area->held = fixture_lock_is_held(lock_path);
    errno = error;
}

long descriptor(struct area *area, int opened)
{
    if (opened < 0)
        return opened;
    note_probe(area);
    return close(opened) == 0 ? opened : -1000;
}

long stream(struct area *area, FILE *opened)
{
    if (opened == NULL)
        return -1;
    note_probe(area);
    int number = fileno(opened);
    return fclose(opened) == 0 ? number : -1000;
}

long directory(struct area *area, DIR *opened)
{
    if (opened == NULL)
        return -1;
    note_probe(area);
    int number = dirfd(opened);
    return closedir(opened) == 0 ? number : -1000;
}

long mapping(struct area *area, void *mapped, size_t size)
{
    if (mapped == MAP_FAILED)
        return -1;
    note_probe(area);
    return munmap(mapped, size) == 0 ? 0 : -1000;
}

long yes(const void *pointer)
{
    return pointer != NULL ? 0 : -1;
}

long error_number(int error)
{
    if (error == 0)
        return 0;
    if (errno != ERRNO_BEFORE)
        return -1000;
    errno = error;
    return -1;
}

long status_of(pid_t child)
{
    int status, error = errno;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1001;
    errno = error;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

long in_child(struct area *area, long (*call)(struct area *area))
{
    pid_t child = fork();
    if (child == 0) {
        long result = call(area);
        kernel_exit_group(result < 0 ? errno : 0);
    }
    long status = status_of(child);
    if (status <= 0 || status >= 256)
        return status;
    errno = (int)status;
    return -1;
}

/* --- the record --- */

static const struct result *find_recorded(const char *label)
{
    for (int i = 0; i < recorded_count; i++) {
        if (strcmp(recorded[i].label, label) == 0)
            return &recorded[i];
    }
    return NULL;
}

static void read_record(const char *path)
{
    FILE *file = fopen(path, "re");
    struct result *result = recorded;
    while (file != NULL && recorded_count < RESULTS_MAXIMUM &&
           fscanf(file, "%95s %ld %d %" SCNu64 "\n", result->label, &result->value, &result->error,
                  &result->change) == 4) {
        recorded_count++;
        result++;
    }
    if (file == NULL || recorded_count == 0) {
        fprintf(stderr, "surface: no record in %s\n", path);
        exit(2);
    }
    (void)fclose(file);
}

/* --- judging --- */

static void fail(const struct condition *condition, const struct result *got, const char *what)
{
    printf("FAIL %s %s: %s; result %ld, errno %d (%s), %s\n", condition->name, got->label, what,
           got->value, got->error, strerror(got->error),
           got->change == 0 ? "nothing changed" : "changed");
}

static bool judge(const struct condition *condition, const struct row *row, const struct area *area,
                  const struct result *got)
{
    char text[200];
    if (row->kind >= ASK && row->kind >= condition->refused) {
        if (got->value == -1 && got->error == condition->error && got->change == 0)
            return true;
        (void)snprintf(text, sizeof text, "expected -1 with errno %d and no effect",
                       condition->error);
        fail(condition, got, text);
        return false;
    }
    if (row->kind == EITHER && condition->error == EAGAIN && got->value == -1 &&
        got->error == EAGAIN && got->change == 0)
        return true;
    const struct result *libc = find_recorded(got->label);
    if (libc == NULL) {
        fail(condition, got, "is not in the record");
        return false;
    }
    if (libc->value != got->value || libc->error != got->error || libc->change != got->change) {
        (void)snprintf(text, sizeof text, "without the shim: result %ld, errno %d%s", libc->value,
                       libc->error, libc->change == got->change ? "" : ", other content");
        fail(condition, got, text);
        return false;
    }
    if (condition->holds_while_open && area->probed && row->kind >= READ && !area->held) {
        fail(condition, got, "the lock was not held while it was open");
        return false;
    }
    if (condition->free_afterwards && fixture_lock_is_held(lock_path)) {
        fail(condition, got, "the lock is still held afterwards");
        return false;
    }
    return true;
}

static void run(const struct condition *condition, const struct row *row, const char *base,
                const char *beside, FILE *record)
{
    struct area area;
    struct result got;
    (void)snprintf(got.label, sizeof got.label, "%s:%s", row->symbol, row->variant);
    char name[96];
    (void)snprintf(name, sizeof name, "%s.%s", row->symbol, row->variant);
    fixture_make(&area, base, beside, name);
    uint64_t before = fixture_digest(&area);
    (void)fflush(stdout);
    errno = ERRNO_BEFORE;
    got.value = row->call(&area);
    got.error = errno;
    uint64_t after = fixture_digest(&area);
    got.change = before == after ? 0 : after;
    fixture_close(&area);
    if (record != NULL)
        (void)(fprintf(record, "%s %ld %d %" PRIu64 "\n", got.label, got.value, got.error,
                       got.change) < 0 ||
               fflush(record) != 0);
    else if (judge(condition, row, &area, &got))
        passed++;
    else
        failed++;
}

/* --- is there a row for every symbol? --- */

static const char *const symbols[] = {
#define SYMBOL(name) #name,
#define EARLY(name) #name,
#define SINCE(name, minor) #name,
#include "shim/interpose/symbols.def"
#undef SYMBOL
#undef EARLY
#undef SINCE
};

extern const struct row *const __start_rows[], *const __stop_rows[];

static bool has_row(const char *symbol)
{
    // cppcheck-suppress comparePointers ; the bounds of one section
    for (const struct row *const *at = __start_rows; at < __stop_rows; at++) {
        if (strcmp((*at)->symbol, symbol) == 0)
            return true;
    }
    return false;
}

static void check_complete(void)
{
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        if (has_row(symbols[i])) {
            passed++;
            continue;
        }
        failed++;
        printf("FAIL complete %s: is interposed, but has no row\n", symbols[i]);
    }
}

int main(int count, char **arguments)
{
    if (count != 6) {
        fprintf(stderr, "usage: surface CONDITION AREA BESIDE LOCK RECORD\n");
        return 2;
    }
    const struct condition *condition = conditions;
    while (strcmp(condition->name, arguments[1]) != 0) {
        if (++condition == conditions + sizeof conditions / sizeof conditions[0])
            return 2;
    }
    lock_path = arguments[4];
    bool recording = condition == conditions;
    FILE *record = NULL;
    if (recording)
        record = fopen(arguments[5], "we");
    else
        read_record(arguments[5]);
    (void)KERNEL_CALL(SYS_umask, 022, 0, 0, 0, 0, 0);
    /* The same numbers everywhere: the record's own file stands high. */
    if (record != NULL) {
        FILE *high = fdopen(fcntl(fileno(record), F_DUPFD_CLOEXEC, 100), "w");
        (void)fclose(record);
        record = high;
    }
    /* `surface` may be run for one symbol alone, when a failure is looked into. */
    const char *only = getenv("SURFACE_ONLY");
    // cppcheck-suppress comparePointers ; the bounds of one section
    for (const struct row *const *at = __start_rows; at < __stop_rows; at++) {
        if (only == NULL || strcmp((*at)->symbol, only) == 0)
            run(condition, *at, arguments[2], arguments[3], record);
    }
    if (record != NULL)
        return fclose(record) == 0 ? 0 : 2;
    if (only == NULL)
        check_complete();
    printf("%s: %d passed, %d failed\n", condition->name, passed, failed);
    return failed == 0 ? 0 : 1;
}
