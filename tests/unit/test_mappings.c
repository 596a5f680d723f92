/* The list of mappings: when one is gone, and signal handlers that come in the middle of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/mappings.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <time.h>

#define PAGE ((size_t)4096)
static char memory[64 * PAGE];
static int gone_count;
static unsigned gone_table;

static void count_gone(unsigned table)
{
    gone_count++;
    gone_table = table;
}

static void test_gone_with_its_last_page(void **state)
{
    (void)state;
    gone_count = 0;
    mappings_add(memory, 4 * PAGE, 7);
    mappings_remove(memory + PAGE, PAGE, count_gone); /* a hole: two parts are left */
    mappings_remove(memory, PAGE, count_gone);
    mappings_remove(memory + 2 * PAGE, PAGE, count_gone);
    assert_int_equal(gone_count, 0);
    mappings_remove(memory, 4 * PAGE, count_gone);
    assert_int_equal(gone_count, 1);
    assert_int_equal(gone_table, 7);
    assert_int_equal(atomic_load(&mappings_count), 0);
}

static void test_moved(void **state)
{
    (void)state;
    gone_count = 0;
    mappings_add(memory, 2 * PAGE, 3);
    mappings_move(memory, 2 * PAGE, memory + 8 * PAGE, 4 * PAGE, false);
    mappings_remove(memory, 2 * PAGE, count_gone);
    assert_int_equal(gone_count, 0);
    mappings_remove(memory + 8 * PAGE, 4 * PAGE, count_gone);
    assert_int_equal(gone_count, 1);
}

#define TOO_LONG 5000000
static volatile sig_atomic_t handled;
static volatile long longest; /* what a handler has taken at most: nanoseconds of the processor */

static long processor_time(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1000000000 + now.tv_nsec;
}

static void stop_timer(void)
{
    struct itimerval none = {{0, 0}, {0, 0}};
    (void)setitimer(ITIMER_REAL, &none, NULL);
}

static void handle(int signal)
{
    (void)signal;
    long began = processor_time();
    mappings_remove(memory + 32 * PAGE, PAGE, count_gone);
    long took = processor_time() - began;
    longest = took > longest ? took : longest;
    if (longest > TOO_LONG) /* or nobody came any further */
        stop_timer();
    handled = handled + 1;
}

/* Waiting for the thread that it has interrupted itself would take it tens of milliseconds. */
static void test_handler_does_not_wait_for_its_own_thread(void **state)
{
    (void)state;
    struct itimerval fast = {{0, 100}, {0, 100}};
    struct sigaction action = {.sa_handler = handle};
    mappings_add(memory + 40 * PAGE, PAGE, 1);
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &fast, NULL), 0);
    while (handled < 500 && longest <= TOO_LONG)
        mappings_remove(memory + 48 * PAGE, PAGE, count_gone);
    stop_timer();
    assert_true(longest <= TOO_LONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gone_with_its_last_page),
        cmocka_unit_test(test_moved),
        cmocka_unit_test(test_handler_does_not_wait_for_its_own_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
