/*
 * The machine: kernel, what `lockctl break` needs of it, and whether programs can be made to load
 * the shim.
 */
#include "lockctl/doctor/findings.h"

#include "lockctl/lockctl.h"
#include "lockctl/preload.h"
#include "shim/lock/kernel.h"
#include "shim/lock/process.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* The kernel that brought pidfd_getfd. */
#define KERNEL_MAJOR 5
#define KERNEL_MINOR 6

static void look_at_kernel(struct findings *findings)
{
    struct utsname name;
    int major = 0;
    int minor = 0;
    if (uname(&name) != 0 || sscanf(name.release, "%d.%d", &major, &minor) != 2) {
        finding_add(findings, FINDING_WARNING, "kernel", NULL, "its version cannot be told");
        return;
    }
    bool old = major < KERNEL_MAJOR || (major == KERNEL_MAJOR && minor < KERNEL_MINOR);
    finding_add(findings, old ? FINDING_WARNING : FINDING_OK, "kernel",
                old ? "use Linux 5.6 or later, or do without `lockctl break`" : NULL, "Linux %s%s",
                shown(name.release), old ? ": too old to break locks" : "");
}

/* Both calls are tried on ourselves: a sandbox may forbid what the kernel has. */
static void look_at_pidfd(struct findings *findings)
{
    int process = kernel_pidfd_open(getpid());
    long copy =
        process >= 0 ? KERNEL_CALL(SYS_pidfd_getfd, process, STDERR_FILENO, 0, 0, 0, 0) : process;
    if (copy >= 0)
        (void)kernel_close((int)copy);
    if (process >= 0)
        (void)kernel_close(process);
    if (copy >= 0)
        finding_add(findings, FINDING_OK, "break", NULL, "pidfd_open and pidfd_getfd work");
    else
        finding_add(findings, FINDING_WARNING, "break",
                    "allow the system call in the sandbox, or run `lockctl break` outside of it",
                    "%s: %s; `lockctl break` cannot take a lock over",
                    process < 0 ? "pidfd_open" : "pidfd_getfd", strerror((int)-copy));
}

static void look_at_ptrace_scope(struct findings *findings)
{
    char text[16];
    if (process_read_file("/proc/sys/kernel/yama/ptrace_scope", text, sizeof text) <= 0) {
        finding_add(findings, FINDING_OK, "ptrace scope", NULL, "not restricted");
        return;
    }
    int scope = text[0] - '0';
    if (scope <= 0)
        finding_add(findings, FINDING_OK, "ptrace scope", NULL,
                    "0: users may break the locks of their own processes");
    else if (scope >= 3)
        finding_add(findings, FINDING_WARNING, "ptrace scope",
                    "set kernel.yama.ptrace_scope to 2 or less at boot",
                    "3: not even root can break a lock without killing its holder");
    else
        finding_add(findings, geteuid() == 0 ? FINDING_OK : FINDING_WARNING, "ptrace scope",
                    geteuid() == 0 ? NULL : "run `lockctl break` as root",
                    "%d: only root (CAP_SYS_PTRACE) may break locks", scope);
}

static void look_at_proc(struct findings *findings)
{
    char text[512];
    if (process_read_file("/proc/locks", text, sizeof text) < 0)
        finding_add(findings, FINDING_WARNING, "/proc", "mount /proc",
                    "/proc/locks cannot be read: holders without the shim remain unknown");
    else if (process_read_file("/proc/1/stat", text, sizeof text) < 0)
        finding_add(findings, FINDING_WARNING, "/proc",
                    "look at locks as root, or mount /proc without hidepid",
                    "processes of other users are hidden");
    else
        finding_add(findings, FINDING_OK, "/proc", NULL, "locks and processes can be seen");
}

static void look_at_global_preload(struct findings *findings)
{
    char text[4096];
    ssize_t length = process_read_file("/etc/ld.so.preload", text, sizeof text);
    if (length <= 0 || text[strspn(text, " \t\n")] == '\0') {
        finding_add(findings, FINDING_OK, "ld.so.preload", NULL, "not in use");
        return;
    }
    text[strcspn(text, "\n")] = '\0';
    finding_add(findings, FINDING_WARNING, "ld.so.preload",
                "make sure that these libraries do not replace file functions too",
                "every program loads %s", shown(text));
}

/* What a program said on stderr while it did nothing but load; -1: it could not be run. */
static int run_with_shim(const char *shim, char *said, size_t size)
{
    static char program[] = "/bin/true";
    char preload[4500];
    char *const words[] = {program, NULL};
    char *const environment[] = {preload, NULL};
    int pipe_ends[2];
    int status = -1;
    pid_t child;
    posix_spawn_file_actions_t actions;
    (void)snprintf(preload, sizeof preload, "LD_PRELOAD=%s", shim);
    if (pipe2(pipe_ends, O_CLOEXEC) != 0)
        return -1;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDERR_FILENO);
    int error = posix_spawn(&child, program, &actions, NULL, words, environment);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(pipe_ends[1]);
    ssize_t length = read(pipe_ends[0], said, size - 1);
    said[length > 0 ? length : 0] = '\0';
    (void)close(pipe_ends[0]);
    if (error != 0 || waitpid(child, &status, 0) != child)
        return -1;
    return status;
}

static void look_at_shim(struct findings *findings, const char *wanted)
{
    char message[1200];
    char said[512];
    char *shim = shim_look(wanted, message, sizeof message);
    if (shim == NULL) {
        finding_add(findings, FINDING_PROBLEM, "shim",
                    "install liblockshim.so, or give --shim FILE", "%s", message);
        return;
    }
    int status = run_with_shim(shim, said, sizeof said);
    if (status == 0 && said[0] == '\0')
        finding_add(findings, FINDING_OK, "shim", NULL, "%s, loads into /bin/true", shown(shim));
    else if (status == -1)
        finding_add(findings, FINDING_WARNING, "shim", NULL,
                    "%s, but /bin/true could not be run to try it", shown(shim));
    else
        finding_add(findings, FINDING_PROBLEM, "shim", "install the shim that fits this system",
                    "%s does not load into /bin/true: %s", shown(shim),
                    said[0] != '\0' ? shown(said) : "it fails");
}

void doctor_look_at_system(struct findings *findings, const char *shim)
{
    look_at_kernel(findings);
    look_at_shim(findings, shim);
    look_at_global_preload(findings);
    look_at_proc(findings);
    look_at_pidfd(findings);
    look_at_ptrace_scope(findings);
}
