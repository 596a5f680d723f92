/* Loads libraries. It never unloads one: what they have handed out may still be in use. */
#include "lockctl/library.h"

#include "lockctl/lockctl.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

void library_load(const char *library, const char *purpose, const struct library_symbol *symbols,
                  size_t count, void *table)
{
    void *loaded = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (loaded == NULL) {
        complain("%s: %s", purpose, dlerror());
        exit(STATUS_FAILED);
    }
    for (size_t i = 0; i < count; i++) {
        void *address = dlsym(loaded, symbols[i].name);
        if (address == NULL) {
            complain("%s: %s has no %s", purpose, library, symbols[i].name);
            exit(STATUS_FAILED);
        }
        memcpy((char *)table + symbols[i].offset, &address, sizeof address);
    }
}
