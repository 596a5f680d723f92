/*
 * Processes of other PID namespaces, as the registry names them: found among those that can be
 * seen, by the namespace that each is in and the number that it has there.
 */
#include "lockctl/inspect/processes.h"

#include "shim/lock/kernel.h"
#include "shim/lock/process.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* A process and what it is called in its own namespace. */
struct namesake {
    pid_t pid;
    pid_t own_pid;
    uint64_t namespace;
};

/* "NSpid:\t4711\t12\t1": the last one is its own namespace's. */
static pid_t own_pid(pid_t pid)
{
    char path[64];
    char text[4096];
    if (process_read_file(process_path(path, pid, "status", -1), text, sizeof text) <= 0)
        return 0;
    char *line = strstr(text, "\nNSpid:");
    if (line == NULL)
        return 0;
    line++;
    line[strcspn(line, "\n")] = '\0';
    const char *last = strrchr(line, '\t');
    return last != NULL ? (pid_t)strtol(last + 1, NULL, 10) : 0;
}

static bool note_namesake(long number, void *context)
{
    struct processes *processes = context;
    char path[64];
    struct stat status;
    if (number > INT_MAX ||
        kernel_fstatat(AT_FDCWD, process_path(path, (pid_t)number, "ns/pid", -1), &status, 0) != 0)
        return true;
    if (status.st_ino == processes->namespace)
        return true;
    struct namesake namesake = {(pid_t)number, own_pid((pid_t)number), status.st_ino};
    processes->namesakes = arena_grow(processes->arena, processes->namesakes,
                                      processes->namesake_count, sizeof namesake);
    processes->namesakes[processes->namesake_count++] = namesake;
    return true;
}

static struct process *find_namesake(struct processes *processes, pid_t pid, uint64_t namespace)
{
    if (!processes->namesakes_read) {
        processes->namesakes_read = true;
        process_each_number("/proc", note_namesake, processes);
    }
    for (size_t i = 0; i < processes->namesake_count; i++) {
        const struct namesake *namesake = &processes->namesakes[i];
        if (namesake->own_pid == pid && namesake->namespace == namespace)
            return processes_get(processes, namesake->pid);
    }
    return NULL;
}

struct process *processes_find(struct processes *processes, pid_t pid, uint64_t pid_namespace,
                               uint64_t start_time)
{
    if (pid <= 0)
        return NULL;
    struct process *process = pid_namespace == processes->namespace && pid_namespace != 0
                                  ? processes_get(processes, pid)
                                  : find_namesake(processes, pid, pid_namespace);
    if (process == NULL || process->told.gone)
        return NULL;
    if (start_time != 0 && process->told.start_time != 0 && process->told.start_time != start_time)
        return NULL;
    return process;
}
