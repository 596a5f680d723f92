/*
 * Rolling back, and the commit. It must never touch anything outside the table, follow a link, or
 * take a record for done before it is.
 */
#include "shim/lock/undo_journal.h"

#include <errno.h>
#include <string.h>

struct undoing {
    struct undo_journal *journal;
    struct undo_record record;
    char path[UNDO_PATH_SIZE], other[UNDO_PATH_SIZE];
    bool durable;
};

/* --- where a record leads --- */

static bool has_plain_components(const char *path)
{
    return path[0] == '/' && strstr(path, "//") == NULL && strstr(path, "/./") == NULL &&
           strstr(path, "/../") == NULL;
}

/* A path of the table, or the table itself; of which table, only a believed author may say. */
static bool is_allowed(const struct undo_journal *journal, const char *path)
{
    const char *table = journal->table_path;
    if (!has_plain_components(path) || !journal->author.limited)
        return has_plain_components(path);
    size_t length = table != NULL ? strlen(table) : 0;
    return length > 1 && strncmp(path, table, length) == 0 &&
           (path[length] == '\0' || path[length] == '/');
}

/* The directory of a name that may be changed on the author's behalf. */
static int open_place(const struct undoing *undoing, const char *path, const char **name)
{
    struct stat parent, object;
    int directory = undo_open_parent(path, name);
    if (directory < 0)
        return directory;
    bool exists = kernel_fstatat(directory, *name, &object, AT_SYMLINK_NOFOLLOW) == 0;
    if (kernel_fstat(directory, &parent) != 0 ||
        !undo_author_may_rename(&undoing->journal->author, &parent, exists ? &object : NULL)) {
        (void)kernel_close(directory);
        return -EPERM;
    }
    return directory;
}

static void close_place(const struct undoing *undoing, int directory)
{
    const struct timespec *times = undoing->record.parent_times;
    if (times[1].tv_sec != 0)
        (void)kernel_utimensat(directory, ".", times, 0);
    if (undoing->durable) {
        int readable = kernel_openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
        if (readable >= 0) {
            (void)kernel_fsync(readable);
            (void)kernel_close(readable);
        }
    }
    (void)kernel_close(directory);
}

/* --- one record --- */

static int undo_absent(struct undoing *undoing)
{
    const char *name;
    int directory = open_place(undoing, undoing->path, &name);
    if (directory == -ENOENT)
        return 0;
    if (directory < 0)
        return directory;
    int result = undo_remove_tree(&undoing->journal->author, directory, name);
    close_place(undoing, directory);
    return result;
}

/* The journal is on another file system: a copy beside the name, which then takes its place. */
static int carry_over(const struct undoing *undoing, const char *number, int directory,
                      const char *name)
{
    static const char temporary[] = ".lockshim-undo";
    struct undo_copy copy = {.allowance = UINT64_MAX, .durable = undoing->durable};
    struct stat status;
    int kept = undoing->journal->directory;
    int result = kernel_fstatat(kept, number, &status, AT_SYMLINK_NOFOLLOW);
    if (result != 0)
        return result;
    if (S_ISREG(status.st_mode)) {
        int from = undo_open_to_read(kept, number, O_NOFOLLOW);
        if (from < 0)
            return from;
        result = undo_copy_file(from, &status, directory, temporary, &copy);
        (void)kernel_close(from);
    } else {
        result = undo_copy_other(kept, number, &status, directory, temporary);
    }
    if (result == 0)
        result = kernel_renameat2(directory, temporary, directory, name, 0);
    return result;
}

