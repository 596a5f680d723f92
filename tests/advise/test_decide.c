/*
 * The rules of `lockctl advise`, a line of accesses each, and the reading of traces that are not
 * what they should be.
 */
#include "lockctl/advise/account.h"
#include "lockctl/advise/decide.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/*
 * A story: words "PROCESS.SESSION KIND FILE[<OTHER]", one access each; processes are 1, 2, ...,
 * and each is the child of the one before it. "PROCESS.0 end" ends it.
 */
static const struct {
    const char *word;
    enum access_kind kind;
} kinds[] = {
    {"ask", ACCESS_ASK},         {"miss", ACCESS_MISS},     {"list", ACCESS_LIST},
    {"read", ACCESS_READ},       {"update", ACCESS_UPDATE}, {"open", ACCESS_OPEN},
    {"write", ACCESS_WRITE},     {"append", ACCESS_APPEND}, {"resize", ACCESS_RESIZE},
    {"replace", ACCESS_REPLACE}, {"make", ACCESS_MAKE},     {"remove", ACCESS_REMOVE},
    {"rename", ACCESS_RENAME},   {"link", ACCESS_LINK},     {"refused", ACCESS_REFUSED},
};

static enum access_kind kind_of(const char *word)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].word, word) == 0)
            return kinds[i].kind;
    fail_msg("no kind %s", word);
    return ACCESS_ASK;
}

static size_t file_of(struct account *account, const char *name)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/t/%s", name);
    return account_file(account, path, strlen(path));
}

static void tell_access(struct account *account, char *text)
{
    static struct account_access accesses[64];
    char *file = NULL;
    unsigned process = (unsigned)strtoul(text, &text, 10);
    unsigned session = (unsigned)strtoul(text + 1, &text, 10);
    text += strspn(text, " ");
    char *word = strsep(&text, " ");
    file = text;
    if (word == NULL)
        return;
    size_t index = account_process(account, (pid_t)(100 + process));
    account->processes[index].parent = (pid_t)(99 + process);
    account->processes[index].preloaded = true;
    if (strcmp(word, "end") == 0) {
        account->processes[index].ended = true;
        account->processes[index].end_order = account->access_count;
        return;
    }
    if (file == NULL) {
        fail_msg("no file");
        return;
    }
    char *other = strchr(file, '<');
    if (other != NULL)
        *other++ = '\0';
    account->processes[index].accesses++;
    if (account->processes[index].sessions < session)
        account->processes[index].sessions = session;
    account->accesses = accesses;
    accesses[account->access_count] = (struct account_access){
        .process = index,
        .session = session,
        .kind = kind_of(word),
        .file = file_of(account, file),
    };
    if (other != NULL)
        accesses[account->access_count].other = file_of(account, other);
    account->access_count++;
}

static void tell_story(struct account *account, const char *story)
{
    char text[1024];
    char *rest = text;
    account_set_up(account, "/t");
    account->watched = account->attributed = true;
    (void)snprintf(text, sizeof text, "%s", story);
    for (char *part; (part = strsep(&rest, ";")) != NULL;)
        tell_access(account, part + strspn(part, " "));
}

static void forget(struct account *account, struct advice *advice)
{
    account->accesses = NULL; /* not from the heap */
    account_end(account);
    free(advice->processes);
}

struct rule {
    const char *story;
    enum scope needed;
    enum reason reason;
    enum judgement process, session, call;
    bool shared;
};

