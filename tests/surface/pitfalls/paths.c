/* Pitfalls of paths: every disguise of a table's file must be seen through, and nothing else held
 * up. */
#include "tests/surface/pitfalls/pitfall.h"

#include "shim/lock/kernel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* With the lock in a stranger's hand: this path is the table's. */
static void refused(int directory, const char *path, int flags)
{
    errno = 0;
    int file = openat(directory, path, flags, 0644);
    CHECK(file == -1 && errno == EAGAIN, "%s (flags %o) is let through: %d, %s", path,
          (unsigned)flags, file, strerror(errno));
}

static void allowed(int directory, const char *path, int flags)
{
    int file = openat(directory, path, flags, 0644);
    CHECK(file >= 0, "%s (flags %o), which is no table's: %s", path, (unsigned)flags,
          strerror(errno));
    close_file(file);
}

PITFALL(disguises, "session", "0")
{
    const int truncate = O_WRONLY | O_TRUNC;
    refused(AT_FDCWD, at("T/file"), truncate);
    refused(AT_FDCWD, at("T//file"), truncate);
    refused(AT_FDCWD, at("T/./sub/../file"), truncate);
    refused(AT_FDCWD, at("O/../T/file"), truncate);
    refused(AT_FDCWD, at("T/sub/.."), O_RDONLY);
    refused(AT_FDCWD, at("T"), O_RDONLY | O_DIRECTORY);
    refused(AT_FDCWD, at("T/"), O_RDONLY);
    refused(AT_FDCWD, at("T/."), O_RDONLY);
    refused(AT_FDCWD, at("alias/file"), truncate);
    refused(AT_FDCWD, at("alias"), O_RDONLY);
    refused(AT_FDCWD, at("alias/link"), truncate);
    refused(AT_FDCWD, at("T/link"), truncate);
    refused(AT_FDCWD, at("O/into"), truncate);
    refused(AT_FDCWD, at("T/new"), O_WRONLY | O_CREAT);
    refused(AT_FDCWD, at("T"), O_RDWR | O_TMPFILE);
    refused(AT_FDCWD, at("T/sub/inner"), O_RDONLY | O_PATH);
    CHECK(size_of(at("T/file")) == 8 && size_of(at("T/new")) == -1, "something has changed");
    allowed(AT_FDCWD, at("O/plain"), O_RDWR);
    allowed(AT_FDCWD, at("T/../O/plain"), O_RDWR);
    allowed(AT_FDCWD, at("T.lock"), O_RDWR | O_TRUNC);
    allowed(AT_FDCWD, base, O_RDONLY);
    allowed(AT_FDCWD, at("T2"), O_RDWR | O_CREAT);
}

PITFALL(disguises_by_working_directory, "session", "0")
{
    CHECK(chdir(base) == 0, "chdir: %s", strerror(errno));
    refused(AT_FDCWD, "T/file", O_WRONLY | O_TRUNC);
    CHECK(chdir("T") == 0, "chdir: %s", strerror(errno));
    refused(AT_FDCWD, "file", O_WRONLY | O_TRUNC);
    refused(AT_FDCWD, ".", O_RDONLY);
    allowed(AT_FDCWD, "../O/plain", O_RDWR);
    CHECK(chdir("sub") == 0, "chdir: %s", strerror(errno));
    refused(AT_FDCWD, "../file", O_WRONLY | O_TRUNC);
    refused(AT_FDCWD, "..", O_RDONLY);
    refused(AT_FDCWD, "inner", O_RDONLY);
    CHECK(chdir("../..") == 0, "chdir: %s", strerror(errno));
    allowed(AT_FDCWD, "O/plain", O_RDWR);
    refused(AT_FDCWD, "alias/file", O_RDONLY);
    int directory = open(".", O_RDONLY);
    CHECK(chdir("/") == 0 && fchdir(directory) == 0, "fchdir: %s", strerror(errno));
    refused(AT_FDCWD, "T/file", O_WRONLY | O_TRUNC);
}

