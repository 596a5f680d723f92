/*
 * Libraries that only some commands need: loaded when they use them, so that the others start
 * without.
 */
#ifndef LOCKCTL_LIBRARY_H
#define LOCKCTL_LIBRARY_H

#include <stddef.h>

/* One function or variable, and where in the caller's table the pointer to it goes. */
struct library_symbol {
    const char *name;
    size_t offset;
};

/*
 * Loads the library by its file's name and fills in the table. Where that can't be done this is the
 * end of the program, after a complaint that says what it was wanted for.
 */
void library_load(const char *library, const char *purpose, const struct library_symbol *symbols,
                  size_t count, void *table);

#endif