static const struct rule rules[] = {
    /* one session */
    {"1.1 read a", SCOPE_SESSION, REASON_READS, JUDGED_RIGHT, JUDGED_RIGHT, JUDGED_WRONG, true},
    {"1.1 update a; 1.1 write a", SCOPE_SESSION, REASON_OPEN, JUDGED_RIGHT, JUDGED_RIGHT,
     JUDGED_WRONG, false},
    {"1.1 read a; 1.1 make n; 1.1 write n; 1.1 rename a<n", SCOPE_SESSION, REASON_OPEN,
     JUDGED_RIGHT, JUDGED_RIGHT, JUDGED_WRONG, false},
    {"1.1 replace a; 1.1 write a", SCOPE_SESSION, REASON_BLIND, JUDGED_RIGHT, JUDGED_RIGHT,
     JUDGED_WRONG, false},
    {"1.1 make n; 1.1 write n; 1.2 rename a<n", SCOPE_SESSION, REASON_BLIND, JUDGED_RIGHT,
     JUDGED_RIGHT, JUDGED_WRONG, false},
    {"1.1 open l; 1.1 append l; 1.2 append l", SCOPE_CALL, REASON_APPENDS, JUDGED_RIGHT,
     JUDGED_RIGHT, JUDGED_RIGHT, false},
    /* several sessions */
    {"1.1 read a; 1.2 read b", SCOPE_PROCESS, REASON_READERS, JUDGED_RIGHT, JUDGED_MIXED,
     JUDGED_WRONG, true},
    {"1.1 update a; 1.1 write a; 1.2 update a; 1.2 write a", SCOPE_SESSION, REASON_RETURNS,
     JUDGED_RIGHT, JUDGED_RIGHT, JUDGED_WRONG, false},
    {"1.1 read a; 1.2 replace a", SCOPE_PROCESS, REASON_MEMORY, JUDGED_RIGHT, JUDGED_REFUSED,
     JUDGED_WRONG, false},
    {"1.1 miss a; 1.2 make a", SCOPE_PROCESS, REASON_MEMORY, JUDGED_RIGHT, JUDGED_REFUSED,
     JUDGED_WRONG, false},
    {"1.1 read a; 1.2 make n; 1.2 write n; 1.3 rename a<n", SCOPE_PROCESS, REASON_MEMORY,
     JUDGED_RIGHT, JUDGED_WRONG, JUDGED_WRONG, false},
    {"1.1 read a; 1.2 replace b", SCOPE_PROCESS, REASON_MEMORY, JUDGED_RIGHT, JUDGED_WRONG,
     JUDGED_WRONG, false},
    {"1.1 list d; 1.2 make d/2", SCOPE_PROCESS, REASON_MEMORY, JUDGED_RIGHT, JUDGED_WRONG,
     JUDGED_WRONG, false},
    {"1.1 read a; 1.2 append l", SCOPE_PROCESS, REASON_MEMORY, JUDGED_RIGHT, JUDGED_WRONG,
     JUDGED_WRONG, false},
    {"1.1 read a; 1.2 update a; 1.2 write a", SCOPE_PROCESS, REASON_MEMORY, JUDGED_RIGHT,
     JUDGED_WRONG, JUDGED_WRONG, false},
    {"1.1 read index; 1.2 update a; 1.2 write a", SCOPE_PROCESS, REASON_MEMORY, JUDGED_RIGHT,
     JUDGED_WRONG, JUDGED_WRONG, false},
    {"1.1 read a; 1.2 remove a", SCOPE_PROCESS, REASON_MEMORY, JUDGED_RIGHT, JUDGED_REFUSED,
     JUDGED_WRONG, false},
    /* asking */
    {"1.1 ask a; 1.2 update a; 1.2 write a", SCOPE_SESSION, REASON_RETURNS, JUDGED_RIGHT,
     JUDGED_RIGHT, JUDGED_WRONG, false},
    {"1.1 ask a; 1.2 read a; 1.2 replace a", SCOPE_PROCESS, REASON_MEMORY, JUDGED_RIGHT,
     JUDGED_WRONG, JUDGED_WRONG, false},
    {"1.1 ask a; 1.2 replace a", SCOPE_PROCESS, REASON_MEMORY, JUDGED_RIGHT, JUDGED_WRONG,
     JUDGED_WRONG, false},
    {"1.1 ask l; 1.2 append l", SCOPE_CALL, REASON_APPENDS, JUDGED_RIGHT, JUDGED_RIGHT,
     JUDGED_RIGHT, false},
    /* its own files are nobody else's */
    {"1.1 make n; 1.1 write n; 1.2 read n; 1.3 replace n; 1.4 remove n", SCOPE_SESSION,
     REASON_BLIND, JUDGED_RIGHT, JUDGED_RIGHT, JUDGED_WRONG, false},
    /* what is not let through counts as done */
    {"1.1 read a; 1.2 refused a", SCOPE_PROCESS, REASON_MEMORY, JUDGED_RIGHT, JUDGED_REFUSED,
     JUDGED_WRONG, false},
    /* several processes */
    {"1.1 read a; 1.0 end; 2.1 replace a", SCOPE_COMMAND, REASON_PROCESSES, JUDGED_WRONG,
     JUDGED_WRONG, JUDGED_WRONG, false},
    {"2.1 read a; 1.1 replace a", SCOPE_COMMAND, REASON_PROCESSES, JUDGED_WRONG, JUDGED_WRONG,
     JUDGED_WRONG, false},
    {"1.1 read a; 2.1 replace a; 1.2 read a", SCOPE_COMMAND, REASON_PROCESSES, JUDGED_JOINED,
     JUDGED_WRONG, JUDGED_WRONG, false},
    {"1.1 read a; 2.1 replace a; 1.0 end", SCOPE_COMMAND, REASON_PROCESSES, JUDGED_JOINED,
     JUDGED_WRONG, JUDGED_WRONG, false},
    {"1.1 read a; 2.1 read b", SCOPE_COMMAND, REASON_READERS, JUDGED_MIXED, JUDGED_MIXED,
     JUDGED_MIXED, true},
    {"1.1 append l; 2.1 append l", SCOPE_CALL, REASON_APPENDS, JUDGED_RIGHT, JUDGED_RIGHT,
     JUDGED_RIGHT, false},
    {"1.1 read a; 2.1 append l", SCOPE_COMMAND, REASON_PROCESSES, JUDGED_WRONG, JUDGED_WRONG,
     JUDGED_WRONG, false},
};

