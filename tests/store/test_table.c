/* test_table.c: each operation, what it refuses, and the bytes that it leaves. */
#include "tests/store/support.h"

#include <sys/stat.h>

static const struct tablestore_field people_fields[] = {
    {.name = "name", .type = TABLESTORE_STR, .default_value = {.null = true}},
    {.name = "age",
     .type = TABLESTORE_INT,
     .default_value = {.type = TABLESTORE_INT, .integer = 7}},
};

static tablestore *make_people(void)
{
    struct tablestore_error error;
    require(tablestore_create("people", people_fields, 2, &error));
    tablestore *table = tablestore_open("people", TABLESTORE_WRITE, &error);
    require(table != NULL);
    return table;
}

static int64_t add(tablestore *table, const char *name, int64_t age)
{
    struct tablestore_error error;
    const struct tablestore_assignment assignments[] = {{"name", text_value(TABLESTORE_STR, name)},
                                                        {"age", int_value(age)}};
    int64_t id;
    require(tablestore_insert(table, assignments, 2, &id, &error));
    return id;
}

static void assert_file(const char *file, const char *bytes, size_t length)
{
    size_t found;
    char *content = read_file("people", file, &found);
    assert_int_equal(found, length);
    assert_memory_equal(content, bytes, length);
    free(content);
}
#define FILE_IS(file, literal) assert_file(file, literal, sizeof(literal) - 1)

static void test_create(void **state)
{
    (void)state;
    struct tablestore_error error;
    tablestore_close(make_people());
    FILE_IS("__info__", "__id__:int __version__:int name:str age:int");
    FILE_IS("__defaults__", "name !\nage -\x40\0\0\x07");
    FILE_IS("__pos__", "");
    refuse(TABLESTORE_EXISTS, tablestore_create("people", people_fields, 2, &error));
    static const char *const bad[] = {"__id__", "_x",   "1a",  "",        "a b",
                                      "a/b",    "../x", "a:b", "\xc3\xa9"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct tablestore_field field = {
            .name = bad[i], .type = TABLESTORE_INT, .default_value = {.null = true}};
        refuse(TABLESTORE_NAME, tablestore_create("other", &field, 1, &error));
    }
    struct tablestore_field twice[] = {people_fields[0], people_fields[0]};
    refuse(TABLESTORE_EXISTS, tablestore_create("other", twice, 2, &error));
    struct tablestore_field wrong = people_fields[1];
    wrong.default_value = float_value(1);
    refuse(TABLESTORE_TYPE, tablestore_create("other", &wrong, 1, &error));
    refuse(TABLESTORE_NOT_FOUND, tablestore_open("other", TABLESTORE_READ, &error) != NULL);
}

static void test_insert(void **state)
{
    (void)state;
    struct tablestore_error error;
    tablestore *table = make_people();
    int64_t id;
    assert_int_equal(add(table, "ann", 30), 0);
    require(tablestore_insert(table, NULL, 0, &id, &error));
    assert_int_equal(id, 1);
    FILE_IS("name", "-ann\n!\n");
    FILE_IS("age", "-\x40\0\0\x1e-\x40\0\0\x07");
    FILE_IS("__id__", "-\x40\0\0\0-\x40\0\0\x01");
    FILE_IS("__version__", "-\x40\0\0\0-\x40\0\0\0");
    FILE_IS("__pos__",
            "-\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0-\0\0\0\x05\0\0\0\x05\0\0\0\x05\0\0\0\x05");
    FILE_IS("_id_pos", "-\x40\0\0\0-\x40\0\0\x01");
    struct tablestore_assignment bad[] = {{"age", float_value(1)}, {"age", int_value(1)}};
    refuse(TABLESTORE_TYPE, tablestore_insert(table, bad, 1, NULL, &error));
    refuse(TABLESTORE_ARGUMENT,
           tablestore_insert(table, (struct tablestore_assignment[]){bad[1], bad[1]}, 2, NULL,
                             &error));
    bad[0].field = "nosuch";
    refuse(TABLESTORE_NOT_FOUND, tablestore_insert(table, bad, 1, NULL, &error));
    bad[1].field = "__id__";
    refuse(TABLESTORE_ARGUMENT, tablestore_insert(table, bad + 1, 1, NULL, &error));
    bad[1] = (struct tablestore_assignment){"age", int_value(1 << 30)};
    refuse(TABLESTORE_RANGE, tablestore_insert(table, bad + 1, 1, NULL, &error));
    FILE_IS("name", "-ann\n!\n");
    tablestore_close(table);
    assert_sound("people");
}

