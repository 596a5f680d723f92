/*
 * A crowd of processes that use tablestore as a library, as long-lived workers of one server would:
 * each operation opens the table, counts by condition, adds, changes or deletes a record, and
 * closes it.
 *
 *   crowd-store LOCK TABLE LOCKFILE PROCESSES OPERATIONS RECORDS SECONDS     LOCK: none, flock,
 * fcntl
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "store/tablestore.h"
#include "tests/bench/crowd.h"
#include "tests/bench/worker.h"

static const char *table_path, *lock_path;
static enum { BY_NONE, BY_FLOCK, BY_FCNTL } way;
static int lock_descriptor;
static int64_t own_record = -1; /* added by this process, to be deleted by its next operation */

static void prepare(int worker)
{
    (void)worker;
    lock_descriptor = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock_descriptor < 0)
        die(lock_path);
}

static void take(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if ((way == BY_FLOCK && flock(lock_descriptor, LOCK_EX) != 0) ||
        (way == BY_FCNTL && fcntl(lock_descriptor, F_SETLKW, &lock) != 0))
        die(lock_path);
}

static void let_go(void)
{
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    if (way == BY_FLOCK)
        flock(lock_descriptor, LOCK_UN);
    else if (way == BY_FCNTL)
        fcntl(lock_descriptor, F_SETLKW, &lock);
}

static struct tablestore_value integer(int value)
{
    return (struct tablestore_value){.type = TABLESTORE_INT, .integer = value};
}

static bool change(tablestore *table, const struct crowd_turn *turn)
{
    const struct tablestore_assignment assignments[] = {
        {"name", {.type = TABLESTORE_STR, .text = {"new", 3}}}, {"n", integer(-turn->worker)}};
    if (own_record >= 0) {
        int64_t id = own_record;
        own_record = -1;
        return tablestore_delete(table, &id, 1, NULL);
    }
    if (turn->number % 4 == 2) /* below the negative numbers that others count */
        return tablestore_update(table, turn->record, TABLESTORE_ANY_VERSION, assignments, 1, NULL);
    return tablestore_insert(table, assignments, 2, &own_record, NULL);
}

static bool operate(struct crowd_turn *turn)
{
    take();
    tablestore *table = tablestore_open(table_path, TABLESTORE_WRITE, NULL);
    turn->entered = now();
    bool good = false;
    if (table != NULL) {
        struct tablestore_value wanted = integer(turn->record);
        tablestore_condition *condition = tablestore_compare_value("n", TABLESTORE_EQUAL, &wanted);
        int64_t found;
        good = tablestore_count(table, condition, &found, NULL) && change(table, turn);
        tablestore_condition_free(condition);
        tablestore_close(table);
    }
    let_go();
    return good;
}

int main(int argc, char **argv)
{
    if (argc != 8) {
        fputs("usage: crowd-store LOCK TABLE LOCKFILE PROCESSES OPERATIONS RECORDS SECONDS\n",
              stderr);
        return 2;
    }
    way = strcmp(argv[1], "flock") == 0   ? BY_FLOCK
          : strcmp(argv[1], "fcntl") == 0 ? BY_FCNTL
                                          : BY_NONE;
    table_path = argv[2];
    lock_path = argv[3];
    return crowd_run(&(struct crowd){.processes = number(argv[4]),
                                     .operations = number(argv[5]),
                                     .records = number(argv[6]),
                                     .seconds = strtod(argv[7], NULL),
                                     .prepare = prepare,
                                     .operate = operate});
}
