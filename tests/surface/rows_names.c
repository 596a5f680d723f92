/* Rows: calls that make, rename and remove names, and that change sizes. */
#include "tests/surface/surface.h"

#include "shim/interpose/prototypes.h"

#include <errno.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#define RENAME_NOREPLACE 1
#endif

/* CALL(from place, from, to place, to) */
#define RENAMES(name, CALL)                                                                        \
    ROW(name, within, CHANGE, CALL(in, "file", in, "new"))                                         \
    ROW(name, over, CHANGE, CALL(in, "file", in, "other"))                                         \
    ROW(name, away, CHANGE, CALL(in, "file", out, "new"))                                          \
    ROW(name, arrive, CHANGE, CALL(out, "plain", in, "new"))                                       \
    ROW(name, arrive_over, CHANGE, CALL(out, "plain", in, "file"))                                 \
    ROW(name, directory, CHANGE, CALL(in, "sub", in, "renamed"))                                   \
    ROW(name, into_itself, CHANGE, CALL(in, "sub", in, "sub/inside"))                              \
    ROW(name, link, CHANGE, CALL(in, "link", in, "renamed"))                                       \
    ROW(name, missing, CHANGE, CALL(in, "missing", in, "new"))                                     \
    ROW(name, outside, NONE, CALL(out, "plain", out, "new"))                                       \
    ROW(name, bad_source, NONE, CALL(bad, BAD, bad, BAD))                                          \
    ROW(name, no_name, NONE, CALL(in, "file", bad, NULL))

static const char *bad(const struct area *area, const char *name)
{
    (void)area;
    return name;
}

#define CALL_rename(place, from, other, to) rename(place(area, from), other(area, to))
RENAMES(rename, CALL_rename)
#define CALL_renameat(place, from, other, to)                                                      \
    renameat(AT_FDCWD, place(area, from), AT_FDCWD, other(area, to))
RENAMES(renameat, CALL_renameat)
ROW(renameat, at, CHANGE, renameat(area->at, "file", area->at, "other"))
ROW(renameat, at_bad, NONE, renameat(99, "file", 99, "other"))
#define CALL_renameat2(place, from, other, to)                                                     \
    renameat2(AT_FDCWD, place(area, from), AT_FDCWD, other(area, to), 0)
RENAMES(renameat2, CALL_renameat2)
ROW(renameat2, keep, CHANGE, renameat2(area->at, "file", area->at, "other", RENAME_NOREPLACE))
ROW(renameat2, exchange, CHANGE, renameat2(area->at, "file", area->at, "sub", RENAME_EXCHANGE))
ROW(renameat2, exchange_out, CHANGE,
    renameat2(AT_FDCWD, out(area, "plain"), area->at, "file", RENAME_EXCHANGE))
ROW(renameat2, exchange_in, CHANGE,
    renameat2(area->at, "file", AT_FDCWD, out(area, "plain"), RENAME_EXCHANGE))
ROW(renameat2, invalid, CHANGE, renameat2(area->at, "file", area->at, "other", 0x4000))

#define LINKS(name, CALL)                                                                          \
    ROW(name, within, CHANGE, CALL(in, "file", in, "new"))                                         \
    ROW(name, arrive, CHANGE, CALL(out, "plain", in, "new"))                                       \
    ROW(name, away, READ, CALL(in, "file", out, "new"))                                            \
    ROW(name, exists, CHANGE, CALL(in, "file", in, "other"))                                       \
    ROW(name, missing, CHANGE, CALL(in, "missing", in, "new"))                                     \
    ROW(name, outside, NONE, CALL(out, "plain", out, "new"))                                       \
    ROW(name, bad_name, NONE, CALL(bad, BAD, bad, BAD))
#define CALL_link(place, from, other, to) link(place(area, from), other(area, to))
LINKS(link, CALL_link)
#define CALL_linkat(place, from, other, to)                                                        \
    linkat(AT_FDCWD, place(area, from), AT_FDCWD, other(area, to), 0)
