/* Rows: open and its relatives, in all their names; mkstemp and its relatives. */
#include "tests/surface/surface.h"

#include "shim/interpose/prototypes.h"

#include <errno.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>

/* Not a constant, so that a fortified build calls the checking twin. */
static volatile int read_only = O_RDONLY, write_only = O_WRONLY;

/* Rows for flags without a mode; CALL(place, name, flags) opens in, out or beyond the area. */
#define OPENS_EXISTING(name, CALL)                                                                 \
    ROW(name, read, READ, descriptor(area, CALL(in, "file", read_only)))                           \
    ROW(name, write, CHANGE, descriptor(area, CALL(in, "file", write_only)))                       \
    ROW(name, truncate, CHANGE, descriptor(area, CALL(in, "file", write_only | O_TRUNC)))          \
    ROW(name, missing, READ, descriptor(area, CALL(in, "missing", read_only)))                     \
    ROW(name, loop, READ, descriptor(area, CALL(in, "loop", read_only)))                           \
    ROW(name, link, READ, descriptor(area, CALL(in, "link", read_only)))                           \
    ROW(name, link_flags, CHANGE, flags_after(area, CALL(in, "link", write_only | O_APPEND)))      \
    ROW(name, flags, READ, flags_after(area, CALL(in, "file", read_only | O_NONBLOCK)))            \
    ROW(name, flags_nofollow, READ, flags_after(area, CALL(in, "file", read_only | O_NOFOLLOW)))   \
    ROW(name, flags_outside, NONE, flags_after(area, CALL(out, "plain", read_only)))               \
    ROW(name, away, EITHER, descriptor(area, CALL(in, "away", read_only)))                         \
    ROW(name, into, READ, descriptor(area, CALL(out, "into", read_only)))                          \
    ROW(name, into_truncate, CHANGE, descriptor(area, CALL(out, "into", write_only | O_TRUNC)))    \
    ROW(name, nofollow, READ, descriptor(area, CALL(in, "link", read_only | O_NOFOLLOW)))          \
    ROW(name, directory, READ, descriptor(area, CALL(in, "sub", read_only | O_DIRECTORY)))         \
    ROW(name, no_directory, READ, descriptor(area, CALL(in, "file", read_only | O_DIRECTORY)))     \
    ROW(name, below_file, READ, descriptor(area, CALL(in, "file/x", read_only)))                   \
    ROW(name, path_only, READ, descriptor(area, CALL(in, "file", read_only | O_PATH)))             \
    ROW(name, outside, NONE, descriptor(area, CALL(out, "plain", write_only)))                     \
    ROW(name, no_name, NONE, descriptor(area, CALL(bad, NULL, read_only)))                         \
    ROW(name, bad_name, NONE, descriptor(area, CALL(bad, BAD, read_only)))

#define OPENS(name, CALL, CALL_MODE)                                                               \
    OPENS_EXISTING(name, CALL)                                                                     \
    ROW(name, create, CHANGE, descriptor(area, CALL_MODE(in, "new", O_RDWR | O_CREAT, 0640)))      \
    ROW(name, create_link, CHANGE,                                                                 \
        descriptor(area, CALL_MODE(in, "dangling", O_WRONLY | O_CREAT, 0600)))                     \
    ROW(name, exclusive, CHANGE,                                                                   \
        descriptor(area, CALL_MODE(in, "new", O_WRONLY | O_CREAT | O_EXCL, 0600)))                 \
    ROW(name, exists, CHANGE,                                                                      \
        descriptor(area, CALL_MODE(in, "file", O_WRONLY | O_CREAT | O_EXCL, 0600)))                \
    ROW(name, exists_link, CHANGE,                                                                 \
        descriptor(area, CALL_MODE(in, "dangling", O_WRONLY | O_CREAT | O_EXCL, 0600)))            \
    ROW(name, create_outside, NONE,                                                                \
        descriptor(area, CALL_MODE(out, "new", O_RDWR | O_CREAT, 0600)))                           \
    ROW(name, nameless, CHANGE, descriptor(area, CALL_MODE(in, ".", O_RDWR | O_TMPFILE, 0600)))

static const char *bad(const struct area *area, const char *name)
{
    (void)area;
    return name;
}

/* What F_GETFL shows of it. */
static long flags_after(struct area *area, int opened)
{
    int flags = opened < 0 ? 0 : fcntl(opened, F_GETFL);
    long number = descriptor(area, opened);
    return number < 0 ? number : flags;
}

