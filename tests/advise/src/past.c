/*
 * past raw|uring FILE: writes a line into FILE in ways that no preload sees: system calls made
 * without libc, or io_uring. Exit status 77 where there is no such way here.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/lock/kernel.h"

static const char line[] = "past\n";

static int write_raw(const char *path)
{
    int descriptor = kernel_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (descriptor < 0)
        return 1;
    ssize_t written = kernel_write(descriptor, line, sizeof line - 1);
    (void)kernel_close(descriptor);
    return written == (ssize_t)sizeof line - 1 ? 0 : 1;
}

struct ring {
    int descriptor;
    struct io_uring_params parameters;
    char *submissions, *completions;
    struct io_uring_sqe *entries;
};

static uint32_t *at(char *ring, uint32_t offset)
{
    return (uint32_t *)(void *)(ring + offset);
}

static void *map_ring(const struct ring *ring, size_t size, off_t offset)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                        ring->descriptor, offset);
    if (memory == MAP_FAILED)
        err(77, "mmap");
    return memory;
}

static void open_ring(struct ring *ring)
{
    ring->descriptor = (int)syscall(SYS_io_uring_setup, 4, &ring->parameters);
    if (ring->descriptor < 0)
        err(77, "io_uring_setup");
    const struct io_uring_params *parameters = &ring->parameters;
    ring->submissions =
        map_ring(ring, parameters->sq_off.array + parameters->sq_entries * sizeof(uint32_t),
                 IORING_OFF_SQ_RING);
    ring->completions = map_ring(
        ring, parameters->cq_off.cqes + parameters->cq_entries * sizeof(struct io_uring_cqe),
        IORING_OFF_CQ_RING);
    ring->entries = map_ring(ring, parameters->sq_entries * sizeof *ring->entries, IORING_OFF_SQES);
}

/* Hands in one request, and waits for its result. */
static int submit(struct ring *ring, const struct io_uring_sqe *request)
{
    const struct io_uring_params *parameters = &ring->parameters;
    uint32_t tail = *at(ring->submissions, parameters->sq_off.tail);
    uint32_t slot = tail & *at(ring->submissions, parameters->sq_off.ring_mask);
    ring->entries[slot] = *request;
    at(ring->submissions, parameters->sq_off.array)[slot] = slot;
    __atomic_store_n(at(ring->submissions, parameters->sq_off.tail), tail + 1, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, ring->descriptor, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
        err(77, "io_uring_enter");
    uint32_t head = *at(ring->completions, parameters->cq_off.head);
    const struct io_uring_cqe *results =
        (const void *)(ring->completions + parameters->cq_off.cqes);
    int result = results[head & *at(ring->completions, parameters->cq_off.ring_mask)].res;
    __atomic_store_n(at(ring->completions, parameters->cq_off.head), head + 1, __ATOMIC_RELEASE);
    return result;
}

static int write_by_ring(const char *path)
{
    struct ring ring = {0};
    open_ring(&ring);
    int descriptor =
        submit(&ring, &(struct io_uring_sqe){.opcode = IORING_OP_OPENAT,
                                             .fd = AT_FDCWD,
                                             .addr = (uintptr_t)path,
                                             .open_flags = O_WRONLY | O_CREAT | O_TRUNC,
                                             .len = 0666});
    if (descriptor < 0) {
        errno = -descriptor;
        err(descriptor == -EINVAL ? 77 : 1, "%s", path);
    }
    int written = submit(&ring, &(struct io_uring_sqe){.opcode = IORING_OP_WRITE,
                                                       .fd = descriptor,
                                                       .addr = (uintptr_t)line,
                                                       .len = sizeof line - 1});
    (void)usleep(50000); /* still there when somebody looks who that was */
    return written == (int)sizeof line - 1 ? 0 : 1;
}

int main(int count, char **words)
{
    if (count != 3)
        errx(2, "usage: past raw|uring FILE");
    return strcmp(words[1], "uring") == 0 ? write_by_ring(words[2]) : write_raw(words[2]);
}
