/* Pitfalls of other people's code: plugins, constructors, allocators, interpreters, foreign
 * programs. */
#include "tests/surface/pitfalls/pitfall.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

PITFALL(deepbind_plugin, "session", "0")
{
    void *plugin = dlopen(tool("libplugin.so"), RTLD_NOW | RTLD_DEEPBIND);
    CHECK(plugin != NULL, "%s", dlerror());
    int (*truncate_by)(const char *);
    *(void **)(void *)&truncate_by = dlsym(plugin, "plugin_truncate");
    CHECK(truncate_by(at("T/file")) == EAGAIN, "a plugin with RTLD_DEEPBIND goes past the shim");
    CHECK(size_of(at("T/file")) == 8, "the file is truncated");
}

/* What the kernel adds to every open of a 64-bit program. */
#if defined(__x86_64__)
#define LARGE_FILE 0100000
#else
#define LARGE_FILE 0400000
#endif

/* Runs a script, with one more library preloaded before or behind the shim. */
static int run_with(const char *format, const char *library, const char *script)
{
    pid_t child = fork();
    if (child == 0) {
        char preload[2000];
        (void)snprintf(preload, sizeof preload, format, getenv("LD_PRELOAD"),
                       library != NULL ? tool(library) : "");
        (void)setenv("LD_PRELOAD", preload, 1);
        (void)setenv("EARLY_FILE", at("T/file"), 1);
        execl("/bin/sh", "sh", "-c", script, (char *)NULL);
        _exit(126);
    }
    return status_of(child);
}

PITFALL(constructors_come_first, "session", "0")
{
    CHECK(run_with("%1$s:%2$s", "libearly.so", "true") == 20,
          "a library behind the shim opens a table's file in its constructor");
    CHECK(run_with("%2$s:%1$s", "libearly.so", "true") == 20,
          "a library before the shim opens a table's file in its constructor");
    CHECK(size_of(at("T/file")) == 8, "the file is truncated");
}

PITFALL(allocator_that_opens_files, "session", "5")
{
    char script[2000];
    (void)snprintf(script, sizeof script, "unset EARLY_FILE; echo more >>%s; cat %s | wc -c >%s",
                   at("T/file"), at("T/file"), at("O/count"));
    CHECK(run_with("%1$s:%2$s", "liballocate.so", script) == 0, "allocator behind the shim");
    CHECK(run_with("%2$s:%1$s", "liballocate.so", script) == 0, "allocator before the shim");
    CHECK(size_of(at("T/file")) == 18, "the file has %ld bytes", size_of(at("T/file")));
    must_be_held(false, "after the programs have ended");
}

/* A member of a command executes what the shim can't reach: the lock is taken for it, or it is not.
 */
static void execute_foreign(const char *program)
{
    char script[2000];
    if (access(tool(program), X_OK) != 0)
        skip("no such program could be built");
    (void)snprintf(script, sizeof script, "%s %s; test $? -ge 126", tool(program), at("T/file"));
    CHECK(run_with("%1$s", NULL, script) == 0, "%s is let at a locked table", program);
    CHECK(size_of(at("T/file")) == 8, "%s has changed the table", program);
}
PITFALL(static_program_waits, "command", "0")
{
    execute_foreign("static");
}
PITFALL(program_of_another_libc_waits, "command", "0")
{
    execute_foreign("musl");
}
static void execute_foreign_freely(const char *program)
{
    char script[2000];
    if (access(tool(program), X_OK) != 0)
        skip("no such program could be built");
    (void)snprintf(script, sizeof script, "%s %s", tool(program), at("T/file"));
    CHECK(run_with("%1$s", NULL, script) == 0, "%s does not run with the lock free", program);
    CHECK(size_of(at("T/file")) == 13, "%s has not written", program);
}
PITFALL(static_program_runs, "command", "5")
{
    execute_foreign_freely("static");
}
PITFALL(program_of_another_libc_runs, "command", "5")
{
    execute_foreign_freely("musl");
}

static int python(const char *program)
{
    pid_t child = fork();
    if (child == 0) {
        execlp("python3", "python3", "-c", program, base, (char *)NULL);
        _exit(126);
    }
    return status_of(child);
}

/* CPython's child is made by vfork, and closes all that it has inherited. */
PITFALL(python_subprocess, "session", "5")
{
    int status = python(
        "import sys, os, subprocess\n"
        "base = sys.argv[1]\n"
        "def free():\n"
        "    return subprocess.run(['flock', '-n', base + '/T.lock', 'true']).returncode == 0\n"
        "table = open(base + '/T/file', 'r+')\n"
        "for arguments in {}, {'close_fds': False}, {'cwd': '/'}, {'start_new_session': True}:\n"
        "    subprocess.run(['true'], check=True, **arguments)\n"
        "    if free(): sys.exit(3)\n"
        "table.write('python')\n"
        "table.close()\n"
        "sys.exit(0 if free() else 4)\n");
    if (status == 126)
        skip("no python3");
    CHECK(status != 3, "a subprocess has let the parent's lock go");
    CHECK(status != 4, "the lock stays behind after the close");
    CHECK(status == 0, "python3 ends with %d", status);
}

/* A child of multiprocessing's kinds that writes by a descriptor which came through a socket. */
PITFALL(python_sends_descriptors, "session", "5")
{
    int status = python("import sys, os, socket, array\n"
                        "base = sys.argv[1]\n"
                        "a, b = socket.socketpair()\n"
                        "fd = os.open(base + '/T/file', os.O_WRONLY | os.O_APPEND)\n"
                        "socket.send_fds(a, [b'x'], [fd])\n"
                        "os.close(fd)\n"
                        "got = socket.recv_fds(b, 1, 1)[1][0]\n"
                        "sys.exit(0 if os.write(got, b'sent') == 4 else 3)\n");
    if (status == 126)
        skip("no python3");
    CHECK(status == 0, "python3 ends with %d", status);
    CHECK(size_of(at("T/file")) == 12, "the write through the descriptor is lost");
}

/* The O_NOFOLLOW that the shim opens with does not show in the programs that inherit. */
PITFALL(inherited_flags, "session", "5")
{
    int file = open_file(O_RDONLY);
    CHECK(fcntl(file, F_GETFL) == (O_RDONLY | LARGE_FILE), "the opener sees flags %o",
          (unsigned)fcntl(file, F_GETFL));
    CHECK(dup2(file, 9) == 9, "dup2: %s", strerror(errno));
    int status = python("import fcntl, os, sys\n"
                        "sys.exit(3 if fcntl.fcntl(9, fcntl.F_GETFL) & os.O_NOFOLLOW else 0)\n");
    if (status == 126)
        skip("no python3");
    CHECK(status == 0, "an inherited descriptor shows O_NOFOLLOW (%d)", status);
}
