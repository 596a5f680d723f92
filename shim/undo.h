/*
 * What is about to change, told to the undo journal (--on-crash rollback). Called within a touch,
 * after it has the lock; where a change can't be journaled the touch is refused.
 */
#ifndef LOCKSHIM_SHIM_UNDO_H
#define LOCKSHIM_SHIM_UNDO_H

#include "shim/touch.h"

#include "shim/lock/undo_lock.h"

/* Are changes of this table journaled? Asked first, so that nobody else pays. */
static inline bool undo_guards(const struct table *table)
{
    return undo_lock_guards(table->lock);
}

/* The call of this kind on this path, which lies at `place`. */
void undo_path(struct touch *touch, const struct place *place, int directory, const char *path,
               bool follow, enum touch_kind kind);

/* A rename (an exchange: the first kind is TOUCH_REPLACE), or a link (the second is TOUCH_NAME). */
struct undo_name {
    const struct place *place;
    int directory;
    const char *path;
    enum touch_kind kind;
};
void undo_two_paths(struct touch *touch, const struct undo_name *name,
                    const struct undo_name *other);

/*
 * The file open here is about to be changed by a call of ours in a range, or (NULL) anywhere, or
 * later when nobody sees it.
 */
void undo_descriptor(struct touch *touch, struct table *table, int descriptor,
                     const struct touch_range *range);

/* Are those of any table? Settled before the first touch. */
extern HIDDEN bool undo_matters;

/*
 * What is recorded must be what is changed next: in between, no other thread of this process, nor
 * another member of its command, changes a name. The turn begins as a name is recorded, and ends
 * with the touch.
 */
void undo_begin_turn(struct touch *touch, const struct table *table);
void undo_end_turn(struct touch *touch);

/*
 * Another process has copies of our descriptors, and moves where they stand; and in that process
 * itself, where it was forked. How many there were, and 1 more:
 */
void undo_process_made(void);
void undo_forked(void);
extern HIDDEN _Atomic uint32_t undo_processes_made;

/* The number now stands for another file; `saved`: whose content was saved before it was opened. */
void undo_opened(const struct table *table, int descriptor, bool saved);
void undo_received(int descriptor); /* from another process, which may have it still */
void undo_duplicated(int descriptor, int copy);

/* A stream on a table's file, to be flushed before what the process did counts; NULL: no more. */
void undo_stream(int descriptor, FILE *stream);
void undo_flush_streams(void);

#endif
