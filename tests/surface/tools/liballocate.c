/*
 * An allocator that opens, reads and closes a file in every malloc, as jemalloc does for its
 * settings; and looks the real one up by dlsym.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Alignas(16) char early[65536];
static size_t early_used;
static void *(*real_malloc)(size_t);
static void (*real_free)(void *);
static __thread int inside;

static void *allocate_early(size_t size)
{
    void *memory = early + early_used;
    early_used += (size + 15) & ~(size_t)15;
    return early_used <= sizeof early ? memory : NULL;
}

void *malloc(size_t size)
{
    char text[16];
    if (inside != 0)
        return real_malloc != NULL ? real_malloc(size) : allocate_early(size);
    inside = 1;
    int file = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        (void)!read(file, text, sizeof text);
        (void)close(file);
    }
    if (real_malloc == NULL) {
        *(void **)(void *)&real_free = dlsym(RTLD_NEXT, "free");
        *(void **)(void *)&real_malloc = dlsym(RTLD_NEXT, "malloc");
    }
    void *memory = real_malloc(size);
    inside = 0;
    return memory;
}

void *calloc(size_t count, size_t size)
{
    void *memory = malloc(count * size);
    return memory != NULL ? memset(memory, 0, count * size) : NULL;
}

void free(void *memory)
{
    if (memory == NULL || ((char *)memory >= early && (char *)memory < early + sizeof early))
        return;
    real_free(memory);
}
