/* test_block.c: each type's block, byte by byte, in both directions. */
#include "tests/store/support.h"

#include "store/block.h"

#include <float.h>
#include <math.h>

static struct bytes encoded(const struct tablestore_value *value)
{
    struct tablestore_error error;
    struct bytes bytes = {0};
    require(block_encode(value->type, value, &bytes, "f", &error));
    return bytes;
}

static void assert_block(struct tablestore_value value, const char *block, size_t length)
{
    struct bytes bytes = encoded(&value);
    assert_int_equal(bytes.length, length);
    assert_memory_equal(bytes.data, block, length);
    bytes_free(&bytes);
}
#define BLOCK(value, literal) assert_block(value, literal, sizeof(literal) - 1)

static void refuse_value(struct tablestore_value value, enum tablestore_status status)
{
    struct tablestore_error error = {0};
    struct bytes bytes = {0};
    refuse(status, block_encode(value.type, &value, &bytes, "f", &error));
    assert_int_equal(bytes.length, 0);
    bytes_free(&bytes);
}

static const char *decode(enum tablestore_type type, const char *block, size_t length,
                          struct tablestore_value *value, char room[256])
{
    return block_decode(type, (struct block){(const unsigned char *)block, length}, value, room);
}

static void assert_damaged(enum tablestore_type type, const char *block, size_t length)
{
    struct tablestore_value value;
    char room[256];
    assert_non_null(decode(type, block, length, &value, room));
    assert_true(value.null);
}
#define DAMAGED(type, literal) assert_damaged(type, literal, sizeof(literal) - 1)

static void test_nulls(void **state)
{
    (void)state;
    BLOCK(null_value(TABLESTORE_INT), "!\0\0\0\0");
    BLOCK(null_value(TABLESTORE_FLOAT), "!\0\0\0\0\0\0\0\0\0");
    BLOCK(null_value(TABLESTORE_BOOL), "!\0");
    BLOCK(null_value(TABLESTORE_DATE), "!xxxxxxxx\n");
    BLOCK(null_value(TABLESTORE_DATETIME), "!xxxxxxxxxxxxxx\n");
    BLOCK(null_value(TABLESTORE_TIME), "!xxxxxx\n");
    BLOCK(null_value(TABLESTORE_STR), "!\n");
    BLOCK(null_value(TABLESTORE_UNICODE), "!\n");
    BLOCK(null_value(TABLESTORE_REFERENCE), "!\0\0\0\0");
    DAMAGED(TABLESTORE_STR, "!x\n");
}

static void test_int(void **state)
{
    (void)state;
    BLOCK(int_value(0), "-\x40\0\0\0");
    BLOCK(int_value(-1), "-\x3f\xff\xff\xff");
    BLOCK(int_value(1073741823), "-\x7f\xff\xff\xff");
    BLOCK(int_value(-1073741824), "-\0\0\0\0");
    BLOCK(int_value(-3221225472), "-\x80\0\0\0");
    refuse_value(int_value(1073741824), TABLESTORE_RANGE);
    refuse_value(int_value(-3221225473), TABLESTORE_RANGE);
    refuse_value(int_value(INT64_MAX), TABLESTORE_RANGE);
    refuse_value(int_value(INT64_MIN), TABLESTORE_RANGE);
    struct tablestore_value value;
    char room[256];
    assert_null(decode(TABLESTORE_INT, "-\x80\0\0\0", 5, &value, room));
    assert_int_equal(value.integer, -3221225472);
    DAMAGED(TABLESTORE_INT, "-\0\0\0");
    DAMAGED(TABLESTORE_INT, "?\0\0\0\0");
}

