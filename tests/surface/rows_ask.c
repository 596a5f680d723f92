/* Rows: calls that only ask, and the working directory. */
#include "tests/surface/surface.h"

#include "shim/interpose/prototypes.h"

#include <errno.h>
#include <string.h>

#if defined(__x86_64__)
#define STAT_VERSION 1
#elif defined(__i386__)
#define STAT_VERSION 3
#else
#define STAT_VERSION 0
#endif

static const char *bad(const struct area *area, const char *name)
{
    (void)area;
    return name;
}

/* CALL(place, name) */
#define ASKS(name, CALL)                                                                           \
    ROW(name, file, ASK, CALL(in, "file"))                                                         \
    ROW(name, link, ASK, CALL(in, "link"))                                                         \
    ROW(name, dangling, ASK, CALL(in, "dangling"))                                                 \
    ROW(name, missing, ASK, CALL(in, "missing"))                                                   \
    ROW(name, below_file, ASK, CALL(in, "file/x"))                                                 \
    ROW(name, away, EITHER, CALL(in, "away"))                                                      \
    ROW(name, outside, NONE, CALL(out, "plain"))                                                   \
    ROW(name, empty, NONE, CALL(bad, ""))                                                          \
    ROW(name, bad_name, NONE, CALL(bad, BAD))

static struct stat status;
static struct stat64 status64;
static struct statx statusx;

#define SIZED(call, where) ((call) != 0 ? -1 : (long)(where) + 1000)
#define CALL_stat(place, name) SIZED(stat(place(area, name), &status), status.st_size)
ASKS(stat, CALL_stat)
#define CALL_stat64(place, name) SIZED(stat64(place(area, name), &status64), status64.st_size)
ASKS(stat64, CALL_stat64)
#define CALL_lstat(place, name) SIZED(lstat(place(area, name), &status), status.st_mode)
ASKS(lstat, CALL_lstat)
#define CALL_lstat64(place, name) SIZED(lstat64(place(area, name), &status64), status64.st_mode)
ASKS(lstat64, CALL_lstat64)
#define CALL_fstatat(place, name)                                                                  \
    SIZED(fstatat(AT_FDCWD, place(area, name), &status, 0), status.st_size)
ASKS(fstatat, CALL_fstatat)
#define CALL_fstatat64(place, name)                                                                \
    SIZED(fstatat64(AT_FDCWD, place(area, name), &status64, AT_SYMLINK_NOFOLLOW), status64.st_mode)
ASKS(fstatat64, CALL_fstatat64)
ROW(fstatat, at, ASK, SIZED(fstatat(area->at, "file", &status, 0), status.st_size))
ROW(fstatat, at_empty, ASK,
    SIZED(fstatat(area->descriptor, "", &status, AT_EMPTY_PATH), status.st_size))
ROW(fstatat, at_empty_outside, NONE,
    SIZED(fstatat(area->data, "", &status, AT_EMPTY_PATH), status.st_size))
ROW(fstatat, invalid, ASK, fstatat(area->at, "file", &status, 0x8000000))
#define CALL_statx(place, name)                                                                    \
    SIZED(statx(AT_FDCWD, place(area, name), 0, STATX_SIZE, &statusx), statusx.stx_size)
ASKS(statx, CALL_statx)
ROW(statx, at, ASK, SIZED(statx(area->at, "file", 0, STATX_SIZE, &statusx), statusx.stx_size))
ROW(statx, at_empty, ASK,
    SIZED(statx(area->descriptor, "", AT_EMPTY_PATH, STATX_SIZE, &statusx), statusx.stx_size))
#define CALL___xstat(place, name)                                                                  \
    SIZED(__xstat(STAT_VERSION, place(area, name), &status), status.st_size)
ASKS(__xstat, CALL___xstat)
#define CALL___xstat64(place, name)                                                                \
    SIZED(__xstat64(STAT_VERSION, place(area, name), &status64), status64.st_size)
ASKS(__xstat64, CALL___xstat64)
#define CALL___lxstat(place, name)                                                                 \
    SIZED(__lxstat(STAT_VERSION, place(area, name), &status), status.st_mode)
ASKS(__lxstat, CALL___lxstat)
#define CALL___lxstat64(place, name)                                                               \
    SIZED(__lxstat64(STAT_VERSION, place(area, name), &status64), status64.st_mode)
ASKS(__lxstat64, CALL___lxstat64)
#define CALL___fxstatat(place, name)                                                               \
    SIZED(__fxstatat(STAT_VERSION, AT_FDCWD, place(area, name), &status, 0), status.st_size)
ASKS(__fxstatat, CALL___fxstatat)
#define CALL___fxstatat64(place, name)                                                             \
    SIZED(__fxstatat64(STAT_VERSION, AT_FDCWD, place(area, name), &status64, 0), status64.st_size)
