/*
 * Calls in which the kernel moves data into a file: the changed descriptor is another argument in
 * each. And asynchronous writes, which a helper thread of libc makes later: while the descriptor is
 * open its session covers them.
 */
#include "shim/interpose/opened.h"
#include "shim/interpose/real.h"
#include "shim/touch.h"

/* Where the offset stands, or NULL. */
#define RANGE_BEHIND(where, many)                                                                  \
    ((struct touch_range){.offset = TOUCH_AT_POSITION, .size = (many), .offset_at = (where)})

INTERPOSE ssize_t sendfile(int to, int from, off_t *offset, size_t size)
{
    GUARDED_RANGE(ssize_t, -1, to, TOUCH_CHANGE, RANGE(TOUCH_AT_POSITION, size),
                  REAL(sendfile)(to, from, offset, size));
}

INTERPOSE ssize_t sendfile64(int to, int from, off64_t *offset, size_t size)
{
    GUARDED_RANGE(ssize_t, -1, to, TOUCH_CHANGE, RANGE(TOUCH_AT_POSITION, size),
                  REAL(sendfile64)(to, from, offset, size));
}

INTERPOSE ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset,
                                  size_t size, unsigned flags)
{
    GUARDED_RANGE(ssize_t, -1, to, TOUCH_CHANGE, RANGE_BEHIND(to_offset, size),
                  REAL(copy_file_range)(from, from_offset, to, to_offset, size, flags));
}

INTERPOSE ssize_t splice(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t size,
                         unsigned flags)
{
    GUARDED_RANGE(ssize_t, -1, to, TOUCH_CHANGE, RANGE_BEHIND(to_offset, size),
                  REAL(splice)(from, from_offset, to, to_offset, size, flags));
}

INTERPOSE ssize_t tee(int from, int to, size_t size, unsigned flags)
{
    GUARDED_DESCRIPTOR(ssize_t, -1, to, TOUCH_CHANGE, REAL(tee)(from, to, size, flags));
}

INTERPOSE int ioctl(int descriptor, ioctl_request request, ...)
{
    IOCTL(REAL(ioctl));
}

#define RANGE_OF(request)                                                                          \
    RANGE((request)->aio_offset < 0 ? INT64_MAX : (request)->aio_offset, (request)->aio_nbytes)

INTERPOSE int aio_write(struct aiocb *request)
{
    GUARDED_RANGE(int, -1, request->aio_fildes, TOUCH_CHANGE, RANGE_OF(request),
                  REAL(aio_write)(request));
}

INTERPOSE int aio_write64(struct aiocb64 *request)
{
    GUARDED_RANGE(int, -1, request->aio_fildes, TOUCH_CHANGE, RANGE_OF(request),
                  REAL(aio_write64)(request));
}

/* Writes of one operation, each inside a touch of its own descriptor. */
#define LIST_FROM(name, real, listed)                                                              \
    static int name(int at, int mode, listed list[restrict], int count, struct sigevent *event)    \
    {                                                                                              \
        struct touch touch;                                                                        \
        while (at < count && (list[at] == NULL || list[at]->aio_lio_opcode != LIO_WRITE ||         \
                              descriptor_word(list[at]->aio_fildes) == 0))                         \
            at++;                                                                                  \
        if (at >= count)                                                                           \
            return real(mode, list, count, event);                                                 \
        int descriptor = list[at]->aio_fildes;                                                     \
        if (!touch_descriptor(&touch, descriptor, descriptor_word(descriptor), TOUCH_CHANGE))      \
            return name(at + 1, mode, list, count, event);                                         \
        int result = touch.error != 0 ? -1 : name(at + 1, mode, list, count, event);               \
        touch_end(&touch);                                                                         \
        return result;                                                                             \
    }

LIST_FROM(list_from, REAL(lio_listio), aiocb_listed)
LIST_FROM(list_from_64, REAL(lio_listio64), struct aiocb64 *const)

INTERPOSE int lio_listio(int mode, aiocb_listed list[restrict], int count, struct sigevent *event)
{
    return list_from(0, mode, list, count, event);
}

INTERPOSE int lio_listio64(int mode, struct aiocb64 *const list[], int count,
                           struct sigevent *event)
{
    return list_from_64(0, mode, list, count, event);
}