static void test_insert_rows(void **state)
{
    (void)state;
    struct tablestore_error error;
    tablestore *table = make_people();
    struct tablestore_assignment assignments[3] = {
        {"age", int_value(1)}, {"age", int_value(2)}, {"age", int_value(1 << 30)}};
    struct tablestore_row rows[3] = {{assignments, 1}, {assignments + 1, 1}, {assignments + 2, 1}};
    int64_t first;
    refuse(TABLESTORE_RANGE, tablestore_insert_rows(table, rows, 3, &first, &error));
    require(tablestore_insert_rows(table, rows, 2, &first, &error));
    assert_int_equal(first, 0);
    require(tablestore_insert_rows(table, rows, 2, &first, &error));
    assert_int_equal(first, 2);
    require(tablestore_insert_rows(table, rows, 0, &first, &error));
    tablestore_close(table);
    assert_sound("people");
}

/* The lowest dead slot is used first, by one handle and by a new one, before and after a cleanup.
 */
static void test_slots_are_reused(void **state)
{
    (void)state;
    struct tablestore_error error;
    tablestore *table = make_people();
    for (int i = 0; i < 10; i++)
        add(table, "x", i);
    require(tablestore_delete(table, (int64_t[]){7, 3, 5}, 3, &error));
    FILE_IS("__del_rows__", "3\n5\n7\n");
    static const unsigned char slots[] = {3, 5, 7, 10};
    for (size_t i = 0; i < sizeof slots; i++) {
        if (i == 1)
            require(tablestore_cleanup(table, &error));
        if (i == 2) {
            tablestore_close(table);
            table = tablestore_open("people", TABLESTORE_WRITE, &error);
        }
        int64_t id = add(table, "new", 1);
        assert_int_equal(id, 10 + (int64_t)i);
        size_t length;
        char *ids = read_file("people", "_id_pos", &length);
        assert_int_equal(ids[5 * id + 4], slots[i]);
        free(ids);
        assert_sound("people");
    }
    require(tablestore_delete(table, (int64_t[]){0}, 1, &error));
    assert_int_equal(add(table, "first", 1), 14);
    FILE_IS("__del_rows__", "0\n");
    tablestore_close(table);
    assert_sound("people");
}

static void test_get_and_update(void **state)
{
    (void)state;
    struct tablestore_error error;
    tablestore *table = make_people();
    add(table, "ann", 30);
    add(table, "bob", 40);
    struct tablestore_assignment age = {"age", int_value(31)};
    struct tablestore_assignment name = {"name", text_value(TABLESTORE_STR, "anna")};
    require(tablestore_update(table, 0, 0, &age, 1, &error));
    FILE_IS("age", "-\x40\0\0\x1f-\x40\0\0\x28");
    FILE_IS("__version__", "-\x40\0\0\x01-\x40\0\0\0");
    FILE_IS("__del_rows__", "");
    refuse(TABLESTORE_CONFLICT, tablestore_update(table, 0, 0, &name, 1, &error));
    require(tablestore_update(table, 0, 1, &name, 1, &error));
    FILE_IS("name", "#ann\n-bob\n-anna\n");
    FILE_IS("__id__", "#\x40\0\0\0-\x40\0\0\x01-\x40\0\0\0");
    FILE_IS("__version__", "#\x40\0\0\x01-\x40\0\0\0-\x40\0\0\x02");
    FILE_IS("__del_rows__", "0\n");
    FILE_IS("__pos__",
            "-\0\0\0\x0a\0\0\0\x0a\0\0\0\x0a\0\0\0\x0a-\0\0\0\x05\0\0\0\x05\0\0\0\x05\0\0\0\x05");
    struct tablestore_record *record = tablestore_get(table, 0, &error);
    require(record != NULL);
    assert_int_equal(record->id, 0);
    assert_int_equal(record->version, 2);
    assert_int_equal(record->count, 4);
    assert_memory_equal(record->values[2].text.bytes, "anna", 4);
    assert_int_equal(record->values[3].integer, 31);
    tablestore_record_free(record);
    refuse(TABLESTORE_NOT_FOUND, tablestore_get(table, 2, &error) != NULL);
    refuse(TABLESTORE_NOT_FOUND, tablestore_get(table, -1, &error) != NULL);
    refuse(TABLESTORE_NOT_FOUND, tablestore_update(table, 2, 0, &age, 1, &error));
    age.value = float_value(1);
    refuse(TABLESTORE_TYPE, tablestore_update(table, 0, TABLESTORE_ANY_VERSION, &age, 1, &error));
    tablestore_close(table);
    assert_sound("people");
}

