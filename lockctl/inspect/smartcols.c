/*
 * Loads libsmartcols, by the name that its packages know it by: the first release of its interface,
 * which later ones keep.
 */
#include "lockctl/inspect/smartcols.h"

#include "lockctl/lockctl.h"

#include <dlfcn.h>
#include <stdlib.h>

#define LIBRARY "libsmartcols.so.1"

/* dlsym() tells of functions as of data. */
union address {
    void *data;
    void (*function)(void);
};

static void find(void *library, const char *name, void (**function)(void))
{
    union address address = {.data = dlsym(library, name)};
    if (address.data == NULL) {
        complain(LIBRARY ", which draws tables, has no %s", name);
        exit(STATUS_FAILED);
    }
    *function = address.function;
}

static void load(struct smartcols *loaded)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        complain("tables are drawn by libsmartcols: %s", dlerror());
        exit(STATUS_FAILED);
    }
    void (*function)(void);
#define SMARTCOLS_FIND(name)                                                                       \
    find(library, "scols_" #name, &function);                                                      \
    loaded->name = (__typeof__(loaded->name))function;
    SMARTCOLS_FUNCTIONS(SMARTCOLS_FIND)
#undef SMARTCOLS_FIND
}

const struct smartcols *smartcols(void)
{
    static struct smartcols loaded;
    if (loaded.new_table == NULL)
        load(&loaded);
    return &loaded;
}
