/*
 * From mount id and inode of an O_PATH descriptor to the kernel's own numbers.
 */
#include "lockctl/inspect/identity.h"

#include "shim/lock/kernel.h"
#include "shim/lock/process.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

/* The number behind a name at the start of a line. */
static bool find_number(const char *text, const char *name, uint64_t *number)
{
    size_t length = strlen(name);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) != 0)
            continue;
        *number = strtoull(line + length, NULL, 10);
        return true;
    }
    return false;
}

/* The device of a mount: "24 1 fe:00 / / rw,relatime …". The last mount asked for is remembered. */
static bool find_device(uint64_t mount, uint64_t *device)
{
    static _Thread_local uint64_t last_mount;
    static _Thread_local uint64_t last_device;
    if (mount == last_mount && last_mount != 0) {
        *device = last_device;
        return true;
    }
    FILE *file = fopen("/proc/self/mountinfo", "re");
    if (file == NULL)
        return false;
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    while (!found && getline(&line, &size, file) > 0) {
        uint64_t number;
        unsigned major_number;
        unsigned minor_number;
        /* NOLINTNEXTLINE(cert-err34-c): the kernel's own numbers */
        if (sscanf(line, "%lu %*u %u:%u", &number, &major_number, &minor_number) != 3 ||
            number != mount)
            continue;
        last_mount = mount;
        last_device = *device = makedev(major_number, minor_number);
        found = true;
    }
    free(line);
    (void)fclose(file);
    return found;
}

bool file_identity_from_fdinfo(const char *fdinfo, uint64_t *device, uint64_t *inode)
{
    uint64_t mount;
    return find_number(fdinfo, "ino:", inode) && find_number(fdinfo, "mnt_id:", &mount) &&
           find_device(mount, device);
}

int file_identity_of_path(const char *path, struct file_identity *identity)
{
    char name[64];
    char text[1024];
    struct stat status;
    int descriptor = kernel_openat(AT_FDCWD, path, O_PATH | O_CLOEXEC, 0);
    if (descriptor < 0)
        return descriptor;
    int result = kernel_fstat(descriptor, &status);
    if (result == 0) {
        *identity = (struct file_identity){.device = status.st_dev,
                                           .inode = status.st_ino,
                                           .stat_device = status.st_dev,
                                           .stat_inode = status.st_ino};
        (void)snprintf(name, sizeof name, "/proc/self/fdinfo/%d", descriptor);
        uint64_t device;
        uint64_t inode;
        if (process_read_file(name, text, sizeof text) > 0 &&
            file_identity_from_fdinfo(text, &device, &inode)) {
            identity->device = device;
            identity->inode = inode;
        }
    }
    (void)kernel_close(descriptor);
    return result;
}
