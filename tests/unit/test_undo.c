/* The undo journal: each kind of change put back, and its own limits. */
#include "tests/unit/undo_fixture.h"

static void test_nothing_to_do(void **state)
{
    (void)state;
    assert_int_equal(undo_roll_back(lock_path, table), 0);
    assert_int_equal(undo_commit(lock_path, table, false), 0);
    assert_int_equal(undo_discard(lock_path), 0);
    assert_int_equal(undo_mark_ending(lock_path, table, true), 0);
}

static void test_content(void **state)
{
    (void)state;
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
    put("a", "changed");
    assert_int_equal(undo_save_content(&undo, in_table("new"), true), 0);
    put("new", "made");
    roll_back();
    has("a", "first");
    has("new", NULL);
}

static void test_commit_keeps(void **state)
{
    (void)state;
    for (int durable = 0; durable < 2; durable++) {
        undo.durable = durable != 0;
        undo.session = undo_new_session();
        assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
        put("a", "changed");
        assert_true(undo_exists(lock_path));
        assert_int_equal(undo_commit(lock_path, table, undo.durable), 0);
        assert_false(undo_exists(lock_path));
        assert_int_equal(undo_roll_back(lock_path, table), 0);
        has("a", "changed");
    }
}

static void test_ending_counts(void **state)
{
    (void)state;
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
    put("a", "changed");
    assert_int_equal(undo_mark_ending(lock_path, table, true), 0);
    assert_int_equal(undo_roll_back(lock_path, table), 0);
    assert_false(undo_exists(lock_path));
    has("a", "changed");

    undo.session = undo_new_session();
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
    put("a", "again");
    assert_int_equal(undo_mark_ending(lock_path, table, true), 0);
    assert_int_equal(undo_mark_ending(lock_path, table, false), 0);
    roll_back();
    has("a", "changed");
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(undo_save_name(&undo, in_table("a"), UNDO_REMOVES), 0);
    assert_int_equal(unlink(in_table("a")), 0);
    assert_int_equal(undo_save_name(&undo, in_table("b"), UNDO_MAKES | UNDO_REMOVES), 0);
    assert_int_equal(undo_save_name(&undo, in_table("c"), UNDO_MAKES), 0);
    put("c", "new");
    assert_int_equal(rename(in_table("c"), in_table("b")), 0);
    assert_int_equal(undo_save_name(&undo, in_table("d"), UNDO_MAKES), 0);
    assert_int_equal(mkdir(in_table("d"), 0700), 0);
    put("d/e", "below");
    roll_back();
    has("a", "first");
    has("b", "second");
    has("c", NULL);
    has("d", NULL);
}

