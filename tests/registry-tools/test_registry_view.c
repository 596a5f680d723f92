/*
 * Registries read from outside: what the shim wrote comes back, what is wrong, cut off, of another
 * version or hostile is told or left out, and nothing is made or changed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lockctl/inspect/registry_view.h"
#include "shim/lock/process.h"
#include "tests/unit/remove_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64];
static char lock_path[128], registry_path[160];
static struct registry made;

static int clean_up(void **state)
{
    (void)state;
    registry_close(&made);
    return remove_tree(directory);
}

static int set_up(void **state)
{
    (void)state;
    (void)strcpy(directory, "/tmp/lockshim-view-XXXXXX");
    if (mkdtemp(directory) == NULL)
        return -1;
    (void)snprintf(lock_path, sizeof lock_path, "%s/lock", directory);
    (void)snprintf(registry_path, sizeof registry_path, "%s.registry", lock_path);
    registry_open(&made, lock_path, "/srv/table");
    return registry_usable(&made) ? 0 : -1;
}

static struct registry_view view;

static void open_view(void)
{
    assert_true(registry_view_open(&view, lock_path));
    assert_string_equal(view.problem, "");
}

static void assert_problem(int error, const char *problem)
{
    assert_false(registry_view_open(&view, lock_path));
    assert_int_equal(view.error, error);
    assert_string_equal(view.problem, problem);
    assert_int_equal(view.descriptor, -1);
    registry_view_close(&view);
}

/* Written to here as the shim never does. */
static struct registry_layout *raw_registry(void)
{
    return registry_word(&made, 0);
}

static struct registry_holder self_as_holder(void)
{
    return (struct registry_holder){.process = getpid(),
                                    .mode = REGISTRY_SHARED,
                                    .start_time = process_start_time(getpid()),
                                    .since = registry_now(),
                                    .acquisition = 42,
                                    .pid_namespace = made.pid_namespace,
                                    .scope = SCOPE_SESSION,
                                    .descriptor = 1023,
                                    .last_touch = registry_now(),
                                    .supervisor = getppid(),
                                    .boot = made.boot,
                                    .fence = 0x1234,
                                    .thread = getpid()};
}

static void test_what_is_told_of_holders(void **state)
{
    (void)state;
    static struct view_holder holders[REGISTRY_HOLDERS];
    struct registry_holder self = self_as_holder();
    open_view();
    assert_false(registry_view_exclusive(&view, &holders[0]));
    assert_int_equal(registry_view_holders(&view, holders), 0);
    assert_true(registry_claim_holder(&made, &self) >= 0);
    assert_int_equal(registry_view_holders(&view, holders), 1);
    assert_int_equal(holders[0].process, getpid());
    assert_int_equal(holders[0].mode, REGISTRY_SHARED);
    assert_int_equal(holders[0].scope, SCOPE_SESSION);
    assert_int_equal(holders[0].life, VIEW_LIVING);
    assert_int_equal(holders[0].start_time, self.start_time);
    assert_int_equal(holders[0].since, self.since);
    assert_int_equal(holders[0].last_touch, self.last_touch);
    assert_int_equal(holders[0].acquisition, 42);
    assert_int_equal(holders[0].descriptor, 1023);
    assert_int_equal(holders[0].supervisor, getppid());
    assert_int_equal(holders[0].thread, getpid());
    assert_int_equal(holders[0].fence, 0x1234);
    assert_false(holders[0].out_of_reach);
    self.mode = REGISTRY_EXCLUSIVE;
    raw_registry()->head.exclusive = self;
    assert_true(registry_view_exclusive(&view, &holders[0]));
    assert_int_equal(holders[0].mode, REGISTRY_EXCLUSIVE);
    registry_view_close(&view);
}

static void test_life(void **state)
{
    (void)state;
    struct view_holder holder;
    struct registry_holder self = self_as_holder();
    open_view();
    self.start_time++;
    raw_registry()->head.exclusive = self;
    assert_true(registry_view_exclusive(&view, &holder));
    assert_int_equal(holder.life, VIEW_GONE);
    self.start_time--;
    self.pid_namespace++;
    raw_registry()->head.exclusive = self;
    assert_true(registry_view_exclusive(&view, &holder));
    assert_int_equal(holder.life, VIEW_ELSEWHERE);
    assert_int_equal(holder.since, self.since);
    self.pid_namespace--;
    self.boot++;
    raw_registry()->head.exclusive = self;
    assert_true(registry_view_exclusive(&view, &holder));
    assert_int_equal(holder.life, VIEW_GONE);
    assert_int_equal(holder.since, 0);
    registry_view_close(&view);
}

