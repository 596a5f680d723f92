/*
 * The files of an undo journal: their layout, opening them, adding records and reading them back.
 * For the files undo_*.c alone.
 */
#ifndef LOCKSHIM_UNDO_JOURNAL_H
#define LOCKSHIM_UNDO_JOURNAL_H

#include "shim/lock/undo.h"

#include "shim/lock/kernel_files.h"

#define UNDO_PATH_SIZE 4352

enum undo_state { UNDO_UNSETTLED = 0, UNDO_COUNTS = 1 };

/* At the start of `journal`. */
struct undo_head {
    char magic[8];
    uint32_t version;
    uint32_t state; /* enum undo_state */
    uint64_t lock_path_hash;
    uint64_t length; /* where the last record ends */
    uint64_t used;   /* bytes that copies take */
    uint32_t next;   /* number of the next saved object */
    uint32_t flags;
    uint64_t reserved[10];
};
#define UNDO_HEAD_DURABLE 1u /* its author wanted it safe against a power cut */
_Static_assert(sizeof(struct undo_head) == 128, "layout of the undo journal");

#define UNDO_RECORD_LINKED 1u /* the saved object is the object itself, not a copy */

/* Then the path, the other path, and `length` again, so that records can be read backwards. */
struct undo_record {
    uint32_t magic;
    uint32_t length;   /* of all of it */
    uint32_t checksum; /* of all of it, taken with 0 here */
    uint16_t kind;     /* enum undo_kind */
    uint16_t flags;
    uint32_t number; /* of the saved object, or 0 */
    uint32_t handle; /* UNDO_CONTENT: the saved link by which the file is found; 0: by its path */
    uint64_t device, inode; /* of the object */
    uint64_t bytes;
    uint32_t mode; /* of a directory */
    uint16_t path_length, other_length;
    struct timespec parent_times[2]; /* of the directory that the name is in */
};

/* Who may have written a journal, and so what it may ask for (undo_trust.c). */
struct undo_author {
    bool limited; /* not we ourselves, nor root */
    uid_t user;
    gid_t group;
    bool any_of_group, anybody;
};

struct undo_journal {
    int directory;
    int file;
    struct undo_author author;
    struct undo_head head;
    const char *lock_path;
    const char *table_path;
};

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

/* --- undo_journal.c --- */

/*
 * Opens the journal and takes its record lock. With `create` it is made where there is none, else
 * -ENOENT. Whoever opens it closes it, and blocks signals meanwhile.
 */
int undo_journal_open(struct undo_journal *journal, const char *lock_path, const char *table_path,
                      bool create);
void undo_journal_close(struct undo_journal *journal);
int undo_journal_write_head(struct undo_journal *journal);

/* Adds a record, all but magic, lengths and checksum filled in; makes it count. */
int undo_journal_add(struct undo_journal *journal, const struct undo *undo,
                     struct undo_record *record, const char *path, const char *other);

/* The last record that ends at or before `end`: texts go to path and other. False: none. */
bool undo_journal_last(const struct undo_journal *journal, uint64_t *end,
                       struct undo_record *record, char path[static UNDO_PATH_SIZE],
                       char other[static UNDO_PATH_SIZE]);

/* Removes everything: the journal itself first, which is the commit. */
int undo_journal_drop(int directory, const char *lock_path, bool durable);

/* Writes the number of a saved object as its name. */
const char *undo_number(char text[static 16], uint32_t number);

/* LOCKFILE.undo, or false when that is too long. */
bool undo_directory_path(char path[static UNDO_PATH_SIZE], const char *lock_path);

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

/* Unlinks the files in an open directory, in one pass and without a look at them. */
int undo_unlink_all(int directory);

/* Removes everything in an open directory. */
int undo_empty_directory(const struct undo_author *author, int directory);

#endif
