/*
 * Before a change: saving what is about to be changed. It must never return 0 for a change that
 * could not be undone.
 */
#include "shim/lock/undo_memory.h"
#include "shim/lock/undo_step.h"

#include "shim/lock/process.h"

#include <errno.h>
#include <string.h>

#define FILE_SIZE_SIGNAL (1ull << (SIGXFSZ - 1))

/*
 * The owner's own journal is worked on as it stands; a signal handler that comes in between takes
 * the other stream. Below the record lock no handler may come: it would wait for itself.
 */
int undo_step_begin(struct undo_step *step, const struct undo *undo)
{
    step->undo = undo;
    step->record = (struct undo_record){.kind = 0};
    step->blocked = false;
    if (undo->kept != NULL && undo_kept_begin(&step->journal, undo)) {
        if (undo->kept->limited) {
            step->signals = undo_block_signals();
            step->blocked = true;
        }
        return 0;
    }
    step->signals = undo_block_signals();
    step->blocked = true;
    int result = undo_journal_open(&step->journal, undo->lock_path, undo->table_path,
                                   undo->joined ? UNDO_JOINED : UNDO_MAIN, true);
    if (result != 0)
        undo_restore_signals(step->signals);
    return result;
}

/* The program is not to die of a limit on file sizes that our own file has run into. */
int undo_step_end(struct undo_step *step, int result)
{
    uint64_t set = FILE_SIZE_SIGNAL;
    if (step->journal.kept != NULL)
        undo_kept_end(&step->journal);
    else
        undo_journal_close(&step->journal);
    if (!step->blocked)
        return result;
    if (result == -EFBIG && (step->signals & set) == 0)
        (void)kernel_take_signal(&set);
    undo_restore_signals(step->signals);
    return result;
}

/* The times of the directory, unless it is the one that the table itself lies in. */
static void note_parent(struct undo_step *step, const char *path)
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
    record->times[0] = kernel_time_of(status.st_atim);
    record->times[1] = kernel_time_of(status.st_mtim);
}

static int add_record(struct undo_step *step, enum undo_kind kind, const char *path,
                      const char *other, const struct undo_source *source)
{
    struct undo_record *record = &step->record;
    record->kind = (uint16_t)kind;
    int result = undo_stream_add(&step->journal, step->undo, record, path, other, source);
    if (result != 0 && record->number != 0) {
        char name[16];
        undo_number(name, step->journal.stream, record->number);
        undo_clear_number(step->journal.directory, name);
    }
    return result;
}

static int add(struct undo_step *step, enum undo_kind kind, const char *path, const char *other)
{
    note_parent(step, path);
    return add_record(step, kind, path, other, NULL);
}

/* What is to be saved as a file of its own gets this number. */
static int next_number(struct undo_step *step, uint32_t *number, char name[static 16])
{
    *number = step->journal.streams[step->journal.stream].next;
    undo_number(name, step->journal.stream, *number);
    return undo_journal_hide(&step->journal);
}

static void name_object(struct undo_step *step, const struct stat *status)
{
    step->record.device = status->st_dev;
    step->record.inode = status->st_ino;
    step->record.mode = status->st_mode;
    step->record.user = status->st_uid;
    step->record.group = status->st_gid;
}

/* Of a file that is put back where it is: its own times. */
static void name_file(struct undo_step *step, const struct stat *status)
{
    name_object(step, status);
    step->record.size = (uint64_t)status->st_size;
    step->record.times[0] = kernel_time_of(status->st_atim);
    step->record.times[1] = kernel_time_of(status->st_mtim);
}

/* --- copies --- */

uint64_t undo_step_allowance(const struct undo_step *step)
{
    uint64_t used = step->journal.streams[step->journal.stream].used, limit = step->undo->limit;
    return used < limit ? limit - used : 0;
}

