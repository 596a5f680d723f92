/*
 * Every interposed symbol, called through its libc prototype: a row says what is called and what
 * the call does to a table. What must come of it under each scope is judged in surface.c.
 */
#ifndef LOCKSHIM_TESTS_SURFACE_H
#define LOCKSHIM_TESTS_SURFACE_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/*
 * What the call does to a table; NONE also for calls that fail before anything could be touched.
 * EITHER is for reading what a link in the table leads out to: it may be a touch, and need not.
 */
enum kind { NONE, EITHER, ASK, READ, CHANGE };

/* Where a row does its work: a directory of its own, made anew without the shim's knowledge. */
struct area {
    char directory[256];
    char outside[256]; /* never in a table */
    int at;            /* on the directory */
    int descriptor;    /* reading and writing, on "file" */
    int reader;        /* reading, on "other" */
    int data;          /* in no table, 8 bytes to be copied */
    int pipe[2];       /* with 8 bytes in it */
    bool probed, held; /* was the lock held while something was open? */
};

struct row {
    const char *symbol, *variant;
    enum kind kind;
    long (*call)(struct area *area);
};

/* One row: the expression is the result, -1 with errno for a failure. */
#define ROW(name, what, does, expression)                                                          \
    static long row_##name##_##what(struct area *area)                                             \
    {                                                                                              \
        (void)area;                                                                                \
        return (long)(expression);                                                                 \
    }                                                                                              \
    static const struct row entry_##name##_##what = {#name, #what, does, row_##name##_##what};     \
    static const struct row *const pointer_##name##_##what                                         \
        __attribute__((section("rows"), used)) = &entry_##name##_##what;

/* A path in the area's directory, in the directory beside it. Sixteen are good at a time. */
const char *in(const struct area *area, const char *name);
const char *out(const struct area *area, const char *name);

/* What was opened: is the lock held now? Then it is closed. The number, or -1. */
long descriptor(struct area *area, int opened);
long stream(struct area *area, FILE *opened);
long directory(struct area *area, DIR *opened);
long mapping(struct area *area, void *mapped, size_t size);
long yes(const void *pointer); /* 0 for a pointer, -1 for none */
long error_number(int error);  /* for functions that return an errno and leave errno alone */
void note_probe(struct area *area);

/* Runs in a forked child, whose errno (or 0) is the result. */
long in_child(struct area *area, long (*call)(struct area *area));
long status_of(pid_t child);

/* An address that can't be read. */
#define BAD ((const char *)(intptr_t)-4096)

/* fixture.c: made and looked at by system calls of its own, past the shim. */
void fixture_make(struct area *area, const char *base, const char *beside, const char *name);
void fixture_close(struct area *area);
uint64_t fixture_digest(const struct area *area);
bool fixture_lock_is_held(const char *lock);

#endif
