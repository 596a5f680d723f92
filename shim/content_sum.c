/*
 * The sum of a file's content. It must never move where a descriptor stands, nor wait: for a pipe,
 * or for who has a lease.
 */
#include "shim/content_sum.h"

#include "shim/lock/kernel.h"
#include "shim/lock/process.h"

#include <string.h>

enum { PIECE = 4096 };

/* Four sums side by side, each of every fourth word: one waits for the multiplication before it. */
enum { LANES = 4, STRIDE = LANES * 8 };

static uint64_t mixed(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
    return sum ^ sum >> 32;
}

static void add_to_sum(uint64_t lanes[static LANES], const unsigned char *bytes)
{
    uint64_t words[LANES];
    memcpy(words, bytes, STRIDE);
    for (int i = 0; i < LANES; i++)
        lanes[i] = mixed(lanes[i], words[i]);
}

/* Of all that the descriptor's file has; 0: that is not `size` bytes, or they can't be read. */
static uint64_t sum_of_open(int descriptor, uint64_t size)
{
    _Alignas(8) unsigned char piece[PIECE + STRIDE];
    uint64_t lanes[LANES] = {1, 2, 3, size}, done = 0;
    for (;;) {
        ssize_t count = kernel_pread(descriptor, piece, PIECE, (off_t)done);
        if (count <= 0 || (uint64_t)count > size - done) {
            if (count != 0 || done != size)
                return 0;
            break;
        }
        memset(piece + count, 0, STRIDE);
        for (ssize_t at = 0; at < count; at += STRIDE)
            add_to_sum(lanes, piece + at);
        done += (uint64_t)count;
    }
    for (int i = 1; i < LANES; i++)
        lanes[0] = mixed(lanes[0], lanes[i]);
    return lanes[0] | 1;
}

static uint64_t sum_of_path(int directory, const char *path, int flags, uint64_t size)
{
    int descriptor =
        kernel_openat(directory, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | flags, 0);
    if (descriptor < 0)
        return 0;
    uint64_t sum = sum_of_open(descriptor, size);
    (void)kernel_close(descriptor);
    return sum;
}

uint64_t content_sum(const struct lost_update_file *file, uint64_t at_most)
{
    char itself[64];
    uint64_t size = (uint64_t)file->status->st_size;
    if (!S_ISREG(file->status->st_mode) || size > at_most)
        return 0;
    if (file->path != NULL)
        return sum_of_path(file->descriptor, file->path, file->follow ? 0 : O_NOFOLLOW, size);
    uint64_t sum = sum_of_open(file->descriptor, size);
    if (sum != 0)
        return sum;
    /* Perhaps it is open for writing only. */
    return sum_of_path(AT_FDCWD, process_own_descriptor(itself, file->descriptor), 0, size);
}
