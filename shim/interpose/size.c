/* Calls that change a file's size or its blocks. */
#include "shim/interpose/real.h"
#include "shim/touch.h"

INTERPOSE int truncate(const char *path, off_t length)
{
    GUARDED(int, -1, touch_path(&touch, AT_FDCWD, path, true, TOUCH_REMOVE),
            REAL(truncate)(path, length));
}

INTERPOSE int truncate64(const char *path, off64_t length)
{
    GUARDED(int, -1, touch_path(&touch, AT_FDCWD, path, true, TOUCH_REMOVE),
            REAL(truncate64)(path, length));
}

/* Takes a whole content away, like truncate; only without having read it is that a lost update. */
#define RESIZE(type, failure, descriptor, call)                                                    \
    struct touch touch;                                                                            \
    uint32_t word = descriptor_word(descriptor);                                                   \
    if (__builtin_expect(word == 0, 1) ||                                                          \
        !touch_descriptor(&touch, descriptor, word, TOUCH_REMOVE))                                 \
        return call;                                                                               \
    touch_check_descriptor(&touch, descriptor);                                                    \
    type result = touch.error != 0 ? (failure) : (call);                                           \
    touch_end(&touch);                                                                             \
    return result

INTERPOSE int ftruncate(int descriptor, off_t length)
{
    RESIZE(int, -1, descriptor, REAL(ftruncate)(descriptor, length));
}

INTERPOSE int ftruncate64(int descriptor, off64_t length)
{
    RESIZE(int, -1, descriptor, REAL(ftruncate64)(descriptor, length));
}

INTERPOSE int fallocate(int descriptor, int mode, off_t offset, off_t length)
{
    GUARDED_DESCRIPTOR(int, -1, descriptor, TOUCH_CHANGE,
                       REAL(fallocate)(descriptor, mode, offset, length));
}

INTERPOSE int fallocate64(int descriptor, int mode, off64_t offset, off64_t length)
{
    GUARDED_DESCRIPTOR(int, -1, descriptor, TOUCH_CHANGE,
                       REAL(fallocate64)(descriptor, mode, offset, length));
}

/* These two return the error and leave errno alone. */
#define GUARDED_ERROR(descriptor, call)                                                            \
    struct touch touch;                                                                            \
    uint32_t word = descriptor_word(descriptor);                                                   \
    if (__builtin_expect(word == 0, 1) ||                                                          \
        !touch_descriptor(&touch, descriptor, word, TOUCH_CHANGE))                                 \
        return call;                                                                               \
    int result = touch.error != 0 ? touch.error : (call);                                          \
    touch.error = 0;                                                                               \
    touch_end(&touch);                                                                             \
    return result

INTERPOSE int posix_fallocate(int descriptor, off_t offset, off_t length)
{
    GUARDED_ERROR(descriptor, REAL(posix_fallocate)(descriptor, offset, length));
}

INTERPOSE int posix_fallocate64(int descriptor, off64_t offset, off64_t length)
{
    GUARDED_ERROR(descriptor, REAL(posix_fallocate64)(descriptor, offset, length));
}
