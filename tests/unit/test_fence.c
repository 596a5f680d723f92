/* The fence: against which acquisition it stands, and that it harms no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/lock_fixture.h"

#include <pthread.h>
#include <time.h>

static int set_up(void **state)
{
    (void)state;
    prepare_lock();
    return 0;
}

static int without_registry(void **state)
{
    (void)set_up(state);
    lock.registry_opened = true;
    lock.registry_mended = registry_now();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    drop_lock();
    return 0;
}

static void raise_against(uint64_t acquisition)
{
    atomic_store(&lock.fence.raised, fence_value(acquisition));
}

static bool call_is_let_in(void)
{
    bool in = fence_begin(&lock.fence);
    if (in)
        fence_end(&lock.fence);
    assert_int_equal(atomic_load(&lock.fence.calls), 0); /* what is refused is over at once */
    return in;
}

static void test_holder_is_stopped(void **state)
{
    (void)state;
    assert_int_equal(lock_enter(&lock, 0, LOCK_CHANGES), 0);
    raise_against(lock.acquisition);
    assert_false(call_is_let_in());
    lock_leave(&lock);
    assert_true(is_locked()); /* for whoever has broken it to let go of */
    assert_false(call_is_let_in());
    assert_int_equal(atomic_load(&lock.fence.calls), 0);
}

/* --- a break that is under way --- */

/* As lockctl does: a lock on a byte of the file, by a description of its own. */
static int begin_break(void)
{
    int descriptor = open(path, O_RDWR | O_CLOEXEC);
    struct flock byte = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCK_BREAK_OFFSET, .l_len = 1};
    assert_int_equal(fcntl(descriptor, F_OFD_SETLK, &byte), 0);
    raise_against(lock.acquisition);
    return descriptor;
}

static _Atomic bool given_up;

static void *give_up(void *descriptor)
{
    (void)nanosleep(&(struct timespec){0, 50000000}, NULL);
    atomic_store(&given_up, true);
    atomic_store(&lock.fence.raised, 0);
    (void)close(*(int *)descriptor);
    return NULL;
}

static void test_break_that_is_given_up_is_waited_for(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(lock_enter(&lock, 0, LOCK_CHANGES), 0);
    uint64_t generation = lock.generation;
    int descriptor = begin_break();
    atomic_store(&given_up, false);
    assert_int_equal(pthread_create(&thread, NULL, give_up, &descriptor), 0);
    (void)lock_before_change(&lock);
    lock_leave(&lock);
    assert_true(atomic_load(&given_up));
    assert_false(is_locked());
    assert_int_equal(lock.generation, generation + 1); /* what it did counts */
    (void)pthread_join(thread, NULL);
}

static void *succeed(void *descriptor)
{
    (void)nanosleep(&(struct timespec){0, 50000000}, NULL);
    (void)flock(atomic_load(&lock.descriptor), LOCK_UN);
    (void)close(*(int *)descriptor);
    return NULL;
}

static void test_break_that_succeeds_is_waited_for(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(lock_enter(&lock, 0, LOCK_CHANGES), 0);
    int descriptor = begin_break();
    assert_int_equal(pthread_create(&thread, NULL, succeed, &descriptor), 0);
    lock_leave(&lock);
    assert_false(is_locked());
    assert_false(call_is_let_in());
    assert_false(lock_is_held(&lock));
    (void)pthread_join(thread, NULL);
}

/* A signal handler that lets go in the midst of a call: the break waits for that call. */
static void test_who_is_waited_for_does_not_wait(void **state)
{
    (void)state;
    assert_int_equal(lock_enter(&lock, 0, LOCK_CHANGES), 0);
    assert_true(fence_begin(&lock.fence));
    int descriptor = begin_break();
    uint64_t began = registry_now();
    lock_leave(&lock);
    assert_true(registry_now() - began < UINT64_C(10000000000));
    assert_true(is_locked()); /* for the break to let go of */
    fence_end(&lock.fence);
    (void)close(descriptor);
}

/* It was raised a moment too late: the holder had let go in order. */
static void test_who_has_let_go_is_not_harmed(void **state)
{
    (void)state;
    assert_int_equal(lock_enter(&lock, 0, LOCK_CHANGES), 0);
    uint64_t acquisition = lock.acquisition;
    lock_leave(&lock);
    assert_false(is_locked());
    raise_against(acquisition);
    assert_true(call_is_let_in());
    assert_int_equal(lock_enter(&lock, 0, LOCK_CHANGES), 0);
    assert_true(lock.acquisition > acquisition);
    assert_true(call_is_let_in());
    lock_leave(&lock);
    assert_false(is_locked());
}

static void test_who_has_taken_it_since_stays(void **state)
{
    (void)state;
    struct fence fence = {.acquisition = 5};
    fence_is_over(&fence, 4);
    assert_int_equal(atomic_load(&fence.acquisition), 5);
    fence_is_over(&fence, 5);
    assert_int_equal(atomic_load(&fence.acquisition), 5 | FENCE_OVER);
}

int main(void)
{
    if (!make_directory())
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_holder_is_stopped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_break_that_is_given_up_is_waited_for, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_break_that_succeeds_is_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_is_waited_for_does_not_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_has_let_go_is_not_harmed, set_up, tear_down),
        {"test_who_has_let_go_is_not_harmed, without a registry", test_who_has_let_go_is_not_harmed,
         without_registry, tear_down, NULL},
        cmocka_unit_test(test_who_has_taken_it_since_stays),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove_directory();
    return failed;
}
