/*
 * The work of crowd_store.c done by SQLite: write-ahead log, `synchronous` off, no index, each
 * operation one transaction.
 *
 *   crowd-sqlite DATABASE PROCESSES OPERATIONS RECORDS SECONDS      the database is there, and
 * filled
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/crowd.h"
#include "tests/bench/worker.h"

static const char *path;
static sqlite3 *database;
static sqlite3_stmt *begin, *count, *insert, *update, *erase, *commit;
static sqlite3_int64 own_record = -1;

static void must(int result)
{
    if (result == SQLITE_OK)
        return;
    fprintf(stderr, "crowd-sqlite: %s\n", sqlite3_errmsg(database));
    exit(1);
}

static void prepare(int worker)
{
    (void)worker;
    must(sqlite3_open(path, &database));
    sqlite3_busy_timeout(database, 600000);
    must(sqlite3_exec(database, "PRAGMA synchronous = off", NULL, NULL, NULL));
    must(sqlite3_prepare_v2(database, "BEGIN IMMEDIATE", -1, &begin, NULL));
    must(sqlite3_prepare_v2(database, "SELECT count(*) FROM t WHERE n = ?", -1, &count, NULL));
    must(sqlite3_prepare_v2(database, "INSERT INTO t VALUES ('new', ?, NULL)", -1, &insert, NULL));
    must(sqlite3_prepare_v2(database, "UPDATE t SET name = 'new' WHERE rowid = ? + 1", -1, &update,
                            NULL));
    must(sqlite3_prepare_v2(database, "DELETE FROM t WHERE rowid = ?", -1, &erase, NULL));
    must(sqlite3_prepare_v2(database, "COMMIT", -1, &commit, NULL));
}

static bool run(sqlite3_stmt *statement, sqlite3_int64 value)
{
    if (sqlite3_bind_parameter_count(statement) > 0)
        sqlite3_bind_int64(statement, 1, value);
    int result = sqlite3_step(statement);
    sqlite3_reset(statement);
    return result == SQLITE_DONE || result == SQLITE_ROW;
}

static bool change(const struct crowd_turn *turn)
{
    if (own_record >= 0) {
        sqlite3_int64 id = own_record;
        own_record = -1;
        return run(erase, id);
    }
    if (turn->number % 4 == 2)
        return run(update, turn->record);
    bool good = run(insert, -turn->worker);
    own_record = sqlite3_last_insert_rowid(database);
    return good;
}

static bool operate(struct crowd_turn *turn)
{
    bool good = run(begin, 0);
    turn->entered = now();
    return good && run(count, turn->record) && change(turn) && run(commit, 0);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fputs("usage: crowd-sqlite DATABASE PROCESSES OPERATIONS RECORDS SECONDS\n", stderr);
        return 2;
    }
    path = argv[1];
    return crowd_run(&(struct crowd){.processes = number(argv[2]),
                                     .operations = number(argv[3]),
                                     .records = number(argv[4]),
                                     .seconds = strtod(argv[5], NULL),
                                     .prepare = prepare,
                                     .operate = operate});
}
