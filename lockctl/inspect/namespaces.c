/*
 * Processes of other PID namespaces, as the registry names them: found among those that can be
 * seen, by the namespace that each is in and the number that it has there. Which namespace another
 * user's process is in is not told; it is known by number and start time.
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
    uint64_t namespace; /* 0: not told */
};

/* "NSpid:\t4711\t12\t1": the last one is its own namespace's. 0: it is in that of /proc. */
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
    const char *first = strchr(line, '\t');
    const char *last = strrchr(line, '\t');
    return last != first ? (pid_t)strtol(last + 1, NULL, 10) : 0;
}

static bool note_namesake(long number, void *context)
{
    struct processes *processes = context;
    char path[64];
    struct stat status;
    if (number > INT_MAX)
        return true;
    struct namesake namesake = {.pid = (pid_t)number};
    if (kernel_fstatat(AT_FDCWD, process_path(path, namesake.pid, "ns/pid", -1), &status, 0) == 0)
        namesake.namespace = status.st_ino;
    if (namesake.namespace != 0 && namesake.namespace == processes->namespace)
        return true;
    namesake.own_pid = own_pid(namesake.pid);
    if (namesake.own_pid == 0)
        return true;
    processes->namesakes = arena_grow(processes->arena, processes->namesakes,
                                      processes->namesake_count, sizeof namesake);
    processes->namesakes[processes->namesake_count++] = namesake;
    return true;
}

static bool is_it(const struct process *process, uint64_t start_time)
{
    return !process->told.gone && (start_time == 0 || process->told.start_time == 0 ||
                                   process->told.start_time == start_time);
}

static struct process *find_namesake(struct processes *processes, pid_t pid, uint64_t namespace,
                                     uint64_t start_time)
{
    if (!processes->namesakes_read) {
        processes->namesakes_read = true;
        process_each_number("/proc", note_namesake, processes);
    }
    for (size_t i = 0; i < processes->namesake_count; i++) {
        const struct namesake *namesake = &processes->namesakes[i];
        if (namesake->own_pid != pid ||
            !(namesake->namespace == namespace || (namesake->namespace == 0 && start_time != 0)))
            continue;
        struct process *process = processes_get(processes, namesake->pid);
        if (is_it(process, start_time))
            return process;
    }
    return NULL;
}

struct process *processes_find(struct processes *processes, pid_t pid, uint64_t pid_namespace,
                               uint64_t start_time)
{
    if (pid <= 0)
        return NULL;
    if (pid_namespace == 0 || pid_namespace != processes->namespace)
        return find_namesake(processes, pid, pid_namespace, start_time);
    struct process *process = processes_get(processes, pid);
    return is_it(process, start_time) ? process : NULL;
}
