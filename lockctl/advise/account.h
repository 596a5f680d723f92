/*
 * What a command did with its table: which processes, which files, and each access in order, put
 * together from the shim's trace and from what was seen from outside. Facts only; what follows from
 * them is decide.h's. Whatever the trace says may be wrong or hostile: nothing here trusts it.
 */
#ifndef LOCKCTL_ADVISE_ACCOUNT_H
#define LOCKCTL_ADVISE_ACCOUNT_H

#include "lockctl/advise/text_index.h"
#include "shim/program/program.h"
#include "shim/trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum access_kind {
    ACCESS_ASK,     /* whether it is there, or how it is: stat, access, readlink */
    ACCESS_MISS,    /* would have read it, and it is not there */
    ACCESS_LIST,    /* reads a directory */
    ACCESS_READ,    /* opens it for reading */
    ACCESS_UPDATE,  /* opens it for reading and writing */
    ACCESS_OPEN,    /* opens it for writing only, its content left as it is */
    ACCESS_WRITE,   /* writes into it in place */
    ACCESS_APPEND,  /* writes at its end (O_APPEND) */
    ACCESS_RESIZE,  /* ftruncate */
    ACCESS_REPLACE, /* takes its whole content away: O_TRUNC, truncate */
    ACCESS_MAKE,    /* makes the file, directory or link */
    ACCESS_REMOVE,
    ACCESS_RENAME, /* `file` is the new name, `other` the old one */
    ACCESS_LINK,   /* the same, and the old name stays */
    ACCESS_REFUSED /* a change that was not let through: `--read-only` */
};

struct account_file {
    const char *path; /* absolute */
    const char *name; /* as people are told: relative to the table */
    bool inside;      /* the table */
    bool there;       /* as far as is known */
    bool plain;       /* known to be no directory */
};

struct account_access {
    size_t process, file, other;
    unsigned session; /* of this process, from 1 */
    enum access_kind kind;
    uint64_t time;
};

/* A descriptor on the table. */
struct account_descriptor {
    int number;
    size_t file;
    uint32_t flags;
    bool counted;  /* holds a session: opened here, not inherited from another process */
    bool stream;   /* written when nobody sees it */
    bool executed; /* was there before the last exec */
};

struct account_process {
    pid_t pid, parent;
    const char *name;    /* of the last program, for people; NULL: never told */
    const char *command; /* the command line */
    const char *path;    /* the executable */
    bool preloaded;      /* the shim was there */
    bool out_of_reach;   /* … or could not be: then `reach` says why */
    enum program_reach reach;
    bool uses_io_uring;
    bool ended;       /* by itself */
    bool left_behind; /* went on when the command had ended */
    size_t end_order; /* accesses of all before that */
    unsigned sessions;
    size_t accesses;   /* seen by the shim */
    size_t unseen;     /* not seen by it */
    unsigned open_now; /* counted descriptors */
    struct account_descriptor *descriptors;
    size_t descriptor_count;
    bool in_exec;
    bool pending; /* a listing that may turn out to be an open */
    size_t pending_file;
    const char *spawned_path; /* what its next child executes, and why that can't be guarded */
    enum program_reach spawned_reach;
};

/* What was seen from outside, and by no shim. */
struct account_unseen {
    size_t process; /* ACCOUNT_NOBODY: nobody knows whose it was */
    size_t file;
    bool changes;
};
#define ACCOUNT_NOBODY SIZE_MAX

struct account {
    const char *table; /* canonical path */
    struct account_file *files;
    size_t file_count;
    struct text_index paths;     /* their numbers */
    struct text_index inherited; /* which file a pid had open when it began, by path */
    struct account_process *processes;
    size_t process_count;
    struct account_access *accesses;
    size_t access_count;
    struct account_unseen *unseen;
    size_t unseen_count;
    bool attributed; /* what was seen from outside is known by process */
    bool watched;    /* there was somebody outside who looked */
    bool damaged;    /* the trace has records that can't be */
    bool ended_by_us;
};

void account_set_up(struct account *account, const char *table);

/* The file at an absolute path, made known if it was not. */
size_t account_file(struct account *account, const char *path, size_t length);

/* It was there when the command began. */
void account_there(struct account *account, const char *path, bool directory);

/* The process with this pid, made known if it was not. */
size_t account_process(struct account *account, pid_t pid);

/*
 * Reads through a descriptor that it was started with: the shim takes no notice of that, and need
 * not. It is put at the end, for nobody knows when it was.
 */
void account_add_inherited(struct account *account, size_t process, size_t file);

/* Whatever the shim has recorded; a record that can't be is left out, and `damaged` set. */
void account_read_trace(struct account *account, const void *bytes, size_t size);

/* Frees what it holds. */
void account_end(struct account *account);

/* The last name of a path. */
const char *account_base(const char *path);

static inline bool access_changes(enum access_kind kind)
{
    return kind >= ACCESS_WRITE;
}

static inline bool access_reads(enum access_kind kind)
{
    return kind >= ACCESS_MISS && kind <= ACCESS_UPDATE;
}

#endif
