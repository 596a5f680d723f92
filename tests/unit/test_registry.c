/*
 * The registry: made, shared, done without where it is missing, cut off, hostile or read-only;
 * slots of the dead are found again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/lock/process.h"
#include "shim/lock/registry.h"

#include <fcntl.h>
#include <ftw.h>
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

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status, (void)type, (void)where;
    return remove(path);
}

static int clean_up(void **state)
{
    (void)state;
    return nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct registry opened(void)
{
    struct registry registry;
    registry_open(&registry, lock_path, NULL, false);
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
    assert_non_null(one.map);
    assert_non_null(other.map);
    assert_true(registry_usable(&one));
    assert_int_equal(stat(registry_path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    assert_int_equal(status.st_size, sizeof(struct registry_layout));
    assert_int_equal(files_beside(), 2);
    registry_count(&one, COUNT_BREAKS);
    registry_count(&other, COUNT_BREAKS);
    assert_int_equal(one.map->counters[COUNT_BREAKS], 2);
    registry_close(&one);
    registry_close(&other);
    assert_null(one.map);
    registry_close(&one);
    assert_false(registry_usable(&one));
}

static void test_existing_only(void **state)
{
    struct registry registry;
    (void)state;
    registry_open_existing(&registry, lock_path);
    assert_null(registry.map);
    assert_int_equal(files_beside(), 1);
    struct registry made = opened();
    registry_open_existing(&registry, lock_path);
    assert_non_null(registry.map);
    registry_close(&registry);
    registry_close(&made);
}

static void test_is_cut_off_while_open(void **state)
{
    (void)state;
    struct registry registry = opened();
    assert_true(registry_usable(&registry));
    assert_int_equal(truncate(registry_path, 4096), 0);
    assert_false(registry_usable(&registry));
    assert_null(registry.map);
    assert_int_equal(truncate(registry_path, sizeof(struct registry_layout)), 0);
    assert_false(registry_usable(&registry));
    registry_close(&registry);
}

/* Whatever stands there: done without, and left as it is. */
static void assert_left_alone(const void *bytes, size_t size)
{
    char read_back[256];
    write_file(bytes, size);
    struct registry registry = opened();
    assert_null(registry.map);
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
    struct registry_layout *whole = malloc(size);
    assert_non_null(whole);
    memcpy(whole, registry.map, size);
    registry_close(&registry);
    assert_left_alone("not a registry\n", 15);
    memset(whole->magic, 'x', 8);
    assert_left_alone(whole, size);
    memcpy(whole->magic, "lockshim", 8);
    whole->version = REGISTRY_VERSION + 1;
    assert_left_alone(whole, size);
    whole->version = 0;
    assert_left_alone(whole, size);
    whole->version = REGISTRY_VERSION;
    whole->file_size = 17;
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
    assert_null(opened().map);
    assert_int_equal(unlink(registry_path), 0);
    assert_int_equal(mkdir(registry_path, 0755), 0);
    assert_null(opened().map);
    assert_int_equal(rmdir(registry_path), 0);
    assert_int_equal(mkfifo(registry_path, 0600), 0);
    assert_null(opened().map);
    assert_int_equal(unlink(registry_path), 0);
    struct registry registry;
    registry_open(&registry, "/no/such/directory/lock", NULL, false);
    assert_null(registry.map);
    registry_open(&registry, "/dev/null/lock", NULL, true);
    assert_null(registry.map);
    char path[4200];
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[4095] = '\0';
    registry_open(&registry, path, NULL, false);
    assert_null(registry.map);
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
        struct registry own;
        registry_open(&own, lock_path, NULL, true);
        if (own.map != NULL)
            _exit(1);
        (void)unlink(registry_path);
        registry_open(&own, lock_path, NULL, true);
        _exit(own.map == NULL ? 0 : 2);
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
        assert_non_null(registry_claim_holder(&registry, &gone));
    for (int i = 0; i < REGISTRY_HOLDERS; i++) {
        struct registry_holder *slot = registry_claim_holder(&registry, &self);
        assert_non_null(slot);
        assert_int_equal(slot->process, getpid());
        assert_int_equal(slot->acquisition, 42);
    }
    assert_int_equal(registry.map->counters[COUNT_OVERFLOWN], 0);
    assert_null(registry_claim_holder(&registry, &self));
    assert_int_equal(registry.map->counters[COUNT_OVERFLOWN], 1);
    registry_close(&registry);
}

