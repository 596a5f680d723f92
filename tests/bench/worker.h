/*
 * What the programs of the benchmark share: an operation is repeated as often as the driver says,
 * and timed from inside. Knows nothing of the shim; the driver starts the programs with and without
 * it.
 */
#pragma once

struct operation {
    const char *name;
    void (*run)(void);
};

/*
 * Runs the operation of that name. With `count` (text, or NULL) once through, and prints the
 * nanoseconds of wall time that one took. Without: each line of standard input is a count, answered
 * by a line of what one of so many took: `time` and `processor` (of children too), in nanoseconds.
 * `operations` ends with an empty entry. Returns the exit status.
 */
int serve(const struct operation *operations, const char *name, const char *count);

/* Calls `measure` with each count that standard input has; it prints its line of pairs by itself.
 */
int serve_counts(void (*measure)(int count));

/* The number in a text, 1 to a thousand million; a wrong one ends the program. */
int number(const char *text);

/* Nanoseconds of the monotonic clock. */
long long now(void);

/* Prints why (by errno) and ends the program. */
__attribute__((noreturn)) void die(const char *what);