PITFALL(disguises_by_descriptor, "session", "0")
{
    char path[64];
    int above = open(base, O_RDONLY | O_DIRECTORY);
    refused(above, "T/file", O_WRONLY | O_TRUNC);
    refused(above, "T", O_RDONLY);
    refused(above, "alias", O_RDONLY);
    refused(above, "alias/sub/../link", O_WRONLY | O_TRUNC);
    allowed(above, "O/plain", O_RDWR);
    int beside = openat(above, "O", O_RDONLY | O_PATH);
    refused(beside, "into", O_WRONLY | O_TRUNC);
    refused(beside, "../T/file", O_WRONLY | O_TRUNC);
    allowed(beside, "plain", O_RDWR);
    /* Opened past the shim, as an inherited one is. */
    int inside = kernel_openat(AT_FDCWD, at("T/sub"), O_RDONLY | O_CLOEXEC, 0);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d/inner", inside);
    refused(AT_FDCWD, path, O_WRONLY | O_TRUNC);
    (void)snprintf(path, sizeof path, "/dev/fd/%d/../file", inside);
    refused(AT_FDCWD, path, O_WRONLY | O_TRUNC);
    int file = kernel_openat(AT_FDCWD, at("T/file"), O_RDONLY | O_CLOEXEC, 0);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    refused(AT_FDCWD, path, O_WRONLY | O_TRUNC);
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", getpid(), file);
    refused(AT_FDCWD, path, O_WRONLY | O_TRUNC);
    CHECK(size_of(at("T/file")) == 8, "something has changed");
}

/* What was learnt about a directory does not outlive its place. */
PITFALL(renamed_into_place, "session", "0")
{
    CHECK(mkdir(at("O/other"), 0755) == 0, "mkdir: %s", strerror(errno));
    allowed(AT_FDCWD, at("O/other/x"), O_WRONLY | O_CREAT);
    CHECK(rename(at("O/other"), at("O/old")) == 0, "rename: %s", strerror(errno));
    CHECK(symlink("../T", at("O/other")) == 0, "symlink: %s", strerror(errno));
    refused(AT_FDCWD, at("O/other/file"), O_WRONLY | O_TRUNC);
}

PITFALL(table_itself, "session", "0")
{
    CHECK(rmdir(at("T/sub")) == -1 && errno == EAGAIN, "rmdir in the table is let through");
    CHECK(rename(at("T"), at("T3")) == -1 && errno == EAGAIN, "rename of the table is let through");
    CHECK(rename(at("O"), at("T")) == -1 && errno == EAGAIN,
          "rename over the table is let through");
    CHECK(rmdir(at("T")) == -1 && errno == EAGAIN, "rmdir of the table is let through");
    CHECK(mkdir(at("T"), 0755) == -1 && errno == EAGAIN, "mkdir of the table is let through");
    CHECK(unlink(at("alias")) == 0, "unlink of a link to the table, which lies outside: %s",
          strerror(errno));
}

PITFALL(nameless_file_gets_a_name, "session", "5")
{
    char path[64];
    int file = open(at("T"), O_RDWR | O_TMPFILE, 0600);
    if (file < 0)
        skip("no O_TMPFILE here");
    must_be_held(true, "while a nameless file is open");
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    CHECK(linkat(AT_FDCWD, path, AT_FDCWD, at("T/named"), AT_SYMLINK_FOLLOW) == 0, "linkat: %s",
          strerror(errno));
    close_file(file);
    must_be_held(false, "after the close");
    CHECK(size_of(at("T/named")) == 0, "the file has no name");
}

/* Names with line ends and blanks, and paths as long as they can be. */
PITFALL(odd_names, "session", "0")
{
    char path[4300];
    refused(AT_FDCWD, at("T/a name\nwith \xff bytes"), O_WRONLY | O_CREAT);
    size_t length = strlen(base);
    memcpy(path, base, length); // NOLINT: the rest follows
    while (length < 4080) {
        memcpy(path + length, "/.", 2); // NOLINT
        length += 2;
    }
    memcpy(path + length, "/T/file", 8);
    refused(AT_FDCWD, path, O_RDONLY);
    memset(path + length, '/', 100);
    memcpy(path + length + 100, "T/file", 7);
    CHECK(open(path, O_RDONLY) == -1 && errno == ENAMETOOLONG, "a path of over 4,095 bytes: %s",
          strerror(errno));
}
