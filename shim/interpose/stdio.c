/*
 * Streams. libc opens, writes and closes inside, past the interposed calls, so a stream is guarded
 * as a whole: from fopen to the end of the real fclose, which flushes.
 */
#include "shim/interpose/opened.h"
#include "shim/interpose/real.h"
#include "shim/lock/kernel.h"
#include "shim/touch.h"

#include <errno.h>
#include <stdio_ext.h>
#include <string.h>

static int flags_of(const char *mode)
{
    bool plus = strchr(mode, '+') != NULL;
    int flags = plus ? O_RDWR : mode[0] == 'r' ? O_RDONLY : O_WRONLY;
    if (mode[0] == 'w')
        flags |= O_CREAT | O_TRUNC;
    if (mode[0] == 'a')
        flags |= O_CREAT | O_APPEND;
    return flags;
}

static enum touch_kind kind_of(int flags)
{
    if ((flags & O_TRUNC) != 0)
        return TOUCH_REPLACE;
    if ((flags & O_CREAT) != 0)
        return TOUCH_CREATE;
    return (flags & O_ACCMODE) != O_RDONLY ? TOUCH_CHANGE : TOUCH_READ;
}

/* Where the books have no room the stream is closed again, as open does with a descriptor. */
static FILE *enter(struct touch *touch, FILE *stream, int flags)
{
    if (stream == NULL && errno == ENOENT && (flags & O_CREAT) == 0)
        touch_missed(touch);
    if (stream == NULL ||
        touch_opened(touch, fileno(stream), flags, (flags & O_ACCMODE) != O_RDONLY)) {
        if (stream != NULL)
            touch_stream(fileno(stream), stream);
        return stream;
    }
    (void)REAL(fclose)(stream);
    errno = EMFILE;
    return NULL;
}

typedef FILE *open_stream(const char *path, const char *mode);

static FILE *open_in_table(open_stream *real, const char *path, const char *mode)
{
    struct touch touch;
    if (!touch_path(&touch, AT_FDCWD, path, true, kind_of(flags_of(mode))))
        return real(path, mode);
    FILE *stream = NULL;
    if (touch.error == 0)
        stream = enter(&touch, real(path, mode), flags_of(mode));
    touch_end(&touch);
    return stream;
}

/* The modes that a stream on an open descriptor has as well: r, and of b, e and + any. */
static bool is_plain_reading(const char *mode)
{
    return mode[0] == 'r' && mode[1 + strspn(mode + 1, "be+")] == '\0';
}

/*
 * In no table, unless the last component is a symlink into one: where the kernel opens it without
 * following (as in open.c), that is no question.
 */
static FILE *open_unless_link(open_stream *real, int large, const char *path, const char *mode)
{
    int error = errno, flags = flags_of(mode) | large | O_NOFOLLOW;
    if (strchr(mode, 'e') != NULL)
        flags |= O_CLOEXEC;
    int descriptor = REAL(openat)(AT_FDCWD, path, flags, 0);
    if (descriptor < 0 && (errno == ELOOP || errno == ENOTDIR)) {
        errno = error;
        return open_in_table(real, path, mode);
    }
    FILE *stream = descriptor < 0 ? NULL : REAL(fdopen)(descriptor, mode);
    descriptor_opened(descriptor, stream != NULL);
    if (descriptor >= 0 && stream == NULL) {
        error = errno;
        (void)kernel_close(descriptor);
        errno = error;
    }
    return stream;
}

static FILE *open_guarded(open_stream *real, int large, const char *path, const char *mode)
{
    if (mode == NULL || !start_guarding() || !touch_is_text(path))
        return real(path, mode);
    struct place place = tables_find(AT_FDCWD, path, true);
    if (place.table == NULL && !place.may_be_link)
        return real(path, mode);
    if (place.table == NULL && is_plain_reading(mode))
        return open_unless_link(real, large, path, mode);
    return open_in_table(real, path, mode);
}

INTERPOSE FILE *fopen(const char *path, const char *mode)
{
    return touch_guarding() ? open_guarded(REAL(fopen), 0, path, mode) : REAL(fopen)(path, mode);
}

