/*
 * The journal that a process keeps from one session to the next, so that a short one costs neither
 * making nor removing it. Its owner works on it without a lock: nobody else writes to the stream of
 * records while the owner is inside. It must never be believed to be the one at the path without
 * having looked.
 */
#include "shim/lock/undo_journal.h"

#include "shim/lock/own.h"
#include "shim/lock/self.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* How long what was seen of the journal is believed, in nanoseconds. */
#define LOOK_INTERVAL 4000000u
/* More than this is not kept for the next session. */
#define ROOM_KEPT (1u << 20)
/* Saved objects are removed by their numbers up to here. */
#define NUMBERS_LISTED 64u

static uint64_t coarse_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void undo_kept_forget(struct undo_kept *kept)
{
    if (atomic_exchange(&kept->there, false)) {
        own_close(kept->directory);
        own_close(kept->journal);
        own_close(kept->records);
    }
    kept->opened = false;
    atomic_store(&kept->busy, 0);
}

void undo_kept_moved(struct undo_kept *kept, int from, int to)
{
    if (!atomic_load(&kept->there))
        return;
    if (kept->directory == from)
        kept->directory = to;
    if (kept->journal == from)
        kept->journal = to;
    if (kept->records == from)
        kept->records = to;
}

static void adopt(struct undo_kept *kept, struct undo_journal *journal)
{
    struct flock whole = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    struct undo_stream *stream = &journal->streams[UNDO_MAIN];
    (void)undo_journal_note_keeper(journal, lock_self.process, lock_self_start_time());
    (void)kernel_fcntl(journal->file, F_OFD_SETLK, (long)&whole);
    kept->directory = own_adopt(journal->directory);
    kept->journal = own_adopt(journal->file);
    kept->records = own_adopt(stream->file);
    kept->id = journal->head.id;
    kept->nonce = stream->nonce;
    kept->sequence = undo_sequence(&journal->head);
    kept->opened = undo_state(&journal->head) == UNDO_OPEN;
    kept->end = stream->end;
    kept->used = stream->used;
    kept->next = stream->next;
    kept->hidden = true;
    kept->checked = coarse_now();
    kept->limited = kernel_file_size_limited();
    journal->directory = journal->file = stream->file = -1;
    atomic_store(&kept->there, true);
}

/* Opens, or makes, the journal at the path. */
static bool take_up(struct undo_kept *kept, const struct undo *undo)
{
    struct undo_journal journal;
    struct stat status;
    uint64_t signals = undo_block_signals();
    bool opened =
        undo_journal_open(&journal, undo->lock_path, undo->table_path, UNDO_MAIN, true) == 0;
    if (opened) {
        kept->stays = kernel_fstat(journal.directory, &status) == 0 &&
                      undo_may_stay(&status, undo->table_path);
        adopt(kept, &journal);
        undo_journal_close(&journal);
    }
    undo_restore_signals(signals);
    return opened;
}

bool undo_kept_begin(struct undo_journal *journal, const struct undo *undo)
{
    struct undo_kept *kept = undo->kept;
    if (atomic_exchange(&kept->busy, 1) != 0)
        return false;
    if (!atomic_load(&kept->there) && !take_up(kept, undo)) {
        atomic_store(&kept->busy, 0);
        return false;
    }
    *journal = (struct undo_journal){
        .directory = kept->directory,
        .file = kept->journal,
        .stream = UNDO_MAIN,
        .head = {.word = kept->sequence * UNDO_SEQUENCE + (kept->opened ? UNDO_OPEN : UNDO_SETTLED),
                 .id = kept->id},
        .streams = {{.file = kept->records,
                     .nonce = kept->nonce,
                     .end = kept->opened ? kept->end : UNDO_RECORDS_AT,
                     .used = kept->opened ? kept->used : 0,
                     .next = kept->opened ? kept->next : 1},
                    {.file = -1}},
        .kept = kept,
        .lock_path = undo->lock_path,
        .table_path = undo->table_path};
    return true;
}

