/*
 * The ends that a journal comes to: rolled back, committed, or left for who keeps it; and looking
 * at one. It must never drop what is to be undone, nor undo what counts.
 */
#include "shim/lock/undo_journal.h"

#include "shim/lock/process.h"

#include <errno.h>
#include <string.h>

/* Has it records that are to be undone, and are some of them to be safe against a power cut? */
static bool has_records(const struct undo_journal *journal, bool *durable)
{
    struct undo_entry entry;
    uint64_t ends[UNDO_STREAMS];
    undo_stream_ends(journal, ends);
    bool found = undo_stream_last(journal, ends, &entry);
    *durable = found && (entry.record.flags & UNDO_RECORD_DURABLE) != 0;
    return found && undo_state(&journal->head) == UNDO_OPEN;
}

/* Another process keeps it for its next session. */
static bool is_kept_by_another(const struct undo_head *head)
{
    return undo_state(head) == UNDO_SETTLED && head->keeper > 0 &&
           head->keeper != kernel_getpid() && process_is_alive(head->keeper, head->keeper_start);
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

static int roll_back(struct undo_journal *journal)
{
    bool durable;
    if (is_kept_by_another(&journal->head))
        return 0;
    bool undoes = has_records(journal, &durable);
    int result = undoes ? undo_all_records(journal) : 0;
    if (result == 0)
        result = undo_journal_drop(journal->directory, journal->lock_path, durable);
    return result == 0 ? undoes : result;
}

int undo_roll_back(const char *lock_path, const char *table_path)
{
    static const uint64_t file_size_signal = 1ull << (SIGXFSZ - 1);
    struct undo_journal journal;
    if (!undo_exists(lock_path))
        return 0;
    uint64_t signals = undo_block_signals();
    int result = undo_journal_open(&journal, lock_path, table_path, UNDO_MAIN, false);
    if (result == -ENOENT) {
        result = drop_leftovers(&journal);
    } else if (result == 0) {
        result = roll_back(&journal);
        undo_journal_close(&journal);
    } else if (result == -EPERM && undo_journal_says_settled(lock_path)) {
        result = 0; /* kept by one of another user, and nobody's table is half-written */
    }
    if (result == -EFBIG && (signals & file_size_signal) == 0)
        (void)kernel_take_signal(&file_size_signal);
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
    struct undo_entry entry;
    uint64_t ends[UNDO_STREAMS];
    undo_stream_ends(journal, ends);
    while (undo_stream_last(journal, ends, &entry)) {
        sync_file(entry.path);
        if (entry.record.other_length > 0)
            sync_file(entry.other);
    }
}

static int commit(const char *lock_path, const char *table_path, bool durable)
{
    struct undo_journal journal;
    int result = undo_journal_open(&journal, lock_path, table_path, UNDO_MAIN, false);
    if (result == -ENOENT)
        return drop_leftovers(&journal);
    if (result == -EPERM && undo_journal_says_settled(lock_path))
        return 0;
    if (result != 0)
        return result;
    if (!is_kept_by_another(&journal.head)) {
        if (durable)
            sync_changes(&journal);
        result = undo_journal_drop(journal.directory, lock_path, durable);
    }
    undo_journal_close(&journal);
    return result;
}

int undo_commit(const char *lock_path, const char *table_path, bool durable)
{
    if (!undo_exists(lock_path))
        return 0;
    uint64_t signals = undo_block_signals();
    int result = commit(lock_path, table_path, durable);
    undo_restore_signals(signals);
    return result;
}

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

void undo_retire(const char *lock_path, const char *table_path)
{
    struct undo_journal journal;
    uint64_t signals = undo_block_signals();
    if (undo_journal_open(&journal, lock_path, table_path, UNDO_MAIN, false) == 0) {
        if (undo_state(&journal.head) == UNDO_SETTLED && !is_kept_by_another(&journal.head))
            (void)undo_journal_drop(journal.directory, lock_path, false);
        undo_journal_close(&journal);
    }
    undo_restore_signals(signals);
}

int undo_mark_ending(const char *lock_path, const char *table_path, bool counts)
{
    struct undo_journal journal;
    bool durable;
    uint64_t signals = undo_block_signals();
    int result = undo_journal_open(&journal, lock_path, table_path, UNDO_MAIN, false);
    if (result == 0) {
        unsigned state = undo_state(&journal.head);
        (void)has_records(&journal, &durable);
        if (counts && durable)
            sync_changes(&journal);
        if (state != UNDO_SETTLED)
            result = undo_journal_say(&journal, undo_sequence(&journal.head),
                                      counts ? UNDO_COUNTS : UNDO_OPEN);
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

static int open_to_look(const char *lock_path)
{
    char path[UNDO_PATH_SIZE + 16];
    if (!undo_directory_path(path, lock_path))
        return -ENAMETOOLONG;
    (void)strcat(path, "/journal");
    return kernel_openat(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0);
}

bool undo_is_busy(const char *lock_path)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int file = open_to_look(lock_path);
    if (file < 0)
        return false;
    bool busy = kernel_fcntl(file, F_OFD_GETLK, (long)&whole) == 0 && whole.l_type != F_UNLCK;
    (void)kernel_close(file);
    return busy;
}

uint64_t undo_present_sequence(const char *lock_path)
{
    struct undo_head head;
    int file = open_to_look(lock_path);
    if (file < 0)
        return 0;
    bool opened = undo_journal_look(file, &head) && undo_state(&head) == UNDO_OPEN;
    (void)kernel_close(file);
    return opened ? (undo_sequence(&head) ^ head.id) | 1 : 0;
}

int undo_list(const char *lock_path, const char *table_path, struct undo_summary *summary,
              void (*each)(const struct undo_item *item, void *context), void *context)
{
    struct undo_entry entry;
    struct undo_journal journal;
    uint64_t ends[UNDO_STREAMS];
    int result = undo_journal_open(&journal, lock_path, table_path, UNDO_MAIN, false);
    if (result == -ENOENT || (result == -EPERM && undo_journal_says_settled(lock_path)))
        return 0;
    if (result != 0)
        return result;
    bool settled = undo_state(&journal.head) == UNDO_SETTLED;
    *summary = (struct undo_summary){.owner = journal.author.user,
                                     .bytes = journal.streams[UNDO_MAIN].used +
                                              journal.streams[UNDO_JOINED].used,
                                     .counts = undo_state(&journal.head) == UNDO_COUNTS,
                                     .limited = journal.author.limited};
    undo_stream_ends(&journal, ends);
    while (!settled && undo_stream_last(&journal, ends, &entry)) {
        struct undo_item item = {.kind = (enum undo_kind)entry.record.kind,
                                 .path = entry.path,
                                 .other = entry.record.other_length > 0 ? entry.other : NULL,
                                 .bytes = entry.record.bytes};
        each(&item, context);
    }
    undo_journal_close(&journal);
    return !settled;
}