static void test_delete(void **state)
{
    (void)state;
    struct tablestore_error error;
    tablestore *table = make_people();
    add(table, "ann", 30);
    add(table, "bob", 40);
    refuse(TABLESTORE_NOT_FOUND, tablestore_delete(table, (int64_t[]){0, 9}, 2, &error));
    FILE_IS("name", "-ann\n-bob\n");
    require(tablestore_delete(table, (int64_t[]){0, 0}, 2, &error));
    FILE_IS("name", "#ann\n-bob\n");
    FILE_IS("_id_pos", "#\x40\0\0\0-\x40\0\0\x01");
    refuse(TABLESTORE_NOT_FOUND, tablestore_delete(table, (int64_t[]){0}, 1, &error));
    refuse(TABLESTORE_NOT_FOUND, tablestore_get(table, 0, &error) != NULL);
    tablestore_close(table);
    assert_sound("people");
}

static void test_read_only(void **state)
{
    (void)state;
    struct tablestore_error error;
    tablestore_close(make_people());
    tablestore *table = tablestore_open("people", TABLESTORE_READ, &error);
    refuse(TABLESTORE_ARGUMENT, tablestore_insert(table, NULL, 0, NULL, &error));
    refuse(TABLESTORE_ARGUMENT, tablestore_cleanup(table, &error));
    tablestore_close(table);
}

static void test_fields(void **state)
{
    (void)state;
    struct tablestore_error error;
    tablestore *table = make_people();
    for (int i = 0; i < 4; i++)
        add(table, "x", i);
    require(tablestore_delete(table, (int64_t[]){1}, 1, &error));
    struct tablestore_assignment name = {"name", text_value(TABLESTORE_STR, "moved")};
    require(tablestore_update(table, 0, 0, &name, 1, &error));
    struct tablestore_field note = {
        .name = "note", .type = TABLESTORE_STR, .default_value = text_value(TABLESTORE_STR, "n")};
    require(tablestore_add_field(table, &note, "name", &error));
    refuse(TABLESTORE_EXISTS, tablestore_add_field(table, &note, NULL, &error));
    note.name = "first";
    refuse(TABLESTORE_NOT_FOUND, tablestore_add_field(table, &note, "nosuch", &error));
    refuse(TABLESTORE_ARGUMENT, tablestore_add_field(table, &note, "__id__", &error));
    require(tablestore_add_field(table, &note, NULL, &error));
    FILE_IS("__info__", "__id__:int __version__:int first:str name:str note:str age:int");
    FILE_IS("note", "#n\n#n\n-n\n-n\n-n\n");
    assert_sound("people");
    struct tablestore_record *record = tablestore_get(table, 0, &error);
    require(record != NULL);
    assert_memory_equal(record->values[4].text.bytes, "n", 1);
    tablestore_record_free(record);
    require(tablestore_drop_field(table, "name", &error));
    refuse(TABLESTORE_NOT_FOUND, tablestore_drop_field(table, "name", &error));
    refuse(TABLESTORE_ARGUMENT, tablestore_drop_field(table, "__version__", &error));
    FILE_IS("name", "#x\n#x\n-x\n-x\n-moved\n");
    assert_sound("people");
    size_t count;
    assert_string_equal(tablestore_fields(table, &count)[3].name, "note");
    assert_int_equal(count, 5);
    tablestore_close(table);
}

static void test_set_default(void **state)
{
    (void)state;
    struct tablestore_error error;
    tablestore *table = make_people();
    struct tablestore_value value = int_value(99), wrong = bool_value(true);
    require(tablestore_set_default(table, "age", &value, &error));
    refuse(TABLESTORE_TYPE, tablestore_set_default(table, "age", &wrong, &error));
    refuse(TABLESTORE_NOT_FOUND, tablestore_set_default(table, "x", &value, &error));
    refuse(TABLESTORE_ARGUMENT, tablestore_set_default(table, "__id__", &value, &error));
    FILE_IS("__defaults__", "name !\nage -\x40\0\0\x63");
    tablestore_close(table);
    table = tablestore_open("people", TABLESTORE_WRITE, &error);
    require(tablestore_insert(table, NULL, 0, NULL, &error));
    FILE_IS("age", "-\x40\0\0\x63");
    tablestore_close(table);
}

