/*
 * From calls to what they change. It must never let a change go on that is not in the journal.
 */
#include "shim/undo.h"

#include "shim/lock/kernel.h"
#include "shim/lock/resolve.h"
#include "shim/report.h"
#include "shim/lock/sparse.h"

#include <errno.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>

/* The session in which the file open at a number was saved. */
SPARSE_HUGE static _Atomic uint32_t saved_in[DESCRIPTORS_LIMIT];
SPARSE_HUGE static FILE *_Atomic streams[DESCRIPTORS_LIMIT];

static struct undo journal_of(const struct table *table)
{
    return (struct undo){.lock_path = table->lock->path,
                         .table_path = table->path,
                         .limit = table->lock->undo_limit,
                         .session = undo_lock_session(table->lock),
                         .durable = table->lock->durable};
}

static void judge(struct touch *touch, struct table *table, int result)
{
    if (result == 0 || touch->error != 0)
        return;
    const char *text = "the undo journal can't be written, and nothing is changed without it";
    touch->error = -result;
    if (result == -UNDO_OVER_LIMIT) {
        text = "the undo journal would grow past --undo-limit";
        touch->error = ENOSPC;
    } else if (result != -ENOSPC && result != -EDQUOT && result != -EFBIG && result != -EACCES &&
               result != -EXDEV) {
        text = "the undo journal can't be had, and nothing is changed without it";
        touch->error = ENOLCK;
    }
    report_failure(table, touch->error, text);
}

static void note(struct touch *touch, struct table *table, int result)
{
    if (result == 0)
        undo_lock_noted(table->lock);
    judge(touch, table, result);
}

/* Does a canonical path lie in the table? */
static bool lies_in(const struct table *table, const char *path)
{
    return table != NULL && strncmp(path, table->path, table->length) == 0 &&
           (path[table->length] == '\0' || path[table->length] == '/');
}

/* --- paths --- */

static void save_name(struct touch *touch, const struct place *place, int directory,
                      const char *path, unsigned how)
{
    char canonical[RESOLVE_SIZE];
    struct undo journal = journal_of(place->table);
    if (undo_is_recorded(journal.session, place->key) ||
        !resolve_path(directory, path, false, canonical) || !lies_in(place->table, canonical))
        return;
    note(touch, place->table, undo_save_name(&journal, canonical, how));
}

