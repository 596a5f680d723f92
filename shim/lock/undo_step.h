/*
 * One step of saving (undo_save.c, undo_part.c): the journal open, signals blocked where they would
 * have to wait for themselves.
 */
#ifndef LOCKSHIM_UNDO_STEP_H
#define LOCKSHIM_UNDO_STEP_H

#include "shim/lock/undo_journal.h"

struct undo_step {
    const struct undo *undo;
    struct undo_journal journal;
    struct undo_record record;
    bool blocked;
    uint64_t signals;
};

/* A file whose content is about to change. */
struct undo_file {
    int descriptor;   /* open on it, or -1 */
    const char *path; /* that leads to it, or NULL */
    bool readable;    /* the descriptor is open for reading */
    struct stat status;
};

/* The content of a file up to this size stands in its record. */
#define UNDO_INLINE 65536
/* Up to this size it is saved when the file is opened: cheaper than to look twice. */
#define UNDO_EARLY 4096

int undo_step_begin(struct undo_step *step, const struct undo *undo);
int undo_step_end(struct undo_step *step, int result);

/* How many bytes may still be copied. */
uint64_t undo_step_allowance(const struct undo_step *step);

/* Saves a part of a file under the next number, where it was in the file. */
int undo_step_save_part(struct undo_step *step, const struct undo_source *source);

/* Saves all of its content; `from` is the file, open for reading, or -1. */
int undo_file_save(const struct undo *undo, const struct undo_file *file, int from);

/* The file, open for reading: by its path where that still leads to it. */
int undo_file_open(const struct undo_file *file);

/* As fstat, for one who may keep a journal (or NULL). */
int undo_look_at(struct undo_kept *kept, int file, struct stat *status);

/* Is all of its content recorded? */
bool undo_file_is_recorded(const struct undo *undo, const struct undo_file *file);

/* Records `size` bytes of it at an offset, and its size: `source` has them, or a saved object. */
int undo_file_add(struct undo_step *step, const struct undo_file *file,
                  const struct undo_source *source, uint64_t offset, uint64_t size);

#endif
