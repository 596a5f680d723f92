/*
 * Which paths are tables: 10,000 of them set up, disguises, nesting, what belongs to the locks and
 * not to the tables, and what can't be a table. One set for all: it is set up once in a process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/descriptors.h"
#include "shim/lock/resolve.h"
#include "shim/tables.h"
#include "tests/unit/remove_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 10000 };

static char directory[64] = "/tmp/lockshim-tables-XXXXXX";

static const char *in(const char *name)
{
    static char paths[16][256];
    static unsigned next;
    char *path = paths[next++ % 16];
    (void)snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static void make_file(const char *path)
{
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(file >= 0);
    (void)close(file);
}

static int set_up(void **state)
{
    static struct table_settings list[MANY + 6];
    static char names[MANY][96];
    (void)state;
    if (mkdtemp(directory) == NULL || realpath(directory, names[0]) == NULL)
        return -1;
    (void)strcpy(directory, names[0]);
    for (const char *const *at =
             (const char *const[]){"T", "T/sub", "T/sub/inner", "O", "O/deep", NULL};
         *at != NULL; at++)
        assert_int_equal(mkdir(in(*at), 0755), 0);
    make_file(in("T/file"));
    make_file(in("O/one.db"));
    assert_int_equal(symlink("T", in("alias")), 0);
    assert_int_equal(symlink("../T/file", in("O/into")), 0);
    assert_int_equal(symlink(in("O"), in("T/away")), 0);
    assert_int_equal(symlink("loop", in("O/loop")), 0);
    struct settings settings = {list, MANY + 5};
    const char *const paths[] = {"alias", "T/sub/inner", "O/one.db", "O/not/yet", "T"};
    for (int i = 0; i < MANY + 5; i++) {
        list[i] = settings_default();
        if (i < 5) {
            list[i].path = strdup(in(paths[i]));
        } else {
            (void)snprintf(names[i - 5], sizeof names[0], "%s/many/table-%d", directory, i - 5);
            list[i].path = names[i - 5];
        }
    }
    list[1].lock = strdup(in("T/locks"));
    list[4].scope = SCOPE_CALL; /* the same table as "alias", which comes first and counts */
    list[MANY + 4].exempt = "unit";
    const char *wrong = tables_set_up(&settings, "unit");
    if (wrong != NULL)
        fail_msg("%s", wrong);
    return 0;
}

static int clean_up(void **state)
{
    (void)state;
    return remove_tree(directory);
}

static void test_set_up(void **state)
{
    (void)state;
    /* One is named twice, one is exempt. */
    assert_int_equal(tables_count, MANY + 3);
    assert_string_equal(tables_get(0)->path, in("T"));
    assert_string_equal(tables_get(0)->lock->path, in("T.lock"));
    assert_int_equal(tables_get(0)->settings.scope, SCOPE_PROCESS);
    assert_string_equal(tables_get(1)->lock->path, in("T/locks"));
    assert_string_equal(tables_get(3)->path, in("O/not/yet"));
    assert_ptr_equal(tables_lock_at(in("T.lock")), tables_get(0)->lock);
    assert_null(tables_lock_at(in("T.loc")));
    assert_null(tables_lock_at(in("T.lock2")));
}

/* What a path is; the index of the table, or -1. */
static int whose(int at, const char *path, bool follow)
{
    struct place exact = tables_find_exactly(at, path, follow);
    for (int i = 0; i < 2; i++) { /* the second time from the cache */
        struct place quick = tables_find(at, path, follow);
        if (quick.table != exact.table && !quick.may_be_link)
            fail_msg("%s: %s by the cache, %s without it", path,
                     quick.table != NULL ? quick.table->path : "nobody's",
                     exact.table != NULL ? exact.table->path : "nobody's");
        if (quick.table != NULL && quick.table == exact.table && !quick.may_be_link &&
            quick.key != exact.key)
            fail_msg("%s: two keys", path);
    }
    return exact.table != NULL ? (int)exact.table->index : -1;
}