static void test_the_queue(void **state)
{
    uint64_t start, own = process_start_time(getpid());
    (void)state;
    struct registry registry = opened();
    pid_t dead = dead_process(&start);
    (void)registry_wait_begin(&registry, dead, start, REGISTRY_EXCLUSIVE, 1, 0);
    int first = registry_wait_begin(&registry, getpid(), own, REGISTRY_EXCLUSIVE, 2, 0);
    int second = registry_wait_begin(&registry, getpid(), own, REGISTRY_SHARED, 3, 0);
    assert_int_equal(registry_wait_rank(&registry, first), 0);
    assert_int_equal(registry_wait_rank(&registry, second), 1);
    assert_int_equal(registry_wait_rank(&registry, -1), 0);
    assert_int_equal(registry.map->head.waiting, 2);
    registry_wait_end(&registry, first, getpid());
    assert_int_equal(registry_wait_rank(&registry, second), 0);
    registry_wait_end(&registry, second, getpid());
    registry_wait_end(&registry, second, getpid());
    registry_wait_end(&registry, -1, getpid());
    assert_int_equal(registry.map->head.waiting, 0);
    for (int i = 0; i < REGISTRY_WAITERS; i++)
        assert_true(registry_wait_begin(&registry, getpid(), own, REGISTRY_EXCLUSIVE, 4, 0) >= 0);
    assert_int_equal(registry_wait_begin(&registry, getpid(), own, REGISTRY_EXCLUSIVE, 5, 0), -1);
    registry_close(&registry);
}

/* A thousand waiters were killed: their places are taken again. */
static void test_queue_of_the_dead(void **state)
{
    uint64_t start, own = process_start_time(getpid());
    (void)state;
    struct registry registry = opened();
    pid_t dead = dead_process(&start);
    for (int i = 0; i < REGISTRY_WAITERS; i++)
        assert_true(registry_wait_begin(&registry, dead, start, REGISTRY_EXCLUSIVE, 1, 0) >= 0);
    for (int i = 0; i < REGISTRY_WAITERS; i++)
        assert_true(registry_wait_begin(&registry, getpid(), own, REGISTRY_EXCLUSIVE, 2, 0) >= 0);
    assert_int_equal(registry.map->counters[COUNT_OVERFLOWN], 0);
    assert_int_equal(registry.map->head.waiting, REGISTRY_WAITERS);
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
    assert_int_equal(registry.map->head.next_event, REGISTRY_EVENTS + 10);
    const struct registry_event *event = &registry.map->events[5];
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
        unsigned char *bytes = (unsigned char *)registry.map;
        for (size_t i = 64; i < sizeof(struct registry_layout); i++) {
            seed = seed * 1664525u + 1013904223u;
            bytes[i] = (unsigned char)(round == 0 ? 0xff : seed >> 24);
        }
        struct registry_holder self = {.process = getpid(), .pid_namespace = 1};
        (void)registry_claim_holder(&registry, &self);
        int slot = registry_wait_begin(&registry, getpid(), 1, REGISTRY_EXCLUSIVE, 1, 0);
        (void)registry_wait_rank(&registry, slot);
        registry_wait_end(&registry, slot, getpid());
        registry_count(&registry, COUNT_CRASHES);
        registry_event(&registry, &(struct registry_event){.kind = EVENT_CRASH, .other = 1});
        registry_close(&registry);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_is_made_once),
        TEST(test_existing_only),
        TEST(test_is_cut_off_while_open),
        TEST(test_is_something_else),
        TEST(test_is_no_file),
        TEST(test_may_not_be_written),
        TEST(test_slots_of_the_dead),
        TEST(test_the_queue),
        TEST(test_queue_of_the_dead),
        TEST(test_events),
        TEST(test_hostile_content),
    };
    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
