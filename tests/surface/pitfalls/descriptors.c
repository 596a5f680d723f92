/* Pitfalls of descriptors: copies, closing everything, numbers, arrivals, mappings, streams. */
#include "tests/surface/pitfalls/pitfall.h"

#include "shim/lock/kernel.h"

#include <errno.h>
#include <limits.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- copies --- */

static void copy_and_close(int (*copy)(int), const char *name)
{
    int first = open_file(O_RDWR);
    int second = copy(first);
    CHECK(second >= 0, "%s: %s", name, strerror(errno));
    close_file(first);
    CHECK(held(), "%s: the lock went with the first of two descriptors", name);
    close_file(second);
    CHECK(!held(), "%s: the lock stays behind", name);
}

static int by_dup2(int descriptor)
{
    return dup2(descriptor, 300);
}
static int by_dup3(int descriptor)
{
    return dup3(descriptor, 301, O_CLOEXEC);
}
static int by_control(int descriptor)
{
    return fcntl(descriptor, F_DUPFD, 302);
}
static int by_control_on_exec(int descriptor)
{
    return fcntl(descriptor, F_DUPFD_CLOEXEC, 303);
}
static int by_number(int descriptor)
{
    return (int)syscall(SYS_fcntl, descriptor, F_DUPFD, 304);
}

PITFALL(copies_hold_the_session, "session", "5")
{
    copy_and_close(dup, "dup");
    copy_and_close(by_dup2, "dup2");
    copy_and_close(by_dup3, "dup3");
    copy_and_close(by_control, "F_DUPFD");
    copy_and_close(by_control_on_exec, "F_DUPFD_CLOEXEC");
    copy_and_close(by_number, "syscall(SYS_fcntl)");
}

PITFALL(failed_copy_leaves_the_session, "session", "5")
{
    int file = open_file(O_RDWR);
    CHECK(dup2(999, file) == -1 && errno == EBADF, "dup2 of a closed descriptor succeeds");
    must_be_held(true, "after a dup2 that failed");
    CHECK(dup3(999, file, 0) == -1 && errno == EBADF, "dup3 of a closed descriptor succeeds");
    must_be_held(true, "after a dup3 that failed");
    CHECK(dup3(file, file, 0) == -1 && errno == EINVAL, "dup3 onto itself succeeds");
    must_be_held(true, "after a dup3 onto itself");
    close_file(file);
    must_be_held(false, "after the last close");
}

PITFALL(overwritten_is_closed, "session", "5")
{
    int file = open_file(O_RDONLY), null = open("/dev/null", O_RDWR);
    CHECK(dup2(null, file) == file, "dup2: %s", strerror(errno));
    must_be_held(false, "after dup2 put another file in place");
    int other = open_file(O_RDONLY);
    CHECK(dup2(other, null) == null && close(other) == 0, "dup2: %s", strerror(errno));
    must_be_held(true, "while a copy is open");
    close_file(null);
    must_be_held(false, "after all are closed");
}

PITFALL(closed_by_number, "session", "5")
{
    int file = open_file(O_RDONLY);
    CHECK(syscall(SYS_close, file) == 0, "SYS_close: %s", strerror(errno));
    must_be_held(false, "after syscall(SYS_close)");
}

/* --- closing everything --- */

static void close_each(void)
{
    for (int i = 3; i < 70000; i++)
        (void)close(i);
}

PITFALL(closing_everything_keeps_the_lock, "process", "5")
{
    close_file(open_file(O_RDONLY));
    must_be_held(true, "after the first touch");
    CHECK(close_range(3, ~0u, 0) == 0, "close_range: %s", strerror(errno));
    must_be_held(true, "after close_range");
    CHECK(close_range(3, ~0u, CLOSE_RANGE_UNSHARE) == 0, "close_range: %s", strerror(errno));
    must_be_held(true, "after close_range with CLOSE_RANGE_UNSHARE");
    CHECK(close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0, "close_range: %s", strerror(errno));
    must_be_held(true, "after close_range with CLOSE_RANGE_CLOEXEC");
    closefrom(3);
    must_be_held(true, "after closefrom");
    close_each();
    must_be_held(true, "after a loop of close");
    CHECK(syscall(SYS_close_range, 3, ~0u, 0) == 0, "SYS_close_range: %s", strerror(errno));
    must_be_held(true, "after syscall(SYS_close_range)");
}

PITFALL(range_ends_sessions, "session", "5")
{
    int file = open_file(O_RDONLY);
    (void)dup(file);
    CHECK(close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0, "close_range: %s", strerror(errno));
    must_be_held(true, "after close_range that closes nothing");
    CHECK(close_range(3, ~0u, 0) == 0, "close_range: %s", strerror(errno));
    must_be_held(false, "after close_range");
    (void)open_file(O_RDONLY);
    closefrom(3);
    must_be_held(false, "after closefrom");
    file = open_file(O_RDONLY);
    must_be_held(true, "in the next session");
    close_file(file);
    must_be_held(false, "after the next session");
}

