/*
 * The objects (program, libraries) that are loaded into this process, and their dynamic symbols,
 * read where the loader has them in memory. No allocation, no lock but the loader's own.
 */
#ifndef LOCKSHIM_OBJECTS_H
#define LOCKSHIM_OBJECTS_H

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>

struct object {
    ElfW(Addr) base;
    const ElfW(Dyn) * dynamic;
    const ElfW(Sym) * symbols;
    const ElfW(Half) * versions;
    const char *names;
    const uint32_t *gnu_hash;
    const uint32_t *hash;
};

/* Calls `each` for every object in the order of the search for symbols, until it returns false. */
void objects_each(bool (*each)(const struct object *object, void *context), void *context);

/* Does the object import a symbol that `wanted` says yes to? */
bool object_imports(const struct object *object, bool (*wanted)(const char *name));

/* The address of a function that the object defines (its default version), or NULL. */
void *object_function(const struct object *object, const char *name);

#endif
