/*
 * Records: adding them, and reading them back. It must never take for a record what was not written
 * whole, nor what merely looks like one: the content of a file stands in the same place.
 */
#include "shim/lock/undo_journal.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define RECORD_MAGIC 0x6f646e75u
static const char stream_magic[8] = "undodata";
static const char *const stream_names[UNDO_STREAMS] = {"records", "joined"};

enum { PIECE = 4096, LENGTH_LIMIT = 1 << 30 };

/* Zeros behind the last record: what stood there before is none. */
struct tail {
    uint32_t length;
    char zeros[12];
};

/* --- the sum of a record --- */

struct sum {
    uint64_t lanes[4];
};

static uint64_t mix(uint64_t state, uint64_t word)
{
    state = (state ^ word) * 0x9e3779b97f4a7c15u;
    return state ^ state >> 29;
}

static void sum_more(struct sum *sum, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (; size >= 32; size -= 32, at += 32) {
        uint64_t words[4];
        memcpy(words, at, sizeof words);
        for (int i = 0; i < 4; i++)
            sum->lanes[i] = mix(sum->lanes[i], words[i]);
    }
    uint64_t rest[4] = {size, 0, 0, 0};
    for (; size > 0; size -= size < 24 ? size : 24) {
        size_t part = size < 24 ? size : 24;
        memcpy(&rest[1], at, part);
        at += part;
        for (int i = 0; i < 4; i++)
            sum->lanes[i] = mix(sum->lanes[i], rest[i]);
        memset(rest, 0, sizeof rest);
    }
}

static struct sum sum_begin(uint64_t nonce)
{
    return (struct sum){{nonce, ~nonce, nonce << 1, ~nonce << 1}};
}

/* The content comes first: when the record was written is told once it has been read. */
static uint64_t sum_end(struct sum *sum, const struct undo_record *record, const char *path,
                        const char *other)
{
    struct undo_record plain = *record;
    plain.checksum = 0;
    sum_more(sum, &plain, sizeof plain);
    sum_more(sum, path, record->path_length);
    sum_more(sum, other, record->other_length);
    return mix(mix(mix(sum->lanes[0], sum->lanes[1]), sum->lanes[2]), sum->lanes[3]);
}

/* --- reading --- */

static bool read_whole(int file, void *bytes, size_t size, uint64_t offset)
{
    return offset <= (uint64_t)INT64_MAX - size &&
           kernel_pread(file, bytes, size, (off_t)offset) == (ssize_t)size;
}

static bool read_text(int file, char text[static UNDO_PATH_SIZE], size_t length, uint64_t offset)
{
    if (length >= UNDO_PATH_SIZE || !read_whole(file, text, length, offset))
        return false;
    text[length] = '\0';
    return strlen(text) == length;
}

static bool is_plausible(const struct undo_record *record)
{
    return record->magic == RECORD_MAGIC && record->length <= LENGTH_LIMIT &&
           record->data_length <= record->length &&
           record->length == sizeof *record + record->path_length + record->other_length +
                                 (uint64_t)record->data_length + sizeof record->length;
}

/* Reads what is at `start`. False: no record, or not of this sequence. */
static bool read_record(const struct undo_journal *journal, unsigned stream, uint64_t start,
                        struct undo_entry *entry)
{
    const struct undo_stream *from = &journal->streams[stream];
    struct undo_record *record = &entry->record;
    char piece[PIECE];
    uint32_t length;
    if (!read_whole(from->file, record, sizeof *record, start) || !is_plausible(record) ||
        record->sequence != undo_sequence(&journal->head))
        return false;
    uint64_t texts = start + sizeof *record, end = start + record->length;
    entry->stream = stream;
    entry->start = start;
    entry->data = texts + record->path_length + record->other_length;
    if (!read_text(from->file, entry->path, record->path_length, texts) ||
        !read_text(from->file, entry->other, record->other_length, texts + record->path_length) ||
        !read_whole(from->file, &length, sizeof length, end - sizeof length) ||
        length != record->length)
        return false;
    struct sum sum = sum_begin(from->nonce);
    for (uint64_t at = 0; at < record->data_length; at += PIECE) {
        size_t size = record->data_length - at < PIECE ? (size_t)(record->data_length - at) : PIECE;
        if (!read_whole(from->file, piece, size, entry->data + at))
            return false;
        sum_more(&sum, piece, size);
    }
    return sum_end(&sum, record, entry->path, entry->other) == record->checksum;
}

static bool read_before(const struct undo_journal *journal, unsigned stream, uint64_t end,
                        struct undo_entry *entry)
{
    uint32_t length = 0;
    return end > UNDO_RECORDS_AT &&
           read_whole(journal->streams[stream].file, &length, sizeof length, end - sizeof length) &&
           length <= end - UNDO_RECORDS_AT && length >= sizeof entry->record &&
           read_record(journal, stream, end - length, entry) && entry->record.length == length;
}

