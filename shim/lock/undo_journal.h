/*
 * The files of an undo journal: their layout, opening them, adding records and reading them back.
 * For the files undo_*.c alone.
 */
#ifndef LOCKSHIM_UNDO_JOURNAL_H
#define LOCKSHIM_UNDO_JOURNAL_H

#include "shim/lock/undo.h"

#include "shim/lock/kernel_files.h"

#define UNDO_PATH_SIZE 4352

/* What the head says of the records that carry its sequence. */
enum undo_state {
    UNDO_SETTLED = 0, /* there are none */
    UNDO_OPEN,        /* they are to be undone */
    UNDO_COUNTS,      /* what they would undo counts: they are to be dropped */
    UNDO_DROPPED      /* the journal is about to be removed: nobody writes here any more */
};

/* Whose records: of the owner, or of all who work under its lock beside it. */
enum { UNDO_MAIN, UNDO_JOINED, UNDO_STREAMS };

/*
 * `journal`: all may read it, for it tells nothing but whether there is something to undo. Written
 * by parts that never share a writer at the same time: `word` by the owner (and whoever makes it
 * OPEN: with the same value), hints below the record lock, `undone` by who rolls back.
 */
struct undo_head {
    char magic[8];
    uint32_t version;
    int32_t keeper;        /* who keeps it between two sessions, … */
    uint64_t word;         /* sequence * UNDO_SEQUENCE + state */
    uint64_t keeper_start; /* … and when that process started */
    uint64_t lock_path_hash;
    uint64_t id;                   /* random: what belongs to this journal carries it */
    uint64_t hint_sequence;        /* that for which the hints are right */
    uint64_t hint[UNDO_STREAMS];   /* records end here, or further on */
    uint64_t undone[UNDO_STREAMS]; /* records from here on have been undone; 0: none have */
    uint64_t reserved[5];
};
#define UNDO_SEQUENCE 8u
_Static_assert(sizeof(struct undo_head) == 128, "layout of the undo journal");

/* `records` and `joined` begin so; only those who may change the table can read it. */
struct undo_stream_head {
    char magic[8];
    uint64_t id;
    uint64_t nonce; /* random: no content of a file can look like a record of this stream */
};
#define UNDO_RECORDS_AT 128u /* where the first record begins */

#define UNDO_RECORD_LINKED 1u  /* the saved object is the object itself, not a copy */
#define UNDO_RECORD_SHARED 2u  /* the file had other names: it is found again by its inode */
#define UNDO_RECORD_DURABLE 4u /* its author wanted it safe against a power cut */

/*
 * Then the path, the other path, the content that is kept here, and `length` again, so that records
 * can be read backwards; and zeros, where the next one will begin. It is one when all of it is
 * there: written by one call, or its beginning last.
 */
struct undo_record {
    uint32_t magic;
    uint32_t length;   /* of all of it */
    uint64_t checksum; /* of all of it but this, begun with the stream's nonce */
    uint64_t sequence;
    uint64_t time; /* CLOCK_MONOTONIC, taken when the object had been looked at */
    uint16_t kind; /* enum undo_kind */
    uint16_t flags;
    uint32_t number;        /* of the saved object, or 0 */
    uint32_t handle;        /* the saved link by which the file is found; 0: by its path */
    uint32_t next;          /* number of the next saved object of this stream */
    uint64_t device, inode; /* of the object */
    uint64_t bytes;         /* that are kept, here or as saved object */
    uint64_t used;          /* such bytes of all records of this stream up to this one */
    uint64_t offset;        /* UNDO_PART: where they were */
    uint64_t size;          /* UNDO_PART: of the file */
    uint32_t mode, user, group;
    uint32_t data_length; /* of what is kept here */
    uint16_t path_length, other_length;
    uint32_t reserved;
    struct kernel_time times[2]; /* of the file, or else of the directory that the name is in */
};
_Static_assert(sizeof(struct undo_record) == 152, "the same for 32- and 64-bit programs");

/* Who may have written a journal, and so what it may ask for (undo_trust.c). */
struct undo_author {
    bool limited; /* not we ourselves, nor root */
    uid_t user;
    gid_t group;
    bool any_of_group, anybody;
};

struct undo_stream {
    int file;
    uint64_t nonce;
    uint64_t end; /* where the next record goes */
    uint64_t used;
    uint32_t next;
};

struct undo_journal {
    int directory;
    int file;
    unsigned stream; /* to which records are added */
    struct undo_author author;
    struct undo_head head;
    struct undo_stream streams[UNDO_STREAMS];
    struct undo_kept *kept; /* of which the descriptors are, or NULL */
    const char *lock_path;
    const char *table_path;
};

/* Content that a record is to keep: from an open file. */
struct undo_source {
    int file;
    uint64_t offset, size;
};

/* One record as it was read; its content begins at `data` of the stream. */
struct undo_entry {
    struct undo_record record;
    unsigned stream;
    uint64_t start, data;
    char path[UNDO_PATH_SIZE], other[UNDO_PATH_SIZE];
};

static inline unsigned undo_state(const struct undo_head *head)
{
    return (unsigned)(head->word % UNDO_SEQUENCE);
}

static inline uint64_t undo_sequence(const struct undo_head *head)
{
    return head->word / UNDO_SEQUENCE;
}

/* --- undo_trust.c --- */

/* The mode that a new journal's directory gets, and whether its group is to be the table's. */
mode_t undo_wanted_mode(const char *table_path, gid_t *group);