#define WHOSE(path, expected)                                                                      \
    do {                                                                                           \
        int found = whose(AT_FDCWD, path, true);                                                   \
        if (found != (expected))                                                                   \
            fail_msg("%s belongs to %d, not to %d", path, found, expected);                        \
    } while (0)

static void test_disguises(void **state)
{
    (void)state;
    WHOSE(in("T"), 0);
    WHOSE(in("T/"), 0);
    WHOSE(in("T/."), 0);
    WHOSE(in("T/file"), 0);
    WHOSE(in("T//file"), 0);
    WHOSE(in("T/sub/../file"), 0);
    WHOSE(in("T/sub/.."), 0);
    WHOSE(in("O/../T/file"), 0);
    WHOSE(in("alias"), 0);
    WHOSE(in("alias/file"), 0);
    WHOSE(in("O/into"), 0);
    WHOSE(in("T/new"), 0);
    WHOSE(in("T/no/such/directory"), 0);
    WHOSE(in("T/.."), -1);
    WHOSE(in("T/../O"), -1);
    WHOSE(in("T/away"), -1);
    WHOSE(in("T/away/one.db"), 2);
    WHOSE(in("T/away/other"), -1);
    WHOSE(in("O"), -1);
    WHOSE(in("T2"), -1);
    WHOSE(in("T2/file"), -1);
    WHOSE(in("TT"), -1);
    WHOSE(in("Tfile"), -1);
    WHOSE("/", -1);
    WHOSE("/etc/passwd", -1);
    WHOSE("", -1);
    assert_int_equal(whose(AT_FDCWD, in("O/into"), false), -1);
    assert_int_equal(whose(AT_FDCWD, in("T/away"), false), 0);
    assert_int_equal(whose(AT_FDCWD, in("T/away/"), false), -1);
}

static void test_nesting_and_files(void **state)
{
    (void)state;
    WHOSE(in("T/sub"), 0);
    WHOSE(in("T/sub/inner"), 1);
    WHOSE(in("T/sub/inner/x/y"), 1);
    WHOSE(in("T/sub/inner2"), 0);
    WHOSE(in("T/sub/inne"), 0);
    WHOSE(in("O/one.db"), 2);
    WHOSE(in("O/one.db.new"), -1);
    WHOSE(in("O/one.d"), -1);
    WHOSE(in("O/deep/../one.db"), 2);
    WHOSE(in("O/not/yet"), 3);
    WHOSE(in("O/not/yet/file"), 3);
    WHOSE(in("O/not"), -1);
    /* It comes to be. */
    assert_int_equal(mkdir(in("O/not"), 0755), 0);
    assert_int_equal(mkdir(in("O/not/yet"), 0755), 0);
    tables_forget_cache();
    WHOSE(in("O/not/yet"), 3);
    WHOSE(in("O/not/yet/file"), 3);
    WHOSE(in("O/not/file"), -1);
}

static void test_apparatus(void **state)
{
    (void)state;
    WHOSE(in("T/locks"), -1);
    WHOSE(in("T/locks.registry"), -1);
    WHOSE(in("T/locks.registry.12.ab"), -1);
    WHOSE(in("T/locks.undo"), -1);
    WHOSE(in("T/locks.undo/file"), -1);
    WHOSE(in("T/locks.undone"), 0);
    WHOSE(in("T/locks2"), 0);
    WHOSE(in("T/lock"), 0);
    WHOSE(in("T/x.registry"), 0);
    WHOSE(in("T/x.undo/y"), 0);
    /* A name like an apparatus's further up hides nothing. */
    WHOSE(in("T/x.registry.d/locks"), 0);
    WHOSE(in("T.lock"), -1);
    WHOSE(in("T.lock.registry"), -1);
}

static void test_many(void **state)
{
    char name[64];
    (void)state;
    for (int i = 0; i < MANY - 1; i += 37) {
        (void)snprintf(name, sizeof name, "many/table-%d", i);
        WHOSE(in(name), i + 4);
        (void)strcat(name, "/file");
        WHOSE(in(name), i + 4);
        (void)snprintf(name, sizeof name, "many/table-%dx", i);
        WHOSE(in(name), -1);
    }
    (void)snprintf(name, sizeof name, "many/table-%d", MANY - 1);
    WHOSE(in(name), -1);
}