/* A plain file of one name whose path is recorded: nothing more is to be saved. */
static bool is_saved(uint32_t session, const struct place *place, int directory, const char *path)
{
    struct stat status;
    return undo_is_recorded(session, place->key) &&
           kernel_fstatat(directory, path, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(status.st_mode) && status.st_nlink == 1;
}

static void save_content(struct touch *touch, const struct place *place, int directory,
                         const char *path, bool follow, enum touch_kind kind)
{
    char canonical[RESOLVE_SIZE];
    struct undo journal = journal_of(place->table);
    if (is_saved(journal.session, place, directory, path) ||
        !resolve_path(directory, path, follow, canonical) || !lies_in(place->table, canonical))
        return;
    int result = kind == TOUCH_CREATE ? undo_save_name(&journal, canonical, UNDO_MAKES)
                                      : undo_save_content(&journal, canonical, true);
    note(touch, place->table, result);
}

void undo_path(struct touch *touch, const struct place *place, int directory, const char *path,
               bool follow, enum touch_kind kind)
{
    if (kind < TOUCH_NAME || touch->error != 0)
        return;
    if (kind == TOUCH_NAME)
        save_name(touch, place, directory, path, UNDO_MAKES);
    else if (kind == TOUCH_REMOVE && !follow)
        save_name(touch, place, directory, path, UNDO_REMOVES);
    else
        save_content(touch, place, directory, path, follow, kind);
}

/* --- renaming --- */

static bool is_directory(const struct undo_name *name)
{
    struct stat status;
    return kernel_fstatat(name->directory, name->path, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(status.st_mode);
}

/* In the journal of whichever side is a table's; of two tables' with two locks, in both. */
static void save_move(struct touch *touch, const struct undo_name *from, const struct undo_name *to)
{
    char path[RESOLVE_SIZE], other[RESOLVE_SIZE];
    struct table *table = to->place->table != NULL ? to->place->table : from->place->table;
    struct table *second = from->place->table;
    if (!resolve_path(from->directory, from->path, false, path) ||
        !resolve_path(to->directory, to->path, false, other))
        return;
    if (undo_guards(table)) {
        struct undo journal = journal_of(table);
        note(touch, table, undo_save_move(&journal, path, other));
        undo_lock_moved(table->lock);
    }
    if (touch->error == 0 && second != NULL && second->lock != table->lock && undo_guards(second)) {
        struct undo journal = journal_of(second);
        note(touch, second, undo_save_move(&journal, path, other));
        undo_lock_moved(second->lock);
    }
}

static void save_side(struct touch *touch, const struct undo_name *name,
                      const struct undo_name *other, unsigned how)
{
    const struct table *beyond = other->place->table;
    if (name->place->table == NULL || !undo_guards(name->place->table) || touch->error != 0)
        return;
    if ((how & UNDO_REMOVES) != 0 && (beyond == NULL || beyond->lock != name->place->table->lock))
        how |= UNDO_COPY;
    save_name(touch, name->place, name->directory, name->path, how);
}

static void save_rename(struct touch *touch, const struct undo_name *from,
                        const struct undo_name *to)
{
    bool exchange = from->kind == TOUCH_REPLACE;
    bool moves = is_directory(from) || (exchange && is_directory(to));
    if (moves && exchange) {
        touch->error = EINVAL; /* as on a file system that can't: its undoing could not be told */
        report_failure(from->place->table != NULL ? from->place->table : to->place->table, EINVAL,
                       "an exchange of directories could not be undone, and is not done");
        return;
    }
    if (!moves)
        save_side(touch, from, to, UNDO_REMOVES);
    save_side(touch, to, from, exchange ? UNDO_REMOVES : UNDO_REMOVES | UNDO_MAKES);
    bool comes_in = from->place->table == NULL && to->place->table != NULL;
    if ((moves || comes_in) && touch->error == 0)
        save_move(touch, from, to);
}

void undo_two_paths(struct touch *touch, const struct undo_name *name,
                    const struct undo_name *other)
{
    if (touch->error != 0)
        return;
    if (other->kind != TOUCH_NAME)
        save_rename(touch, name, other);
    else
        save_side(touch, other, name, UNDO_MAKES);
}

/* --- descriptors --- */

/* The path by which the open file is still to be found. */
static bool find_path(int descriptor, char path[static RESOLVE_SIZE])
{
    struct stat named, open;
    return resolve_descriptor(descriptor, path) && kernel_fstat(descriptor, &open) == 0 &&
           kernel_fstatat(AT_FDCWD, path, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           named.st_ino == open.st_ino && named.st_dev == open.st_dev;
}

void undo_descriptor(struct touch *touch, struct table *table, int descriptor)
{
    char path[RESOLVE_SIZE];
    if (touch->error != 0 || (unsigned)descriptor >= DESCRIPTORS_LIMIT)
        return;
    struct undo journal = journal_of(table);
    if (journal.session != 0 && atomic_load(&saved_in[descriptor]) == journal.session)
        return;
    bool found = find_path(descriptor, path);
    if (found && !lies_in(table, path)) { /* it has been moved, to another table perhaps */
        table = tables_find_descriptor(descriptor).table;
        if (table == NULL || !undo_guards(table))
            return;
        journal = journal_of(table);
    }
    note(touch, table, undo_save_open(&journal, descriptor, found ? path : NULL));
    if (touch->error == 0 && journal.session != 0)
        atomic_store(&saved_in[descriptor], journal.session);
}

void undo_opened(const struct table *table, int descriptor, bool saved)
{
    if ((unsigned)descriptor < DESCRIPTORS_LIMIT)
        atomic_store(&saved_in[descriptor], saved ? undo_lock_session(table->lock) : 0);
}

void undo_duplicated(int descriptor, int copy)
{
    if ((unsigned)descriptor < DESCRIPTORS_LIMIT && (unsigned)copy < DESCRIPTORS_LIMIT)
        atomic_store(&saved_in[copy], atomic_load(&saved_in[descriptor]));
}

/* --- streams --- */

void undo_stream(int descriptor, FILE *stream)
{
    if ((unsigned)descriptor < DESCRIPTORS_LIMIT)
        atomic_store(&streams[descriptor], stream);
}

/* One that another thread is at work with is left to libc. */
static void flush(FILE *stream)
{
    if (stream == NULL || ftrylockfile(stream) != 0)
        return;
    if (__fpending(stream) > 0)
        (void)fflush_unlocked(stream);
    funlockfile(stream);
}

void undo_flush_streams(void)
{
    for (int at = descriptor_next(0); at >= 0; at = descriptor_next(at + 1)) {
        uint32_t word = descriptor_word(at);
        if ((word & DESCRIPTOR_WRITABLE) == 0 || (word & DESCRIPTOR_TABLE) == 0 ||
            !undo_guards(tables_get(descriptor_table(word))))
            continue;
        flush(atomic_load(&streams[at]));
        if (fileno(stdout) == at)
            flush(stdout);
        if (fileno(stderr) == at)
            flush(stderr);
    }
}
