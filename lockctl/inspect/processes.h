/*
 * The processes that an inspection meets: each is looked into once. What they have open, who they
 * are, whether they run. Everything read is another process's and may be gone or lie.
 */
#ifndef LOCKCTL_PROCESSES_H
#define LOCKCTL_PROCESSES_H

#include "lockctl/inspect/arena.h"
#include "lockctl/inspect/inspect.h"
#include "lockctl/inspect/parallel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
    struct inspected_process told; /* what the inspection tells of it */
    struct process *next;          /* in its bucket */
    pid_t parent;
    unsigned threads;
    unsigned held;    /* lines of the kernel's list that name it, for processes_gather() */
    unsigned awaited; /* those where it waits */
    bool shown;       /* likewise: its command line and user are wanted */
    bool looked_up;   /* state, parent, threads and start time are known */
    bool details_read;
    bool user_named;
    bool scanned;         /* its descriptors were looked at: all of them, or up to the lock */
    bool scanned_all;     /* all of them */
    bool looked_at;       /* one of its descriptors was, by itself */
    bool watched;         /* a thread of it is in D: see processes_watch() */
    pid_t watched_thread; /* 0: any */
    uint64_t switches;    /* how often that thread had slept when it was first seen so */
    bool shim_looked_for, has_shim;
    bool view_compared, sees_our_files; /* see processes_sees_our_files() */
    struct open_file *files;            /* of those that it has open, the ones on wanted inodes */
    long *numbers; /* its descriptors, where they are many and wait for a look */
    size_t number_count;
    long looked_below; /* those with smaller numbers were looked at without a list */
};

/* A descriptor on one of the wanted files. */
struct open_file {
    struct open_file *next; /* of the same process */
    struct process *process;
    int descriptor;
    uint64_t device, inode; /* as the kernel's list tells them */
    uint64_t stat_device, stat_inode;
    bool locked; /* its description has a flock */
    bool exclusive;
    pid_t taker;      /* as the kernel has it; 0: not visible from here */
    const char *path; /* as the process's link says, without " (deleted)" */
    bool deleted;
    bool doubtful; /* the link ends in " (deleted)", and the file has a name: another one */
    bool at_path;  /* the file was there, seen from here, when it was looked at */
    bool alone;    /* and no registry in its directory */
};

/* The inodes that are looked for. */
struct wanted_inodes {
    uint64_t *items; /* sorted */
    size_t count;
    bool any_flock; /* and whatever has a flock: dear, every descriptor's fdinfo is read */
};

enum { PROCESS_BUCKETS = 4096 };

struct processes {
    struct arena *arena;
    struct process **buckets;
    struct open_file **files; /* of all processes, by device and inode, after processes_sort() */
    size_t file_count;
    uint64_t namespace; /* of the pids in /proc; 0: not ours */
    struct namesake *namesakes;
    size_t namesake_count;
    bool namesakes_read;
};

void processes_begin(struct processes *processes, struct arena *arena);

/* By its pid in /proc, looked up on first use. Never NULL; told.gone tells that there is none. */
struct process *processes_get(struct processes *processes, pid_t pid);

/* The same, but nothing is known of it yet: for processes_gather(). */
struct process *processes_note(struct processes *processes, pid_t pid);

/*
 * Looks into several processes at once, noted and not looked up before: who they are, and what is
 * shown of them; with `wanted`, also the descriptors of those that hold something. One that holds a
 * single lock is looked through only until that is found.
 */
void processes_gather(struct processes *processes, struct process **items, size_t count,
                      const struct wanted_inodes *wanted);

/* Does it run the program that we run? */
bool processes_is_lockctl(const struct process *process);

/* The process that stands for one that can't be seen. */
struct process *processes_invisible(struct processes *processes);

/*
 * The process that somebody in another PID namespace calls `pid`. `start_time` 0: any. NULL: there
 * is none that can be seen from here.
 */
struct process *processes_find(struct processes *processes, pid_t pid, uint64_t pid_namespace,
                               uint64_t start_time);

/* Command line and user; for those that are shown. */
void processes_read_details(struct processes *processes, struct process *process);

/* How many descriptors it has open; -1: the kernel does not tell, or may not. */
long process_descriptor_count(pid_t pid);

/* Adds those of its descriptors that are on a wanted inode to processes->files, once. */
void processes_scan(struct processes *processes, struct process *process,
                    const struct wanted_inodes *wanted);

/* The same for one descriptor of which somebody says that it is on a lock file; NULL: it is not. */
struct open_file *processes_look_at(struct processes *processes, struct process *process,
                                    int descriptor);

/* Has the process, which may have ended since, still the file open there? */
bool processes_still_has(const struct open_file *file);

/* Are the paths of the process ours: same root, same mounts? */
bool processes_sees_our_files(struct process *process);

/* Sorts all files that were found. */
void processes_sort(struct processes *processes);

/* Those on one file, after processes_sort(): where they begin, and how many. */
size_t processes_files_on(const struct processes *processes, uint64_t device, uint64_t inode,
                          size_t *first);

/* Scans all processes that there are. */
void processes_scan_all(struct processes *processes, const struct wanted_inodes *wanted);

/* Is the descriptor on a memory file of this name? */
bool process_has_memory_file(pid_t pid, int descriptor, const char *name);

/*
 * Is a thread of it (0: any) asleep in D? Then notes how often that thread has slept before, for
 * processes_confirm() a while later: one that was in D all the time is stuck in the kernel.
 */
bool processes_watch(struct process *process, pid_t thread);
void processes_confirm(struct process *process);

#endif