/* The child shares our memory: nothing that it closes is closed here. */
static void vfork_and(void (*closing)(void), const char *what)
{
    int file = open_file(O_RDWR);
    pid_t child = vfork(); // NOLINT: it is what is tested
    if (child == 0) {
        closing(); // NOLINT
        _exit(0);
    }
    CHECK(status_of(child) == 0, "the child fails");
    CHECK(held(), "the lock is gone after %s in a vfork child", what);
    CHECK(write(file, "x", 1) == 1, "write: %s", strerror(errno));
    close_file(file);
    CHECK(!held(), "the lock stays behind after %s in a vfork child", what);
}
static void close_the_range(void)
{
    (void)close_range(3, ~0u, 0);
}
static void close_from(void)
{
    closefrom(3);
}
static void put_in_place(void)
{
    (void)dup2(2, 3);
    (void)dup2(2, 4);
    (void)dup2(2, 5);
}
PITFALL(vfork_child_closes_everything, "session", "5")
{
    vfork_and(close_each, "a loop of close");
    vfork_and(close_the_range, "close_range");
    vfork_and(close_from, "closefrom");
    vfork_and(put_in_place, "dup2");
}

/* What the child learns of its own working directory is not the parent's. */
PITFALL(vfork_child_elsewhere, "process", "0")
{
    CHECK(chdir("/") == 0, "chdir: %s", strerror(errno));
    int directory = kernel_openat(AT_FDCWD, at("T"), O_PATH | O_CLOEXEC, 0);
    CHECK(fchdir(directory) == 0, "fchdir: %s", strerror(errno));
    for (int i = 0; i < 20; i++) {
        pid_t child = vfork(); // NOLINT: it is what is tested
        if (child == 0) {
            // NOLINTNEXTLINE
            _exit(chdir("/") != 0 || access("etc", F_OK) != 0 || access("passwd", F_OK) == 0);
        }
        CHECK(status_of(child) == 0, "the child fails");
        CHECK(open("file", O_RDWR) == -1 && errno == EAGAIN,
              "a relative path is unguarded after a vfork child was elsewhere");
    }
}

/* --- numbers --- */

PITFALL(lowest_numbers, "process", "5")
{
    int first = open("/dev/null", O_RDONLY);
    close_file(first);
    close_file(open_file(O_RDWR));
    int second = open("/dev/null", O_RDONLY);
    CHECK(first == second, "/dev/null is opened as %d, and as %d once the lock is held", first,
          second);
}

PITFALL(wanted_number_moves_ours, "process", "5")
{
    close_file(open_file(O_RDONLY));
    for (int number = 3; number < 4200; number++)
        CHECK(dup2(1, number) == number, "dup2 to %d: %s", number, strerror(errno));
    must_be_held(true, "after dup2 to every number");
    for (int number = 3; number < 4200; number++)
        CHECK(close(number) == 0, "close of %d: %s", number, strerror(errno));
    must_be_held(true, "after closing every number again");
}

static void with_limit(rlim_t soft)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit: %s", strerror(errno));
    limit.rlim_cur = soft < limit.rlim_max ? soft : limit.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit: %s", strerror(errno));
    int file = open_file(O_RDONLY);
    must_be_held(true, "in a session");
    int highest = fcntl(file, F_DUPFD, (int)limit.rlim_cur - 1);
    close_file(file);
    if (highest >= 0) {
        must_be_held(true, "while the highest number is open");
        close_file(highest);
    }
    must_be_held(false, "after the session");
}
PITFALL(highest_limit, "session", "5")
{
    with_limit(RLIM_INFINITY);
}
PITFALL(lowest_limit, "session", "5")
{
    with_limit(16);
}
PITFALL(limit_of_1024, "session", "5")
{
    with_limit(1024);
}

/* --- descriptors that arrive --- */

static void pass_and_write(int (*receive)(int))
{
    int pair[2];
    char control[CMSG_SPACE(sizeof(int))] = {0}, byte = 'x';
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    int file = kernel_openat(AT_FDCWD, at("T/file"), O_RDWR, 0);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(part), &file, sizeof file);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && sendmsg(pair[0], &message, 0) == 1,
          "sending: %s", strerror(errno));
    int received = receive(pair[1]);
    CHECK(write(received, "written", 7) == -1 && errno == EAGAIN,
          "a descriptor that arrived is written without the lock");
}
static int by_recvmsg(int from)
{
    char control[CMSG_SPACE(sizeof(int))], byte;
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    int received;
    CHECK(recvmsg(from, &message, MSG_CMSG_CLOEXEC) == 1, "recvmsg: %s", strerror(errno));
    // NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): exactly one has been sent
    memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof received);
    return received;
}
static int by_recvmsg_number(int from)
{
    char control[CMSG_SPACE(sizeof(int))], byte;
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    int received;
    CHECK(syscall(SYS_recvmsg, from, &message, 0) == 1, "SYS_recvmsg: %s", strerror(errno));
    // NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): exactly one has been sent
    memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof received);
    return received;
}
PITFALL(descriptor_from_a_socket, "session", "0")
{
    pass_and_write(by_recvmsg);
    pass_and_write(by_recvmsg_number);
}

PITFALL(inherited_descriptor, "session", "0")
{
    int file = kernel_openat(AT_FDCWD, at("T/file"), O_RDWR, 0);
    CHECK(dup2(file, 7) == 7, "dup2: %s", strerror(errno));
    pid_t child = fork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", "echo written >&7", (char *)NULL);
        _exit(126);
    }
    CHECK(status_of(child) != 0, "a shell writes to an inherited descriptor without the lock");
    CHECK(size_of(at("T/file")) == 8, "the file has changed");
}
