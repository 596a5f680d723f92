/*
 * The registry: made, shared, done without where it is missing, cut off, hostile or read-only;
 * slots of the dead are found again.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/lock/process.h"
#include "shim/lock/registry.h"
#include "tests/unit/remove_tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64];
static char lock_path[128], registry_path[160];

static int set_up(void **state)
{
    (void)state;
    (void)strcpy(directory, "/tmp/lockshim-registry-XXXXXX");
    if (mkdtemp(directory) == NULL)
        return -1;
    (void)snprintf(lock_path, sizeof lock_path, "%s/lock", directory);
    (void)snprintf(registry_path, sizeof registry_path, "%s.registry", lock_path);
    int file = open(lock_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    return file < 0 ? -1 : close(file);
}

static int clean_up(void **state)
{
    (void)state;
    return remove_tree(directory);
}

static struct registry opened(void)
{
    struct registry registry;
    registry_open(&registry, lock_path, NULL);
    return registry;
}

static void write_file(const void *bytes, size_t size)
{
    (void)unlink(registry_path);
    int file = open(registry_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, size), size);
    (void)close(file);
}

static bool is_opened(void)
{
    struct registry registry = opened();
    bool usable = registry_usable(&registry);
    registry_close(&registry);
    return usable;
}

/* Looked at here as the shim never does. */
static struct registry_layout *map_of(struct registry *registry)
{
    return registry_word(registry, 0);
}

static struct registry_waiter waiter_of(pid_t process, uint64_t since)
{
    return (struct registry_waiter){.process = process,
                                    .mode = REGISTRY_EXCLUSIVE,
                                    .start_time = process_start_time(process),
                                    .pid_namespace = process_pid_namespace(),
                                    .boot = process_boot_number(),
                                    .since = since};
}

static int files_beside(void)
{
    int count = 0;
    char command[200], line[16] = "";
    (void)snprintf(command, sizeof command, "ls -A %s | wc -l", directory);
    FILE *listing = popen(command, "r"); // NOLINT
    assert_non_null(listing);
    if (fgets(line, sizeof line, listing) != NULL)
        count = atoi(line); // NOLINT
    (void)pclose(listing);
    return count;
}

