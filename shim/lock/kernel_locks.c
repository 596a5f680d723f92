/*
 * Parsing /proc/locks, a line at a time, in a buffer on the stack. A line that does not look as it
 * should is passed over.
 */
#include "shim/lock/kernel_locks.h"

#include "shim/lock/kernel.h"

#include <stdlib.h>
#include <string.h>

/* "1: -> FLOCK  ADVISORY  WRITE 4711 fd:01:42 0 EOF" */
static bool parse_line(char *line, struct kernel_lock *lock)
{
    enum { WORDS = 9 };
    char *save = NULL;
    char *words[WORDS] = {NULL};
    int count = 0;
    for (char *word = strtok_r(line, " ", &save); word != NULL && count < WORDS;
         word = strtok_r(NULL, " ", &save))
        words[count++] = word;
    lock->waits = count > 1 && strcmp(words[1], "->") == 0;
    int at = lock->waits ? 2 : 1;
    if (count < at + 5 || strcmp(words[at], "FLOCK") != 0)
        return false;
    lock->process = (pid_t)strtol(words[at + 3], NULL, 10);
    const char *colon = strrchr(words[at + 4], ':');
    if (lock->process < 0 || colon == NULL)
        return false;
    lock->inode = strtoull(colon + 1, NULL, 10);
    return true;
}

void kernel_locks_each(bool (*each)(const struct kernel_lock *lock, void *context), void *context)
{
    int descriptor = kernel_openat(AT_FDCWD, "/proc/locks", O_RDONLY | O_CLOEXEC, 0);
    if (descriptor < 0)
        return;
    char text[4096 + 1];
    size_t length = 0;
    ssize_t got;
    bool more = true;
    while (more && (got = kernel_read(descriptor, text + length, sizeof text - 1 - length)) > 0) {
        length += (size_t)got;
        text[length] = '\0';
        char *line = text;
        for (char *end; more && (end = strchr(line, '\n')) != NULL; line = end + 1) {
            struct kernel_lock lock;
            *end = '\0';
            if (parse_line(line, &lock))
                more = each(&lock, context);
        }
        length = strlen(line);
        memmove(text, line, length);
    }
    (void)kernel_close(descriptor);
}
