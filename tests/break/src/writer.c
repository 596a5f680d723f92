/*
 * writer LETTER DIRECTORY MODE...: writes LETTER into files of a table, again and again, until it
 * is terminated; then it ends by itself, with whatever it still has in buffers. Modes: stdio raw
 * mapped appended copied (one file each; copied: through a dup'ed descriptor, the first one
 * closed), passed (an unguarded child by exec writes through an inherited descriptor), forked (a
 * child writes through all that was opened before), threads (four more of them write), names
 * (makes and renames files), leader (the main thread exits, another one goes on), decoy (memory
 * that looks like a fence; it says where, and at the end whether somebody has written there), and
 * through DESCRIPTOR, which is what the child of `passed` is.
 */
#include "shim/lock/fence.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SIZE = 130000 };

static volatile sig_atomic_t ended;
static char letter;
static const char *directory;
static FILE *stream;
static int raw = -1;
static int appended = -1;
static bool threads;
static char *map;
static bool names;
static struct fence decoy = {.magic = FENCE_MAGIC};

static void end(int signal)
{
    (void)signal;
    ended = 1;
}

static void say(const char *text)
{
    (void)!syscall(SYS_write, 1, text, strlen(text));
}

static char *path_of(const char *name)
{
    static char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static int open_filled(const char *name, int flags)
{
    static char dots[SIZE];
    memset(dots, '.', sizeof dots);
    int descriptor = open(path_of(name), O_RDWR | O_CREAT | flags, 0644);
    if (descriptor < 0 || write(descriptor, dots, sizeof dots) != (ssize_t)sizeof dots) {
        perror(name);
        exit(1);
    }
    return descriptor;
}

static void start_child(const char *program)
{
    char number[16], text[2] = {letter, '\0'};
    int descriptor = open_filled("passed", 0);
    (void)snprintf(number, sizeof number, "%d", descriptor);
    if (fork() == 0) {
        char other[4096];
        (void)snprintf(other, sizeof other, "%s-static", program);
        (void)execl(other, other, text, directory, "through", number, (char *)NULL);
        _exit(127);
    }
}

static void set_up_decoy(void)
{
    char path[4096], line[64];
    struct stat status;
    (void)snprintf(path, sizeof path, "%s.lock", directory);
    if (stat(path, &status) != 0)
        exit(1);
    decoy.device = status.st_dev;
    decoy.inode = status.st_ino;
    atomic_store(&decoy.acquisition, 1);
    (void)snprintf(line, sizeof line, "decoy %lu\n", (unsigned long)&decoy);
    say(line);
}

static void set_up(char **words)
{
    for (char **mode = words + 3; *mode != NULL; mode++) {
        if (strcmp(*mode, "stdio") == 0) {
            (void)close(open_filled("stdio", O_CLOEXEC));
            stream = fopen(path_of("stdio"), "r+e");
        } else if (strcmp(*mode, "raw") == 0) {
            raw = open_filled("raw", O_CLOEXEC);
        } else if (strcmp(*mode, "mapped") == 0) {
            int descriptor = open_filled("mapped", O_CLOEXEC);
            map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
            (void)close(descriptor);
        } else if (strcmp(*mode, "appended") == 0) {
            appended = open_filled("appended", O_CLOEXEC | O_APPEND);
        } else if (strcmp(*mode, "copied") == 0) {
            int descriptor = open_filled("copied", O_CLOEXEC);
            raw = fcntl(descriptor, F_DUPFD_CLOEXEC, 30);
            (void)close(descriptor);
        } else if (strcmp(*mode, "forked") == 0) {
            if (fork() == 0)
                break;
        } else if (strcmp(*mode, "threads") == 0) {
            threads = true;
        } else if (strcmp(*mode, "names") == 0) {
            names = true;
        } else if (strcmp(*mode, "passed") == 0) {
            start_child(words[0]);
        } else if (strcmp(*mode, "decoy") == 0) {
            raw = open_filled("raw", O_CLOEXEC);
            set_up_decoy();
        } else if (strcmp(*mode, "through") == 0) {
            raw = atoi(*++mode);
        }
    }
}

static void use_names(unsigned step)
{
    char from[4096], text[32];
    int length = snprintf(text, sizeof text, "%c%u", letter, step);
    (void)snprintf(from, sizeof from, "%s/new%u", directory, step % 3);
    int descriptor = open(from, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (descriptor < 0)
        return;
    (void)!write(descriptor, text, (size_t)length);
    (void)close(descriptor);
    (void)rename(from, path_of("named"));
}

static void *work(void *context)
{
    for (unsigned step = 1; !ended; step++) {
        unsigned at = step * 2654435761u % SIZE;
        if (stream != NULL) {
            if (step % 64 == 0)
                (void)fseek(stream, (long)at, SEEK_SET);
            (void)fputc(letter, stream);
        }
        if (raw >= 0)
            (void)!pwrite(raw, &letter, 1, at);
        if (appended >= 0 && step < SIZE)
            (void)!write(appended, &letter, 1);
        if (map != NULL)
            *(volatile char *)(map + at) = letter;
        if (names)
            use_names(step);
    }
    return context;
}

int main(int count, char **words)
{
    pthread_t thread;
    if (count < 4)
        return 2;
    letter = words[1][0];
    directory = words[2];
    struct sigaction action = {.sa_handler = end};
    (void)sigaction(SIGTERM, &action, NULL);
    pid_t first = getpid();
    set_up(words);
    if (getpid() == first)
        say("up\n");
    for (int i = 0; threads && i < 4; i++)
        if (pthread_create(&thread, NULL, work, NULL) != 0)
            return 1;
    if (strcmp(words[3], "leader") == 0) {
        raw = open_filled("raw", O_CLOEXEC);
        if (pthread_create(&thread, NULL, work, NULL) != 0)
            return 1;
        pthread_exit(NULL);
    }
    if (strcmp(words[3], "vfork") == 0) {
        raw = open_filled("raw", O_CLOEXEC);
        if (vfork() == 0) {     // NOLINT(clang-analyzer-security.insecureAPI.vfork)
            syscall(SYS_pause); // NOLINT(clang-analyzer-unix.Vfork): what it is there for
            _exit(0);
        }
    }
    (void)work(NULL);
    if (decoy.inode != 0)
        say(atomic_load(&decoy.raised) == 0 ? "untouched\n" : "written\n");
    return 0;
}