static void test_is_made_once(void **state)
{
    struct stat status;
    (void)state;
    struct registry one = opened(), other = opened();
    assert_true(registry_usable(&one));
    assert_true(registry_usable(&other));
    assert_int_equal(stat(registry_path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    assert_int_equal(status.st_size, sizeof(struct registry_layout));
    assert_int_equal(files_beside(), 2);
    registry_count(&one, COUNT_BREAKS);
    registry_count(&other, COUNT_BREAKS);
    assert_int_equal(map_of(&one)->counters[COUNT_BREAKS], 2);
    registry_close(&one);
    registry_close(&other);
    assert_false(registry_usable(&one));
    registry_close(&one);
}

static void test_existing_only(void **state)
{
    struct registry registry;
    (void)state;
    registry_open_existing(&registry, lock_path);
    assert_false(registry_usable(&registry));
    assert_int_equal(files_beside(), 1);
    struct registry made = opened();
    registry_open_existing(&registry, lock_path);
    assert_true(registry_usable(&registry));
    registry_close(&registry);
    registry_close(&made);
}

/* Cut off anywhere while it is open, by a file system call that no signal comes of. */
static void test_is_cut_off_while_open(void **state)
{
    (void)state;
    for (off_t size = 0; size < (off_t)sizeof(struct registry_layout); size += 17000) {
        struct registry registry = opened();
        struct registry_head head;
        struct registry_holder holder = {.process = getpid()};
        assert_true(registry_look(&registry, &head));
        assert_int_equal(truncate(registry_path, size), 0);
        assert_int_equal(registry_look(&registry, &head), size >= (off_t)sizeof head);
        assert_int_equal(registry_usable(&registry), size >= (off_t)sizeof head);
        registry.lost = false; /* as for one who has looked just before */
        struct registry_waiter waiter = waiter_of(getpid(), 1);
        int slot = registry_wait_begin(&registry, &waiter);
        (void)registry_wait_rank(&registry, slot, &waiter, 0);
        registry_wait_sleep(&registry, slot, 1, 1000);
        registry_wake(&registry, 0);
        registry_wake_companions(&registry, getpid(), 0);
        registry_wait_end(&registry, slot, &waiter);
        registry_waited(&registry, 5);
        registry_held(&registry, &head, 5);
        registry_count(&registry, COUNT_BREAKS);
        registry_event(&registry, &(struct registry_event){.kind = EVENT_TIMEOUT});
        registry_clear_holder(&registry, registry_claim_holder(&registry, &holder), getpid());
        registry_close(&registry);
        assert_int_equal(unlink(registry_path), 0);
    }
}

/* Whatever stands there: done without, and left as it is. */
static void assert_left_alone(const void *bytes, size_t size)
{
    char read_back[256];
    write_file(bytes, size);
    struct registry registry = opened();
    assert_false(registry_usable(&registry));
    int file = open(registry_path, O_RDONLY | O_CLOEXEC);
    ssize_t got = read(file, read_back, sizeof read_back);
    (void)close(file);
    assert_int_equal(got, size < sizeof read_back ? size : sizeof read_back);
    assert_memory_equal(read_back, bytes, (size_t)got);
}

static void test_is_something_else(void **state)
{
    size_t size = sizeof(struct registry_layout);
    (void)state;
    struct registry registry = opened();
    struct registry_layout *whole = aligned_alloc(_Alignof(struct registry_layout), size);
    assert_non_null(whole);
    memcpy(whole, map_of(&registry), size);
    registry_close(&registry);
    assert_left_alone("not a registry\n", 15);
    memset(whole->head.magic, 'x', 8);
    assert_left_alone(whole, size);
    memcpy(whole->head.magic, "lockshim", 8);
    whole->head.version = REGISTRY_VERSION + 1;
    assert_left_alone(whole, size);
    whole->head.version = 0;
    assert_left_alone(whole, size);
    whole->head.version = REGISTRY_VERSION;
    whole->head.file_size = 17;
    assert_left_alone(whole, size);
    free(whole);
}

static void test_is_no_file(void **state)
{
    (void)state;
    /* A link, even to a registry: whoever may make one must not choose what we write to. */
    char elsewhere[200];
    struct registry made = opened();
    registry_close(&made);
    (void)snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", directory);
    assert_int_equal(rename(registry_path, elsewhere), 0);
    assert_int_equal(symlink(elsewhere, registry_path), 0);
    assert_false(is_opened());
    assert_int_equal(unlink(registry_path), 0);
    assert_int_equal(mkdir(registry_path, 0755), 0);
    assert_false(is_opened());
    assert_int_equal(rmdir(registry_path), 0);
    assert_int_equal(mkfifo(registry_path, 0600), 0);
    assert_false(is_opened());
    assert_int_equal(unlink(registry_path), 0);
    struct registry registry;
    registry_open(&registry, "/no/such/directory/lock", NULL);
    assert_false(registry_usable(&registry));
    registry_open_again(&registry, "/dev/null/lock", NULL);
    assert_false(registry_usable(&registry));
    char path[4200];
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[4095] = '\0';
    registry_open(&registry, path, NULL);
    assert_false(registry_usable(&registry));
}

/* Other threads may be at a call with the number, or asleep at the address. */
static void test_opened_again_stays_where_it_was(void **state)
{
    (void)state;
    struct registry registry = opened();
    struct registry_head head;
    registry_count(&registry, COUNT_CONTENDED);
    int descriptor = registry.descriptor;
    void *map = registry.map;
    assert_non_null(map);
    assert_int_equal(ftruncate(descriptor, 0), 0);
    assert_int_equal(unlink(registry_path), 0);
    assert_false(registry_look(&registry, &head));
    assert_false(registry_usable(&registry));
    registry_open_again(&registry, lock_path, NULL);
    assert_true(registry_usable(&registry));
    assert_int_equal(registry.descriptor, descriptor);
    assert_ptr_equal(registry.map, map);
    registry_count(&registry, COUNT_CONTENDED);
    uint64_t counters[COUNTERS];
    assert_true(registry_read(&registry, REGISTRY_OFFSET(counters), counters, sizeof counters));
    assert_int_equal(counters[COUNT_CONTENDED], 1);
    struct stat status, open;
    assert_int_equal(fstat(descriptor, &open), 0);
    assert_int_equal(stat(registry_path, &status), 0);
    assert_int_equal(open.st_ino, status.st_ino);
    registry_close(&registry);
}

/* The program has closed our descriptor unseen, and has a file of its own there. */
static void test_opened_again_beside_a_stranger(void **state)
{
    (void)state;
    struct registry registry = opened();
    struct registry_head head;
    int descriptor = registry.descriptor;
    int strange = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_int_equal(dup2(strange, descriptor), descriptor);
    assert_false(registry_look(&registry, &head));
    registry_open_again(&registry, lock_path, NULL);
    assert_true(registry_usable(&registry));
    assert_int_not_equal(registry.descriptor, descriptor);
    struct stat status, null;
    assert_int_equal(fstat(descriptor, &status), 0);
    assert_int_equal(stat("/dev/null", &null), 0);
    assert_int_equal(status.st_rdev, null.st_rdev);
    (void)close(strange);
    (void)close(descriptor);
    registry_close(&registry);
}

/* As a user who may not write: in a child without privileges. */
static void test_may_not_be_written(void **state)
{
    (void)state;
    struct registry registry = opened();
    registry_close(&registry);
    assert_int_equal(chmod(registry_path, 0444), 0);
    assert_int_equal(chmod(directory, 0755), 0);
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(3);
        struct registry own = {.descriptor = -1};
        registry_open_again(&own, lock_path, NULL);
        if (registry_usable(&own))
            _exit(1);
        (void)unlink(registry_path);
        registry_open_again(&own, lock_path, NULL);
        _exit(registry_usable(&own) ? 2 : 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static pid_t dead_process(uint64_t *start_time)
{
    pid_t child = fork();
    if (child == 0)
        pause();
    *start_time = process_start_time(child);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    return child;
}

static void test_slots_of_the_dead(void **state)
{
    uint64_t start;
    (void)state;
    struct registry registry = opened();
    pid_t dead = dead_process(&start);
    struct registry_holder gone = {
        .process = dead, .start_time = start, .pid_namespace = registry.pid_namespace};
    struct registry_holder self = {.process = getpid(),
                                   .start_time = process_start_time(getpid()),
                                   .pid_namespace = registry.pid_namespace,
                                   .acquisition = 42};
    for (int i = 0; i < REGISTRY_HOLDERS; i++)
        assert_int_equal(registry_claim_holder(&registry, &gone), i);
    for (int i = 0; i < REGISTRY_HOLDERS; i++) {
        assert_int_equal(registry_claim_holder(&registry, &self), i);
        assert_int_equal(map_of(&registry)->holders[i].process, getpid());
        assert_int_equal(map_of(&registry)->holders[i].acquisition, 42);
    }
    assert_int_equal(map_of(&registry)->counters[COUNT_OVERFLOWN], 0);
    assert_int_equal(registry_claim_holder(&registry, &self), -1);
    assert_int_equal(map_of(&registry)->counters[COUNT_OVERFLOWN], 1);
    registry_clear_holder(&registry, 5, dead); /* not its own */
    assert_int_equal(registry_claim_holder(&registry, &self), -1);
    registry_clear_holder(&registry, 5, getpid());
    assert_int_equal(registry_claim_holder(&registry, &self), 5);
    registry_close(&registry);
}

/* Of another boot, and of another namespace. */
static void test_who_is_gone(void **state)
{
    uint64_t start, own = process_start_time(getpid());
    (void)state;
    struct registry registry = opened();
    pid_t dead = dead_process(&start);
    uint64_t here = registry.pid_namespace, boot = registry.boot;
    assert_true(registry_is_gone(&registry, dead, start, here, boot));
    assert_true(registry_is_gone(&registry, getpid(), own + 1, here, boot));
    assert_true(registry_is_gone(&registry, getpid(), own, here, boot + 1));
    assert_false(registry_is_gone(&registry, getpid(), own, here, boot));
    assert_false(registry_is_gone(&registry, dead, start, here + 1, boot));
    registry_close(&registry);
}

static void *wait_for_end(void *unused)
{
    for (;;)
        (void)pause();
    return unused;
}

/* The process goes on in another thread. */
static void test_first_thread_has_ended(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        (void)pthread_create(&thread, NULL, wait_for_end, NULL);
        pthread_exit(NULL);
    }
    uint64_t start = process_start_time(child);
    struct process_status status = {.state = 'R'};
    while (status.state != 'Z' && process_status_read(child, &status))
        (void)usleep(1000);
    assert_true(process_is_alive(child, start));
    (void)kill(child, SIGKILL);
    while (process_is_alive(child, start))
        (void)usleep(1000);
    (void)waitpid(child, NULL, 0);
}

/* One who was killed waiting. */
static struct registry_waiter dead_waiter(uint64_t since)
{
    uint64_t start;
    struct registry_waiter gone = waiter_of(dead_process(&start), since);
    gone.start_time = start;
    return gone;
}

static void test_the_queue(void **state)
{
    uint32_t wake;
    (void)state;
    struct registry registry = opened();
    struct registry_waiter gone = dead_waiter(1000), one = waiter_of(getpid(), 2000),
                           other = waiter_of(getpid(), 3000);
    (void)registry_wait_begin(&registry, &gone);
    int first = registry_wait_begin(&registry, &one);
    int second = registry_wait_begin(&registry, &other);
    assert_int_equal(registry_wait_rank(&registry, first, &one, 0), 0);
    assert_int_equal(registry_wait_rank(&registry, second, &other, 0), 1);
    assert_int_equal(map_of(&registry)->head.waiting, 2);
    assert_true(registry_wait_check(&registry, first, &one, &wake));
    assert_false(registry_wait_check(&registry, first, &other, &wake));
    assert_false(registry_wait_check(&registry, -1, &one, &wake));
    registry_wake(&registry, 0);
    assert_true(registry_wait_check(&registry, first, &one, &wake));
    assert_int_equal(wake, 1);
    registry_wait_sleep(&registry, first, 0, 1000000000000); /* woken before it slept */
    registry_wait_end(&registry, second, &one);              /* not its own */
    assert_int_equal(map_of(&registry)->head.waiting, 2);
    registry_wait_end(&registry, first, &one);
    assert_int_equal(registry_wait_rank(&registry, second, &other, 0), 0);
    registry_wait_end(&registry, second, &other);
    registry_wait_end(&registry, second, &other);
    registry_wait_end(&registry, -1, &other);
    assert_int_equal(map_of(&registry)->head.waiting, 0);
    assert_int_equal(map_of(&registry)->head.unlisted, 0);
    for (int i = 0; i < REGISTRY_WAITERS; i++)
        assert_true(registry_wait_begin(&registry, &one) >= 0);
    assert_int_equal(registry_wait_begin(&registry, &one), -1);
    assert_int_equal(map_of(&registry)->head.unlisted, 1);
    registry_close(&registry);
}

/* A thousand waiters were killed: their places are taken again. */
static void test_queue_of_the_dead(void **state)
{
    (void)state;
    struct registry registry = opened();
    struct registry_waiter gone = dead_waiter(1), self = waiter_of(getpid(), 2);
    for (int i = 0; i < REGISTRY_WAITERS; i++)
        assert_true(registry_wait_begin(&registry, &gone) >= 0);
    for (int i = 0; i < REGISTRY_WAITERS; i++)
        assert_true(registry_wait_begin(&registry, &self) >= 0);
    assert_int_equal(map_of(&registry)->counters[COUNT_OVERFLOWN], 0);
    assert_int_equal(map_of(&registry)->head.waiting, REGISTRY_WAITERS);
    registry_close(&registry);
}

/* Some were killed waiting, and nobody waits any more: who lets go clears their places. */
static void test_the_dead_are_not_woken_for_ever(void **state)
{
    enum { DEAD = 10 };
    uint32_t wake;
    (void)state;
    struct registry registry = opened();
    struct registry_waiter gone = dead_waiter(1), self = waiter_of(getpid(), 2), elsewhere = gone;
    elsewhere.since = 3;
    elsewhere.pid_namespace++;
    for (int i = 0; i < DEAD; i++)
        assert_true(registry_wait_begin(&registry, &gone) >= 0);
    for (int i = 0; i < DEAD; i++)
        registry_wake(&registry, map_of(&registry)->head.waiting);
    assert_int_equal(map_of(&registry)->head.waiting, 0);
    for (int i = 0; i < REGISTRY_WAITERS; i++)
        assert_int_equal(map_of(&registry)->waiters[i].process, 0);
    /* The pid is another's by now. */
    struct registry_waiter former = waiter_of(getpid(), 1);
    former.start_time--;
    assert_true(registry_wait_begin(&registry, &former) >= 0);
    for (int i = 0; i < 64; i++)
        registry_wake(&registry, map_of(&registry)->head.waiting);
    assert_int_equal(map_of(&registry)->head.waiting, 0);
    int slot = registry_wait_begin(&registry, &self),
        other = registry_wait_begin(&registry, &elsewhere);
    (void)registry_wait_begin(&registry, &gone);
    registry_wake(&registry, 0);
    assert_int_equal(map_of(&registry)->head.waiting, 2);
    assert_true(registry_wait_check(&registry, slot, &self, &wake));
    assert_true(registry_wait_check(&registry, other, &elsewhere, &wake)); /* who knows? */
    registry_close(&registry);
}

/* A wake that counted on a waiter who is not there sets the count right. */
static void test_wrong_count(void **state)
{
    (void)state;
    struct registry registry = opened();
    registry_add(&registry, REGISTRY_OFFSET(head.waiting), 7);
    registry_wake(&registry, 0);
    assert_int_equal(map_of(&registry)->head.waiting, 0);
    registry_close(&registry);
}

/* What is read back is at most 1/16 off, and no time falls between two buckets. */
static void test_buckets(void **state)
{
    (void)state;
    for (uint64_t time = 0; time < 1ull << 50; time += 1 + time / 37) {
        unsigned bucket = registry_bucket(time);
        assert_true(bucket < REGISTRY_BUCKETS);
        if (time >= 1ull << 48)
            continue;
        uint64_t start = registry_bucket_start(bucket), end = registry_bucket_start(bucket + 1);
        assert_true(start <= time && time < end);
        assert_true((end - start - 1) * 16 <= start);
    }
}

static void test_times(void **state)
{
    (void)state;
    struct registry registry = opened();
    struct registry_head head;
    for (uint64_t i = 1; i <= 250; i++) {
        assert_true(registry_look(&registry, &head));
        registry_held(&registry, &head, i * 1000);
        assert_true(registry_write(&registry, 0, &head, sizeof head));
        registry_waited(&registry, i * 1000);
    }
    struct registry_histogram holds = map_of(&registry)->hold_times;
    registry_fold(&holds, &map_of(&registry)->head);
    const struct registry_histogram *waits = &map_of(&registry)->wait_times;
    assert_memory_equal(&holds, waits, sizeof holds);
    assert_int_equal(waits->sum, 1000 * 250 * 251 / 2);
    assert_int_equal(waits->maximum, 250000);
    uint64_t count = 0;
    for (int i = 0; i < REGISTRY_BUCKETS; i++)
        count += waits->buckets[i];
    assert_int_equal(count, 250);
    registry_close(&registry);
}

static void test_events(void **state)
{
    (void)state;
    struct registry registry = opened();
    for (uint64_t i = 1; i <= REGISTRY_EVENTS + 10; i++)
        registry_event(&registry, &(struct registry_event){.kind = EVENT_TIMEOUT,
                                                           .process = getpid(),
                                                           .other = 7,
                                                           .error = 11,
                                                           .nanoseconds = i});
    assert_int_equal(map_of(&registry)->head.next_event, REGISTRY_EVENTS + 10);
    const struct registry_event *event = &map_of(&registry)->events[5];
    assert_int_equal(event->number, REGISTRY_EVENTS + 5);
    assert_int_equal(event->nanoseconds, REGISTRY_EVENTS + 5);
    assert_int_equal(event->process, getpid());
    assert_int_equal(event->kind, EVENT_TIMEOUT);
    registry_close(&registry);
}

/* Nonsense in every field: nothing crashes, and nothing runs out of the map. */
static void test_hostile_content(void **state)
{
    uint32_t seed = 7;
    (void)state;
    for (int round = 0; round < 30; round++) {
        struct registry registry = opened();
        unsigned char *bytes = (unsigned char *)map_of(&registry);
        for (size_t i = 64; i < sizeof(struct registry_layout); i++) {
            seed = seed * 1664525u + 1013904223u;
            bytes[i] = (unsigned char)(round == 0 ? 0xff : seed >> 24);
        }
        struct registry_holder self = {.process = getpid(), .pid_namespace = 1};
        (void)registry_claim_holder(&registry, &self);
        struct registry_waiter waiter = waiter_of(getpid(), 1);
        int slot = registry_wait_begin(&registry, &waiter);
        (void)registry_wait_rank(&registry, slot, &waiter, 0);
        registry_wake(&registry, 0);
        registry_wait_end(&registry, slot, &waiter);
        struct registry_head head;
        struct registry_histogram histogram = {.sum = 0};
        (void)registry_look(&registry, &head);
        registry_fold(&histogram, &head);
        registry_held(&registry, &head, 1);
        registry_count(&registry, COUNT_CRASHES);
        registry_event(&registry, &(struct registry_event){.kind = EVENT_CRASH, .other = 1});
        registry_close(&registry);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, clean_up)

int main(void)
{
    (void)umask(022);
    const struct CMUnitTest tests[] = {
        TEST(test_is_made_once),
        TEST(test_existing_only),
        TEST(test_is_cut_off_while_open),
        TEST(test_is_something_else),
        TEST(test_is_no_file),
        TEST(test_opened_again_stays_where_it_was),
        TEST(test_opened_again_beside_a_stranger),
        TEST(test_may_not_be_written),
        TEST(test_slots_of_the_dead),
        TEST(test_the_queue),
        TEST(test_who_is_gone),
        TEST(test_first_thread_has_ended),
        TEST(test_queue_of_the_dead),
        TEST(test_the_dead_are_not_woken_for_ever),
        TEST(test_wrong_count),
        TEST(test_buckets),
        TEST(test_times),
        TEST(test_events),
        TEST(test_hostile_content),
    };
    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
