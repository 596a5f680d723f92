/*
 * Repeats one operation and prints the nanoseconds that each took: the yardstick of `make bench`.
 * It knows nothing of the shim; the driver runs it with and without.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int null_descriptor, lock_descriptor;
static const char *file_path, *table_path, *lock_path;
static char data[100];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void write_null(void)
{
    if (write(null_descriptor, data, 1) != 1)
        die("write");
}

static void read_file(void)
{
    if (pread(lock_descriptor, data, sizeof data, 0) < 0)
        die("pread");
}

static void open_close(void)
{
    int descriptor = open(file_path, O_RDONLY);
    if (descriptor < 0)
        die(file_path);
    close(descriptor);
}

static void open_close_relative(void)
{
    int descriptor = open("file", O_RDONLY);
    if (descriptor < 0)
        die("file");
    close(descriptor);
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

static void write_table(void)
{
    int descriptor = open(table_path, O_WRONLY | O_CREAT, 0666);
    if (descriptor < 0 || write(descriptor, data, sizeof data) != sizeof data)
        die(table_path);
    close(descriptor);
}

static void write_table_by_hand(void)
{
    flock(lock_descriptor, LOCK_EX);
    write_table();
    flock(lock_descriptor, LOCK_UN);
}

static void write_table_by_hand_open(void)
{
    int descriptor = open(lock_path, O_RDWR);
    flock(descriptor, LOCK_EX);
    write_table();
    close(descriptor);
}

static const struct operation {
    const char *name;
    void (*run)(void);
    int count;
} operations[] = {
    {"write", write_null, 300000},
    {"pread", read_file, 300000},
    {"open+close", open_close, 60000},
    {"open+close-relative", open_close_relative, 60000},
    {"fopen+fclose", stream_open_close, 40000},
    {"stat", ask, 80000},
    {"rename", rename_file, 8000},
    {"fork", fork_child, 400},
    {"exec", spawn_true, 200},
    {"session", write_table, 20000},
    {"session-flock", write_table_by_hand, 20000},
    {"session-open-flock", write_table_by_hand_open, 20000},
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: calls OPERATION DIRECTORY TABLE\n", stderr);
        return 2;
    }
    static char file[4096], table[4096], lock[4096];
    snprintf(file, sizeof file, "%s/file", argv[2]);
    snprintf(table, sizeof table, "%s/data", argv[3]);
    snprintf(lock, sizeof lock, "%s.hand", argv[3]);
    file_path = file;
    table_path = table;
    lock_path = lock;
    if (chdir(argv[2]) != 0)
        die(argv[2]);
    null_descriptor = open("/dev/null", O_WRONLY);
    lock_descriptor = open(lock, O_RDWR | O_CREAT, 0666);
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        const struct operation *operation = &operations[i];
        if (strcmp(operation->name, argv[1]) != 0)
            continue;
        for (int warm = 0; warm < operation->count / 20; warm++)
            operation->run();
        double begin = now();
        for (int n = 0; n < operation->count; n++)
            operation->run();
        printf("%.2f\n", (now() - begin) / operation->count);
        return 0;
    }
    fprintf(stderr, "calls: no operation '%s'\n", argv[1]);
    return 2;
}
