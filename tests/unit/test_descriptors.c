/* The words of descriptors, and the list of mappings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/descriptors.h"
#include "shim/mappings.h"

#include <pthread.h>
#include <string.h>

static void test_words(void **state)
{
    (void)state;
    assert_int_equal(descriptor_next(0), -1);
    assert_true(descriptor_set(5, 3 | DESCRIPTOR_WRITABLE, 77));
    assert_int_equal(descriptor_word(5), 3 | DESCRIPTOR_WRITABLE);
    assert_int_equal(descriptor_table(descriptor_word(5)), 2);
    assert_int_equal(descriptor_key(5), 77);
    assert_true(descriptor_set(DESCRIPTORS_LIMIT - 1, 1, 78));
    assert_int_equal(descriptor_next(0), 5);
    assert_int_equal(descriptor_next(-7), 5);
    assert_int_equal(descriptor_next(6), DESCRIPTORS_LIMIT - 1);
    assert_int_equal(descriptor_next(DESCRIPTORS_LIMIT), -1);
    descriptor_change(5, DESCRIPTOR_WRITABLE, DESCRIPTOR_COUNTED);
    assert_int_equal(descriptor_word(5), 3 | DESCRIPTOR_COUNTED);
    descriptor_change(6, 0, DESCRIPTOR_COUNTED);
    assert_int_equal(descriptor_word(6), 0);
    assert_int_equal(descriptor_take(5), 3 | DESCRIPTOR_COUNTED);
    assert_int_equal(descriptor_take(5), 0);
    assert_int_equal(descriptor_take(DESCRIPTORS_LIMIT - 1), 1);
    assert_int_equal(descriptor_next(0), -1);
}

/* The key and what fcntl is not to show share a word. */
static void test_notes(void **state)
{
    (void)state;
    const int numbers[] = {0, 5, DESCRIPTORS_LIMIT - 1};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        int number = numbers[i];
        assert_int_equal(descriptor_key(number), 0);
        descriptor_opened(number, true);
        assert_true(descriptor_hides_nofollow(number));
        assert_int_equal(descriptor_key(number), 0);
        assert_true(descriptor_set(number, 1, UINT64_MAX - 1));
        assert_true(descriptor_hides_nofollow(number));
        assert_true(descriptor_key(number) == UINT64_MAX);
        descriptor_opened(number, false);
        assert_false(descriptor_hides_nofollow(number));
        assert_int_equal(descriptor_key(number), 0);
        assert_true(descriptor_set(number, 1, 78));
        assert_false(descriptor_hides_nofollow(number));
        assert_int_equal(descriptor_key(number), 79);
        assert_int_equal(descriptor_take(number), 1);
        descriptor_opened(number, false);
    }
}

static void test_beyond_the_limit(void **state)
{
    (void)state;
    static volatile int beyond[] = {-1, DESCRIPTORS_LIMIT, DESCRIPTORS_LIMIT + 1, 1 << 30,
                                    INT32_MIN};
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        assert_false(descriptor_set(beyond[i], 1, 1));
        assert_int_equal(descriptor_word(beyond[i]), 0);
        assert_int_equal(descriptor_take(beyond[i]), 0);
        assert_int_equal(descriptor_key(beyond[i]), 0);
        descriptor_opened(beyond[i], true);
        assert_false(descriptor_hides_nofollow(beyond[i]));
    }
}

/* --- mappings --- */

#define PAGE ((size_t)4096)
static _Atomic int gone[8];

static void count_gone(unsigned table)
{
    gone[table]++;
}

static char *page(uintptr_t number)
{
    return (char *)(number * PAGE); // NOLINT: an address that is never looked at
}

static int forget(void **state)
{
    (void)state;
    mappings_forget();
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        gone[i] = 0;
    return 0;
}

static void unmap(uintptr_t first, size_t pages)
{
    mappings_remove(page(first), pages * PAGE, count_gone);
}

static void test_whole(void **state)
{
    (void)state;
    mappings_add(page(100), PAGE, 1);
    mappings_add(page(200), 3 * PAGE - 10, 2);
    assert_int_equal(mappings_count, 2);
    unmap(300, 50);
    assert_int_equal(gone[1] + gone[2], 0);
    unmap(200, 3);
    assert_int_equal(gone[2], 1);
    unmap(0, 1000);
    assert_int_equal(gone[1], 1);
    assert_int_equal(gone[2], 1);
    assert_int_equal(mappings_count, 0);
}

