/*
 * Would the kernel run this file in secure mode (AT_SECURE), in which the loader ignores
 * LD_PRELOAD? Follows the kernel's own rule (security/commoncap.c); where versions of it differ,
 * or the caller's state makes it uncertain, the answer is yes.
 */
#include "shim/program/facts.h"

#include "shim/lock/kernel.h"

#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

/* On a nosuid mount neither the mode bits nor the capabilities count. */
static bool mount_ignores(const char *path)
{
    struct statfs status;
    memset(&status, 0, sizeof status);
#ifdef SYS_statfs64
    long result = KERNEL_CALL(SYS_statfs64, path, sizeof status, &status, 0, 0, 0);
#else
    long result = KERNEL_CALL(SYS_statfs, path, &status, 0, 0, 0, 0);
#endif
    return result == 0 && (status.f_flags & ST_NOSUID) != 0;
}

/*
 * Secure is who would have an effective ID other than the real one, or would change it. A caller
 * whose own IDs differ hands that on to every program it executes; root running a set-user-ID
 * root program changes nothing.
 */
bool privilege_changes_ids(const char *path, const struct stat *status)
{
    uid_t user[3] = {0};
    gid_t group[3] = {0};
    (void)KERNEL_CALL(KERNEL_GETRESUID, &user[0], &user[1], &user[2], 0, 0, 0);
    (void)KERNEL_CALL(KERNEL_GETRESGID, &group[0], &group[1], &group[2], 0, 0, 0);
    uid_t new_user = user[1];
    gid_t new_group = group[1];
    bool marked = (status->st_mode & (S_ISUID | S_ISGID)) != 0;
    if (marked && KERNEL_CALL(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0, 0) != 1 &&
        !mount_ignores(path)) {
        if ((status->st_mode & S_ISUID) != 0)
            new_user = status->st_uid;
        if ((status->st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
            new_group = status->st_gid;
    }
    return new_user != user[0] || new_user != user[1] || new_group != group[0] ||
           new_group != group[1];
}

/* For a real root, file capabilities raise nothing and the kernel does not call it secure. */
bool privilege_has_capabilities(const char *path)
{
    struct vfs_ns_cap_data data;
    memset(&data, 0, sizeof data);
    ssize_t size = KERNEL_CALL(SYS_getxattr, path, "security.capability", &data, sizeof data, 0, 0);
    if (size < (ssize_t)sizeof data.magic_etc)
        return false;
    if (KERNEL_CALL(KERNEL_GETUID, 0, 0, 0, 0, 0, 0) == 0)
        return false;
    bool any = (data.magic_etc & VFS_CAP_FLAGS_EFFECTIVE) != 0;
    for (size_t i = 0; i < sizeof data.data / sizeof *data.data; i++)
        any = any || data.data[i].permitted != 0 || data.data[i].inheritable != 0;
    return any && !mount_ignores(path);
}