static void test_float(void **state)
{
    (void)state;
    BLOCK(float_value(0), "-\x80\0\0\0\0\0\0\0\0");
    BLOCK(float_value(-0.0), "-\x80\0\0\0\0\0\0\0\0");
    BLOCK(float_value(1), "-\xc0\x01\xe0\0\0\0\0\0\0");
    /* From the sample table with defaults. */
    BLOCK(float_value(-0.75), "-\x40\0\xd6\x66\x66\x66\x66\x66\x68");
    static const double exact[] = {1,       0.5,     3.14159,     1e300, 1e-300,
                                   DBL_MAX, DBL_MIN, DBL_MIN / 4, 7};
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++) {
        struct tablestore_value value = float_value(exact[i]);
        struct bytes bytes = encoded(&value);
        char room[256];
        assert_null(decode(TABLESTORE_FLOAT, (char *)bytes.data, bytes.length, &value, room));
        assert_true(value.real == exact[i]);
        bytes.length = 0;
        value = float_value(-exact[i]);
        bytes_free(&bytes);
        bytes = encoded(&value);
        assert_null(decode(TABLESTORE_FLOAT, (char *)bytes.data, bytes.length, &value, room));
        assert_true(fabs(value.real + exact[i]) <= exact[i] * 1e-14);
        bytes_free(&bytes);
    }
    refuse_value(float_value(INFINITY), TABLESTORE_RANGE);
    refuse_value(float_value(NAN), TABLESTORE_RANGE);
    DAMAGED(TABLESTORE_FLOAT, "-\xff\xff\xe0\0\0\0\0\0\0");
    DAMAGED(TABLESTORE_FLOAT, "-\xc0\x01\0\0\0\0\0\0\0");
}

static void test_float_order(void **state)
{
    (void)state;
    static const double ascending[] = {-1e300, -2,     -1.5, -1, -0.25, -1e-300,
                                       0,      1e-300, 0.25, 1,  2,     1e300};
    struct bytes before = {0};
    for (size_t i = 0; i < sizeof ascending / sizeof *ascending; i++) {
        struct tablestore_value value = float_value(ascending[i]);
        struct bytes bytes = encoded(&value);
        if (i > 0)
            assert_true(memcmp(before.data, bytes.data, 10) < 0);
        bytes_free(&before);
        before = bytes;
    }
    bytes_free(&before);
}

static void test_bool_and_reference(void **state)
{
    (void)state;
    BLOCK(bool_value(true), "-1");
    BLOCK(bool_value(false), "-0");
    DAMAGED(TABLESTORE_BOOL, "-2");
    struct tablestore_value reference = {.type = TABLESTORE_REFERENCE, .integer = 258};
    BLOCK(reference, "-\0\0\x01\x02");
    reference.integer = -1;
    refuse_value(reference, TABLESTORE_RANGE);
    DAMAGED(TABLESTORE_REFERENCE, "-\xff\0\0\0");
}

static void test_dates(void **state)
{
    (void)state;
    BLOCK(parsed_value(TABLESTORE_DATE, "2011-05-01"), "-20110501\n");
    BLOCK(parsed_value(TABLESTORE_DATE, "0001-01-01"), "-00010101\n");
    BLOCK(parsed_value(TABLESTORE_DATE, "2000-02-29"), "-20000229\n");
    BLOCK(parsed_value(TABLESTORE_DATETIME, "1999-12-31T23:59:58"), "-19991231235958\n");
    BLOCK(parsed_value(TABLESTORE_DATETIME, "1999-12-31 23:59:58"), "-19991231235958\n");
    BLOCK(parsed_value(TABLESTORE_TIME, "01:02:03"), "-010203\n");
    static const char *const no_dates[] = {"2001-02-29", "1900-02-29", "2011-13-01", "2011-00-01",
                                           "2011-04-31", "0000-01-01", "2011-5-1",   "x",
                                           "",           "2011-05-01x"};
    for (size_t i = 0; i < sizeof no_dates / sizeof *no_dates; i++) {
        struct tablestore_error error;
        struct tablestore_value value;
        refuse(TABLESTORE_TYPE, tablestore_value_parse(TABLESTORE_DATE, no_dates[i],
                                                       strlen(no_dates[i]), &value, &error));
    }
    DAMAGED(TABLESTORE_DATE, "-20110230\n");
    DAMAGED(TABLESTORE_DATE, "-2011 501\n");
    DAMAGED(TABLESTORE_DATE, "-20110501x");
    DAMAGED(TABLESTORE_DATETIME, "-20110501240000\n");
    DAMAGED(TABLESTORE_TIME, "-006000\n");
    struct tablestore_value value = {.type = TABLESTORE_DATE, .moment = {2011, 2, 30, 0, 0, 0}};
    refuse_value(value, TABLESTORE_RANGE);
}