ASKS(__fxstatat64, CALL___fxstatat64)
ROW(__xstat, version, ASK, __xstat(9, in(area, "file"), &status))

#define CALL_access(place, name) access(place(area, name), W_OK)
ASKS(access, CALL_access)
ROW(access, invalid, ASK, access(in(area, "file"), 077))
#define CALL_faccessat(place, name) faccessat(AT_FDCWD, place(area, name), R_OK, 0)
ASKS(faccessat, CALL_faccessat)
ROW(faccessat, at, ASK, faccessat(area->at, "file", R_OK, AT_EACCESS))
ROW(faccessat, nofollow, ASK, faccessat(area->at, "dangling", F_OK, AT_SYMLINK_NOFOLLOW))
#define CALL_eaccess(place, name) eaccess(place(area, name), R_OK)
ASKS(eaccess, CALL_eaccess)
#define CALL_euidaccess(place, name) euidaccess(place(area, name), X_OK)
ASKS(euidaccess, CALL_euidaccess)

static char text[4096];
#define CALL_readlink(place, name) readlink(place(area, name), text, sizeof text)
ASKS(readlink, CALL_readlink)
#define CALL_readlinkat(place, name) readlinkat(AT_FDCWD, place(area, name), text, sizeof text)
ASKS(readlinkat, CALL_readlinkat)
ROW(readlinkat, at, ASK, readlinkat(area->at, "link", text, 2))
#define CALL___readlink_chk(place, name)                                                           \
    __readlink_chk(place(area, name), text, sizeof text, sizeof text)
ASKS(__readlink_chk, CALL___readlink_chk)
#define CALL___readlinkat_chk(place, name)                                                         \
    __readlinkat_chk(AT_FDCWD, place(area, name), text, sizeof text, sizeof text)
ASKS(__readlinkat_chk, CALL___readlinkat_chk)

/* The length of the answer: directories have names of the same length everywhere. */
static long length(const char *answer)
{
    return answer == NULL ? -1 : (long)strlen(answer);
}
static long length_and_free(char *answer)
{
    long result = length(answer);
    free(answer);
    return result;
}
/* libc itself looks into the path here, so a bad pointer is out of the question. */
#define RESOLVES(name, CALL)                                                                       \
    ROW(name, file, ASK, CALL(in, "sub/../link"))                                                  \
    ROW(name, dangling, ASK, CALL(in, "dangling"))                                                 \
    ROW(name, missing, ASK, CALL(in, "missing"))                                                   \
    ROW(name, outside, NONE, CALL(out, "plain"))                                                   \
    ROW(name, empty, NONE, CALL(bad, ""))
#define CALL_realpath(place, name) length(realpath(place(area, name), text))
RESOLVES(realpath, CALL_realpath)
static const char *volatile no_path;
ROW(realpath, nothing, NONE, yes(realpath(no_path, text)))
ROW(realpath, allocated, ASK, length_and_free(realpath(in(area, "file"), NULL)))
#define CALL___realpath_chk(place, name)                                                           \
    length(__realpath_chk(place(area, name), text, sizeof text))
RESOLVES(__realpath_chk, CALL___realpath_chk)
#define CALL_canonicalize_file_name(place, name)                                                   \
    length_and_free(canonicalize_file_name(place(area, name)))
RESOLVES(canonicalize_file_name, CALL_canonicalize_file_name)

/* --- the working directory, in a child of its own --- */

static long change_in(struct area *area)
{
    return chdir(in(area, "sub"));
}
static long change_missing(struct area *area)
{
    return chdir(in(area, "missing"));
}
static long change_out(struct area *area)
{
    return chdir(area->outside);
}
static long change_bad(struct area *area)
{
    (void)area;
    return chdir(BAD);
}
ROW(chdir, table, ASK, in_child(area, change_in))
ROW(chdir, missing, ASK, in_child(area, change_missing))
ROW(chdir, outside, NONE, in_child(area, change_out))
ROW(chdir, bad_name, NONE, in_child(area, change_bad))
static long change_descriptor(struct area *area)
{
    return fchdir(area->at);
}
static long change_closed(struct area *area)
{
    (void)area;
    return fchdir(99);
}
ROW(fchdir, table, NONE, in_child(area, change_descriptor))
ROW(fchdir, closed, NONE, in_child(area, change_closed))
/* What is relative afterwards is a table's. */
static long relative_read(struct area *area)
{
    return fchdir(area->at) == 0 ? open("file", O_RDONLY) : -1;
}
static long relative_truncate(struct area *area)
{
    return fchdir(area->at) == 0 ? open("sub/../file", O_WRONLY | O_TRUNC) : -1;
}
ROW(fchdir, read, READ, in_child(area, relative_read))
ROW(fchdir, truncate, CHANGE, in_child(area, relative_truncate))
