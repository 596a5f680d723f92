/*
 * What histograms tell: quantiles at most 1/16 off, cumulative counts that never fall, and no count
 * too large to be told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lockctl/inspect/histogram.h"

#include <string.h>

static struct view_histogram histogram;

static void add(uint64_t time, uint64_t count)
{
    histogram.buckets[registry_bucket(time)] += count;
    histogram.count += count;
    histogram.sum += time * count;
    if (time > histogram.maximum)
        histogram.maximum = time;
}

static int empty(void **state)
{
    (void)state;
    memset(&histogram, 0, sizeof histogram);
    return 0;
}

static void assert_near(uint64_t told, uint64_t right)
{
    assert_true(told <= right + right / 16 && told >= right - right / 16);
}

static void test_nothing(void **state)
{
    (void)state;
    assert_int_equal(histogram_mean(&histogram), 0);
    assert_int_equal(histogram_quantile(&histogram, 0.5), 0);
    assert_int_equal(histogram_below(&histogram, UINT64_MAX), 0);
}

static void test_one_value(void **state)
{
    (void)state;
    for (uint64_t time = 1; time < UINT64_C(1) << 47; time += time / 3 + 1) {
        (void)empty(NULL);
        add(time, 1);
        assert_int_equal(histogram_mean(&histogram), time);
        assert_near(histogram_quantile(&histogram, 0.5), time);
        assert_near(histogram_quantile(&histogram, 0.99), time);
    }
}

static void test_quantiles(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 1000; i++)
        add(i * 1000000, 1);
    assert_near(histogram_quantile(&histogram, 0.5), 500000000);
    assert_near(histogram_quantile(&histogram, 0.9), 900000000);
    assert_near(histogram_quantile(&histogram, 0.99), 990000000);
    assert_int_equal(histogram_mean(&histogram), 500500000);
    assert_int_equal(histogram_below(&histogram, UINT64_MAX), 1000);
}

static void test_below(void **state)
{
    uint64_t before = 0;
    (void)state;
    add(1000, 3);
    add(1 << 20, 5);
    add((1 << 20) - 1, 7);
    assert_int_equal(histogram_below(&histogram, 1 << 20), 10);
    assert_int_equal(histogram_below(&histogram, 1 << 21), 15);
    for (uint64_t bound = 1; bound < UINT64_C(1) << 50; bound += bound / 5 + 1) {
        uint64_t below = histogram_below(&histogram, bound);
        assert_true(below >= before);
        before = below;
    }
    assert_int_equal(before, 15);
}

static void test_too_many(void **state)
{
    (void)state;
    for (int i = 0; i < REGISTRY_BUCKETS; i++)
        histogram.buckets[i] = UINT64_MAX;
    histogram.count = histogram.sum = histogram.maximum = UINT64_MAX;
    assert_int_equal(histogram_below(&histogram, UINT64_MAX), UINT64_MAX);
    assert_int_equal(histogram_mean(&histogram), 1);
    histogram_draw(&histogram, 2, 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing, empty),
        cmocka_unit_test_setup(test_one_value, empty),
        cmocka_unit_test_setup(test_quantiles, empty),
        cmocka_unit_test_setup(test_below, empty),
        cmocka_unit_test_setup(test_too_many, empty),
    };
    return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
