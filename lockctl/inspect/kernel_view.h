/*
 * The kernel's list of flocks, /proc/locks. Reading it slows every flock on the machine, so it is
 * read once a command. It is no snapshot: it comes in 4 KB pieces between which locks change hands.
 */
#ifndef LOCKCTL_KERNEL_VIEW_H
#define LOCKCTL_KERNEL_VIEW_H

#include "lockctl/inspect/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One holder, or one who waits for it. */
struct kernel_flock {
    uint64_t device; /* of the file system, as makedev() makes it; btrfs: not as stat tells it */
    uint64_t inode;
    pid_t process;  /* who took it or waits; it may have ended. 0: not visible from here */
    bool waits;     /* sleeps inside flock() */
    bool exclusive; /* what it has, or wants */
};

struct kernel_view {
    struct kernel_flock *items; /* by device and inode; holders before those who wait */
    size_t count;
    bool torn;     /* it contradicted itself each time it was read */
    bool same;     /* the reading said to the letter what the one before had said */
    size_t bytes;  /* of its text */
    size_t pieces; /* in which it came; more than one: a line may have been missed */
    bool gap;      /* a piece had room for a line, and was not the last: a long record came next */
};

/* Reads it, again if it contradicts itself. Returns 0 or a negative errno. */
int kernel_view_read(struct kernel_view *view, struct arena *arena);

/*
 * The same once more. `view` is what the reading before has put there, and stays so where this one
 * says the same. `careful`: dearer, with care for long records (a lock with many waiters), which a
 * reading leaves out if a lock before them is let go of while the kernel makes room for them.
 */
int kernel_view_read_again(struct kernel_view *view, struct arena *arena, bool careful);

/* Adds those files of an earlier reading that are not in this one. */
void kernel_view_merge(struct kernel_view *view, const struct kernel_view *earlier,
                       struct arena *arena);

/* Parses one line of it; false for what is no flock or not as it should be. */
bool kernel_view_parse_line(const char *line, struct kernel_flock *flock);

/* Parses a whole list. */
void kernel_view_parse(struct kernel_view *view, struct arena *arena, const char *text);

/* Does a file have an exclusive holder and another one beside it? Then locks changed hands. */
bool kernel_view_contradicts_itself(const struct kernel_view *view);

/* The lines of one file: where they begin, and how many (0: none). */
size_t kernel_view_find(const struct kernel_view *view, uint64_t device, uint64_t inode,
                        size_t *first);

#endif
