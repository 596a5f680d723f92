/*
 * Settings: every key with good and bad values, lines with escapes, what is written is read back
 * the same, and the environment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND INT64_C(1000000000)

static const char *set(struct table_settings *table, const char *key, const char *value)
{
    *table = settings_default();
    return settings_set(table, key, value);
}

static void test_defaults(void **state)
{
    (void)state;
    struct table_settings table = settings_default();
    assert_null(table.path);
    assert_null(table.lock);
    assert_null(table.log);
    assert_null(table.exempt);
    assert_int_equal(table.scope, SCOPE_PROCESS);
    assert_int_equal(table.on_crash, ON_CRASH_REPORT);
    assert_int_equal(table.dependents, DEPENDENTS_JOIN);
    assert_int_equal(table.lost_update, LOST_UPDATE_FAIL);
    assert_false(table.shared);
    assert_int_equal(table.timeout, -1);
}

static void test_every_key(void **state)
{
    struct table_settings table;
    (void)state;
    const char *const scopes[] = {"command", "process", "session", "call"};
    for (int i = 0; i < 4; i++) {
        assert_null(set(&table, "scope", scopes[i]));
        assert_int_equal(table.scope, i);
        assert_string_equal(settings_scope_name((enum scope)i), scopes[i]);
    }
    assert_null(set(&table, "shared", "1"));
    assert_true(table.shared);
    assert_null(set(&table, "shared", "0"));
    assert_false(table.shared);
    assert_null(set(&table, "on-crash", "fail"));
    assert_int_equal(table.on_crash, ON_CRASH_FAIL);
    assert_null(set(&table, "dependents", "wait"));
    assert_int_equal(table.dependents, DEPENDENTS_WAIT);
    assert_null(set(&table, "lost-update", "report"));
    assert_int_equal(table.lost_update, LOST_UPDATE_REPORT);
    assert_null(set(&table, "lock", "/x/lock"));
    assert_string_equal(table.lock, "/x/lock");
    assert_null(set(&table, "exempt", "a,b"));
    assert_string_equal(table.exempt, "a,b");
    assert_null(set(&table, "exempt", ""));
    assert_null(table.exempt);
    assert_null(set(&table, "log", "stderr"));
    assert_string_equal(table.log, "stderr");
    assert_null(set(&table, "log", "none"));
    assert_null(table.log);
}

static void test_timeouts(void **state)
{
    static const struct {
        const char *text;
        int64_t nanoseconds;
    } good[] = {{"0", 0},
                {"1", SECOND},
                {"0.5", SECOND / 2},
                {".25", SECOND / 4},
                {"3.", 3 * SECOND},
                {"0.000000001", 1},
                {"0.0000000019", 1},
                {"1000000000", 1000000000 * SECOND},
                {"007", 7 * SECOND}};
    static const char *const bad[] = {"",    "-1",  "+1",   " 1",          "1 ",
                                      "1s",  "1,5", "0x10", ".",           "1e3",
                                      "inf", "nan", "1..2", "99999999999", "\xd9\xa1"};
    struct table_settings table;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_null(set(&table, "timeout", good[i].text));
        assert_int_equal(table.timeout, good[i].nanoseconds);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (set(&table, "timeout", bad[i]) == NULL)
            fail_msg("timeout '%s' is taken", bad[i]);
        assert_int_equal(table.timeout, -1);
    }
}

static void test_bad_values(void **state)
{
    static const char *const bad[][2] = {
        {"scope", ""},          {"scope", "Session"},   {"scope", "session "},
        {"scope", "all"},       {"shared", ""},         {"shared", "2"},
        {"shared", "maybe"},    {"on-crash", "ignore"}, {"on-crash", ""},
        {"dependents", "none"}, {"dependents", ""},     {"lost-update", "no"},
        {"lost-update", ""},    {"lock", ""},           {"log", ""}};
    struct table_settings table, before = settings_default();
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *wrong = set(&table, bad[i][0], bad[i][1]);
        if (wrong == NULL || wrong == SETTINGS_UNKNOWN_KEY)
            fail_msg("%s '%s' is taken", bad[i][0], bad[i][1]);
        else
            assert_null(strchr(wrong, '\n'));
        assert_memory_equal(&table, &before, sizeof table);
    }
    assert_ptr_equal(set(&table, "colour", "red"), SETTINGS_UNKNOWN_KEY);
    assert_ptr_equal(set(&table, "", "x"), SETTINGS_UNKNOWN_KEY);
    assert_ptr_equal(set(&table, "Scope", "call"), SETTINGS_UNKNOWN_KEY);
    char long_path[5000];
    memset(long_path, 'x', sizeof long_path);
    long_path[4096] = '\0';
    assert_non_null(set(&table, "lock", long_path));
    assert_non_null(set(&table, "log", long_path));
    long_path[4095] = '\0';
    assert_null(set(&table, "lock", long_path));
}

static const char *parse(struct table_settings *table, const char *text, char *message)
{
    static char line[8192];
    (void)snprintf(line, sizeof line, "%s", text);
    *table = settings_default();
    return settings_parse_line(table, line, message, 400);
}

static void test_lines(void **state)
{
    char message[400];
    struct table_settings table;
    (void)state;
    assert_null(parse(&table, "/t", message));
    assert_string_equal(table.path, "/t");
    assert_null(parse(&table, "  /a\\040b\\011c\\134\\012 \t scope=call  timeout=1.5 ", message));
    assert_string_equal(table.path, "/a b\tc\\\n");
    assert_int_equal(table.scope, SCOPE_CALL);
    assert_int_equal(table.timeout, SECOND * 3 / 2);
    assert_null(parse(&table, "/t lock=/l\\040k exempt=x,y", message));
    assert_string_equal(table.lock, "/l k");
    /* A later word counts; a value may hold an equals sign. */
    assert_null(parse(&table, "/t scope=call scope=session lock=a=b", message));
    assert_int_equal(table.scope, SCOPE_SESSION);
    assert_string_equal(table.lock, "a=b");
    static const char *const bad[] = {"",
                                      "   ",
                                      "/t scope",
                                      "/t scope=",
                                      "/t =x",
                                      "/t colour=1",
                                      "/t \\040",
                                      "/t\\",
                                      "/t\\9",
                                      "/t\\000x",
                                      "/t lock=\\04",
                                      "/t lock=a\\777",
                                      "/t\\400",
                                      "/t scope=call=session"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        message[0] = '\0';
        if (parse(&table, bad[i], message) == NULL)
            fail_msg("line '%s' is taken", bad[i]);
        assert_true(message[0] != '\0');
    }
    char long_line[5000] = "/";
    memset(long_line + 1, 'x', 4096);
    assert_non_null(parse(&table, long_line, message));
    assert_true(strlen(message) < sizeof message);
}

