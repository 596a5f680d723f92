/*
 * Many processes at one table: starts them, lets them go at once, and tells how long their
 * operations and waits took. What an operation is, the program that includes this says.
 */
#pragma once

#include <stdbool.h>

struct crowd_turn {
    int worker, number; /* which of the processes, and its how manieth operation, from 0 */
    int record;         /* one of the table's, at random but the same in every run */
    long long began;    /* set by the crowd: now() */
    long long
        entered; /* to be set by the operation once it has the table to itself, if it can tell */
};

struct crowd {
    int processes, operations, records;
    double seconds; /* at most; what is still under way then is ended, and counted as a wait */
    /* In the process of each worker, before any of them begins; may be NULL. */
    void (*prepare)(int worker);
    /* One operation; false when it failed. */
    bool (*operate)(struct crowd_turn *turn);
};

/*
 * Prints one line of pairs, times in nanoseconds: `operation`, wall time by the number of
 * operations done; `processor`, likewise; `wait50`, `wait99`, `waitmax`, of the time from the
 * beginning of an operation until it had entered, or ended; `fairness`, the longest wait over their
 * mean; `done`, `asked`, `failed`: how many. Returns the exit status.
 */
int crowd_run(const struct crowd *crowd);
