/*
 * From calls to what they change. It must never let a change go on that is not in the journal.
 */
#include "shim/undo.h"

#include "shim/lock/command_member.h"
#include "shim/lock/kernel_files.h"
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
                         .durable = table->lock->durable,
                         .joined = table->lock->entry == NULL,
                         .kept = undo_lock_kept(table->lock)};
}

/* --- refusals --- */

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

/*
 * A file was cut off, replaced or removed between our look at it and the saving: by another thread,
 * or another member, which had recorded that before. It is looked at once more.
 */
static bool has_slipped(int result, int *attempts)
{
    enum { ATTEMPTS = 16 };
    return (result == -EIO || result == -ENOENT || result == -ESTALE) && ++*attempts < ATTEMPTS;
}

/* Does a canonical path lie in the table? */
static bool lies_in(const struct table *table, const char *path)
{
    return table != NULL && strncmp(path, table->path, table->length) == 0 &&
           (path[table->length] == '\0' || path[table->length] == '/');
}

/* --- paths --- */

/*
 * The canonical paths of late, by their keys: a program changes the same few files again and again.
 * A text is believed when its own key is the one asked for.
 */
enum { PATHS = 16, PATH_BYTES = 1024 };
SPARSE static struct {
    _Atomic uint32_t busy;
    char text[PATH_BYTES];
} paths[PATHS];

static bool path_of_late(uint64_t key, char path[static RESOLVE_SIZE])
{
    bool found = false;
    if (atomic_exchange(&paths[key / 2 % PATHS].busy, 1) != 0)
        return false;
    const char *text = paths[key / 2 % PATHS].text;
    if (*text != '\0' && undo_key(text) == key) {
        memcpy(path, text, strlen(text) + 1);
        found = true;
    }
    atomic_store(&paths[key / 2 % PATHS].busy, 0);
    return found;
}

static void remember_path(uint64_t key, const char *path)
{
    size_t size = strlen(path) + 1;
    if (size > PATH_BYTES || undo_key(path) != key || !touch_is_own_process() ||
        atomic_exchange(&paths[key / 2 % PATHS].busy, 1) != 0)
        return;
    memcpy(paths[key / 2 % PATHS].text, path, size);
    atomic_store(&paths[key / 2 % PATHS].busy, 0);
}

static bool find_canonical(const struct place *place, int directory, const char *path, bool follow,
                           char canonical[static RESOLVE_SIZE])
{
    if (path_of_late(place->key, canonical))
        return lies_in(place->table, canonical);
    if (!resolve_path(directory, path, follow, canonical) || !lies_in(place->table, canonical))
        return false;
    remember_path(place->key, canonical);
    return true;
}

