/*
 * Calls that are no table's: what a shim costs those who do not want anything from it. Works in a
 * directory of its own and on /dev/null; the same program runs bare and below every shim.
 *
 *   calls OPERATION DIRECTORY [COUNT]     the directory holds `file`, which has some bytes, and
 * `file.a`
 */
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/worker.h"

extern char **environ;

static int null_descriptor, file_descriptor;
static char file_path[PATH_MAX];
static char data[100];

static void write_null(void)
{
    if (write(null_descriptor, data, 1) != 1)
        die("write");
}

static void read_file(void)
{
    if (pread(file_descriptor, data, sizeof data, 0) < 0)
        die("pread");
}

static void open_close_path(const char *path)
{
    int descriptor = open(path, O_RDONLY);
    if (descriptor < 0)
        die(path);
    close(descriptor);
}

static void open_close(void)
{
    open_close_path(file_path);
}

static void open_close_relative(void)
{
    open_close_path("file");
}

static void stream_open_close(void)
{
    FILE *stream = fopen(file_path, "r");
    if (stream == NULL)
        die(file_path);
    fclose(stream);
}

static void ask(void)
{
    struct stat status;
    if (stat(file_path, &status) != 0)
        die(file_path);
}

static void rename_file(void)
{
    if (rename("file.a", "file.b") != 0 || rename("file.b", "file.a") != 0)
        die("rename");
}

static void fork_child(void)
{
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0)
        _exit(0);
    waitpid(child, NULL, 0);
}

static void spawn_true(void)
{
    char *arguments[] = {"true", NULL};
    pid_t child;
    if (posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ) != 0)
        die("/bin/true");
    waitpid(child, NULL, 0);
}

static const struct operation operations[] = {
    {"write", write_null},
    {"pread", read_file},
    {"open+close", open_close},
    {"open+close-relative", open_close_relative},
    {"fopen+fclose", stream_open_close},
    {"stat", ask},
    {"rename", rename_file},
    {"fork", fork_child},
    {"exec", spawn_true},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4) {
        fputs("usage: calls OPERATION DIRECTORY [COUNT]\n", stderr);
        return 2;
    }
    snprintf(file_path, sizeof file_path, "%s/file", argv[2]);
    if (chdir(argv[2]) != 0)
        die(argv[2]);
    null_descriptor = open("/dev/null", O_WRONLY);
    file_descriptor = open(file_path, O_RDONLY);
    if (null_descriptor < 0 || file_descriptor < 0)
        die(file_path);
    return serve(operations, argv[1], argv[3]);
}
