/* Rows: streams, directories, and calls that only ask. */
#include "tests/surface/surface.h"

#include "shim/interpose/prototypes.h"

#include <errno.h>
#include <string.h>

#define STREAMS(name)                                                                              \
    ROW(name, read, READ, stream(area, name(in(area, "file"), "r")))                               \
    ROW(name, write, CHANGE, stream(area, name(in(area, "file"), "w")))                            \
    ROW(name, append, CHANGE, stream(area, name(in(area, "file"), "ae")))                          \
    ROW(name, update, CHANGE, stream(area, name(in(area, "file"), "r+")))                          \
    ROW(name, create, CHANGE, stream(area, name(in(area, "new"), "w+")))                           \
    ROW(name, exclusive, CHANGE, stream(area, name(in(area, "file"), "wx")))                       \
    ROW(name, missing, READ, stream(area, name(in(area, "missing"), "r")))                         \
    ROW(name, link, READ, stream(area, name(in(area, "link"), "r")))                               \
    ROW(name, into, READ, stream(area, name(out(area, "into"), "r")))                              \
    ROW(name, into_write, CHANGE, stream(area, name(out(area, "into"), "w")))                      \
    ROW(name, outside, NONE, stream(area, name(out(area, "plain"), "r+")))                         \
    ROW(name, bad_name, NONE, stream(area, name(BAD, "r")))
STREAMS(fopen)
STREAMS(fopen64)
STREAMS(_IO_fopen)
ROW(fopen, bad_mode, CHANGE, stream(area, fopen(in(area, "file"), "q")))

/* A stream on nothing, with text in its buffer, to be opened anew. */
static FILE *some(struct area *area, bool in_table)
{
    int copy = in_table ? dup(area->descriptor) : open("/dev/null", O_RDWR);
    FILE *opened = fdopen(copy, "r+");
    int error = errno;
    if (opened != NULL)
        (void)fputs("buffered", opened);
    else
        (void)close(copy);
    errno = opened != NULL ? 77 : error;
    return opened;
}
static FILE *reopen(FILE *(*call)(const char *, const char *, FILE *), const char *path,
                    const char *mode, FILE *opened)
{
    return opened == NULL ? NULL : call(path, mode, opened);
}
static long reopen_away(FILE *(*call)(const char *, const char *, FILE *), FILE *opened)
{
    FILE *away = reopen(call, "/dev/null", "w", opened);
    return away == NULL ? -1 : fclose(away);
}
#define REOPENS(name)                                                                              \
    ROW(name, read, READ, stream(area, reopen(name, in(area, "other"), "r", some(area, false))))   \
    ROW(name, write, CHANGE,                                                                       \
        stream(area, reopen(name, in(area, "other"), "w", some(area, false))))                     \
    ROW(name, missing, READ,                                                                       \
        stream(area, reopen(name, in(area, "missing"), "r", some(area, false))))                   \
    ROW(name, from_table, CHANGE,                                                                  \
        stream(area, reopen(name, in(area, "other"), "w", some(area, true))))                      \
    ROW(name, out_of_table, CHANGE, reopen_away(name, some(area, true)))                           \
    ROW(name, other_mode, CHANGE, stream(area, reopen(name, NULL, "a", some(area, true))))         \
    ROW(name, outside, NONE, stream(area, reopen(name, out(area, "plain"), "w", some(area, false))))
REOPENS(freopen)
REOPENS(freopen64)

static long hold_stream(struct area *area, FILE *(*call)(int, const char *), int fd)
{
    int copy = dup(fd);
    FILE *opened = call(copy, "r");
    if (opened == NULL) {
        if (copy >= 0)
            (void)close(copy);
        return -1;
    }
    (void)area;
    return fclose(opened);
}
#define DESCRIPTOR_STREAMS(name)                                                                   \
    ROW(name, table, READ, hold_stream(area, name, area->reader))                                  \
    ROW(name, outside, NONE, hold_stream(area, name, area->data))                                  \
    ROW(name, closed, NONE, hold_stream(area, name, 99))
DESCRIPTOR_STREAMS(fdopen)
DESCRIPTOR_STREAMS(_IO_fdopen)

/* What is in the buffer is written by the close, or not at all. */
static long close_written(struct area *area, int (*call)(FILE *), bool in_table)
{
    FILE *opened = some(area, in_table);
    return opened == NULL ? -1 : call(opened);
}
#define CLOSES(name)                                                                               \
    ROW(name, written, CHANGE, close_written(area, name, true))                                    \
    ROW(name, outside, NONE, close_written(area, name, false))
CLOSES(fclose)
CLOSES(_IO_fclose)
/* The table's own descriptor is out of the way: nothing is flushed to it. */
static long close_all(struct area *area)
{
    (void)close(area->descriptor);
    FILE *opened = some(area, false);
    (void)opened;
    return fcloseall();
}
ROW(fcloseall, outside, NONE, in_child(area, close_all))
static long close_all_written(struct area *area)
{
    return some(area, true) == NULL ? -1 : fcloseall();
}
ROW(fcloseall, written, CHANGE, in_child(area, close_all_written))
ROW(tmpfile, elsewhere, NONE, stream(area, tmpfile()))
ROW(tmpfile64, elsewhere, NONE, stream(area, tmpfile64()))

/* --- directories --- */

