/*
 * Fences in other processes (takeover.h). Where a fence stands comes from the registry, which may
 * be forged, to make a privileged lockctl write where it should not: so an address is believed only
 * inside the writable data of a mapped liblockshim.so, as that object's own program headers tell.
 */
#include "shim/lock/command_anchor.h"
#include "shim/lock/command_member.h"
#include "shim/lock/process.h"
#include "shim/lock/takeover.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DATA_LIMIT (64u << 20) /* far more than the shim has */

/*
 * By the file of its memory, which stays that of the program that runs now. By its pid what is
 * written could reach one that it executes meanwhile, and that it has no power over (set-user-ID).
 */
static int read_memory(const struct takeover_fence *fence, uint64_t address, void *buffer,
                       size_t size)
{
    ssize_t got = pread(fence->memory, buffer, size, (off_t)address);
    return got < 0 ? -errno : got == 0 ? -ESRCH : got == (ssize_t)size ? 0 : -EFAULT;
}

static int write_memory(const struct takeover_fence *fence, uint64_t address, const void *buffer,
                        size_t size)
{
    ssize_t got = pwrite(fence->memory, buffer, size, (off_t)address);
    return got < 0 ? -errno : got == 0 ? -ESRCH : got == (ssize_t)size ? 0 : -EFAULT;
}

/* What is asked of an object's headers, for programs of either width. */
#define FIND_DATA(width)                                                                           \
    static bool find_data_##width(const struct takeover_fence *fence, uint64_t base,               \
                                  uint64_t *begin, uint64_t *end)                                  \
    {                                                                                              \
        enum { HEADERS = 32 };                                                                     \
        Elf##width##_Ehdr header;                                                                  \
        Elf##width##_Phdr segments[HEADERS];                                                       \
        if (read_memory(fence, base, &header, sizeof header) != 0 || header.e_type != ET_DYN ||    \
            header.e_phentsize != sizeof segments[0] || header.e_phnum > HEADERS ||                \
            read_memory(fence, base + header.e_phoff, segments,                                    \
                        header.e_phnum * sizeof segments[0]))                                      \
            return false;                                                                          \
        for (int i = 0; i < header.e_phnum; i++) {                                                 \
            if (segments[i].p_type != PT_LOAD || (segments[i].p_flags & PF_W) == 0 ||              \
                segments[i].p_memsz > DATA_LIMIT)                                                  \
                continue;                                                                          \
            *begin = base + segments[i].p_vaddr;                                                   \
            *end = *begin + segments[i].p_memsz;                                                   \
            return true;                                                                           \
        }                                                                                          \
        return false;                                                                              \
    }
FIND_DATA(32)
FIND_DATA(64)

/* The writable data of the object that begins at `base`; false when that is no sound object. */
static bool find_data(const struct takeover_fence *fence, uint64_t base, uint64_t *begin,
                      uint64_t *end)
{
    unsigned char kind[EI_NIDENT];
    if (read_memory(fence, base, kind, sizeof kind) != 0 || memcmp(kind, ELFMAG, SELFMAG) != 0)
        return false;
    return kind[EI_CLASS] == ELFCLASS32 ? find_data_32(fence, base, begin, end)
                                        : find_data_64(fence, base, begin, end);
}

static bool names_shim(const char *line)
{
    static const char name[] = "/liblockshim.so";
    const char *found = strstr(line, name);
    const char *end = found != NULL ? found + sizeof name - 1 : NULL;
    return found != NULL && (*end == '\n' || strcmp(end, " (deleted)\n") == 0);
}

static bool find_shim_data(const struct takeover_fence *fence, uint64_t *data, uint64_t *end)
{
    char path[64], *line = NULL;
    size_t room = 0;
    bool found = false;
    FILE *maps = fopen(process_path(path, fence->process->thread, "maps", -1), "re");
    if (maps == NULL)
        return false;
    while (!found && getline(&line, &room, maps) > 0) {
        unsigned long begin, offset;
        if (names_shim(line) && sscanf(line, "%lx-%*x %*s %lx", &begin, &offset) == 2 &&
            offset == 0)
            found = find_data(fence, begin, data, end);
    }
    free(line);
    (void)fclose(maps);
    return found;
}