static unsigned random_number(void)
{
    static uint32_t seed = 12345;
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static char *random_text(char *text, size_t size)
{
    size_t length = 1 + random_number() % (size - 1);
    for (size_t i = 0; i < length; i++)
        text[i] = (char)(unsigned char)(1 + random_number() % 255);
    text[length] = '\0';
    return text;
}

static void assert_same_text(const char *one, const char *other)
{
    if (one == NULL || other == NULL)
        assert_ptr_equal(one, other);
    else
        assert_string_equal(one, other);
}

static void test_round_trip(void **state)
{
    char path[60], lock[60], exempt[60], log[60], line[2000], message[400];
    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct table_settings table = settings_default(), read = settings_default();
        table.path = random_text(path, sizeof path);
        table.lock = random_number() % 2 ? random_text(lock, sizeof lock) : NULL;
        table.exempt = random_number() % 2 ? random_text(exempt, sizeof exempt) : NULL;
        table.log = random_number() % 2 ? random_text(log, sizeof log) : NULL;
        table.scope = (enum scope)(random_number() % 4);
        table.on_crash = (enum on_crash)(random_number() % 2);
        table.dependents = (enum dependents)(random_number() % 2);
        table.lost_update = (enum lost_update)(random_number() % 2);
        table.shared = random_number() % 2 != 0;
        table.timeout = random_number() % 3 == 0
                            ? -1
                            : (int64_t)random_number() * 977 + (int64_t)random_number() * SECOND;
        if (table.timeout > 1000000000 * SECOND)
            table.timeout = 0;
        size_t length = settings_format_line(&table, line, sizeof line);
        assert_int_equal(length, strlen(line));
        assert_null(strpbrk(line, "\n\t\x7f"));
        const char *wrong = settings_parse_line(&read, line, message, sizeof message);
        if (wrong != NULL)
            fail_msg("a line that was written is not read: %s", wrong);
        assert_same_text(read.path, table.path);
        assert_same_text(read.lock, table.lock);
        assert_same_text(read.exempt, table.exempt);
        assert_same_text(read.log, table.log);
        assert_int_equal(read.scope, table.scope);
        assert_int_equal(read.on_crash, table.on_crash);
        assert_int_equal(read.dependents, table.dependents);
        assert_int_equal(read.lost_update, table.lost_update);
        assert_int_equal(read.shared, table.shared);
        assert_int_equal(read.timeout, table.timeout);
    }
}

static void test_short_buffer(void **state)
{
    char line[300], whole[300];
    struct table_settings table = settings_default();
    (void)state;
    table.path = "/a path";
    size_t length = settings_format_line(&table, whole, sizeof whole);
    for (size_t size = 0; size <= length + 1; size++) {
        memset(line, '#', sizeof line);
        assert_int_equal(settings_format_line(&table, line, size), length);
        assert_int_equal(line[size], '#');
        if (size > 0) {
            assert_int_equal(line[size - 1], '\0');
            assert_memory_equal(line, whole, size - 1);
        }
    }
}

/* --- the environment --- */