static void test_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const struct rule *rule = &rules[i];
        struct account account;
        struct advice advice;
        tell_story(&account, rule->story);
        decide(&advice, &account);
        if (advice.needed != rule->needed || advice.reason != rule->reason ||
            advice.scopes[SCOPE_COMMAND] != JUDGED_RIGHT ||
            advice.scopes[SCOPE_PROCESS] != rule->process ||
            advice.scopes[SCOPE_SESSION] != rule->session ||
            advice.scopes[SCOPE_CALL] != rule->call || advice.shared != rule->shared)
            fail_msg("'%s': scope %s, reason %d, process %d, session %d, call %d, shared %d",
                     rule->story, settings_scope_name(advice.needed), (int)advice.reason,
                     (int)advice.scopes[SCOPE_PROCESS], (int)advice.scopes[SCOPE_SESSION],
                     (int)advice.scopes[SCOPE_CALL], (int)advice.shared);
        assert_false(advice.eager);
        forget(&account, &advice);
    }
}

static void add_unseen(struct account *account, size_t process)
{
    account->unseen = calloc(1, sizeof *account->unseen);
    assert_non_null(account->unseen);
    account->unseen[0] = (struct account_unseen){.process = process, .file = 0, .changes = true};
    account->unseen_count = 1;
    if (process != ACCOUNT_NOBODY)
        account->processes[process].unseen = 1;
}

static void test_out_of_reach(void **state)
{
    (void)state;
    struct account account;
    struct advice advice;
    tell_story(&account, "1.1 update a; 1.1 write a");
    size_t helper = account_process(&account, 200);
    account.processes[helper].out_of_reach = true;
    account.processes[helper].reach = PROGRAM_STATIC;
    decide(&advice, &account); /* it was watched, and did nothing */
    assert_int_equal(advice.needed, SCOPE_SESSION);
    free(advice.processes);
    account.watched = false; /* nobody can tell */
    decide(&advice, &account);
    assert_int_equal(advice.needed, SCOPE_COMMAND);
    assert_int_equal(advice.reason, REASON_OUT_OF_REACH);
    free(advice.processes);
    account.watched = true;
    add_unseen(&account, helper);
    decide(&advice, &account);
    assert_int_equal(advice.needed, SCOPE_COMMAND);
    assert_int_equal(advice.reason, REASON_OUT_OF_REACH);
    assert_false(advice.eager);
    assert_int_equal(advice.scopes[SCOPE_PROCESS], JUDGED_WRONG);
    forget(&account, &advice);
}

