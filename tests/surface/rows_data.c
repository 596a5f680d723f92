/* Rows: writing through descriptors and streams, moving data, mappings. */
#include "tests/surface/surface.h"

#include "shim/interpose/prototypes.h"

#include <errno.h>
#include <linux/fs.h>
#include <string.h>

static struct iovec two[2] = {{(char *)"ab", 2}, {(char *)"cd", 2}};

#define WRITES(name, CALL)                                                                         \
    ROW(name, table, CHANGE, CALL(area->descriptor))                                               \
    ROW(name, read_only, CHANGE, CALL(area->reader))                                               \
    ROW(name, outside, NONE, CALL(area->data))                                                     \
    ROW(name, pipe, NONE, CALL(area->pipe[1]))                                                     \
    ROW(name, negative, NONE, CALL(-1))                                                            \
    ROW(name, closed, NONE, CALL(99))
#define CALL_write(fd) write(fd, "wrote", 5)
WRITES(write, CALL_write)
ROW(write, bad_data, CHANGE, write(area->descriptor, BAD, 5))
#define CALL___write(fd) __write(fd, "wrote", 5)
WRITES(__write, CALL___write)
#define CALL_pwrite(fd) pwrite(fd, "wrote", 5, 2)
WRITES(pwrite, CALL_pwrite)
#define CALL_pwrite64(fd) pwrite64(fd, "wrote", 5, 2)
WRITES(pwrite64, CALL_pwrite64)
#define CALL___pwrite64(fd) __pwrite64(fd, "wrote", 5, 2)
WRITES(__pwrite64, CALL___pwrite64)
#define CALL_writev(fd) writev(fd, two, 2)
WRITES(writev, CALL_writev)
#define CALL_pwritev(fd) pwritev(fd, two, 2, 3)
WRITES(pwritev, CALL_pwritev)
#define CALL_pwritev64(fd) pwritev64(fd, two, 2, 3)
WRITES(pwritev64, CALL_pwritev64)
#define CALL_pwritev2(fd) pwritev2(fd, two, 2, 3, RWF_APPEND)
WRITES(pwritev2, CALL_pwritev2)
#define CALL_pwritev64v2(fd) pwritev64v2(fd, two, 2, 3, 0)
WRITES(pwritev64v2, CALL_pwritev64v2)
#define CALL_dprintf(fd) dprintf(fd, "%d %s", 12, "x")
WRITES(dprintf, CALL_dprintf)
#define CALL___dprintf_chk(fd) __dprintf_chk(fd, 1, "%d %s", 12, "x")
WRITES(__dprintf_chk, CALL___dprintf_chk)

static int variable(int (*call)(int, const char *, va_list), int fd, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int result = call(fd, format, list);
    va_end(list);
    return result;
}
#define CALL_vdprintf(fd) variable(vdprintf, fd, "%d %s", 12, "x")
WRITES(vdprintf, CALL_vdprintf)
static int checked(int fd, const char *format, va_list list)
{
    return __vdprintf_chk(fd, 1, format, list);
}
#define CALL___vdprintf_chk(fd) variable(checked, fd, "%d %s", 12, "x")
WRITES(__vdprintf_chk, CALL___vdprintf_chk)

/* --- the kernel moves data --- */

#define CALL_sendfile(fd) sendfile(fd, area->data, NULL, 8)
WRITES(sendfile, CALL_sendfile)
#define CALL_sendfile64(fd) sendfile64(fd, area->data, NULL, 8)
WRITES(sendfile64, CALL_sendfile64)
ROW(sendfile, from_table, NONE, sendfile(area->pipe[1], area->reader, NULL, 5))
static off64_t *offset(off64_t value)
{
    static off64_t place;
    place = value;
    return &place;
}
#define CALL_copy_file_range(fd) copy_file_range(area->reader, offset(2), fd, NULL, 4, 0)
WRITES(copy_file_range, CALL_copy_file_range)
#define CALL_splice(fd) splice(area->pipe[0], NULL, fd, NULL, 4, 0)
ROW(splice, table, CHANGE, CALL_splice(area->descriptor))
ROW(splice, closed, NONE, CALL_splice(99))
ROW(splice, from_table, NONE, splice(area->reader, NULL, area->pipe[1], NULL, 4, 0))
static long tee_pipes(struct area *area)
{
    int other[2];
    if (pipe(other) != 0)
        return -1000;
    long result = tee(area->pipe[0], other[1], 4, 0);
    (void)close(other[0]);
    (void)close(other[1]);
    return result;
}
ROW(tee, pipes, NONE, tee_pipes(area))
ROW(tee, table, CHANGE, tee(area->pipe[0], area->descriptor, 4, 0))
ROW(tee, closed, NONE, tee(area->pipe[0], 99, 4, 0))
ROW(ioctl, clone, CHANGE, ioctl(area->descriptor, FICLONE, area->reader))
static long clone_range(int fd, int source)
{
    struct file_clone_range range = {.src_fd = source, .src_length = 4096};
    return ioctl(fd, FICLONERANGE, &range);
}
ROW(ioctl, clone_range, CHANGE, clone_range(area->descriptor, area->reader))
ROW(ioctl, clone_closed, NONE, ioctl(99, FICLONE, area->reader))
static long readable(int fd)
{
    int count = -5;
    return ioctl(fd, FIONREAD, &count) == 0 ? count : -1;
}
ROW(ioctl, readable, NONE, readable(area->descriptor))
ROW(ioctl, readable_pipe, NONE, readable(area->pipe[0]))

