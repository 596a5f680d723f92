/* test_crash.c: a process that is killed at each of its writes, one after the other. What it leaves
 * is either the table before or after, or verify says that it is neither, and repair makes it sound
 * without loss of any other record. Linked so that every writing call of the store passes by here.
 */
#include "tests/store/support.h"

#include <fcntl.h>
#include <sys/wait.h>

/* The number of writing calls left before the process dies; -1: never. Odd and even deaths differ:
 * a write is done by half, or not at all. */
static int calls_left = -1;
static bool half;

ssize_t __real_pwrite(int file, const void *from, size_t length, off_t offset);
ssize_t __wrap_pwrite(int file, const void *from, size_t length, off_t offset);
int __real_renameat(int from_directory, const char *from, int to_directory, const char *to);
int __wrap_renameat(int from_directory, const char *from, int to_directory, const char *to);
int __real_unlinkat(int directory, const char *name, int flags);
int __wrap_unlinkat(int directory, const char *name, int flags);

static bool dies(void)
{
    return calls_left >= 0 && calls_left-- == 0;
}

ssize_t __wrap_pwrite(int file, const void *from, size_t length, off_t offset)
{
    if (!dies())
        return __real_pwrite(file, from, length, offset);
    if (half)
        __real_pwrite(file, from, length / 2, offset);
    _exit(9);
}

int __wrap_renameat(int from_directory, const char *from, int to_directory, const char *to)
{
    if (dies())
        _exit(9);
    return __real_renameat(from_directory, from, to_directory, to);
}

int __wrap_unlinkat(int directory, const char *name, int flags)
{
    if (dies())
        _exit(9);
    return __real_unlinkat(directory, name, flags);
}

/* ---- What a table holds, as text ---- */

struct dump {
    char text[16384];
    size_t length;
    int64_t without; /* a record that is left out */
};

static void put(struct dump *dump, const void *bytes, size_t length)
{
    if (dump->length + length < sizeof dump->text)
        memcpy(dump->text + dump->length, bytes, length);
    dump->length += length;
}

static bool dump_record(void *context, const struct tablestore_record *record)
{
    struct dump *dump = context;
    if (record->id == dump->without)
        return true;
    for (size_t i = 0; i < record->count; i++) {
        char text[TABLESTORE_TEXT_SIZE];
        const struct tablestore_value *value = &record->values[i];
        if (value->null)
            put(dump, "null", 4);
        else if (value->type == TABLESTORE_STR)
            put(dump, value->text.bytes, value->text.length);
        else
            put(dump, text, strlen(tablestore_value_format(value, text)));
        put(dump, "|", 1);
    }
    put(dump, "\n", 1);
    return true;
}

/* Of all records but one, and of the fields and defaults unless a record is left out. */
static void dump_table(const char *path, int64_t without, struct dump *dump)
{
    struct tablestore_error error;
    *dump = (struct dump){.without = without};
    tablestore *table = tablestore_open(path, TABLESTORE_READ, &error);
    require(table != NULL);
    const struct tablestore_order order = {"__id__", false};
    struct tablestore_query query = {.order = &order, .order_count = 1};
    require(tablestore_select(table, &query, dump_record, dump, &error));
    size_t count;
    const struct tablestore_field *fields = tablestore_fields(table, &count);
    for (size_t i = 0; without < 0 && i < count; i++) {
        char text[TABLESTORE_TEXT_SIZE];
        put(dump, fields[i].name, strlen(fields[i].name));
        put(dump, "=", 1);
        if (fields[i].type != TABLESTORE_STR)
            put(dump, text, strlen(tablestore_value_format(&fields[i].default_value, text)));
        put(dump, "\n", 1);
    }
    put(dump, "", 1);
    tablestore_close(table);
}

/* ---- The operations, all on record 3 where they are on one ---- */

static bool do_insert(tablestore *table, struct tablestore_error *error)
{
    const struct tablestore_assignment assignments[] = {
        {"name", text_value(TABLESTORE_STR, "inserted")}, {"age", int_value(1)}};
    return tablestore_insert(table, assignments, 2, NULL, error);
}

static bool do_update_in_place(tablestore *table, struct tablestore_error *error)
{
    const struct tablestore_assignment age = {"age", int_value(-5)};
    return tablestore_update(table, 3, TABLESTORE_ANY_VERSION, &age, 1, error);
}

static bool do_update_by_moving(tablestore *table, struct tablestore_error *error)
{
    const struct tablestore_assignment name = {"name", text_value(TABLESTORE_STR, "moved")};
    return tablestore_update(table, 3, TABLESTORE_ANY_VERSION, &name, 1, error);
}

static bool do_delete(tablestore *table, struct tablestore_error *error)
{
    return tablestore_delete(table, (int64_t[]){3}, 1, error);
}

static bool do_cleanup(tablestore *table, struct tablestore_error *error)
{
    return tablestore_cleanup(table, error);
}

static bool do_add_field(tablestore *table, struct tablestore_error *error)
{
    const struct tablestore_field field = {
        .name = "note", .type = TABLESTORE_STR, .default_value = text_value(TABLESTORE_STR, "n")};
    return tablestore_add_field(table, &field, "name", error);
}

static bool do_drop_field(tablestore *table, struct tablestore_error *error)
{
    return tablestore_drop_field(table, "name", error);
}

static bool do_set_default(tablestore *table, struct tablestore_error *error)
{
    const struct tablestore_value value = int_value(77);
    return tablestore_set_default(table, "age", &value, error);
}