static void test_unseen(void **state)
{
    (void)state;
    static const bool known[] = {true, false};
    for (size_t i = 0; i < 2; i++) {
        struct account account;
        struct advice advice;
        tell_story(&account, "1.1 read a");
        add_unseen(&account, known[i] ? 0 : ACCOUNT_NOBODY);
        decide(&advice, &account);
        assert_int_equal(advice.needed, SCOPE_COMMAND);
        assert_int_equal(advice.reason, REASON_UNSEEN);
        assert_true(advice.eager);
        forget(&account, &advice);
    }
}

static void test_lives_on(void **state)
{
    (void)state;
    struct account account;
    struct advice advice;
    tell_story(&account, "1.1 read log");
    account.ended_by_us = true;
    decide(&advice, &account);
    assert_int_equal(advice.needed, SCOPE_CALL);
    assert_int_equal(advice.reason, REASON_FOLLOWS);
    assert_false(advice.shared);
    forget(&account, &advice);
}

static void test_untouched(void **state)
{
    (void)state;
    struct account account;
    struct advice advice;
    account_set_up(&account, "/t");
    decide(&advice, &account);
    assert_int_equal(advice.reason, REASON_NONE);
    assert_int_equal(advice.touching, 0);
    forget(&account, &advice);
}

/* --- traces --- */

struct trace {
    char bytes[8192];
    size_t size;
};

static void record(struct trace *trace, enum trace_kind kind, pid_t process, int number, int other,
                   uint32_t flags, const char *first, const char *second)
{
    struct trace_record record = {
        .magic = TRACE_MAGIC,
        .kind = (uint16_t)kind,
        .first_length = (uint16_t)strlen(first),
        .second_length = (uint32_t)strlen(second),
        .process = process,
        .parent = 1,
        .number = number,
        .other = other,
        .flags = flags,
        .time = trace->size + 1,
    };
    record.size = (uint32_t)sizeof record + record.first_length + record.second_length;
    char *at = trace->bytes + trace->size;
    memcpy(at, &record, sizeof record);
    memcpy(at + sizeof record, first, record.first_length);
    memcpy(at + sizeof record + record.first_length, second, record.second_length);
    trace->size += record.size;
}

/* A session lasts from the first open to the last close, over a duplicate and an exec. */
static void test_sessions(void **state)
{
    (void)state;
    struct trace trace = {.size = 0};
    struct account account;
    record(&trace, TRACE_START, 7, 0, 0, 0, "/bin/sh", "sh");
    record(&trace, TRACE_OPEN, 7, 3, 0, O_RDONLY, "/t/a", "");
    record(&trace, TRACE_DUPLICATE, 7, 3, 4, 0, "", "");
    record(&trace, TRACE_CLOSE, 7, 3, 0, 0, "", "");
    record(&trace, TRACE_OPEN, 7, 3, 0, O_RDONLY, "/t/b", "");
    record(&trace, TRACE_START, 7, 0, 0, 0, "/bin/cat", "cat");
    record(&trace, TRACE_RECEIVED, 7, 4, 0, O_RDONLY, "/t/a", "");
    record(&trace, TRACE_OPEN, 7, 3, 0, O_RDONLY, "/t/c", "");
    record(&trace, TRACE_CLOSE, 7, 3, 0, 0, "", "");
    record(&trace, TRACE_CLOSE, 7, 4, 0, 0, "", "");
    record(&trace, TRACE_OPEN, 7, 3, 0, O_RDONLY, "/t/d", "");
    account_set_up(&account, "/t");
    account_read_trace(&account, trace.bytes, trace.size);
    assert_false(account.damaged);
    assert_int_equal(account.process_count, 1);
    assert_int_equal(account.access_count, 4);
    static const unsigned sessions[] = {1, 1, 1, 2};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(account.accesses[i].session, sessions[i]);
    assert_string_equal(account.processes[0].name, "cat");
    account_end(&account);
}

