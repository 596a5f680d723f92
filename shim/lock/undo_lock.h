/*
 * The undo journal's side of a lock: when what was done counts, and when it is undone. For
 * publish.c, lock.c, command.c and the shim's policy (shim/undo.c).
 */
#ifndef LOCKSHIM_UNDO_LOCK_H
#define LOCKSHIM_UNDO_LOCK_H

#include "shim/lock/lock.h"
#include "shim/lock/undo.h"

/* Are changes under this lock journaled? */
static inline bool undo_lock_guards(const struct lock *lock)
{
    return __builtin_expect(lock->on_crash == ON_CRASH_ROLLBACK, 0);
}

/*
 * With the lock just taken: a journal that is there is a dead owner's, and is undone whatever our
 * own settings say, for it would undo later changes otherwise. 0; -EOWNERDEAD when it can't be
 * undone; -EINPROGRESS when the lock, taken shared, could not be made exclusive for that, and is
 * lost.
 */
int undo_lock_check(struct lock *lock, struct registry_head *head);

/* Taken: nothing is recorded yet. */
void undo_lock_entered(struct lock *lock);

/* The session by which to remember what is recorded; 0 in a vfork child. */
uint32_t undo_lock_session(struct lock *lock);

/* The journal that this process may work on alone, or NULL. */
struct undo_kept *undo_lock_kept(struct lock *lock);

/* A directory has moved: what is remembered of paths is no longer so. */
void undo_lock_moved(struct lock *lock);

/* A journal exists from now on. */
void undo_lock_noted(struct lock *lock);

/*
 * About to let go, or (`ends`) to end, and nobody else answers for what was done (succession.h).
 * True: that took its time.
 */
bool undo_lock_leaving(struct lock *lock, bool ends);

/*
 * A member of a command ends in order (who is none leaves by undo_lock_leaving()). With `executes`
 * the process goes on as another program, out of our sight.
 */
void undo_lock_ends(struct lock *lock, bool executes);

/* After a failed exec; or a member changes something when another had ended. */
void undo_lock_goes_on(struct lock *lock);

/* Tells the registry that the table was rolled back, and after whose death. */
void undo_lock_tell(struct registry *registry, pid_t process);

#endif
