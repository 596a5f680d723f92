/*
 * Who answers for what was changed under a lock that several have gone in under: a holder, and
 * those who joined it because it waits for them (wait.c). Whoever leaves in order hands its part to
 * somebody who is still inside, by putting that one's name into the mark; the last one out settles
 * it. One who dies inside is answered for by whom the mark names, or, where that is itself, is
 * found by whoever comes next.
 *
 * For publish.c, undo_lock.c and command.c. Nothing here decides who holds.
 */
#ifndef LOCKSHIM_SUCCESSION_H
#define LOCKSHIM_SUCCESSION_H

#include "shim/lock/lock.h"

struct succession {
    bool settles; /* nobody else answers: the mark is to be cleared, the journal dropped */
    /* If not: the mark that names who does; MARK_CLEAN where the mark is to stay as it is. */
    struct registry_mark heir;
    bool alone_in_leaving; /* the others stand back until succession_end() */
    bool base_taken;       /* one who joined has taken the lock itself, which nobody had */
};

/*
 * About to let go, or to end: who answers then? `head` is the registry's, NULL where there is none.
 * Where nobody has joined this is free. Others who leave wait until succession_end(), which is due
 * when the lock is free; but not longer than a tenth of a second.
 */
void succession_begin(struct succession *succession, struct lock *lock,
                      const struct registry_head *head);
void succession_end(struct succession *succession, struct lock *lock);

#endif
