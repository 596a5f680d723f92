/* Updates that would be lost: what is remembered of files that were read, and when it counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/lost_update.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct lock lock = {.registry_opened = true, .registry = {.descriptor = -1}};
static struct table table = {.lock = &lock};
static uint64_t next_key = 1001;

/* Each test has files of its own: one that is known under another name is known. */
static dev_t device = 1;
static int other_files(void **state)
{
    (void)state;
    device++;
    return 0;
}

/* A state of a file, long unchanged, so that times alone tell. */
static struct stat status_of(uint64_t inode, off_t size, time_t time)
{
    struct stat status = {.st_mode = S_IFREG, .st_dev = device, .st_ino = inode, .st_size = size};
    status.st_mtim.tv_sec = status.st_ctim.tv_sec = time;
    return status;
}

/* The lock is taken again, and others have written `changes` times meanwhile. */
static void next_session(uint64_t changes)
{
    lock.acquisition += 1 + changes;
    lock.generation += changes;
}

/* A file of which no more is known than this. */
static const struct lost_update_file *just(const struct stat *status)
{
    static _Thread_local struct lost_update_file file;
    file = (struct lost_update_file){status, -1, NULL, false};
    return &file;
}

static uint64_t read_and_remember(const struct stat *status)
{
    uint64_t key = next_key += 2;
    lost_update_read(&table, key);
    lost_update_remember(&table, key, just(status), lock.generation);
    return key;
}

static void test_nothing_is_known(void **state)
{
    struct stat status = status_of(1, 2, 3);
    (void)state;
    assert_false(lost_update_known(7));
    assert_false(lost_update_concerns(&table, 7));
    assert_false(lost_update_threatens(&table, 7, just(&status)));
    lost_update_removed(&table, 7);
    assert_false(lost_update_known(7));
}

static void test_no_key(void **state)
{
    struct stat status = status_of(1, 2, 3);
    (void)state;
    (void)read_and_remember(&status);
    lost_update_read(&table, 0);
    lost_update_removed(&table, 0);
    lost_update_remember(&table, 0, just(&status), lock.generation);
    assert_false(lost_update_known(0));
    assert_false(lost_update_concerns(&table, 0));
}

static void test_unchanged(void **state)
{
    struct stat status = status_of(1, 2, 3);
    (void)state;
    uint64_t key = read_and_remember(&status);
    assert_true(lost_update_known(key));
    assert_false(lost_update_concerns(&table, key)); /* read in this session */
    next_session(0);
    assert_true(lost_update_concerns(&table, key));
    assert_false(lost_update_threatens(&table, key, just(&status)));
    next_session(5); /* others have changed other files */
    assert_false(lost_update_threatens(&table, key, just(&status)));
}

static void test_changed(void **state)
{
    struct stat status = status_of(1, 2, 3);
    (void)state;
    uint64_t key = read_and_remember(&status);
    next_session(1);
    const struct stat changes[] = {status_of(9, 2, 3), status_of(1, 9, 3), status_of(1, 2, 9)};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++)
        assert_true(lost_update_threatens(&table, key, just(&changes[i])));
    assert_true(lost_update_threatens(&table, key, just(NULL)));
    lost_update_read(&table, key); /* it is read again: then it may be replaced */
    assert_false(lost_update_concerns(&table, key));
}

/* Changed in the same tick of the clock as it was looked at: only the generation can tell. */
static void test_within_a_tick(void **state)
{
    struct stat status = status_of(1, 2, 3);
    (void)state;
    (void)clock_gettime(CLOCK_REALTIME, &status.st_ctim);
    status.st_mtim = status.st_ctim;
    uint64_t key = read_and_remember(&status);
    next_session(0);
    assert_false(lost_update_threatens(&table, key, just(&status)));
    lock.generation++;
    lock.own_changes++;
    assert_false(lost_update_threatens(&table, key, just(&status)));
    next_session(1);
    assert_true(lost_update_threatens(&table, key, just(&status)));
}

/* A file that was just changed, by the ways in which its content can be had. */
struct real_file {
    char path[64];
    int reading, writing;
    struct stat status;
};

