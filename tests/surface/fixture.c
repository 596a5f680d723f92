/*
 * The ground that a row stands on: files, descriptors, and a digest of what is there afterwards.
 * All by system calls past the shim, but for one: descriptors reach the program by recvmsg.
 */
#include "tests/surface/surface.h"

#include "shim/lock/kernel.h"

#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>

static void must(long result, const char *what)
{
    if (result >= 0)
        return;
    fprintf(stderr, "surface: %s: %s\n", what, strerror((int)-result));
    exit(2);
}

const char *in(const struct area *area, const char *name)
{
    static char paths[16][512];
    static unsigned next;
    char *path = paths[next++ % 16];
    (void)snprintf(path, sizeof paths[0], "%s/%s", area->directory, name);
    return path;
}

const char *out(const struct area *area, const char *name)
{
    static char paths[16][512];
    static unsigned next;
    char *path = paths[next++ % 16];
    (void)snprintf(path, sizeof paths[0], "%s/%s", area->outside, name);
    return path;
}

static void make_file(const char *path, const char *content)
{
    int file = kernel_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    must(file, path);
    must(kernel_write(file, content, strlen(content)), path);
    (void)kernel_close(file);
}

static void make_directory(const char *path)
{
    must(KERNEL_CALL(SYS_mkdirat, AT_FDCWD, path, 0755, 0, 0, 0), path);
}

static void make_link(const char *target, const char *path)
{
    must(KERNEL_CALL(SYS_symlinkat, target, AT_FDCWD, path, 0, 0, 0), path);
}

/* Hands a descriptor to the program as another process would: it gets the lowest number. */
static int introduce(int made)
{
    int pair[2];
    char byte = 'x', control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(part), &made, sizeof made);
    must(KERNEL_CALL(SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0, pair, 0, 0), "socketpair");
    must(KERNEL_CALL(SYS_sendmsg, pair[0], &message, 0, 0, 0, 0), "sendmsg");
    (void)kernel_close(made);
    must(recvmsg(pair[1], &message, 0), "recvmsg");
    int received;
    // NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): exactly one has been sent
    memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof received);
    (void)kernel_close(pair[0]);
    (void)kernel_close(pair[1]);
    return received;
}

static int open_introduced(const char *path, int flags)
{
    int file = kernel_openat(AT_FDCWD, path, flags, 0);
    must(file, path);
    return introduce(file);
}

void fixture_make(struct area *area, const char *base, const char *beside, const char *name)
{
    *area = (struct area){.at = -1};
    (void)snprintf(area->directory, sizeof area->directory, "%s/%s", base, name);
    (void)snprintf(area->outside, sizeof area->outside, "%s/%s", beside, name);
    make_directory(area->directory);
    make_directory(area->outside);
    make_file(in(area, "file"), "content\n");
    make_file(in(area, "other"), "other content\n");
    make_directory(in(area, "sub"));
    make_file(in(area, "sub/inner"), "inner\n");
    make_directory(in(area, "empty"));
    make_link("file", in(area, "link"));
    make_link("loop", in(area, "loop"));
    make_link("nowhere", in(area, "dangling"));
    make_file(out(area, "plain"), "plain\n");
    make_link(in(area, "file"), out(area, "into"));
    make_link(out(area, "plain"), in(area, "away"));
    area->at = open_introduced(area->directory, O_RDONLY | O_DIRECTORY);
    area->descriptor = open_introduced(in(area, "file"), O_RDWR);
    area->reader = open_introduced(in(area, "other"), O_RDONLY);
    area->data = kernel_memfd_create("surface", 0);
    must(area->data, "memfd_create");
    must(kernel_pwrite(area->data, "datadata", 8, 0), "memfd");
    must(KERNEL_CALL(SYS_pipe2, area->pipe, 0, 0, 0, 0, 0), "pipe");
    must(kernel_write(area->pipe[1], "pipepipe", 8), "pipe");
}

void fixture_close(struct area *area)
{
    /* The program's own close, as the shim counts what it let in. */
    (void)close(area->at);
    (void)close(area->descriptor);
    (void)close(area->reader);
    (void)close(area->data);
    (void)close(area->pipe[0]);
    (void)close(area->pipe[1]);
}

/* --- what is there --- */

static uint64_t mix(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * 1099511628211u;
    return hash;
}

static uint64_t digest_directory(int parent, const char *name);

static uint64_t digest_entry(int parent, const char *name)
{
    struct stat status;
    char content[4096];
    if (kernel_fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return 1;
    /* Names that mkstemp makes are different every time. */
    uint64_t hash =
        mix(14695981039346656037u, name, strncmp(name, "tmp", 3) == 0 ? 3 : strlen(name));
    hash = mix(hash, &status.st_mode, sizeof status.st_mode);
    if (S_ISDIR(status.st_mode))
        return hash ^ (digest_directory(parent, name) * 31);
    ssize_t size = 0;
    if (S_ISREG(status.st_mode)) {
        int file = kernel_openat(parent, name, O_RDONLY, 0);
        size = kernel_pread(file, content, sizeof content, 0);
        (void)kernel_close(file);
        hash = mix(hash, &status.st_size, sizeof status.st_size);
    }
    return mix(hash, content, size > 0 ? (size_t)size : 0);
}

struct entry {
    uint64_t inode;
    int64_t next;
    unsigned short length;
    unsigned char type;
    char name[];
};

/* A sum, so that the order of entries does not matter. */
static uint64_t digest_directory(int parent, const char *name)
{
    _Alignas(8) char buffer[8192];
    uint64_t sum = 0;
    int opened = kernel_openat(parent, name, O_RDONLY | O_DIRECTORY, 0);
    if (opened < 0)
        return 2;
    ssize_t got;
    while ((got = kernel_getdents(opened, buffer, sizeof buffer)) > 0) {
        const struct entry *entry;
        for (ssize_t at = 0; at < got; at += entry->length) {
            entry = (const struct entry *)(const void *)(buffer + at);
            if (strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0)
                sum += digest_entry(opened, entry->name);
        }
    }
    (void)kernel_close(opened);
    return sum;
}

uint64_t fixture_digest(const struct area *area)
{
    return digest_directory(AT_FDCWD, area->directory) +
           31 * digest_directory(AT_FDCWD, area->outside);
}

bool fixture_lock_is_held(const char *lock)
{
    int file = kernel_openat(AT_FDCWD, lock, O_RDONLY, 0);
    if (file < 0)
        return false;
    bool held = kernel_flock(file, LOCK_EX | LOCK_NB) != 0;
    (void)kernel_close(file);
    return held;
}