/* What no shim writes is left out, field by field or as a whole. */
static void test_insane_holders(void **state)
{
    (void)state;
    struct view_holder holder;
    open_view();
    struct registry_holder *raw = &raw_registry()->head.exclusive;
    *raw = self_as_holder();
    raw->since = registry_now() + 3600000000000u;
    raw->last_touch = UINT64_MAX;
    raw->descriptor = -7;
    raw->level = 99;
    raw->supervisor = -1;
    raw->thread = INT32_MAX;
    assert_true(registry_view_exclusive(&view, &holder));
    assert_int_equal(holder.since, 0);
    assert_int_equal(holder.last_touch, 0);
    assert_int_equal(holder.descriptor, -1);
    assert_int_equal(holder.level, 0);
    assert_int_equal(holder.supervisor, 0);
    assert_int_equal(holder.thread, 0);
    raw->process = -1;
    assert_false(registry_view_exclusive(&view, &holder));
    raw->process = 1 << 23;
    assert_false(registry_view_exclusive(&view, &holder));
    raw->process = getpid();
    raw->mode = 4;
    assert_false(registry_view_exclusive(&view, &holder));
    raw->mode = 0;
    assert_false(registry_view_exclusive(&view, &holder));
    raw->mode = REGISTRY_EXCLUSIVE;
    raw->scope = SCOPE_CALL + 1;
    assert_false(registry_view_exclusive(&view, &holder));
    raw->scope = SCOPE_CALL;
    assert_true(registry_view_exclusive(&view, &holder));
    registry_view_close(&view);
}

static void test_waiters(void **state)
{
    (void)state;
    static struct view_waiter waiters[REGISTRY_WAITERS];
    struct registry_waiter self = {.process = getpid(),
                                   .start_time = process_start_time(getpid()),
                                   .pid_namespace = made.pid_namespace,
                                   .boot = made.boot,
                                   .supervisor = getppid()};
    uint64_t since = registry_now();
    open_view();
    for (int i = 3; i >= 0; i--) { /* the one who came first is the last in the file */
        self.since = since + (uint64_t)i;
        self.mode = i % 2 == 0 ? REGISTRY_EXCLUSIVE : REGISTRY_SHARED;
        raw_registry()->waiters[100 - i] = self;
    }
    assert_int_equal(registry_view_waiters(&view, waiters), 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(waiters[i].slot, 100 - i);
        assert_int_equal(waiters[i].mode, i % 2 == 0 ? REGISTRY_EXCLUSIVE : REGISTRY_SHARED);
        assert_int_equal(waiters[i].process, getpid());
        assert_int_equal(waiters[i].life, VIEW_LIVING);
        assert_int_equal(waiters[i].since, since + (uint64_t)i);
        assert_int_equal(waiters[i].supervisor, getppid());
    }
    raw_registry()->waiters[waiters[1].slot].since = 0;
    raw_registry()->waiters[waiters[2].slot].mode = REGISTRY_JOINED;
    raw_registry()->waiters[waiters[3].slot].process = -3;
    assert_int_equal(registry_view_waiters(&view, waiters), 1);
    registry_view_close(&view);
}

static void test_head_and_table(void **state)
{
    (void)state;
    struct view_head head;
    char path[4096];
    open_view();
    struct registry_head *raw = &raw_registry()->head;
    raw->generation = 7;
    raw->acquisition = 8;
    raw->broken = 5;
    raw->mark =
        (struct registry_mark){MARK_CHANGED, getpid(), process_start_time(getpid()), made.boot, 8};
    assert_true(registry_view_head(&view, &head));
    assert_int_equal(head.generation, 7);
    assert_int_equal(head.acquisition, 8);
    assert_int_equal(head.broken, 5);
    assert_int_equal(head.mark.state, MARK_CHANGED);
    assert_int_equal(head.mark.process, getpid());
    assert_int_equal(head.mark.life, VIEW_LIVING);
    assert_int_equal(head.mark.acquisition, 8);
    assert_false(head.crashed);
    raw->waiting = raw->joined = raw->unlisted = raw->crashed = UINT32_MAX;
    raw->mark.state = 77;
    assert_true(registry_view_head(&view, &head));
    assert_int_equal(head.waiting, REGISTRY_WAITERS);
    assert_int_equal(head.joined, REGISTRY_HOLDERS);
    assert_int_equal(head.unlisted, 1 << 22);
    assert_true(head.crashed);
    assert_int_equal(head.mark.state, MARK_CLEAN);
    assert_string_equal(registry_view_table(&view, path), "/srv/table");
    memset(raw_registry()->table, '/', sizeof raw_registry()->table);
    assert_string_equal(registry_view_table(&view, path), "");
    (void)strcpy(raw_registry()->table, "relative");
    assert_string_equal(registry_view_table(&view, path), "");
    registry_view_close(&view);
}

