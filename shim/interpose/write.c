/*
 * Writing through descriptors: the hot path. One load tells that a descriptor is nobody's, and then
 * nothing is saved or put on the stack before the real call; what a touch needs is in a function of
 * its own.
 */
#include "shim/interpose/real.h"
#include "shim/touch.h"

/*
 * Below `reach` a descriptor that has no word is nobody's, and the slot is filled: 0 until it is,
 * so that one comparison asks for both. Acquired, for the slot is read after it.
 */
#define REACH(name) static _Atomic unsigned reach_##name
#define IS_NOBODYS(name, descriptor)                                                               \
    __builtin_expect((unsigned)(descriptor) <                                                      \
                             atomic_load_explicit(&reach_##name, memory_order_acquire) &&          \
                         atomic_load_explicit(descriptor_word_of((unsigned)(descriptor)),          \
                                              memory_order_relaxed) == 0,                          \
                     1)
#define FILL(name)                                                                                 \
    do {                                                                                           \
        if (atomic_load(&real_bound) && REAL(name) != NULL)                                        \
            atomic_store(&reach_##name, DESCRIPTORS_LIMIT);                                        \
    } while (false)

#define WRITE(name, parameters, arguments, range)                                                  \
    REACH(name);                                                                                   \
    static __attribute__((noinline, cold)) ssize_t touching_##name parameters                      \
    {                                                                                              \
        FILL(name);                                                                                \
        GUARDED_RANGE(ssize_t, -1, descriptor, TOUCH_CHANGE, range, REAL(name) arguments);         \
    }                                                                                              \
    INTERPOSE ssize_t name parameters                                                              \
    {                                                                                              \
        if (IS_NOBODYS(name, descriptor))                                                          \
            return real_##name arguments;                                                          \
        return touching_##name arguments;                                                          \
    }

/* A negative one fails, whatever would be saved for it. */
#define AT(offset) ((offset) < 0 ? INT64_MAX : (offset))
#define PARTS(at, parts, many)                                                                     \
    ((struct touch_range){.offset = (at), .size = (uint64_t)(unsigned)(many), .vector = (parts)})

WRITE(write, (int descriptor, const void *data, size_t size), (descriptor, data, size),
      RANGE(TOUCH_AT_POSITION, size))
WRITE(__write, (int descriptor, const void *data, size_t size), (descriptor, data, size),
      RANGE(TOUCH_AT_POSITION, size))
WRITE(pwrite, (int descriptor, const void *data, size_t size, off_t offset),
      (descriptor, data, size, offset), RANGE(AT(offset), size))
WRITE(pwrite64, (int descriptor, const void *data, size_t size, off64_t offset),
      (descriptor, data, size, offset), RANGE(AT(offset), size))
WRITE(__pwrite64, (int descriptor, const void *data, size_t size, off64_t offset),
      (descriptor, data, size, offset), RANGE(AT(offset), size))
WRITE(writev, (int descriptor, const struct iovec *vector, int count), (descriptor, vector, count),
      PARTS(TOUCH_AT_POSITION, vector, count))
WRITE(pwritev, (int descriptor, const struct iovec *vector, int count, off_t offset),
      (descriptor, vector, count, offset), PARTS(AT(offset), vector, count))
WRITE(pwritev64, (int descriptor, const struct iovec *vector, int count, off64_t offset),
      (descriptor, vector, count, offset), PARTS(AT(offset), vector, count))

/* An offset of -1 is the position here; what is to be written at the end may be saved in vain. */
#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif
#define WRITE_AS_SAID(name, offset_type)                                                           \
    REACH(name);                                                                                   \
    static __attribute__((noinline, cold)) ssize_t anywhere_##name(                                \
        int descriptor, const struct iovec *vector, int count, offset_type offset, int flags)      \
    {                                                                                              \
        GUARDED_DESCRIPTOR(ssize_t, -1, descriptor, TOUCH_CHANGE,                                  \
                           REAL(name)(descriptor, vector, count, offset, flags));                  \
    }                                                                                              \
    static __attribute__((noinline, cold)) ssize_t touching_##name(                                \
        int descriptor, const struct iovec *vector, int count, offset_type offset, int flags)      \
    {                                                                                              \
        FILL(name);                                                                                \
        if ((flags & RWF_NOAPPEND) != 0) /* where O_APPEND would have it elsewhere */              \
            return anywhere_##name(descriptor, vector, count, offset, flags);                      \
        GUARDED_RANGE(ssize_t, -1, descriptor, TOUCH_CHANGE, PARTS(offset, vector, count),         \
                      REAL(name)(descriptor, vector, count, offset, flags));                       \
    }                                                                                              \
    INTERPOSE ssize_t name(int descriptor, const struct iovec *vector, int count,                  \
                           offset_type offset, int flags)                                          \
    {                                                                                              \
        if (IS_NOBODYS(name, descriptor))                                                          \
            return real_##name(descriptor, vector, count, offset, flags);                          \
        return touching_##name(descriptor, vector, count, offset, flags);                          \
    }

WRITE_AS_SAID(pwritev2, off_t)
WRITE_AS_SAID(pwritev64v2, off64_t)
