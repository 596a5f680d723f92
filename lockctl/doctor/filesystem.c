/*
 * The file system that a lock file is to lie on: its kind, by name, and whether its flock keeps
 * processes apart. That is tried on a file of our own beside the lock file, never on the lock file.
 */
#include "lockctl/doctor/findings.h"

#include "lockctl/lockctl.h"
#include "shim/lock/kernel.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

struct mount {
    char type[64];
    char options[1024]; /* of the file system, behind those of the mount */
    bool known;
};

/* Whether flock is known to keep apart all who use such a file system. */
static const struct {
    const char *type; /* a prefix, if it ends in a dot */
    enum finding_result result;
    const char *text;
    const char *advice;
} KINDS[] = {
    {"nfs", FINDING_WARNING, "flock is passed to the server, as a lock of the whole file",
     "mount without nolock and local_lock; the lock file must be writable by all its users"},
    {"nfs4", FINDING_WARNING, "flock is passed to the server, as a lock of the whole file",
     "mount without local_lock; the lock file must be writable by all its users"},
    {"cifs", FINDING_WARNING, "flock becomes a mandatory lock on the server, unless nobrl is set",
     "use the table from one machine only, or put the lock file elsewhere with --lock"},
    {"smb3", FINDING_WARNING, "flock becomes a mandatory lock on the server, unless nobrl is set",
     "use the table from one machine only, or put the lock file elsewhere with --lock"},
    {"9p", FINDING_WARNING, "flock holds on this machine only, unless the server keeps locks",
     "use the table from this machine only, not from its host at the same time"},
    {"virtiofs", FINDING_WARNING, "flock holds on this machine only, unless the server keeps locks",
     "use the table from this machine only, not from its host at the same time"},
    {"fuse.", FINDING_WARNING, "whether flock reaches other machines depends on the FUSE program",
     "use the table from this machine only"},
    {"fuse", FINDING_WARNING, "whether flock reaches other machines depends on the FUSE program",
     "use the table from this machine only"},
    {"fuseblk", FINDING_OK, "flock holds on this machine", NULL},
    {"overlay", FINDING_WARNING,
     "a lock file in a lower layer is another file once it was opened for writing",
     "create the lock file (touch) in the running system, or put it on a volume with --lock"},
    {"ceph", FINDING_OK, "flock is kept by the servers", NULL},
    {"gfs2", FINDING_OK, "flock holds in all of the cluster, unless localflocks is set", NULL},
    {"ocfs2", FINDING_OK, "flock holds in all of the cluster, unless localflocks is set", NULL},
};

/* --- its kind --- */

/* The kernel's number of the mount that a directory lies on, -1 when it can't be told. */
static int mount_number(const char *directory)
{
    char path[64];
    char line[128];
    int number = -1;
    int descriptor = kernel_openat(AT_FDCWD, directory, O_PATH | O_CLOEXEC, 0);
    if (descriptor < 0)
        return -1;
    (void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", descriptor);
    FILE *file = fopen(path, "re");
    while (file != NULL && number < 0 && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "mnt_id: %d", &number) != 1) // NOLINT(cert-err34-c): the kernel's own
            number = -1;
    if (file != NULL)
        (void)fclose(file);
    (void)kernel_close(descriptor);
    return number;
}

/* "36 35 98:0 /root /where options... - type source options": what stands behind the hyphen. */
static void find_mount(int number, struct mount *mount)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t size = 0;
    while (file != NULL && !mount->known && getline(&line, &size, file) > 0) {
        char *end;
        const char *behind = strstr(line, " - ");
        if (strtol(line, &end, 10) == number && end != line && behind != NULL)
            mount->known = sscanf(behind, " - %63s %*s %1023s", mount->type, mount->options) >= 1;
    }
    free(line);
    if (file != NULL)
        (void)fclose(file);
}

static bool kind_matches(const char *kind, const char *type)
{
    size_t length = strlen(kind);
    return kind[length - 1] == '.' ? strncmp(kind, type, length) == 0 : strcmp(kind, type) == 0;
}

/* Is one of the comma-separated options this one? A value in it is compared too. */
static bool has_option(const struct mount *mount, const char *option)
{
    size_t length = strlen(option);
    for (const char *at = mount->options; *at != '\0'; at += *at == ',') {
        size_t size = strcspn(at, ",");
        if (size == length && strncmp(at, option, length) == 0)
            return true;
        at += size;
    }
    return false;
}

