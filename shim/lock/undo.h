/*
 * The undo journal: what a table was before its present holder changed it, kept beside the lock
 * file as LOCKFILE.undo/ while the holder is inside, and put back if the holder dies there.
 *
 *   LOCKFILE.undo/journal   a head: its sequence number, and a state. All may read it
 *   LOCKFILE.undo/records   a record for each thing to undo, oldest first, of the lock's owner
 *   LOCKFILE.undo/joined    the same of all who work under the owner's lock beside it
 *   LOCKFILE.undo/1, 2 …    what records keep that does not stand in them: hard links to what is
 * (joined: j1, j2 …)        replaced or removed, copies of large files, empty directories
 *
 * A record is one when it is there whole (its length stands at both ends, and a sum over all of it
 * agrees) and carries the head's sequence; what else lies behind the last such one is nothing.
 * Small files stand in their record. Of a large one that is written in place a record keeps the
 * blocks about to be written over and the size; it is kept whole where that can't be seen (stdio,
 * mappings).
 *
 * The order of steps, and what a crash between two of them leaves behind:
 *
 *   change    1. make LOCKFILE.undo and its files     SETTLED: nothing was changed
 *             2. save the object under a new number   a saved object without a record: dropped
 *             3. the head: OPEN, sequence + 1         no record with this sequence: nothing to undo
 *             4. write the record, by one call, or    a part of a record is none; a whole one of
 *                with its beginning last              what has not happened yet changes nothing
 *             5. the change itself                    a change with its record
 *   release   6. the head: SETTLED, or DROPPED: this  saved objects and records that nothing
 *                is the commit                        counts: dropped, or written over
 *             7. remove what was saved, or all        the next holder finds nothing
 *   rollback  8. undo the latest record               it is undone again: each one can be, as long
 *                                                     as all later ones have been undone
 *             9. note in the head that it is undone   as before, one record less to do
 *            10. as 6 and 7                           the table is as before, the rest is dropped
 *
 * Where the owner ends before it can let go (a process is the owner until its end), the head's
 * state says that what it did COUNTS: whoever comes next drops the journal.
 *
 * Short sessions: under `session` and `call` a process keeps the journal, open and SETTLED, for its
 * next session, if all who may change the table may use it. When it ends in order, or executes
 * another program, it removes it; when it is killed between two sessions, the next to come does. So
 * a SETTLED journal stays only where a living process uses the table (or was killed since). Each
 * session asks the kept one whether it is still SETTLED; one that was DROPPED by another process,
 * or is no longer at the path (looked at every 4 ms, and after a crash), is let go of. Who may not
 * read the journal's directory can read the head alone, and is not kept out by a SETTLED one.
 *
 * Who writes what: the owner alone works on `records` without a lock. Members of a command share
 * them; all others who are inside (who joined the holder, a vfork child, a signal handler or thread
 * that found the owner in the middle of a step) share `joined`: each step under a record lock on
 * `journal`. When each of several observes an object, notes the time, and then changes it, the
 * earliest record of an object has seen it as it was before all changes: so the records of both
 * streams are undone latest first. Who joined and finds the sequence gone on records anew: what the
 * holder has committed counts, and so does what was done below it until then.
 *
 * Each record undoes one step of the names as they were when it was written. A path is recorded
 * when it is changed for the first time only, and a block when it is first written to; to forget
 * that and record it again is always right, and costs only time. Content is put back where the file
 * is, and may need as much room as was cut off: on a full disk the table stays closed until there
 * is some.
 *
 * With `durable` the saved object, the record and the directory are on the disk before the change,
 * and what was changed is before the commit; without it the order holds for the death of processes,
 * not for a power cut.
 *
 * The journal is believed only as far as its owner could have changed the table by itself:
 * undo_trust.c. The streams are kept from others, for they contain what files contained; a random
 * number, which only who may read them knows, tells records from content that looks like one.
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

/*
 * A journal that a process keeps open, and in place, from one session to the next. One for each
 * lock; all zeros: none is kept.
 */