static struct real_file make_real_file(size_t size)
{
    struct real_file file = {.path = "/tmp/lockshim-lost-update-XXXXXX"};
    char *content = calloc(1, size);
    file.writing = mkstemp(file.path);
    assert_true(file.writing >= 0 && content != NULL);
    assert_int_equal(pwrite(file.writing, content, size, 0), size);
    free(content);
    assert_int_equal(close(file.writing), 0);
    file.writing = open(file.path, O_WRONLY | O_CLOEXEC);
    file.reading = open(file.path, O_RDONLY | O_CLOEXEC);
    assert_true(file.writing >= 0 && file.reading >= 0);
    assert_int_equal(fstat(file.reading, &file.status), 0);
    (void)clock_gettime(CLOCK_REALTIME, &file.status.st_ctim); /* now, however slow this is */
    return file;
}

static void remove_real_file(struct real_file *file)
{
    assert_int_equal(close(file->reading), 0);
    assert_int_equal(close(file->writing), 0);
    assert_int_equal(unlink(file->path), 0);
}

/* Within a tick, and others have written: then the content tells. */
static void test_content(void **state)
{
    struct real_file file = make_real_file(10000);
    const struct lost_update_file ways[] = {{&file.status, file.reading, NULL, false},
                                            {&file.status, file.writing, NULL, false},
                                            {&file.status, AT_FDCWD, file.path, false},
                                            {&file.status, AT_FDCWD, file.path, true}};
    enum { WAYS = sizeof ways / sizeof ways[0] };
    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        uint64_t key = next_key += 2;
        lost_update_replaced(&table, key);
        (void)clock_gettime(CLOCK_REALTIME, &file.status.st_ctim);
        lost_update_remember(&table, key, &ways[i], lock.generation);
        next_session(1);
        for (size_t j = 0; j < WAYS; j++) {
            assert_false(lost_update_threatens(&table, key, &ways[j]));
            for (off_t at = 0; at < 10000; at += 4999) { /* the same to the eye */
                assert_int_equal(pwrite(file.writing, "x", 1, at), 1);
                assert_true(lost_update_threatens(&table, key, &ways[j]));
                assert_int_equal(pwrite(file.writing, "", 1, at), 1);
            }
            assert_int_equal(ftruncate(file.writing, 9999), 0);
            assert_true(lost_update_threatens(&table, key, &ways[j]));
            assert_int_equal(ftruncate(file.writing, 10000), 0);
        }
        /* A link to it was made, which is no change of the content. */
        struct stat linked = file.status;
        linked.st_ctim.tv_sec++;
        assert_false(lost_update_threatens(
            &table, key, &(struct lost_update_file){&linked, file.reading, NULL, false}));
        /* Or its time was set, with or without a change. */
        linked.st_mtim.tv_sec++;
        assert_false(lost_update_threatens(
            &table, key, &(struct lost_update_file){&linked, file.reading, NULL, false}));
        assert_int_equal(pwrite(file.writing, "x", 1, 0), 1);
        assert_true(lost_update_threatens(
            &table, key, &(struct lost_update_file){&linked, file.reading, NULL, false}));
        assert_int_equal(pwrite(file.writing, "", 1, 0), 1);
        (void)lost_update_resumes(&table, key, &ways[i]);
        assert_false(lost_update_concerns(&table, key));
    }
    remove_real_file(&file);
}

/* Who only changes a larger file in place, and never replaced it, does not pay for its content. */
static void test_changed_in_place(void **state)
{
    const size_t sizes[] = {4096, 4097};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct real_file real = make_real_file(sizes[i]);
        const struct lost_update_file file = {&real.status, real.reading, NULL, false};
        uint64_t key = next_key += 2;
        for (int times = 0; times < 2; times++) {
            lost_update_read(&table, key);
            (void)clock_gettime(CLOCK_REALTIME, &real.status.st_ctim);
            lost_update_remember(&table, key, &file, lock.generation);
            next_session(1);
            /* The second time it is known to be replaced. */
            assert_int_equal(lost_update_threatens(&table, key, &file), i == 1 && times == 0);
        }
        remove_real_file(&real);
    }
}

