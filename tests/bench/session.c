/*
 * One session on a table: open, write, close; by itself, which a shim may guard, and below locks
 * that a careful author would have placed by hand on a lock file of their own. All do the same
 * work.
 *
 *   session OPERATION TABLE LOCKFILE BYTES [COUNT]
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "tests/bench/worker.h"

static int lock_descriptor;
static const char *lock_path;
static char file_path[PATH_MAX];
static char *data;
static size_t size;

static void change(void)
{
    int descriptor = open(file_path, O_WRONLY | O_CREAT, 0666);
    if (descriptor < 0 || write(descriptor, data, size) != (ssize_t)size)
        die(file_path);
    close(descriptor);
}

static void change_below_flock(void)
{
    if (flock(lock_descriptor, LOCK_EX) != 0)
        die(lock_path);
    change();
    flock(lock_descriptor, LOCK_UN);
}

static void change_below_new_flock(void)
{
    int descriptor = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0 || flock(descriptor, LOCK_EX) != 0)
        die(lock_path);
    change();
    close(descriptor);
}

static void set_record_lock(short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
    if (fcntl(lock_descriptor, F_SETLKW, &lock) != 0)
        die(lock_path);
}

static void change_below_record_lock(void)
{
    set_record_lock(F_WRLCK);
    change();
    set_record_lock(F_UNLCK);
}

static const struct operation operations[] = {
    {"bare", change},
    {"flock", change_below_flock},
    {"open+flock", change_below_new_flock},
    {"fcntl", change_below_record_lock},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    if (argc != 5 && argc != 6) {
        fputs("usage: session OPERATION TABLE LOCKFILE BYTES [COUNT]\n", stderr);
        return 2;
    }
    snprintf(file_path, sizeof file_path, "%s/data", argv[2]);
    lock_path = argv[3];
    size = (size_t)number(argv[4]);
    data = calloc(1, size);
    lock_descriptor = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (data == NULL || lock_descriptor < 0)
        die(lock_path);
    return serve(operations, argv[1], argv[5]);
}