/*
 * A hint saves reading them all. Hostile ones lead nowhere: the record before it must be one, and
 * whoever can write one can write any.
 */
static void find_records(struct undo_journal *journal, unsigned stream)
{
    struct undo_entry entry;
    struct undo_stream *to = &journal->streams[stream];
    uint64_t at = journal->head.hint[stream];
    bool found = journal->head.hint_sequence == undo_sequence(&journal->head) &&
                 read_before(journal, stream, at, &entry);
    if (!found)
        at = UNDO_RECORDS_AT;
    do {
        to->end = at;
        to->next = found ? entry.record.next : 1;
        to->used = found ? entry.record.used : 0;
        found = read_record(journal, stream, at, &entry);
        at += found ? entry.record.length : 0;
    } while (found);
}

void undo_stream_ends(const struct undo_journal *journal, uint64_t ends[static UNDO_STREAMS])
{
    for (unsigned i = 0; i < UNDO_STREAMS; i++) {
        uint64_t undone = journal->head.undone[i];
        ends[i] = journal->streams[i].file < 0 ? 0 : journal->streams[i].end;
        if (undone != 0 && undone < ends[i])
            ends[i] = undone;
    }
}

bool undo_stream_last(const struct undo_journal *journal, uint64_t ends[static UNDO_STREAMS],
                      struct undo_entry *entry)
{
    uint64_t times[UNDO_STREAMS] = {0, 0};
    bool found[UNDO_STREAMS];
    for (unsigned i = 0; i < UNDO_STREAMS; i++) {
        found[i] = read_before(journal, i, ends[i], entry);
        if (found[i])
            times[i] = entry->record.time;
    }
    unsigned stream =
        found[UNDO_JOINED] && (!found[UNDO_MAIN] || times[UNDO_JOINED] > times[UNDO_MAIN])
            ? UNDO_JOINED
            : UNDO_MAIN;
    if (!found[stream] || !read_before(journal, stream, ends[stream], entry))
        return false;
    ends[stream] = entry->start;
    return true;
}

/* --- opening --- */

static int begin_stream(struct undo_journal *journal, struct undo_stream *stream)
{
    struct undo_stream_head head = {.id = journal->head.id, .nonce = kernel_random()};
    memcpy(head.magic, stream_magic, sizeof head.magic);
    int result = kernel_ftruncate(stream->file, 0);
    if (result != 0)
        return result;
    ssize_t size = kernel_pwrite(stream->file, &head, sizeof head, 0);
    stream->nonce = head.nonce;
    return size == (ssize_t)sizeof head ? 0 : size < 0 ? (int)size : -ENOSPC;
}

int undo_stream_open(struct undo_journal *journal, unsigned stream, bool create)
{
    struct undo_stream *opened = &journal->streams[stream];
    struct undo_stream_head head;
    opened->next = 1;
    opened->end = UNDO_RECORDS_AT;
    int file = undo_journal_open_file(journal, stream_names[stream], 0600, create);
    if (file < 0)
        return file;
    opened->file = file;
    if (!read_whole(file, &head, sizeof head, 0) ||
        memcmp(head.magic, stream_magic, sizeof head.magic) != 0 || head.id != journal->head.id) {
        /* Of a journal that was here before, or not begun yet: without a record. */
        return create ? begin_stream(journal, opened) : 0;
    }
    opened->nonce = head.nonce;
    if (undo_state(&journal->head) == UNDO_OPEN || undo_state(&journal->head) == UNDO_COUNTS)
        find_records(journal, stream);
    return 0;
}

/* --- adding --- */

static int write_whole(int file, const void *bytes, size_t size, uint64_t offset)
{
    ssize_t written = kernel_pwrite(file, bytes, size, (off_t)offset);
    return written == (ssize_t)size ? 0 : written < 0 ? (int)written : -ENOSPC;
}

static uint64_t monotonic_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Content of more than one piece comes first, then what ends the record, and its beginning last. */
static int write_long(const struct undo_stream *stream, struct undo_record *record,
                      const char *path, const char *other, const struct undo_source *source)
{
    char piece[PIECE];
    struct tail tail = {.length = record->length};
    struct sum sum = sum_begin(stream->nonce);
    uint64_t texts = stream->end + sizeof *record;
    uint64_t data = texts + record->path_length + record->other_length;
    int result = 0;
    for (uint64_t at = 0; result == 0 && at < source->size; at += PIECE) {
        size_t size = source->size - at < PIECE ? (size_t)(source->size - at) : PIECE;
        ssize_t got = kernel_pread(source->file, piece, size, (off_t)(source->offset + at));
        if (got != (ssize_t)size)
            return got < 0 ? (int)got : -EIO;
        sum_more(&sum, piece, size);
        result = write_whole(stream->file, piece, size, data + at);
    }
    if (result == 0)
        result = write_whole(stream->file, &tail, sizeof tail, data + source->size);
    if (result != 0)
        return result;
    record->time = monotonic_now();
    record->checksum = sum_end(&sum, record, path, other);
    struct iovec parts[] = {{record, sizeof *record},
                            {(void *)path, record->path_length},
                            {(void *)other, record->other_length}};
    ssize_t written = kernel_pwritev(stream->file, parts, 3, (off_t)stream->end);
    size_t wanted = sizeof *record + record->path_length + record->other_length;
    return written == (ssize_t)wanted ? 0 : written < 0 ? (int)written : -ENOSPC;
}