/* Saves a copy of the file open as `from`, under the next number. */
static int copy_object(struct undo_step *step, int from, const struct stat *status, bool *exact)
{
    char name[16];
    struct undo_copy copy = {.allowance = undo_step_allowance(step),
                             .durable = step->undo->durable};
    uint32_t number;
    int result = next_number(step, &number, name);
    if (result == 0)
        result = undo_copy_file(from, status, step->journal.directory, name, &copy);
    if (result != 0)
        return result;
    step->record.number = number;
    step->record.bytes = copy.bytes;
    *exact = copy.exact;
    return 0;
}

int undo_step_save_part(struct undo_step *step, const struct undo_source *source)
{
    char name[16];
    uint32_t number;
    int result = next_number(step, &number, name);
    if (result == 0)
        result = undo_copy_range(source, step->journal.directory, name, step->undo->durable);
    if (result == 0)
        step->record.number = number;
    return result;
}

/* --- content --- */

/* The number of the saved object that is a link to this file, or 0. */
static uint32_t find_saved_link(const struct undo_step *step, const struct stat *status)
{
    struct undo_entry entry;
    uint64_t ends[UNDO_STREAMS];
    undo_stream_ends(&step->journal, ends);
    ends[1 - step->journal.stream] = 0;
    while (undo_stream_last(&step->journal, ends, &entry)) {
        if ((entry.record.flags & UNDO_RECORD_LINKED) != 0 &&
            entry.record.inode == status->st_ino && entry.record.device == status->st_dev)
            return entry.record.number;
    }
    return 0;
}

/* A link in the journal by which a file without a known name is found again. */
static uint32_t make_handle(struct undo_step *step, int descriptor)
{
    char own[64], name[16];
    uint32_t number;
    if (next_number(step, &number, name) != 0)
        return 0;
    undo_clear_number(step->journal.directory, name);
    if (kernel_linkat(AT_FDCWD, process_own_descriptor(own, descriptor), step->journal.directory,
                      name, AT_SYMLINK_FOLLOW) != 0)
        return 0;
    step->journal.streams[step->journal.stream].next++;
    return number;
}

/*
 * A file with other names as well, some perhaps in the journal, is put back where it is, so that
 * all of them have it: how it will be found.
 */
static int find_again(struct undo_step *step, const struct undo_file *file)
{
    if (file->path != NULL && file->status.st_nlink == 1)
        return 0;
    uint32_t handle = find_saved_link(step, &file->status);
    if (handle == 0 && file->path == NULL) {
        handle = make_handle(step, file->descriptor);
        if (handle == 0)
            return -EXDEV;
    }
    step->record.handle = handle;
    step->record.flags |= UNDO_RECORD_SHARED;
    return 0;
}

int undo_file_open(const struct undo_file *file)
{
    struct stat status;
    if (file->path != NULL) {
        int from = undo_open_to_read(AT_FDCWD, file->path, O_NOFOLLOW);
        if (from >= 0 && kernel_fstat_timeless(from, &status) == 0 &&
            status.st_ino == file->status.st_ino && status.st_dev == file->status.st_dev)
            return from;
        if (from >= 0)
            (void)kernel_close(from);
        if (file->descriptor < 0)
            return from < 0 ? from : -ESTALE;
    }
    char own[64];
    return undo_open_to_read(AT_FDCWD, process_own_descriptor(own, file->descriptor), 0);
}

int undo_file_add(struct undo_step *step, const struct undo_file *file,
                  const struct undo_source *source, uint64_t offset, uint64_t size)
{
    int result = find_again(step, file);
    if (result != 0)
        return result;
    name_file(step, &file->status);
    step->record.offset = offset;
    step->record.bytes = size;
    return add_record(step, UNDO_PART, file->path != NULL ? file->path : step->undo->table_path,
                      NULL, source);
}

/* Small enough to stand in the record itself; no right or hole would be lost by a write. */
static bool is_plain(const struct stat *status)
{
    return (status->st_mode & 06111) == 0 && status->st_size <= UNDO_INLINE &&
           status->st_blocks * 512 >= status->st_size;
}

