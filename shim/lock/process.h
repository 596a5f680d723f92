/*
 * What /proc tells of a process: identity across reuse of pids, parent, threads, and what it is
 * blocked on. Everything read is another process's and may be gone or lie; nothing here trusts it
 * with more than a number.
 */
#ifndef LOCKSHIM_PROCESS_H
#define LOCKSHIM_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process_status {
    pid_t parent;
    pid_t group;
    pid_t session;
    char state;
    bool ending; /* this thread of it runs none of its code any more */
    unsigned threads;
    uint64_t start_time; /* clock ticks since boot: with the pid it names a process for good */
};

/* Reads /proc/PID/stat; false when there is no such process or no /proc. */
bool process_status_read(pid_t process, struct process_status *status);

/* The start time of a process, 0 when it can't be told. */
uint64_t process_start_time(pid_t process);

/*
 * Is the process that had this pid and start time still there? True when in doubt (no /proc). A
 * zombie is gone: it holds nothing any more. One whose first thread alone has ended is not.
 */
bool process_is_alive(pid_t process, uint64_t start_time);

/*
 * The same, but not of one that is about to end: what was killed closes its descriptors, and its
 * locks are free, before it is dead. Whether it died inside is asked with this.
 */
bool process_runs(pid_t process, uint64_t start_time);

/* A number for this boot of the machine, 0 when it can't be told. */
uint64_t process_boot_number(void);

/* The PID namespace that this process's pids belong to, 0 when it can't be told. */
uint64_t process_pid_namespace(void);

/* Reads a file under /proc whole; returns the length, the text ends in a NUL. -errno on failure. */
ssize_t process_read_file(const char *path, char *buffer, size_t size);

/* Builds "/proc/PID/NAME" or, with a number >= 0, "/proc/PID/NAME/NUMBER". */
const char *process_path(char path[static 64], pid_t process, const char *name, long number);

/* Builds "/proc/self/fd/NUMBER". */
const char *process_own_descriptor(char path[static 64], int descriptor);

/* Calls `each` for every number that names an entry of the directory, until it returns false. */
void process_each_number(const char *directory, bool (*each)(long number, void *context),
                         void *context);

/* The same for a directory that is open, and was not read yet. */
void process_each_number_in(int descriptor, bool (*each)(long number, void *context),
                            void *context);

#endif
