/*
 * Streams. libc opens, writes and closes inside, past the interposed calls, so a stream is guarded
 * as a whole: from fopen to the end of the real fclose, which flushes.
 */
#include "shim/interpose/opened.h"
#include "shim/interpose/real.h"
#include "shim/touch.h"

#include <errno.h>
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
    return (flags & O_ACCMODE) != O_RDONLY ? TOUCH_CHANGE : TOUCH_READ;
}

/* Where the books have no room the stream is closed again, as open does with a descriptor. */
static FILE *enter(struct touch *touch, FILE *stream, int flags)
{
    if (stream == NULL ||
        touch_opened(touch, fileno(stream), flags, (flags & O_ACCMODE) != O_RDONLY))
        return stream;
    (void)REAL(fclose)(stream);
    errno = EMFILE;
    return NULL;
}

typedef FILE *open_stream(const char *path, const char *mode);

static FILE *open_guarded(open_stream *real, const char *path, const char *mode)
{
    struct touch touch;
    if (mode == NULL || !touch_path(&touch, AT_FDCWD, path, true, kind_of(flags_of(mode))))
        return real(path, mode);
    FILE *stream = NULL;
    if (touch.error == 0)
        stream = enter(&touch, real(path, mode), flags_of(mode));
    touch_end(&touch);
    return stream;
}

INTERPOSE FILE *fopen(const char *path, const char *mode)
{
    return touch_guarding() ? open_guarded(REAL(fopen), path, mode) : REAL(fopen)(path, mode);
}

INTERPOSE FILE *fopen64(const char *path, const char *mode)
{
    return touch_guarding() ? open_guarded(REAL(fopen64), path, mode) : REAL(fopen64)(path, mode);
}

INTERPOSE FILE *_IO_fopen(const char *path, const char *mode)
{
    return touch_guarding() ? open_guarded(REAL(_IO_fopen), path, mode)
                            : REAL(_IO_fopen)(path, mode);
}

typedef FILE *reopen_stream(const char *path, const char *mode, FILE *stream);

/* A new mode for the same file, or another file: either may be a table's. */
static FILE *reopen_guarded(reopen_stream *real, const char *path, const char *mode, FILE *stream)
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
    uint32_t word = before >= 0 ? touch_before_close(before) : 0;
    FILE *result = real(path, mode, stream);
    if (touched)
        result = enter(&touch, result, flags);
    touch_after_close(word);
    if (touched)
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

/* The descriptor is known already; as a stream it is written when nobody sees it. */
static void hold_written_stream(FILE *stream, int descriptor)
{
    uint32_t word = descriptor_word(descriptor);
    if (stream == NULL || (word & DESCRIPTOR_WRITABLE) == 0 || (word & DESCRIPTOR_COUNTED) != 0)
        return;
    touch_hold(descriptor, word);
}

INTERPOSE FILE *fdopen(int descriptor, const char *mode)
{
    FILE *stream = REAL(fdopen)(descriptor, mode);
    hold_written_stream(stream, descriptor);
    return stream;
}

INTERPOSE FILE *_IO_fdopen(int descriptor, const char *mode)
{
    FILE *stream = REAL(_IO_fdopen)(descriptor, mode);
    hold_written_stream(stream, descriptor);
    return stream;
}

static int close_guarded(int (*real)(FILE *stream), FILE *stream, int descriptor)
{
    struct touch touch;
    uint32_t word = descriptor_word(descriptor);
    enum touch_kind kind = (word & DESCRIPTOR_WRITABLE) != 0 ? TOUCH_CHANGE : TOUCH_READ;
    bool touched = touch_descriptor(&touch, descriptor, word, kind);
    int error = touched ? touch.error : 0;
    word = touch_before_close(descriptor);
    int result = real(stream);
    touch_after_close(word);
    if (touched)
        touch_end(&touch);
    return error != 0 ? EOF : result;
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

/* Flushes every stream, among them those on descriptors that nobody holds. */
INTERPOSE int fcloseall(void)
{
    for (int at = descriptor_next(0); at >= 0; at = descriptor_next(at + 1)) {
        if ((descriptor_word(at) & DESCRIPTOR_WRITABLE) != 0)
            touch_hold(at, descriptor_word(at));
    }
    return REAL(fcloseall)();
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