#define CALL_open(place, name, flags) open(place(area, name), flags)
#define MODE_open(place, name, flags, mode) open(place(area, name), flags, mode)
OPENS(open, CALL_open, MODE_open)
#define CALL_open64(place, name, flags) open64(place(area, name), flags)
#define MODE_open64(place, name, flags, mode) open64(place(area, name), flags, mode)
OPENS(open64, CALL_open64, MODE_open64)
#define CALL___open(place, name, flags) __open(place(area, name), flags)
#define MODE___open(place, name, flags, mode) __open(place(area, name), flags, mode)
OPENS(__open, CALL___open, MODE___open)
#define CALL___open64(place, name, flags) __open64(place(area, name), flags)
#define MODE___open64(place, name, flags, mode) __open64(place(area, name), flags, mode)
OPENS(__open64, CALL___open64, MODE___open64)

#define CALL_openat(place, name, flags) openat(AT_FDCWD, place(area, name), flags)
#define MODE_openat(place, name, flags, mode) openat(AT_FDCWD, place(area, name), flags, mode)
OPENS(openat, CALL_openat, MODE_openat)
#define CALL_openat64(place, name, flags) openat64(AT_FDCWD, place(area, name), flags)
#define MODE_openat64(place, name, flags, mode) openat64(AT_FDCWD, place(area, name), flags, mode)
OPENS(openat64, CALL_openat64, MODE_openat64)

ROW(openat, at, READ, descriptor(area, openat(area->at, "file", read_only)))
ROW(openat, at_write, CHANGE, descriptor(area, openat(area->at, "file", write_only | O_TRUNC)))
ROW(openat, at_create, CHANGE, descriptor(area, openat(area->at, "new", O_RDWR | O_CREAT, 0600)))
ROW(openat, at_below, READ, descriptor(area, openat(area->at, "sub/inner", read_only)))
ROW(openat, at_parent, READ, descriptor(area, openat(area->at, "sub/../file", read_only)))
ROW(openat, at_link, READ, descriptor(area, openat(area->at, "link", read_only)))
ROW(openat, at_away, EITHER, descriptor(area, openat(area->at, "away", read_only)))
ROW(openat, at_bad, NONE, descriptor(area, openat(99, "file", read_only)))
ROW(openat, at_file, EITHER, descriptor(area, openat(area->descriptor, "x", read_only)))
ROW(openat64, at, READ, descriptor(area, openat64(area->at, "file", read_only)))
ROW(openat64, at_create, CHANGE,
    descriptor(area, openat64(area->at, "new", O_RDWR | O_CREAT, 0600)))

#define CALL___open_2(place, name, flags) __open_2(place(area, name), flags)
OPENS_EXISTING(__open_2, CALL___open_2)
#define CALL___open64_2(place, name, flags) __open64_2(place(area, name), flags)
OPENS_EXISTING(__open64_2, CALL___open64_2)
#define CALL___openat_2(place, name, flags) __openat_2(AT_FDCWD, place(area, name), flags)
OPENS_EXISTING(__openat_2, CALL___openat_2)
#define CALL___openat64_2(place, name, flags) __openat64_2(AT_FDCWD, place(area, name), flags)
OPENS_EXISTING(__openat64_2, CALL___openat64_2)
ROW(__openat_2, at, READ, descriptor(area, __openat_2(area->at, "file", read_only)))
ROW(__openat64_2, at, READ, descriptor(area, __openat64_2(area->at, "file", read_only)))

/* libc aborts a program that calls these with O_CREAT: it still must. */
static long create_unmoded(struct area *area)
{
    int null = open("/dev/null", O_WRONLY);
    (void)dup2(null, 2);
    return __open_2(in(area, "new"), O_CREAT | O_WRONLY);
}
ROW(__open_2, without_mode, NONE, in_child(area, create_unmoded))

ROW(creat, new, CHANGE, descriptor(area, creat(in(area, "new"), 0600)))
ROW(creat, existing, CHANGE, descriptor(area, creat(in(area, "file"), 0600)))
ROW(creat, outside, NONE, descriptor(area, creat(out(area, "plain"), 0600)))
ROW(creat, directory, CHANGE, descriptor(area, creat(in(area, "sub"), 0600)))
ROW(creat, bad_name, NONE, descriptor(area, creat(BAD, 0600)))
ROW(creat64, new, CHANGE, descriptor(area, creat64(in(area, "new"), 0600)))
ROW(creat64, existing, CHANGE, descriptor(area, creat64(in(area, "file"), 0600)))

