/*
 * One insert of a hundred bytes in a transaction of its own, by SQLite with `synchronous` off: a
 * store that locks by itself, for scale.
 *
 *   sqlite JOURNAL-MODE DATABASE [COUNT]     the mode: delete, wal
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/worker.h"

static sqlite3 *database;
static sqlite3_stmt *insertion;

static void check(int result, int wanted)
{
    if (result == wanted)
        return;
    fprintf(stderr, "sqlite: %s\n", sqlite3_errmsg(database));
    exit(1);
}

static void insert(void)
{
    check(sqlite3_step(insertion), SQLITE_DONE);
    sqlite3_reset(insertion);
}

static const struct operation operations[] = {
    {"delete", insert},
    {"wal", insert},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4) {
        fputs("usage: sqlite JOURNAL-MODE DATABASE [COUNT]\n", stderr);
        return 2;
    }
    check(sqlite3_open(argv[2], &database), SQLITE_OK);
    char settings[100];
    snprintf(settings, sizeof settings, "PRAGMA journal_mode = %s; PRAGMA synchronous = off",
             argv[1]);
    check(sqlite3_exec(database, settings, NULL, NULL, NULL), SQLITE_OK);
    check(sqlite3_exec(database, "CREATE TABLE IF NOT EXISTS t (data BLOB)", NULL, NULL, NULL),
          SQLITE_OK);
    check(
        sqlite3_prepare_v2(database, "INSERT INTO t VALUES (zeroblob(100))", -1, &insertion, NULL),
        SQLITE_OK);
    return serve(operations, argv[1], argv[3]);
}
