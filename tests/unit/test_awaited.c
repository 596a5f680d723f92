/* What a process tells in the registries about the child that it waits for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/lock/awaited.h"
#include "shim/lock/relatives.h"
#include "tests/unit/lock_fixture.h"

#include <pthread.h>

enum { THREADS = 4, ROUNDS = 20000, ONE = 4711, ANOTHER = 4712 };

/* As whoever waits for the lock reads it. */
static int32_t told(void)
{
    struct registry_head head;
    assert_true(registry_look(&lock.registry, &head));
    assert_int_equal(head.exclusive.process, getpid());
    return head.exclusive.awaited;
}

static void one_child_is_told_of(void **state)
{
    (void)state;
    assert_int_equal(told(), 0);
    awaited_begin(ONE);
    assert_int_equal(told(), ONE);
    awaited_end();
    assert_int_equal(told(), 0);
}

static void several_waits_for_one_tell_of_it(void **state)
{
    (void)state;
    awaited_begin(ONE);
    awaited_begin(ONE);
    assert_int_equal(told(), ONE);
    awaited_end();
    assert_int_equal(told(), ONE);
    awaited_end();
    assert_int_equal(told(), 0);
}

/* Which of them has ended is not known: nothing is told until both have. */
static void several_children_are_not_told_of(void **state)
{
    (void)state;
    awaited_begin(ONE);
    awaited_begin(ANOTHER);
    assert_int_equal(told(), 0);
    awaited_end();
    assert_int_equal(told(), 0);
    awaited_end();
    awaited_begin(ANOTHER);
    assert_int_equal(told(), ANOTHER);
    awaited_begin(RELATIVES_ANY_CHILD);
    assert_int_equal(told(), 0);
    awaited_end();
    awaited_end();
    assert_int_equal(told(), 0);
}

static void any_child_is_not_told_of(void **state)
{
    (void)state;
    awaited_begin(RELATIVES_ANY_CHILD);
    assert_int_equal(told(), 0);
    awaited_begin(ONE);
    assert_int_equal(told(), 0);
    awaited_end();
    awaited_end();
}

/* Another thread waits already when this one takes the lock. */
static void who_takes_the_lock_tells_at_once(void **state)
{
    (void)state;
    lock_leave(&lock);
    assert_false(is_locked());
    awaited_begin(ONE);
    assert_int_equal(lock_enter(&lock, 0, 0), 0);
    assert_true(is_locked());
    assert_int_equal(told(), ONE);
    awaited_end();
    assert_int_equal(told(), 0);
}

static void a_forked_child_begins_anew(void **state)
{
    (void)state;
    awaited_begin(ONE);
    awaited_forget();
    awaited_begin(ANOTHER);
    assert_int_equal(awaited_child(), ANOTHER);
    awaited_end();
}

static void *wait_often(void *child)
{
    for (int i = 0; i < ROUNDS; i++) {
        awaited_begin(*(pid_t *)child);
        awaited_end();
    }
    return NULL;
}

/* What is told when all have done is true, and so is what is told next. */
static void threads_leave_no_trace(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    pid_t children[THREADS];
    for (int i = 0; i < THREADS; i++) {
        children[i] = ONE + i % 2;
        assert_int_equal(pthread_create(&threads[i], NULL, wait_often, &children[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(told(), 0);
    one_child_is_told_of(state);
}

static int take(void **state)
{
    (void)state;
    if (!make_directory())
        return -1;
    prepare_lock();
    lock_list_add(&lock);
    return lock_enter(&lock, 0, 0);
}

static int leave(void **state)
{
    (void)state;
    lock_leave(&lock);
    drop_lock();
    remove_directory();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_child_is_told_of),
        cmocka_unit_test(several_waits_for_one_tell_of_it),
        cmocka_unit_test(several_children_are_not_told_of),
        cmocka_unit_test(any_child_is_not_told_of),
        cmocka_unit_test(who_takes_the_lock_tells_at_once),
        cmocka_unit_test(a_forked_child_begins_anew),
        cmocka_unit_test(threads_leave_no_trace),
    };
    return cmocka_run_group_tests(tests, take, leave);
}