static int put_back(const struct undoing *undoing, int directory, const char *name)
{
    char number[16];
    struct stat kept, there;
    undo_number(number, undoing->record.number);
    if (kernel_fstatat(undoing->journal->directory, number, &kept, AT_SYMLINK_NOFOLLOW) != 0)
        return 0; /* it has been put back already */
    if (kernel_fstatat(directory, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
        (S_ISDIR(there.st_mode) || S_ISDIR(kept.st_mode))) {
        int result = undo_remove_tree(&undoing->journal->author, directory, name);
        if (result != 0)
            return result;
    }
    int result = kernel_renameat2(undoing->journal->directory, number, directory, name, 0);
    return result == -EXDEV ? carry_over(undoing, number, directory, name) : result;
}

static int undo_saved(struct undoing *undoing)
{
    const char *name;
    int directory = open_place(undoing, undoing->path, &name);
    if (directory < 0)
        return directory;
    int result = put_back(undoing, directory, name);
    close_place(undoing, directory);
    return result;
}

static void give_mode(const struct undoing *undoing, int directory, const char *name)
{
    mode_t limit = undoing->journal->author.limited ? 0777 : 07777;
    int restored =
        kernel_openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (restored < 0)
        return;
    (void)kernel_fchmod(restored, undoing->record.mode & limit);
    (void)kernel_close(restored);
}

static bool is_object(const struct undoing *undoing, const struct stat *status)
{
    return status->st_ino == undoing->record.inode && status->st_dev == undoing->record.device;
}

static int undo_directory(struct undoing *undoing)
{
    const char *name;
    struct stat there;
    int directory = open_place(undoing, undoing->path, &name);
    if (directory < 0)
        return directory;
    bool stands = kernel_fstatat(directory, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
                  S_ISDIR(there.st_mode) && is_object(undoing, &there);
    int result = stands ? 0 : put_back(undoing, directory, name);
    if (result == 0 && !stands)
        give_mode(undoing, directory, name);
    close_place(undoing, directory);
    return result;
}

/*
 * A directory's move is undone unless there is something at the old name: then it has not happened,
 * or been undone. (Not by its inode: one that was removed later has been made anew by now.) A file
 * came from outside the table; it goes back there if it is still the same.
 */
static int move_back(const struct undoing *undoing, int from, const char *from_name, int to,
                     const char *name)
{
    struct stat moved, there;
    int result = kernel_fstatat(from, from_name, &moved, AT_SYMLINK_NOFOLLOW);
    if (result != 0)
        return result == -ENOENT ? 0 : result;
    if (!S_ISDIR(undoing->record.mode) && !is_object(undoing, &moved))
        return 0;
    result = kernel_renameat2(from, from_name, to, name, KERNEL_RENAME_NOREPLACE);
    if (result == -EINVAL && kernel_fstatat(to, name, &there, AT_SYMLINK_NOFOLLOW) == -ENOENT)
        result = kernel_renameat2(from, from_name, to, name, 0);
    return result == -EEXIST || result == -EINVAL ? 0 : result;
}

static int undo_moved(struct undoing *undoing)
{
    const char *name, *other_name;
    int directory = open_place(undoing, undoing->path, &name);
    if (directory < 0)
        return directory;
    int other = open_place(undoing, undoing->other, &other_name);
    int result = other == -ENOENT ? 0 : other;
    if (other >= 0) {
        result = move_back(undoing, other, other_name, directory, name);
        (void)kernel_close(other);
    }
    close_place(undoing, directory);
    return result;
}

static int open_content(const struct undoing *undoing)
{
    char number[16];
    const char *name;
    int how = O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    if (undoing->record.handle != 0)
        return kernel_openat(undoing->journal->directory,
                             undo_number(number, undoing->record.handle), how, 0);
    int directory = undo_open_parent(undoing->path, &name);
    if (directory < 0)
        return directory;
    int file = kernel_openat(directory, name, how, 0);
    (void)kernel_close(directory);
    return file;
}

static int undo_content(struct undoing *undoing)
{
    char number[16];
    struct stat status;
    struct undo_copy copy = {.durable = undoing->durable};
    int from = undo_open_to_read(undoing->journal->directory,
                                 undo_number(number, undoing->record.number), O_NOFOLLOW);
    if (from < 0)
        return from;
    int to = open_content(undoing);
    int result = to < 0 ? to : kernel_fstat(to, &status);
    if (result == 0 && (!S_ISREG(status.st_mode) || !is_object(undoing, &status)))
        result = -ESTALE;
    if (result == 0 && !undo_author_may_write(&undoing->journal->author, &status))
        result = -EPERM;
    if (result == 0)
        result = undo_copy_back(from, to, &copy);
    if (to >= 0)
        (void)kernel_close(to);
    (void)kernel_close(from);
    return result;
}

static int undo_record(struct undoing *undoing)
{
    const struct undo_record *record = &undoing->record;
    if (!is_allowed(undoing->journal, undoing->path))
        return -EPERM;
    switch (record->kind) {
    case UNDO_ABSENT:
        return undo_absent(undoing);
    case UNDO_SAVED:
        return undo_saved(undoing);
    case UNDO_DIRECTORY:
        return undo_directory(undoing);
    case UNDO_MOVED:
        return is_allowed(undoing->journal, undoing->other) ? undo_moved(undoing) : -EPERM;
    case UNDO_CONTENT:
        return undo_content(undoing);
    default:
        return -EBADMSG;
    }
}

/* --- all of them --- */

static int undo_all(struct undo_journal *journal)
{
    struct undoing undoing = {.journal = journal,
                              .durable = (journal->head.flags & UNDO_HEAD_DURABLE) != 0};
    uint64_t end = journal->head.length;
    while (undo_journal_last(journal, &end, &undoing.record, undoing.path, undoing.other)) {
        int result = undo_record(&undoing);
        if (result != 0)
            return result;
        journal->head.length = end;
        result = undo_journal_write_head(journal);
        if (result == 0 && undoing.durable)
            result = kernel_fdatasync(journal->file);
        if (result != 0)
            return result;
    }
    return 0;
}

/* A directory without a journal: saved objects that never counted, or no longer do. */
static int drop_leftovers(struct undo_journal *journal)
{
    char path[UNDO_PATH_SIZE];
    struct stat status;
    if (!undo_directory_path(path, journal->lock_path))
        return 0;
    int directory =
        kernel_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (directory < 0)
        return directory == -ENOENT ? 0 : -EPERM;
    int result = kernel_fstat(directory, &status);
    if (result == 0)
        result = undo_trusts(&status, journal->lock_path, journal->table_path, &journal->author)
                     ? undo_journal_drop(directory, journal->lock_path, false)
                     : -EPERM;
    (void)kernel_close(directory);
    return result;
}

int undo_roll_back(const char *lock_path, const char *table_path)
{
    struct undo_journal journal;
    if (!undo_exists(lock_path))
        return 0;
    uint64_t signals = undo_block_signals();
    int result = undo_journal_open(&journal, lock_path, table_path, false);
    if (result == -ENOENT) {
        result = drop_leftovers(&journal);
    } else if (result == 0) {
        bool undoes =
            journal.head.state != UNDO_COUNTS && journal.head.length > sizeof journal.head;
        bool durable = (journal.head.flags & UNDO_HEAD_DURABLE) != 0;
        if (undoes)
            result = undo_all(&journal);
        if (result == 0)
            result = undo_journal_drop(journal.directory, lock_path, durable);
        if (result == 0)
            result = undoes;
        undo_journal_close(&journal);
    }
    undo_restore_signals(signals);
    return result;
}

/* --- the commit --- */

static void sync_file(const char *path)
{
    const char *name;
    int directory = undo_open_parent(path, &name);
    if (directory < 0)
        return;
    int file = kernel_openat(directory, name,
                             O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
    if (file >= 0) {
        (void)kernel_fsync(file);
        (void)kernel_close(file);
    }
    file = kernel_openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (file >= 0) {
        (void)kernel_fsync(file);
        (void)kernel_close(file);
    }
    (void)kernel_close(directory);
}

static void sync_changes(const struct undo_journal *journal)
{
    char path[UNDO_PATH_SIZE], other[UNDO_PATH_SIZE];
    struct undo_record record;
    uint64_t end = journal->head.length;
    while (undo_journal_last(journal, &end, &record, path, other)) {
        sync_file(path);
        if (record.other_length > 0)
            sync_file(other);
    }
}

static int commit_synced(const char *lock_path)
{
    struct undo_journal journal;
    int result = undo_journal_open(&journal, lock_path, NULL, false);
    if (result != 0)
        return result == -ENOENT ? 0 : result;
    sync_changes(&journal);
    result = undo_journal_drop(journal.directory, lock_path, true);
    undo_journal_close(&journal);
    return result;
}

/* The directory is our own: it was looked at when it was made or first used under this lock. */
int undo_discard(const char *lock_path)
{
    char path[UNDO_PATH_SIZE];
    if (!undo_directory_path(path, lock_path))
        return -ENAMETOOLONG;
    int directory =
        kernel_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (directory < 0)
        return directory == -ENOENT ? 0 : directory;
    uint64_t signals = undo_block_signals();
    int result = undo_journal_drop(directory, lock_path, false);
    undo_restore_signals(signals);
    (void)kernel_close(directory);
    return result;
}

int undo_commit(const char *lock_path, bool durable)
{
    if (!durable)
        return undo_discard(lock_path);
    uint64_t signals = undo_block_signals();
    int result = commit_synced(lock_path);
    undo_restore_signals(signals);
    return result;
}

int undo_mark_ending(const char *lock_path, const char *table_path, bool counts)
{
    struct undo_journal journal;
    uint64_t signals = undo_block_signals();
    int result = undo_journal_open(&journal, lock_path, table_path, false);
    if (result == 0) {
        if (counts && (journal.head.flags & UNDO_HEAD_DURABLE) != 0)
            sync_changes(&journal);
        journal.head.state = counts ? UNDO_COUNTS : UNDO_UNSETTLED;
        result = undo_journal_write_head(&journal);
        undo_journal_close(&journal);
    }
    undo_restore_signals(signals);
    return result == -ENOENT ? 0 : result;
}

/* --- looking --- */

bool undo_exists(const char *lock_path)
{
    char path[UNDO_PATH_SIZE];
    struct stat status;
    return undo_directory_path(path, lock_path) &&
           kernel_fstatat(AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

int undo_list(const char *lock_path, const char *table_path, struct undo_summary *summary,
              void (*each)(const struct undo_item *item, void *context), void *context)
{
    struct undoing undoing;
    struct undo_journal journal;
    int result = undo_journal_open(&journal, lock_path, table_path, false);
    if (result != 0)
        return result == -ENOENT ? 0 : result;
    *summary = (struct undo_summary){.owner = journal.author.user,
                                     .bytes = journal.head.used,
                                     .counts = journal.head.state == UNDO_COUNTS,
                                     .limited = journal.author.limited};
    uint64_t end = journal.head.length;
    while (undo_journal_last(&journal, &end, &undoing.record, undoing.path, undoing.other)) {
        struct undo_item item = {.kind = (enum undo_kind)undoing.record.kind,
                                 .path = undoing.path,
                                 .other = undoing.record.other_length > 0 ? undoing.other : NULL,
                                 .bytes = undoing.record.bytes};
        each(&item, context);
    }
    undo_journal_close(&journal);
    return 1;
}
