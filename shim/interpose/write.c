/* Writing through descriptors: the hot path. One load tells that a descriptor is nobody's. */
#include "shim/interpose/real.h"
#include "shim/touch.h"

INTERPOSE ssize_t write(int descriptor, const void *data, size_t size)
{
    GUARDED_DESCRIPTOR(ssize_t, -1, descriptor, TOUCH_CHANGE, REAL(write)(descriptor, data, size));
}

INTERPOSE ssize_t __write(int descriptor, const void *data, size_t size)
{
    GUARDED_DESCRIPTOR(ssize_t, -1, descriptor, TOUCH_CHANGE,
                       REAL(__write)(descriptor, data, size));
}

INTERPOSE ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset)
{
    GUARDED_DESCRIPTOR(ssize_t, -1, descriptor, TOUCH_CHANGE,
                       REAL(pwrite)(descriptor, data, size, offset));
}

INTERPOSE ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t offset)
{
    GUARDED_DESCRIPTOR(ssize_t, -1, descriptor, TOUCH_CHANGE,
                       REAL(pwrite64)(descriptor, data, size, offset));
}

INTERPOSE ssize_t __pwrite64(int descriptor, const void *data, size_t size, off64_t offset)
{
    GUARDED_DESCRIPTOR(ssize_t, -1, descriptor, TOUCH_CHANGE,
                       REAL(__pwrite64)(descriptor, data, size, offset));
}

INTERPOSE ssize_t writev(int descriptor, const struct iovec *vector, int count)
{
    GUARDED_DESCRIPTOR(ssize_t, -1, descriptor, TOUCH_CHANGE,
                       REAL(writev)(descriptor, vector, count));
}

INTERPOSE ssize_t pwritev(int descriptor, const struct iovec *vector, int count, off_t offset)
{
    GUARDED_DESCRIPTOR(ssize_t, -1, descriptor, TOUCH_CHANGE,
                       REAL(pwritev)(descriptor, vector, count, offset));
}

INTERPOSE ssize_t pwritev64(int descriptor, const struct iovec *vector, int count, off64_t offset)
{
    GUARDED_DESCRIPTOR(ssize_t, -1, descriptor, TOUCH_CHANGE,
                       REAL(pwritev64)(descriptor, vector, count, offset));
}

INTERPOSE ssize_t pwritev2(int descriptor, const struct iovec *vector, int count, off_t offset,
                           int flags)
{
    GUARDED_DESCRIPTOR(ssize_t, -1, descriptor, TOUCH_CHANGE,
                       REAL(pwritev2)(descriptor, vector, count, offset, flags));
}

INTERPOSE ssize_t pwritev64v2(int descriptor, const struct iovec *vector, int count, off64_t offset,
                              int flags)
{
    GUARDED_DESCRIPTOR(ssize_t, -1, descriptor, TOUCH_CHANGE,
                       REAL(pwritev64v2)(descriptor, vector, count, offset, flags));
}