static void test_texts(void **state)
{
    (void)state;
    BLOCK(text_value(TABLESTORE_STR, ""), "-\n");
    BLOCK(text_value(TABLESTORE_STR, "a\nb\rc\\d\\n"), "-a\\nb\\rc\\\\d\\\\n\n");
    BLOCK(text_value(TABLESTORE_UNICODE, "d\xc3\xa9"), "-d\xc3\xa9\n");
    struct tablestore_value value = {.type = TABLESTORE_STR, .text = {"a\0b", 3}};
    assert_block(value, "-a\0b\n", 5);
    refuse_value(text_value(TABLESTORE_UNICODE, "\xff"), TABLESTORE_RANGE);
    char room[256];
    assert_null(decode(TABLESTORE_STR, "-a\\nb\\rc\\\\d\\\\n\n", 15, &value, room));
    assert_int_equal(value.text.length, 9);
    assert_memory_equal(value.text.bytes, "a\nb\rc\\d\\n", 9);
    DAMAGED(TABLESTORE_STR, "-a\\x\n");
    DAMAGED(TABLESTORE_STR, "-a\\\n");
    DAMAGED(TABLESTORE_STR, "-a\rb\n");
    DAMAGED(TABLESTORE_STR, "-a");
    DAMAGED(TABLESTORE_UNICODE, "-\xc3\n");
}

static void test_text_order(void **state)
{
    (void)state;
    static const char *const ascending[] = {"",    "\n",  "\n\n", "\r", "A",
                                            "A\n", "A\\", "B",    "\\", "a"};
    struct bytes before = {0};
    for (size_t i = 0; i < sizeof ascending / sizeof *ascending; i++) {
        struct tablestore_value value = text_value(TABLESTORE_STR, ascending[i]);
        struct bytes bytes = encoded(&value);
        struct block low = {before.data, before.length}, high = {bytes.data, bytes.length};
        if (i > 0) {
            assert_true(block_compare(TABLESTORE_STR, low, high) < 0);
            assert_true(block_compare(TABLESTORE_STR, high, low) > 0);
        }
        assert_int_equal(block_compare(TABLESTORE_STR, high, high), 0);
        bytes_free(&before);
        before = bytes;
    }
    bytes_free(&before);
}

static void test_wrong_type(void **state)
{
    (void)state;
    struct tablestore_error error;
    struct tablestore_value value = float_value(1);
    struct bytes bytes = {0};
    refuse(TABLESTORE_TYPE, block_encode(TABLESTORE_INT, &value, &bytes, "f", &error));
    assert_non_null(strstr(error.message, "field f takes int, not float"));
    bytes_free(&bytes);
}

static void test_text_forms(void **state)
{
    (void)state;
    static const struct {
        enum tablestore_type type;
        const char *text;
    } forms[] = {
        {TABLESTORE_INT, "-17"},         {TABLESTORE_FLOAT, "0.1"},
        {TABLESTORE_FLOAT, "1e+300"},    {TABLESTORE_FLOAT, "2.0"},
        {TABLESTORE_BOOL, "true"},       {TABLESTORE_BOOL, "false"},
        {TABLESTORE_DATE, "2026-01-31"}, {TABLESTORE_DATETIME, "0999-01-31T00:00:09"},
        {TABLESTORE_TIME, "23:59:59"},   {TABLESTORE_REFERENCE, "12"},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char text[TABLESTORE_TEXT_SIZE];
        struct tablestore_value value = parsed_value(forms[i].type, forms[i].text);
        assert_string_equal(tablestore_value_format(&value, text), forms[i].text);
    }
    static const char *const no_ints[] = {"", " 1", "1x", "99999999999999999999", "1.0"};
    for (size_t i = 0; i < sizeof no_ints / sizeof *no_ints; i++) {
        struct tablestore_error error;
        struct tablestore_value value;
        refuse(TABLESTORE_TYPE, tablestore_value_parse(TABLESTORE_INT, no_ints[i],
                                                       strlen(no_ints[i]), &value, &error));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nulls),      cmocka_unit_test(test_int),
        cmocka_unit_test(test_float),      cmocka_unit_test(test_float_order),
        cmocka_unit_test(test_dates),      cmocka_unit_test(test_bool_and_reference),
        cmocka_unit_test(test_texts),      cmocka_unit_test(test_text_order),
        cmocka_unit_test(test_wrong_type), cmocka_unit_test(test_text_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
