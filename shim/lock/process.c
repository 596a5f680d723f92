/*
 * Reading /proc with raw system calls and fixed buffers. It must never wait and never allocate.
 */
#include "shim/lock/process.h"

#include "shim/lock/kernel.h"

#include <errno.h>
#include <string.h>

/* The kernel's PF_EXITING, among the flags in /proc/PID/stat. */
enum { ENDING = 0x4 };

static char *append_text(char *at, const char *text)
{
    size_t length = strlen(text);
    memcpy(at, text, length); // NOLINT(bugprone-not-null-terminated-result): whoever calls ends it
    return at + length;
}

static char *append_number(char *at, long number)
{
    char digits[24];
    int count = 0;
    unsigned long rest = number < 0 ? 0 : (unsigned long)number;
    do {
        digits[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

const char *process_path(char path[static 64], pid_t process, const char *name, long number)
{
    char *at = append_text(path, "/proc/");
    at = append_number(at, process);
    *at++ = '/';
    at = append_text(at, name);
    if (number >= 0) {
        *at++ = '/';
        at = append_number(at, number);
    }
    *at = '\0';
    return path;
}

const char *process_own_descriptor(char path[static 64], int descriptor)
{
    char *at = append_number(append_text(path, "/proc/self/fd/"), descriptor);
    *at = '\0';
    return path;
}

static bool is_one_line(const char *text, size_t length)
{
    return memchr(text, '\n', length) == text + length - 1;
}

ssize_t process_read_file(const char *path, char *buffer, size_t size)
{
    int descriptor = kernel_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (descriptor < 0)
        return descriptor;
    size_t length = 0;
    ssize_t got = 0;
    while (length + 1 < size) {
        got = kernel_read(descriptor, buffer + length, size - 1 - length);
        if (got <= 0)
            break;
        length += (size_t)got;
        if (is_one_line(buffer, length)) /* all there is, without asking for more */
            break;
    }
    buffer[length] = '\0';
    (void)kernel_close(descriptor);
    return got < 0 && length == 0 ? got : (ssize_t)length;
}

static const char *read_number(const char *at, uint64_t *number)
{
    while (*at == ' ')
        at++;
    *number = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        *number = *number * 10 + (uint64_t)(*at - '0');
    while (*at != ' ' && *at != '\0')
        at++;
    return at;
}

bool process_status_read(pid_t process, struct process_status *status)
{
    char path[64], text[1024];
    if (process_read_file(process_path(path, process, "stat", -1), text, sizeof text) <= 0)
        return false;
    /* The name in parentheses may hold anything, a parenthesis too: the last one ends it. */
    const char *at = strrchr(text, ')');
    if (at == NULL || at[1] != ' ' || at[2] == '\0')
        return false;
    uint64_t fields[20] = {0};
    status->state = at[2];
    at += 3;
    for (int i = 0; i < 19; i++)
        at = read_number(at, &fields[i]);
    status->parent = (pid_t)fields[0];
    status->group = (pid_t)fields[1];
    status->session = (pid_t)fields[2];
    status->ending = (fields[5] & ENDING) != 0;
    status->threads = (unsigned)fields[16];
    status->start_time = fields[18];
    return true;
}

uint64_t process_start_time(pid_t process)
{
    struct process_status status;
    return process_status_read(process, &status) ? status.start_time : 0;
}

bool process_is_alive(pid_t process, uint64_t start_time)
{
    if (process <= 0)
        return false;
    if (kernel_kill(process, 0) == -ESRCH)
        return false;
    struct process_status status;
    if (!process_status_read(process, &status))
        return true;
    /* One whose first thread has ended while others go on looks like a zombie. */
    if ((status.state == 'Z' && status.threads <= 1) || status.state == 'X')
        return false;
    return start_time == 0 || status.start_time == start_time;
}

static bool look_whether_ending(long thread, void *context)
{
    bool *runs = context;
    struct process_status status;
    *runs = process_status_read((pid_t)thread, &status) && !status.ending;
    return !*runs;
}

bool process_runs(pid_t process, uint64_t start_time)
{
    struct process_status status;
    if (!process_is_alive(process, start_time))
        return false;
    if (!process_status_read(process, &status) || !status.ending)
        return true;
    /* Its first thread may have ended while others go on. */
    char path[64];
    bool runs = false;
    if (status.threads > 1)
        process_each_number(process_path(path, process, "task", -1), look_whether_ending, &runs);
    return runs;
}

uint64_t process_boot_number(void)
{
    char text[64];
    ssize_t length = process_read_file("/proc/sys/kernel/random/boot_id", text, sizeof text);
    if (length <= 0)
        return 0;
    uint64_t number = 14695981039346656037u; /* FNV-1a, 64 bits */
    for (ssize_t i = 0; i < length; i++)
        number = (number ^ (unsigned char)text[i]) * 1099511628211u;
    return number;
}

uint64_t process_pid_namespace(void)
{
    struct stat status;
    if (kernel_fstatat(AT_FDCWD, "/proc/self/ns/pid", &status, 0) != 0)
        return 0;
    return status.st_ino;
}

struct directory_entry {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

static bool name_number(const char *name, long *number)
{
    if (*name < '0' || *name > '9')
        return false;
    *number = 0;
    for (; *name >= '0' && *name <= '9'; name++)
        *number = *number * 10 + (*name - '0');
    return *name == '\0';
}

void process_each_number_in(int descriptor, bool (*each)(long number, void *context), void *context)
{
    _Alignas(8) char buffer[4096];
    bool more = true;
    ssize_t got;
    do {
        got = kernel_getdents(descriptor, buffer, sizeof buffer);
        for (ssize_t at = 0; more && at < got;) {
            const struct directory_entry *entry = (const void *)(buffer + at);
            long number;
            if (name_number(entry->name, &number))
                more = each(number, context);
            at += entry->length;
        }
        /* A buffer that came back far from full was the last one: entries here are short. */
    } while (more && got > (ssize_t)sizeof buffer / 2);
}

void process_each_number(const char *directory, bool (*each)(long number, void *context),
                         void *context)
{
    int descriptor = kernel_openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (descriptor < 0)
        return;
    process_each_number_in(descriptor, each, context);
    (void)kernel_close(descriptor);
}