/* What one handle does, another that was open before sees, or is told that it can't go on. */
static void test_two_handles(void **state)
{
    (void)state;
    struct tablestore_error error;
    tablestore *one = make_people();
    tablestore *two = tablestore_open("people", TABLESTORE_WRITE, &error);
    assert_int_equal(add(one, "a", 1), 0);
    assert_int_equal(add(two, "b", 2), 1);
    assert_int_equal(add(one, "c", 3), 2);
    require(tablestore_delete(one, (int64_t[]){0}, 1, &error));
    assert_int_equal(add(two, "d", 4), 3);
    require(tablestore_cleanup(one, &error));
    struct tablestore_assignment name = {"name", text_value(TABLESTORE_STR, "bb")};
    require(tablestore_update(two, 1, 0, &name, 1, &error));
    refuse(TABLESTORE_CONFLICT, tablestore_update(one, 1, 0, &name, 1, &error));
    struct tablestore_value value = int_value(55);
    require(tablestore_set_default(one, "age", &value, &error));
    int64_t id;
    require(tablestore_insert(two, NULL, 0, &id, &error));
    struct tablestore_record *record = tablestore_get(one, id, &error);
    assert_int_equal(record->values[3].integer, 55);
    tablestore_record_free(record);
    assert_sound("people");
    require(tablestore_drop_field(one, "age", &error));
    refuse(TABLESTORE_STALE, tablestore_insert(two, NULL, 0, NULL, &error));
    refuse(TABLESTORE_STALE, tablestore_get(two, 1, &error) != NULL);
    require(tablestore_destroy("people", &error));
    refuse(TABLESTORE_STALE, tablestore_insert(one, NULL, 0, NULL, &error));
    tablestore_close(one);
    tablestore_close(two);
}

static void test_destroy(void **state)
{
    (void)state;
    struct tablestore_error error;
    tablestore *table = make_people();
    require(tablestore_drop_field(table, "name", &error));
    tablestore_close(table);
    assert_int_equal(mkdir("people/mine", 0777), 0);
    refuse(TABLESTORE_EXISTS, tablestore_destroy("people", &error));
    assert_sound("people");
    assert_int_equal(rmdir("people/mine"), 0);
    require(tablestore_destroy("people", &error));
    assert_int_not_equal(access("people", F_OK), 0);
    refuse(TABLESTORE_NOT_FOUND, tablestore_destroy("people", &error));
    assert_int_equal(mkdir("people", 0777), 0);
    write_file("people", "mine", "x", 1);
    refuse(TABLESTORE_NOT_FOUND, tablestore_destroy("people", &error));
    assert_int_equal(access("people/mine", F_OK), 0);
}

static void test_references(void **state)
{
    (void)state;
    struct tablestore_error error;
    tablestore *people = make_people();
    add(people, "ann", 1);
    add(people, "bob", 1);
    require(tablestore_delete(people, (int64_t[]){0}, 1, &error));
    struct tablestore_field field = {.name = "owner",
                                     .type = TABLESTORE_REFERENCE,
                                     .base = "people",
                                     .default_value = {.null = true}};
    require(tablestore_create("cars \xc3\xa9", &field, 1, &error));
    tablestore *cars = tablestore_open("cars \xc3\xa9", TABLESTORE_WRITE, &error);
    struct tablestore_assignment owner = {"owner", {.type = TABLESTORE_REFERENCE, .integer = 1}};
    require(tablestore_insert(cars, &owner, 1, NULL, &error));
    owner.value.integer = 0;
    refuse(TABLESTORE_NOT_FOUND, tablestore_insert(cars, &owner, 1, NULL, &error));
    refuse(TABLESTORE_NOT_FOUND, tablestore_update(cars, 0, 0, &owner, 1, &error));
    owner.value = int_value(1);
    refuse(TABLESTORE_TYPE, tablestore_insert(cars, &owner, 1, NULL, &error));
    tablestore_close(cars);
    tablestore_close(people);
    field.base = "cars \xc3\xa9";
    require(tablestore_create("far", &field, 1, &error));
    size_t length;
    char *info = read_file("far", "__info__", &length);
    info[length] = '\0';
    assert_non_null(strstr(info, "owner:<base>cars%20%C3%A9"));
    free(info);
    tablestore *far = tablestore_open("far", TABLESTORE_READ, &error);
    assert_string_equal(tablestore_fields(far, &length)[2].base, "cars \xc3\xa9");
    tablestore_close(far);
    field.base = NULL;
    refuse(TABLESTORE_TYPE, tablestore_create("bad", &field, 1, &error));
}

