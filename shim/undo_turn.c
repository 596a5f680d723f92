/*
 * Who else is there while a change is recorded: other threads and other members of a command, who
 * wait for their turn, and processes with copies of our descriptors. It must never keep a turn
 * while its thread waits for a lock.
 */
#include "shim/undo.h"

#include "shim/lock/command_member.h"

bool undo_matters;
_Atomic uint32_t undo_processes_made = 1;

void undo_process_made(void)
{
    if (undo_matters)
        atomic_fetch_add(&undo_processes_made, 1);
}

/*
 * For all tables at once: a rename may be between two. What is recorded of an open file's content
 * holds whatever is changed next, but for the path by which it is recorded.
 */
static struct {
    struct latch latch;
    struct command_entry *command; /* whose other members stand back too, or NULL */
} turn;

void undo_begin_turn(struct touch *touch, const struct table *table)
{
    if (touch->turn != NO_TURN || !touch_is_own_process()) /* a vfork child may be gone in it */
        return;
    touch->turn = latch_begin(&turn.latch) ? OUR_TURN : TURN_BELOW;
    struct command_entry *command = table->lock->entry;
    if (touch->turn == OUR_TURN && command != NULL && command_begin_turn(command))
        turn.command = command;
}

void undo_end_turn(struct touch *touch)
{
    if (touch->turn == NO_TURN)
        return;
    if (touch->turn == OUR_TURN && turn.command != NULL) {
        command_end_turn(turn.command);
        turn.command = NULL;
    }
    touch->turn = NO_TURN;
    latch_end(&turn.latch);
}

void undo_forked(void)
{
    undo_process_made();
    if (turn.command != NULL && !latch_is_ours(&turn.latch)) /* what is written is a page copied */
        turn.command = NULL;
    latch_forked(&turn.latch);
}
