/*
 * Before a change: saving what is about to be changed. It must never return 0 for a change that
 * could not be undone.
 */
#include "shim/lock/undo_journal.h"
#include "shim/lock/undo_memory.h"

#include "shim/lock/process.h"

#include <errno.h>
#include <string.h>

/* One step: the journal open, signals blocked. */
struct step {
    const struct undo *undo;
    struct undo_journal journal;
    struct undo_record record;
    uint64_t signals;
};

#define FILE_SIZE_SIGNAL (1ull << (SIGXFSZ - 1))

static int begin(struct step *step, const struct undo *undo)
{
    step->undo = undo;
    step->record = (struct undo_record){.kind = 0};
    step->signals = undo_block_signals();
    int result = undo_journal_open(&step->journal, undo->lock_path, undo->table_path, true);
    if (result != 0)
        undo_restore_signals(step->signals);
    return result;
}

/* The program is not to die of a limit on file sizes that our own file has run into. */
static int end(struct step *step, int result)
{
    uint64_t set = FILE_SIZE_SIGNAL;
    undo_journal_close(&step->journal);
    if (result == -EFBIG && (step->signals & set) == 0)
        (void)kernel_take_signal(&set);
    undo_restore_signals(step->signals);
    return result;
}

/* The times of the directory, unless it is the one that the table itself lies in. */
static void note_parent(struct step *step, const char *path)
{
    char directory[UNDO_PATH_SIZE];
    struct stat status;
    struct undo_record *record = &step->record;
    size_t table = strlen(step->undo->table_path);
    if (strncmp(path, step->undo->table_path, table) != 0 || path[table] != '/')
        return;
    const char *slash = strrchr(path, '/');
    size_t length = slash > path ? (size_t)(slash - path) : 1;
    if (length >= sizeof directory)
        return;
    memcpy(directory, path, length);
    directory[length] = '\0';
    if (kernel_fstatat(AT_FDCWD, directory, &status, 0) != 0)
        return;
    record->parent_times[0] = status.st_atim;
    record->parent_times[1] = status.st_mtim;
}

static int add(struct step *step, enum undo_kind kind, const char *path, const char *other)
{
    struct undo_record *record = &step->record;
    record->kind = (uint16_t)kind;
    note_parent(step, path);
    int result = undo_journal_add(&step->journal, step->undo, record, path, other);
    if (result != 0 && record->number != 0) {
        char name[16];
        undo_number(name, record->number);
        undo_clear_number(step->journal.directory, name);
    }
    return result;
}

static void name_object(struct step *step, const struct stat *status)
{
    step->record.device = status->st_dev;
    step->record.inode = status->st_ino;
    step->record.mode = status->st_mode;
}

/* --- copies --- */

static uint64_t allowance(const struct step *step)
{
    uint64_t used = step->journal.head.used, limit = step->undo->limit;
    return used < limit ? limit - used : 0;
}

/* Saves a copy of the file open as `from`, under the next number. */
static int copy_object(struct step *step, int from, const struct stat *status, bool *exact)
{
    char name[16];
    struct undo_copy copy = {.allowance = allowance(step), .durable = step->undo->durable};
    uint32_t number = step->journal.head.next;
    int result =
        undo_copy_file(from, status, step->journal.directory, undo_number(name, number), &copy);
    if (result != 0)
        return result;
    step->record.number = number;
    step->record.bytes = copy.bytes;
    *exact = copy.exact;
    return 0;
}

static int open_source(int descriptor, const char *path)
{
    char own[64];
    if (descriptor >= 0)
        return undo_open_to_read(AT_FDCWD, process_own_descriptor(own, descriptor), 0);
    return undo_open_to_read(AT_FDCWD, path, O_NOFOLLOW);
}

/* --- content --- */

/* The number of the saved object that is a link to this file, or 0. */
static uint32_t find_saved_link(const struct step *step, const struct stat *status)
{
    char path[UNDO_PATH_SIZE], other[UNDO_PATH_SIZE];
    struct undo_record record;
    uint64_t at = step->journal.head.length;
    while (undo_journal_last(&step->journal, &at, &record, path, other)) {
        if ((record.flags & UNDO_RECORD_LINKED) != 0 && record.inode == status->st_ino &&
            record.device == status->st_dev)
            return record.number;
    }
    return 0;
}

/* A link in the journal by which a file without a known name is found again. */
static uint32_t make_handle(struct step *step, int descriptor)
{
    char own[64], name[16];
    uint32_t number = step->journal.head.next;
    undo_number(name, number);
    undo_clear_number(step->journal.directory, name);
    if (kernel_linkat(AT_FDCWD, process_own_descriptor(own, descriptor), step->journal.directory,
                      name, AT_SYMLINK_FOLLOW) != 0)
        return 0;
    step->journal.head.next++;
    return number;
}

/*
 * A file with other names as well, some perhaps in the journal: its content is put back where it
 * is, so that all of them have it.
 */
