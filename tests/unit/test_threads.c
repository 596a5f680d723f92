/* Threads that use a lock for the first time at once: one of them opens its files, for all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/lock/publish.h"
#include "tests/unit/lock_fixture.h"

#include <dirent.h>
#include <pthread.h>
#include <string.h>

enum { THREADS = 4, ROUNDS = 4000 };

static pthread_barrier_t barrier;
static _Atomic int failed;
static bool keeps; /* as scope process does */

/* How many descriptors of this process have the file open. */
static int count_open(const char *file)
{
    int count = 0;
    DIR *numbers = opendir("/proc/self/fd");
    for (const struct dirent *entry; (entry = readdir(numbers)) != NULL;) {
        char target[4096];
        ssize_t length = readlinkat(dirfd(numbers), entry->d_name, target, sizeof target - 1);
        target[length < 0 ? 0 : length] = '\0';
        count += strcmp(target, file) == 0;
    }
    (void)closedir(numbers);
    return count;
}

/* As a touch does (touch.c). Of a kept lock the change comes as soon as it can. */
static int enter(bool changes)
{
    while (keeps && changes && !lock_is_kept(&lock)) {
    }
    unsigned how = (keeps ? LOCK_KEEP : 0) | (changes ? LOCK_CHANGES : 0);
    int result = keeps && lock_is_kept(&lock) ? 0 : lock_enter(&lock, 0, how);
    return result == 0 && changes ? lock_before_change(&lock) : result;
}

/* `changes`: one of the threads does, the others only read. */
static void *take_and_leave(void *changes)
{
    for (int i = 0; i < ROUNDS; i++) {
        (void)pthread_barrier_wait(&barrier);
        if (enter(changes != NULL) != 0)
            atomic_fetch_add(&failed, 1);
        (void)pthread_barrier_wait(&barrier);
        (void)pthread_barrier_wait(&barrier); /* looked at in between */
        lock_leave(&lock);
        (void)pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static void use_at_once(void)
{
    pthread_t threads[THREADS];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    assert_int_equal(pthread_barrier_init(&barrier, NULL, THREADS + 1), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_leave, i == 0 ? &lock : NULL),
                         0);
    int unlocked = 0, unpublished = 0, lost = 0, doubled = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct registry_head head;
        prepare_lock();
        (void)pthread_barrier_wait(&barrier);
        (void)pthread_barrier_wait(&barrier);
        unlocked += !is_locked();
        unpublished += !registry_look(&lock.registry, &head) ||
                       head.exclusive.process != getpid() || head.mark.state != MARK_CHANGED;
        lost += fcntl(STDIN_FILENO, F_GETFD) < 0;
        doubled += count_open(path) != 1 || count_open(registry_path) != 1;
        (void)pthread_barrier_wait(&barrier);
        (void)pthread_barrier_wait(&barrier);
        drop_lock();
    }
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    (void)pthread_barrier_destroy(&barrier);
    (void)close(ends[0]);
    (void)close(ends[1]);
    assert_int_equal(atomic_load(&failed), 0);
    assert_int_equal(lost, 0); /* descriptors of the program */
    assert_int_equal(unlocked, 0);
    assert_int_equal(unpublished, 0);
    assert_int_equal(doubled, 0);
}

static void test_first_use_by_threads_at_once(void **state)
{
    (void)state;
    keeps = false;
    use_at_once();
}

static void test_first_use_of_a_kept_lock(void **state)
{
    (void)state;
    keeps = true;
    use_at_once();
}

int main(void)
{
    if (!make_directory())
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_use_by_threads_at_once),
        cmocka_unit_test(test_first_use_of_a_kept_lock),
    };
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    remove_directory();
    return result;
}