static void test_blocked(void **state)
{
    (void)state;
    struct view_blocked blocked[REGISTRY_BLOCKED];
    open_view();
    raw_registry()->blocked[3] =
        (struct registry_blocked){getpid(), 5, process_start_time(getpid()), 6, 7, 8};
    raw_registry()->blocked[4] = (struct registry_blocked){.process = getpid()};
    raw_registry()->blocked[5] =
        (struct registry_blocked){.process = getpid(), .since = UINT64_MAX};
    raw_registry()->blocked[6] = (struct registry_blocked){.process = -1, .since = 1};
    assert_int_equal(registry_view_blocked(&view, blocked), 1);
    assert_int_equal(blocked[0].process, getpid());
    assert_int_equal(blocked[0].descriptor, 5);
    assert_int_equal(blocked[0].device, 6);
    assert_int_equal(blocked[0].inode, 7);
    registry_view_close(&view);
}

static void test_counters_and_times(void **state)
{
    (void)state;
    struct view_counters counters;
    static struct view_histogram times;
    open_view();
    for (int i = 0; i < 3; i++)
        registry_count(&made, COUNT_TIMEOUTS);
    assert_true(registry_view_counters(&view, &counters));
    assert_int_equal(counters.values[COUNT_TIMEOUTS], 3);
    assert_int_equal(counters.values[COUNT_CRASHES], 0);
    registry_waited(&made, 1000);
    registry_waited(&made, 3000000);
    assert_true(registry_view_wait_times(&view, &times));
    assert_int_equal(times.count, 2);
    assert_int_equal(times.sum, 3001000);
    assert_int_equal(times.maximum, 3000000);
    assert_int_equal(times.buckets[registry_bucket(1000)], 1);
    assert_true(registry_view_hold_times(&view, &times));
    assert_int_equal(times.count, 0);
    assert_int_equal(times.maximum, 0);
    struct registry_head head;
    assert_true(registry_look(&made, &head));
    for (int i = 1; i <= 100; i++) /* more than the head has room for */
        registry_held(&made, &head, 1000 * (uint64_t)i);
    assert_true(registry_write(&made, 0, &head, sizeof head));
    assert_true(registry_view_hold_times(&view, &times));
    assert_int_equal(times.count, 100);
    assert_int_equal(times.sum, 5050000);
    assert_int_equal(times.maximum, 100000);
    registry_view_close(&view);
}

/* Sum and maximum that no buckets can have come from. */
static void test_insane_times(void **state)
{
    (void)state;
    static struct view_histogram times;
    open_view();
    struct registry_histogram *raw = &raw_registry()->wait_times;
    raw->buckets[registry_bucket(1024)] = 10;
    raw->sum = UINT64_MAX;
    raw->maximum = UINT64_MAX;
    assert_true(registry_view_wait_times(&view, &times));
    assert_int_equal(times.count, 10);
    assert_int_equal(times.sum, 10 * 1087);
    assert_int_equal(times.maximum, 1087);
    raw->sum = raw->maximum = 0;
    assert_true(registry_view_wait_times(&view, &times));
    assert_int_equal(times.sum, 10 * 1024);
    assert_int_equal(times.maximum, 1024);
    for (int i = 0; i < REGISTRY_BUCKETS; i++)
        raw->buckets[i] = UINT64_MAX;
    raw->sum = raw->maximum = UINT64_MAX;
    assert_true(registry_view_wait_times(&view, &times));
    assert_int_equal(times.count, UINT64_MAX);
    assert_int_equal(times.maximum, UINT64_MAX);
    raw->buckets[REGISTRY_BUCKETS - 1] = 0;
    assert_true(registry_view_wait_times(&view, &times));
    assert_int_equal(times.maximum, registry_bucket_start(REGISTRY_BUCKETS - 1) - 1);
    registry_view_close(&view);
}

