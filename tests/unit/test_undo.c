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
    assert_int_equal(undo_commit(lock_path, false), 0);
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
        assert_int_equal(undo_commit(lock_path, undo.durable), 0);
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
    (void)snprintf(records, sizeof records, "%s/journal", journal_path);
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
    assert_int_equal(stat(records, &before), 0);
    put("a", "changed");
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
    assert_int_equal(undo_save_name(&undo, in_table("a"), UNDO_REMOVES), 0);
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
    (void)snprintf(records, sizeof records, "%s/journal", journal_path);
    assert_int_equal(undo_save_content(&undo, in_table("a"), false), 0);
    put("a", "changed");
    assert_int_equal(stat(records, &whole), 0);
    /* Bytes behind the head's length, of one who died while writing them. */
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
    char records[128];
    (void)snprintf(records, sizeof records, "%s/journal", journal_path);
    assert_int_equal(chown(records, 12345, 12345), 0);
    assert_int_equal(chown(journal_path, 12345, 12345), 0);
    assert_int_equal(undo_roll_back(lock_path, table), -EPERM);
    has("rootdir/kept", "root's own");

    /* And nothing outside of the table. */
    assert_int_equal(undo_discard(lock_path), 0);
    undo.session = undo_new_session();
    char outside[96];
    (void)snprintf(outside, sizeof outside, "%s/outside", directory);
    assert_int_equal(undo_save_name(&undo, outside, UNDO_MAKES), 0);
    assert_int_equal(chown(records, 12345, 12345), 0);
    assert_int_equal(chown(journal_path, 12345, 12345), 0);
    int file = open(outside, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(close(file), 0);
    assert_int_equal(undo_roll_back(lock_path, table), -EPERM);
    assert_int_equal(access(outside, F_OK), 0);
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
                                       TEST(test_the_owner_is_limited)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