static int save_plain(struct undo_step *step, const struct undo_file *file, int from)
{
    uint64_t size = (uint64_t)file->status.st_size;
    struct undo_source source = {.file = from, .size = size};
    if (size > undo_step_allowance(step))
        return -UNDO_OVER_LIMIT;
    int result = undo_file_add(step, file, &source, 0, size);
    if (result == 0)
        undo_remember(step->undo->session, undo_inode_key(&file->status));
    return result;
}

/* A copy that can't have all of its metadata is put back where the file is, too. */
static int save_copy(struct undo_step *step, const struct undo_file *file, int from)
{
    bool exact = false;
    bool single = file->path != NULL && file->status.st_nlink == 1;
    int result = find_again(step, file);
    if (result == 0)
        result = copy_object(step, from, &file->status, &exact);
    if (result != 0)
        return result;
    name_object(step, &file->status);
    exact = exact && single;
    result = add(step, exact ? UNDO_SAVED : UNDO_CONTENT,
                 file->path != NULL ? file->path : step->undo->table_path, NULL);
    if (result == 0)
        undo_remember(step->undo->session,
                      exact ? undo_key(file->path) : undo_inode_key(&file->status));
    return result;
}

bool undo_file_is_recorded(const struct undo *undo, const struct undo_file *file)
{
    return undo_is_recorded(undo->session, undo_inode_key(&file->status)) ||
           (file->path != NULL && file->status.st_nlink == 1 &&
            undo_is_recorded(undo->session, undo_key(file->path)));
}

int undo_file_save(const struct undo *undo, const struct undo_file *file, int from)
{
    struct undo_step step;
    if (undo_file_is_recorded(undo, file))
        return 0;
    int result = undo_step_begin(&step, undo);
    if (result != 0)
        return result;
    if (from < 0 && file->readable && is_plain(&file->status))
        from = file->descriptor;
    int opened = from < 0 ? undo_file_open(file) : -1;
    if (from < 0)
        from = opened;
    if (from < 0)
        result = from;
    else
        result =
            is_plain(&file->status) ? save_plain(&step, file, from) : save_copy(&step, file, from);
    if (opened >= 0)
        (void)kernel_close(opened);
    return undo_step_end(&step, result);
}

int undo_save_content(const struct undo *undo, const char *path, bool creates)
{
    struct undo_file file = {.descriptor = -1, .path = path};
    int result = kernel_fstatat(AT_FDCWD, path, &file.status, AT_SYMLINK_NOFOLLOW);
    if (result == -ENOENT && creates)
        return undo_save_name(undo, path, UNDO_MAKES);
    if (result == 0 && S_ISLNK(file.status.st_mode))
        return -ELOOP;
    if (result != 0)
        return 0; /* the call will fail */
    return S_ISREG(file.status.st_mode) ? undo_file_save(undo, &file, -1) : UNDO_IS_NO_FILE;
}

int undo_save_open(const struct undo *undo, int descriptor, const char *path)
{
    struct undo_file file = {.descriptor = descriptor, .path = path};
    if (kernel_fstat(descriptor, &file.status) != 0 || !S_ISREG(file.status.st_mode) ||
        file.status.st_nlink == 0)
        return 0;
    return undo_file_save(undo, &file, -1);
}

/*
 * The kernel's own times are no finer than the coarse clock, unless somebody asks. A file that we
 * ourselves have changed since that clock last went on is not asked again: it has that time.
 */
int undo_look_at(struct undo_kept *kept, int file, struct stat *status)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (kept != NULL && kept->last_changed && now.tv_nsec == kept->last_time.tv_nsec &&
        now.tv_sec == kept->last_time.tv_sec && kernel_fstat_timeless(file, status) == 0 &&
        status->st_ino == kept->last_inode && status->st_dev == kept->last_device) {
        status->st_mtim = now;
        return 0;
    }
    int result = kernel_fstat(file, status);
    if (kept == NULL || result != 0)
        return result;
    kept->last_changed = false;
    kept->last_device = status->st_dev;
    kept->last_inode = status->st_ino;
    kept->last_time = now;
    return 0;
}

/* What is remembered of paths for good, beside what is recorded in a session. */
#define ANY_SESSION UINT32_MAX
#define REGULAR_FILE 0x7265677566696c65u