/* The path asked about before is what the quickest answer goes by: any two, one after the other. */
static void test_one_after_the_other(void **state)
{
    static const char *const pieces[] = {
        "T",          "TT", "T2", "O", "file",  "sub", "inner", "one.db", "not", "into",  "alias",
        "locks.undo", "..", ".",  "",  ".file", "O/",  "T/O",   "away",   "x",   "T.lock"};
    enum { PIECES = sizeof pieces / sizeof *pieces, PAIRS = 8000 };
    char path[2][512];
    int here = open(".", O_PATH | O_CLOEXEC);
    unsigned random = 1;
    (void)state;
    assert_int_equal(mkdir(in("T/locks.undo"), 0755), 0);
    assert_int_equal(chdir(directory), 0);
    tables_forget_cache();
    for (int pair = 0; pair < PAIRS; pair++) {
        for (int i = 0; i < 2; i++) {
            char *end =
                stpcpy(path[i], (random = random * 1103515245u + 12345u) >> 30 ? in("") : "");
            for (unsigned parts = (random >> 20) % 4 + 1; parts != 0; parts--) {
                random = random * 1103515245u + 12345u;
                end = stpcpy(end, pieces[(random >> 16) % PIECES]);
                end = stpcpy(end, parts > 1 ? "/" : "");
            }
        }
        (void)tables_find(AT_FDCWD, path[0], true);
        (void)whose(AT_FDCWD, path[1], (random >> 29 & 1) != 0);
    }
    WHOSE(in("T/locks.undo/x"), -1);
    assert_int_equal(whose(AT_FDCWD, in("T/locks.undo/.."), false), 0);
    assert_int_equal(fchdir(here), 0);
    tables_forget_cache();
    assert_int_equal(close(here), 0);
    assert_int_equal(rmdir(in("T/locks.undo")), 0);
}

static void test_descriptors(void **state)
{
    char path[64];
    (void)state;
    int table = open(in("T"), O_RDONLY | O_CLOEXEC), outside = open(directory, O_PATH | O_CLOEXEC);
    int file = open(in("T/file"), O_RDONLY | O_CLOEXEC);
    assert_true(descriptor_set(table, 1, 0)); /* as the shim does with all that it opens */
    assert_int_equal(whose(table, "file", true), 0);
    assert_int_equal(whose(table, "../T", true), 0);
    assert_int_equal(whose(table, "..", true), -1);
    assert_int_equal(whose(table, "sub/inner/x", true), 1);
    assert_int_equal(whose(table, in("O/one.db"), true), 2);
    assert_int_equal(whose(outside, "T", true), 0);
    assert_int_equal(whose(outside, "T/file", true), 0);
    assert_int_equal(whose(outside, "alias", true), 0);
    assert_int_equal(whose(outside, "O", true), -1);
    assert_int_equal(whose(999, "T", true), -1);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    WHOSE(path, 0);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d/sub/inner", table);
    WHOSE(path, 1);
    assert_ptr_equal(tables_find_descriptor(file).table, tables_get(0));
    assert_int_equal(tables_find_descriptor(file).key,
                     tables_find_exactly(AT_FDCWD, in("alias/file"), true).key);
    assert_null(tables_find_descriptor(outside).table);
    assert_null(tables_find_descriptor(999).table);
    /* Removed while open: still the table's. */
    assert_int_equal(unlink(in("T/file")), 0);
    assert_ptr_equal(tables_find_descriptor(file).table, tables_get(0));
    make_file(in("T/file"));
    (void)descriptor_take(table);
    (void)close(table);
    (void)close(outside);
    (void)close(file);
}

