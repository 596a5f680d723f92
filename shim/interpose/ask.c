/*
 * Calls that only ask. Under `command` and `process` they are touches (a program may decide by
 * them), under `session` and `call` they are none. And the working directory, on which the meaning
 * of relative paths depends.
 */
#include "shim/interpose/ask.h"

INTERPOSE int stat(const char *path, struct stat *status)
{
    ASK_STATUS(AT_FDCWD, path, true, REAL(lstat)(path, status), S_ISLNK(status->st_mode),
               REAL(stat)(path, status));
}

INTERPOSE int stat64(const char *path, struct stat64 *status)
{
    ASK_STATUS(AT_FDCWD, path, true, REAL(lstat64)(path, status), S_ISLNK(status->st_mode),
               REAL(stat64)(path, status));
}

INTERPOSE int lstat(const char *path, struct stat *status)
{
    ASK(int, -1, AT_FDCWD, path, false, REAL(lstat)(path, status));
}

INTERPOSE int lstat64(const char *path, struct stat64 *status)
{
    ASK(int, -1, AT_FDCWD, path, false, REAL(lstat64)(path, status));
}

INTERPOSE int fstatat(int directory, const char *path, struct stat *status, int flags)
{
    ASK_STATUS(directory, path, ask_follows(flags),
               REAL(fstatat)(directory, path, status, flags | AT_SYMLINK_NOFOLLOW),
               ask_follows(flags) && S_ISLNK(status->st_mode),
               REAL(fstatat)(directory, path, status, flags));
}

INTERPOSE int fstatat64(int directory, const char *path, struct stat64 *status, int flags)
{
    ASK_STATUS(directory, path, ask_follows(flags),
               REAL(fstatat64)(directory, path, status, flags | AT_SYMLINK_NOFOLLOW),
               ask_follows(flags) && S_ISLNK(status->st_mode),
               REAL(fstatat64)(directory, path, status, flags));
}

/* The type is asked for even where the program does not want it: it tells whether it is a link. */
INTERPOSE int statx(int directory, const char *path, int flags, unsigned mask, struct statx *status)
{
    ASK_STATUS(directory, path, ask_follows(flags),
               REAL(statx)(directory, path, flags | AT_SYMLINK_NOFOLLOW, mask | STATX_TYPE, status),
               ask_follows(flags) && S_ISLNK(status->stx_mode),
               REAL(statx)(directory, path, flags, mask, status));
}

INTERPOSE int __xstat(int version, const char *path, struct stat *status)
{
    ASK_STATUS(AT_FDCWD, path, true, REAL(__lxstat)(version, path, status),
               S_ISLNK(status->st_mode), REAL(__xstat)(version, path, status));
}

INTERPOSE int __xstat64(int version, const char *path, struct stat64 *status)
{
    ASK_STATUS(AT_FDCWD, path, true, REAL(__lxstat64)(version, path, status),
               S_ISLNK(status->st_mode), REAL(__xstat64)(version, path, status));
}

INTERPOSE int __lxstat(int version, const char *path, struct stat *status)
{
    ASK(int, -1, AT_FDCWD, path, false, REAL(__lxstat)(version, path, status));
}

INTERPOSE int __lxstat64(int version, const char *path, struct stat64 *status)
{
    ASK(int, -1, AT_FDCWD, path, false, REAL(__lxstat64)(version, path, status));
}

INTERPOSE int __fxstatat(int version, int directory, const char *path, struct stat *status,
                         int flags)
{
    ASK(int, -1, directory, path, ask_follows(flags),
        REAL(__fxstatat)(version, directory, path, status, flags));
}

INTERPOSE int __fxstatat64(int version, int directory, const char *path, struct stat64 *status,
                           int flags)
{
    ASK(int, -1, directory, path, ask_follows(flags),
        REAL(__fxstatat64)(version, directory, path, status, flags));
}

INTERPOSE int access(const char *path, int mode)
{
    ASK(int, -1, AT_FDCWD, path, true, REAL(access)(path, mode));
}

INTERPOSE int faccessat(int directory, const char *path, int mode, int flags)
{
    ASK(int, -1, directory, path, ask_follows(flags),
        REAL(faccessat)(directory, path, mode, flags));
}

INTERPOSE int eaccess(const char *path, int mode)
{
    ASK(int, -1, AT_FDCWD, path, true, REAL(eaccess)(path, mode));
}

INTERPOSE int euidaccess(const char *path, int mode)
{
    ASK(int, -1, AT_FDCWD, path, true, REAL(euidaccess)(path, mode));
}

INTERPOSE ssize_t readlink(const char *path, char *target, size_t size)
{
    ASK(ssize_t, -1, AT_FDCWD, path, false, REAL(readlink)(path, target, size));
}

INTERPOSE ssize_t readlinkat(int directory, const char *path, char *target, size_t size)
{
    ASK(ssize_t, -1, directory, path, false, REAL(readlinkat)(directory, path, target, size));
}

INTERPOSE ssize_t __readlink_chk(const char *path, char *target, size_t size, size_t space)
{
    ASK(ssize_t, -1, AT_FDCWD, path, false, REAL(__readlink_chk)(path, target, size, space));
}

INTERPOSE ssize_t __readlinkat_chk(int directory, const char *path, char *target, size_t size,
                                   size_t space)
{
    ASK(ssize_t, -1, directory, path, false,
        REAL(__readlinkat_chk)(directory, path, target, size, space));
}

INTERPOSE char *realpath(const char *path, char *resolved)
{
    ASK(char *, NULL, AT_FDCWD, path, true, REAL(realpath)(path, resolved));
}

INTERPOSE char *__realpath_chk(const char *path, char *resolved, size_t space)
{
    ASK(char *, NULL, AT_FDCWD, path, true, REAL(__realpath_chk)(path, resolved, space));
}

INTERPOSE char *canonicalize_file_name(const char *path)
{
    ASK(char *, NULL, AT_FDCWD, path, true, REAL(canonicalize_file_name)(path));
}

static int moved(int result)
{
    if (result == 0)
        tables_forget_cache();
    return result;
}

INTERPOSE int chdir(const char *path)
{
    ASK(int, -1, AT_FDCWD, path, true, moved(REAL(chdir)(path)));
}

INTERPOSE int fchdir(int descriptor)
{
    return moved(REAL(fchdir)(descriptor));
}
