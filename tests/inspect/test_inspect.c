/*
 * The parser of the kernel's list on recorded and hostile texts, the writer of JSON, the rules of
 * the verdicts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lockctl/inspect/json.h"
#include "lockctl/inspect/kernel_view.h"
#include "lockctl/inspect/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

static struct arena arena;

static struct kernel_view parse(const char *text)
{
    struct kernel_view view = {.items = NULL};
    kernel_view_parse(&view, &arena, arena_copy(&arena, text, strlen(text)));
    return view;
}

static void test_recorded_list(void **state)
{
    (void)state;
    struct kernel_view view =
        parse("1: FLOCK  ADVISORY  WRITE 2448 00:1b:11932906 0 EOF\n"
              "1: -> FLOCK  ADVISORY  WRITE 2450 00:1b:11932906 0 EOF\n"
              "1:  -> FLOCK  ADVISORY  READ 2451 00:1b:11932906 0 EOF\n"
              "2: POSIX  ADVISORY  READ 17 fe:00:42 128 128\n"
              "3: OFDLCK ADVISORY  READ -1 fe:00:42 0 EOF\n"
              "4: LEASE  ACTIVE    READ 17 fe:00:42 0 EOF\n"
              "5: FLOCK  ADVISORY  READ 0 fe:100:18446744073709551615 0 EOF\n");
    assert_int_equal(view.count, 4);
    assert_false(kernel_view_contradicts_itself(&view));
    size_t first;
    assert_int_equal(kernel_view_find(&view, makedev(0, 0x1b), 11932906, &first), 3);
    assert_false(view.items[first].waits);
    assert_true(view.items[first].exclusive);
    assert_int_equal(view.items[first].process, 2448);
    assert_true(view.items[first + 1].waits && view.items[first + 2].waits);
    assert_int_equal(view.items[first + 2].process, 2451);
    assert_false(view.items[first + 2].exclusive);
    assert_int_equal(kernel_view_find(&view, makedev(0xfe, 0x100), UINT64_MAX, &first), 1);
    assert_int_equal(view.items[first].process, 0);
    assert_int_equal(kernel_view_find(&view, makedev(0xfe, 0), 42, &first), 0);
}

static void test_hostile_lines(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        " ",
        "1:",
        "1: ->",
        "1: -> -> FLOCK ADVISORY WRITE 1 0:0:1 0 EOF",
        "1: FLOCK",
        "1: FLOCK ADVISORY WRITE",
        "1: FLOCK ADVISORY WRITE 1",
        "1: FLOCK ADVISORY WRITE 1 fe:00",
        "1: FLOCK ADVISORY WRITE 1 fe0042",
        "1: FLOCK ADVISORY WRITE 1 fe:00:",
        "1: FLOCK ADVISORY WRITE 1 fe:00:4x 0 EOF",
        "1: FLOCK ADVISORY WRITE 1 <none>:0 0 EOF",
        "1: FLOCK ADVISORY WRITE -1 fe:00:4 0 EOF",
        "1: FLOCK ADVISORY WRITE 99999999999 fe:00:4 0 EOF",
        "1: FLOCK ADVISORY WRITE 1 fe:00:99999999999999999999999 0 EOF",
        "1: FLOCK ADVISORY WRITE 1 100000000:00:4 0 EOF",
        "1: FLOCK ADVISORY UNLCK 1 fe:00:4 0 EOF",
        "1: FLOCKS ADVISORY WRITE 1 fe:00:4 0 EOF",
        "FLOCK ADVISORY WRITE 1 fe:00:4 0 EOF",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct kernel_flock flock;
        char line[128];
        (void)snprintf(line, sizeof line, "%s", lines[i]);
        if (kernel_view_parse_line(line, &flock))
            fail_msg("taken: %s", lines[i]);
    }
}

static void test_random_lines(void **state)
{
    (void)state;
    static const char alphabet[] = "0123456789abcdef: ->FLOCKWRITEAD\t\n";
    srand(17);
    for (int i = 0; i < 20000; i++) {
        char text[400];
        size_t length = (size_t)rand() % (sizeof text - 1);
        for (size_t j = 0; j < length; j++)
            text[j] = alphabet[(size_t)rand() % (sizeof alphabet - 1)];
        text[length] = '\0';
        (void)parse(text);
    }
}

/* Two pieces between which a lock changed hands: an exclusive holder beside another one. */
static void test_torn(void **state)
{
    (void)state;
    struct kernel_view view = parse("1: FLOCK  ADVISORY  WRITE 1 fe:00:7 0 EOF\n"
                                    "2: FLOCK  ADVISORY  WRITE 3 fe:00:8 0 EOF\n"
                                    "3: FLOCK  ADVISORY  WRITE 2 fe:00:7 0 EOF\n");
    assert_true(kernel_view_contradicts_itself(&view));
    view = parse("1: FLOCK  ADVISORY  READ 1 fe:00:7 0 EOF\n"
                 "2: FLOCK  ADVISORY  WRITE 2 fe:00:7 0 EOF\n");
    assert_true(kernel_view_contradicts_itself(&view));
    view = parse("1: FLOCK  ADVISORY  READ 1 fe:00:7 0 EOF\n"
                 "2: FLOCK  ADVISORY  READ 2 fe:00:7 0 EOF\n"
                 "3: FLOCK  ADVISORY  WRITE 2 fe:01:7 0 EOF\n");
    assert_false(kernel_view_contradicts_itself(&view));
    struct kernel_view later = parse("1: FLOCK  ADVISORY  WRITE 9 fe:01:7 0 EOF\n");
    kernel_view_merge(&later, &view, &arena);
    assert_int_equal(later.count, 3);
    size_t first;
    assert_int_equal(kernel_view_find(&later, makedev(0xfe, 1), 7, &first), 1);
    assert_int_equal(later.items[first].process, 9);
}

