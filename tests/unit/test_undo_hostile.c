/* Undo journals that must not be believed, whole or in part, whoever has written them. */
#include "tests/unit/undo_fixture.h"

/* --- hostile journals --- */

static void write_journal(const char *bytes, size_t size)
{
    char records[128];
    (void)snprintf(records, sizeof records, "%s/journal", journal_path);
    assert_int_equal(mkdir(journal_path, 0700), 0);
    int file = open(records, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(file, bytes, size), size);
    assert_int_equal(close(file), 0);
}

static void test_rubbish_is_refused(void **state)
{
    (void)state;
    char rubbish[4096];
    memset(rubbish, 'u', sizeof rubbish);
    write_journal(rubbish, sizeof rubbish);
    assert_int_equal(undo_roll_back(lock_path, table), -EBADMSG);
    assert_true(undo_exists(lock_path));
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), -EBADMSG);
    assert_int_equal(undo_discard(lock_path), 0);
    assert_false(undo_exists(lock_path));
}

static void test_empty_is_nothing(void **state)
{
    (void)state;
    write_journal("", 0);
    assert_int_equal(undo_roll_back(lock_path, table), 0);
    assert_false(undo_exists(lock_path));
}

static void test_of_another_lock_is_refused(void **state)
{
    (void)state;
    char other[96], other_journal[128];
    (void)snprintf(other, sizeof other, "%s/U.lock", directory);
    (void)snprintf(other_journal, sizeof other_journal, "%s.undo", other);
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
    put("a", "changed");
    assert_int_equal(rename(journal_path, other_journal), 0);
    assert_int_equal(undo_roll_back(other, table), -EBADMSG);
    has("a", "changed");
}

static void test_links_are_not_followed(void **state)
{
    (void)state;
    char elsewhere[96];
    (void)snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", directory);
    assert_int_equal(mkdir(elsewhere, 0700), 0);
    assert_int_equal(symlink(elsewhere, journal_path), 0);
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), -EPERM);
    assert_int_equal(undo_roll_back(lock_path, table), -EPERM);
    assert_int_equal(unlink(journal_path), 0);

    /* A directory of the table that has become a link since must not lead out of it. */
    assert_int_equal(mkdir(in_table("d"), 0700), 0);
    put("d/f", "inside");
    assert_int_equal(undo_save_name(&undo, in_table("d/f"), UNDO_REMOVES), 0);
    assert_int_equal(unlink(in_table("d/f")), 0);
    assert_int_equal(rmdir(in_table("d")), 0);
    assert_int_equal(symlink(elsewhere, in_table("d")), 0);
    assert_true(undo_roll_back(lock_path, table) < 0);
    assert_true(undo_exists(lock_path));
    assert_int_equal(rmdir(elsewhere), 0); /* still empty */
}

/* As another user: what that one may not do alone, its journal does not get done. */
static void as_user(uid_t user, void (*act)(void))
{
    pid_t child = fork();
    if (child == 0) {
        if (setgid(user) != 0 || setuid(user) != 0)
            _exit(1);
        act();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void forge(void)
{
    undo.session = undo_new_session();
    if (undo_save_name(&undo, in_table("planted"), UNDO_MAKES) != 0)
        _exit(2);
}

/* Records that name a file of root's, made by one who owns the directory of the lock. */
static void test_strangers_are_not_believed(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(directory, 0777), 0);
    as_user(12345, forge);
    put("planted", "root's own");
    assert_int_equal(undo_roll_back(lock_path, table), -EPERM);
    assert_int_equal(undo_roll_back(lock_path, NULL), -EPERM);
    has("planted", "root's own");
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), -EPERM);
}

static void give_journal_to(uid_t user)
{
    static const char *const names[] = {"journal", "records", "joined"};
    char path[160];
    for (int i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", journal_path, names[i]);
        assert_true(chown(path, user, (gid_t)user) == 0 || errno == ENOENT);
    }
    assert_int_equal(chown(journal_path, user, (gid_t)user), 0);
}

