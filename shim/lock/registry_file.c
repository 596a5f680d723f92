/*
 * The registry's file: finding it, making it, mending one that was cut off. It must never touch a
 * file that is no registry, nor let anybody see a half-made one.
 */
#include "shim/lock/registry.h"

#include "shim/lock/kernel_files.h"
#include "shim/lock/own.h"
#include "shim/lock/process.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

const char registry_magic[8] = "lockshim";

static time_t wall_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec;
}

/* Blocks for the whole file, so that a store can't run into a full disk (a SIGBUS as well). */
static bool fill(int descriptor)
{
    long allocated = kernel_fallocate(descriptor, sizeof(struct registry_layout));
    if (allocated == 0)
        return true;
    if (allocated != -EOPNOTSUPP && allocated != -ENOSYS)
        return false;
    static const char zeros[4096];
    for (size_t at = 0; at < sizeof(struct registry_layout); at += sizeof zeros) {
        if (kernel_pwrite(descriptor, zeros, sizeof zeros, (off_t)at) != (ssize_t)sizeof zeros)
            return false;
    }
    return true;
}

/* How the head begins. */
struct header {
    char magic[8];
    uint32_t version;
    uint32_t header_size;
    uint64_t file_size;
};

static bool write_header(int descriptor)
{
    struct header header = {.version = REGISTRY_VERSION,
                            .header_size = (uint32_t)sizeof(struct registry_head),
                            .file_size = sizeof(struct registry_layout)};
    memcpy(header.magic, registry_magic, sizeof header.magic);
    return kernel_pwrite(descriptor, &header, sizeof header, 0) == (ssize_t)sizeof header;
}

static bool write_table_path(int descriptor, const char *table_path)
{
    size_t length = table_path != NULL ? strlen(table_path) : 0;
    if (length == 0 || length >= sizeof((struct registry_layout *)NULL)->table)
        return true;
    return kernel_pwrite(descriptor, table_path, length, offsetof(struct registry_layout, table)) ==
           (ssize_t)length;
}

/* Whoever may use the table may use its registry. */
static void take_owner_and_mode(int descriptor, const char *table_path, const char *lock_path)
{
    struct stat status, own;
    if ((table_path == NULL || kernel_fstatat(AT_FDCWD, table_path, &status, 0) != 0) &&
        kernel_fstatat(AT_FDCWD, lock_path, &status, 0) != 0)
        return;
    if (kernel_fstat(descriptor, &own) != 0)
        return;
    if (own.st_uid != status.st_uid || own.st_gid != status.st_gid) {
        if (KERNEL_CALL(KERNEL_FCHOWN, descriptor, status.st_uid, status.st_gid, 0, 0, 0) != 0)
            (void)KERNEL_CALL(KERNEL_FCHOWN, descriptor, -1, status.st_gid, 0, 0, 0);
    }
    (void)KERNEL_CALL(SYS_fchmod, descriptor, status.st_mode & 0666, 0, 0, 0, 0);
}

/* Made under another name and linked into place whole: nobody ever sees a half-made one. */
static int make(const char *path, const char *table_path, const char *lock_path)
{
    char temporary[4200];
    snprintf(temporary, sizeof temporary, "%s.%d.%llx", path, (int)kernel_gettid(),
             (unsigned long long)registry_now());
    int descriptor = kernel_openat(AT_FDCWD, temporary,
                                   O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (descriptor < 0)
        return descriptor;
    int result = -EIO;
    if (fill(descriptor) && write_table_path(descriptor, table_path) && write_header(descriptor)) {
        take_owner_and_mode(descriptor, table_path, lock_path);
        result = (int)KERNEL_CALL(SYS_renameat2, AT_FDCWD, temporary, AT_FDCWD, path,
                                  1 /* RENAME_NOREPLACE */, 0);
        if (result == -EINVAL)
            result = (int)KERNEL_CALL(SYS_linkat, AT_FDCWD, temporary, AT_FDCWD, path, 0, 0);
    }
    (void)KERNEL_CALL(SYS_unlinkat, AT_FDCWD, temporary, 0, 0, 0, 0);
    if (result == 0)
        return descriptor;
    (void)kernel_close(descriptor);
    return result;
}

static bool is_registry(int descriptor)
{
    struct stat status;
    struct header header;
    return kernel_fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) &&
           status.st_size >= (off_t)sizeof(struct registry_layout) &&
           kernel_pread(descriptor, &header, sizeof header, 0) == (ssize_t)sizeof header &&
           memcmp(header.magic, registry_magic, sizeof header.magic) == 0 &&
           header.version == REGISTRY_VERSION && header.file_size == sizeof(struct registry_layout);
}

/*
 * What somebody has cut off or zeroed is made whole: in place, so that those who have it mapped
 * stay together; and not at once, for who cuts it off again and again would hit one who has just
 * mapped it. Anything else that is no registry is not ours to touch.
 */