static void test_json(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    struct json json = {.file = open_memstream(&text, &size)};
    json_open(&json, NULL, '{');
    json_text(&json, "a", "q\"b\\n\n\x1b\x7f\xc2\x9b\xff\xe2\x82\xac\xed\xa0\x80\xc0\x80\xf4\x90");
    json_text(&json, "n", NULL);
    json_seconds(&json, "s", 1500000000);
    json_seconds(&json, "u", UNKNOWN_TIME);
    json_boolean(&json, "t", true);
    json_open(&json, "e", '[');
    json_close(&json, ']');
    json_close(&json, '}');
    (void)fclose(json.file);
#define BAD "\xef\xbf\xbd"
    assert_string_equal(text, "{\n   \"a\": \"q\\\"b\\\\n\\u000a\\u001b\\u007f\\u009b" BAD
                              "\xe2\x82\xac" BAD BAD BAD BAD BAD BAD BAD "\",\n   \"n\": null,\n"
                              "   \"s\": 1.500000000,\n   \"u\": null,\n   \"t\": true,\n"
                              "   \"e\": []\n}\n");
    free(text);
}

/* --- rules --- */

static struct inspected_process processes[3];
static struct inspected_holder holders[3];

static struct inspected_lock make_lock(size_t count)
{
    for (int i = 0; i < 3; i++) {
        processes[i] = (struct inspected_process){.pid = 100 + i, .state = 'S'};
        holders[i] = (struct inspected_holder){.process = &processes[i],
                                               .mode = REGISTRY_SHARED,
                                               .held = UNKNOWN_TIME,
                                               .untouched = UNKNOWN_TIME};
    }
    return (struct inspected_lock){.label = "L",
                                   .path_state = PATH_CURRENT,
                                   .held = count > 0,
                                   .holders = holders,
                                   .holder_count = count,
                                   .cycle = -1};
}

static void expect(struct inspected_lock *lock, enum verdict verdict, const char *reason)
{
    struct inspected_wait waits[] = {{&processes[0], lock, 0}, {&processes[1], lock, 0}};
    struct inspected_cycle cycle = {waits, 2};
    struct inspection inspection = {.locks = lock, .count = 1, .cycles = &cycle, .cycle_count = 1};
    verdict_judge(&inspection, 1000, &arena);
    assert_string_equal(verdict_name(lock->verdict), verdict_name(verdict));
    if (strstr(lock->reason, reason) == NULL)
        fail_msg("%s: %s", verdict_name(verdict), lock->reason);
}

static void test_rules(void **state)
{
    (void)state;
    struct inspected_lock lock = make_lock(0);
    expect(&lock, VERDICT_FREE, "nobody");
    lock.crashed = true;
    expect(&lock, VERDICT_CRASHED, "half-written");
    lock = make_lock(2);
    lock.crashed = true;
    expect(&lock, VERDICT_HEALTHY, "2 living");
    processes[0].state = 'T';
    expect(&lock, VERDICT_HEALTHY, "1 is stopped");
    processes[1].state = 't';
    expect(&lock, VERDICT_STOPPED, "all 2");
    holders[1].taker = 99;
    holders[1].taker_gone = true;
    expect(&lock, VERDICT_ORPHANED, "process 99 took it and is gone; process 101 keeps it");
    lock.cycle = 0;
    expect(&lock, VERDICT_DEADLOCK, "100 behind 101 behind the first");
    lock.path_state = PATH_DELETED;
    expect(&lock, VERDICT_SPLIT, "deleted or replaced");
    lock = make_lock(1);
    processes[0].sleeps_uninterruptibly = true;
    expect(&lock, VERDICT_STUCK, "state D");
    processes[0].pid = 0;
    processes[0].sleeps_uninterruptibly = false;
    expect(&lock, VERDICT_HEALTHY, "not visible");
}

static void test_rule_of_time(void **state)
{
    (void)state;
    struct inspected_lock lock = make_lock(2);
    holders[0].held = holders[0].untouched = 2000;
    expect(&lock, VERDICT_HEALTHY, "");
    lock.waiter_count = 1;
    expect(&lock, VERDICT_STUCK, "others wait");
    holders[1].untouched = 10;
    expect(&lock, VERDICT_HEALTHY, "");
    holders[1].untouched = 1001;
    expect(&lock, VERDICT_STUCK, "process 100");
    holders[0].untouched = 1000;
    expect(&lock, VERDICT_HEALTHY, "");
    holders[0].untouched = UNKNOWN_TIME;
    holders[1].held = UNKNOWN_TIME;
    expect(&lock, VERDICT_HEALTHY, "");
}

static int clean(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_list), cmocka_unit_test(test_hostile_lines),
        cmocka_unit_test(test_random_lines),  cmocka_unit_test(test_torn),
        cmocka_unit_test(test_json),          cmocka_unit_test(test_rules),
        cmocka_unit_test(test_rule_of_time),
    };
    return cmocka_run_group_tests(tests, NULL, clean);
}