INTERPOSE FILE *fopen64(const char *path, const char *mode)
{
    return touch_guarding() ? open_guarded(REAL(fopen64), O_LARGEFILE, path, mode)
                            : REAL(fopen64)(path, mode);
}

INTERPOSE FILE *_IO_fopen(const char *path, const char *mode)
{
    return touch_guarding() ? open_guarded(REAL(_IO_fopen), 0, path, mode)
                            : REAL(_IO_fopen)(path, mode);
}

/*
 * How a file is as it is closed is remembered before the kernel closes it: what libc would flush
 * then is flushed first. Returns the errno where that fails, or 0.
 */
static int flush_before_close(FILE *stream, uint32_t word)
{
    bool matters = (word & DESCRIPTOR_READ) != 0 && __fpending(stream) > 0;
    return matters && fflush(stream) != 0 ? errno : 0;
}

typedef FILE *reopen_stream(const char *path, const char *mode, FILE *stream);

/* A new mode for the same file, or another file: either may be a table's. */
static FILE *reopen_flushed(reopen_stream *real, const char *path, const char *mode, FILE *stream)
{
    int flags = mode != NULL ? flags_of(mode) : O_RDONLY;
    int before = stream != NULL ? fileno(stream) : -1;
    struct touch touch;
    bool touched = path != NULL
                       ? touch_path(&touch, AT_FDCWD, path, true, kind_of(flags))
                       : touch_descriptor(&touch, before, descriptor_word(before), kind_of(flags));
    if (touched && touch.error != 0) {
        /* As when libc can't open the new file: the stream is closed. */
        (void)fclose(stream);
        touch_end(&touch);
        return NULL;
    }
    if (before >= 0)
        (void)flush_before_close(stream, descriptor_word(before));
    uint32_t word = before >= 0 ? touch_before_close(before) : 0;
    FILE *result = real(path, mode, stream);
    if (touched)
        result = enter(&touch, result, flags);
    touch_after_close(word);
    if (touched)
        touch_end(&touch);
    return result;
}

/* What is in the buffer goes to the old file first: if that is a table's, it is a change. */
static FILE *reopen_guarded(reopen_stream *real, const char *path, const char *mode, FILE *stream)
{
    struct touch touch;
    uint32_t word = descriptor_word(stream != NULL ? fileno(stream) : -1);
    if ((word & DESCRIPTOR_WRITABLE) == 0 ||
        !touch_descriptor(&touch, fileno(stream), word, TOUCH_CHANGE))
        return reopen_flushed(real, path, mode, stream);
    FILE *result = NULL;
    if (touch.error == 0)
        result = reopen_flushed(real, path, mode, stream);
    else
        (void)fclose(stream);
    touch_end(&touch);
    return result;
}

INTERPOSE FILE *freopen(const char *path, const char *mode, FILE *stream)
{
    return touch_guarding() ? reopen_guarded(REAL(freopen), path, mode, stream)
                            : REAL(freopen)(path, mode, stream);
}

INTERPOSE FILE *freopen64(const char *path, const char *mode, FILE *stream)
{
    return touch_guarding() ? reopen_guarded(REAL(freopen64), path, mode, stream)
                            : REAL(freopen64)(path, mode, stream);
}

/*
 * The descriptor is known already; as a stream it is written when nobody sees it: where the lock
 * can't be had for that there is no stream.
 */
static FILE *open_descriptor(FILE *(*real)(int descriptor, const char *mode), int descriptor,
                             const char *mode)
{
    struct touch touch;
    uint32_t word = descriptor_word(descriptor);
    if ((word & DESCRIPTOR_WRITABLE) == 0 ||
        ((word & DESCRIPTOR_COUNTED) != 0 && !touch_streams_matter(word)) ||
        (flags_of(mode) & O_ACCMODE) == O_RDONLY ||
        !touch_descriptor(&touch, descriptor, word, TOUCH_CHANGE))
        return real(descriptor, mode);
    FILE *stream = touch.error != 0 ? NULL : real(descriptor, mode);
    if (stream != NULL) {
        touch_hold(descriptor, word);
        touch_stream(descriptor, stream);
    }
    touch_end(&touch);
    return stream;
}

