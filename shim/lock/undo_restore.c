/*
 * Undoing records. It must never touch anything outside the table, follow a link, or
 * take a record for done before it is.
 */
#include "shim/lock/undo_journal.h"

#include <errno.h>
#include <string.h>

struct undoing {
    struct undo_journal *journal;
    const uint64_t *ends; /* of what is still to be undone, after the entry */
    struct undo_entry entry;
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
    const struct kernel_time *times = undoing->entry.record.times;
    if (times[1].seconds != 0)
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
    int directory = open_place(undoing, undoing->entry.path, &name);
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
    undo_number(number, undoing->entry.stream, undoing->entry.record.number);
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
    int directory = open_place(undoing, undoing->entry.path, &name);
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
    (void)kernel_fchmod(restored, undoing->entry.record.mode & limit);
    (void)kernel_close(restored);
}

static bool is_object(const struct undoing *undoing, const struct stat *status)
{
    return status->st_ino == undoing->entry.record.inode &&
           status->st_dev == undoing->entry.record.device;
}

static int undo_directory(struct undoing *undoing)
{
    const char *name;
    struct stat there;
    int directory = open_place(undoing, undoing->entry.path, &name);
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
    if (!S_ISDIR(undoing->entry.record.mode) && !is_object(undoing, &moved))
        return 0;
    result = kernel_renameat2(from, from_name, to, name, KERNEL_RENAME_NOREPLACE);
    if (result == -EINVAL && kernel_fstatat(to, name, &there, AT_SYMLINK_NOFOLLOW) == -ENOENT)
        result = kernel_renameat2(from, from_name, to, name, 0);
    return result == -EEXIST || result == -EINVAL ? 0 : result;
}

static int undo_moved(struct undoing *undoing)
{
    const char *name, *other_name;
    int directory = open_place(undoing, undoing->entry.path, &name);
    if (directory < 0)
        return directory;
    int other = open_place(undoing, undoing->entry.other, &other_name);
    int result = other == -ENOENT ? 0 : other;
    if (other >= 0) {
        result = move_back(undoing, other, other_name, directory, name);
        (void)kernel_close(other);
    }
    close_place(undoing, directory);
    return result;
}

/*
 * A file that may not be written any more by its owner, who made it so after it was opened: it gets
 * its mode back with the rest.
 */
static int open_to_write(const struct undoing *undoing, int directory, const char *name)
{
    int common = O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    struct stat status;
    int file = kernel_openat(directory, name, O_WRONLY | common, 0);
    if (file != -EACCES || undoing->journal->author.limited)
        return file;
    int readable = kernel_openat(directory, name, O_RDONLY | common, 0);
    if (readable < 0)
        return file;
    if (kernel_fstat(readable, &status) == 0 && S_ISREG(status.st_mode) &&
        kernel_fchmod(readable, (status.st_mode & 07777) | S_IWUSR) == 0)
        file = kernel_openat(directory, name, O_WRONLY | common, 0);
    (void)kernel_close(readable);
    return file;
}

static bool is_at_or_above(const char *path, const char *other)
{
    size_t length = strlen(path);
    return strncmp(path, other, length) == 0 && (other[length] == '\0' || other[length] == '/');
}

/*
 * Members of a command remember each for itself what is recorded. One that changes a file may not
 * know that its name was, by another one, which goes on to remove it without a word: then there is
 * nothing to put the content into, and what belongs at the name comes back by its own record.
 */
static bool is_named_earlier(const struct undoing *undoing)
{
    uint64_t ends[UNDO_STREAMS];
    struct undo_entry earlier;
    memcpy(ends, undoing->ends, sizeof ends);
    while (undo_stream_last(undoing->journal, ends, &earlier)) {
        bool names = earlier.record.kind == UNDO_ABSENT || earlier.record.kind == UNDO_SAVED ||
                     earlier.record.kind == UNDO_DIRECTORY || earlier.record.kind == UNDO_MOVED;
        if (names && is_at_or_above(earlier.path, undoing->entry.path))
            return true;
    }
    return false;
}

static int open_content(const struct undoing *undoing)
{
    char number[16];
    const char *name;
    if (undoing->entry.record.handle != 0)
        return open_to_write(
            undoing, undoing->journal->directory,
            undo_number(number, undoing->entry.stream, undoing->entry.record.handle));
    int directory = undo_open_parent(undoing->entry.path, &name);
    if (directory < 0)
        return directory;
    int file = open_to_write(undoing, directory, name);
    (void)kernel_close(directory);
    return file;
}

#define NOTHING_TO_WRITE_TO (-ENODATA)

/*
 * One that had a single name is the one at the path, even where that is a copy by now, which was
 * put back from another file system.
 */
static int open_recorded(const struct undoing *undoing, struct stat *status, bool by_inode)
{
    int to = open_content(undoing);
    bool by_path = undoing->entry.record.handle == 0;
    if (to == -ENOENT && by_path && is_named_earlier(undoing))
        return NOTHING_TO_WRITE_TO;
    if (to < 0)
        return to;
    int result = kernel_fstat(to, status);
    bool same = result == 0 && S_ISREG(status->st_mode) && is_object(undoing, status);
    if (result == 0 && !same && by_path && is_named_earlier(undoing))
        result = NOTHING_TO_WRITE_TO;
    if (result == 0 && (!S_ISREG(status->st_mode) || (by_inode && !same)))
        result = -ESTALE;
    if (result == 0 && !undo_author_may_write(&undoing->journal->author, status))
        result = -EPERM;
    if (result == 0)
        return to;
    (void)kernel_close(to);
    return result;
}

