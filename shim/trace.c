/*
 * Writing the trace. The file is opened for each record: a program may close every descriptor, and
 * one that is kept would be in its way.
 */
#include "shim/trace.h"

#include "shim/lock/kernel.h"
#include "shim/lock/resolve.h"
#include "shim/lock/sparse.h"

#include <string.h>

bool trace_on;
SPARSE static char trace_file[4096];

void trace_set_up(const char *path)
{
    if (path == NULL || path[0] != '/' || strlen(path) >= sizeof trace_file)
        return;
    memcpy(trace_file, path, strlen(path) + 1);
    trace_on = true;
}

struct written {
    struct trace_record record;
    char text[TRACE_TEXT];
};

static void append(struct written *written, enum trace_kind kind)
{
    struct trace_record *record = &written->record;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    record->magic = TRACE_MAGIC;
    record->kind = (uint16_t)kind;
    record->size = (uint32_t)(sizeof *record + record->first_length + record->second_length);
    record->process = kernel_getpid();
    record->parent = (int)KERNEL_CALL(SYS_getppid, 0, 0, 0, 0, 0, 0);
    record->time = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    int descriptor =
        kernel_openat(AT_FDCWD, trace_file,
                      O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (descriptor < 0)
        return;
    (void)kernel_write(descriptor, written, record->size);
    (void)kernel_close(descriptor);
}

static void clear(struct written *written)
{
    memset(&written->record, 0, sizeof written->record);
}

void trace_event(enum trace_kind kind, int number, int other)
{
    struct written written;
    clear(&written);
    written.record.number = number;
    written.record.other = other;
    append(&written, kind);
}

void trace_fork(void)
{
    trace_event(TRACE_FORK, 0, 0);
}

void trace_start(void)
{
    struct written written;
    clear(&written);
    ssize_t length = kernel_readlinkat(AT_FDCWD, "/proc/self/exe", written.text, 4096);
    written.record.first_length = (uint16_t)(length > 0 ? length : 0);
    int descriptor = kernel_openat(AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC, 0);
    length = kernel_read(descriptor, written.text + written.record.first_length, 4096);
    written.record.second_length = (uint32_t)(length > 0 ? length : 0);
    (void)kernel_close(descriptor);
    append(&written, TRACE_START);
}

/* Where the path leads; as it is given, when that can't be told. */
static size_t put_path(char *text, int directory, const char *path, bool follow)
{
    if (!resolve_path(directory, path, follow, text)) {
        size_t length = strnlen(path, RESOLVE_SIZE - 1);
        memcpy(text, path, length);
        return length;
    }
    return strlen(text);
}

void trace_path(enum trace_kind kind, int directory, const char *path, bool follow, uint32_t flags)
{
    struct written written;
    struct stat status;
    clear(&written);
    written.record.first_length = (uint16_t)put_path(written.text, directory, path, follow);
    written.record.flags = flags;
    if (kind == TRACE_REMOVE && kernel_fstatat(directory, path, &status, AT_SYMLINK_NOFOLLOW) == 0)
        written.record.flags |= 1;
    append(&written, kind);
}

void trace_refused(int directory, const char *path, bool follow, unsigned touch_kind, int error)
{
    struct written written;
    clear(&written);
    written.record.first_length = (uint16_t)put_path(written.text, directory, path, follow);
    written.record.flags = touch_kind;
    written.record.other = error;
    append(&written, TRACE_REFUSED);
}

void trace_descriptor(enum trace_kind kind, int descriptor, uint32_t flags, int other)
{
    struct written written;
    clear(&written);
    written.record.number = descriptor;
    written.record.flags = flags;
    written.record.other = other;
    if (resolve_descriptor(descriptor, written.text))
        written.record.first_length = (uint16_t)strlen(written.text);
    append(&written, kind);
}

void trace_two_paths(int directory, const char *path, int other_directory, const char *other_path,
                     uint32_t flags)
{
    struct written written;
    struct stat status;
    clear(&written);
    size_t length = put_path(written.text, directory, path, false);
    written.record.first_length = (uint16_t)length;
    written.record.second_length =
        (uint32_t)put_path(written.text + length, other_directory, other_path, false);
    written.record.flags = flags;
    if (kernel_fstatat(directory, path, &status, AT_SYMLINK_NOFOLLOW) == 0)
        written.record.flags |= TRACE_OLD_THERE;
    if (kernel_fstatat(other_directory, other_path, &status, AT_SYMLINK_NOFOLLOW) == 0)
        written.record.flags |= TRACE_NEW_THERE;
    append(&written, TRACE_RENAME);
}

void trace_out_of_reach(const char *path, int reach, bool child)
{
    struct written written;
    clear(&written);
    size_t length = strnlen(path, 4095);
    memcpy(written.text, path, length);
    written.record.first_length = (uint16_t)length;
    written.record.number = child ? 1 : 0;
    written.record.other = reach;
    append(&written, TRACE_OUT_OF_REACH);
}