static int save_shared(struct step *step, int descriptor, const char *path,
                       const struct stat *status)
{
    bool exact;
    uint32_t handle = find_saved_link(step, status);
    if (handle == 0 && path == NULL) {
        handle = make_handle(step, descriptor);
        if (handle == 0)
            return -EXDEV;
    }
    int from = open_source(descriptor, path);
    if (from < 0)
        return from;
    int result = copy_object(step, from, status, &exact);
    (void)kernel_close(from);
    if (result != 0)
        return result;
    name_object(step, status);
    step->record.handle = handle;
    result = add(step, UNDO_CONTENT, path != NULL ? path : step->undo->table_path, NULL);
    if (result == 0)
        undo_remember(step->undo->session, undo_inode_key(status));
    return result;
}

/* A file with one name. A copy that can't have all of its metadata is put back where it is, too. */
static int save_single(struct step *step, int descriptor, const char *path,
                       const struct stat *status)
{
    bool exact;
    int from = open_source(descriptor, path);
    if (from < 0)
        return from;
    int result = copy_object(step, from, status, &exact);
    (void)kernel_close(from);
    if (result != 0)
        return result;
    name_object(step, status);
    result = add(step, exact ? UNDO_SAVED : UNDO_CONTENT, path, NULL);
    if (result == 0)
        undo_remember(step->undo->session, exact ? undo_key(path) : undo_inode_key(status));
    return result;
}

static int save_file(const struct undo *undo, int descriptor, const char *path,
                     const struct stat *status)
{
    struct step step;
    bool single = path != NULL && status->st_nlink == 1;
    if (undo_is_recorded(undo->session, undo_inode_key(status)) ||
        (single && undo_is_recorded(undo->session, undo_key(path))))
        return 0;
    int result = begin(&step, undo);
    if (result != 0)
        return result;
    result = single ? save_single(&step, descriptor, path, status)
                    : save_shared(&step, descriptor, path, status);
    return end(&step, result);
}

int undo_save_content(const struct undo *undo, const char *path, bool creates)
{
    struct stat status;
    int result = kernel_fstatat(AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW);
    if (result == -ENOENT && creates)
        return undo_save_name(undo, path, UNDO_MAKES);
    if (result != 0 || !S_ISREG(status.st_mode))
        return 0; /* the call will fail, or has no content to change */
    return save_file(undo, -1, path, &status);
}

int undo_save_open(const struct undo *undo, int descriptor, const char *path)
{
    struct stat status;
    if (kernel_fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode) || status.st_nlink == 0)
        return 0;
    return save_file(undo, descriptor, path, &status);
}

/* --- names --- */

static int save_absent(const struct undo *undo, const char *path)
{
    struct step step;
    int result = begin(&step, undo);
    if (result != 0)
        return result;
    result = add(&step, UNDO_ABSENT, path, NULL);
    if (result == 0)
        undo_remember(undo->session, undo_key(path));
    return end(&step, result);
}

static int copy_instead(struct step *step, const char *path, const struct stat *status,
                        const char *name)
{
    bool exact;
    if (!S_ISREG(status->st_mode)) {
        step->record.number = step->journal.head.next;
        return undo_copy_other(AT_FDCWD, path, status, step->journal.directory, name);
    }
    int from = open_source(-1, path);
    if (from < 0)
        return from;
    int result = copy_object(step, from, status, &exact);
    (void)kernel_close(from);
    return result;
}

static int keep_object(struct step *step, const char *path, const struct stat *status, bool copy)
{
    char name[16];
    undo_number(name, step->journal.head.next);
    if (copy || S_ISDIR(status->st_mode))
        return copy_instead(step, path, status, name);
    int result = kernel_linkat(AT_FDCWD, path, step->journal.directory, name, 0);
    if (result == -EEXIST) { /* of one who died before it was recorded */
        undo_clear_number(step->journal.directory, name);
        result = kernel_linkat(AT_FDCWD, path, step->journal.directory, name, 0);
    }
    if (result == 0) {
        step->record.number = step->journal.head.next;
        step->record.flags |= UNDO_RECORD_LINKED;
        return 0;
    }
    if (result == -ENOSPC || result == -EDQUOT)
        return result;
    return copy_instead(step, path, status, name);
}

static int save_present(const struct undo *undo, const char *path, const struct stat *status,
                        bool copy)
{
    struct step step;
    int result = begin(&step, undo);
    if (result != 0)
        return result;
    result = keep_object(&step, path, status, copy);
    name_object(&step, status);
    if (result == 0)
        result = add(&step, S_ISDIR(status->st_mode) ? UNDO_DIRECTORY : UNDO_SAVED, path, NULL);
    if (result == 0)
        undo_remember(undo->session, undo_key(path));
    return end(&step, result);
}

int undo_save_name(const struct undo *undo, const char *path, unsigned how)
{
    struct stat status;
    if (undo_is_recorded(undo->session, undo_key(path)))
        return 0;
    int result = kernel_fstatat(AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW);
    if (result == -ENOENT)
        return (how & UNDO_MAKES) != 0 ? save_absent(undo, path) : 0;
    if (result != 0 || (how & UNDO_REMOVES) == 0)
        return 0; /* the call will fail */
    return save_present(undo, path, &status, (how & UNDO_COPY) != 0);
}

int undo_save_move(const struct undo *undo, const char *from, const char *to)
{
    struct step step;
    struct stat status;
    if (kernel_fstatat(AT_FDCWD, from, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return 0; /* the call will fail */
    int result = begin(&step, undo);
    if (result != 0)
        return result;
    name_object(&step, &status);
    return end(&step, add(&step, UNDO_MOVED, from, to));
}