int undo_save_early(const struct undo *undo, const char *path, bool *saved)
{
    struct undo_file file = {.descriptor = -1, .path = path};
    *saved = false;
    /* A pipe must not even be opened; what was a file once is taken for one. */
    uint64_t key = undo_key(path) ^ REGULAR_FILE;
    if (!undo_is_recorded(undo->session != 0 ? ANY_SESSION : 0, key)) {
        int result = kernel_fstatat_timeless(AT_FDCWD, path, &file.status, AT_SYMLINK_NOFOLLOW);
        if (result == -ENOENT)
            return undo_save_name(undo, path, UNDO_MAKES);
        if (result == 0 && S_ISLNK(file.status.st_mode))
            return -ELOOP;
        if (result == 0 && !S_ISREG(file.status.st_mode))
            return UNDO_IS_NO_FILE;
        if (result != 0 || file.status.st_size > UNDO_EARLY)
            return 0; /* saved when it is written */
        if (undo->session != 0)
            undo_remember(ANY_SESSION, key);
    }
    int from = undo_open_to_read(AT_FDCWD, path, O_NOFOLLOW);
    if (from == -ENOENT)
        return undo_save_name(undo, path, UNDO_MAKES);
    if (from < 0)
        return from == -ELOOP ? from : 0;
    int result = undo_look_at(undo->kept, from, &file.status);
    if (result == 0 && S_ISREG(file.status.st_mode) && file.status.st_size <= UNDO_EARLY &&
        is_plain(&file.status)) {
        result = undo_file_save(undo, &file, from);
        *saved = result == 0;
    }
    (void)kernel_close(from);
    return result;
}

/* --- names --- */

static int save_absent(const struct undo *undo, const char *path)
{
    struct undo_step step;
    int result = undo_step_begin(&step, undo);
    if (result != 0)
        return result;
    result = add(&step, UNDO_ABSENT, path, NULL);
    if (result == 0)
        undo_remember(undo->session, undo_key(path));
    return undo_step_end(&step, result);
}

static int copy_instead(struct undo_step *step, const char *path, const struct stat *status,
                        const char *name)
{
    bool exact;
    if (!S_ISREG(status->st_mode)) {
        step->record.number = step->journal.streams[step->journal.stream].next;
        return undo_copy_other(AT_FDCWD, path, status, step->journal.directory, name);
    }
    int from = undo_open_to_read(AT_FDCWD, path, O_NOFOLLOW);
    if (from < 0)
        return from;
    int result = copy_object(step, from, status, &exact);
    (void)kernel_close(from);
    return result;
}

static int keep_object(struct undo_step *step, const char *path, const struct stat *status,
                       bool copy)
{
    char name[16];
    uint32_t number;
    int result = next_number(step, &number, name);
    if (result != 0)
        return result;
    if (copy || S_ISDIR(status->st_mode))
        return copy_instead(step, path, status, name);
    result = kernel_linkat(AT_FDCWD, path, step->journal.directory, name, 0);
    if (result == -EEXIST) { /* of one who died before it was recorded */
        undo_clear_number(step->journal.directory, name);
        result = kernel_linkat(AT_FDCWD, path, step->journal.directory, name, 0);
    }
    if (result == 0) {
        step->record.number = number;
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
    struct undo_step step;
    int result = undo_step_begin(&step, undo);
    if (result != 0)
        return result;
    result = keep_object(&step, path, status, copy);
    name_object(&step, status);
    if (result == 0)
        result = add(&step, S_ISDIR(status->st_mode) ? UNDO_DIRECTORY : UNDO_SAVED, path, NULL);
    if (result == 0)
        undo_remember(undo->session, undo_key(path));
    return undo_step_end(&step, result);
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
    struct undo_step step;
    struct stat status;
    if (kernel_fstatat(AT_FDCWD, from, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return 0; /* the call will fail */
    int result = undo_step_begin(&step, undo);
    if (result != 0)
        return result;
    name_object(&step, &status);
    return undo_step_end(&step, add(&step, UNDO_MOVED, from, to));
}
