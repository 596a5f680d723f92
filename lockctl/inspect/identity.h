/*
 * Which file the kernel means: its list of locks names a file by file system and inode, which stat
 * tells otherwise on some (btrfs, overlayfs). Asked without opening the file: nothing notices.
 */
#ifndef LOCKCTL_IDENTITY_H
#define LOCKCTL_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

struct file_identity {
    uint64_t device, inode;           /* as the kernel's list of locks tells them */
    uint64_t stat_device, stat_inode; /* as stat does */
};

/* The identity of what is at the path. 0 or a negative errno. */
int file_identity_of_path(const char *path, struct file_identity *identity);

/*
 * From the text of /proc/PID/fdinfo/N: the inode, and the device of the mount that it names; false
 * when it does not tell (old kernels, other mount namespaces).
 */
bool file_identity_from_fdinfo(const char *fdinfo, uint64_t *device, uint64_t *inode);

#endif