static void test_working_directory(void **state)
{
    (void)state;
    int before = open(".", O_PATH | O_CLOEXEC);
    assert_int_equal(chdir(in("T/sub")), 0);
    tables_forget_cache();
    WHOSE("file", 0);
    WHOSE("inner", 1);
    WHOSE(".", 0);
    WHOSE("../..", -1);
    WHOSE("../../O/one.db", 2);
    assert_int_equal(chdir(in("O")), 0);
    tables_forget_cache();
    WHOSE("one.db", 2);
    WHOSE("inner", -1);
    assert_int_equal(fchdir(before), 0);
    tables_forget_cache();
    (void)close(before);
}

/* As deep as is remembered, just below and beyond, in a table and beside it. */
static void test_deep(void **state)
{
    static const size_t lengths[] = {200, 300, 470, 479, 480, 481, 490, 900};
    static const char *const roots[] = {"T", "O"};
    (void)state;
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        for (size_t j = 0; j < sizeof lengths / sizeof *lengths; j++) {
            char path[1024];
            size_t length = (size_t)snprintf(path, sizeof path, "%s", in(roots[i]));
            while (length < lengths[j] - 2) {
                memcpy(path + length, "/d", 3);
                length += 2;
                assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
            }
            if (length < lengths[j] - 1)
                memcpy(path + length++, "/", 2);
            memcpy(path + length, "/file", 6); /* so many bytes before the name, with the slash */
            WHOSE(path, i == 0 ? 0 : -1);
        }
    }
}

static void test_resolving(void **state)
{
    char result[RESOLVE_SIZE], path[6000];
    (void)state;
    assert_false(resolve_path(AT_FDCWD, in("O/loop"), true, result));
    assert_true(resolve_path(AT_FDCWD, in("O/loop"), false, result));
    assert_string_equal(result, in("O/loop"));
    assert_true(resolve_path(AT_FDCWD, in("alias/no/such/../x"), true, result));
    assert_true(resolve_path(AT_FDCWD, "/", true, result));
    assert_string_equal(result, "/");
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[4095] = '\0';
    assert_true(resolve_path(AT_FDCWD, path, true, result));
    path[4095] = 'x';
    path[4096] = '\0';
    assert_false(resolve_path(AT_FDCWD, path, true, result));
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_false(resolve_descriptor(ends[0], result));
    assert_false(resolve_path(ends[0], "x", true, result));
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* In a child each: tables are set up once in a process. */
static void assert_refused(const char *table, const char *lock, const char *naming)
{
    struct table_settings list[1] = {settings_default()};
    struct settings settings = {list, 1};
    list[0].path = table;
    list[0].lock = lock;
    pid_t child = fork();
    if (child == 0) {
        tables_count = 0;
        const char *wrong = tables_set_up(&settings, "unit");
        _exit(wrong == NULL ? 1 : strstr(wrong, naming) == NULL || strchr(wrong, '\n') ? 2 : 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status != 0)
        fail_msg("table %s: %s", table,
                 WEXITSTATUS(status) == 1 ? "is taken" : "the message is not right");
}

static void test_no_tables(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)state;
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", in("O/socket"));
    assert_int_equal(bind(server, (struct sockaddr *)&address, sizeof address), 0);
    (void)close(server);
    assert_int_equal(mkfifo(in("O/fifo"), 0600), 0);
    assert_refused(in("O/socket"), NULL, "socket");
    assert_refused(in("O/fifo"), NULL, "fifo");
    assert_refused("/dev/null", NULL, "/dev/null");
    assert_refused("/", NULL, "root");
    assert_refused(in("O/loop"), NULL, "loop");
    assert_refused(in("O/deep"), in("O/deep"), "itself");
    char *path = malloc(5000);
    assert_non_null(path);
    memset(path, 'x', 5000);
    path[0] = '/';
    path[4096] = '\0';
    assert_refused(path, NULL, "table");
    path[4095] = '\0';
    assert_refused(path, NULL, "lock file");
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_up),
        cmocka_unit_test(test_disguises),
        cmocka_unit_test(test_nesting_and_files),
        cmocka_unit_test(test_apparatus),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_one_after_the_other),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_working_directory),
        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_resolving),
        cmocka_unit_test(test_no_tables),
    };
    return cmocka_run_group_tests_name("tables", tests, set_up, clean_up);
}