struct undo_kept {
    _Atomic uint32_t busy;
    _Atomic bool there;              /* the rest is filled in */
    bool opened;                     /* the head says UNDO_OPEN, for us */
    bool stays;                      /* it may stay when the session ends */
    bool limited;                    /* a limit on file sizes stood, as last seen */
    bool hidden;                     /* nobody else may look into its directory */
    int directory, journal, records; /* descriptors of our own */
    uint64_t id, nonce, sequence, end, used;
    uint32_t next;
    uint64_t checked; /* when it was last seen to be the one at the path */
    /* The last file that was recorded, when (by the coarse clock), and whether it changed then. */
    uint64_t last_device, last_inode;
    struct timespec last_time;
    bool last_changed;
};

/* The journal of a lock, as one who changes a table under it uses it. */
struct undo {
    const char *lock_path;  /* canonical */
    const char *table_path; /* canonical: of the table that is changed */
    uint64_t limit;         /* bytes that copies may take */
    uint32_t session;       /* undo_new_session(): what is remembered as recorded */
    bool durable;
    bool joined;            /* others may be at the same: records go to the stream of all */
    struct undo_kept *kept; /* or NULL; only for the lock's only owner */
};

/* Lets go of it: in a forked child, or because it is no longer the one at the path. */
void undo_kept_forget(struct undo_kept *kept);

/* One of our own descriptors has another number now. */
void undo_kept_moved(struct undo_kept *kept, int from, int to);

/*
 * With the lock just taken: is what is kept the journal at the path, and without anything to undo?
 * `suspicious` looks closely.
 */
bool undo_kept_is_settled(struct undo_kept *kept, const char *lock_path, bool suspicious);

/*
 * What was done counts: leaves an empty journal in place. False: there is none that may stay, or it
 * can't be said. `brief`: it was begun a moment ago.
 */
bool undo_kept_commit(struct undo_kept *kept, bool brief);

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
 *                       the call `creates` it. -ELOOP: it is a link, and what it leads to is meant;
 *                       UNDO_IS_NO_FILE: it is a pipe or the like, and has no content
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

/*
 * `size` bytes at an offset of an open file are about to be written over, or cut off: its blocks
 * there are saved, and its size. UNDO_IS_WHOLE: all of the file is recorded, and nothing more is to
 * be asked; else `*inode_key` is what undo_part_is_recorded() asks for.
 */
#define UNDO_IS_WHOLE 1
#define UNDO_IS_NO_FILE 2
#define UNDO_AT_END UINT64_MAX /* as offset: whatever its size is then */
#define UNDO_TO_END UINT64_MAX /* as size */
struct undo_open_file {
    int descriptor;
    const char *path; /* that leads to it, or NULL */
    bool readable;    /* open for reading */
};
int undo_save_part(const struct undo *undo, const struct undo_open_file *opened, uint64_t offset,
                   uint64_t size, uint64_t *inode_key);
bool undo_part_is_recorded(uint32_t session, uint64_t inode_key, uint64_t offset, uint64_t size);

/* The same for the file at a path that is about to be cut off behind `length` bytes. */
int undo_save_cut(const struct undo *undo, const char *path, uint64_t length);

/*
 * As undo_save_content(), for a call that makes the file where there is none and does not cut it
 * off: a small one is `saved` now, a larger one when it is written.
 */
int undo_save_early(const struct undo *undo, const char *path, bool *saved);
int undo_save_move(const struct undo *undo, const char *from, const char *to);

/*
 * What was done counts: drops the journal, unless there is nothing to undo and another process
 * keeps it. With `durable` what was changed is on the disk before. With the lock held.
 */
int undo_commit(const char *lock_path, const char *table_path, bool durable);

/* Drops a journal without anything to undo that we ourselves keep. With the lock held. */
void undo_retire(const char *lock_path, const char *table_path);

/*
 * The sequence of what is to be undone, for one who works under another's lock: when it changes,
 * that one has let go, and what was recorded before counts. 0: nothing is to be undone.
 */
uint64_t undo_present_sequence(const char *lock_path);

/* What was done counts as soon as the lock is free; `counts` = false takes that back. */
int undo_mark_ending(const char *lock_path, const char *table_path, bool counts);

/* Is there anything at LOCKFILE.undo? One system call. */
bool undo_exists(const char *lock_path);

/* Has somebody the journal's record lock, for which undo_roll_back() would wait? */
bool undo_is_busy(const char *lock_path);

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
    UNDO_CONTENT,    /* the content of the file, which has other names as well, is kept */
    UNDO_PART        /* a part of the file's content and its size are kept */
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
