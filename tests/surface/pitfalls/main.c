/*
 * Runs the cases: each in a process of its own, under the preload, in a fresh directory, with a
 * time limit. `pitfalls SHIM TOOLS [CASE]`; without a case all of them.
 */
#include "tests/surface/pitfalls/pitfall.h"

#include "shim/lock/kernel.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77, SECONDS = 180 };

extern const struct pitfall *const __start_pitfalls[], *const __stop_pitfalls[];

const char *base;
static const char *tools;
static pid_t stranger;

/* --- what cases use --- */

void fail(const char *format, ...)
{
    va_list arguments;
    char text[1000];
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text - 1, format, arguments);
    va_end(arguments);
    (void)strcat(text, "\n");
    (void)kernel_write(STDOUT_FILENO, text, strlen(text));
    kernel_exit_group(1);
}

void skip(const char *why)
{
    (void)kernel_write(STDOUT_FILENO, why, strlen(why));
    kernel_exit_group(SKIPPED);
}

static const char *join(const char *directory, const char *name)
{
    static char paths[16][512];
    static unsigned next;
    char *path = paths[next++ % 16];
    (void)snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

const char *at(const char *name)
{
    return join(base, name);
}

const char *tool(const char *name)
{
    return join(tools, name);
}

bool held(void)
{
    int file = kernel_openat(AT_FDCWD, at("T.lock"), O_RDONLY | O_CLOEXEC, 0);
    if (file < 0)
        return false;
    bool result = kernel_flock(file, LOCK_EX | LOCK_NB) != 0;
    (void)kernel_close(file);
    return result;
}

void must_be_held(bool yes, const char *when)
{
    if (held() != yes)
        fail("the lock is %s %s", yes ? "free" : "held", when);
}

long size_of(const char *path)
{
    struct stat status;
    return kernel_fstatat(AT_FDCWD, path, &status, 0) != 0 ? -1 : (long)status.st_size;
}

static void take_and_stay(void)
{
    int file = kernel_openat(AT_FDCWD, at("T.lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0 || kernel_flock(file, LOCK_EX) != 0)
        kernel_exit_group(2);
    (void)KERNEL_CALL(SYS_kill, KERNEL_CALL(SYS_getpid, 0, 0, 0, 0, 0, 0), SIGSTOP, 0, 0, 0, 0);
    for (;;)
        (void)kernel_poll(NULL, 0, -1);
}

void stranger_takes(void)
{
    stranger = fork();
    if (stranger == 0)
        take_and_stay();
    int status;
    if (waitpid(stranger, &status, WUNTRACED) != stranger || !WIFSTOPPED(status))
        fail("the stranger could not take the lock");
    (void)kill(stranger, SIGCONT);
}

void stranger_leaves(void)
{
    if (stranger <= 0)
        return;
    (void)kill(stranger, SIGKILL);
    (void)waitpid(stranger, NULL, 0);
    stranger = 0;
}

int open_file(int flags)
{
    int opened = open(at("T/file"), flags, 0644);
    CHECK(opened >= 0, "open of T/file: %s", strerror(errno));
    return opened;
}

void close_file(int descriptor)
{
    CHECK(close(descriptor) == 0, "close of %d: %s", descriptor, strerror(errno));
}

int status_of(pid_t child)
{
    int status;
    CHECK(child > 0, "fork: %s", strerror(errno));
    CHECK(waitpid(child, &status, 0) == child, "waitpid: %s", strerror(errno));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* --- running them --- */

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) {
        perror(path);
        exit(2);
    }
}

static void make_ground(char *directory)
{
    if (mkdtemp(directory) == NULL || mkdir(join(directory, "T"), 0755) != 0 ||
        mkdir(join(directory, "O"), 0755) != 0 || mkdir(join(directory, "T/sub"), 0755) != 0 ||
        symlink("file", join(directory, "T/link")) != 0 ||
        symlink("../T/file", join(directory, "O/into")) != 0 ||
        symlink("T", join(directory, "alias")) != 0) {
        perror(directory);
        exit(2);
    }
    write_text(join(directory, "T/file"), "content\n");
    write_text(join(directory, "T/sub/inner"), "inner\n");
    write_text(join(directory, "O/plain"), "plain\n");
    write_text(join(directory, "T.lock"), "");
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status, (void)type, (void)where;
    return remove(path);
}

static void execute(const struct pitfall *pitfall, const char *self, const char *shim,
                    const char *directory)
{
    char table[512], record[512];
    (void)snprintf(table, sizeof table, "%s/T", directory);
    (void)snprintf(record, sizeof record, "%s/errors", directory);
    int errors = open(record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    (void)dup2(errors, STDERR_FILENO);
    (void)setenv("LD_PRELOAD", shim, 1);
    (void)setenv("LOCKSHIM_TABLE", table, 1);
    (void)setenv("LOCKSHIM_SCOPE", pitfall->scope, 1);
    (void)setenv("LOCKSHIM_TIMEOUT", pitfall->timeout, 1);
    (void)alarm(SECONDS);
    (void)setpgid(0, 0); /* whatever it leaves behind is ended with it */
    execl(self, self, "--case", pitfall->name, directory, tools, (char *)NULL);
    _exit(127);
}

static int run_one(const struct pitfall *pitfall, const char *self, const char *shim)
{
    char directory[64] = "/dev/shm/pitfall-XXXXXX";
    if (access("/dev/shm", W_OK) != 0)
        (void)strcpy(directory, "/tmp/pitfall-XXXXXX");
    make_ground(directory);
    int ends[2], status;
    char said[2000];
    if (pipe(ends) != 0)
        return 1;
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        execute(pitfall, self, shim, directory);
    }
    (void)close(ends[1]);
    (void)waitpid(child, &status, 0);
    (void)kill(-child, SIGKILL);
    size_t length = 0;
    ssize_t got;
    while (length < sizeof said - 1 &&
           (got = read(ends[0], said + length, sizeof said - 1 - length)) > 0)
        length += (size_t)got;
    said[length] = '\0';
    (void)close(ends[0]);
    (void)nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
        printf("SKIP %s: %s\n", pitfall->name, said);
        return SKIPPED;
    }
    printf("FAIL %s (%s): ", pitfall->name, pitfall->scope);
    if (WIFSIGNALED(status))
        printf("%s ", WTERMSIG(status) == SIGALRM ? "hangs" : strsignal(WTERMSIG(status)));
    printf("%s%s", said, length > 0 && said[length - 1] == '\n' ? "" : "\n");
    return 1;
}

static int run_case(const char *name, const char *directory, const char *tools_directory)
{
    base = directory;
    tools = tools_directory;
    // cppcheck-suppress comparePointers ; the bounds of one section
    for (const struct pitfall *const *each = __start_pitfalls; each < __stop_pitfalls; each++) {
        if (strcmp((*each)->name, name) != 0)
            continue;
        if (strcmp((*each)->timeout, "0") == 0)
            stranger_takes();
        (*each)->run();
        stranger_leaves();
        return 0;
    }
    return 2;
}

int main(int count, char **arguments)
{
    if (count == 5 && strcmp(arguments[1], "--case") == 0)
        return run_case(arguments[2], arguments[3], arguments[4]);
    if (count < 3) {
        fprintf(stderr, "usage: pitfalls SHIM TOOLS [CASE]\n");
        return 2;
    }
    tools = arguments[2];
    int passed = 0, failed = 0, skipped = 0;
    // cppcheck-suppress comparePointers ; the bounds of one section
    for (const struct pitfall *const *each = __start_pitfalls; each < __stop_pitfalls; each++) {
        if (count > 3 && strcmp((*each)->name, arguments[3]) != 0)
            continue;
        (void)fflush(stdout);
        int result = run_one(*each, arguments[0], arguments[1]);
        passed += result == 0;
        failed += result == 1;
        skipped += result == SKIPPED;
    }
    printf("pitfalls: %d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed == 0 ? 0 : 1;
}
