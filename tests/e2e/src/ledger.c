/*
 * ledger: a store without any locking of its own, to be wrecked or guarded.
 *   ledger FILE KEY…   adds a line for each key: reads FILE whole, writes a new file, renames it
 * over Exit 0: done; 1: a call failed; 3: what was read is no ledger. Unguarded, two at once lose
 * lines; killed at any moment, it leaves the old or the new file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int fail(const char *what)
{
    fprintf(stderr, "ledger: %s: %s\n", what, strerror(errno));
    return 1;
}

static ssize_t read_all(int descriptor, char *text, size_t size)
{
    size_t length = 0;
    ssize_t got;
    while (length < size && (got = read(descriptor, text + length, size - length)) > 0)
        length += (size_t)got;
    return (ssize_t)length;
}

/* One session: the file stays open from the reading to the renaming. */
static int add(const char *path, const char *key)
{
    static char text[1 << 20];
    char temporary[4200];
    int old = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0666);
    if (old < 0)
        return fail(path);
    size_t length = (size_t)read_all(old, text, sizeof text - 256);
    if (length > 0 && (text[length - 1] != '\n' || memchr(text, '\0', length) != NULL))
        return 3;
    struct timespec moment = {0, 200000};
    nanosleep(&moment, NULL);
    length += (size_t)snprintf(text + length, 256, "%s\n", key);
    snprintf(temporary, sizeof temporary, "%s.%d", path, (int)getpid());
    int new = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (new < 0 || write(new, text, length) != (ssize_t)length || close(new) != 0 ||
        rename(temporary, path) != 0)
        return fail(temporary);
    close(old);
    return 0;
}

int main(int count, char **words)
{
    int result = 0;
    for (int i = 2; i < count && result == 0; i++)
        result = add(words[1], words[i]);
    return result;
}
