/*
 * Prototypes of the functions that libc exports without declaring them (fortified and internal
 * twins), and all headers that declare the others.
 */
#ifndef LOCKSHIM_PROTOTYPES_H
#define LOCKSHIM_PROTOTYPES_H

#include <aio.h>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <fts.h>
#include <ftw.h>
#include <glob.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/interpose/musl.h"

int __open(const char *path, int flags, ...);
int __open64(const char *path, int flags, ...);
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int directory, const char *path, int flags);
int __openat64_2(int directory, const char *path, int flags);
struct open_how;
int openat2(int directory, const char *path, const struct open_how *how, size_t size);
FILE *_IO_fopen(const char *path, const char *mode);
FILE *_IO_fdopen(int descriptor, const char *mode);
int _IO_fclose(FILE *stream);
FILE *_IO_popen(const char *command, const char *mode);
int __dprintf_chk(int descriptor, int flag, const char *format, ...);
int __vdprintf_chk(int descriptor, int flag, const char *format, va_list arguments);
int __xmknod(int version, const char *path, mode_t mode, dev_t *device);
int __xmknodat(int version, int directory, const char *path, mode_t mode, dev_t *device);
ssize_t __write(int descriptor, const void *data, size_t size);
ssize_t __pwrite64(int descriptor, const void *data, size_t size, off64_t offset);
int __close(int descriptor);
int __dup2(int from, int to);
int __fcntl(int descriptor, int command, ...);
int pidfd_getfd(int process, int descriptor, unsigned flags) __attribute__((weak));
int __xstat(int version, const char *path, struct stat *status);
int __xstat64(int version, const char *path, struct stat64 *status);
int __lxstat(int version, const char *path, struct stat *status);
int __lxstat64(int version, const char *path, struct stat64 *status);
int __fxstatat(int version, int directory, const char *path, struct stat *status, int flags);
int __fxstatat64(int version, int directory, const char *path, struct stat64 *status, int flags);
ssize_t __readlink_chk(const char *path, char *target, size_t size, size_t space);
ssize_t __readlinkat_chk(int directory, const char *path, char *target, size_t size, size_t space);
char *__realpath_chk(const char *path, char *resolved, size_t space);

/* Of 32-bit machines, with 64-bit times; what is not looked at has no type here. */
struct status_time64 {
    uint64_t device, inode;
    uint32_t st_mode;
};
int __stat64_time64(const char *path, struct status_time64 *status);
int __lstat64_time64(const char *path, struct status_time64 *status);
int __fstatat64_time64(int directory, const char *path, struct status_time64 *status, int flags);
int __fcntl_time64(int descriptor, int command, ...);
int __ioctl_time64(int descriptor, ioctl_request request, ...);
ssize_t __recvmsg64(int socket, struct msghdr *message, int flags);
int __recvmmsg64(int socket, struct mmsghdr *messages, unsigned count, recvmmsg_flags flags,
                 void *timeout);
int __ftw64_time64(const char *path, void *each, int descriptors_at_most);
int __nftw64_time64(const char *path, void *each, int descriptors_at_most, int flags);
void *__fts64_open_time64(char *const *paths, int options, void *compare);
int __glob64_time64(const char *pattern, int flags, void *error, void *found);
pid_t __wait3_time64(int *status, int options, void *usage);
pid_t __wait4_time64(pid_t child, int *status, int options, void *usage);

int pidfd_spawn(int *pidfd, const char *path, const posix_spawn_file_actions_t *actions,
                const posix_spawnattr_t *attributes, char *const *arguments,
                char *const *environment);
int pidfd_spawnp(int *pidfd, const char *name, const posix_spawn_file_actions_t *actions,
                 const posix_spawnattr_t *attributes, char *const *arguments,
                 char *const *environment);

#endif