static int write_short(const struct undo_stream *stream, struct undo_record *record,
                       const char *path, const char *other, const struct undo_source *source)
{
    char piece[PIECE];
    struct tail tail = {.length = record->length};
    size_t size = record->data_length;
    if (size > 0) {
        ssize_t got = kernel_pread(source->file, piece, size, (off_t)source->offset);
        if (got != (ssize_t)size)
            return got < 0 ? (int)got : -EIO;
    }
    struct sum sum = sum_begin(stream->nonce);
    sum_more(&sum, piece, size);
    record->time = monotonic_now();
    record->checksum = sum_end(&sum, record, path, other);
    struct iovec parts[] = {{record, sizeof *record},
                            {(void *)path, record->path_length},
                            {(void *)other, record->other_length},
                            {piece, size},
                            {&tail, sizeof tail}};
    ssize_t written = kernel_pwritev(stream->file, parts, 5, (off_t)stream->end);
    size_t wanted = record->length - sizeof tail.length + sizeof tail;
    return written == (ssize_t)wanted ? 0 : written < 0 ? (int)written : -ENOSPC;
}

/* The names of the saved object, of the journal, and of the directory that they are in. */
static int make_durable(const struct undo_journal *journal, int file, bool first)
{
    const char *name;
    int result = kernel_fdatasync(file);
    if (result == 0)
        result = kernel_fdatasync(journal->file);
    if (result == 0)
        result = kernel_fsync(journal->directory);
    if (result != 0 || !first)
        return result;
    int parent = undo_open_parent(journal->lock_path, &name);
    int readable =
        parent < 0 ? parent : kernel_openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (readable >= 0) {
        result = kernel_fsync(readable);
        (void)kernel_close(readable);
    }
    if (parent >= 0)
        (void)kernel_close(parent);
    return readable < 0 ? readable : result;
}

static int open_session(struct undo_journal *journal)
{
    uint64_t sequence = undo_sequence(&journal->head);
    if (undo_state(&journal->head) == UNDO_OPEN)
        return 0;
    if (undo_state(&journal->head) == UNDO_SETTLED)
        sequence++;
    return undo_journal_say(journal, sequence, UNDO_OPEN);
}

static int write_hint(struct undo_journal *journal)
{
    const size_t from = offsetof(struct undo_head, hint_sequence);
    struct undo_head *head = &journal->head;
    uint64_t sequence = undo_sequence(head);
    if (head->hint_sequence != sequence)
        head->hint[UNDO_MAIN] = head->hint[UNDO_JOINED] = UNDO_RECORDS_AT;
    head->hint_sequence = sequence;
    head->hint[journal->stream] = journal->streams[journal->stream].end;
    return write_whole(journal->file, &head->hint_sequence,
                       offsetof(struct undo_head, undone) - from, from);
}

int undo_stream_add(struct undo_journal *journal, const struct undo *undo,
                    struct undo_record *record, const char *path, const char *other,
                    const struct undo_source *source)
{
    struct undo_stream *stream = &journal->streams[journal->stream];
    bool first = stream->end == UNDO_RECORDS_AT;
    if (other == NULL)
        other = "";
    int result = open_session(journal);
    if (result != 0)
        return result;
    record->magic = RECORD_MAGIC;
    record->sequence = undo_sequence(&journal->head);
    record->path_length = (uint16_t)strlen(path);
    record->other_length = (uint16_t)strlen(other);
    record->data_length = source != NULL ? (uint32_t)source->size : 0;
    record->length = (uint32_t)(sizeof *record + record->path_length + record->other_length +
                                record->data_length + sizeof record->length);
    record->used = stream->used + record->bytes;
    record->next = record->number >= stream->next ? record->number + 1 : stream->next;
    if (undo->durable)
        record->flags |= UNDO_RECORD_DURABLE;
    result = record->data_length > PIECE ? write_long(stream, record, path, other, source)
                                         : write_short(stream, record, path, other, source);
    if (result != 0)
        return result;
    stream->end += record->length;
    stream->used = record->used;
    stream->next = record->next;
    if (journal->kept == NULL)
        result = write_hint(journal);
    return result == 0 && undo->durable ? make_durable(journal, stream->file, first) : result;
}