static bool fits(const struct fence *fence, const struct takeover_lock *lock)
{
    return fence->magic == FENCE_MAGIC && fence->device == lock->device &&
           fence->inode == lock->inode;
}

/* Where the registry says nothing, or something wrong: the shim's data is looked through. */
static uint64_t search_data(const struct takeover_fence *fence, const struct takeover_lock *lock,
                            uint64_t begin, uint64_t end)
{
    enum { PIECE = 1 << 16 };
    uint64_t found = 0;
    char *piece = malloc(PIECE + sizeof(struct fence));
    for (uint64_t at = begin; piece != NULL && found == 0 && at < end; at += PIECE) {
        size_t size = end - at < PIECE + sizeof(struct fence) ? (size_t)(end - at)
                                                              : PIECE + sizeof(struct fence);
        if (read_memory(fence, at, piece, size) != 0)
            break;
        for (size_t i = (8 - at % 8) % 8; found == 0 && i + sizeof(struct fence) <= size; i += 8) {
            struct fence copy;
            memcpy(&copy, piece + i, sizeof copy);
            if (fits(&copy, lock))
                found = at + i;
        }
    }
    free(piece);
    return found;
}

int takeover_fence_read(const struct takeover_fence *fence, struct fence *copy)
{
    return read_memory(fence, fence->address, copy, sizeof *copy);
}

static bool is_at(const struct takeover_fence *fence, const struct takeover_lock *lock,
                  uint64_t begin, uint64_t end)
{
    struct fence copy;
    return fence->address >= begin && fence->address % _Alignof(struct fence) == 0 &&
           end - begin >= sizeof copy && fence->address <= end - sizeof copy &&
           takeover_fence_read(fence, &copy) == 0 && fits(&copy, lock);
}

int takeover_fence_find(struct takeover_fence *fence, const struct takeover_process *process,
                        const struct takeover_lock *lock, uint64_t hint)
{
    char path[64];
    uint64_t begin, end;
    int memory = open(process_path(path, process->thread, "mem", -1), O_RDWR | O_CLOEXEC);
    *fence = (struct takeover_fence){process, hint, memory};
    if (memory >= 0 && find_shim_data(fence, &begin, &end)) {
        if (is_at(fence, lock, begin, end))
            return 0;
        fence->address = search_data(fence, lock, begin, end);
        if (fence->address != 0)
            return 0;
    }
    takeover_fence_close(fence);
    return -EINVAL;
}

void takeover_fence_close(struct takeover_fence *fence)
{
    if (fence->memory >= 0)
        (void)close(fence->memory);
    fence->memory = -1;
}

static int write_raised(const struct takeover_fence *fence, uint32_t value)
{
    return write_memory(fence, fence->address + offsetof(struct fence, raised), &value,
                        sizeof value);
}

int takeover_fence_raise(const struct takeover_fence *fence, uint64_t acquisition)
{
    return write_raised(fence, fence_value(acquisition));
}

void takeover_fence_lower(const struct takeover_fence *fence)
{
    (void)write_raised(fence, 0);
}

int takeover_fence_wait(const struct takeover_fence *fence, uint64_t acquisition,
                        int64_t nanoseconds)
{
    uint64_t end = registry_now() + (uint64_t)nanoseconds;
    for (long pause = 20000;; pause = pause < 5000000 ? pause * 2 : pause) {
        struct fence copy;
        int result = takeover_fence_read(fence, &copy);
        if (result != 0)
            return result;
        if (copy.magic != FENCE_MAGIC) /* another program by now: it has executed one */
            return -ESRCH;
        if (atomic_load(&copy.acquisition) != acquisition)
            return -ESTALE;
        if (atomic_load(&copy.calls) == 0)
            return (acquisition & FENCE_OVER) == 0 ? 0 : -ESTALE;
        if (registry_now() >= end)
            return -ETIMEDOUT;
        nanosleep(&(struct timespec){0, pause}, NULL);
    }
}

