/*
 * open and its relatives. O_CREAT and O_TRUNC act inside the call, so the lock comes first. All of
 * them are openat with another shape; what they share is open_at().
 */
#include "shim/interpose/opened.h"
#include "shim/interpose/real.h"
#include "shim/lock/kernel.h"
#include "shim/touch.h"

#include <errno.h>

static enum touch_kind kind_of(int flags)
{
    if ((flags & O_PATH) != 0)
        return TOUCH_READ;
    if ((flags & O_TRUNC) != 0)
        return TOUCH_REPLACE;
    if ((flags & O_CREAT) != 0)
        return TOUCH_CREATE;
    if ((flags & O_ACCMODE) != O_RDONLY)
        return TOUCH_CHANGE;
    return TOUCH_READ;
}

static bool follows(int flags)
{
    return (flags & O_NOFOLLOW) == 0 && (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
}

int opened_or_closed(struct touch *touch, int descriptor, int flags, bool hold)
{
    if (descriptor < 0) {
        if (errno == ENOENT && (flags & O_CREAT) == 0)
            touch_missed(touch);
        return descriptor;
    }
    if (touch_opened(touch, descriptor, flags, hold))
        return descriptor;
    (void)kernel_close(descriptor);
    errno = EMFILE;
    return -1;
}

static __attribute__((noinline)) int open_in_table(const struct place *place, int directory,
                                                   const char *path, int flags, mode_t mode)
{
    struct touch touch;
    if (!touch_found(&touch, place, directory, path, follows(flags), kind_of(flags)))
        return REAL(openat)(directory, path, flags, mode);
    int result = -1, error = errno;
    if (touch.error == 0) {
        /* Does a link in the table lead out, to another table perhaps? */
        bool look = place->may_be_link && (flags & O_PATH) == 0;
        result = REAL(openat)(directory, path, look ? flags | O_NOFOLLOW : flags, mode);
        if (look && result < 0 && (errno == ELOOP || errno == ENOTDIR)) {
            struct place target = tables_find_exactly(directory, path, true);
            if (target.table != place->table)
                touch_also_path(&touch, &target, directory, path, kind_of(flags));
            look = false;
            errno = error;
            if (touch.error == 0)
                result = REAL(openat)(directory, path, flags, mode);
        }
        descriptor_opened(result, look);
        result = opened_or_closed(&touch, result, flags, false);
    }
    touch_end(&touch);
    return result;
}

/*
 * A path that is in no table unless its last component is a symlink into one. O_NOFOLLOW makes the
 * kernel itself say so, in the one call that has to be made anyway.
 */
static int open_unless_link(int directory, const char *path, int flags, mode_t mode)
{
    int error = errno;
    int result = REAL(openat)(directory, path, flags | O_NOFOLLOW, mode);
    if (__builtin_expect(result >= 0, 1)) {
        descriptor_opened(result, true);
        return result;
    }
    if (errno != ELOOP && errno != ENOTDIR)
        return result;
    errno = error;
    struct place place = tables_find_exactly(directory, path, true);
    if (place.table != NULL)
        return open_in_table(&place, directory, path, flags, mode);
    return REAL(openat)(directory, path, flags, mode);
}

static int open_plainly(int directory, const char *path, int flags, mode_t mode)
{
    int result = REAL(openat)(directory, path, flags, mode);
    descriptor_opened(result, false);
    return result;
}

static __attribute__((noinline)) int open_looked_up(int directory, const char *path, int flags,
                                                    mode_t mode)
{
    if (!start_guarding() || !touch_is_text(path))
        return REAL(openat)(directory, path, flags, mode);
    struct place place = (flags & O_PATH) != 0
                             ? tables_find_exactly(directory, path, follows(flags))
                             : tables_look_up(directory, path, follows(flags));
    if (place.table != NULL)
        return open_in_table(&place, directory, path, flags, mode);
    if (place.may_be_link)
        return open_unless_link(directory, path, flags, mode);
    return open_plainly(directory, path, flags, mode);
}

static int open_guarded(int directory, const char *path, int flags, mode_t mode)
{
    if (!touch_is_text(path) || (flags & O_PATH) != 0 || !tables_is_elsewhere(directory, path))
        return open_looked_up(directory, path, flags, mode);
    if (follows(flags))
        return open_unless_link(directory, path, flags, mode);
    return open_plainly(directory, path, flags, mode);
}

static inline int open_at(int directory, const char *path, int flags, mode_t mode)
{
    if (!touch_guarding())
        return REAL(openat)(directory, path, flags, mode);
    return open_guarded(directory, path, flags, mode);
}

/* The mode is there only when a file may be made. */
#define MODE_ARGUMENT(mode, flags)                                                                 \
    mode_t mode = 0;                                                                               \
    if (__builtin_expect(((flags)&O_CREAT) != 0 || ((flags)&O_TMPFILE) == O_TMPFILE, 0)) {         \
        va_list arguments;                                                                         \
        va_start(arguments, flags);                                                                \
        mode = va_arg(arguments, mode_t);                                                          \
        va_end(arguments);                                                                         \
    }

INTERPOSE int open(const char *path, int flags, ...)
{
    MODE_ARGUMENT(mode, flags)
    return open_at(AT_FDCWD, path, flags, mode);
}

INTERPOSE int open64(const char *path, int flags, ...)
{
    MODE_ARGUMENT(mode, flags)
    return open_at(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

INTERPOSE int __open(const char *path, int flags, ...)
{
    MODE_ARGUMENT(mode, flags)
    return open_at(AT_FDCWD, path, flags, mode);
}

INTERPOSE int __open64(const char *path, int flags, ...)
{
    MODE_ARGUMENT(mode, flags)
    return open_at(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

INTERPOSE int openat(int directory, const char *path, int flags, ...)
{
    MODE_ARGUMENT(mode, flags)
    return open_at(directory, path, flags, mode);
}

INTERPOSE int openat64(int directory, const char *path, int flags, ...)
{
    MODE_ARGUMENT(mode, flags)
    return open_at(directory, path, flags | O_LARGEFILE, mode);
}

INTERPOSE int creat(const char *path, mode_t mode)
{
    return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

INTERPOSE int creat64(const char *path, mode_t mode)
{
    return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC | O_LARGEFILE, mode);
}

/* The fortified ones are for calls without a mode; with O_CREAT libc itself aborts. */
static bool lacks_mode(int flags)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

INTERPOSE int __open_2(const char *path, int flags)
{
    return lacks_mode(flags) ? REAL(__open_2)(path, flags) : open_at(AT_FDCWD, path, flags, 0);
}

INTERPOSE int __open64_2(const char *path, int flags)
{
    return lacks_mode(flags) ? REAL(__open64_2)(path, flags)
                             : open_at(AT_FDCWD, path, flags | O_LARGEFILE, 0);
}

INTERPOSE int __openat_2(int directory, const char *path, int flags)
{
    return lacks_mode(flags) ? REAL(__openat_2)(directory, path, flags)
                             : open_at(directory, path, flags, 0);
}

INTERPOSE int __openat64_2(int directory, const char *path, int flags)
{
    return lacks_mode(flags) ? REAL(__openat64_2)(directory, path, flags)
                             : open_at(directory, path, flags | O_LARGEFILE, 0);
}

/* A handle has no path: what it opened tells. Opened without effect first, then under the lock. */
INTERPOSE int open_by_handle_at(int mount, struct file_handle *handle, int flags)
{
    if (!touch_guarding() || !start_guarding())
        return REAL(open_by_handle_at)(mount, handle, flags);
    int descriptor = REAL(open_by_handle_at)(mount, handle, O_PATH | O_CLOEXEC);
    if (descriptor < 0)
        return REAL(open_by_handle_at)(mount, handle, flags);
    struct place place = tables_find_descriptor(descriptor);
    (void)kernel_close(descriptor);
    struct touch touch;
    if (!touch_place(&touch, &place, kind_of(flags)))
        return REAL(open_by_handle_at)(mount, handle, flags);
    int result = touch.error != 0 ? -1 : REAL(open_by_handle_at)(mount, handle, flags);
    descriptor_opened(result, false);
    if (touch.error == 0)
        result = opened_or_closed(&touch, result, flags, false);
    touch_end(&touch);
    return result;
}

struct open_how {
    uint64_t flags;
    uint64_t mode;
    uint64_t resolve;
};

static long openat2_call(int directory, const char *path, const struct open_how *how, size_t size)
{
    long result = KERNEL_CALL(SYS_openat2, directory, path, how, size, 0, 0);
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}

INTERPOSE int openat2(int directory, const char *path, const struct open_how *how, size_t size)
{
    if (!touch_guarding() || how == NULL || size < sizeof *how)
        return (int)openat2_call(directory, path, how, size);
    struct touch touch;
    int flags = (int)how->flags;
    if (!touch_path(&touch, directory, path, follows(flags), kind_of(flags)))
        return (int)openat2_call(directory, path, how, size);
    int result = touch.error != 0 ? -1 : (int)openat2_call(directory, path, how, size);
    descriptor_opened(result, false);
    if (touch.error == 0)
        result = opened_or_closed(&touch, result, flags, false);
    touch_end(&touch);
    return result;
}