/* Every damage is told with file and offset, and refused by open. */
static void test_damage(void **state)
{
    (void)state;
    static const struct {
        const char *file, *bytes;
        size_t length;
        const char *message;
    } damages[] = {
        {"__info__", "", 0, "__info__: byte 0:"},
        {"__info__", "__id__:int __version__:int name:str age:long", 44, "__info__: byte 36:"},
        {"__info__", "__id__:int __version__:int ../x:str age:int", 43, "__info__: byte 27:"},
        {"__info__", "__id__:int __version__:int name:str name:str", 44, "__info__: byte 36:"},
        {"__defaults__", "name", 4, "__defaults__: byte 0:"},
        {"__defaults__", "name !\nage -\x40", 14, "__defaults__: byte 11:"},
        {"__defaults__", "zip !\n", 6, "__defaults__: byte 0:"},
        {"name", "-ann\n-bob", 9, "name: byte 8:"},
        {"name", "\n", 1, "name: byte 1:"},
        {"age", "-\x40\0\0\x1e-\x40\0\0", 9, "age: byte 5:"},
        {"age", "-\x40\0\0\x1e", 5, "age: byte 5: 1 rows, but __id__ has 2"},
        {"__id__", "-\x40\0\0\0-\x40\0\0\x05", 10, "__id__: byte 5: the last row has id 5"},
        {"__pos__", "-\0\0", 3, "__pos__: byte 0:"},
        {"_id_pos", "-\x40\0\0\0-\x40", 7, "_id_pos: byte 5:"},
        {"_id_pos", "", 0, "__pos__: byte 0: 2 slots, but 0 ids"},
        {"__del_rows__", "1", 1, "__del_rows__: byte 0:"},
        {".replace", "../x\n", 5, ".replace: byte 0:"},
    };
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        struct tablestore_error error;
        tablestore *table = make_people();
        add(table, "ann", 30);
        add(table, "bob", 40);
        tablestore_close(table);
        write_file("people", damages[i].file, damages[i].bytes, damages[i].length);
        refuse(TABLESTORE_DAMAGED,
               (table = tablestore_open("people", TABLESTORE_WRITE, &error)) != NULL);
        if (strncmp(error.message, damages[i].message, strlen(damages[i].message)) != 0)
            fail_msg("%zu: not the expected message: %s", i, error.message);
        assert_true(count_findings("people") > 0);
        assert_int_equal(system("rm -r people"), 0);
    }
}

static void test_strange_files(void **state)
{
    (void)state;
    static const char *const commands[] = {
        "mkfifo people/age",         "ln -s /etc/passwd people/age", "mkdir people/age", "true",
        "truncate -s 3G people/age",
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        struct tablestore_error error;
        tablestore_close(make_people());
        assert_int_equal(system("rm people/age"), 0);
        assert_int_equal(system(commands[i]), 0);
        refuse(TABLESTORE_DAMAGED, tablestore_open("people", TABLESTORE_READ, &error) != NULL);
        assert_string_equal(error.file, "age");
        assert_true(count_findings("people") > 0);
        assert_int_equal(system("rm -r people"), 0);
    }
}

/* A record whose slot leads astray is refused, not followed. */
static void test_false_offsets(void **state)
{
    (void)state;
    static const struct {
        size_t place;
        const char *bytes;
    } lies[] = {{1, "\0\0\0\x05"}, {1, "\0\0\0\x03"}, {1, "\x7f\xff\xff\xff"},
                {5, "\0\0\0\x05"}, {9, "\0\0\0\x02"}, {9, "\xff\xff\xff\xff"},
                {9, "\0\0\x10\0"}, {13, "\0\0\0\x05"}};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct tablestore_error error;
        tablestore *table = make_people();
        add(table, "ann", 30);
        add(table, "bob", 40);
        size_t length;
        char *slots = read_file("people", "__pos__", &length);
        memcpy(slots + lies[i].place, lies[i].bytes, 4);
        write_file("people", "__pos__", slots, length);
        free(slots);
        refuse(TABLESTORE_DAMAGED, tablestore_get(table, 0, &error) != NULL);
        refuse(TABLESTORE_DAMAGED, tablestore_delete(table, (int64_t[]){0}, 1, &error));
        refuse(TABLESTORE_DAMAGED, tablestore_cleanup(table, &error));
        assert_true(count_findings("people") > 0);
        tablestore_close(table);
        require(tablestore_destroy("people", &error));
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, enter_directory, leave_directory)
    const struct CMUnitTest tests[] = {
        TEST(test_create),           TEST(test_insert),         TEST(test_insert_rows),
        TEST(test_slots_are_reused), TEST(test_get_and_update), TEST(test_delete),
        TEST(test_read_only),        TEST(test_fields),         TEST(test_set_default),
        TEST(test_two_handles),      TEST(test_destroy),        TEST(test_references),
        TEST(test_damage),           TEST(test_strange_files),  TEST(test_false_offsets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