ROW(opendir, table, READ, directory(area, opendir(in(area, "sub"))))
ROW(opendir, file, READ, directory(area, opendir(in(area, "file"))))
ROW(opendir, missing, READ, directory(area, opendir(in(area, "missing"))))
ROW(opendir, outside, NONE, directory(area, opendir(area->outside)))
static long open_descriptor(struct area *area, int fd)
{
    int copy = dup(fd);
    DIR *opened = fdopendir(copy);
    if (opened == NULL) {
        int error = errno;
        if (copy >= 0)
            (void)close(copy);
        errno = error;
        return -1;
    }
    (void)area;
    return closedir(opened);
}
ROW(fdopendir, table, NONE, open_descriptor(area, area->at))
ROW(fdopendir, file, NONE, open_descriptor(area, area->descriptor))
ROW(fdopendir, closed, NONE, open_descriptor(area, 99))
ROW(closedir, table, NONE, open_descriptor(area, area->at))
/* Without a prototype's nonnull: libc answers EINVAL. */
static DIR *volatile nothing;
ROW(closedir, nothing, NONE, closedir(nothing))

#define SCANS(name, entry, CALL)                                                                   \
    static long scan_##name(struct area *area, const char *path)                                   \
    {                                                                                              \
        struct entry **list = NULL;                                                                \
        (void)area;                                                                                \
        int count = CALL;                                                                          \
        for (int i = 0; i < count; i++)                                                            \
            free(list[i]);                                                                         \
        free(list);                                                                                \
        return count;                                                                              \
    }                                                                                              \
    ROW(name, table, READ, scan_##name(area, area->directory))                                     \
    ROW(name, missing, READ, scan_##name(area, in(area, "missing")))                               \
    ROW(name, outside, NONE, scan_##name(area, area->outside))
SCANS(scandir, dirent, scandir(path, &list, NULL, alphasort))
SCANS(scandir64, dirent64, scandir64(path, &list, NULL, alphasort64))
SCANS(scandirat, dirent, scandirat(AT_FDCWD, path, &list, NULL, NULL))
SCANS(scandirat64, dirent64, scandirat64(AT_FDCWD, path, &list, NULL, NULL))
static long scan_at(struct area *area)
{
    struct dirent **list = NULL;
    int count = scandirat(area->at, "sub", &list, NULL, NULL);
    for (int i = 0; i < count; i++)
        free(list[i]);
    free(list);
    return count;
}
ROW(scandirat, at, READ, scan_at(area))

static int seen;
static int each(const char *path, const struct stat *status, int type)
{
    (void)path, (void)status, (void)type;
    seen++;
    return 0;
}
static int each64(const char *path, const struct stat64 *status, int type)
{
    (void)path, (void)status, (void)type;
    seen++;
    return 0;
}
static int each_new(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)where;
    return each(path, status, type);
}
static int each_new64(const char *path, const struct stat64 *status, int type, struct FTW *where)
{
    (void)where;
    return each64(path, status, type);
}
#define WALKS(name, CALL)                                                                          \
    static long walk_##name(const char *path)                                                      \
    {                                                                                              \
        seen = 0;                                                                                  \
        long result = CALL;                                                                        \
        return result != 0 ? result : seen;                                                        \
    }                                                                                              \
    ROW(name, table, READ, walk_##name(area->directory))                                           \
    ROW(name, missing, READ, walk_##name(in(area, "missing")))                                     \
    ROW(name, outside, NONE, walk_##name(area->outside))
WALKS(ftw, ftw(path, each, 4))
WALKS(ftw64, ftw64(path, each64, 4))
WALKS(nftw, nftw(path, each_new, 4, FTW_PHYS))
WALKS(nftw64, nftw64(path, each_new64, 4, FTW_PHYS | FTW_DEPTH))

static long walk_fts(const char *first, const char *second)
{
    char *paths[3] = {(char *)(uintptr_t)first, (char *)(uintptr_t)second, NULL};
    FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (tree == NULL)
        return -1;
    long count = 0;
    while (fts_read(tree) != NULL)
        count++;
    int result = fts_close(tree);
    errno = 77;
    return result != 0 ? -1 : count;
}
ROW(fts_open, table, READ, walk_fts(area->directory, NULL))
ROW(fts_open, second, READ, walk_fts(area->outside, area->directory))
ROW(fts_open, outside, NONE, walk_fts(area->outside, NULL))
static long walk_fts64(const char *first, const char *second)
{
    char *paths[3] = {(char *)(uintptr_t)first, (char *)(uintptr_t)second, NULL};
    void *tree = fts64_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (tree == NULL)
        return -1;
    int result = fts64_close(tree);
    errno = 77;
    return result;
}
ROW(fts64_open, table, READ, walk_fts64(area->directory, NULL))
ROW(fts64_open, second, READ, walk_fts64(area->outside, area->directory))
ROW(fts64_open, outside, NONE, walk_fts64(area->outside, NULL))

#define GLOBS(name, type, done)                                                                    \
    static long find_##name(const char *pattern)                                                   \
    {                                                                                              \
        type found = {0};                                                                          \
        int result = name(pattern, GLOB_ERR, NULL, &found);                                        \
        long count = result != 0 ? -1 : (long)found.gl_pathc;                                      \
        done(&found);                                                                              \
        if (result == GLOB_NOMATCH)                                                                \
            return -2;                                                                             \
        return count;                                                                              \
    }                                                                                              \
    ROW(name, table, READ, find_##name(in(area, "*")))                                             \
    ROW(name, below, READ, find_##name(in(area, "sub/inn?r")))                                     \
    ROW(name, none, READ, find_##name(in(area, "x*")))                                             \
    ROW(name, outside, NONE, find_##name(out(area, "*")))
GLOBS(glob, glob_t, globfree)
GLOBS(glob64, glob64_t, globfree64)