/* Without content there is doubt as before: the file is large, or is none by now. */
static void test_no_content(void **state)
{
    struct real_file large = make_real_file((1 << 16) + 1), pipe = make_real_file(1);
    struct real_file *files[] = {&large, &pipe};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct lost_update_file file = {&files[i]->status, AT_FDCWD, files[i]->path, false};
        uint64_t key = next_key += 2;
        lost_update_replaced(&table, key);
        (void)clock_gettime(CLOCK_REALTIME, &files[i]->status.st_ctim);
        lost_update_remember(&table, key, &file, lock.generation);
        next_session(1);
        assert_int_equal(lost_update_threatens(&table, key, &file), i == 0);
        assert_int_equal(unlink(files[i]->path), 0);
        assert_int_equal(mkfifo(files[i]->path, 0600), 0);
        assert_true(lost_update_threatens(&table, key, &file));
        remove_real_file(files[i]);
    }
}

static void test_absent(void **state)
{
    struct stat status = status_of(1, 2, 3);
    (void)state;
    uint64_t key = next_key += 2;
    lost_update_missed(&table, key, lock.generation);
    next_session(0);
    assert_false(lost_update_threatens(&table, key, just(NULL)));
    assert_true(lost_update_threatens(&table, key, just(&status))); /* somebody else has made it */
    key = read_and_remember(&status);
    lost_update_removed(&table, key);
    next_session(0);
    assert_false(lost_update_threatens(&table, key, just(NULL)));
    assert_true(lost_update_threatens(&table, key, just(&status)));
}

static void test_written_unread(void **state)
{
    struct stat status = status_of(1, 2, 3), other = status_of(1, 5, 6);
    (void)state;
    uint64_t key = read_and_remember(&status);
    next_session(0);
    (void)lost_update_resumes(&table, key, just(&status)); /* it is as we left it */
    assert_false(lost_update_concerns(&table, key));
    lost_update_remember(&table, key, just(&other), lock.generation);
    next_session(0);
    assert_false(lost_update_threatens(&table, key, just(&other)));
    next_session(1);
    (void)lost_update_resumes(&table, key, just(&status)); /* it is not */
    assert_true(lost_update_concerns(&table, key));
    lost_update_remember(&table, key, just(&status), lock.generation);
    assert_true(lost_update_threatens(&table, key, just(&status)));
}

static void test_many(void **state)
{
    enum { FILES = 50000 };
    (void)state;
    uint64_t first = next_key + 2;
    for (uint64_t i = 0; i < FILES; i++) {
        struct stat status = status_of(i, (off_t)i, 3);
        assert_int_equal(read_and_remember(&status), first + 2 * i);
    }
    next_session(1);
    for (uint64_t i = 0; i < FILES; i++) {
        struct stat status = status_of(i, (off_t)i, 3), other = status_of(i, (off_t)i + 1, 3);
        assert_true(lost_update_concerns(&table, first + 2 * i));
        assert_false(lost_update_threatens(&table, first + 2 * i, just(&status)));
        if (i % 500 == 0) /* what is different is looked for among all names */
            assert_true(lost_update_threatens(&table, first + 2 * i, just(&other)));
    }
}

/*
 * Nobody else has let go with changes: what is different is our own doing, if we have changed
 * anything at all, and else that of a program without a guard.
 */
static void test_own_doing(void **state)
{
    struct stat status = status_of(1, 2, 3), other = status_of(9, 5, 7);
    (void)state;
    uint64_t key = read_and_remember(&status), absent = next_key += 2;
    lost_update_missed(&table, absent, lock.generation);
    next_session(0);
    assert_true(lost_update_threatens(&table, key, just(&other)));
    lock.generation++;
    lock.own_changes++;
    lock.registry.lost = true; /* then the generation tells nothing */
    assert_true(lost_update_threatens(&table, key, just(&other)));
    lock.registry.lost = false;
    lock.registry.descriptor = 0;
    assert_false(lost_update_threatens(&table, key, just(&other)));
    assert_false(lost_update_threatens(&table, key, just(NULL)));
    assert_false(lost_update_threatens(&table, absent, just(&other)));
    next_session(1); /* and now somebody else */
    assert_true(lost_update_threatens(&table, key, just(&other)));
    assert_true(lost_update_threatens(&table, key, just(NULL)));
    assert_true(lost_update_threatens(&table, absent, just(&other)));
    lock.registry.descriptor = -1;
}