/* The table's owner is believed, but only where it may write. */
static void test_the_owner_is_limited(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(directory, 0777), 0);
    assert_int_equal(chown(table, 12345, 12345), 0);
    assert_int_equal(mkdir(in_table("rootdir"), 0755), 0);
    as_user(12345, forge);
    put("planted", "made by the owner");
    roll_back();
    has("planted", NULL);

    undo.session = undo_new_session();
    const char *kept = in_table("rootdir/kept");
    put("rootdir/kept", "root's own");
    char saved[512];
    (void)strcpy(saved, table);
    undo.table_path = saved;
    /* Written by root, then given to the owner, as a forger could have written it. */
    assert_int_equal(unlink(kept), 0);
    assert_int_equal(undo_save_name(&undo, kept, UNDO_MAKES), 0);
    put("rootdir/kept", "root's own");
    give_journal_to(12345);
    assert_int_equal(undo_roll_back(lock_path, table), -EPERM);
    has("rootdir/kept", "root's own");

    /* And nothing outside of the table. */
    assert_int_equal(undo_discard(lock_path), 0);
    undo.session = undo_new_session();
    char outside[96];
    (void)snprintf(outside, sizeof outside, "%s/outside", directory);
    assert_int_equal(undo_save_name(&undo, outside, UNDO_MAKES), 0);
    give_journal_to(12345);
    int file = open(outside, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(close(file), 0);
    assert_int_equal(undo_roll_back(lock_path, table), -EPERM);
    assert_int_equal(access(outside, F_OK), 0);
}

/* --- what a hostile author can write --- */

static uint64_t edge(void)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     4095,
                                     4096,
                                     65536,
                                     1u << 31,
                                     UINT32_MAX,
                                     INT64_MAX,
                                     INT64_MAX - 1,
                                     UINT64_MAX,
                                     UINT64_MAX - 4095};
    return rand() % 3 == 0 ? (uint64_t)(rand() % 300) : edges[(unsigned)rand() % 11];
}

static void forge_record(void)
{
    static const char *const ends[] = {"/a",          "/b",    "",         "/d/x",
                                       "/../outside", "/./a",  "//a",      "/a/",
                                       "/a/b",        "/link", "/missing", "/link/outside"};
    struct undo_journal journal;
    struct undo_record record = {.kind = (uint16_t)(rand() % 8),
                                 .flags = (uint16_t)(rand() % 8),
                                 .number = (uint32_t)edge() % 4,
                                 .handle = (uint32_t)edge() % 4,
                                 .bytes = edge(),
                                 .offset = edge(),
                                 .size = edge(),
                                 .mode = (uint32_t)edge(),
                                 .user = (uint32_t)edge(),
                                 .group = (uint32_t)edge()};
    char path[512], other[512];
    (void)snprintf(path, sizeof path, "%s%s", table, ends[rand() % 12]);
    (void)snprintf(other, sizeof other, "%s%s", table, ends[rand() % 12]);
    int data = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    struct undo_source source = {data, 0, (uint64_t)(rand() % 9000)};
    struct undo forger = undo;
    forger.durable = rand() % 50 == 0;
    if (rand() % 2 == 0) /* what is sound but for one thing goes further */
        record.bytes = source.size, record.number = 0;
    if (rand() % 3 == 0) {
        record.offset = 0;
        record.size = record.bytes;
    }
    assert_int_equal(undo_journal_open(&journal, lock_path, table, (unsigned)rand() % 2, true), 0);
    assert_int_equal(undo_stream_add(&journal, &forger, &record, path, rand() % 2 ? other : NULL,
                                     rand() % 2 ? &source : NULL),
                     0);
    undo_journal_close(&journal);
    assert_int_equal(close(data), 0);
}