/* --- written later --- */

static long finish(const struct aiocb *request)
{
    const struct aiocb *list[1] = {request};
    while (aio_error(request) == EINPROGRESS)
        (void)aio_suspend(list, 1, NULL);
    int error = aio_error(request);
    long result = aio_return((struct aiocb *)(uintptr_t)request);
    errno = error != 0 ? error : 77;
    return result;
}
static struct aiocb *request(int fd, int operation)
{
    static struct aiocb block;
    block = (struct aiocb){
        .aio_fildes = fd, .aio_buf = (char *)"later", .aio_nbytes = 5, .aio_lio_opcode = operation};
    return &block;
}
static long write_later(int fd)
{
    struct aiocb *block = request(fd, LIO_NOP);
    return aio_write(block) != 0 ? -1 : finish(block);
}
WRITES(aio_write, write_later)
static long write_later64(int fd)
{
    struct aiocb64 block = {.aio_fildes = fd, .aio_buf = (char *)"later", .aio_nbytes = 5};
    return aio_write64(&block) != 0 ? -1 : finish((const struct aiocb *)(const void *)&block);
}
WRITES(aio_write64, write_later64)
static long write_list(int fd)
{
    struct aiocb *list[2] = {NULL, request(fd, LIO_WRITE)};
    return lio_listio(LIO_WAIT, list, 2, NULL) != 0 ? -1 : finish(list[1]);
}
WRITES(lio_listio, write_list)
static long write_list64(int fd)
{
    struct aiocb64 block = {
        .aio_fildes = fd, .aio_buf = (char *)"later", .aio_nbytes = 5, .aio_lio_opcode = LIO_WRITE};
    struct aiocb64 *list[1] = {&block};
    if (lio_listio64(LIO_WAIT, list, 1, NULL) != 0)
        return -1;
    return finish((const struct aiocb *)(const void *)&block);
}
WRITES(lio_listio64, write_list64)

/* --- mappings --- */

static long map_and_store(struct area *area, void *mapped)
{
    if (mapped != MAP_FAILED)
        memcpy(mapped, "stored", 6);
    return mapping(area, mapped, 8);
}
#define MAPS(name)                                                                                 \
    ROW(name, shared, CHANGE,                                                                      \
        map_and_store(area,                                                                        \
                      name(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, area->descriptor, 0)))     \
    ROW(name, private, READ,                                                                       \
        map_and_store(area, name(NULL, 8, PROT_WRITE, MAP_PRIVATE, area->descriptor, 0)))          \
    ROW(name, read, READ, mapping(area, name(NULL, 8, PROT_READ, MAP_SHARED, area->reader, 0), 8)) \
    ROW(name, refused, READ,                                                                       \
        mapping(area, name(NULL, 8, PROT_READ, MAP_SHARED, area->reader, 1), 8))                   \
    ROW(name, outside, NONE,                                                                       \
        map_and_store(area, name(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, area->data, 0)))     \
    ROW(name, anonymous, NONE,                                                                     \
        map_and_store(area, name(NULL, 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,     \
                                 area->descriptor, 0)))                                            \
    ROW(name, closed, NONE, mapping(area, name(NULL, 8, PROT_READ, MAP_SHARED, 99, 0), 8))
MAPS(mmap)
MAPS(mmap64)
static long map_then(struct area *area, int fd, bool move)
{
    char *mapped = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED)
        return -1;
    note_probe(area);
    if (move)
        mapped = mremap(mapped, 4096, 8192, MREMAP_MAYMOVE);
    return mapped == MAP_FAILED ? -1 : munmap(mapped, move ? 8192 : 4096);
}
ROW(munmap, table, READ, map_then(area, area->reader, false))
ROW(munmap, outside, NONE, map_then(area, area->data, false))
ROW(munmap, invalid, NONE, munmap((void *)1, 4096))
ROW(mremap, table, READ, map_then(area, area->reader, true))
ROW(mremap, outside, NONE, map_then(area, area->data, true))
ROW(mremap, invalid, NONE, yes(mremap((void *)1, 4096, 8192, 0) == MAP_FAILED ? NULL : ""))