static void add_events(int count)
{
    for (int i = 0; i < count; i++)
        registry_event(&made, &(struct registry_event){.kind = EVENT_TIMEOUT,
                                                       .process = getpid(),
                                                       .other = 7,
                                                       .error = EAGAIN,
                                                       .nanoseconds = 5,
                                                       .acquisition = 6});
}

static struct view_event events[REGISTRY_EVENTS];

static void test_events(void **state)
{
    (void)state;
    open_view();
    assert_int_equal(registry_view_events(&view, 0, events), 0);
    add_events(3);
    assert_int_equal(registry_view_events(&view, 0, events), 3);
    assert_int_equal(events[0].number, 1);
    assert_int_equal(events[2].number, 3);
    assert_int_equal(events[0].kind, EVENT_TIMEOUT);
    assert_int_equal(events[0].process, getpid());
    assert_int_equal(events[0].other, 7);
    assert_int_equal(events[0].error, EAGAIN);
    assert_int_equal(events[0].nanoseconds, 5);
    assert_int_equal(events[0].acquisition, 6);
    assert_true(events[0].time > UINT64_C(1700000000) * 1000000000);
    assert_int_equal(registry_view_events(&view, 2, events), 1);
    assert_int_equal(events[0].number, 3);
    assert_int_equal(registry_view_events(&view, 3, events), 0);
    add_events(REGISTRY_EVENTS);
    assert_int_equal(registry_view_events(&view, 0, events), REGISTRY_EVENTS);
    assert_int_equal(events[0].number, 4);
    assert_int_equal(events[REGISTRY_EVENTS - 1].number, REGISTRY_EVENTS + 3);
    registry_view_close(&view);
}

static void test_insane_events(void **state)
{
    (void)state;
    open_view();
    add_events(8);
    raw_registry()->events[1].number = 0;                   /* unfinished */
    raw_registry()->events[2].number = 3;                   /* not of this place */
    raw_registry()->events[3].number = 3 + REGISTRY_EVENTS; /* in the future */
    raw_registry()->events[4].kind = EVENT_NONE;
    raw_registry()->events[5].kind = 1000;
    raw_registry()->events[5].error = UINT32_MAX;
    raw_registry()->events[5].process = -1;
    raw_registry()->events[5].time = UINT64_MAX;
    assert_int_equal(registry_view_events(&view, 0, events), 4);
    assert_int_equal(events[0].number, 5);
    assert_int_equal(events[0].kind, 1000);
    assert_int_equal(events[0].error, 0);
    assert_int_equal(events[0].process, 0);
    assert_int_equal(events[0].time, 0);
    assert_int_equal(events[3].number, 8);
    raw_registry()->head.next_event = UINT64_MAX;
    assert_int_equal(registry_view_events(&view, 0, events), 0);
    for (uint64_t i = 0; i < REGISTRY_EVENTS; i++)
        raw_registry()->events[i].number = UINT64_MAX;
    raw_registry()->events[REGISTRY_EVENTS - 1].kind = EVENT_CRASH;
    assert_int_equal(registry_view_events(&view, 0, events), 1);
    registry_view_close(&view);
}

/* Two children write as fast as they can: no event is ever read half. */
static void test_events_under_way(void **state)
{
    pid_t children[2];
    (void)state;
    open_view();
    for (int i = 0; i < 2; i++) {
        children[i] = fork();
        for (uint64_t number = 0; children[i] == 0; number++)
            registry_event(&made,
                           &(struct registry_event){.kind = EVENT_JOINED,
                                                    .process = 1 + i,
                                                    .nanoseconds = number * 2 + 1 + (unsigned)i,
                                                    .acquisition = number * 2 + 1 + (unsigned)i});
    }
    int wrong = 0;
    size_t seen = 0;
    while (registry_view_events(&view, 0, events) < REGISTRY_EVENTS / 2)
        (void)usleep(1000);
    for (int round = 0; round < 300; round++) {
        size_t count = registry_view_events(&view, 0, events);
        for (size_t i = 0; i < count; i++)
            wrong += events[i].nanoseconds != events[i].acquisition ||
                     events[i].nanoseconds % 2 != (uint64_t)events[i].process % 2;
        seen += count;
    }
    for (int i = 0; i < 2; i++) {
        (void)kill(children[i], SIGKILL);
        (void)waitpid(children[i], NULL, 0);
    }
    assert_int_equal(wrong, 0);
    assert_true(seen > 10000);
    registry_view_close(&view);
}