static void save_name(struct touch *touch, const struct place *place, int directory,
                      const char *path, unsigned how)
{
    char canonical[RESOLVE_SIZE];
    struct undo journal = journal_of(place->table);
    if (undo_is_recorded(journal.session, place->key) ||
        !find_canonical(place, directory, path, false, canonical))
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

static int save_file(struct touch *touch, const struct undo *journal, const char *canonical,
                     enum touch_kind kind)
{
    int result, attempts = 0;
    do {
        if (touch->cut > 0)
            result = undo_save_cut(journal, canonical, touch->cut);
        else if (kind == TOUCH_CREATE)
            result = undo_save_early(journal, canonical, &touch->saved);
        else
            result = undo_save_content(journal, canonical, true);
    } while (has_slipped(result, &attempts));
    return result;
}

static void save_content(struct touch *touch, const struct place *place, int directory,
                         const char *path, bool follow, enum touch_kind kind)
{
    char canonical[RESOLVE_SIZE];
    struct undo journal = journal_of(place->table);
    if (is_saved(journal.session, place, directory, path) ||
        !find_canonical(place, directory, path, follow, canonical))
        return;
    int result = save_file(touch, &journal, canonical, kind);
    if (result == -ELOOP && follow) { /* a link by now; what it leads to */
        if (!resolve_path(directory, path, true, canonical) || !lies_in(place->table, canonical))
            return;
        result = save_file(touch, &journal, canonical, kind);
    }
    if (result == UNDO_IS_NO_FILE)
        undo_end_turn(touch);
    note(touch, place->table, result == -ELOOP || result == UNDO_IS_NO_FILE ? 0 : result);
}

void undo_path(struct touch *touch, const struct place *place, int directory, const char *path,
               bool follow, enum touch_kind kind)
{
    if (kind < TOUCH_NAME || touch->error != 0)
        return;
    undo_begin_turn(touch, place->table);
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
    if (table == NULL || !resolve_path(from->directory, from->path, false, path) ||
        !resolve_path(to->directory, to->path, false, other))
        return;
    if (table != NULL && undo_guards(table)) {
        struct undo journal = journal_of(table);
        note(touch, table, undo_save_move(&journal, path, other));
        undo_lock_moved(table->lock);
    }
    if (touch->error == 0 && second != NULL && table != NULL && second->lock != table->lock &&
        undo_guards(second)) {
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
    undo_begin_turn(touch, name->place->table != NULL ? name->place->table : other->place->table);
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

/* Found by the path of late, if that still leads to it. */
static bool find_path_of(int descriptor, char path[static RESOLVE_SIZE])
{
    struct stat named, open;
    uint64_t key = descriptor_key(descriptor);
    if (path_of_late(key, path) && kernel_fstat_timeless(descriptor, &open) == 0 &&
        kernel_fstatat_timeless(AT_FDCWD, path, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
        named.st_ino == open.st_ino && named.st_dev == open.st_dev)
        return true;
    if (!find_path(descriptor, path))
        return false;
    remember_path(key, path);
    return true;
}

/* --- ranges --- */

/* undo_processes_made when this descriptor was opened here; 0: it was not. */
SPARSE_HUGE static _Atomic uint32_t opened_after[DESCRIPTORS_LIMIT];
/* Of the file that is recorded in parts, as in undo_save_part(). */
SPARSE_HUGE static _Atomic uint64_t inode_keys[DESCRIPTORS_LIMIT];

#ifdef __GLIBC__
extern char __libc_single_threaded __attribute__((weak));
#endif

/* Can nobody else move where this descriptor stands, between our look and the call? */
static bool stands_still(int descriptor)
{
#ifdef __GLIBC__
    return &__libc_single_threaded != NULL && __libc_single_threaded != 0 &&
           atomic_load(&opened_after[descriptor]) == atomic_load(&undo_processes_made);
#else
    (void)descriptor;
    return false;
#endif
}

static bool read_memory(const void *from, void *to, size_t size)
{
    struct iovec ours = {to, size}, theirs = {(void *)(uintptr_t)from, size};
    return KERNEL_CALL(SYS_process_vm_readv, kernel_getpid(), &ours, 1, &theirs, 1, 0) ==
           (long)size;
}

static uint64_t size_of_vector(const struct iovec *vector, uint64_t count)
{
    struct iovec parts[16];
    uint64_t size = 0;
    while (count > 0) {
        uint64_t piece = count < 16 ? count : 16;
        if (!read_memory(vector, parts, (size_t)piece * sizeof *parts))
            return TOUCH_TO_END;
        for (uint64_t i = 0; i < piece; i++) {
            if (parts[i].iov_len > INT64_MAX - size)
                return TOUCH_TO_END;
            size += parts[i].iov_len;
        }
        vector += piece;
        count -= piece;
    }
    return size;
}

/* Where the call will change the file. False: it can't be told. */
static bool find_range(int descriptor, int flags, const struct touch_range *range, uint64_t *offset,
                       uint64_t *size)
{
    int64_t at = range->offset;
    *size = range->vector != NULL ? size_of_vector(range->vector, range->size) : range->size;
    if (range->offset_at != NULL && !read_memory(range->offset_at, &at, sizeof at))
        return false;
    if (range->offset_at != NULL && at < 0)
        return false;
    /* All writing is at the end then, whatever offset is given; but not cutting off. */
    if (at == TOUCH_AT_END || ((flags & O_APPEND) != 0 && *size != TOUCH_TO_END)) {
        *offset = UNDO_AT_END;
        return true;
    }
    if (at == TOUCH_AT_POSITION) {
        if (!stands_still(descriptor))
            return false;
        at = kernel_lseek(descriptor, 0, SEEK_CUR);
    }
    *offset = (uint64_t)at;
    return at >= 0;
}

/* True: what is about to change is recorded, or the touch is refused. */
static bool save_range(struct touch *touch, struct table *table, const struct undo *journal,
                       int descriptor, const struct touch_range *range)
{
    char path[RESOLVE_SIZE];
    uint64_t offset, size, key;
    int flags = kernel_fcntl(descriptor, F_GETFL, 0);
    if (flags < 0 || !find_range(descriptor, flags, range, &offset, &size))
        return false;
    if (undo_part_is_recorded(journal->session, atomic_load(&inode_keys[descriptor]), offset, size))
        return true;
    bool found = find_path_of(descriptor, path);
    if (found && !lies_in(table, path))
        return false;
    struct undo_open_file file = {.descriptor = descriptor,
                                  .path = found ? path : NULL,
                                  .readable = (flags & O_ACCMODE) == O_RDWR};
    int result, attempts = 0;
    do
        result = undo_save_part(journal, &file, offset, size, &key);
    while (has_slipped(result, &attempts));
    note(touch, table, result > 0 ? 0 : result);
    table->lock->undo_kept.last_changed = true; /* by the call that follows */
    if (touch->error == 0 && journal->session != 0) {
        atomic_store(&inode_keys[descriptor], key);
        if (result == UNDO_IS_WHOLE)
            atomic_store(&saved_in[descriptor], journal->session);
    }
    return true;
}

static void save_descriptor(struct touch *touch, struct table *table, int descriptor,
                            const struct touch_range *range)
{
    char path[RESOLVE_SIZE];
    struct undo journal = journal_of(table);
    if (range != NULL && save_range(touch, table, &journal, descriptor, range))
        return;
    bool found = find_path_of(descriptor, path);
    if (found && !lies_in(table, path)) { /* it has been moved, to another table perhaps */
        table = tables_find_descriptor(descriptor).table;
        if (table == NULL || !undo_guards(table))
            return;
        journal = journal_of(table);
    }
    int result, attempts = 0;
    do
        result = undo_save_open(&journal, descriptor, found ? path : NULL);
    while (has_slipped(result, &attempts));
    note(touch, table, result);
    if (touch->error == 0 && journal.session != 0)
        atomic_store(&saved_in[descriptor], journal.session);
}

void undo_descriptor(struct touch *touch, struct table *table, int descriptor,
                     const struct touch_range *range)
{
    if (touch->error != 0 || (unsigned)descriptor >= DESCRIPTORS_LIMIT)
        return;
    uint32_t session = undo_lock_session(table->lock);
    if (session != 0 && atomic_load(&saved_in[descriptor]) == session) {
        table->lock->undo_kept.last_changed = true;
        return;
    }
    bool in_turn = touch->turn != NO_TURN;
    undo_begin_turn(touch, table);
    save_descriptor(touch, table, descriptor, range);
    if (!in_turn) /* the call may wait for what it is to write */
        undo_end_turn(touch);
}

static void note_opened(int descriptor, uint32_t session, uint32_t processes)
{
    if ((unsigned)descriptor >= DESCRIPTORS_LIMIT)
        return;
    atomic_store(&saved_in[descriptor], session);
    atomic_store(&opened_after[descriptor], processes);
    atomic_store(&inode_keys[descriptor], 0);
}

void undo_opened(const struct table *table, int descriptor, bool saved)
{
    note_opened(descriptor, saved ? undo_lock_session(table->lock) : 0,
                atomic_load(&undo_processes_made));
}

void undo_received(int descriptor)
{
    note_opened(descriptor, 0, 0);
}

void undo_duplicated(int descriptor, int copy)
{
    if ((unsigned)descriptor >= DESCRIPTORS_LIMIT || (unsigned)copy >= DESCRIPTORS_LIMIT)
        return;
    atomic_store(&saved_in[copy], atomic_load(&saved_in[descriptor]));
    atomic_store(&opened_after[copy], atomic_load(&opened_after[descriptor]));
    atomic_store(&inode_keys[copy], atomic_load(&inode_keys[descriptor]));
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