static void test_what_is_recorded_is_not_recorded_again(void **state)
{
    (void)state;
    struct stat before, after;
    char records[128];
    (void)snprintf(records, sizeof records, "%s/records", journal_path);
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
    assert_int_equal(stat(records, &before), 0);
    put("a", "changed");
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
    assert_int_equal(stat(records, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    /* It is put back where it is: that it is removed is another record, and the last one. */
    assert_int_equal(undo_save_name(&undo, in_table("a"), UNDO_REMOVES), 0);
    assert_int_equal(stat(records, &before), 0);
    assert_int_equal(undo_save_name(&undo, in_table("a"), UNDO_REMOVES), 0);
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
    assert_int_equal(stat(records, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    assert_true(undo_is_recorded(undo.session, undo_key(in_table("a"))));
    assert_false(undo_is_recorded(undo_new_session(), undo_key(in_table("a"))));
    roll_back();
    has("a", "first");
}

/* A change that is recorded twice, as after what was remembered is forgotten. */
static void test_twice_is_right(void **state)
{
    (void)state;
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
    put("a", "changed");
    undo.session = undo_new_session();
    assert_int_equal(undo_save_name(&undo, in_table("a"), UNDO_REMOVES), 0);
    assert_int_equal(unlink(in_table("a")), 0);
    undo.session = undo_new_session();
    assert_int_equal(undo_save_name(&undo, in_table("a"), UNDO_MAKES), 0);
    put("a", "new");
    roll_back();
    has("a", "first");
}

static void test_directories(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_table("d"), 0751), 0);
    put("d/f", "inside");
    assert_int_equal(undo_save_name(&undo, in_table("e"), UNDO_MAKES | UNDO_REMOVES), 0);
    assert_int_equal(undo_save_move(&undo, in_table("d"), in_table("e")), 0);
    assert_int_equal(rename(in_table("d"), in_table("e")), 0);
    undo.session = undo_new_session();
    assert_int_equal(undo_save_name(&undo, in_table("e/f"), UNDO_REMOVES), 0);
    assert_int_equal(unlink(in_table("e/f")), 0);
    assert_int_equal(undo_save_name(&undo, in_table("e"), UNDO_REMOVES), 0);
    assert_int_equal(rmdir(in_table("e")), 0);
    roll_back();
    has("d/f", "inside");
    has("e", NULL);
    struct stat status;
    assert_int_equal(stat(in_table("d"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0751);
}

static void test_two_names(void **state)
{
    (void)state;
    struct stat one, other;
    assert_int_equal(link(in_table("a"), in_table("twin")), 0);
    int file = open(in_table("a"), O_WRONLY | O_CLOEXEC);
    assert_int_equal(undo_save_name(&undo, in_table("a"), UNDO_REMOVES), 0);
    assert_int_equal(unlink(in_table("a")), 0);
    assert_int_equal(undo_save_open(&undo, file, NULL), 0);
    assert_int_equal(write(file, "X", 1), 1);
    assert_int_equal(close(file), 0);
    has("twin", "Xirst");
    roll_back();
    has("a", "first");
    has("twin", "first");
    assert_int_equal(stat(in_table("a"), &one), 0);
    assert_int_equal(stat(in_table("twin"), &other), 0);
    assert_int_equal(one.st_ino, other.st_ino);
}

static void test_limit(void **state)
{
    (void)state;
    undo.limit = 4;
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), -UNDO_OVER_LIMIT);
    assert_int_equal(undo_save_name(&undo, in_table("a"), UNDO_REMOVES), 0); /* a link is free */
    assert_int_equal(unlink(in_table("a")), 0);
    roll_back();
    has("a", "first");
}

static void test_cut_off_records_have_not_happened(void **state)
{
    (void)state;
    char records[128];
    struct stat whole;
    (void)snprintf(records, sizeof records, "%s/records", journal_path);
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
    put("a", "changed");
    assert_int_equal(stat(records, &whole), 0);
    /* Bytes behind the last record, of one who died while writing them. */
    int file = open(records, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(file, "undorubbish", 11), 11);
    assert_int_equal(close(file), 0);
    roll_back();
    has("a", "first");
}

/* --- parts --- */

enum { LARGE = 200000 };

static void put_large(const char *name, char *content)
{
    for (int i = 0; i < LARGE; i++)
        content[i] = (char)('a' + i / 7 % 26);
    int file = open(in_table(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_int_equal(write(file, content, LARGE), LARGE);
    assert_int_equal(close(file), 0);
}

static void has_large(const char *name, const char *content)
{
    static char found[2 * LARGE];
    int file = open(in_table(name), O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(file, found, sizeof found), LARGE);
    assert_memory_equal(found, content, LARGE);
    assert_int_equal(close(file), 0);
}

/* At random places, sizes and ends; the journal grows by what is changed alone. */
static void test_parts(void **state)
{
    (void)state;
    static char content[LARGE], noise[100000];
    memset(noise, '#', sizeof noise);
    put_large("large", content);
    for (unsigned round = 0; round < 60; round++) {
        srand(round);
        undo.session = undo_new_session();
        undo.limit = 1 << 24;
        int file = open(in_table("large"), O_RDWR | O_CLOEXEC);
        for (int change = rand() % 12; change >= 0; change--) {
            struct undo_open_file opened = {file, in_table("large"), rand() % 2 == 0};
            uint64_t key, offset = (uint64_t)(rand() % 300000);
            size_t size = (size_t)(rand() % (rand() % 4 == 0 ? 90000 : 3000));
            if (rand() % 5 == 0) {
                assert_true(undo_save_part(&undo, &opened, offset, UNDO_TO_END, &key) >= 0);
                assert_int_equal(ftruncate(file, (off_t)offset), 0);
            } else if (rand() % 5 == 0) {
                assert_true(undo_save_part(&undo, &opened, UNDO_AT_END, size, &key) >= 0);
                assert_int_equal(pwrite(file, noise, size, lseek(file, 0, SEEK_END)), size);
            } else {
                assert_true(undo_save_part(&undo, &opened, offset, size, &key) >= 0);
                assert_int_equal(pwrite(file, noise, size, (off_t)offset), size);
            }
            if (rand() % 6 == 0) /* what is remembered may be forgotten at any time */
                undo.session = undo_new_session();
        }
        assert_int_equal(close(file), 0);
        roll_back();
        has_large("large", content);
    }
}

static void test_a_part_costs_its_size(void **state)
{
    (void)state;
    static char content[LARGE];
    uint64_t key;
    put_large("large", content);
    undo.limit = 3 * UINT64_C(4096);
    int file = open(in_table("large"), O_RDWR | O_CLOEXEC);
    struct undo_open_file opened = {file, in_table("large"), true};
    assert_int_equal(undo_save_part(&undo, &opened, 5000, 100, &key), 0);
    assert_true(undo_part_is_recorded(undo.session, key, 4096, 4096));
    assert_false(undo_part_is_recorded(undo.session, key, 4096, 4097));
    assert_false(undo_part_is_recorded(undo_new_session(), key, 4096, 4096));
    assert_true(undo_part_is_recorded(undo.session, key, UNDO_AT_END, 100));
    assert_int_equal(undo_save_part(&undo, &opened, 5000, 6000, &key), 0);
    assert_int_equal(undo_save_part(&undo, &opened, 50000, 4096, &key), -UNDO_OVER_LIMIT);
    assert_int_equal(undo_save_part(&undo, &opened, 8192, 100, &key), 0);
    assert_int_equal(close(file), 0);
    roll_back();
    has_large("large", content);
}

/* Both streams, in the order in which their records were written. */
static void test_two_streams(void **state)
{
    (void)state;
    struct undo_kept kept = {.there = false};
    struct undo joiner = undo;
    undo.kept = &kept;
    joiner.joined = true;
    joiner.session = undo_new_session();
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
    put("a", "by the owner");
    assert_int_equal(undo_save_content(&joiner, in_table("a"), false), 0);
    assert_int_equal(undo_save_content(&joiner, in_table("b"), false), 0);
    put("a", "by the other");
    put("b", "by the other");
    undo.session = undo_new_session();
    assert_int_equal(undo_save_content(&undo, in_table("b"), false), 0);
    assert_int_equal(undo_save_name(&undo, in_table("a"), UNDO_REMOVES), 0);
    put("b", "again");
    assert_int_equal(unlink(in_table("a")), 0);
    undo_kept_forget(&kept);
    undo.kept = NULL;
    roll_back();
    has("a", "first");
    has("b", "second");
}

static void test_kept_is_seen_to_be_gone(void **state)
{
    (void)state;
    struct undo_kept kept = {.there = false};
    undo.kept = &kept;
    for (int i = 0; i < 3; i++) {
        undo.session = undo_new_session();
        assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
        put("a", "changed");
        assert_true(undo_kept_commit(&kept, false));
        assert_true(undo_kept_is_settled(&kept, lock_path, true));
        assert_int_equal(i == 0   ? undo_roll_back(lock_path, table)
                         : i == 1 ? undo_discard(lock_path)
                                  : undo_commit(lock_path, table, false),
                         0);
        assert_false(undo_exists(lock_path));
        assert_false(undo_kept_is_settled(&kept, lock_path, false));
        undo_kept_forget(&kept);
    }
    undo.kept = NULL;
    has("a", "changed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_nothing_to_do),
                                       TEST(test_content),
                                       TEST(test_commit_keeps),
                                       TEST(test_ending_counts),
                                       TEST(test_names),
                                       TEST(test_what_is_recorded_is_not_recorded_again),
                                       TEST(test_twice_is_right),
                                       TEST(test_directories),
                                       TEST(test_two_names),
                                       TEST(test_limit),
                                       TEST(test_cut_off_records_have_not_happened),
                                       TEST(test_parts),
                                       TEST(test_a_part_costs_its_size),
                                       TEST(test_two_streams),
                                       TEST(test_kept_is_seen_to_be_gone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