static int undo_content(struct undoing *undoing)
{
    char number[16];
    struct stat status;
    struct undo_copy copy = {.durable = undoing->durable};
    int from = undo_open_to_read(
        undoing->journal->directory,
        undo_number(number, undoing->entry.stream, undoing->entry.record.number), O_NOFOLLOW);
    if (from < 0)
        return from;
    bool shared = (undoing->entry.record.flags & UNDO_RECORD_SHARED) != 0;
    int to = open_recorded(undoing, &status, shared);
    int result = to < 0 ? to : undo_copy_back(from, to, &copy);
    if (to == NOTHING_TO_WRITE_TO)
        result = 0;
    if (to >= 0)
        (void)kernel_close(to);
    (void)kernel_close(from);
    return result;
}

/* What a part was: in the record, in a file of its own, or a hole. */
static int write_part(const struct undoing *undoing, int to)
{
    const struct undo_record *record = &undoing->entry.record;
    char number[16];
    off_t offset = (off_t)record->offset;
    if (record->bytes == 0)
        return 0;
    if (record->number == 0)
        return undo_copy_part(undoing->journal->streams[undoing->entry.stream].file,
                              (off_t)undoing->entry.data, to, offset, record->data_length);
    int from =
        undo_open_to_read(undoing->journal->directory,
                          undo_number(number, undoing->entry.stream, record->number), O_NOFOLLOW);
    if (from < 0)
        return from;
    int result = undo_copy_part(from, offset, to, offset, record->bytes);
    (void)kernel_close(from);
    return result;
}

static bool is_sound_part(const struct undo_record *record)
{
    return record->size <= INT64_MAX && record->bytes <= record->size &&
           record->offset <= record->size - record->bytes &&
           (record->number != 0 || record->bytes == record->data_length);
}

static void give_back_rights(const struct undoing *undoing, int to, const struct stat *status)
{
    const struct undo_record *record = &undoing->entry.record;
    const struct undo_author *author = &undoing->journal->author;
    if (author->limited) { /* no more than it could do alone */
        if (status->st_uid == author->user && !author->anybody && !author->any_of_group)
            (void)kernel_fchmod(to, (status->st_mode & 07000) | (record->mode & 0777));
        return;
    }
    if (status->st_uid != record->user || status->st_gid != record->group)
        (void)kernel_fchown(to, record->user, record->group);
    (void)kernel_fchmod(to, record->mode & 07777);
}

static int undo_part(struct undoing *undoing)
{
    const struct undo_record *record = &undoing->entry.record;
    struct stat status;
    if (!is_sound_part(record))
        return -EBADMSG;
    int to = open_recorded(undoing, &status, (record->flags & UNDO_RECORD_SHARED) != 0);
    if (to < 0)
        return to == NOTHING_TO_WRITE_TO ? 0 : to;
    int result = write_part(undoing, to);
    if (result == 0)
        result = kernel_ftruncate(to, (off_t)record->size);
    if (result == 0) {
        give_back_rights(undoing, to, &status);
        (void)kernel_utimensat(to, NULL, record->times, 0);
        if (undoing->durable)
            result = kernel_fsync(to);
    }
    (void)kernel_close(to);
    return result;
}

static int undo_record(struct undoing *undoing)
{
    const struct undo_record *record = &undoing->entry.record;
    if (!is_allowed(undoing->journal, undoing->entry.path))
        return -EPERM;
    switch (record->kind) {
    case UNDO_ABSENT:
        return undo_absent(undoing);
    case UNDO_SAVED:
        return undo_saved(undoing);
    case UNDO_DIRECTORY:
        return undo_directory(undoing);
    case UNDO_MOVED:
        return is_allowed(undoing->journal, undoing->entry.other) ? undo_moved(undoing) : -EPERM;
    case UNDO_CONTENT:
        return undo_content(undoing);
    case UNDO_PART:
        return undo_part(undoing);
    default:
        return -EBADMSG;
    }
}

/* --- all of them --- */

int undo_all_records(struct undo_journal *journal)
{
    uint64_t ends[UNDO_STREAMS];
    struct undoing undoing = {.journal = journal, .ends = ends};
    undo_stream_ends(journal, ends);
    while (undo_stream_last(journal, ends, &undoing.entry)) {
        undoing.durable = (undoing.entry.record.flags & UNDO_RECORD_DURABLE) != 0;
        int result = undo_record(&undoing);
        if (result != 0)
            return result;
        for (int i = 0; i < UNDO_STREAMS; i++)
            journal->head.undone[i] = ends[i];
        result = undo_journal_note_undone(journal);
        if (result == 0 && undoing.durable)
            result = kernel_fdatasync(journal->file);
        if (result != 0)
            return result;
    }
    return 0;
}
