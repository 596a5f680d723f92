/*
 * The files of an undo journal, and its head. It must never believe a journal that others than its
 * author could have written.
 */
#include "shim/lock/undo_journal.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define JOURNAL_VERSION 2u
static const char head_magic[8] = "lockundo";
static const char journal_name[] = "journal";

/* --- names and numbers --- */

bool undo_directory_path(char path[static UNDO_PATH_SIZE], const char *lock_path)
{
    return (size_t)snprintf(path, UNDO_PATH_SIZE, "%s" UNDO_SUFFIX, lock_path) < UNDO_PATH_SIZE;
}

const char *undo_number(char text[static 16], unsigned stream, uint32_t number)
{
    snprintf(text, 16, stream == UNDO_JOINED ? "j%u" : "%u", number);
    return text;
}

uint64_t undo_block_signals(void)
{
    uint64_t all = ~0ull, before = 0;
    (void)kernel_sigprocmask(SIG_BLOCK, &all, &before);
    return before;
}

void undo_restore_signals(uint64_t before)
{
    (void)kernel_sigprocmask(SIG_SETMASK, &before, NULL);
}

static uint64_t path_hash(const char *path)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a, 64 bits */
    for (; *path != '\0'; path++)
        hash = (hash ^ (unsigned char)*path) * 1099511628211u;
    return hash;
}

/* --- opening --- */

static int make_directory(const char *path, const char *table_path)
{
    gid_t group;
    mode_t mode = undo_wanted_mode(table_path, &group);
    int result = kernel_mkdirat(AT_FDCWD, path, 0700);
    if (result != 0 && result != -EEXIST)
        return result;
    int directory =
        kernel_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    struct stat status;
    if (result != 0 || directory < 0 || kernel_fstat(directory, &status) != 0)
        return directory;
    if (mode != 0700 && group != (gid_t)-1 && kernel_fchown(directory, (uid_t)-1, group) != 0)
        mode = 0700; /* we are no member: nobody else can put back what we change */
    if ((status.st_mode & 07777) != mode)
        (void)kernel_fchmod(directory, mode);
    return directory;
}

static int open_directory(struct undo_journal *journal, bool create)
{
    char path[UNDO_PATH_SIZE];
    struct stat status;
    if (!undo_directory_path(path, journal->lock_path))
        return -ENAMETOOLONG;
    int directory =
        kernel_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (directory == -ENOENT && create)
        directory = make_directory(path, journal->table_path);
    if (directory == -ELOOP || directory == -ENOTDIR || directory == -EACCES)
        return -EPERM;
    if (directory < 0)
        return directory;
    if (kernel_fstat(directory, &status) != 0 ||
        !undo_trusts(&status, journal->lock_path, journal->table_path, &journal->author)) {
        (void)kernel_close(directory);
        return -EPERM;
    }
    journal->directory = directory;
    return 0;
}

/* Made by the directory's author, under one name, and by nobody who could not write there. */
static bool is_sound_file(const struct undo_journal *journal, const struct stat *status)
{
    if (!S_ISREG(status->st_mode) || status->st_nlink > 1)
        return false;
    const struct undo_author *author = &journal->author;
    if (author->limited && (author->anybody || author->any_of_group))
        return true;
    return (status->st_mode & 022) == 0 && (status->st_uid == author->user || status->st_uid == 0);
}

static void share_file(const struct undo_journal *journal, int file, mode_t mode)
{
    const struct undo_author *author = &journal->author;
    if (author->any_of_group)
        (void)kernel_fchown(file, (uid_t)-1, author->group);
    mode |= author->anybody ? 0666 : author->any_of_group ? 0660 : 0;
    (void)kernel_fchmod(file, mode);
}

