/*
 * Pitfalls: one case each, run in a guarded process of its own with a fresh table. A case returns
 * when all is well, and says what is not by fail().
 */
#ifndef LOCKSHIM_TESTS_PITFALL_H
#define LOCKSHIM_TESTS_PITFALL_H

#include <stdbool.h>
#include <sys/types.h>

struct pitfall {
    const char *name, *scope;
    const char *timeout; /* "0": a stranger holds the lock and nothing waits; else in seconds */
    void (*run)(void);
};

#define PITFALL(what, under, waits)                                                                \
    static void run_##what(void);                                                                  \
    static const struct pitfall entry_##what = {#what, under, waits, run_##what};                  \
    static const struct pitfall *const pointer_##what __attribute__((section("pitfalls"), used)) = \
        &entry_##what;                                                                             \
    static void run_##what(void)

_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void skip(const char *why);
#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail(__VA_ARGS__);                                                                     \
    } while (0)

extern const char *base; /* base/T is the table, base/O beside it, base/T.lock its lock file */
const char *at(const char *name);
const char *tool(const char *name); /* a file that was built for these tests */

/* Is the lock held by anybody? Asked past the shim. */
bool held(void);
void must_be_held(bool yes, const char *when);

/* A process that takes the lock as a stranger, until stranger_leaves(). */
void stranger_takes(void);
void stranger_leaves(void);

/* The size and bytes of a file, past the shim; -1 when there is none. */
long size_of(const char *path);

/* Opens a table's file (made beforehand, 8 bytes) or fails the case. */
int open_file(int flags);
void close_file(int descriptor);
int status_of(pid_t child);

#endif