void undo_kept_end(struct undo_journal *journal)
{
    struct undo_kept *kept = journal->kept;
    const struct undo_stream *stream = &journal->streams[UNDO_MAIN];
    kept->sequence = undo_sequence(&journal->head);
    kept->opened = undo_state(&journal->head) == UNDO_OPEN;
    kept->end = stream->end;
    kept->used = stream->used;
    kept->next = stream->next;
    atomic_store(&kept->busy, 0);
}

int undo_journal_hide(struct undo_journal *journal)
{
    struct stat status;
    if (journal->kept != NULL && journal->kept->hidden)
        return 0;
    int result = kernel_fstat(journal->directory, &status);
    if (result == 0 && (status.st_mode & 011) != 0 && (status.st_mode & 044) == 0)
        result = kernel_fchmod(journal->directory, status.st_mode & 07766);
    if (result == 0 && journal->kept != NULL)
        journal->kept->hidden = true;
    return result == -EPERM ? 0 : result;
}

/* Others may look whether there is something to undo. */
static void show(struct undo_kept *kept)
{
    struct stat status;
    if (kept->hidden && kernel_fstat(kept->directory, &status) == 0)
        kept->hidden = kernel_fchmod(kept->directory, (status.st_mode & 07777) | 011) != 0;
}

static bool is_at_path(const struct undo_kept *kept, const char *lock_path)
{
    char path[UNDO_PATH_SIZE + 16];
    struct stat named, open;
    if (!undo_directory_path(path, lock_path))
        return false;
    (void)strcat(path, "/journal");
    return kernel_fstat(kept->journal, &open) == 0 &&
           kernel_fstatat(AT_FDCWD, path, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           named.st_ino == open.st_ino && named.st_dev == open.st_dev;
}

bool undo_kept_is_settled(struct undo_kept *kept, const char *lock_path, bool suspicious)
{
    struct undo_head head;
    if (!undo_journal_look(kept->journal, &head) || head.id != kept->id ||
        undo_state(&head) != UNDO_SETTLED)
        return false;
    uint64_t now = coarse_now();
    if (suspicious || now - kept->checked >= LOOK_INTERVAL) {
        if (!is_at_path(kept, lock_path))
            return false;
        kept->limited = kernel_file_size_limited();
        kept->checked = now;
    }
    kept->sequence = undo_sequence(&head);
    kept->opened = false;
    return true;
}

static void clear_saved(struct undo_kept *kept, bool joined)
{
    static const char *const but[] = {"journal", "records", "joined", NULL};
    char name[16];
    if (joined || kept->next > NUMBERS_LISTED) {
        (void)kernel_lseek(kept->directory, 0, SEEK_SET);
        (void)undo_unlink_all(kept->directory, but);
        return;
    }
    for (uint32_t number = 1; number < kept->next; number++)
        undo_clear_number(kept->directory, undo_number(name, UNDO_MAIN, number));
}

bool undo_kept_commit(struct undo_kept *kept, bool brief)
{
    struct undo_head head = {.word = kept->sequence * UNDO_SEQUENCE + UNDO_OPEN};
    bool joined = false;
    if (!atomic_load(&kept->there) || !kept->stays)
        return false;
    /* Nobody can have joined, or closed our descriptors, within a moment. */
    if (!kept->opened || !brief) {
        if (!undo_journal_look(kept->journal, &head) || head.id != kept->id)
            return false;
        joined =
            head.hint_sequence == undo_sequence(&head) && head.hint[UNDO_JOINED] > UNDO_RECORDS_AT;
        if (undo_state(&head) == UNDO_SETTLED)
            return true;
    }
    head.word = undo_sequence(&head) * UNDO_SEQUENCE + UNDO_SETTLED;
    if (kernel_pwrite(kept->journal, &head.word, sizeof head.word,
                      offsetof(struct undo_head, word)) != (ssize_t)sizeof head.word)
        return false;
    if (kept->opened && kept->end > ROOM_KEPT)
        (void)kernel_ftruncate(kept->records, UNDO_RECORDS_AT);
    if (joined || (kept->opened && kept->next > 1))
        clear_saved(kept, joined);
    kept->sequence = undo_sequence(&head);
    kept->opened = false;
    kept->next = 1;
    show(kept);
    atomic_store(&kept->busy, 0);
    return true;
}
