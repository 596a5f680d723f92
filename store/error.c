/* error.c: errors as values, with a message that names file and offset and is safe to print.
 * It must never print, exit, or keep anything between two calls. */
#include "store/error.h"

#include <bsd/string.h>
#define LIBBSD_NETBSD_VIS /* of the two strnvis, neither is used */
#include <bsd/vis.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *visible_bytes(const void *bytes, size_t length, char buffer[VISIBLE_SIZE])
{
    /* A byte becomes at most four. */
    size_t shown = length < (VISIBLE_SIZE - 4) / 4 ? length : (VISIBLE_SIZE - 4) / 4;
    int used = strvisx(buffer, bytes, shown, VIS_WHITE ^ VIS_SP);
    if (shown < length)
        strlcpy(buffer + used, "...", VISIBLE_SIZE - (size_t)used);
    return buffer;
}

const char *visible(const char *text, char buffer[VISIBLE_SIZE])
{
    return visible_bytes(text, strlen(text), buffer);
}

static void describe(struct tablestore_error *error, const char *file, const char *text)
{
    char name[VISIBLE_SIZE];
    error->file[0] = '\0';
    error->reason_at = 0;
    if (file == NULL || *file == '\0') {
        strlcpy(error->message, text, sizeof error->message);
        return;
    }
    strlcpy(error->file, file, sizeof error->file);
    if (error->offset < 0)
        error->reason_at =
            snprintf(error->message, sizeof error->message, "%s: ", visible(file, name));
    else
        error->reason_at =
            snprintf(error->message, sizeof error->message, "%s: byte %lld: ", visible(file, name),
                     (long long)error->offset);
    strlcat(error->message, text, sizeof error->message);
}

void record_failure(struct tablestore_error *error, enum tablestore_status status, const char *file,
                    int64_t offset, const char *format, ...)
{
    if (error == NULL)
        return;
    char text[768];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    error->status = status;
    error->system_error = 0;
    error->offset = offset;
    describe(error, file, text);
}

void record_system_failure(struct tablestore_error *error, const char *file, const char *what)
{
    int system_error = errno;
    if (error == NULL)
        return;
    char reason[128];
    record_failure(error, TABLESTORE_SYSTEM, file, -1, "%s: %s", what,
                   strerror_r(system_error, reason, sizeof reason));
    error->system_error = system_error;
    errno = system_error;
}

void record_memory_failure(struct tablestore_error *error)
{
    errno = ENOMEM;
    record_system_failure(error, NULL, "no memory");
}