/* --- without a path, and with a structure --- */

static int by_handle(struct area *area, int flags)
{
    struct {
        struct file_handle handle;
        unsigned char bytes[MAX_HANDLE_SZ];
    } space;
    int mount;
    space.handle.handle_bytes = MAX_HANDLE_SZ;
    if (name_to_handle_at(area->at, "file", &space.handle, &mount, 0) != 0)
        return -1;
    return open_by_handle_at(area->at, &space.handle, flags);
}
ROW(open_by_handle_at, read, READ, descriptor(area, by_handle(area, O_RDONLY)))
ROW(open_by_handle_at, truncate, CHANGE, descriptor(area, by_handle(area, O_RDWR | O_TRUNC)))
static long by_bad_handle(struct area *area)
{
    struct file_handle handle = {.handle_bytes = 0};
    return open_by_handle_at(area->at, &handle, O_RDONLY);
}
ROW(open_by_handle_at, invalid, NONE, by_bad_handle(area))

/* By number where libc has no function for it yet. */
static int how(int at, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct open_how wanted = {.flags = flags, .mode = mode, .resolve = resolve};
    return (int)syscall(SYS_openat2, at, path, &wanted, sizeof wanted);
}
ROW(openat2, read, READ, descriptor(area, how(AT_FDCWD, in(area, "file"), O_RDONLY, 0, 0)))
ROW(openat2, truncate, CHANGE,
    descriptor(area, how(AT_FDCWD, in(area, "file"), O_WRONLY | O_TRUNC, 0, 0)))
ROW(openat2, create, CHANGE, descriptor(area, how(area->at, "new", O_RDWR | O_CREAT, 0600, 0)))
ROW(openat2, beneath, READ,
    descriptor(area, how(area->at, "sub/inner", O_RDONLY, 0, RESOLVE_BENEATH)))
ROW(openat2, invalid, READ, descriptor(area, how(area->at, "file", O_RDONLY, 0600, 0)))
ROW(openat2, outside, NONE,
    descriptor(area, how(AT_FDCWD, out(area, "plain"), O_RDONLY | O_CLOEXEC, 0, 0)))

/* --- names that libc makes --- */

static char *template(const char *path)
{
    static char text[512];
    return strcpy(text, path);
}
#define TEMPORARY(name, suffix, CALL)                                                              \
    ROW(name, make, CHANGE, descriptor(area, CALL(template(in(area, "tmpXXXXXX" suffix)))))        \
    ROW(name, outside, NONE, descriptor(area, CALL(template(out(area, "tmpXXXXXX" suffix)))))      \
    ROW(name, invalid, CHANGE, descriptor(area, CALL(template(in(area, "short" suffix)))))         \
    ROW(name, missing, CHANGE, descriptor(area, CALL(template(in(area, "no/tmpXXXXXX" suffix)))))
TEMPORARY(mkstemp, "", mkstemp)
TEMPORARY(mkstemp64, "", mkstemp64)
#define CALL_mkostemp(text) mkostemp(text, O_APPEND)
TEMPORARY(mkostemp, "", CALL_mkostemp)
#define CALL_mkostemp64(text) mkostemp64(text, O_CLOEXEC)
TEMPORARY(mkostemp64, "", CALL_mkostemp64)
#define CALL_mkstemps(text) mkstemps(text, 2)
TEMPORARY(mkstemps, ".x", CALL_mkstemps)
#define CALL_mkstemps64(text) mkstemps64(text, 2)
TEMPORARY(mkstemps64, ".x", CALL_mkstemps64)
#define CALL_mkostemps(text) mkostemps(text, 2, O_CLOEXEC)
TEMPORARY(mkostemps, ".x", CALL_mkostemps)
#define CALL_mkostemps64(text) mkostemps64(text, 2, O_CLOEXEC)
TEMPORARY(mkostemps64, ".x", CALL_mkostemps64)
ROW(mkdtemp, make, CHANGE, yes(mkdtemp(template(in(area, "tmpXXXXXX")))))
ROW(mkdtemp, outside, NONE, yes(mkdtemp(template(out(area, "tmpXXXXXX")))))
ROW(mkdtemp, invalid, CHANGE, yes(mkdtemp(template(in(area, "short")))))