static void test_forged_records(void **state)
{
    (void)state;
    char outside[96], found[16] = "";
    (void)snprintf(outside, sizeof outside, "%s/outside", directory);
    int file = open(outside, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(file, "untouched", 9), 9);
    for (unsigned round = 0; round < 500; round++) {
        srand(round);
        undo.session = undo_new_session();
        put("a", "first");
        (void)symlink(directory, in_table("link"));
        for (int count = rand() % 4; count >= 0; count--)
            forge_record();
        if (geteuid() == 0 && round % 2 == 0) {
            assert_int_equal(chown(table, 12345, 12345), 0);
            give_journal_to(12345);
        }
        int result = undo_roll_back(lock_path, table);
        assert_true(result == 1 || (result < 0 && undo_exists(lock_path)));
        assert_int_equal(undo_discard(lock_path), 0);
        (void)mkdir(table, 0755);
        assert_int_equal(pread(file, found, sizeof found, 0), 9);
        assert_string_equal(found, "untouched");
        struct stat status;
        assert_int_equal(fstat(file, &status), 0);
        assert_int_equal(status.st_nlink, 1);
        assert_int_equal(status.st_mode & 07777, 0600);
    }
    assert_int_equal(close(file), 0);
}

/* Bytes changed at random, in what has been written whole. */
static void test_damaged_journals(void **state)
{
    (void)state;
    static const char *const names[] = {"journal", "records"};
    for (unsigned round = 0; round < 500; round++) {
        srand(round);
        undo.session = undo_new_session();
        put("a", "first");
        put("b", "second");
        assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
        assert_int_equal(undo_save_name(&undo, in_table("b"), UNDO_REMOVES), 0);
        put("a", "changed");
        assert_int_equal(unlink(in_table("b")), 0);
        char path[160];
        struct stat status;
        (void)snprintf(path, sizeof path, "%s/%s", journal_path, names[round % 2]);
        int file = open(path, O_RDWR | O_CLOEXEC);
        assert_int_equal(fstat(file, &status), 0);
        for (int count = rand() % 4; count >= 0; count--) {
            unsigned char byte = (unsigned char)rand();
            assert_int_equal(pwrite(file, &byte, 1, rand() % status.st_size), 1);
        }
        if (rand() % 4 == 0)
            assert_int_equal(ftruncate(file, rand() % (status.st_size * 2)), 0);
        assert_int_equal(close(file), 0);
        (void)undo_roll_back(lock_path, table);
        assert_int_equal(undo_discard(lock_path), 0);
    }
}

/*
 * What a file contains is written into the same place again and again: it must not be taken for a
 * record when a shorter one has come to stand before it.
 */
static void test_content_is_no_record(void **state)
{
    (void)state;
    char records[160], forged[4096];
    (void)snprintf(records, sizeof records, "%s/records", journal_path);
    struct undo_kept kept = {.there = false};
    undo.kept = &kept;
    put("planted", "of another");
    assert_int_equal(undo_save_name(&undo, in_table("new"), UNDO_MAKES), 0);
    put("new", "x");
    int file = open(records, O_RDONLY | O_CLOEXEC);
    ssize_t size = pread(file, forged, sizeof forged, UNDO_RECORDS_AT);
    assert_true(size > (ssize_t)sizeof(struct undo_record));
    assert_int_equal(close(file), 0);
    assert_true(undo_kept_commit(&kept, false));
    assert_true(undo_kept_is_settled(&kept, lock_path, true));

    /* The next session's record, as one who can't read the journal may have seen the last one. */
    struct undo_record *record = (void *)forged;
    record->sequence++;
    file = open(in_table("a"), O_WRONLY | O_TRUNC | O_CLOEXEC);
    for (int i = 0; i < 8; i++)
        assert_int_equal(write(file, forged, (size_t)size), size);
    assert_int_equal(close(file), 0);
    for (int i = 0; i < 3; i++) {
        undo.session = undo_new_session();
        assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
        assert_true(undo_kept_commit(&kept, false));
        undo.session = undo_new_session();
        assert_int_equal(undo_save_name(&undo, in_table("c"), UNDO_MAKES), 0);
        undo_kept_forget(&kept);
        roll_back();
        has("new", "x");
    }
    undo.kept = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_rubbish_is_refused),
                                       TEST(test_empty_is_nothing),
                                       TEST(test_of_another_lock_is_refused),
                                       TEST(test_links_are_not_followed),
                                       TEST(test_strangers_are_not_believed),
                                       TEST(test_the_owner_is_limited),
                                       TEST(test_forged_records),
                                       TEST(test_damaged_journals),
                                       TEST(test_content_is_no_record)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
