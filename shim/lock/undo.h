/*
 * The undo journal: what a table was before its present holder changed it, kept beside the lock
 * file as LOCKFILE.undo/ while the holder is inside, and put back if the holder dies there.
 *
 *   LOCKFILE.undo/journal   a head, then one record for each thing to undo, oldest first
 *   LOCKFILE.undo/1, 2 …    what the records keep: hard links to what is replaced or removed,
 * copies of what is written in place, empty directories with the metadata of those that are removed
 *
 * The order of steps, and what a crash between two of them leaves behind:
 *
 *   change    1. make LOCKFILE.undo and the journal    an empty journal: nothing was changed
 *             2. save the object under a new number    a saved object without a record: dropped
 *             3. write the record behind the others    bytes behind the length in the head: ignored
 *             4. count it in the head's length         a record of what has not happened yet:
 * undoing it changes nothing
 *             5. the change itself                     a change with its record
 *   release   6. unlink the journal: the commit        saved objects without a journal: dropped
 *             7. remove the rest, then the lock        the next holder finds nothing
 *   rollback  8. undo the last record in the head's    the record is undone again: each one can be,
 *                length                                as long as all later ones have been undone
 *             9. take it off the head's length; 8      as before, one record less to do
 *            10. as 6 and 7                            the table is as before, the rest is dropped
 *
 * Where the owner ends before it can let go (a process is the owner until its end), the head's
 * state says that what it did counts: whoever comes next drops the journal.
 *
 * Each record undoes one step of the names as they were when it was written, so they are undone
 * latest first. A path is recorded when it is changed for the first time only; to forget that and
 * record it again is always right, and costs only time.
 *
 * With `durable` the saved object, the record and the directory are on the disk before the change,
 * and what was changed is before the commit; without it the order holds for the death of processes,
 * not for a power cut.
 *
 * Several processes may share a journal (members of a command, those who joined a holder): each
 * step is made under a record lock on the file `journal`. The journal is believed only as far as
 * its owner could have changed the table by itself: undo_trust.c.
 *
 * Nothing here knows of interposition. Unless said otherwise functions return 0 or a negative
 * errno, leave errno alone, and may be called from threads and signal handlers.
 */
#ifndef LOCKSHIM_UNDO_H
#define LOCKSHIM_UNDO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define UNDO_SUFFIX ".undo"

/* Returned, negative, where the journal would grow past its limit. */
#define UNDO_OVER_LIMIT 4000

/* The journal of a lock, as one who changes a table under it uses it. */
struct undo {
    const char *lock_path;  /* canonical */
    const char *table_path; /* canonical: of the table that is changed */
    uint64_t limit;         /* bytes that copies may take */
    uint32_t session;       /* undo_new_session(): what is remembered as recorded */
    bool durable;
};

/* A number for a new memory of what is recorded already; never 0. */
uint32_t undo_new_session(void);

/* Is the path (by its key, undo_key()) recorded in this session? No system call. */
bool undo_is_recorded(uint32_t session, uint64_t key);
uint64_t undo_key(const char *canonical_path);

/*
 * To be called before a change of the object at a canonical path, with the lock held. On failure
 * nothing must be changed: -UNDO_OVER_LIMIT, -ENOSPC, -EDQUOT, or why the journal can't be had.
 *
 *   undo_save_name      the name is about to be made, replaced or removed
 *   undo_save_content   the file there is about to be written or cut off; it may be missing when
 *                       the call `creates` it
 *   undo_save_open      the same for an open file, of which this is the descriptor and, if it still
 *                       has one, the path
 *   undo_save_move      a directory, or a file from outside the table, is about to be moved to
 * another name (recorded before by undo_save_name)
 */
#define UNDO_MAKES 1u   /* the call makes the name where there is none */
#define UNDO_REMOVES 2u /* the call takes away what is there; with UNDO_MAKES: replaces it */
#define UNDO_COPY 4u    /* the object lives on elsewhere: a hard link would not keep it as it was */
int undo_save_name(const struct undo *undo, const char *path, unsigned how);
int undo_save_content(const struct undo *undo, const char *path, bool creates);
int undo_save_open(const struct undo *undo, int descriptor, const char *path);
int undo_save_move(const struct undo *undo, const char *from, const char *to);

/*
 * What was done counts: drops the journal. With `durable` what was changed is on the disk before.
 * With the lock held.
 */
int undo_commit(const char *lock_path, bool durable);

/* What was done counts as soon as the lock is free; `counts` = false takes that back. */
int undo_mark_ending(const char *lock_path, const char *table_path, bool counts);

/* Is there anything at LOCKFILE.undo? One system call. */
bool undo_exists(const char *lock_path);

/*
 * With the lock held exclusively, and no living owner of the journal: puts the table back as it was
 * before that owner, or drops the journal when what it did counts. `table_path` (may be NULL) is
 * the table that the caller guards by this lock; records of other tables are followed only in the
 * caller's own or root's journals.
 *
 * Returns 0 when there was nothing to undo, 1 when the table was rolled back. On failure the
 * journal stays as far as it was not undone: -EPERM it is not to be trusted, -EBADMSG it can't be
 * read, or why a step failed.
 */
int undo_roll_back(const char *lock_path, const char *table_path);

/* Removes the journal whatever it says: the table is accepted as it is. */
int undo_discard(const char *lock_path);

/* All signals; what was blocked before. */
uint64_t undo_block_signals(void);
void undo_restore_signals(uint64_t before);

/* One thing that a journal would undo. */
enum undo_kind {
    UNDO_ABSENT = 1, /* there was nothing at the path */
    UNDO_SAVED,      /* what was there is kept */
    UNDO_DIRECTORY,  /* there was an empty directory */
    UNDO_MOVED,      /* a directory was moved from the path to the other one */
    UNDO_CONTENT     /* the content of the file, which has other names as well, is kept */
};

struct undo_item {
    enum undo_kind kind;
    const char *path;
    const char *other; /* or NULL */
    uint64_t bytes;    /* that were copied for it */
};

struct undo_summary {
    uid_t owner;
    uint64_t bytes;
    bool counts;  /* nothing will be undone: its owner ended in order */
    bool limited; /* written by others than the caller and root: believed only within the table */
};

/*
 * Reads a journal without changing anything, its lock held or not (it then may change meanwhile):
 * calls `each` for every record, latest first (the order in which they would be undone). 0 when
 * there is none, 1 when there is one, or a negative errno.
 */
int undo_list(const char *lock_path, const char *table_path, struct undo_summary *summary,
              void (*each)(const struct undo_item *item, void *context), void *context);

#endif