/* A table with moved, dead and reused rows and slots. */
static void make_table(void)
{
    struct tablestore_error error;
    const struct tablestore_field fields[] = {
        {.name = "name", .type = TABLESTORE_STR, .default_value = {.null = true}},
        {.name = "age", .type = TABLESTORE_INT, .default_value = {.null = true}}};
    assert_int_equal(system("rm -rf t fixed"), 0);
    require(tablestore_create("t", fields, 2, &error));
    tablestore *table = tablestore_open("t", TABLESTORE_WRITE, &error);
    for (int i = 0; i < 8; i++) {
        char name[16];
        snprintf(name, sizeof name, "name %d", i);
        struct tablestore_assignment assignments[] = {{"name", text_value(TABLESTORE_STR, name)},
                                                      {"age", int_value(i)}};
        require(tablestore_insert(table, assignments, 2, NULL, &error));
        assignments[0].value.text.length--;
        if (i % 3 == 0)
            require(tablestore_update(table, i, 0, assignments, 1, &error));
    }
    require(tablestore_delete(table, (int64_t[]){2, 5}, 2, &error));
    tablestore_close(table);
}

typedef bool operation(tablestore *table, struct tablestore_error *error);

/* Runs the operation in a child that dies before its writing call of that number. True when the
 * child came to the end. */
static bool run_and_die(operation *act, int calls)
{
    pid_t child = fork();
    if (child == 0) {
        struct tablestore_error error;
        tablestore *table = tablestore_open("t", TABLESTORE_WRITE, &error);
        calls_left = calls;
        bool done = table != NULL && act(table, &error);
        _exit(done ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 9));
    return WEXITSTATUS(status) == 0;
}

static void repair_and_compare(int64_t touched, const struct dump *others)
{
    struct tablestore_error error;
    struct tablestore_repair_summary summary;
    struct dump dump;
    assert_int_equal(system("rm -rf fixed"), 0);
    require(tablestore_repair("t", "fixed", NULL, NULL, &summary, &error));
    assert_sound("fixed");
    dump_table("fixed", touched, &dump);
    assert_string_equal(dump.text, others->text);
}

/* An operation on one record. hybrid: it may leave that record half changed without a trace. */
static void kill_record_operation(operation *act, int64_t touched, bool hybrid)
{
    static struct dump before, after, others, now;
    struct tablestore_error error;
    make_table();
    dump_table("t", -1, &before);
    dump_table("t", touched, &others);
    assert_true(run_and_die(act, -1));
    dump_table("t", -1, &after);
    int deaths = 0;
    for (int calls = 0;; calls++) {
        make_table();
        half = calls % 2 == 1;
        if (run_and_die(act, calls / 2))
            break;
        deaths++;
        if (count_findings("t") == 0) {
            dump_table("t", -1, &now);
            if (!hybrid)
                assert_true(strcmp(now.text, before.text) == 0 ||
                            strcmp(now.text, after.text) == 0);
        }
        tablestore *table = tablestore_open("t", TABLESTORE_WRITE, &error);
        assert_true(table != NULL || error.status == TABLESTORE_DAMAGED);
        tablestore_close(table);
        repair_and_compare(touched, &others);
    }
    assert_true(deaths >= 4);
    assert_sound("t");
}

/* An operation on the whole table: opened for writing, it is as before or as after. */
static void kill_table_operation(operation *act)
{
    static struct dump before, after, now;
    struct tablestore_error error;
    make_table();
    dump_table("t", -1, &before);
    assert_true(run_and_die(act, -1));
    dump_table("t", -1, &after);
    int deaths = 0, old = 0, new = 0;
    for (int calls = 0;; calls++) {
        make_table();
        half = calls % 2 == 1;
        if (run_and_die(act, calls / 2))
            break;
        deaths++;
        tablestore *table = tablestore_open("t", TABLESTORE_WRITE, &error);
        require(table != NULL);
        tablestore_close(table);
        assert_sound("t");
        dump_table("t", -1, &now);
        old += strcmp(now.text, before.text) == 0;
        new += strcmp(now.text, after.text) == 0;
        assert_true(strcmp(now.text, before.text) == 0 || strcmp(now.text, after.text) == 0);
    }
    assert_true(deaths >= 4 && old > 0 && new > 0);
}

static void test_insert(void **state)
{
    (void)state;
    kill_record_operation(do_insert, 8, false);
}

static void test_update_in_place(void **state)
{
    (void)state;
    kill_record_operation(do_update_in_place, 3, true);
}

static void test_update_by_moving(void **state)
{
    (void)state;
    kill_record_operation(do_update_by_moving, 3, false);
}

static void test_delete(void **state)
{
    (void)state;
    kill_record_operation(do_delete, 3, false);
}

static void test_cleanup(void **state)
{
    (void)state;
    kill_table_operation(do_cleanup);
}

static void test_add_field(void **state)
{
    (void)state;
    kill_table_operation(do_add_field);
}

static void test_drop_field(void **state)
{
    (void)state;
    kill_table_operation(do_drop_field);
}

static void test_set_default(void **state)
{
    (void)state;
    kill_table_operation(do_set_default);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, enter_directory, leave_directory)
    const struct CMUnitTest tests[] = {
        TEST(test_insert),     TEST(test_update_in_place), TEST(test_update_by_moving),
        TEST(test_delete),     TEST(test_cleanup),         TEST(test_add_field),
        TEST(test_drop_field), TEST(test_set_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