/* Is this directory a journal that may be believed, and how far? */
bool undo_trusts(const struct stat *directory, const char *lock_path, const char *table_path,
                 struct undo_author *author);

/* May the author write this object; change names in this directory (of this object, or NULL)? */
bool undo_author_may_write(const struct undo_author *author, const struct stat *object);
bool undo_author_may_rename(const struct undo_author *author, const struct stat *directory,
                            const struct stat *object);

/* May it stay between two sessions: can all who may change the table go on with it? */
bool undo_may_stay(const struct stat *directory, const char *table_path);

/* --- undo_journal.c --- */

/*
 * Opens the journal and takes its record lock. With `create` it is made where there is none, else
 * -ENOENT. Whoever opens it closes it, and blocks signals meanwhile.
 */
int undo_journal_open(struct undo_journal *journal, const char *lock_path, const char *table_path,
                      unsigned stream, bool create);
void undo_journal_close(struct undo_journal *journal);

/* Opens a file of the journal's directory; the mode is for a new one. */
int undo_journal_open_file(struct undo_journal *journal, const char *name, mode_t mode,
                           bool create);

/* Writes the head's word. */
int undo_journal_say(struct undo_journal *journal, uint64_t sequence, enum undo_state state);

/* Writes the numbers of `undone`; who keeps it. */
int undo_journal_note_undone(struct undo_journal *journal);
int undo_journal_note_keeper(struct undo_journal *journal, pid_t process, uint64_t start_time);

/* Reads the head again, of a journal that is open. False: it is none any more. */
bool undo_journal_look(int file, struct undo_head *head);

/* Does a journal that can't be opened say that there is nothing to undo? */
bool undo_journal_says_settled(const char *lock_path);

/* Removes everything: after the head has said so, which is the commit. */
int undo_journal_drop(int directory, const char *lock_path, bool durable);

/* Writes the number of a saved object as its name. */
const char *undo_number(char text[static 16], unsigned stream, uint32_t number);

/* LOCKFILE.undo, or false when that is too long. */
bool undo_directory_path(char path[static UNDO_PATH_SIZE], const char *lock_path);

/* --- undo_stream.c --- */

/* Opens a stream of an open journal; with `create` it is made. -ENOENT: there is none. */
int undo_stream_open(struct undo_journal *journal, unsigned stream, bool create);

/*
 * Adds a record to the journal's stream, all but magic, lengths, numbers and checksum filled in;
 * makes it count. `source`, or NULL, is what the record keeps itself.
 */
int undo_stream_add(struct undo_journal *journal, const struct undo *undo,
                    struct undo_record *record, const char *path, const char *other,
                    const struct undo_source *source);

/*
 * The last record that ends at or before `ends` (of each stream), which is moved to before it.
 * False: none.
 */
bool undo_stream_last(const struct undo_journal *journal, uint64_t ends[static UNDO_STREAMS],
                      struct undo_entry *entry);

/* The ends to begin with. */
void undo_stream_ends(const struct undo_journal *journal, uint64_t ends[static UNDO_STREAMS]);

/* --- undo_restore.c --- */

/* Undoes all records, latest first, and notes in the head how far it has come. */
int undo_all_records(struct undo_journal *journal);

/* --- undo_kept.c --- */

/*
 * The journal that the process keeps, for a step of the lock's only owner: no lock is taken, and
 * nobody waits. False: another thread, or the program below a signal handler, is at it, or it can't
 * be had; the step is then made as by one who joined.
 */
bool undo_kept_begin(struct undo_journal *journal, const struct undo *undo);
void undo_kept_end(struct undo_journal *journal);

/* Before the first saved object: nobody else looks into the directory from now on. */
int undo_journal_hide(struct undo_journal *journal);

/* --- undo_copy.c --- */

struct undo_copy {
    uint64_t allowance; /* bytes that may be copied */
    uint64_t bytes;     /* that were */
    bool durable;
    bool exact; /* owner, mode and extended attributes too */
};

/* Makes a copy of an open regular file under a new name; its metadata too. */
int undo_copy_file(int from, const struct stat *status, int directory, const char *name,
                   struct undo_copy *copy);

/* Writes the content of `from` into `to`, which is cut off first; and its times. */
int undo_copy_back(int from, int to, struct undo_copy *copy);

/* Saves a part of a file under a new name, where it was in the file; holes stay holes. */
int undo_copy_range(const struct undo_source *source, int directory, const char *name,
                    bool durable);

/* A part of `from` written where it was in `to`, by its offset there. */
int undo_copy_part(int from, off_t from_offset, int to, off_t offset, uint64_t size);

/* A copy of an object that is no regular file, or (an empty one) of a directory. */
int undo_copy_other(int from_directory, const char *path, const struct stat *status, int directory,
                    const char *name);

/* Opens a regular file for reading, its access time left alone where that is allowed. */
int undo_open_to_read(int directory, const char *path, int flags);

/* --- undo_tree.c --- */

/* Opens (O_PATH) the directory that a recorded path's last component is in; no link is followed. */
int undo_open_parent(const char *path, const char **name);

/* Removes whatever is there, with all below it. 0 also when there is nothing. */
int undo_remove_tree(const struct undo_author *author, int directory, const char *name);

/* Removes what one who died has left under this number, a file or an empty directory. */
void undo_clear_number(int directory, const char *name);

/* Unlinks the files in an open directory but these, in one pass and without a look at them. */
int undo_unlink_all(int directory, const char *const *but);

/* Removes everything in an open directory. */
int undo_empty_directory(const struct undo_author *author, int directory);

#endif