LINKS(linkat, CALL_linkat)
ROW(linkat, at, CHANGE, linkat(area->at, "file", area->at, "new", 0))
ROW(linkat, follow, CHANGE, linkat(area->at, "link", area->at, "new", AT_SYMLINK_FOLLOW))
ROW(linkat, empty_path, CHANGE, linkat(area->descriptor, "", area->at, "new", AT_EMPTY_PATH))
ROW(linkat, invalid, CHANGE, linkat(area->at, "file", area->at, "new", 0x8000000))

#define ONE_NAME(name, CALL)                                                                       \
    ROW(name, make, CHANGE, CALL(in, "new"))                                                       \
    ROW(name, exists, CHANGE, CALL(in, "file"))                                                    \
    ROW(name, dangling, CHANGE, CALL(in, "dangling"))                                              \
    ROW(name, missing, CHANGE, CALL(in, "no/new"))                                                 \
    ROW(name, outside, NONE, CALL(out, "new"))                                                     \
    ROW(name, bad_name, NONE, CALL(bad, BAD))
#define CALL_symlink(place, name) symlink("file", place(area, name))
ONE_NAME(symlink, CALL_symlink)
#define CALL_symlinkat(place, name) symlinkat("file", AT_FDCWD, place(area, name))
ONE_NAME(symlinkat, CALL_symlinkat)
ROW(symlinkat, at, CHANGE, symlinkat("file", area->at, "new"))
ROW(symlink, to_table, NONE, symlink(in(area, "file"), out(area, "new")))
#define CALL_mkdir(place, name) mkdir(place(area, name), 0755)
ONE_NAME(mkdir, CALL_mkdir)
#define CALL_mkdirat(place, name) mkdirat(AT_FDCWD, place(area, name), 0755)
ONE_NAME(mkdirat, CALL_mkdirat)
ROW(mkdirat, at, CHANGE, mkdirat(area->at, "new", 0700))
ROW(mkdir, slash, CHANGE, mkdir(in(area, "new/"), 0700))
#define CALL_mknod(place, name) mknod(place(area, name), S_IFREG | 0600, 0)
ONE_NAME(mknod, CALL_mknod)
#define CALL_mknodat(place, name) mknodat(AT_FDCWD, place(area, name), S_IFIFO | 0600, 0)
ONE_NAME(mknodat, CALL_mknodat)
ROW(mknodat, at, CHANGE, mknodat(area->at, "new", S_IFREG | 0600, 0))
#define CALL_mkfifo(place, name) mkfifo(place(area, name), 0600)
ONE_NAME(mkfifo, CALL_mkfifo)
#define CALL_mkfifoat(place, name) mkfifoat(AT_FDCWD, place(area, name), 0600)
ONE_NAME(mkfifoat, CALL_mkfifoat)
ROW(mkfifoat, at, CHANGE, mkfifoat(area->at, "new", 0600))
static dev_t no_device;
#define CALL___xmknod(place, name) __xmknod(0, place(area, name), S_IFREG | 0600, &no_device)
ONE_NAME(__xmknod, CALL___xmknod)
#define CALL___xmknodat(place, name)                                                               \
    __xmknodat(0, AT_FDCWD, place(area, name), S_IFREG | 0600, &no_device)
ONE_NAME(__xmknodat, CALL___xmknodat)
ROW(__xmknodat, at, CHANGE, __xmknodat(0, area->at, "new", S_IFREG | 0600, &no_device))
ROW(__xmknod, version, CHANGE, __xmknod(7, in(area, "new"), S_IFREG | 0600, &no_device))

#define REMOVALS(name, CALL)                                                                       \
    ROW(name, file, CHANGE, CALL(in, "file"))                                                      \
    ROW(name, link, CHANGE, CALL(in, "link"))                                                      \
    ROW(name, loop, CHANGE, CALL(in, "loop"))                                                      \
    ROW(name, away, CHANGE, CALL(in, "away"))                                                      \
    ROW(name, into, NONE, CALL(out, "into"))                                                       \
    ROW(name, missing, CHANGE, CALL(in, "missing"))                                                \
    ROW(name, directory, CHANGE, CALL(in, "empty"))                                                \
    ROW(name, full, CHANGE, CALL(in, "sub"))                                                       \
    ROW(name, outside, NONE, CALL(out, "plain"))                                                   \
    ROW(name, bad_name, NONE, CALL(bad, BAD))