static void test_environment(void **state)
{
    struct settings settings;
    (void)state;
    char *none[] = {(char *)"PATH=/bin", (char *)"LOCKSHIM_SCOPE=call", NULL};
    assert_null(settings_from_environment(&settings, none));
    assert_int_equal(settings.count, 0);
    assert_null(settings_from_environment(&settings, NULL));
    assert_int_equal(settings.count, 0);
    char *one[] = {(char *)"LOCKSHIM_TABLE=/a b", (char *)"LOCKSHIM_SCOPE=call",
                   (char *)"LOCKSHIM_TIMEOUT=2", (char *)"LOCKSHIM_TABLEX=/no", NULL};
    assert_null(settings_from_environment(&settings, one));
    assert_int_equal(settings.count, 1);
    assert_string_equal(settings.tables[0].path, "/a b");
    assert_int_equal(settings.tables[0].scope, SCOPE_CALL);
    assert_int_equal(settings.tables[0].timeout, 2 * SECOND);
    char *several[] = {(char *)"LOCKSHIM_TABLES=/x scope=session\n\n  \n/y\\040z timeout=0\n",
                       (char *)"LOCKSHIM_TIMEOUT=7", (char *)"LOCKSHIM_TABLE=/w", NULL};
    assert_null(settings_from_environment(&settings, several));
    assert_int_equal(settings.count, 3);
    assert_string_equal(settings.tables[0].path, "/w");
    assert_string_equal(settings.tables[1].path, "/x");
    assert_int_equal(settings.tables[1].scope, SCOPE_SESSION);
    assert_int_equal(settings.tables[1].timeout, 7 * SECOND);
    assert_string_equal(settings.tables[2].path, "/y z");
    assert_int_equal(settings.tables[2].timeout, 0);
    assert_int_equal(settings.tables[2].scope, SCOPE_PROCESS);
}

static void assert_complaint(const char *variable, const char *table, const char *naming)
{
    struct settings settings;
    char *environment[] = {(char *)(uintptr_t)variable, (char *)(uintptr_t)table, NULL};
    const char *wrong = settings_from_environment(&settings, environment);
    if (wrong == NULL)
        fail_msg("%s is taken", variable);
    else if (strstr(wrong, naming) == NULL || strchr(wrong, '\n') != NULL)
        fail_msg("%s: the message does not name %s in one line: %s", variable, naming, wrong);
}

static void test_bad_environment(void **state)
{
    (void)state;
    assert_complaint("LOCKSHIM_SCOPE=x", "LOCKSHIM_TABLE=/t", "LOCKSHIM_SCOPE");
    assert_complaint("LOCKSHIM_TIMEOUT=-1", "LOCKSHIM_TABLE=/t", "LOCKSHIM_TIMEOUT");
    assert_complaint("LOCKSHIM_SHARED=x", "LOCKSHIM_TABLE=/t", "LOCKSHIM_SHARED");
    assert_complaint("LOCKSHIM_LOCK=", "LOCKSHIM_TABLE=/t", "LOCKSHIM_LOCK");
    assert_complaint("LOCKSHIM_ON_CRASH=x", "LOCKSHIM_TABLE=/t", "LOCKSHIM_ON_CRASH");
    assert_complaint("LOCKSHIM_DEPENDENTS=x", "LOCKSHIM_TABLE=/t", "LOCKSHIM_DEPENDENTS");
    assert_complaint("LOCKSHIM_LOST_UPDATE=x", "LOCKSHIM_TABLE=/t", "LOCKSHIM_LOST_UPDATE");
    assert_complaint("LOCKSHIM_TABLE=", "PATH=/bin", "LOCKSHIM_TABLE");
    assert_complaint("LOCKSHIM_TABLES=", "PATH=/bin", "LOCKSHIM_TABLES");
    assert_complaint("LOCKSHIM_TABLES=/t scope=\xff", "PATH=/bin", "LOCKSHIM_TABLES");
    assert_complaint("LOCKSHIM_SCOPE=a\nb", "LOCKSHIM_TABLE=/t", "LOCKSHIM_SCOPE");
    assert_complaint("LOCKSHIM_TABLES=/t scope=a\\012b", "PATH=/bin", "LOCKSHIM_TABLES");
    assert_complaint("LOCKSHIM_TABLES=/t\n/u colour=1", "PATH=/bin", "colour");
    char *many = malloc(3 * SETTINGS_TABLES_MAXIMUM + 100);
    assert_non_null(many);
    char *at = stpcpy(many, "LOCKSHIM_TABLES=");
    for (int i = 0; i <= SETTINGS_TABLES_MAXIMUM; i++)
        at = stpcpy(at, "/t\n");
    assert_complaint(many, "PATH=/bin", "60000");
    free(many);
}

static void test_names_program(void **state)
{
    (void)state;
    assert_true(settings_names_program("gpg-agent", "/usr/bin/gpg-agent"));
    assert_true(settings_names_program("a,gpg-agent,b", "gpg-agent"));
    assert_true(settings_names_program("a,,b", "b"));
    assert_false(settings_names_program("gpg-agent", "gpg"));
    assert_false(settings_names_program("gpg", "gpg-agent"));
    assert_false(settings_names_program(NULL, "gpg"));
    assert_false(settings_names_program("", "gpg"));
    assert_false(settings_names_program("bin", "/usr/bin/gpg"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),        cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_timeouts),        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_lines),           cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_short_buffer),    cmocka_unit_test(test_environment),
        cmocka_unit_test(test_bad_environment), cmocka_unit_test(test_names_program),
    };
    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