static bool mend(int descriptor)
{
    static const struct header none;
    struct stat status;
    struct header header;
    if (kernel_fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode) ||
        wall_clock() < status.st_ctim.tv_sec + 2)
        return false;
    memset(&header, 0, sizeof header);
    (void)kernel_pread(descriptor, &header, sizeof header, 0);
    bool zeroed = memcmp(&header, &none, sizeof header) == 0;
    bool cut_off = memcmp(header.magic, registry_magic, sizeof header.magic) == 0 &&
                   header.version == REGISTRY_VERSION &&
                   status.st_size < (off_t)sizeof(struct registry_layout);
    return (zeroed || cut_off) && fill(descriptor) && write_header(descriptor);
}

static int open_file(const char *path, bool may_mend)
{
    int descriptor =
        kernel_openat(AT_FDCWD, path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
    if (descriptor < 0 || is_registry(descriptor) || (may_mend && mend(descriptor)))
        return descriptor;
    (void)kernel_close(descriptor);
    return -EINVAL;
}

static bool name_registry(char *path, size_t size, const char *lock_path)
{
    return (size_t)snprintf(path, size, "%s.registry", lock_path) < size;
}

static int open_or_make(const char *lock_path, const char *table_path, bool may_mend)
{
    char path[4120];
    if (!name_registry(path, sizeof path, lock_path))
        return -ENAMETOOLONG;
    for (int attempt = 0; attempt < 3; attempt++) {
        int descriptor = open_file(path, may_mend);
        if (descriptor != -ENOENT)
            return descriptor;
        descriptor = make(path, table_path, lock_path);
        if (descriptor != -EEXIST)
            return descriptor;
    }
    return -EEXIST;
}

/* A write behind the process's limit for files would be a SIGXFSZ. */
static bool within_file_size_limit(void)
{
    struct rlimit limit;
    return KERNEL_CALL(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &limit, 0, 0) != 0 ||
           limit.rlim_cur >= sizeof(struct registry_layout);
}

/* Field by field, the descriptor last: other threads look at it. */
static void take_file(struct registry *registry, int descriptor)
{
    struct stat status = {.st_ino = 0};
    atomic_store(&registry->lost, false);
    atomic_store(&registry->map, NULL);
    if (descriptor >= 0) {
        (void)kernel_fstat(descriptor, &status);
        descriptor = own_adopt(descriptor);
        registry->boot = process_boot_number();
        registry->pid_namespace = process_pid_namespace();
    }
    registry->device = status.st_dev;
    registry->inode = status.st_ino;
    atomic_store(&registry->descriptor, descriptor < 0 ? -1 : descriptor);
}

void registry_open_existing(struct registry *registry, const char *lock_path)
{
    char path[4120];
    bool named = name_registry(path, sizeof path, lock_path) && within_file_size_limit();
    take_file(registry, named ? open_file(path, false) : -ENAMETOOLONG);
}

void registry_open(struct registry *registry, const char *lock_path, const char *table_path)
{
    take_file(registry,
              within_file_size_limit() ? open_or_make(lock_path, table_path, false) : -EFBIG);
}

/* The program may have closed our descriptor unseen, and have another file there by now. */
static bool is_still_ours(const struct registry *registry, int descriptor)
{
    struct stat status;
    return descriptor >= 0 && kernel_fstat(descriptor, &status) == 0 &&
           status.st_dev == registry->device && status.st_ino == registry->inode;
}

/* Number and address stay: another thread may be at a call with them. */
static bool put_in_place(struct registry *registry, int descriptor, int fresh)
{
    struct stat status;
    void *map = atomic_load(&registry->map);
    if (kernel_fstat(fresh, &status) != 0 ||
        kernel_dup3(fresh, descriptor, O_CLOEXEC) != descriptor)
        return false;
    registry->device = status.st_dev;
    registry->inode = status.st_ino;
    return map == NULL || kernel_mmap(map, sizeof(struct registry_layout), PROT_READ | PROT_WRITE,
                                      MAP_SHARED | MAP_FIXED, descriptor, 0) == map;
}

void registry_open_again(struct registry *registry, const char *lock_path, const char *table_path)
{
    int fresh = within_file_size_limit() ? open_or_make(lock_path, table_path, true) : -EFBIG;
    if (fresh < 0)
        return;
    int descriptor = atomic_load(&registry->descriptor);
    if (!is_still_ours(registry, descriptor)) {
        if (descriptor >= 0)
            own_forget(descriptor);
        take_file(registry, fresh);
        return;
    }
    if (put_in_place(registry, descriptor, fresh))
        atomic_store(&registry->lost, false);
    (void)kernel_close(fresh);
}

void registry_close(struct registry *registry)
{
    void *map = atomic_exchange(&registry->map, NULL);
    int descriptor = atomic_exchange(&registry->descriptor, -1);
    if (map != NULL)
        (void)kernel_munmap(map, sizeof(struct registry_layout));
    if (descriptor >= 0)
        own_close(descriptor);
    atomic_store(&registry->lost, false);
}
