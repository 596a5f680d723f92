/* Calls that make, rename and remove names. */
#include "shim/interpose/real.h"
#include "shim/lock/kernel_files.h"
#include "shim/touch.h"

#include <errno.h>

/*
 * A directory or symlink that has another name now may change whose other paths are; a regular
 * file can't.
 */
static void note_renamed(int directory, const char *path)
{
    struct stat status;
    if (kernel_fstatat(directory, path, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(status.st_mode))
        tables_forget_cache();
}

static int renamed(int result, int directory, const char *path)
{
    if (result == 0)
        note_renamed(directory, path);
    return result;
}

#define RENAME(old_directory, old_path, old_kind, new_directory, new_path, call)                   \
    struct touch touch;                                                                            \
    if (!touch_guarding())                                                                         \
        return call;                                                                               \
    if (!touch_two_paths(&touch, old_directory, old_path, old_kind, new_directory, new_path,       \
                         TOUCH_REPLACE))                                                           \
        return renamed(call, new_directory, new_path);                                             \
    int result = touch.error != 0 ? -1 : renamed(call, new_directory, new_path);                   \
    if (result == 0)                                                                               \
        touch_renamed(&touch, old_directory, old_path, new_directory, new_path);                   \
    touch_end(&touch);                                                                             \
    return result

INTERPOSE int rename(const char *old_path, const char *new_path)
{
    RENAME(AT_FDCWD, old_path, TOUCH_REMOVE, AT_FDCWD, new_path, REAL(rename)(old_path, new_path));
}

INTERPOSE int renameat(int old_directory, const char *old_path, int new_directory,
                       const char *new_path)
{
    RENAME(old_directory, old_path, TOUCH_REMOVE, new_directory, new_path,
           REAL(renameat)(old_directory, old_path, new_directory, new_path));
}

INTERPOSE int renameat2(int old_directory, const char *old_path, int new_directory,
                        const char *new_path, unsigned flags)
{
    enum touch_kind old_kind = (flags & KERNEL_RENAME_EXCHANGE) != 0 ? TOUCH_REPLACE : TOUCH_REMOVE;
    RENAME(old_directory, old_path, old_kind, new_directory, new_path,
           REAL(renameat2)(old_directory, old_path, new_directory, new_path, flags));
}

/* The path is made, which `begin` begins a touch of. */
#define MAKE(begin, directory, path, call)                                                         \
    struct touch touch;                                                                            \
    if (!touch_guarding() || !(begin))                                                             \
        return call;                                                                               \
    int result = touch.error != 0 ? -1 : (call);                                                   \
    if (result == 0)                                                                               \
        touch_made(&touch, directory, path);                                                       \
    touch_end(&touch);                                                                             \
    return result
#define MAKE_AT(directory, path, call)                                                             \
    MAKE(touch_path(&touch, directory, path, false, TOUCH_NAME), directory, path, call)

INTERPOSE int link(const char *old_path, const char *new_path)
{
    MAKE(touch_two_paths(&touch, AT_FDCWD, old_path, TOUCH_READ, AT_FDCWD, new_path, TOUCH_NAME),
         AT_FDCWD, new_path, REAL(link)(old_path, new_path));
}

INTERPOSE int linkat(int old_directory, const char *old_path, int new_directory,
                     const char *new_path, int flags)
{
    MAKE(touch_two_paths(&touch, old_directory, old_path, TOUCH_READ, new_directory, new_path,
                         TOUCH_NAME),
         new_directory, new_path,
         REAL(linkat)(old_directory, old_path, new_directory, new_path, flags));
}

/* A new symlink may lead from a path that was nobody's into a table. */
static int linked(int result)
{
    if (result == 0)
        tables_forget_cache();
    return result;
}

INTERPOSE int symlink(const char *target, const char *path)
{
    MAKE_AT(AT_FDCWD, path, linked(REAL(symlink)(target, path)));
}

INTERPOSE int symlinkat(const char *target, int directory, const char *path)
{
    MAKE_AT(directory, path, linked(REAL(symlinkat)(target, directory, path)));
}

#define REMOVE(directory, path, call)                                                              \
    struct touch touch;                                                                            \
    if (!touch_guarding() || !touch_path(&touch, directory, path, false, TOUCH_REMOVE))            \
        return call;                                                                               \
    int result = touch.error != 0 ? -1 : (call);                                                   \
    if (result == 0)                                                                               \
        touch_removed(&touch);                                                                     \
    touch_end(&touch);                                                                             \
    return result

INTERPOSE int unlink(const char *path)
{
    REMOVE(AT_FDCWD, path, REAL(unlink)(path));
}

INTERPOSE int unlinkat(int directory, const char *path, int flags)
{
    REMOVE(directory, path, REAL(unlinkat)(directory, path, flags));
}

INTERPOSE int remove(const char *path)
{
    REMOVE(AT_FDCWD, path, REAL(remove)(path));
}

INTERPOSE int rmdir(const char *path)
{
    REMOVE(AT_FDCWD, path, REAL(rmdir)(path));
}

INTERPOSE int mkdir(const char *path, mode_t mode)
{
    MAKE_AT(AT_FDCWD, path, REAL(mkdir)(path, mode));
}

INTERPOSE int mkdirat(int directory, const char *path, mode_t mode)
{
    MAKE_AT(directory, path, REAL(mkdirat)(directory, path, mode));
}

INTERPOSE int mknod(const char *path, mode_t mode, dev_t device)
{
    MAKE_AT(AT_FDCWD, path, REAL(mknod)(path, mode, device));
}

INTERPOSE int mknodat(int directory, const char *path, mode_t mode, dev_t device)
{
    MAKE_AT(directory, path, REAL(mknodat)(directory, path, mode, device));
}

INTERPOSE int __xmknod(int version, const char *path, mode_t mode, dev_t *device)
{
    MAKE_AT(AT_FDCWD, path, REAL(__xmknod)(version, path, mode, device));
}

INTERPOSE int __xmknodat(int version, int directory, const char *path, mode_t mode, dev_t *device)
{
    MAKE_AT(directory, path, REAL(__xmknodat)(version, directory, path, mode, device));
}

INTERPOSE int mkfifo(const char *path, mode_t mode)
{
    MAKE_AT(AT_FDCWD, path, REAL(mkfifo)(path, mode));
}

INTERPOSE int mkfifoat(int directory, const char *path, mode_t mode)
{
    MAKE_AT(directory, path, REAL(mkfifoat)(directory, path, mode));
}
