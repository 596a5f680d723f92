/*
 * More system calls made directly (kernel.h): on names, metadata and whole files. For the undo
 * journal. The same rules: errno is left alone, and every function returns what the kernel returns.
 */
#ifndef LOCKSHIM_KERNEL_FILES_H
#define LOCKSHIM_KERNEL_FILES_H

#include "shim/lock/kernel.h"

#include <linux/fs.h>
#include <linux/stat.h>
#include <stdbool.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

static inline int kernel_linkat(int old_directory, const char *old_path, int directory,
                                const char *path, int flags)
{
    return (int)KERNEL_CALL(SYS_linkat, old_directory, old_path, directory, path, flags, 0);
}

/* Not every libc has these. */
#define KERNEL_RENAME_NOREPLACE 1u
#define KERNEL_RENAME_EXCHANGE 2u
static inline int kernel_renameat2(int old_directory, const char *old_path, int directory,
                                   const char *path, unsigned flags)
{
    return (int)KERNEL_CALL(SYS_renameat2, old_directory, old_path, directory, path, flags, 0);
}

static inline int kernel_unlinkat(int directory, const char *path, int flags)
{
    return (int)KERNEL_CALL(SYS_unlinkat, directory, path, flags, 0, 0, 0);
}

static inline int kernel_mkdirat(int directory, const char *path, mode_t mode)
{
    return (int)KERNEL_CALL(SYS_mkdirat, directory, path, mode, 0, 0, 0);
}

static inline int kernel_symlinkat(const char *target, int directory, const char *path)
{
    return (int)KERNEL_CALL(SYS_symlinkat, target, directory, path, 0, 0, 0);
}

static inline int kernel_mknodat(int directory, const char *path, mode_t mode, dev_t device)
{
    return (int)KERNEL_CALL(SYS_mknodat, directory, path, mode, device, 0, 0);
}

static inline int kernel_fchown(int descriptor, uid_t user, gid_t group)
{
    return (int)KERNEL_CALL(KERNEL_FCHOWN, descriptor, user, group, 0, 0, 0);
}

static inline int kernel_fchownat(int directory, const char *path, uid_t user, gid_t group,
                                  int flags)
{
    return (int)KERNEL_CALL(SYS_fchownat, directory, path, user, group, flags, 0);
}

static inline int kernel_fchmod(int descriptor, mode_t mode)
{
    return (int)KERNEL_CALL(SYS_fchmod, descriptor, mode, 0, 0, 0, 0);
}

/* Access and change time of what `path` names, or of the open file when it is NULL. */
static inline int kernel_utimensat(int directory, const char *path,
                                   const struct kernel_time times[static 2], int flags)
{
    return (int)KERNEL_CALL(KERNEL_UTIMENSAT, directory, path, times, flags, 0, 0);
}

/*
 * fstat without the times of changes, which costs the next change of the file less: a kernel that
 * tells times exactly writes them anew for whoever has asked.
 */
static inline int kernel_fstatat_timeless(int directory, const char *path, struct stat *status,
                                          int flags)
{
    struct statx found;
    unsigned wanted = STATX_BASIC_STATS & ~(STATX_MTIME | STATX_CTIME);
    int result = (int)KERNEL_CALL(SYS_statx, directory, path, flags, wanted, &found, 0);
    *status = (struct stat){0};
    if (result != 0)
        return result;
    status->st_dev = makedev(found.stx_dev_major, found.stx_dev_minor);
    status->st_ino = (ino_t)found.stx_ino;
    status->st_mode = found.stx_mode;
    status->st_nlink = found.stx_nlink;
    status->st_uid = found.stx_uid;
    status->st_gid = found.stx_gid;
    status->st_size = (off_t)found.stx_size;
    status->st_blocks = (blkcnt_t)found.stx_blocks;
    status->st_atim = (struct timespec){.tv_sec = (time_t)found.stx_atime.tv_sec,
                                        .tv_nsec = (long)found.stx_atime.tv_nsec};
    return 0;
}

static inline int kernel_fstat_timeless(int descriptor, struct stat *status)
{
    return kernel_fstatat_timeless(descriptor, "", status, AT_EMPTY_PATH);
}

static inline int kernel_fsync(int descriptor)
{
    return (int)KERNEL_CALL(SYS_fsync, descriptor, 0, 0, 0, 0, 0);
}

static inline int kernel_fdatasync(int descriptor)
{
    return (int)KERNEL_CALL(SYS_fdatasync, descriptor, 0, 0, 0, 0, 0);
}

/* Blocks for the file from its start on. */
static inline int kernel_fallocate(int descriptor, off_t size)
{
#ifdef SYS_fstat64
    return (int)KERNEL_CALL(SYS_fallocate, descriptor, 0, 0, 0, KERNEL_HALVES(size));
#else
    return (int)KERNEL_CALL(SYS_fallocate, descriptor, 0, 0, size, 0, 0);
#endif
}

static inline ssize_t kernel_pwritev(int descriptor, const struct iovec *vector, int count,
                                     off_t offset)
{
    return KERNEL_CALL(SYS_pwritev, descriptor, vector, count, KERNEL_HALVES(offset), 0);
}

static inline ssize_t kernel_copy_file_range(int from, off_t *from_offset, int to, off_t *to_offset,
                                             size_t size)
{
    return KERNEL_CALL(SYS_copy_file_range, from, from_offset, to, to_offset, size, 0);
}

/* The whole content of `from` shared with `to`, where the file system can. */
static inline int kernel_clone_file(int from, int to)
{
    return (int)KERNEL_CALL(SYS_ioctl, to, FICLONE, from, 0, 0, 0);
}

static inline ssize_t kernel_flistxattr(int descriptor, char *names, size_t size)
{
    return KERNEL_CALL(SYS_flistxattr, descriptor, names, size, 0, 0, 0);
}

static inline ssize_t kernel_fgetxattr(int descriptor, const char *name, void *value, size_t size)
{
    return KERNEL_CALL(SYS_fgetxattr, descriptor, name, value, size, 0, 0);
}

static inline int kernel_fsetxattr(int descriptor, const char *name, const void *value, size_t size)
{
    return (int)KERNEL_CALL(SYS_fsetxattr, descriptor, name, value, size, 0, 0);
}

/* Not to be guessed; early after the start of the machine at least not the same twice. */
static inline uint64_t kernel_random(void)
{
    uint64_t number = 0;
    struct timespec now;
    if (KERNEL_CALL(SYS_getrandom, &number, sizeof number, 1, 0, 0, 0) == sizeof number)
        return number;
    clock_gettime(CLOCK_REALTIME, &now);
    return ((uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec) * 0x9e3779b97f4a7c15u ^
           (uint64_t)kernel_getpid();
}

/* Does a limit on file sizes stand? Then a write may raise SIGXFSZ. */
static inline bool kernel_file_size_limited(void)
{
    uint64_t limit[2] = {0, 0};
    return KERNEL_CALL(SYS_prlimit64, 0, 1, NULL, limit, 0, 0) != 0 || limit[0] != ~0ull;
}

static inline int kernel_sigprocmask(int how, const uint64_t *set, uint64_t *before)
{
    return (int)KERNEL_CALL(SYS_rt_sigprocmask, how, set, before, sizeof *set, 0, 0);
}

/* Takes a pending signal of the set, without waiting; its number, or a negative errno. */
static inline int kernel_take_signal(const uint64_t *set)
{
    struct kernel_time none = {0, 0};
    return (int)KERNEL_CALL(KERNEL_SIGTIMEDWAIT, set, NULL, &none, sizeof *set, 0, 0);
}

#endif