INTERPOSE FILE *fdopen(int descriptor, const char *mode)
{
    return open_descriptor(REAL(fdopen), descriptor, mode);
}

INTERPOSE FILE *_IO_fdopen(int descriptor, const char *mode)
{
    return open_descriptor(REAL(_IO_fdopen), descriptor, mode);
}

static int close_guarded(int (*real)(FILE *stream), FILE *stream, int descriptor)
{
    struct touch touch;
    uint32_t word = descriptor_word(descriptor);
    enum touch_kind kind = (word & DESCRIPTOR_WRITABLE) != 0 ? TOUCH_CHANGE : TOUCH_READ;
    bool touched = touch_descriptor(&touch, descriptor, word, kind);
    int error = touched ? touch.error : 0;
    if (error != 0)
        __fpurge(stream); /* what is still in its buffer would be written without the lock */
    int unwritten = flush_before_close(stream, word);
    word = touch_before_close(descriptor);
    int result = real(stream);
    touch_after_close(word);
    if (unwritten != 0) /* not every libc tries once more */
        errno = unwritten;
    if (touched)
        touch_end(&touch);
    return error != 0 || unwritten != 0 ? EOF : result;
}

INTERPOSE int fclose(FILE *stream)
{
    int descriptor = stream != NULL && touch_guarding() ? fileno(stream) : -1;
    if (__builtin_expect(descriptor_word(descriptor) == 0, 1))
        return REAL(fclose)(stream);
    return close_guarded(REAL(fclose), stream, descriptor);
}

INTERPOSE int _IO_fclose(FILE *stream)
{
    int descriptor = stream != NULL && touch_guarding() ? fileno(stream) : -1;
    if (__builtin_expect(descriptor_word(descriptor) == 0, 1))
        return REAL(_IO_fclose)(stream);
    return close_guarded(REAL(_IO_fclose), stream, descriptor);
}

/* Inside a touch of every descriptor that could be written by it. */
static int close_all_from(int descriptor)
{
    int at = descriptor_next(descriptor);
    while (at >= 0 && (descriptor_word(at) & DESCRIPTOR_WRITABLE) == 0)
        at = descriptor_next(at + 1);
    struct touch touch;
    if (at < 0)
        return REAL(fcloseall)();
    if (!touch_descriptor(&touch, at, descriptor_word(at), TOUCH_CHANGE))
        return close_all_from(at + 1);
    int result = touch.error != 0 ? EOF : close_all_from(at + 1);
    touch_end(&touch);
    return result;
}

/* Flushes every stream, among them those on descriptors that nobody holds. */
INTERPOSE int fcloseall(void)
{
    return close_all_from(0);
}

/* The file has no name, but lies in P_tmpdir, which may be a table. */
INTERPOSE FILE *tmpfile(void)
{
    struct touch touch;
    if (!touch_guarding() ||
        !touch_path(&touch, AT_FDCWD, P_tmpdir "/tmpfile", false, TOUCH_CHANGE))
        return REAL(tmpfile)();
    FILE *stream = touch.error != 0 ? NULL : enter(&touch, REAL(tmpfile)(), O_RDWR);
    touch_end(&touch);
    return stream;
}

INTERPOSE FILE *tmpfile64(void)
{
    return tmpfile();
}

INTERPOSE int vdprintf(int descriptor, const char *format, va_list arguments)
{
    GUARDED_DESCRIPTOR(int, -1, descriptor, TOUCH_CHANGE,
                       REAL(vdprintf)(descriptor, format, arguments));
}

INTERPOSE int __vdprintf_chk(int descriptor, int flag, const char *format, va_list arguments)
{
    GUARDED_DESCRIPTOR(int, -1, descriptor, TOUCH_CHANGE,
                       REAL(__vdprintf_chk)(descriptor, flag, format, arguments));
}

INTERPOSE int dprintf(int descriptor, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int result = vdprintf(descriptor, format, arguments);
    va_end(arguments);
    return result;
}

INTERPOSE int __dprintf_chk(int descriptor, int flag, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int result = __vdprintf_chk(descriptor, flag, format, arguments);
    va_end(arguments);
    return result;
}