/* Whatever the order in which the pages go: reported with the last one, and once. */
static void test_in_parts(void **state)
{
    enum { PAGES = 8 };
    uint32_t seed = 1;
    (void)state;
    for (int round = 0; round < 2000; round++) {
        int order[PAGES];
        for (int i = 0; i < PAGES; i++)
            order[i] = i;
        for (int i = PAGES - 1; i > 0; i--) {
            seed = seed * 1664525u + 1013904223u;
            int other = (int)((seed >> 8) % (unsigned)(i + 1)), kept = order[i];
            order[i] = order[other];
            order[other] = kept;
        }
        gone[3] = 0;
        mappings_add(page(500), PAGES * PAGE, 3);
        for (int i = 0; i < PAGES; i++) {
            assert_int_equal(gone[3], 0);
            unmap(500 + (uintptr_t)order[i], 1);
        }
        assert_int_equal(gone[3], 1);
        assert_int_equal(mappings_count, 0);
    }
}

static void test_moves(void **state)
{
    (void)state;
    mappings_add(page(100), 4 * PAGE, 1);
    mappings_move(page(100), 4 * PAGE, page(300), 6 * PAGE, false);
    unmap(100, 4);
    assert_int_equal(gone[1], 0);
    unmap(300, 5);
    assert_int_equal(gone[1], 0);
    unmap(305, 1);
    assert_int_equal(gone[1], 1);
    /* The first page goes elsewhere, the others stay. */
    mappings_add(page(100), 4 * PAGE, 2);
    mappings_move(page(100), PAGE, page(300), PAGE, false);
    unmap(300, 1);
    assert_int_equal(gone[2], 0);
    unmap(100, 4);
    assert_int_equal(gone[2], 1);
    /* It grows and shrinks in its place. */
    mappings_add(page(100), PAGE, 3);
    mappings_move(page(100), PAGE, page(100), 3 * PAGE, false);
    unmap(100, 1);
    assert_int_equal(gone[3], 0);
    mappings_move(page(101), 2 * PAGE, page(101), PAGE, false);
    unmap(101, 1);
    assert_int_equal(gone[3], 1);
    /* A second mapping of the same pages. */
    mappings_add(page(100), PAGE, 4);
    mappings_move(page(100), 0, page(200), PAGE, false);
    unmap(100, 1);
    assert_int_equal(gone[4], 0);
    unmap(200, 1);
    assert_int_equal(gone[4], 1);
    mappings_add(page(100), PAGE, 5);
    mappings_move(page(100), PAGE, page(200), PAGE, true);
    unmap(200, 1);
    assert_int_equal(gone[5], 0);
    unmap(100, 1);
    assert_int_equal(gone[5], 1);
    assert_int_equal(mappings_count, 0);
}

/* Without room a mapping is never reported gone, and those that are listed still are. */
static void test_too_many(void **state)
{
    (void)state;
    for (uintptr_t i = 0; i < 2000; i++)
        mappings_add(page(10 + 2 * i), PAGE, 6);
    int listed = mappings_count;
    assert_true(listed < 2000);
    unmap(0, 10000);
    assert_int_equal(gone[6], listed);
    assert_int_equal(mappings_count, 0);
    mappings_add(page(10), 3 * PAGE, 7);
    for (uintptr_t i = 0; i < 2000; i++)
        mappings_add(page(1000 + 2 * i), PAGE, 6);
    unmap(11, 1); /* no room for what is behind the hole */
    unmap(10, 1);
    assert_int_equal(gone[7], 0);
}

static void *add_and_remove(void *argument)
{
    uintptr_t first = (uintptr_t)argument;
    for (int i = 0; i < 5000; i++) {
        mappings_add(page(first), 2 * PAGE, 0);
        unmap(first, 1);
        unmap(first + 1, 1);
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[4];
    (void)state;
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, add_and_remove, (void *)(1000 * (i + 1))), 0);
    for (int i = 0; i < 4; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(mappings_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notes),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_beyond_the_limit),
        cmocka_unit_test_setup(test_whole, forget),
        cmocka_unit_test_setup(test_in_parts, forget),
        cmocka_unit_test_setup(test_moves, forget),
        cmocka_unit_test_setup(test_too_many, forget),
        cmocka_unit_test_setup(test_threads, forget),
    };
    return cmocka_run_group_tests_name("descriptors", tests, NULL, NULL);
}
