/*
 * Writing through descriptors: the hot path. One load tells that a descriptor is nobody's, and then
 * nothing is saved or put on the stack before the real call; what a touch needs is in a function of
 * its own.
 */
#include "shim/interpose/real.h"
#include "shim/touch.h"

#define WRITE(name, parameters, arguments)                                                         \
    static __attribute__((noinline, cold)) ssize_t touching_##name parameters                      \
    {                                                                                              \
        GUARDED_DESCRIPTOR(ssize_t, -1, descriptor, TOUCH_CHANGE, REAL(name) arguments);           \
    }                                                                                              \
    INTERPOSE ssize_t name parameters                                                              \
    {                                                                                              \
        if (__builtin_expect(descriptor_word(descriptor) == 0 && real_##name != NULL, 1))          \
            return real_##name arguments;                                                          \
        return touching_##name arguments;                                                          \
    }

WRITE(write, (int descriptor, const void *data, size_t size), (descriptor, data, size))
WRITE(__write, (int descriptor, const void *data, size_t size), (descriptor, data, size))
WRITE(pwrite, (int descriptor, const void *data, size_t size, off_t offset),
      (descriptor, data, size, offset))
WRITE(pwrite64, (int descriptor, const void *data, size_t size, off64_t offset),
      (descriptor, data, size, offset))
WRITE(__pwrite64, (int descriptor, const void *data, size_t size, off64_t offset),
      (descriptor, data, size, offset))
WRITE(writev, (int descriptor, const struct iovec *vector, int count), (descriptor, vector, count))
WRITE(pwritev, (int descriptor, const struct iovec *vector, int count, off_t offset),
      (descriptor, vector, count, offset))
WRITE(pwritev64, (int descriptor, const struct iovec *vector, int count, off64_t offset),
      (descriptor, vector, count, offset))
WRITE(pwritev2, (int descriptor, const struct iovec *vector, int count, off_t offset, int flags),
      (descriptor, vector, count, offset, flags))
WRITE(pwritev64v2,
      (int descriptor, const struct iovec *vector, int count, off64_t offset, int flags),
      (descriptor, vector, count, offset, flags))
