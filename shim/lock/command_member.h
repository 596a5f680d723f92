/*
 * The members' side of a command (see command.h): finding the anchor, owning its locks together,
 * and leaving. Everything here may be called in vfork children and signal handlers.
 */
#ifndef LOCKSHIM_COMMAND_MEMBER_H
#define LOCKSHIM_COMMAND_MEMBER_H

#include "shim/lock/lock.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define COMMAND_IS_OVER 1

/*
 * Looks for an inherited anchor and maps it, with those of the commands around it. False when this
 * process is no member of a command. `*left` tells that it, or an ancestor, has left one.
 */
bool command_find(bool *left);

/*
 * lockctl is a member of the command that it has made: by the anchor as it has mapped it. That of
 * the command around it has moved to the number that the new anchor names.
 */
struct command_anchor;
void command_adopt(struct command_anchor *anchor, int descriptor);

/*
 * The entry for a lock file in the commands that this process is in, and where it has the shared
 * description; NULL when none of them guards it.
 */
struct command_entry *command_entry_for(const char *lock_path, int *descriptor);

/*
 * Says that this process has touched: until it ends, the command has not ended. 0, a negative
 * errno, or COMMAND_IS_OVER: the command has ended without us.
 */
int command_register(struct command_entry *entry);

/* The lock file was replaced under the command: opens the new one for all that still can see it. */
int command_open_again(struct lock *lock);

/*
 * One member at a time is at something. False: another one takes too long (somebody has stopped it,
 * perhaps), and it is to be done without. The end of the process ends it as well.
 */
bool command_begin_turn(const struct command_entry *entry);
void command_end_turn(const struct command_entry *entry);

/* A process that is out of reach was started: the command has not ended until it has. */
void command_watch(pid_t process);

/* Leaves all commands for good. */
void command_leave(void);

/* The same for a vfork child: closes its copies, and leaves the memory, its parent's, alone. */
void command_close_copies(void);

/* One of the shim's own descriptors has another number now. */
void command_moved(int from, int to);

void command_note_change(struct command_entry *entry, pid_t process);
pid_t command_last_changer(const struct command_entry *entry);
void command_note_locked(struct command_entry *entry);
bool command_has_locked(const struct command_entry *entry);
bool command_has_changed(const struct command_entry *entry);

/* This process, if it was the last to change a table, has ended (or left) in order. */
void command_note_end(struct command_entry *entry, pid_t process);

/* Has the last one to change a table died inside? */
bool command_changer_died(const struct command_entry *entry);

/* Has lockctl, or whoever founded the command, ended? */
bool command_supervisor_died(const struct command_entry *entry);

/* Is nobody else a member that has touched? */
bool command_is_alone(const struct command_entry *entry);

/* How often members have moved a directory; from now on `more` often more. */
uint32_t command_moves(struct command_entry *entry, uint32_t more);

/* Does the undo journal say that what was done counts? Returns what was said before. */
bool command_settle(struct command_entry *entry, bool counts);

/* COMMAND_BREAKING or COMMAND_BROKEN (command_anchor.h), or 0. */
uint32_t command_broken(const struct command_entry *entry);

/* It is over, and was ended by a signal. */
bool command_was_killed(const struct command_entry *entry);
pid_t command_supervisor(const struct command_entry *entry);

#endif
