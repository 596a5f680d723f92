/*
 * Which program would an exec run, and can the shim be loaded into it? Reads the file's first
 * bytes, its ELF headers, mode and capabilities, and follows `#!` lines and `env`. It never runs
 * anything, never allocates, and calls nothing but kernel.h, so that a vfork child may ask.
 */
#ifndef LOCKSHIM_PROGRAM_H
#define LOCKSHIM_PROGRAM_H

#include <stdbool.h>

enum program_reach {
    PROGRAM_REACHABLE,     /* the shim will be loaded into it */
    PROGRAM_MISSING,       /* no such file, or it may not be executed: exec itself will say so */
    PROGRAM_STATIC,        /* no dynamic loader */
    PROGRAM_SETUID,        /* set-user-ID or set-group-ID to other than the caller */
    PROGRAM_CAPABILITIES,  /* file capabilities: the loader ignores preloads */
    PROGRAM_GO,            /* makes its system calls itself, even when linked dynamically */
    PROGRAM_OTHER_LIBC,    /* another libc's loader, for which LD_PRELOAD has no shim */
    PROGRAM_OTHER_MACHINE, /* another architecture or word size */
    PROGRAM_UNREADABLE,    /* executable but not readable: nobody can tell, so it counts as out of
                              reach */
};

struct program_report {
    enum program_reach reach;
    char path[4096]; /* the file the verdict is about: the interpreter for a script */
};

/*
 * Judges the program that execve(path) would run. Follows `#!` interpreters (at most 4 deep, as the
 * kernel does), and where the interpreter or the program itself is env(1), the program that env
 * would run, by `arguments` (argv, may be NULL) and the PATH in `environment`. The LD_PRELOAD there
 * tells whether programs of another libc have a shim of theirs.
 * Thread- and signal-safe; errno is kept. Uses about 12 KiB of stack.
 */
void program_examine(const char *path, char *const *arguments, char *const *environment,
                     struct program_report *report);

/*
 * The same for a name that is searched along `search` (the value of PATH; NULL: the system's
 * default), as execvp does. A name with a slash is taken as a path.
 */
void program_examine_name(const char *name, const char *search, char *const *arguments,
                          char *const *environment, struct program_report *report);

/* One clause for people: "is statically linked", "is set-user-ID", … */
const char *program_reach_text(enum program_reach reach);

#endif