int undo_journal_open_file(struct undo_journal *journal, const char *name, mode_t mode, bool create)
{
    struct stat status;
    int how = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    /* Reading what was just written would write its access time. */
    int file = kernel_openat(journal->directory, name, how | O_NOATIME, 0);
    if (file == -EPERM)
        file = kernel_openat(journal->directory, name, how, 0);
    bool made = file == -ENOENT && create;
    if (made)
        file = kernel_openat(journal->directory, name, how | O_NOATIME | O_CREAT, 0600);
    if (file >= 0 && made)
        share_file(journal, file, mode);
    int result = file < 0 ? file : kernel_fstat(file, &status);
    if (result >= 0 && status.st_nlink > 0 && !is_sound_file(journal, &status))
        result = -EPERM;
    if (result >= 0)
        return file;
    if (file >= 0)
        (void)kernel_close(file);
    return result == -ELOOP || result == -EACCES ? -EPERM : result;
}

static int lock_file(int file)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int result;
    do
        result = kernel_fcntl(file, F_OFD_SETLKW, (long)&whole);
    while (result == -EINTR);
    return result;
}

static int begin_head(struct undo_journal *journal)
{
    struct undo_head *head = &journal->head;
    *head = (struct undo_head){.version = JOURNAL_VERSION,
                               .word = UNDO_SETTLED,
                               .lock_path_hash = path_hash(journal->lock_path),
                               .id = kernel_random()};
    memcpy(head->magic, head_magic, sizeof head->magic);
    ssize_t size = kernel_pwrite(journal->file, head, sizeof *head, 0);
    return size == (ssize_t)sizeof *head ? 0 : size < 0 ? (int)size : -ENOSPC;
}

bool undo_journal_look(int file, struct undo_head *head)
{
    return kernel_pread(file, head, sizeof *head, 0) == (ssize_t)sizeof *head &&
           memcmp(head->magic, head_magic, sizeof head->magic) == 0 &&
           head->version == JOURNAL_VERSION;
}

static int read_head(struct undo_journal *journal, bool create)
{
    static const struct undo_head none;
    struct undo_head *head = &journal->head;
    bool sound = undo_journal_look(journal->file, head);
    if (sound && head->lock_path_hash == path_hash(journal->lock_path))
        return undo_state(head) == UNDO_DROPPED ? -ENOENT : 0;
    struct stat status;
    int result = kernel_fstat(journal->file, &status);
    if (result != 0)
        return result;
    /* The head is written before the first record: nothing was changed under this one yet. */
    bool empty = status.st_size == 0 || (status.st_size == (off_t)sizeof *head && !sound &&
                                         memcmp(head, &none, sizeof none) == 0);
    if (!empty)
        return -EBADMSG;
    return create ? begin_head(journal) : -ENOENT;
}

/* Of one that is about to be removed only the rest is to be removed. */
static int open_once(struct undo_journal *journal, bool create)
{
    struct stat status;
    int result = open_directory(journal, create);
    if (result == 0)
        result = undo_journal_open_file(journal, journal_name, 0644, create);
    if (result >= 0) {
        journal->file = result;
        result = lock_file(journal->file);
    }
    if (result == 0)
        result = kernel_fstat(journal->file, &status);
    if (result == 0 && status.st_nlink == 0)
        result = -EAGAIN; /* dropped while we waited for its lock */
    if (result == 0)
        result = read_head(journal, create);
    if (result == -ENOENT && create && journal->file >= 0) {
        (void)kernel_unlinkat(journal->directory, journal_name, 0);
        result = -EAGAIN;
    }
    for (unsigned i = 0; i < UNDO_STREAMS && result == 0; i++) {
        result = undo_stream_open(journal, i, create && i == journal->stream);
        if (result == -ENOENT && !(create && i == journal->stream))
            result = 0;
    }
    return result;
}

int undo_journal_open(struct undo_journal *journal, const char *lock_path, const char *table_path,
                      unsigned stream, bool create)
{
    int result;
    do {
        *journal = (struct undo_journal){.directory = -1,
                                         .file = -1,
                                         .stream = stream,
                                         .streams = {{.file = -1}, {.file = -1}},
                                         .lock_path = lock_path,
                                         .table_path = table_path};
        result = open_once(journal, create);
        if (result != 0)
            undo_journal_close(journal);
    } while (result == -EAGAIN);
    return result;
}

