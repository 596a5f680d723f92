/*
 * Processes that hold, and the description by which they do (takeover.h). It must never act on a
 * process but through the pidfd whose identity was checked, nor unlock what it has not looked at.
 */
#include "shim/lock/takeover.h"

#include "shim/lock/lock.h"
#include "shim/lock/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

static int result_of(long result)
{
    return result < 0 ? -errno : (int)result;
}

/* --- processes --- */

struct thread_search {
    pid_t process, found;
};

static bool look_at_thread(long number, void *context)
{
    struct thread_search *search = context;
    struct process_status status;
    char path[64], text[1024];
    /* /proc/TID is there for every thread, though not listed. */
    if (!process_status_read((pid_t)number, &status) || status.state == 'Z' || status.state == 'X')
        return true;
    /* A thread on the point of exiting has no files any more. */
    if (process_read_file(process_path(path, (pid_t)number, "fdinfo/0", -1), text, sizeof text) ==
        -EACCES)
        return true;
    search->found = (pid_t)number;
    return false;
}

static pid_t living_thread(pid_t process)
{
    char path[64];
    struct process_status status;
    if (process_status_read(process, &status) && status.state != 'Z' && status.state != 'X')
        return process;
    struct thread_search search = {process, 0};
    process_each_number(process_path(path, process, "task", -1), look_at_thread, &search);
    return search.found;
}

static bool has_shim(pid_t thread)
{
    char path[64], *line = NULL;
    size_t size = 0;
    bool found = false;
    FILE *maps = fopen(process_path(path, thread, "maps", -1), "re");
    if (maps == NULL)
        return false;
    while (!found && getline(&line, &size, maps) > 0)
        found = strstr(line, "/liblockshim.so") != NULL;
    free(line);
    (void)fclose(maps);
    return found;
}

int takeover_open(struct takeover_process *process, pid_t pid, uint64_t start_time)
{
    *process = (struct takeover_process){.pid = pid, .start_time = start_time, .pidfd = -1};
    int pidfd = result_of(syscall(SYS_pidfd_open, pid, 0));
    if (pidfd < 0)
        return pidfd;
    /* Opened first, compared then: what the pidfd stands for can't change any more. */
    struct process_status status;
    if (!process_status_read(pid, &status) ||
        (start_time != 0 && status.start_time != start_time)) {
        (void)close(pidfd);
        return -ESRCH;
    }
    process->start_time = status.start_time;
    process->pidfd = pidfd;
    process->thread = living_thread(pid);
    if (process->thread == 0) {
        takeover_close(process);
        return -ESRCH;
    }
    process->guarded = has_shim(process->thread);
    return 0;
}

void takeover_close(struct takeover_process *process)
{
    if (process->pidfd >= 0)
        (void)close(process->pidfd);
    process->pidfd = -1;
}

int takeover_signal(const struct takeover_process *process, int signal)
{
    return result_of(syscall(SYS_pidfd_send_signal, process->pidfd, signal, NULL, 0));
}

int takeover_await_end(const struct takeover_process *process, int64_t nanoseconds)
{
    uint64_t end = registry_now() + (uint64_t)nanoseconds;
    for (;;) {
        struct pollfd watched = {.fd = process->pidfd, .events = POLLIN};
        uint64_t now = registry_now();
        int left = now >= end ? 0 : (int)((end - now) / 1000000) + 1;
        int result = poll(&watched, 1, left);
        if (result > 0)
            return 0;
        if (result == 0)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return -errno;
    }
}

/* The process's pid in its own PID namespace: the last of the line NSpid. */
static pid_t innermost_pid(pid_t thread, pid_t process)
{
    char path[64], text[4096];
    if (thread != process ||
        process_read_file(process_path(path, process, "status", -1), text, sizeof text) <= 0)
        return process;
    char *line = strstr(text, "\nNSpid:");
    if (line == NULL)
        return process;
    line[1 + strcspn(line + 1, "\n")] = '\0';
    const char *last = strrchr(line, '\t');
    return last != NULL ? (pid_t)strtol(last, NULL, 10) : process;
}

bool takeover_is_recorded_as(const struct takeover_process *process,
                             const struct registry_holder *record)
{
    char path[64];
    struct stat namespace;
    pid_t recorded = record->process;
    if (recorded == 0 || record->start_time != process->start_time ||
        record->boot != process_boot_number() ||
        stat(process_path(path, process->thread, "ns/pid", -1), &namespace) != 0)
        return false;
    return record->pid_namespace == namespace.st_ino &&
           recorded == innermost_pid(process->thread, process->pid);
}

/* --- the description --- */

/* Does the text of an fdinfo show a lock of this kind? It tells of that description's alone. */
static bool shows_lock(const char *text, bool joined)
{
    const char *wanted = joined ? "OFDLCK" : "FLOCK";
    for (const char *at = text; (at = strstr(at, "lock:\t")) != NULL; at++) {
        char kind[16];
        if (sscanf(at, "lock:\t%*d: %15s", kind) == 1 && strcmp(kind, wanted) == 0)
            return true;
    }
    return false;
}

struct descriptor_search {
    const struct takeover_process *process;
    const struct takeover_lock *lock; /* NULL: by inode and flock */
    uint64_t inode;
    bool joined;
    int found;
    int error;
};