/* What a fork inherits is no session of the child; what it writes there it does itself. */
static void test_fork(void **state)
{
    (void)state;
    struct trace trace = {.size = 0};
    struct account account;
    record(&trace, TRACE_START, 1, 0, 0, 0, "/bin/sh", "sh");
    record(&trace, TRACE_OPEN, 1, 3, 0, O_WRONLY | O_APPEND, "/t/log", "");
    record(&trace, TRACE_FORK, 2, 0, 0, 0, "", "");
    record(&trace, TRACE_WRITE, 2, 3, 0, 0, "/t/log", "");
    record(&trace, TRACE_CLOSE, 2, 3, 0, 0, "", "");
    record(&trace, TRACE_ASK, 2, 0, 0, 0, "/t/a", "");
    account_set_up(&account, "/t");
    account_read_trace(&account, trace.bytes, trace.size);
    assert_int_equal(account.process_count, 2);
    assert_int_equal(account.access_count, 3);
    assert_int_equal(account.accesses[1].kind, ACCESS_APPEND);
    assert_int_equal(account.accesses[1].process, 1);
    assert_int_equal(account.accesses[2].session, 2);
    account_end(&account);
}

/* A listing that an open follows was that open; one that misses was a reading of nothing. */
static void test_listings(void **state)
{
    (void)state;
    struct trace trace = {.size = 0};
    struct account account;
    record(&trace, TRACE_LIST, 7, 0, 0, 0, "/t/a", "");
    record(&trace, TRACE_OPEN, 7, 3, 0, O_RDONLY, "/t/a", "");
    record(&trace, TRACE_CLOSE, 7, 3, 0, 0, "", "");
    record(&trace, TRACE_LIST, 7, 0, 0, 0, "/t/none", "");
    record(&trace, TRACE_MISSED, 7, 0, 0, 0, "", "");
    record(&trace, TRACE_LIST, 7, 0, 0, 0, "/t", "");
    account_set_up(&account, "/t");
    account_read_trace(&account, trace.bytes, trace.size);
    assert_int_equal(account.access_count, 3);
    assert_int_equal(account.accesses[0].kind, ACCESS_READ);
    assert_int_equal(account.accesses[1].kind, ACCESS_MISS);
    assert_int_equal(account.accesses[2].kind, ACCESS_LIST);
    account_end(&account);
}

/* Whatever is in it: no crash, and it is noticed when a record can't be. */
static void test_damaged(void **state)
{
    (void)state;
    struct trace trace = {.size = 0};
    record(&trace, TRACE_START, 7, 0, 0, 0, "/bin/sh", "sh");
    record(&trace, TRACE_OPEN, 7, 3, 0, O_RDWR, "/t/a", "");
    record(&trace, TRACE_RENAME, 7, 0, 0, TRACE_OLD_THERE, "/t/a", "/t/b");
    record(&trace, TRACE_OUT_OF_REACH, 7, 1, 99, 0, "/bin/x", "");
    record(&trace, TRACE_SPAWNED, 7, 8, 0, 0, "", "");
    for (size_t size = 0; size < trace.size; size++) {
        struct account account;
        account_set_up(&account, "/t");
        account_read_trace(&account, trace.bytes, size);
        account_end(&account);
    }
    srandom(1);
    for (int round = 0; round < 20000; round++) {
        struct trace wrong = trace;
        struct account account;
        struct advice advice;
        for (int i = 0; i <= round % 4; i++)
            wrong.bytes[(size_t)random() % wrong.size] = (char)random();
        account_set_up(&account, "/t");
        account_read_trace(&account, wrong.bytes, wrong.size);
        decide(&advice, &account);
        free(advice.processes);
        account_end(&account);
    }
    struct account account;
    account_set_up(&account, "/t");
    trace.bytes[0] = 'x';
    account_read_trace(&account, trace.bytes, trace.size);
    assert_true(account.damaged);
    account_end(&account);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),     cmocka_unit_test(test_out_of_reach),
        cmocka_unit_test(test_unseen),    cmocka_unit_test(test_lives_on),
        cmocka_unit_test(test_untouched), cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_fork),      cmocka_unit_test(test_listings),
        cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
