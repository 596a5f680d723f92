/*
 * The files of an undo journal. It must never count a record before all of it is written, and never
 * believe a journal that others than its author could have written.
 */
#include "shim/lock/undo_journal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RECORD_MAGIC 0x6f646e75u
#define JOURNAL_VERSION 1u
static const char head_magic[8] = "lockundo";
static const char journal_name[] = "journal";

/* --- names and numbers --- */

bool undo_directory_path(char path[static UNDO_PATH_SIZE], const char *lock_path)
{
    return (size_t)snprintf(path, UNDO_PATH_SIZE, "%s" UNDO_SUFFIX, lock_path) < UNDO_PATH_SIZE;
}

const char *undo_number(char text[static 16], uint32_t number)
{
    snprintf(text, 16, "%u", number);
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

static uint32_t checksum_more(uint32_t sum, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (; size > 0; size--)
        sum = (sum ^ *at++) * 16777619u;
    return sum;
}

static uint32_t checksum(const struct undo_record *record, const char *path, const char *other)
{
    struct undo_record plain = *record;
    plain.checksum = 0;
    uint32_t sum = checksum_more(2166136261u, &plain, sizeof plain);
    sum = checksum_more(sum, path, record->path_length);
    return checksum_more(sum, other, record->other_length);
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

static void share_file(const struct undo_journal *journal)
{
    const struct undo_author *author = &journal->author;
    if (author->any_of_group)
        (void)kernel_fchown(journal->file, (uid_t)-1, author->group);
    if (author->anybody || author->any_of_group)
        (void)kernel_fchmod(journal->file, author->anybody ? 0666 : 0660);
}

static int open_file(struct undo_journal *journal, bool create)
{
    int how = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int file = kernel_openat(journal->directory, journal_name, how, 0);
    bool made = file == -ENOENT && create;
    if (made)
        file = kernel_openat(journal->directory, journal_name, how | O_CREAT, 0600);
    journal->file = file;
    if (file >= 0 && made)
        share_file(journal);
    return file == -ELOOP || file == -EACCES ? -EPERM : file < 0 ? file : 0;
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

static int read_head(struct undo_journal *journal, const struct stat *status)
{
    static const struct undo_head none;
    struct undo_head *head = &journal->head;
    *head = none;
    ssize_t size = kernel_pread(journal->file, head, sizeof *head, 0);
    if (size < 0)
        return (int)size;
    /* The head is written behind the first record: nothing was changed under this one yet. */
    if (size < (ssize_t)sizeof *head || memcmp(head, &none, sizeof none) == 0) {
        *head = (struct undo_head){.version = JOURNAL_VERSION,
                                   .lock_path_hash = path_hash(journal->lock_path),
                                   .length = sizeof *head,
                                   .next = 1};
        memcpy(head->magic, head_magic, sizeof head->magic);
        return 0;
    }
    if (memcmp(head->magic, head_magic, sizeof head->magic) != 0 ||
        head->version != JOURNAL_VERSION || head->length < sizeof *head || head->next == 0 ||
        head->length > (uint64_t)status->st_size ||
        head->lock_path_hash != path_hash(journal->lock_path))
        return -EBADMSG;
    return 0;
}

static int open_once(struct undo_journal *journal, bool create)
{
    struct stat status;
    int result = open_directory(journal, create);
    if (result == 0)
        result = open_file(journal, create);
    if (result == 0)
        result = lock_file(journal->file);
    if (result == 0)
        result = kernel_fstat(journal->file, &status);
    if (result == 0 && status.st_nlink == 0)
        result = -EAGAIN; /* dropped while we waited for its lock */
    if (result == 0 && !is_sound_file(journal, &status))
        result = -EPERM;
    return result != 0 ? result : read_head(journal, &status);
}

int undo_journal_open(struct undo_journal *journal, const char *lock_path, const char *table_path,
                      bool create)
{
    int result;
    do {
        *journal = (struct undo_journal){
            .directory = -1, .file = -1, .lock_path = lock_path, .table_path = table_path};
        result = open_once(journal, create);
        if (result != 0)
            undo_journal_close(journal);
    } while (result == -EAGAIN);
    return result;
}

void undo_journal_close(struct undo_journal *journal)
{
    if (journal->file >= 0)
        (void)kernel_close(journal->file);
    if (journal->directory >= 0)
        (void)kernel_close(journal->directory);
    journal->file = journal->directory = -1;
}

/* --- writing --- */

int undo_journal_write_head(struct undo_journal *journal)
{
    ssize_t size = kernel_pwrite(journal->file, &journal->head, sizeof journal->head, 0);
    return size == (ssize_t)sizeof journal->head ? 0 : size < 0 ? (int)size : -ENOSPC;
}

/* The names of the saved object, of the journal, and of the directory that they are in. */
static int make_durable(const struct undo_journal *journal, bool first)
{
    int result = kernel_fdatasync(journal->file);
    if (result == 0)
        result = kernel_fsync(journal->directory);
    const char *name;
    if (result != 0 || !first)
        return result;
    int parent = undo_open_parent(journal->lock_path, &name);
    int readable =
        parent < 0 ? parent : kernel_openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (readable >= 0)
        result = kernel_fsync(readable);
    if (readable >= 0)
        (void)kernel_close(readable);
    if (parent >= 0)
        (void)kernel_close(parent);
    return readable < 0 ? readable : result;
}

static int write_record(const struct undo_journal *journal, const struct undo_record *record,
                        const char *path, const char *other)
{
    uint32_t length = record->length;
    struct iovec parts[] = {{(void *)record, sizeof *record},
                            {(void *)path, record->path_length},
                            {(void *)other, record->other_length},
                            {&length, sizeof length}};
    ssize_t size = kernel_pwritev(journal->file, parts, 4, (off_t)journal->head.length);
    return size == (ssize_t)record->length ? 0 : size < 0 ? (int)size : -ENOSPC;
}

int undo_journal_add(struct undo_journal *journal, const struct undo *undo,
                     struct undo_record *record, const char *path, const char *other)
{
    bool first = journal->head.length == sizeof journal->head;
    if (other == NULL)
        other = "";
    record->magic = RECORD_MAGIC;
    record->path_length = (uint16_t)strlen(path);
    record->other_length = (uint16_t)strlen(other);
    record->length = (uint32_t)(sizeof *record + record->path_length + record->other_length +
                                sizeof record->length);
    record->checksum = checksum(record, path, other);
    int result = write_record(journal, record, path, other);
    if (result != 0)
        return result;
    journal->head.length += record->length;
    journal->head.used += record->bytes;
    journal->head.state = UNDO_UNSETTLED;
    if (undo->durable)
        journal->head.flags |= UNDO_HEAD_DURABLE;
    if (record->number >= journal->head.next)
        journal->head.next = record->number + 1;
    result = undo_journal_write_head(journal);
    return result == 0 && undo->durable ? make_durable(journal, first) : result;
}

/* --- reading --- */

static bool read_text(const struct undo_journal *journal, char text[static UNDO_PATH_SIZE],
                      size_t length, uint64_t offset)
{
    if (length >= UNDO_PATH_SIZE ||
        kernel_pread(journal->file, text, length, (off_t)offset) != (ssize_t)length)
        return false;
    text[length] = '\0';
    return strlen(text) == length;
}

static bool read_record(const struct undo_journal *journal, uint64_t start, uint64_t end,
                        struct undo_record *record, char path[static UNDO_PATH_SIZE],
                        char other[static UNDO_PATH_SIZE])
{
    if (end - start < sizeof *record ||
        kernel_pread(journal->file, record, sizeof *record, (off_t)start) !=
            (ssize_t)sizeof *record ||
        record->magic != RECORD_MAGIC || record->length > end - start ||
        record->length !=
            sizeof *record + record->path_length + record->other_length + sizeof record->length)
        return false;
    uint64_t texts = start + sizeof *record;
    return read_text(journal, path, record->path_length, texts) &&
           read_text(journal, other, record->other_length, texts + record->path_length) &&
           record->checksum == checksum(record, path, other);
}

/*
 * What a power cut has left of the last record is no record: its change had not begun. Finds the
 * end of those that are whole.
 */
static uint64_t end_of_whole_records(const struct undo_journal *journal, uint64_t limit,
                                     struct undo_record *record, char *path, char *other)
{
    uint64_t at = sizeof journal->head;
    while (at < limit && read_record(journal, at, limit, record, path, other))
        at += record->length;
    return at;
}

bool undo_journal_last(const struct undo_journal *journal, uint64_t *end,
                       struct undo_record *record, char path[static UNDO_PATH_SIZE],
                       char other[static UNDO_PATH_SIZE])
{
    for (int attempt = 0; attempt < 2; attempt++) {
        uint32_t length = 0;
        if (*end <= sizeof journal->head)
            return false;
        if (kernel_pread(journal->file, &length, sizeof length, (off_t)(*end - sizeof length)) ==
                (ssize_t)sizeof length &&
            length <= *end - sizeof journal->head &&
            read_record(journal, *end - length, *end, record, path, other) &&
            record->length == length) {
            *end -= length;
            return true;
        }
        *end = end_of_whole_records(journal, *end, record, path, other);
    }
    return false;
}

/* --- dropping --- */

int undo_journal_drop(int directory, const char *lock_path, bool durable)
{
    char path[UNDO_PATH_SIZE];
    struct undo_author ourselves = {.limited = false};
    int result = kernel_unlinkat(directory, journal_name, 0);
    if (result != 0 && result != -ENOENT)
        return result;
    if (durable)
        (void)kernel_fsync(directory);
    if (!undo_directory_path(path, lock_path))
        return -ENAMETOOLONG;
    (void)undo_unlink_all(directory);
    result = kernel_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
    if (result == -ENOTEMPTY || result == -EEXIST) { /* saved directories, or a large listing */
        result = undo_empty_directory(&ourselves, directory);
        if (result == 0)
            result = kernel_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
    }
    return result == -ENOENT ? 0 : result;
}