/* A generation of before another one came, where reading does not keep that one away. */
static void test_generation_of_before(void **state)
{
    struct stat status = status_of(1, 2, 3), other = status_of(9, 5, 7);
    (void)state;
    uint64_t key = next_key += 2, absent = next_key += 2, before = lock.generation;
    next_session(1);
    lost_update_read(&table, key);
    lost_update_remember(&table, key, just(&status), before);
    lost_update_missed(&table, absent, before);
    lock.generation++;
    lock.own_changes++;
    next_session(0);
    lock.registry.descriptor = 0;
    assert_true(lost_update_threatens(&table, key, just(&other)));
    assert_true(lost_update_threatens(&table, absent, just(&other)));
    lock.registry.descriptor = -1;
}

static void test_other_names(void **state)
{
    struct stat status = status_of(1, 2, 3), other = status_of(1, 5, 6), third = status_of(1, 5, 7);
    (void)state;
    uint64_t key = read_and_remember(&status), link = next_key += 2;
    lost_update_replaced(&table, link); /* we have changed it by its other name … */
    lost_update_remember(&table, link, just(&other), lock.generation);
    lost_update_removed(&table, link); /* … which we have removed */
    next_session(1);
    assert_false(lost_update_threatens(&table, key, just(&other)));
    assert_true(lost_update_threatens(&table, key, just(&third)));
    struct lock another = lock; /* its generations are no measure for this one's */
    struct table elsewhere = {.lock = &another};
    uint64_t beside = next_key += 2;
    lost_update_replaced(&elsewhere, beside);
    lost_update_remember(&elsewhere, beside, just(&third), another.generation);
    assert_true(lost_update_threatens(&table, key, just(&third)));
    assert_true(lost_update_was_file(key, &third));
    other.st_ino++;
    assert_false(lost_update_was_file(key, &other));
    assert_false(lost_update_was_file(link, &third));
    assert_true(lost_update_was_file(link, NULL));
    assert_false(lost_update_was_file(key, NULL));
    assert_false(lost_update_was_file(next_key + 2, NULL));
}

/* Of a directory there is nothing to be lost. */
static void test_no_file(void **state)
{
    struct stat status = status_of(1, 2, 3), file = status_of(2, 2, 3);
    (void)state;
    uint64_t key = read_and_remember(&file);
    status.st_mode = S_IFDIR;
    lost_update_read(&table, key);
    lost_update_remember(&table, key, just(&status), lock.generation);
    next_session(1);
    assert_true(lost_update_known(key));
    assert_false(lost_update_concerns(&table, key));
    assert_false(lost_update_threatens(&table, key, just(&file)));
}

static _Atomic bool stop;
static void *ask(void *key)
{
    while (!stop)
        (void)lost_update_known(*(uint64_t *)key);
    return NULL;
}

/* A child that is forked while another thread is inside still remembers. */
static void test_fork_among_threads(void **state)
{
    pthread_t threads[3];
    struct stat status = status_of(1, 2, 3);
    (void)state;
    uint64_t key = read_and_remember(&status);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &key), 0);
    int forgetful = 0;
    for (int i = 0; i < 300; i++) {
        pid_t child = fork();
        if (child == 0) {
            lost_update_forked();
            _exit(lost_update_known(key) ? 0 : 1);
        }
        int result;
        assert_int_equal(waitpid(child, &result, 0), child);
        forgetful += result != 0;
    }
    stop = true;
    for (int i = 0; i < 3; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(forgetful, 0);
}

#define EACH(test) cmocka_unit_test_setup(test, other_files)
int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_nothing_is_known),
        EACH(test_no_key),
        EACH(test_unchanged),
        EACH(test_changed),
        EACH(test_within_a_tick),
        EACH(test_content),
        EACH(test_changed_in_place),
        EACH(test_no_content),
        EACH(test_absent),
        EACH(test_written_unread),
        EACH(test_many),
        EACH(test_own_doing),
        EACH(test_generation_of_before),
        EACH(test_other_names),
        EACH(test_no_file),
        EACH(test_fork_among_threads),
    };
    return cmocka_run_group_tests_name("lost_update", tests, NULL, NULL);
}
