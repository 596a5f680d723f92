/* Rows: processes that begin, end and execute; plugins; system calls by number. */
#include "tests/surface/surface.h"

#include "shim/interpose/prototypes.h"

#include <errno.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;

/* --- beginning and ending --- */

static long fork_plainly(struct area *area)
{
    (void)area;
    pid_t child = _Fork();
    if (child == 0)
        _exit(7);
    return status_of(child);
}
ROW(_Fork, child, NONE, fork_plainly(area))
static long session_of_its_own(struct area *area)
{
    (void)area;
    return setsid() == getpid() ? 0 : -1;
}
ROW(setsid, child, NONE, in_child(area, session_of_its_own))
static long session_twice(struct area *area)
{
    (void)area;
    (void)setsid();
    return setsid();
}
ROW(setsid, twice, NONE, in_child(area, session_twice))
/* A child that is asked for before it ends, and waited for behind that: 7. `ask` takes the options.
 */
#define WAITS(name, ask, told)                                                                     \
    static long waited_for_##name(struct area *area)                                               \
    {                                                                                              \
        int ends[2], status = 0;                                                                   \
        siginfo_t seen = {.si_pid = 0};                                                            \
        (void)area, (void)seen, (void)status;                                                      \
        if (pipe2(ends, O_CLOEXEC) != 0)                                                           \
            return -1;                                                                             \
        pid_t child = fork();                                                                      \
        if (child == 0) {                                                                          \
            char byte;                                                                             \
            close(ends[1]);                                                                        \
            _exit(read(ends[0], &byte, 1) == 0 ? 7 : 1);                                           \
        }                                                                                          \
        close(ends[0]);                                                                            \
        bool early = (ask(WNOHANG)) != 0 || (told) != 0;                                           \
        close(ends[1]);                                                                            \
        (void)(ask(0));                                                                            \
        return early ? -1 : (told);                                                                \
    }                                                                                              \
    ROW(name, child, NONE, waited_for_##name(area))                                                \
    ROW(name, none, NONE, name##_nobody())
#define ASK_WAITPID(options) waitpid(child, &status, options)
#define ASK_WAIT3(options) wait3(&status, options, NULL)
#define ASK_WAIT4(options) wait4(child, &status, options, NULL)
#define ASK_WAITID(options) waitid(P_PID, (id_t)child, &seen, WEXITED | (options))
static long waitpid_nobody(void)
{
    return waitpid(getpid(), NULL, WNOHANG);
}
static long wait3_nobody(void)
{
    return wait3(NULL, WNOHANG, NULL);
}
static long wait4_nobody(void)
{
    return wait4(getpid(), NULL, WNOHANG, NULL);
}
static long waitid_nobody(void)
{
    siginfo_t seen;
    return waitid(P_PID, (id_t)getpid(), &seen, WEXITED | WNOHANG);
}
WAITS(waitpid, ASK_WAITPID, WEXITSTATUS(status))
WAITS(wait3, ASK_WAIT3, WEXITSTATUS(status))
WAITS(wait4, ASK_WAIT4, WEXITSTATUS(status))
WAITS(waitid, ASK_WAITID, seen.si_status)
#ifdef __i386__
#define ASK_WAIT3_TIME64(options) __wait3_time64(&status, options, NULL)
#define ASK_WAIT4_TIME64(options) __wait4_time64(child, &status, options, NULL)
static long __wait3_time64_nobody(void)
{
    return __wait3_time64(NULL, WNOHANG, NULL);
}
static long __wait4_time64_nobody(void)
{
    return __wait4_time64(getpid(), NULL, WNOHANG, NULL);
}
WAITS(__wait3_time64, ASK_WAIT3_TIME64, WEXITSTATUS(status))
WAITS(__wait4_time64, ASK_WAIT4_TIME64, WEXITSTATUS(status))
#endif
/* The daemon writes a byte when it stands; its parent ends with 0. */
static long become_daemon(struct area *area)
{
    int pipe_ends[2];
    char byte;
    if (pipe(pipe_ends) != 0)
        return -1000;
    pid_t child = fork();
    if (child == 0) {
        if (daemon(1, 1) == 0)
            (void)!write(pipe_ends[1], "d", 1);
        _exit(3);
    }
    (void)close(pipe_ends[1]);
    long status = status_of(child);
    long got = read(pipe_ends[0], &byte, 1);
    (void)close(pipe_ends[0]);
    (void)area;
    return got == 1 ? status : -1001;
}
ROW(daemon, child, NONE, become_daemon(area))

static void with_quick_exit(int status)
{
    quick_exit(status);
}
static long end_by(void (*end)(int))
{
    pid_t child = fork();
    if (child == 0)
        end(9);
    return status_of(child);
}
ROW(_exit, status, NONE, end_by(_exit))
ROW(_Exit, status, NONE, end_by(_Exit))
ROW(quick_exit, status, NONE, end_by(with_quick_exit))

/* --- executing --- */

#define TRUE "/bin/true"
static char *words[] = {(char *)"sh", (char *)"-c", (char *)"exit $((${SURFACE:-4} + $#))",
                        (char *)"x",  (char *)"y",  NULL};
static char *setting[] = {(char *)"SURFACE=20", (char *)"PATH=/usr/bin:/bin", NULL};

#define EXECUTES(name, call)                                                                       \
    static long do_##name(struct area *area)                                                       \
    {                                                                                              \
        (void)area;                                                                                \
        pid_t child = fork();                                                                      \
        if (child == 0) {                                                                          \
            (void)(call);                                                                          \
            _exit(errno + 100);                                                                    \
        }                                                                                          \
        return status_of(child);                                                                   \
    }
#define EXECUTE_ROW(name, what, call)                                                              \
    EXECUTES(name##_##what, call)                                                                  \
    ROW(name, what, NONE, do_##name##_##what(area))
EXECUTE_ROW(execve, works, execve("/bin/sh", words, setting))
EXECUTE_ROW(execve, missing, execve("/no/such/program", words, setting))
EXECUTE_ROW(execve, forbidden, execve("/etc/passwd", words, setting))
EXECUTE_ROW(execve, bad_name, execve(BAD, words, setting))
static char *const *volatile bad_words = (char *const *)(intptr_t)8;
EXECUTE_ROW(execve, bad_words, execve("/bin/sh", bad_words, setting))
EXECUTE_ROW(execv, works, execv("/bin/sh", words))
EXECUTE_ROW(execv, directory, execv("/", words))
EXECUTE_ROW(execvp, works, execvp("sh", words))
EXECUTE_ROW(execvp, missing, execvp("no-such-program", words))
EXECUTE_ROW(execvpe, works, execvpe("sh", words, setting))
EXECUTE_ROW(execl, works, execl("/bin/sh", "sh", "-c", "exit $#", "x", "a", "b", "c", NULL))
EXECUTE_ROW(execl, alone, execl(TRUE, "true", NULL))
EXECUTE_ROW(execlp, works, execlp("sh", "sh", "-c", "exit $#", "x", "a", NULL))
EXECUTE_ROW(execle, works, execle("/bin/sh", "sh", "-c", "exit $SURFACE", NULL, setting))
EXECUTE_ROW(fexecve, works, fexecve(open("/bin/sh", O_RDONLY | O_CLOEXEC), words, setting))
EXECUTE_ROW(fexecve, closed, fexecve(99, words, setting))
EXECUTE_ROW(execveat, works, execveat(AT_FDCWD, "/bin/sh", words, setting, 0))
EXECUTE_ROW(execveat, at, execveat(open("/bin", O_PATH), "sh", words, setting, 0))
EXECUTE_ROW(execveat, empty, execveat(open("/bin/sh", O_PATH), "", words, setting, AT_EMPTY_PATH))
EXECUTE_ROW(execveat, missing, execveat(99, "sh", words, setting, 0))
EXECUTE_ROW(execveat, bad_name, execveat(AT_FDCWD, BAD, words, setting, 0))

static long spawned(int (*call)(pid_t *, const char *, const posix_spawn_file_actions_t *,
                                const posix_spawnattr_t *, char *const[], char *const[]),
                    const char *name)
{
    pid_t child = -1;
    int error = call(&child, name, NULL, NULL, words, setting);
    return error != 0 ? error_number(error) : status_of(child);
}
ROW(posix_spawn, works, NONE, spawned(posix_spawn, "/bin/sh"))
ROW(posix_spawn, missing, NONE, spawned(posix_spawn, "/no/such/program"))
ROW(posix_spawnp, works, NONE, spawned(posix_spawnp, "sh"))
ROW(posix_spawnp, missing, NONE, spawned(posix_spawnp, "no-such-program"))

/* Newer libcs have these; where libc has none, none may be called through the shim either. */
typedef int spawn_descriptor(int *, const char *, const posix_spawn_file_actions_t *,
                             const posix_spawnattr_t *, char *const *, char *const *);
static long spawned_descriptor(const char *symbol, const char *name)
{
    int descriptor = -1;
    spawn_descriptor *call;
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    bool exists = dlsym(libc, symbol) != NULL;
    (void)dlclose(libc);
    *(void **)(void *)&call = dlsym(RTLD_DEFAULT, symbol);
    errno = 77;
    if (call == NULL)
        return -7;
    int error = call(&descriptor, name, NULL, NULL, words, setting);
    if (!exists)
        return error == ENOSYS ? -7 : -1000;
    if (error != 0)
        return error_number(error);
    siginfo_t information;
    if (waitid((idtype_t)P_PIDFD, (id_t)descriptor, &information, WEXITED) != 0)
        return -1001;
    (void)close(descriptor);
    return information.si_status;
}
ROW(pidfd_spawn, works, NONE, spawned_descriptor("pidfd_spawn", "/bin/sh"))
ROW(pidfd_spawnp, works, NONE, spawned_descriptor("pidfd_spawnp", "sh"))

ROW(system, works, NONE, system("exit 5"))
ROW(system, nothing, NONE, system(NULL))
static long from_command(FILE *(*call)(const char *, const char *), const char *mode)
{
    char line[64] = "";
    FILE *opened = call("echo said; exit 6", mode);
    if (opened == NULL)
        return -1;
    bool said = fgets(line, sizeof line, opened) != NULL && strcmp(line, "said\n") == 0;
    int status = pclose(opened);
    errno = 77;
    return said ? status : -1000;
}
ROW(popen, works, NONE, from_command(popen, "r"))
ROW(popen, bad_mode, NONE, from_command(popen, "q"))
ROW(_IO_popen, works, NONE, from_command(_IO_popen, "r"))
ROW(pclose, works, NONE, from_command(popen, "re"))

/* --- plugins --- */

static long loaded(void *library)
{
    int error = errno;
    if (library == NULL)
        return -1;
    (void)dlclose(library);
    errno = error;
    return 0;
}
ROW(dlopen, library, NONE, loaded(dlopen("libm.so.6", RTLD_NOW)))
ROW(dlopen, itself, NONE, loaded(dlopen(NULL, RTLD_NOW)))
ROW(dlopen, missing, NONE, loaded(dlopen("libno-such-library.so", RTLD_NOW)))
ROW(dlmopen, library, NONE, loaded(dlmopen(LM_ID_BASE, "libm.so.6", RTLD_NOW | RTLD_DEEPBIND)))

/* --- by number --- */

#define AT(call, ...) syscall(call, area->at, __VA_ARGS__)
ROW(syscall, openat, READ, descriptor(area, (int)AT(SYS_openat, "file", O_RDONLY)))
ROW(syscall, create, CHANGE, descriptor(area, (int)AT(SYS_openat, "new", O_RDWR | O_CREAT, 0600)))
ROW(syscall, write, CHANGE, syscall(SYS_write, area->descriptor, "number", 6))
ROW(syscall, pwrite, CHANGE, syscall(SYS_pwrite64, area->descriptor, "number", 6, 2))
ROW(syscall, unlink, CHANGE, AT(SYS_unlinkat, "file", 0))
ROW(syscall, remove, CHANGE, AT(SYS_unlinkat, "empty", AT_REMOVEDIR))
ROW(syscall, rename, CHANGE, syscall(SYS_renameat2, area->at, "file", area->at, "new", 0))
ROW(syscall, link, CHANGE, syscall(SYS_linkat, area->at, "file", area->at, "new", 0))
ROW(syscall, symlink, CHANGE, syscall(SYS_symlinkat, "x", area->at, "new"))
ROW(syscall, mkdir, CHANGE, AT(SYS_mkdirat, "new", 0700))
ROW(syscall, mknod, CHANGE, AT(SYS_mknodat, "new", S_IFIFO | 0600, 0))
ROW(syscall, truncate, CHANGE, syscall(SYS_truncate, in(area, "file"), 3))
ROW(syscall, ftruncate, CHANGE, syscall(SYS_ftruncate, area->descriptor, 3))
ROW(syscall, copy, CHANGE,
    syscall(SYS_copy_file_range, area->reader, NULL, area->descriptor, NULL, 4, 0))
ROW(syscall, sendfile, CHANGE, syscall(SYS_sendfile, area->descriptor, area->data, NULL, 4))
ROW(syscall, splice, CHANGE, syscall(SYS_splice, area->pipe[0], NULL, area->descriptor, NULL, 4, 0))
static struct iovec one = {(char *)"vector", 6};
ROW(syscall, writev, CHANGE, syscall(SYS_writev, area->descriptor, &one, 1))
ROW(syscall, pwritev, CHANGE, syscall(SYS_pwritev, area->descriptor, &one, 1, 1, 0))
ROW(syscall, pwritev2, CHANGE, syscall(SYS_pwritev2, area->descriptor, &one, 1, 1, 0, 0))
static struct stat status;
static struct statx statusx;
#ifdef SYS_fstatat64
static struct stat64 status64;
ROW(syscall, fstatat64, ASK, AT(SYS_fstatat64, "file", &status64, 0))
ROW(syscall, stat64, ASK, syscall(SYS_stat64, in(area, "file"), &status64))
ROW(syscall, lstat64, ASK, syscall(SYS_lstat64, in(area, "loop"), &status64))
ROW(syscall, truncate64, CHANGE, syscall(SYS_truncate64, in(area, "file"), 3, 0))
ROW(syscall, ftruncate64, CHANGE, syscall(SYS_ftruncate64, area->descriptor, 3, 0))
ROW(syscall, fallocate_halves, CHANGE, syscall(SYS_fallocate, area->descriptor, 0, 0, 0, 100, 0))
ROW(syscall, fallocate_large, CHANGE, syscall(SYS_fallocate, area->descriptor, 0, 0, 0, 0, -1))
ROW(syscall, pwrite64, CHANGE, syscall(SYS_pwrite64, area->descriptor, "xyz", 3, 2, 0))
ROW(syscall, sendfile64, CHANGE, syscall(SYS_sendfile64, area->descriptor, area->data, NULL, 4))
ROW(syscall, fcntl64, NONE, syscall(SYS_fcntl64, area->descriptor, F_GETFL))
ROW(syscall, fcntl64_dup, NONE,
    descriptor(area, (int)syscall(SYS_fcntl64, area->data, F_DUPFD, 210)))
ROW(syscall, mmap2, CHANGE,
    mapping(area,
            (void *)syscall(SYS_mmap2, NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED,
                            area->descriptor, 0),
            8))
#else
ROW(syscall, stat, ASK, AT(SYS_newfstatat, "file", &status, 0))
ROW(syscall, fallocate, CHANGE, syscall(SYS_fallocate, area->descriptor, 0, 0, 100))
ROW(syscall, mmap, CHANGE,
    mapping(area,
            (void *)syscall(SYS_mmap, NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, area->descriptor,
                            0),
            8))
#endif
ROW(syscall, statx, ASK, AT(SYS_statx, "file", 0, STATX_SIZE, &statusx))
ROW(syscall, access, ASK, AT(SYS_faccessat, "file", R_OK))
ROW(syscall, access2, ASK, AT(SYS_faccessat2, "file", R_OK, AT_EACCESS))
static char text[64];
ROW(syscall, readlink, ASK, AT(SYS_readlinkat, "link", text, sizeof text))
ROW(syscall, close, NONE, syscall(SYS_close, dup(area->descriptor)))
ROW(syscall, close_closed, NONE, syscall(SYS_close, 99))
ROW(syscall, close_range, NONE, syscall(SYS_close_range, 200, 300, CLOSE_RANGE_CLOEXEC))
ROW(syscall, dup3, NONE, descriptor(area, (int)syscall(SYS_dup3, area->data, 210, 0)))
ROW(syscall, fcntl, NONE, syscall(SYS_fcntl, area->descriptor, F_GETFL))
ROW(syscall, getpid, NONE, syscall(SYS_getpid) == getpid())
ROW(syscall, unknown, NONE, syscall(4711, 1, 2, 3))
#ifdef SYS_open
ROW(syscall, open, READ, descriptor(area, (int)syscall(SYS_open, in(area, "file"), O_RDONLY)))
ROW(syscall, old_unlink, CHANGE, syscall(SYS_unlink, in(area, "file")))
ROW(syscall, old_rename, CHANGE, syscall(SYS_rename, in(area, "file"), in(area, "new")))
ROW(syscall, creat, CHANGE, descriptor(area, (int)syscall(SYS_creat, in(area, "file"), 0600)))
ROW(syscall, old_link, CHANGE, syscall(SYS_link, in(area, "file"), in(area, "new")))
ROW(syscall, old_symlink, CHANGE, syscall(SYS_symlink, "x", in(area, "new")))
ROW(syscall, old_rmdir, CHANGE, syscall(SYS_rmdir, in(area, "empty")))
ROW(syscall, old_mkdir, CHANGE, syscall(SYS_mkdir, in(area, "new"), 0700))
ROW(syscall, old_stat, ASK, syscall(SYS_stat, in(area, "file"), &status))
ROW(syscall, old_lstat, ASK, syscall(SYS_lstat, in(area, "loop"), &status))
ROW(syscall, old_access, ASK, syscall(SYS_access, in(area, "file"), F_OK))
ROW(syscall, old_readlink, ASK, syscall(SYS_readlink, in(area, "link"), text, sizeof text))
#endif
static long fork_by_number(struct area *area)
{
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0)
        _exit(open(in(area, "file"), O_RDONLY) < 0 ? errno : 0);
    long result = status_of(child);
    if (result > 0 && result < 256) {
        errno = (int)result;
        return -1;
    }
    return result;
}
ROW(syscall, clone, READ, fork_by_number(area))
