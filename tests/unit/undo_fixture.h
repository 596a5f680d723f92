/*
 * A table with two files, its lock's path and a journal of its own for each test of the undo
 * journal.
 */
#ifndef LOCKSHIM_UNDO_FIXTURE_H
#define LOCKSHIM_UNDO_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/lock/undo.h"
#include "shim/lock/undo_journal.h"
#include "tests/unit/remove_tree.h"

#include <errno.h>
#include <fcntl.h>
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

static int clean_up(void **state)
{
    (void)state;
    return remove_tree(directory);
}

static void roll_back(void)
{
    assert_int_equal(undo_roll_back(lock_path, table), 1);
    assert_false(undo_exists(lock_path));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, clean_up)

#endif
