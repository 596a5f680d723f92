/* test_cost.c: what operations cost, in bytes read and written and in calls, which other work on
 * the machine does not change; and that a full disk leaves the table as it was. */
#include "tests/store/support.h"

#include "store/tablestore.h"

#include <errno.h>

static long long calls, bytes;
static int fail_at = -1; /* the write of that number, from 0, finds the disk full */

ssize_t __real_pwrite(int file, const void *from, size_t length, off_t offset);
ssize_t __wrap_pwrite(int file, const void *from, size_t length, off_t offset);
ssize_t __real_pread(int file, void *to, size_t length, off_t offset);
ssize_t __wrap_pread(int file, void *to, size_t length, off_t offset);

ssize_t __wrap_pwrite(int file, const void *from, size_t length, off_t offset)
{
    calls++;
    bytes += (long long)length;
    if (fail_at >= 0 && fail_at-- == 0) {
        __real_pwrite(file, from, length / 2, offset);
        errno = ENOSPC;
        return -1;
    }
    return __real_pwrite(file, from, length, offset);
}

ssize_t __wrap_pread(int file, void *to, size_t length, off_t offset)
{
    ssize_t got = __real_pread(file, to, length, offset);
    calls++;
    bytes += got < 0 ? 0 : got;
    return got;
}

static void make_table(const char *path, int64_t records)
{
    struct tablestore_error error;
    struct tablestore_field fields[8];
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    for (size_t i = 0; i < 8; i++)
        fields[i] = (struct tablestore_field){
            .name = names[i],
            .type = i % 2 == 0 ? TABLESTORE_INT : TABLESTORE_STR,
            .default_value = i % 2 == 0 ? int_value(1) : text_value(TABLESTORE_STR, "text")};
    require(tablestore_create(path, fields, 8, &error));
    tablestore *table = tablestore_open(path, TABLESTORE_WRITE, &error);
    static struct tablestore_row rows[10000];
    for (int64_t left = records; left > 0; left -= 10000)
        require(
            tablestore_insert_rows(table, rows, left < 10000 ? (size_t)left : 10000, NULL, &error));
    tablestore_close(table);
}

/* The cost of opening, inserting one record, and closing. */
static void insert_cost(const char *path, long long *used_calls, long long *used_bytes)
{
    struct tablestore_error error;
    calls = bytes = 0;
    tablestore *table = tablestore_open(path, TABLESTORE_WRITE, &error);
    require(table != NULL);
    require(tablestore_insert(table, NULL, 0, NULL, &error));
    tablestore_close(table);
    *used_calls = calls;
    *used_bytes = bytes;
}

static void test_insert_is_constant(void **state)
{
    (void)state;
    struct tablestore_error error;
    long long small[2], large[2];
    make_table("small", 1000);
    make_table("large", 1000000);
    insert_cost("small", &small[0], &small[1]);
    insert_cost("large", &large[0], &large[1]);
    assert_int_equal(small[0], large[0]);
    assert_int_equal(small[1], large[1]);
    /* With a few dead slots, far behind: the lowest is found without reading __pos__. */
    tablestore *table = tablestore_open("large", TABLESTORE_WRITE, &error);
    require(tablestore_delete(table, (int64_t[]){999995, 999990}, 2, &error));
    tablestore_close(table);
    insert_cost("large", &large[0], &large[1]);
    assert_true(large[1] < small[1] + 200);
    FILE *ids = fopen("large/_id_pos", "rb");
    unsigned char block[5];
    assert_true(ids != NULL && fseek(ids, 5L * 1000001, SEEK_SET) == 0);
    assert_int_equal(fread(block, 1, 5, ids), 5);
    assert_memory_equal(block, "-\x40\x0f\x42\x36", 5);
    fclose(ids);
}

static bool count_record(void *context, const struct tablestore_record *record)
{
    (void)record;
    ++*(int *)context;
    return true;
}

static void test_select_reads_once(void **state)
{
    (void)state;
    struct tablestore_error error;
    make_table("t", 10000);
    tablestore *table = tablestore_open("t", TABLESTORE_READ, &error);
    tablestore_condition *condition = tablestore_compare("g", TABLESTORE_EQUAL, "2", 1);
    struct tablestore_query query = {.condition = condition};
    int found = 0;
    calls = bytes = 0;
    require(tablestore_select(table, &query, count_record, &found, &error));
    assert_int_equal(found, 0);
    assert_int_equal(bytes, 50000); /* the file of g alone, */
    assert_true(calls <= 2);        /* in large pieces */
    tablestore_condition_free(condition);
    query.condition = condition = tablestore_compare("g", TABLESTORE_EQUAL, "1", 1);
    calls = bytes = 0;
    require(tablestore_select(table, &query, count_record, &found, &error));
    assert_int_equal(found, 10000);
    assert_int_equal(bytes, 10000 * (6 * 5 + 4 * 6)); /* each file once */
    tablestore_condition_free(condition);
    tablestore_close(table);
}

/* A disk that is full at any write: the call fails, and the table is as it was. */
static void test_full_disk(void **state)
{
    (void)state;
    struct tablestore_error error;
    make_table("t", 20);
    tablestore *table = tablestore_open("t", TABLESTORE_WRITE, &error);
    require(tablestore_delete(table, (int64_t[]){4}, 1, &error));
    int failures = 0;
    for (int round = 0; round < 2; round++) {
        for (int at = 0;; at++) {
            struct tablestore_summary before, after;
            require(tablestore_summarize(table, &before, &error));
            fail_at = at;
            bool done = tablestore_insert(table, NULL, 0, NULL, &error);
            bool reached = fail_at < 0;
            fail_at = -1;
            assert_true(done != reached);
            if (done)
                break;
            failures++;
            assert_int_equal(error.system_error, ENOSPC);
            require(tablestore_summarize(table, &after, &error));
            assert_memory_equal(&before, &after, sizeof before);
            assert_sound("t");
        }
    }
    assert_true(failures >= 20);
    for (int at = 0;; at++) {
        fail_at = at;
        bool done = tablestore_cleanup(table, &error);
        bool reached = fail_at < 0;
        fail_at = -1;
        assert_true(done != reached);
        if (done)
            break;
        assert_sound("t");
    }
    tablestore_close(table);
    assert_sound("t");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, enter_directory, leave_directory)
    const struct CMUnitTest tests[] = {
        TEST(test_insert_is_constant),
        TEST(test_select_reads_once),
        TEST(test_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
