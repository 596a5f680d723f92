/* Calls that change a file's size or its blocks. */
#include "shim/interpose/real.h"
#include "shim/touch.h"

#include <linux/falloc.h>

INTERPOSE int truncate(const char *path, off_t length)
{
    GUARDED(int, -1, touch_cut(&touch, path, length), REAL(truncate)(path, length));
}

INTERPOSE int truncate64(const char *path, off64_t length)
{
    GUARDED(int, -1, touch_cut(&touch, path, length), REAL(truncate64)(path, length));
}

/* Takes content away, like truncate; only without having read it is that a lost update. */
#define RESIZE(type, failure, descriptor, length, call)                                            \
    struct touch touch;                                                                            \
    uint32_t word = descriptor_word(descriptor);                                                   \
    if (__builtin_expect(word == 0, 1) ||                                                          \
        !touch_range(                                                                              \
            &touch, descriptor, word, TOUCH_REMOVE,                                                \
            &(struct touch_range){.offset = (length) < 0 ? 0 : (length), .size = TOUCH_TO_END}))   \
        return call;                                                                               \
    touch_check_descriptor(&touch, descriptor);                                                    \
    type result = touch.error != 0 ? (failure) : (call);                                           \
    touch_end(&touch);                                                                             \
    return result

INTERPOSE int ftruncate(int descriptor, off_t length)
{
    RESIZE(int, -1, descriptor, length, REAL(ftruncate)(descriptor, length));
}

INTERPOSE int ftruncate64(int descriptor, off64_t length)
{
    RESIZE(int, -1, descriptor, length, REAL(ftruncate64)(descriptor, length));
}

/* Allocating changes the size alone; moving what follows, all of it. */
static struct touch_range range_of(int mode, int64_t offset, int64_t length)
{
    const int known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
    struct touch_range range = {.offset = offset < 0 ? 0 : offset, .size = TOUCH_TO_END};
    if ((mode & ~FALLOC_FL_KEEP_SIZE) == 0)
        range = (struct touch_range){.offset = TOUCH_AT_END};
    else if ((mode & ~known) == 0 && length >= 0)
        range.size = (uint64_t)length;
    return range;
}

INTERPOSE int fallocate(int descriptor, int mode, off_t offset, off_t length)
{
    GUARDED_RANGE(int, -1, descriptor, TOUCH_CHANGE, range_of(mode, offset, length),
                  REAL(fallocate)(descriptor, mode, offset, length));
}

INTERPOSE int fallocate64(int descriptor, int mode, off64_t offset, off64_t length)
{
    GUARDED_RANGE(int, -1, descriptor, TOUCH_CHANGE, range_of(mode, offset, length),
                  REAL(fallocate64)(descriptor, mode, offset, length));
}

/* These two return the error and leave errno alone. */
#define GUARDED_ERROR(descriptor, call)                                                            \
    struct touch touch;                                                                            \
    uint32_t word = descriptor_word(descriptor);                                                   \
    if (__builtin_expect(word == 0, 1) ||                                                          \
        !touch_range(&touch, descriptor, word, TOUCH_CHANGE,                                       \
                     &(struct touch_range){.offset = TOUCH_AT_END}))                               \
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