#define CALL_unlink(place, name) unlink(place(area, name))
REMOVALS(unlink, CALL_unlink)
#define CALL_unlinkat(place, name) unlinkat(AT_FDCWD, place(area, name), 0)
REMOVALS(unlinkat, CALL_unlinkat)
ROW(unlinkat, at, CHANGE, unlinkat(area->at, "file", 0))
ROW(unlinkat, at_directory, CHANGE, unlinkat(area->at, "empty", AT_REMOVEDIR))
ROW(unlinkat, at_full, CHANGE, unlinkat(area->at, "sub", AT_REMOVEDIR))
ROW(unlinkat, invalid, CHANGE, unlinkat(area->at, "file", 0x4000))
#define CALL_remove(place, name) remove(place(area, name))
REMOVALS(remove, CALL_remove)
#define CALL_rmdir(place, name) rmdir(place(area, name))
REMOVALS(rmdir, CALL_rmdir)

/* --- sizes --- */

#define SIZES(name)                                                                                \
    ROW(name, shorter, CHANGE, name(in(area, "file"), 3))                                          \
    ROW(name, longer, CHANGE, name(in(area, "file"), 100))                                         \
    ROW(name, link, CHANGE, name(in(area, "link"), 1))                                             \
    ROW(name, into, CHANGE, name(out(area, "into"), 1))                                            \
    ROW(name, missing, CHANGE, name(in(area, "missing"), 0))                                       \
    ROW(name, directory, CHANGE, name(in(area, "sub"), 0))                                         \
    ROW(name, negative, CHANGE, name(in(area, "file"), -1))                                        \
    ROW(name, outside, NONE, name(out(area, "plain"), 0))                                          \
    ROW(name, bad_name, NONE, name(BAD, 0))
SIZES(truncate)
SIZES(truncate64)

#define OPEN_SIZES(name)                                                                           \
    ROW(name, shorter, CHANGE, name(area->descriptor, 3))                                          \
    ROW(name, longer, CHANGE, name(area->descriptor, 100))                                         \
    ROW(name, negative, CHANGE, name(area->descriptor, -1))                                        \
    ROW(name, read_only, CHANGE, name(area->reader, 0))                                            \
    ROW(name, outside, NONE, name(area->data, 4))                                                  \
    ROW(name, closed, NONE, name(99, 0))
OPEN_SIZES(ftruncate)
OPEN_SIZES(ftruncate64)

#define ALLOCATIONS(name, mode)                                                                    \
    ROW(name, longer, CHANGE, name(area->descriptor, mode, 0, 100))                                \
    ROW(name, invalid, CHANGE, name(area->descriptor, mode, -1, 100))                              \
    ROW(name, read_only, CHANGE, name(area->reader, mode, 0, 100))                                 \
    ROW(name, outside, NONE, name(area->data, mode, 0, 100))                                       \
    ROW(name, pipe, NONE, name(area->pipe[1], mode, 0, 100))                                       \
    ROW(name, closed, NONE, name(99, mode, 0, 100))
ALLOCATIONS(fallocate, 0)
ALLOCATIONS(fallocate64, 0)
#define CALL_posix_fallocate(fd, mode, offset, size) error_number(posix_fallocate(fd, offset, size))
#define CALL_posix_fallocate64(fd, mode, offset, size)                                             \
    error_number(posix_fallocate64(fd, offset, size))
#define ERROR_ALLOCATIONS(name, CALL)                                                              \
    ROW(name, longer, CHANGE, CALL(area->descriptor, 0, 0, 100))                                   \
    ROW(name, invalid, CHANGE, CALL(area->descriptor, 0, -1, 100))                                 \
    ROW(name, read_only, CHANGE, CALL(area->reader, 0, 0, 100))                                    \
    ROW(name, outside, NONE, CALL(area->data, 0, 0, 100))                                          \
    ROW(name, pipe, NONE, CALL(area->pipe[1], 0, 0, 100))                                          \
    ROW(name, closed, NONE, CALL(99, 0, 0, 100))
ERROR_ALLOCATIONS(posix_fallocate, CALL_posix_fallocate)
ERROR_ALLOCATIONS(posix_fallocate64, CALL_posix_fallocate64)