/* --- commands --- */

struct anchor_search {
    const struct takeover_process *process;
    const struct takeover_lock *lock;
    struct command_entry *found;
    int descriptor; /* of the anchor that it is in */
};

/* A copy of the process's anchor, mapped; sealed, so that it can't shrink under the map. */
static struct command_anchor *map_anchor(int copy)
{
    struct stat status;
    void *map = MAP_FAILED;
    int seals = fcntl(copy, F_GET_SEALS);
    if (seals >= 0 && (seals & F_SEAL_SHRINK) != 0 && fstat(copy, &status) == 0 &&
        status.st_size >= (off_t)sizeof(struct command_anchor))
        map = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, copy, 0);
    if (map == MAP_FAILED)
        return NULL;
    struct command_anchor *anchor = map;
    size_t entries = ((size_t)status.st_size - sizeof *anchor) / sizeof anchor->entries[0];
    if (memcmp(anchor->magic, COMMAND_MAGIC, sizeof anchor->magic) == 0 &&
        anchor->version == COMMAND_VERSION && anchor->size == (uint64_t)status.st_size &&
        anchor->count <= entries)
        return anchor;
    (void)munmap(map, (size_t)status.st_size);
    return NULL;
}

static struct command_entry *find_entry(int copy, const struct takeover_lock *lock)
{
    struct command_anchor *anchor = map_anchor(copy);
    if (anchor == NULL)
        return NULL;
    /* Its bytes may change while we look: the count is read once. */
    size_t size = (size_t)anchor->size;
    uint32_t count = anchor->count;
    if (count > (size - sizeof *anchor) / sizeof anchor->entries[0])
        count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct command_entry *entry = &anchor->entries[i];
        if (entry->device == lock->device && entry->inode == lock->inode)
            return entry;
    }
    (void)munmap(anchor, size);
    return NULL;
}

static bool look_at_anchor(long number, void *context)
{
    struct anchor_search *search = context;
    char path[64], target[64];
    ssize_t length = readlink(process_path(path, search->process->thread, "fd", number), target,
                              sizeof target - 1);
    static const char name[] = "/memfd:lockshim-command";
    if (length < (ssize_t)sizeof name - 1 || memcmp(target, name, sizeof name - 1) != 0)
        return true;
    int copy = (int)syscall(SYS_pidfd_getfd, search->process->pidfd, (int)number, 0);
    if (copy < 0)
        return true;
    search->found = find_entry(copy, search->lock);
    if (search->found != NULL)
        search->descriptor = copy;
    else
        (void)close(copy);
    return search->found == NULL;
}

struct command_entry *takeover_command_find(const struct takeover_process *process,
                                            const struct takeover_lock *lock, int *anchor)
{
    char path[64];
    struct anchor_search search = {process, lock, NULL, -1};
    process_each_number(process_path(path, process->thread, "fd", -1), look_at_anchor, &search);
    *anchor = search.descriptor;
    return search.found;
}

void takeover_command_mark(struct command_entry *entry, uint32_t state)
{
    atomic_store(&entry->broken, state);
}

/* Who is leaving has the lock on the anchor's byte until its end. */
static bool is_leaving(const struct command_entry *entry, int anchor, pid_t *supervisor)
{
    struct flock byte = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    *supervisor = 0;
    if (atomic_load(&((struct command_entry *)entry)->leaving) == 0 ||
        fcntl(anchor, F_GETLK, &byte) != 0 || byte.l_type == F_UNLCK)
        return false;
    *supervisor = byte.l_pid > 0 ? byte.l_pid : 0;
    return true;
}

int takeover_command_wait(const struct command_entry *entry, int anchor, int64_t nanoseconds,
                          pid_t *supervisor)
{
    uint64_t end = registry_now() + (uint64_t)nanoseconds;
    while (is_leaving(entry, anchor, supervisor)) {
        if (registry_now() >= end)
            return -ETIMEDOUT;
        nanosleep(&(struct timespec){0, 200000}, NULL);
    }
    return 0;
}
