/*
 * The undo journal: each kind of change put back, its own limits, and journals that must not be
 * believed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/lock/undo.h"
#include "shim/lock/undo_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64], table[80], lock_path[80], journal_path[96];
static struct undo undo;

static const char *in_table(const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, 512, "%s/%s", table, name);
    return path;
}

static void put(const char *name, const char *text)
{
    int file = open(in_table(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), strlen(text));
    assert_int_equal(close(file), 0);
}

static void has(const char *name, const char *text)
{
    char found[256] = "";
    int file = open(in_table(name), O_RDONLY | O_CLOEXEC);
    if (text == NULL) {
        assert_int_equal(file, -1);
        return;
    }
    assert_true(file >= 0);
    ssize_t size = read(file, found, sizeof found - 1);
    assert_true(size >= 0);
    assert_int_equal(close(file), 0);
    assert_string_equal(found, text);
}

static int set_up(void **state)
{
    (void)state;
    (void)strcpy(directory, "/tmp/lockshim-undo-XXXXXX");
    if (mkdtemp(directory) == NULL)
        return -1;
    (void)snprintf(table, sizeof table, "%s/T", directory);
    (void)snprintf(lock_path, sizeof lock_path, "%s/T.lock", directory);
    (void)snprintf(journal_path, sizeof journal_path, "%s.undo", lock_path);
    undo = (struct undo){.lock_path = lock_path,
                         .table_path = table,
                         .limit = 1 << 20,
                         .session = undo_new_session()};
    if (mkdir(table, 0755) != 0)
        return -1;
    put("a", "first");
    put("b", "second");
    return 0;
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

static void roll_back(void)
{
    assert_int_equal(undo_roll_back(lock_path, table), 1);
    assert_false(undo_exists(lock_path));
}

static void test_nothing_to_do(void **state)
{
    (void)state;
    assert_int_equal(undo_roll_back(lock_path, table), 0);
    assert_int_equal(undo_commit(lock_path, table, false), 0);
    assert_int_equal(undo_discard(lock_path), 0);
    assert_int_equal(undo_mark_ending(lock_path, table, true), 0);
}

static void test_content(void **state)
{
    (void)state;
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
    put("a", "changed");
    assert_int_equal(undo_save_content(&undo, in_table("new"), true), 0);
    put("new", "made");
    roll_back();
    has("a", "first");
    has("new", NULL);
}

static void test_commit_keeps(void **state)
{
    (void)state;
    for (int durable = 0; durable < 2; durable++) {
        undo.durable = durable != 0;
        undo.session = undo_new_session();
        assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
        put("a", "changed");
        assert_true(undo_exists(lock_path));
        assert_int_equal(undo_commit(lock_path, table, undo.durable), 0);
        assert_false(undo_exists(lock_path));
        assert_int_equal(undo_roll_back(lock_path, table), 0);
        has("a", "changed");
    }
}

static void test_ending_counts(void **state)
{
    (void)state;
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
    put("a", "changed");
    assert_int_equal(undo_mark_ending(lock_path, table, true), 0);
    assert_int_equal(undo_roll_back(lock_path, table), 0);
    assert_false(undo_exists(lock_path));
    has("a", "changed");

    undo.session = undo_new_session();
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
    put("a", "again");
    assert_int_equal(undo_mark_ending(lock_path, table, true), 0);
    assert_int_equal(undo_mark_ending(lock_path, table, false), 0);
    roll_back();
    has("a", "changed");
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(undo_save_name(&undo, in_table("a"), UNDO_REMOVES), 0);
    assert_int_equal(unlink(in_table("a")), 0);
    assert_int_equal(undo_save_name(&undo, in_table("b"), UNDO_MAKES | UNDO_REMOVES), 0);
    assert_int_equal(undo_save_name(&undo, in_table("c"), UNDO_MAKES), 0);
    put("c", "new");
    assert_int_equal(rename(in_table("c"), in_table("b")), 0);
    assert_int_equal(undo_save_name(&undo, in_table("d"), UNDO_MAKES), 0);
    assert_int_equal(mkdir(in_table("d"), 0700), 0);
    put("d/e", "below");
    roll_back();
    has("a", "first");
    has("b", "second");
    has("c", NULL);
    has("d", NULL);
}

static void test_what_is_recorded_is_not_recorded_again(void **state)
{
    (void)state;
    struct stat before, after;
    char records[128];
    (void)snprintf(records, sizeof records, "%s/records", journal_path);
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
    assert_int_equal(stat(records, &before), 0);
    put("a", "changed");
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
    assert_int_equal(stat(records, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    /* It is put back where it is: that it is removed is another record, and the last one. */
    assert_int_equal(undo_save_name(&undo, in_table("a"), UNDO_REMOVES), 0);
    assert_int_equal(stat(records, &before), 0);
    assert_int_equal(undo_save_name(&undo, in_table("a"), UNDO_REMOVES), 0);
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
    assert_int_equal(stat(records, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    assert_true(undo_is_recorded(undo.session, undo_key(in_table("a"))));
    assert_false(undo_is_recorded(undo_new_session(), undo_key(in_table("a"))));
    roll_back();
    has("a", "first");
}

/* A change that is recorded twice, as after what was remembered is forgotten. */
static void test_twice_is_right(void **state)
{
    (void)state;
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
    put("a", "changed");
    undo.session = undo_new_session();
    assert_int_equal(undo_save_name(&undo, in_table("a"), UNDO_REMOVES), 0);
    assert_int_equal(unlink(in_table("a")), 0);
    undo.session = undo_new_session();
    assert_int_equal(undo_save_name(&undo, in_table("a"), UNDO_MAKES), 0);
    put("a", "new");
    roll_back();
    has("a", "first");
}

static void test_directories(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_table("d"), 0751), 0);
    put("d/f", "inside");
    assert_int_equal(undo_save_name(&undo, in_table("e"), UNDO_MAKES | UNDO_REMOVES), 0);
    assert_int_equal(undo_save_move(&undo, in_table("d"), in_table("e")), 0);
    assert_int_equal(rename(in_table("d"), in_table("e")), 0);
    undo.session = undo_new_session();
    assert_int_equal(undo_save_name(&undo, in_table("e/f"), UNDO_REMOVES), 0);
    assert_int_equal(unlink(in_table("e/f")), 0);
    assert_int_equal(undo_save_name(&undo, in_table("e"), UNDO_REMOVES), 0);
    assert_int_equal(rmdir(in_table("e")), 0);
    roll_back();
    has("d/f", "inside");
    has("e", NULL);
    struct stat status;
    assert_int_equal(stat(in_table("d"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0751);
}

static void test_two_names(void **state)
{
    (void)state;
    struct stat one, other;
    assert_int_equal(link(in_table("a"), in_table("twin")), 0);
    int file = open(in_table("a"), O_WRONLY | O_CLOEXEC);
    assert_int_equal(undo_save_name(&undo, in_table("a"), UNDO_REMOVES), 0);
    assert_int_equal(unlink(in_table("a")), 0);
    assert_int_equal(undo_save_open(&undo, file, NULL), 0);
    assert_int_equal(write(file, "X", 1), 1);
    assert_int_equal(close(file), 0);
    has("twin", "Xirst");
    roll_back();
    has("a", "first");
    has("twin", "first");
    assert_int_equal(stat(in_table("a"), &one), 0);
    assert_int_equal(stat(in_table("twin"), &other), 0);
    assert_int_equal(one.st_ino, other.st_ino);
}

static void test_limit(void **state)
{
    (void)state;
    undo.limit = 4;
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), -UNDO_OVER_LIMIT);
    assert_int_equal(undo_save_name(&undo, in_table("a"), UNDO_REMOVES), 0); /* a link is free */
    assert_int_equal(unlink(in_table("a")), 0);
    roll_back();
    has("a", "first");
}