static void close_if_open(int *descriptor)
{
    if (*descriptor >= 0)
        (void)kernel_close(*descriptor);
    *descriptor = -1;
}

void undo_journal_close(struct undo_journal *journal)
{
    for (int i = 0; i < UNDO_STREAMS; i++)
        close_if_open(&journal->streams[i].file);
    close_if_open(&journal->file);
    close_if_open(&journal->directory);
}

bool undo_journal_says_settled(const char *lock_path)
{
    char path[UNDO_PATH_SIZE];
    struct stat status;
    struct undo_head head;
    if (!undo_directory_path(path, lock_path))
        return false;
    int directory = kernel_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (directory < 0)
        return false;
    int file = kernel_openat(directory, journal_name,
                             O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
    (void)kernel_close(directory);
    if (file < 0)
        return false;
    bool settled = kernel_fstat(file, &status) == 0 && S_ISREG(status.st_mode) &&
                   undo_journal_look(file, &head) && undo_state(&head) == UNDO_SETTLED &&
                   head.lock_path_hash == path_hash(lock_path);
    (void)kernel_close(file);
    return settled;
}

/* --- writing the head --- */

static int write_part(const struct undo_journal *journal, const void *part, size_t size)
{
    size_t offset = (size_t)((const char *)part - (const char *)&journal->head);
    ssize_t written = kernel_pwrite(journal->file, part, size, (off_t)offset);
    return written == (ssize_t)size ? 0 : written < 0 ? (int)written : -ENOSPC;
}

int undo_journal_say(struct undo_journal *journal, uint64_t sequence, enum undo_state state)
{
    journal->head.word = sequence * UNDO_SEQUENCE + state;
    return write_part(journal, &journal->head.word, sizeof journal->head.word);
}

int undo_journal_note_undone(struct undo_journal *journal)
{
    return write_part(journal, journal->head.undone, sizeof journal->head.undone);
}

int undo_journal_note_keeper(struct undo_journal *journal, pid_t process, uint64_t start_time)
{
    journal->head.keeper = process;
    journal->head.keeper_start = start_time;
    int result = write_part(journal, &journal->head.keeper, sizeof journal->head.keeper);
    return result != 0 ? result
                       : write_part(journal, &journal->head.keeper_start,
                                    sizeof journal->head.keeper_start);
}

/* --- dropping --- */

/* Who keeps it open learns by this that it is no longer the one at the path. */
static void say_dropped(int directory)
{
    struct undo_head head;
    int file = kernel_openat(directory, journal_name,
                             O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
    if (file < 0)
        return;
    if (undo_journal_look(file, &head)) {
        head.word = undo_sequence(&head) * UNDO_SEQUENCE + UNDO_DROPPED;
        (void)kernel_pwrite(file, &head.word, sizeof head.word, offsetof(struct undo_head, word));
    }
    (void)kernel_close(file);
}

int undo_journal_drop(int directory, const char *lock_path, bool durable)
{
    char path[UNDO_PATH_SIZE];
    struct undo_author ourselves = {.limited = false};
    say_dropped(directory);
    int result = kernel_unlinkat(directory, journal_name, 0);
    if (result != 0 && result != -ENOENT)
        return result;
    if (durable)
        (void)kernel_fsync(directory);
    if (!undo_directory_path(path, lock_path))
        return -ENAMETOOLONG;
    (void)kernel_lseek(directory, 0, SEEK_SET);
    (void)undo_unlink_all(directory, NULL);
    result = kernel_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
    if (result == -ENOTEMPTY || result == -EEXIST) { /* saved directories, or a large listing */
        result = undo_empty_directory(&ourselves, directory);
        if (result == 0)
            result = kernel_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
    }
    return result == -ENOENT ? 0 : result;
}
