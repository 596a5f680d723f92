/*
 * Which shim another loader would take, another libc's or that of 32-bit programs: where LD_PRELOAD
 * names it with $LIB in the path, glibc puts its library directory there, and musl looks for a
 * directory that is called so. It must say yes only to a file that is there and that the loader
 * takes: without one the program would run unguarded.
 */
#include "shim/program/facts.h"

#include "shim/lock/kernel.h"

#include <elf.h>
#include <string.h>

#define SHIM_NAME "/liblockshim.so"
#define PLACE "/$LIB/"
/* Made wherever there is a set of builds, as is lib: one of them every 64-bit glibc has. */
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

/* Is it a library for 32-bit x86? Where a 64-bit glibc has its libraries in lib, another may be. */
static bool is_for_i386(const char *path)
{
    unsigned char head[sizeof(Elf32_Ehdr)] = {0};
    int descriptor = kernel_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    if (descriptor < 0)
        return false;
    ssize_t size = kernel_pread(descriptor, head, sizeof head, 0);
    (void)kernel_close(descriptor);
    Elf32_Ehdr header;
    memcpy(&header, head, sizeof header);
    return size == (ssize_t)sizeof head && memcmp(head, ELFMAG, SELFMAG) == 0 &&
           head[EI_CLASS] == ELFCLASS32 && header.e_machine == EM_386;
}

/*
 * What glibc's 32-bit loader puts for $LIB differs from distribution to distribution; it is the
 * directory that the loader itself lies in.
 */
static const char *place_of_i386_loader(const char *loader)
{
    static const char *const places[] = {"/lib32/", "/lib/i386-linux-gnu/", "/lib/"};
    char path[LOADER_PATH_SIZE];
    program_real_path(loader, path, sizeof path);
    const char *from = strncmp(path, "/usr/", 5) == 0 ? path + 4 : path;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        size_t length = strlen(places[i]);
        if (strncmp(from, places[i], length) == 0 && strchr(from + length, '/') == NULL)
            return places[i];
    }
    return NULL;
}

/* The entry of LD_PRELOAD with `place` for its $LIB: is there such a file? */
static bool serves(const char *entry, size_t length, const char *place, bool narrow)
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
    return is_there(path) && (!narrow || is_for_i386(path));
}

bool preload_serves(char *const *environment, const char *loader)
{
    bool narrow = loader_is_glibc_of_i386(loader);
    const char *place = loader_is_musl(loader)           ? PLACE
                        : narrow                         ? place_of_i386_loader(loader)
                        : loader_is_64_bit_glibc(loader) ? GLIBC_PLACE
                                                         : NULL;
    if (place == NULL)
        return false;
    for (const char *entry = find_preload(environment); *entry != '\0';) {
        size_t length = strcspn(entry, " :");
        if (serves(entry, length, place, narrow))
            return true;
        entry += length + (entry[length] != '\0');
    }
    return false;
}
