/*
 * Complaints, and memory that is there or ends the program. A complaint is one line whatever names
 * it quotes, and one write, so that lines of several processes do not mix.
 */
#include "lockctl/lockctl.h"

#include <err.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define LIBBSD_OPENBSD_VIS /* or the header warns that there are two strnvis */
#include <vis.h>

#define SHOWN_BUFFERS 8
#define SHOWN_BYTES 256

void complain(const char *format, ...)
{
    char line[8192];
    va_list arguments;
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it was started just above */
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    (void)fprintf(stderr, "lockctl: %s\n", line);
}

const char *shown(const char *text)
{
    static char buffers[SHOWN_BUFFERS][4 * SHOWN_BYTES + 4];
    static unsigned next;
    char *buffer = buffers[next++ % SHOWN_BUFFERS];
    size_t length = strlen(text);
    int written = strvisx(buffer, text, length < SHOWN_BYTES ? length : SHOWN_BYTES,
                          VIS_CSTYLE | VIS_TAB | VIS_NL | VIS_NOSLASH);
    if (length >= SHOWN_BYTES)
        memcpy(buffer + written, "...", 4);
    return buffer;
}

int status_of_error(int error)
{
    switch (error) {
    case EACCES:
    case EPERM:
        return STATUS_PERMISSION;
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case ENXIO:
    case EINVAL:
        return STATUS_SETTINGS;
    default:
        return STATUS_FAILED;
    }
}

/* Doubles at the powers of two. */
void *grow(void *array, size_t count, size_t size)
{
    if ((count & (count - 1)) != 0)
        return array;
    void *larger = reallocarray(array, count == 0 ? 1 : 2 * count, size);
    if (larger == NULL)
        err(STATUS_FAILED, NULL);
    return larger;
}

/* Texts live as long as the program; the chain lets leak checkers see them. */
struct kept {
    struct kept *next;
    char text[];
};

char *copy_text(const char *text)
{
    static struct kept *all;
    size_t size = strlen(text) + 1;
    struct kept *kept = malloc(sizeof *kept + size);
    if (kept == NULL)
        err(STATUS_FAILED, NULL);
    memcpy(kept->text, text, size);
    kept->next = all;
    all = kept;
    return kept->text;
}