static void put(const void *bytes, size_t size)
{
    (void)unlink(registry_path);
    int file = open(registry_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, size), size);
    (void)close(file);
}

static void test_what_is_no_registry(void **state)
{
    char expected[96];
    (void)state;
    static struct registry_layout copy;
    memcpy(&copy, raw_registry(), sizeof copy);
    put("", 0);
    assert_problem(EINVAL, "is empty");
    put("a short text\n", 13);
    assert_problem(EINVAL, "is no registry of lockshim");
    put(&copy, 20);
    (void)snprintf(expected, sizeof expected, "is cut off (20 of %zu bytes)", sizeof copy);
    assert_problem(EINVAL, expected);
    copy.head.version = REGISTRY_VERSION - 1;
    put(&copy, sizeof copy);
    assert_problem(EINVAL, "is of version 1, older than this lockctl's 2");
    copy.head.version = REGISTRY_VERSION + 1;
    put(&copy, sizeof copy / 2);
    assert_problem(EINVAL, "is of version 3, newer than this lockctl's 2");
    copy.head.version = REGISTRY_VERSION;
    copy.head.file_size++;
    put(&copy, sizeof copy);
    assert_problem(EINVAL, "is of another layout");
    memset(&copy, 0, sizeof copy);
    put(&copy, sizeof copy);
    assert_problem(EINVAL, "has been wiped");
}

static void test_what_is_no_file(void **state)
{
    (void)state;
    char elsewhere[200];
    (void)snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", directory);
    assert_int_equal(rename(registry_path, elsewhere), 0);
    assert_problem(ENOENT, "does not exist");
    assert_int_equal(symlink(elsewhere, registry_path), 0);
    assert_problem(ELOOP, "is a symbolic link, which is not followed");
    assert_int_equal(unlink(registry_path), 0);
    assert_int_equal(mkdir(registry_path, 0755), 0);
    assert_problem(EINVAL, "is no regular file");
    assert_int_equal(rmdir(registry_path), 0);
    assert_int_equal(mkfifo(registry_path, 0600), 0);
    assert_problem(EINVAL, "is no regular file");
    assert_int_equal(unlink(registry_path), 0);
    char path[5000];
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    assert_false(registry_view_open(&view, path));
    assert_int_equal(view.error, ENAMETOOLONG);
    assert_false(registry_view_open(&view, "/dev/null/lock"));
    assert_int_equal(view.error, ENOTDIR);
}

static void test_is_replaced_or_cut_off(void **state)
{
    (void)state;
    struct view_head head;
    struct view_holder holder;
    open_view();
    assert_true(registry_view_is_current(&view));
    assert_int_equal(truncate(registry_path, 256), 0);
    assert_false(registry_view_is_current(&view));
    assert_false(registry_view_head(&view, &head));
    assert_true(registry_view_exclusive(&view, &holder) == false);
    assert_int_equal(registry_view_events(&view, 0, events), 0);
    assert_int_equal(truncate(registry_path, sizeof(struct registry_layout)), 0);
    assert_true(registry_view_is_current(&view));
    assert_int_equal(unlink(registry_path), 0);
    assert_false(registry_view_is_current(&view));
    put("x", 1);
    assert_false(registry_view_is_current(&view));
    registry_view_close(&view);
    assert_false(registry_view_head(&view, &head));
    assert_false(registry_view_is_current(&view));
}