static bool look_at_lock_descriptor(long number, void *context)
{
    struct descriptor_search *search = context;
    char path[64], text[4096];
    struct stat status;
    if (stat(process_path(path, search->process->thread, "fd", number), &status) != 0) {
        if (errno == EACCES || errno == EPERM)
            search->error = -EPERM;
        return search->error == 0;
    }
    if (status.st_ino != search->inode ||
        process_read_file(process_path(path, search->process->thread, "fdinfo", number), text,
                          sizeof text) <= 0 ||
        !shows_lock(text, search->joined))
        return true;
    search->found = (int)number;
    return false;
}

static int find_lock_descriptor(const struct takeover_process *process, uint64_t inode, bool joined)
{
    char path[64];
    struct descriptor_search search = {process, NULL, inode, joined, -1, 0};
    if (access(process_path(path, process->thread, "fd", -1), R_OK | X_OK) != 0)
        return errno == ENOENT ? -ESRCH : -EPERM;
    process_each_number(path, look_at_lock_descriptor, &search);
    if (search.found < 0)
        return search.error != 0 ? search.error : -ENOENT;
    return search.found;
}

/* A thread's own pidfd where the leader has exited, and with it the leader's descriptors. */
static int copy_descriptor(const struct takeover_process *process, int number)
{
    int pidfd = process->pidfd;
    if (process->thread != process->pid)
        pidfd = result_of(syscall(SYS_pidfd_open, process->thread, PIDFD_THREAD));
    if (pidfd < 0)
        return pidfd;
    int copy = result_of(syscall(SYS_pidfd_getfd, pidfd, number, 0));
    if (pidfd != process->pidfd)
        (void)close(pidfd);
    return copy;
}

int takeover_share(const struct takeover_process *process, uint64_t inode, bool joined,
                   struct takeover_lock *lock)
{
    int number = find_lock_descriptor(process, inode, joined);
    if (number < 0)
        return number;
    int copy = copy_descriptor(process, number);
    if (copy < 0)
        return copy == -EACCES ? -EPERM : copy;
    struct stat status;
    if (fstat(copy, &status) != 0 || status.st_ino != inode) {
        (void)close(copy);
        return -ENOENT;
    }
    *lock = (struct takeover_lock){status.st_dev, status.st_ino, copy, number, joined};
    if (takeover_has_lock(lock))
        return 0;
    (void)close(copy);
    return -ENOENT;
}

bool takeover_has_lock(const struct takeover_lock *lock)
{
    char path[64], text[4096];
    return process_read_file(process_path(path, getpid(), "fdinfo", lock->descriptor), text,
                             sizeof text) > 0 &&
           shows_lock(text, lock->joined);
}

static bool look_for_copy(long number, void *context)
{
    struct descriptor_search *search = context;
    char path[64], text[4096];
    struct stat status;
    if (stat(process_path(path, search->process->thread, "fd", number), &status) != 0 ||
        status.st_ino != search->inode)
        return true;
    long compared = syscall(SYS_kcmp, getpid(), search->process->thread, KCMP_FILE,
                            search->lock->descriptor, number);
    /* Without kcmp: one that shows the flock. */
    if (compared < 0 && errno != EPERM &&
        process_read_file(process_path(path, search->process->thread, "fdinfo", number), text,
                          sizeof text) > 0 &&
        shows_lock(text, search->joined))
        compared = 0;
    if (compared == 0)
        search->found = (int)number;
    return compared != 0;
}

int takeover_has_copy(const struct takeover_process *process, const struct takeover_lock *lock)
{
    char path[64];
    struct descriptor_search search = {process, lock, lock->inode, lock->joined, -1, 0};
    process_each_number(process_path(path, process->thread, "fd", -1), look_for_copy, &search);
    return search.found;
}

/* A description of the lock file that is ours alone: also of one that was deleted. */
static int open_anew(const struct takeover_lock *lock)
{
    char path[64];
    return result_of(
        open(process_path(path, getpid(), "fd", lock->descriptor), O_RDWR | O_CLOEXEC | O_NOCTTY));
}

static bool lock_byte(int descriptor, off_t offset)
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};
    return fcntl(descriptor, F_OFD_SETLK, &range) == 0;
}

int takeover_exclude(const struct takeover_lock *lock)
{
    int descriptor = open_anew(lock);
    if (descriptor < 0 || lock_byte(descriptor, LOCK_BREAK_OFFSET))
        return descriptor;
    (void)close(descriptor);
    return -EAGAIN;
}

int takeover_bar_joining(const struct takeover_lock *lock, int *joined)
{
    *joined = 0;
    int descriptor = open_anew(lock);
    for (int level = 1; descriptor >= 0 && level < LOCK_LEVELS; level++)
        *joined += lock_byte(descriptor, LOCK_LEVEL_OFFSET + level) ? 0 : 1;
    return descriptor;
}

void takeover_unlock(const struct takeover_lock *lock)
{
    if (!lock->joined) {
        (void)flock(lock->descriptor, LOCK_UN);
        return;
    }
    struct flock range = {.l_type = F_UNLCK,
                          .l_whence = SEEK_SET,
                          .l_start = LOCK_LEVEL_OFFSET,
                          .l_len = LOCK_LEVELS};
    (void)fcntl(lock->descriptor, F_OFD_SETLK, &range);
}
