/*
 * Watching a directory tree from outside while a command uses it: fanotify, which tells whose each
 * access was (root), else inotify, which does not. Nothing is held up by it.
 */
#ifndef LOCKCTL_ADVISE_WATCH_H
#define LOCKCTL_ADVISE_WATCH_H

#include "lockctl/advise/text_index.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* All accesses of a kind by one process to one file. */
struct watched_access {
    pid_t pid;        /* 0: not known */
    const char *path; /* as the command calls it */
    bool directory;   /* itself was opened or listed */
    bool changes;
};

/* Who was seen, as it looked then. */
struct watched_process {
    pid_t pid, parent;
    char name[64];  /* of the executable; empty: it had ended already */
    char path[512]; /* of the executable */
    bool preloaded; /* the shim was loaded */
    bool uses_io_uring;
};

struct watch {
    int descriptor;   /* to be polled; -1: there is nobody who watches */
    bool attributed;  /* accesses come with a pid */
    bool overflowed;  /* there was more than could be told */
    const char *root; /* where the tree lies for us … */
    const char *told; /* … and what the command calls it */
    const char *only; /* the one name in the tree that matters, or NULL */
    struct watched_directory *directories;
    size_t directory_count;
    struct watched_access *accesses;
    size_t access_count;
    struct text_index known; /* which of them there are */
    struct watched_process *processes;
    size_t process_count;
};

/* Begins to watch `root`; where it can't be watched, descriptor is -1. */
void watch_begin(struct watch *watch, const char *root, const char *told, const char *only);

/* Takes what has come. */
void watch_take(struct watch *watch);

void watch_end(struct watch *watch);

/* --- between the two files --- */

struct watched_directory {
    const char *path; /* as the command calls it */
    const char *real; /* for us */
    int number;       /* inotify's */
    unsigned handle_size;
    int handle_type;
    unsigned char handle[128];
};

/* A name in a directory was accessed; NULL or ".": the directory itself. */
void watch_note(struct watch *watch, pid_t pid, const struct watched_directory *directory,
                const char *name, bool changes);
void watch_add_tree(struct watch *watch, const char *real, const char *told);

bool watch_fanotify_begin(struct watch *watch);
bool watch_fanotify_add(struct watch *watch, struct watched_directory *directory);
void watch_fanotify_take(struct watch *watch);

#endif
