/*
 * Lines on stderr and in the log, put together on the stack and written with one system call each.
 */
#include "shim/report.h"

#include "shim/descriptors.h"
#include "shim/lock/command_member.h"
#include "shim/lock/kernel.h"
#include "shim/lock/own.h"
#include "shim/lock/undo.h"
#include "shim/start.h"
#include "shim/tables.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct stat standard_error;
static bool has_standard_error;
static _Atomic bool refusal_told;

void report_set_up(const struct stat *status)
{
    standard_error = *status;
    has_standard_error = true;
}

/* Control bytes of a hostile path must not reach a terminal. */
static void make_printable(char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < 0x20 || byte == 0x7f)
            *text = '?';
    }
}

static void write_standard_error(const char *line, size_t length)
{
    struct stat now;
    if (!has_standard_error || descriptor_word(2) != 0 || kernel_fstat(2, &now) != 0 ||
        now.st_dev != standard_error.st_dev || now.st_ino != standard_error.st_ino)
        return;
    (void)kernel_write(2, line, length);
}

static size_t finish_line(char *line, size_t size, int length)
{
    size_t used = length < 0 ? 0 : (size_t)length < size - 1 ? (size_t)length : size - 2;
    line[used] = '\0';
    make_printable(line);
    line[used] = '\n';
    return used + 1;
}

void report_line(const char *about, const char *text)
{
    char line[2048];
    int length = about != NULL ? snprintf(line, sizeof line, "lockshim: %s: %s", about, text)
                               : snprintf(line, sizeof line, "lockshim: %s", text);
    size_t size = finish_line(line, sizeof line, length);
    write_standard_error(line, size);
}

static void append_to_file(const char *path, const char *line, size_t length)
{
    int descriptor = kernel_openat(
        AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    if (descriptor < 0)
        return;
    (void)kernel_write(descriptor, line, length);
    (void)kernel_close(descriptor);
}

void report_log(const struct table *table, const char *text)
{
    const char *where = table->settings.log;
    if (where == NULL)
        return;
    char line[2048];
    struct timespec now;
    struct tm broken_down;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &broken_down);
    int length =
        snprintf(line, sizeof line, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s[%d] %s: %s",
                 broken_down.tm_year + 1900, broken_down.tm_mon + 1, broken_down.tm_mday,
                 broken_down.tm_hour, broken_down.tm_min, broken_down.tm_sec, now.tv_nsec / 1000000,
                 start_program_name(), (int)kernel_getpid(), table->path, text);
    size_t size = finish_line(line, sizeof line, length);
    if (strcmp(where, "stderr") == 0)
        write_standard_error(line, size);
    else
        append_to_file(where, line, size);
}

static const char *refusal_text(const struct table *table, int error)
{
    if (error == ESTALE && fence_is_raised(&table->lock->fence))
        return "the lock was broken ('lockctl break') while this process held it: nothing more "
               "that it does reaches the table";
    if (error == ESTALE && table->lock->entry != NULL && command_broken(table->lock->entry) != 0)
        return "the lock was broken ('lockctl break') while the command that this process belongs "
               "to held it";
    if (error == ESTALE && table->lock->entry != NULL)
        return "the command that this process belongs to was killed, and its lock is gone";
    switch (error) {
    case EAGAIN:
        return "the lock was not free in time";
    case EDEADLK:
        return "waiting for the lock would be a deadlock";
    case ESTALE:
        return "another process has changed the file since this one read it: the update would be "
               "lost";
    case EROFS:
        return "the table is guarded as shared, for reading only";
    case EOWNERDEAD:
        if (table->lock->undo_error != 0)
            return "the last holder died while changing the table, and its undo journal can't be "
                   "followed; see 'lockctl recover'";
        return "the last holder died while changing the table; 'lockctl recover' clears it";
    default:
        return "the lock can't be had";
    }
}

void report_refusal(const struct table *table, int error)
{
    char text[4400];
    int undo_error = error == EOWNERDEAD ? table->lock->undo_error : 0;
    int cause = error == ENOLCK && table->lock->open_error != 0 ? table->lock->open_error : error;
    if (undo_error != 0)
        cause = undo_error;
    snprintf(text, sizeof text, "%s (lock file %s: %s)", refusal_text(table, error),
             table->lock->path, strerror(cause));
    report_log(table, text);
    if (!atomic_exchange(&refusal_told, true))
        report_line(table->path, text);
}

void report_failure(const struct table *table, int error, const char *reason)
{
    char text[4400];
    snprintf(text, sizeof text, "%s (%s%s: %s)", reason, table->lock->path, UNDO_SUFFIX,
             strerror(error));
    report_log(table, text);
    if (!atomic_exchange(&refusal_told, true))
        report_line(table->path, text);
}

static const char *event_text(enum registry_event_kind kind)
{
    switch (kind) {
    case EVENT_LONG_WAIT:
        return "still waiting for the lock";
    case EVENT_TIMEOUT:
        return "gave up waiting for the lock";
    case EVENT_DEADLOCK:
        return "waiting for the lock would be a deadlock";
    case EVENT_CRASH:
        return "a holder died inside";
    case EVENT_FENCE:
        return "the lock was broken while this process held it; its calls fail";
    case EVENT_REPLACED:
        return "the lock file was removed or replaced; going on with the new one";
    case EVENT_ROLLBACK:
        return "rolled back what the last holder had changed when it died";
    case EVENT_JOINED:
        return "joined the holder, which waits for this process";
    default:
        return NULL;
    }
}

void report_notice(const struct lock *lock, const struct lock_notice *notice)
{
    const char *text = event_text(notice->kind);
    if (text == NULL)
        return;
    char line[512];
    int length = snprintf(line, sizeof line, "%s", text);
    if (notice->waited > 0)
        length += snprintf(line + length, sizeof line - (size_t)length, " after %.3f s",
                           (double)notice->waited / 1e9);
    if (notice->other > 0)
        snprintf(line + length, sizeof line - (size_t)length, ", process %d", (int)notice->other);
    for (unsigned i = 0; i < tables_count; i++) {
        if (tables_get(i)->lock == lock) {
            report_log(tables_get(i), line);
            return;
        }
    }
}
