/*
 * Rewrites a file of its own by streams, again and again, and prints how often that was refused
 * (ESTALE).
 *
 *   own_stream FILE TIMES
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *path;
static int refused;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* NULL: refused, which is counted. */
static FILE *allowed(FILE *stream, const char *what)
{
    if (stream == NULL && errno != ESTALE)
        fail(what);
    refused += stream == NULL;
    return stream;
}

static void done(FILE *stream, const char *what)
{
    if (stream != NULL && fclose(stream) != 0)
        fail(what);
}

/* Read once, then written again and again, unread. */
static void save(int number)
{
    FILE *stream = allowed(fopen(path, "w"), "fopen w");
    if (stream != NULL)
        (void)fprintf(stream, "saved %d\n", number);
    done(stream, "fclose w");
}

static void change(int number)
{
    char start[5];
    FILE *stream = allowed(fopen(path, "r+"), "fopen r+");
    if (stream == NULL)
        return;
    if (fread(start, 1, sizeof start, stream) == 0)
        fail("fread");
    rewind(stream);
    (void)fprintf(stream, "changed %d\n", number);
    done(stream, "fclose r+");
}

static void change_descriptor(int number)
{
    int descriptor = open(path, O_RDWR | O_CREAT, 0666);
    FILE *stream = descriptor < 0 ? NULL : allowed(fdopen(descriptor, "r+"), "fdopen");
    if (stream == NULL)
        fail(path);
    (void)fprintf(stream, "by a descriptor %d\n", number);
    done(stream, "fclose of a descriptor");
}

static void reopen(int number)
{
    FILE *stream = allowed(fopen(path, "r+"), "fopen r+");
    if (stream != NULL)
        (void)fprintf(stream, "before %d\n", number);
    stream = stream == NULL ? NULL : allowed(freopen(path, "w", stream), "freopen");
    if (stream != NULL)
        (void)fprintf(stream, "and after %d\n", number);
    done(stream, "fclose, reopened");
}

int main(int argc, char **argv)
{
    static void (*const ways[])(int) = {save, change, save, change_descriptor,
                                        save, reopen, save, save};
    enum { WAYS = sizeof ways / sizeof ways[0] };
    if (argc != 3)
        return 2;
    path = argv[1];
    int times = atoi(argv[2]);
    for (int i = 0; i < times * WAYS; i++)
        ways[i % WAYS](i);
    printf("%d\n", refused);
    return 0;
}