/* Everything there is to read; what is wrong in it must not get through. */
static void read_all(void)
{
    static struct view_holder holders[REGISTRY_HOLDERS];
    static struct view_waiter waiters[REGISTRY_WAITERS];
    static struct view_histogram times;
    struct view_blocked blocked[REGISTRY_BLOCKED];
    struct view_head head;
    struct view_counters counters;
    char path[4096];
    size_t count = registry_view_holders(&view, holders);
    assert_true(count <= REGISTRY_HOLDERS);
    for (size_t i = 0; i < count; i++) {
        assert_true(holders[i].process > 0 && holders[i].mode >= REGISTRY_EXCLUSIVE &&
                    holders[i].mode <= REGISTRY_JOINED && holders[i].scope <= SCOPE_CALL);
        assert_true(holders[i].since <= registry_now() && holders[i].last_touch <= registry_now());
    }
    count = registry_view_waiters(&view, waiters);
    assert_true(count <= REGISTRY_WAITERS);
    for (size_t i = 1; i < count; i++)
        assert_true(waiters[i - 1].ticket <= waiters[i].ticket);
    assert_true(registry_view_blocked(&view, blocked) <= REGISTRY_BLOCKED);
    count = registry_view_events(&view, 0, events);
    assert_true(count <= REGISTRY_EVENTS);
    for (size_t i = 1; i < count; i++)
        assert_true(events[i - 1].number < events[i].number);
    (void)registry_view_exclusive(&view, holders);
    (void)registry_view_head(&view, &head);
    (void)registry_view_counters(&view, &counters);
    (void)registry_view_wait_times(&view, &times);
    (void)registry_view_hold_times(&view, &times);
    assert_true(strlen(registry_view_table(&view, path)) < sizeof path);
}

static void test_hostile_bytes(void **state)
{
    uint32_t seed = 11;
    (void)state;
    for (int round = 0; round < 60; round++) {
        unsigned char *bytes = (unsigned char *)raw_registry();
        for (size_t i = 64; i < sizeof(struct registry_layout); i++) {
            seed = seed * 1664525u + 1013904223u;
            /* All ones, all over, and mostly zeros, so that single fields are wrong as well. */
            bytes[i] = round == 0               ? 0xff
                       : round % 2 == 0         ? (unsigned char)(seed >> 24)
                       : (seed >> 20) % 16 == 0 ? (unsigned char)(seed >> 24)
                                                : 0;
        }
        open_view();
        read_all();
        registry_view_close(&view);
    }
}

static void test_cut_off_anywhere(void **state)
{
    (void)state;
    add_events(REGISTRY_EVENTS);
    open_view();
    for (off_t size = (off_t)sizeof(struct registry_layout); size >= 0; size -= 4096) {
        assert_int_equal(truncate(registry_path, size), 0);
        read_all();
        struct registry_view again;
        assert_true(registry_view_open(&again, lock_path) ==
                    (size == (off_t)sizeof(struct registry_layout)));
        registry_view_close(&again);
    }
    registry_view_close(&view);
}

/* As a user who may not read it: in a child without privileges. */
static void test_may_not_be_read(void **state)
{
    int status;
    (void)state;
    assert_int_equal(chmod(registry_path, 0600), 0);
    assert_int_equal(chmod(directory, 0755), 0);
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(3);
        bool opened = registry_view_open(&view, lock_path);
        _exit(opened || (view.error == EACCES && strcmp(view.problem, "may not be read") == 0)
                  ? (opened && getuid() == 65534)
                  : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* Looking leaves no trace: same files, same bytes, same times of change. */
static void test_nothing_is_changed(void **state)
{
    struct stat before, after;
    (void)state;
    static struct registry_layout copy;
    memcpy(&copy, raw_registry(), sizeof copy);
    assert_int_equal(stat(registry_path, &before), 0);
    open_view();
    read_all();
    registry_view_close(&view);
    assert_int_equal(stat(registry_path, &after), 0);
    assert_memory_equal(&copy, raw_registry(), sizeof copy);
    assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim);
    assert_memory_equal(&before.st_ctim, &after.st_ctim, sizeof before.st_ctim);
    assert_int_equal(unlink(registry_path), 0);
    assert_false(registry_view_open(&view, lock_path));
    assert_int_equal(rmdir(directory), 0); /* it is empty */
    assert_int_equal(mkdir(directory, 0755), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_told_of_holders),
        TEST(test_life),
        TEST(test_insane_holders),
        TEST(test_waiters),
        TEST(test_head_and_table),
        TEST(test_blocked),
        TEST(test_counters_and_times),
        TEST(test_insane_times),
        TEST(test_events),
        TEST(test_insane_events),
        TEST(test_events_under_way),
        TEST(test_what_is_no_registry),
        TEST(test_what_is_no_file),
        TEST(test_is_replaced_or_cut_off),
        TEST(test_hostile_bytes),
        TEST(test_cut_off_anywhere),
        TEST(test_may_not_be_read),
        TEST(test_nothing_is_changed),
    };
    return cmocka_run_group_tests_name("registry_view", tests, NULL, NULL);
}
