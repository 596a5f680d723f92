/*
 * Times, sizes and dates as texts: the right unit, rounded right at every border, and never more
 * than the room for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lockctl/format.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MILLISECOND UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)
#define HOUR (3600 * SECOND)

static void assert_duration(uint64_t nanoseconds, const char *expected)
{
    char text[FORMAT_TEXT];
    assert_string_equal(format_duration(text, nanoseconds), expected);
}

static void test_durations(void **state)
{
    (void)state;
    assert_duration(0, "0 s");
    assert_duration(1, "1 ns");
    assert_duration(999, "999 ns");
    assert_duration(1000, "1.0 us");
    assert_duration(9949, "9.9 us");
    assert_duration(9950, "10 us");
    assert_duration(999499, "999 us");
    assert_duration(999500, "1.0 ms");
    assert_duration(12 * MILLISECOND, "12 ms");
    assert_duration(999 * MILLISECOND + 499999, "999 ms");
    assert_duration(999 * MILLISECOND + 500000, "1.0 s");
    assert_duration(3400 * MILLISECOND, "3.4 s");
    assert_duration(59 * SECOND, "59 s");
    assert_duration(59 * SECOND + 500 * MILLISECOND, "1 min");
    assert_duration(125 * SECOND, "2 min 5 s");
    assert_duration(599 * SECOND, "9 min 59 s");
    assert_duration(600 * SECOND, "10 min");
    assert_duration(3569 * SECOND, "59 min");
    assert_duration(3570 * SECOND, "1 h");
    assert_duration(2 * HOUR + 300 * SECOND, "2 h 5 min");
    assert_duration(23 * HOUR + 1799 * SECOND, "23 h 30 min");
    assert_duration(23 * HOUR + 1800 * SECOND, "1 d");
    assert_duration(76 * HOUR, "3 d 4 h");
    assert_duration(UINT64_MAX, "213504 d");
}

/* Whatever the time is, the text is at most half of its last digit off. */
static void test_durations_all_over(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double nanoseconds;
    } units[] = {{"ns", 1},     {"us", 1e3},   {"ms", 1e6},   {"s", 1e9},
                 {"min", 6e10}, {"h", 3.6e12}, {"d", 8.64e13}};
    for (uint64_t time = 1; time < UINT64_MAX / 9 * 8; time += time / 8 + 1) {
        char text[FORMAT_TEXT];
        double value = 0;
        for (char *at = (char *)(uintptr_t)format_duration(text, time); *at != '\0';) {
            double number = strtod(at, &at);
            size_t length = strcspn(++at, " ");
            size_t unit = 0;
            while (strlen(units[unit].name) != length || strncmp(units[unit].name, at, length) != 0)
                assert_true(++unit < sizeof units / sizeof *units);
            value += number * units[unit].nanoseconds;
            at += length;
        }
        assert_true(value > (double)time * 0.94 && value < (double)time * 1.06);
    }
}

static void test_seconds(void **state)
{
    char text[FORMAT_TEXT];
    (void)state;
    assert_string_equal(format_seconds(text, 0), "0.000000000");
    assert_string_equal(format_seconds(text, 12 * MILLISECOND), "0.012000000");
    assert_string_equal(format_seconds(text, UINT64_MAX), "18446744073.709551615");
}

static void test_sizes(void **state)
{
    char text[FORMAT_TEXT];
    (void)state;
    assert_string_equal(format_size(text, 0), "0 B");
    assert_string_equal(format_size(text, 1023), "1023 B");
    assert_string_equal(format_size(text, 1024), "1.0 KiB");
    assert_string_equal(format_size(text, 3482), "3.4 KiB");
    assert_string_equal(format_size(text, 1048575), "1.0 MiB");
    assert_string_equal(format_size(text, UINT64_C(12) << 30), "12 GiB");
    assert_string_equal(format_size(text, UINT64_MAX), "16 EiB");
}

static void test_points_of_time(void **state)
{
    char text[FORMAT_TEXT];
    uint64_t time = UINT64_C(1795468036) * SECOND + 123456789;
    (void)state;
    assert_int_equal(setenv("TZ", "XYZ-1", 1), 0);
    tzset();
    assert_string_equal(format_time(text, time), "2026-11-23 22:07:16");
    assert_string_equal(format_time_exact(text, time), "2026-11-23T21:07:16.123456Z");
    assert_string_equal(format_time_exact(text, 0), "1970-01-01T00:00:00.000000Z");
    assert_string_equal(format_time_exact(text, UINT64_MAX), "2554-07-21T23:34:33.709551Z");
}

static void test_locales(void **state)
{
    char text[FORMAT_TEXT];
    (void)state;
    assert_false(format_is_utf8());
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
    assert_true(format_is_utf8());
    assert_string_equal(format_duration(text, 1500), "1.5 \302\265s");
    assert_non_null(setlocale(LC_CTYPE, "C"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),      cmocka_unit_test(test_durations_all_over),
        cmocka_unit_test(test_seconds),        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_points_of_time), cmocka_unit_test(test_locales),
    };
    return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