/* Options that make flock hold among the processes of this machine only. */
static const char *local_option(const struct mount *mount)
{
    static const char *const options[] = {"nolock", "local_lock=all", "local_lock=flock", "nobrl",
                                          "localflocks"};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (has_option(mount, options[i]))
            return options[i];
    return NULL;
}

static void tell_kind(struct findings *findings, const struct mount *mount)
{
    const char *local = local_option(mount);
    if (!mount->known) {
        finding_add(findings, FINDING_WARNING, "file system", NULL, "its kind cannot be told");
        return;
    }
    if (local != NULL) {
        finding_add(findings, FINDING_WARNING, "file system",
                    "use the table from this machine only, or mount without that option",
                    "%s, mounted with %s: locks do not reach other machines", shown(mount->type),
                    local);
        return;
    }
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        if (!kind_matches(KINDS[i].type, mount->type))
            continue;
        finding_add(findings, KINDS[i].result, "file system", KINDS[i].advice, "%s: %s",
                    shown(mount->type), KINDS[i].text);
        return;
    }
    finding_add(findings, FINDING_OK, "file system", NULL, "%s", shown(mount->type));
}

/* --- its flock --- */

/* What another process gets that tries to lock the file: 0 or an errno. */
static int try_in_child(const char *path)
{
    int status;
    pid_t child = fork();
    if (child < 0)
        return errno;
    if (child == 0) {
        int descriptor = kernel_openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
        int result = descriptor < 0 ? descriptor : kernel_flock(descriptor, LOCK_EX | LOCK_NB);
        kernel_exit_group(result < 0 ? -result : 0);
    }
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return ECHILD;
    return WEXITSTATUS(status);
}

static void try_flock(struct findings *findings, const char *path, int descriptor)
{
    int result = kernel_flock(descriptor, LOCK_EX | LOCK_NB);
    if (result < 0) {
        finding_add(findings, FINDING_PROBLEM, "flock",
                    "put the lock file on another file system with --lock", "does not work: %s",
                    strerror(-result));
        return;
    }
    int taken = try_in_child(path);
    (void)kernel_flock(descriptor, LOCK_UN);
    int freed = try_in_child(path);
    if (taken == EWOULDBLOCK && freed == 0)
        finding_add(findings, FINDING_OK, "flock", NULL, "keeps processes apart");
    else
        finding_add(findings, FINDING_PROBLEM, "flock",
                    "put the lock file on another file system with --lock",
                    "does not keep processes apart: a second one got '%s' while it was locked, "
                    "'%s' when it was free",
                    strerror(taken), strerror(freed));
}

static void try_in_directory(struct findings *findings, const char *directory)
{
    char path[4500];
    struct statvfs status;
    if (statvfs(directory, &status) == 0 && (status.f_flag & ST_RDONLY) != 0) {
        finding_add(findings, FINDING_WARNING, "flock", NULL,
                    "not tried: the file system is mounted read-only");
        return;
    }
    if ((size_t)snprintf(path, sizeof path, "%s/.lockctl-doctor-XXXXXX", directory) >= sizeof path)
        return;
    int descriptor = mkostemp(path, O_CLOEXEC);
    if (descriptor < 0) {
        finding_add(findings, FINDING_WARNING, "flock",
                    "run `lockctl doctor` as somebody who may write there",
                    "not tried: no file can be made in %s: %s", shown(directory), strerror(errno));
        return;
    }
    try_flock(findings, path, descriptor);
    (void)close(descriptor);
    (void)unlink(path);
}

void doctor_look_at_file_system(struct findings *findings, const char *lock_path,
                                const char *table_path)
{
    struct mount mount = {.known = false};
    struct stat table;
    struct stat beside;
    const char *directory = dirname(copy_text(lock_path));
    find_mount(mount_number(directory), &mount);
    tell_kind(findings, &mount);
    if (kernel_fstatat(AT_FDCWD, directory, &beside, 0) != 0)
        return; /* permissions.c tells */
    try_in_directory(findings, directory);
    if (table_path != NULL && kernel_fstatat(AT_FDCWD, table_path, &table, 0) == 0 &&
        table.st_dev != beside.st_dev)
        finding_add(findings, FINDING_OK, "file system", NULL,
                    "the lock file lies on another one than the table; --on-crash rollback copies "
                    "files instead of linking them");
}