static void test_cut_off_records_have_not_happened(void **state)
{
    (void)state;
    char records[128];
    struct stat whole;
    (void)snprintf(records, sizeof records, "%s/records", journal_path);
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
    put("a", "changed");
    assert_int_equal(stat(records, &whole), 0);
    /* Bytes behind the last record, of one who died while writing them. */
    int file = open(records, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(file, "undorubbish", 11), 11);
    assert_int_equal(close(file), 0);
    roll_back();
    has("a", "first");
}

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

/* --- parts --- */

enum { LARGE = 200000 };

static void put_large(const char *name, char *content)
{
    for (int i = 0; i < LARGE; i++)
        content[i] = (char)('a' + i / 7 % 26);
    int file = open(in_table(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_int_equal(write(file, content, LARGE), LARGE);
    assert_int_equal(close(file), 0);
}

static void has_large(const char *name, const char *content)
{
    static char found[2 * LARGE];
    int file = open(in_table(name), O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(file, found, sizeof found), LARGE);
    assert_memory_equal(found, content, LARGE);
    assert_int_equal(close(file), 0);
}

/* At random places, sizes and ends; the journal grows by what is changed alone. */
static void test_parts(void **state)
{
    (void)state;
    static char content[LARGE], noise[100000];
    memset(noise, '#', sizeof noise);
    put_large("large", content);
    for (unsigned round = 0; round < 60; round++) {
        srand(round);
        undo.session = undo_new_session();
        undo.limit = 1 << 24;
        int file = open(in_table("large"), O_RDWR | O_CLOEXEC);
        for (int change = rand() % 12; change >= 0; change--) {
            struct undo_open_file opened = {file, in_table("large"), rand() % 2 == 0};
            uint64_t key, offset = (uint64_t)(rand() % 300000);
            size_t size = (size_t)(rand() % (rand() % 4 == 0 ? 90000 : 3000));
            if (rand() % 5 == 0) {
                assert_true(undo_save_part(&undo, &opened, offset, UNDO_TO_END, &key) >= 0);
                assert_int_equal(ftruncate(file, (off_t)offset), 0);
            } else if (rand() % 5 == 0) {
                assert_true(undo_save_part(&undo, &opened, UNDO_AT_END, size, &key) >= 0);
                assert_int_equal(pwrite(file, noise, size, lseek(file, 0, SEEK_END)), size);
            } else {
                assert_true(undo_save_part(&undo, &opened, offset, size, &key) >= 0);
                assert_int_equal(pwrite(file, noise, size, (off_t)offset), size);
            }
            if (rand() % 6 == 0) /* what is remembered may be forgotten at any time */
                undo.session = undo_new_session();
        }
        assert_int_equal(close(file), 0);
        roll_back();
        has_large("large", content);
    }
}

static void test_a_part_costs_its_size(void **state)
{
    (void)state;
    static char content[LARGE];
    uint64_t key;
    put_large("large", content);
    undo.limit = 3 * UINT64_C(4096);
    int file = open(in_table("large"), O_RDWR | O_CLOEXEC);
    struct undo_open_file opened = {file, in_table("large"), true};
    assert_int_equal(undo_save_part(&undo, &opened, 5000, 100, &key), 0);
    assert_true(undo_part_is_recorded(undo.session, key, 4096, 4096));
    assert_false(undo_part_is_recorded(undo.session, key, 4096, 4097));
    assert_false(undo_part_is_recorded(undo_new_session(), key, 4096, 4096));
    assert_true(undo_part_is_recorded(undo.session, key, UNDO_AT_END, 100));
    assert_int_equal(undo_save_part(&undo, &opened, 5000, 6000, &key), 0);
    assert_int_equal(undo_save_part(&undo, &opened, 50000, 4096, &key), -UNDO_OVER_LIMIT);
    assert_int_equal(undo_save_part(&undo, &opened, 8192, 100, &key), 0);
    assert_int_equal(close(file), 0);
    roll_back();
    has_large("large", content);
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

/* Both streams, in the order in which their records were written. */
static void test_two_streams(void **state)
{
    (void)state;
    struct undo_kept kept = {.there = false};
    struct undo joiner = undo;
    undo.kept = &kept;
    joiner.joined = true;
    joiner.session = undo_new_session();
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
    put("a", "by the owner");
    assert_int_equal(undo_save_content(&joiner, in_table("a"), false), 0);
    assert_int_equal(undo_save_content(&joiner, in_table("b"), false), 0);
    put("a", "by the other");
    put("b", "by the other");
    undo.session = undo_new_session();
    assert_int_equal(undo_save_content(&undo, in_table("b"), false), 0);
    assert_int_equal(undo_save_name(&undo, in_table("a"), UNDO_REMOVES), 0);
    put("b", "again");
    assert_int_equal(unlink(in_table("a")), 0);
    undo_kept_forget(&kept);
    undo.kept = NULL;
    roll_back();
    has("a", "first");
    has("b", "second");
}

static void test_kept_is_seen_to_be_gone(void **state)
{
    (void)state;
    struct undo_kept kept = {.there = false};
    undo.kept = &kept;
    for (int i = 0; i < 3; i++) {
        undo.session = undo_new_session();
        assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
        put("a", "changed");
        assert_true(undo_kept_commit(&kept, false));
        assert_true(undo_kept_is_settled(&kept, lock_path, true));
        assert_int_equal(i == 0   ? undo_roll_back(lock_path, table)
                         : i == 1 ? undo_discard(lock_path)
                                  : undo_commit(lock_path, table, false),
                         0);
        assert_false(undo_exists(lock_path));
        assert_false(undo_kept_is_settled(&kept, lock_path, false));
        undo_kept_forget(&kept);
    }
    undo.kept = NULL;
    has("a", "changed");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, clean_up)
    const struct CMUnitTest tests[] = {TEST(test_nothing_to_do),
                                       TEST(test_content),
                                       TEST(test_commit_keeps),
                                       TEST(test_ending_counts),
                                       TEST(test_names),
                                       TEST(test_what_is_recorded_is_not_recorded_again),
                                       TEST(test_twice_is_right),
                                       TEST(test_directories),
                                       TEST(test_two_names),
                                       TEST(test_limit),
                                       TEST(test_cut_off_records_have_not_happened),
                                       TEST(test_rubbish_is_refused),
                                       TEST(test_empty_is_nothing),
                                       TEST(test_of_another_lock_is_refused),
                                       TEST(test_links_are_not_followed),
                                       TEST(test_strangers_are_not_believed),
                                       TEST(test_the_owner_is_limited),
                                       TEST(test_parts),
                                       TEST(test_a_part_costs_its_size),
                                       TEST(test_forged_records),
                                       TEST(test_damaged_journals),
                                       TEST(test_content_is_no_record),
                                       TEST(test_two_streams),
                                       TEST(test_kept_is_seen_to_be_gone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
