/*
 * Which shim another libc's loader would take: where LD_PRELOAD names it with $LIB in the path,
 * glibc puts its library directory there, and musl looks for a directory that is called so. It must
 * say yes only to a file that is there: without one the program would run unguarded.
 */
#include "shim/program/facts.h"

#include "shim/lock/kernel.h"

#include <string.h>

#define SHIM_NAME "/liblockshim.so"
#define PLACE "/$LIB/"
/* Made wherever there is a build for musl, as is lib: one of them every glibc of this word size
 * has. */
#define GLIBC_PLACE "/lib64/"

static const char *find_preload(char *const *environment)
{
    for (; environment != NULL && *environment != NULL; environment++)
        if (strncmp(*environment, "LD_PRELOAD=", 11) == 0)
            return *environment + 11;
    return "";
}

static bool is_there(const char *path)
{
    struct stat status;
    return kernel_fstatat(AT_FDCWD, path, &status, 0) == 0 && S_ISREG(status.st_mode);
}

/* The entry of LD_PRELOAD with `place` for its $LIB: is there such a file? */
static bool serves(const char *entry, size_t length, const char *place)
{
    char path[LOADER_PATH_SIZE];
    const char *at = memmem(entry, length, PLACE, sizeof PLACE - 1);
    if (at == NULL || length < sizeof SHIM_NAME ||
        memcmp(entry + length - (sizeof SHIM_NAME - 1), SHIM_NAME, sizeof SHIM_NAME - 1) != 0)
        return false;
    size_t before = (size_t)(at - entry), after = length - before - (sizeof PLACE - 1);
    if (before + strlen(place) + after >= sizeof path)
        return false;
    memcpy(path, entry, before);
    memcpy(path + before, place, strlen(place));
    memcpy(path + before + strlen(place), at + sizeof PLACE - 1, after);
    path[before + strlen(place) + after] = '\0';
    return is_there(path);
}

bool preload_serves(char *const *environment, const char *loader)
{
    const char *place = loader_is_musl(loader)    ? PLACE
                        : loader_is_glibc(loader) ? GLIBC_PLACE
                                                  : NULL;
    if (place == NULL)
        return false;
    for (const char *entry = find_preload(environment); *entry != '\0';) {
        size_t length = strcspn(entry, " :");
        if (serves(entry, length, place))
            return true;
        entry += length + (entry[length] != '\0');
    }
    return false;
}
