/*
 * A record of what this process does with its tables, for `lockctl advise`: one record an access,
 * appended by one write to the file that LOCKSHIM_TRACE names. Off, it costs one branch on the way
 * of a touch. It must never fail a call, change errno, or keep a descriptor open.
 */
#ifndef LOCKSHIM_TRACE_H
#define LOCKSHIM_TRACE_H

#include "shim/lock/hidden.h"

#include <stdbool.h>
#include <stdint.h>

#define TRACE_MAGIC 0x6b636f6cu
#define TRACE_TEXT 9000 /* bytes of text at most: two paths */

/* Of a rename: which of the two names are there before it, and what else it may be. */
#define TRACE_OLD_THERE 1u
#define TRACE_NEW_THERE 2u
#define TRACE_EXCHANGED 4u
#define TRACE_LINKED 8u /* the old name stays */

/* What `number`, `other`, `flags` and the texts are is said with each. A path is absolute. */
enum trace_kind {
    TRACE_START = 1,    /* a program begins; texts: executable, command line with NULs */
    TRACE_FORK,         /* a forked child begins */
    TRACE_OUT_OF_REACH, /* executes what can't be guarded: number: 1 if a child does; other: enum
                           program_reach; text: its file */
    TRACE_SPAWNED,      /* number: the child that executes what TRACE_OUT_OF_REACH named */
    TRACE_END,          /* ends by itself */
    TRACE_OPEN,         /* number: descriptor; flags: of open; other: 1 if it is a stream's, which
                           is written when nobody sees it; text: path */
    TRACE_RECEIVED,     /* a descriptor came from elsewhere: number; flags: of open; text: path */
    TRACE_MISSED,       /* what TRACE_LIST just named was to be opened, and is not there */
    TRACE_DUPLICATE,    /* number: descriptor; other: the new one */
    TRACE_CLOSE,        /* number: descriptor */
    TRACE_WRITE,        /* the first through a descriptor, or a shared mapping that can be written:
                           number; text: path */
    TRACE_RESIZE,       /* ftruncate: number: descriptor; text: path */
    TRACE_ASK,          /* stat, access, readlink; text: path */
    TRACE_LIST,         /* reads by a call that keeps no descriptor; text: path */
    TRACE_NAME,         /* makes a name (mkdir, link, symlink); text: path */
    TRACE_REMOVE,       /* text: path; flags: 1 if it is there */
    TRACE_TRUNCATE,     /* by path; text: path */
    TRACE_RENAME,       /* texts: old path, new path; flags: below */
    TRACE_REFUSED,      /* other: the errno; flags: what kind of touch; text: path */
    TRACE_KINDS
};

/* In the byte order of the machine; `size` bytes with the two texts, one behind the other. */
struct trace_record {
    uint32_t magic;
    uint32_t size;
    uint16_t kind;
    uint16_t first_length;
    uint32_t second_length;
    int32_t process;
    int32_t parent;
    int32_t number;
    int32_t other;
    uint32_t flags;
    uint32_t reserved;
    uint64_t time; /* CLOCK_MONOTONIC, nanoseconds */
};

_Static_assert(sizeof(struct trace_record) == 48, "the same for 32- and 64-bit programs");

extern HIDDEN bool trace_on;

/* Once, at the start: the value of LOCKSHIM_TRACE, or NULL. */
void trace_set_up(const char *path);

void trace_start(void);
void trace_fork(void);
void trace_event(enum trace_kind kind, int number, int other);
void trace_path(enum trace_kind kind, int directory, const char *path, bool follow, uint32_t flags);
void trace_descriptor(enum trace_kind kind, int descriptor, uint32_t flags, int other);
void trace_two_paths(int directory, const char *path, int other_directory, const char *other_path,
                     uint32_t flags);
void trace_out_of_reach(const char *path, int reach, bool child);
void trace_refused(int directory, const char *path, bool follow, unsigned touch_kind, int error);

#endif
