/*
 * From the shim's records to the account: what a descriptor stands for, and where the sessions of
 * each process begin and end, as the shim itself would count them under scope `session`. (A mapping
 * is left out: so a session may end here too early, never too late.)
 */
#include "lockctl/advise/account.h"

#include "lockctl/lockctl.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct reading {
    struct account *account;
    const struct trace_record *record;
    const char *first, *second; /* not terminated */
    size_t process;
};

static struct account_process *self(const struct reading *reading)
{
    return &reading->account->processes[reading->process];
}

/* --- descriptors --- */

static struct account_descriptor *find_descriptor(struct account_process *process, int number)
{
    for (size_t i = 0; i < process->descriptor_count; i++)
        if (process->descriptors[i].number == number)
            return &process->descriptors[i];
    return NULL;
}

static void drop_descriptor(struct account_process *process, struct account_descriptor *dropped)
{
    if (dropped->counted && process->open_now > 0)
        process->open_now--;
    *dropped = process->descriptors[--process->descriptor_count];
}

static void put_descriptor(struct account_process *process, struct account_descriptor descriptor)
{
    struct account_descriptor *old = find_descriptor(process, descriptor.number);
    if (old != NULL)
        drop_descriptor(process, old);
    process->descriptors =
        grow(process->descriptors, process->descriptor_count, sizeof *process->descriptors);
    process->descriptors[process->descriptor_count++] = descriptor;
    if (descriptor.counted)
        process->open_now++;
}

/* What was there before an exec, and has not been found by the new program, was close-on-exec. */
static void end_exec(struct account_process *process)
{
    if (!process->in_exec)
        return;
    process->in_exec = false;
    for (size_t i = process->descriptor_count; i-- > 0;)
        if (process->descriptors[i].executed)
            drop_descriptor(process, &process->descriptors[i]);
}

/* --- accesses --- */

static unsigned session_of(struct account_process *process)
{
    return process->open_now > 0 ? process->sessions : ++process->sessions;
}

static void add_access(struct reading *reading, enum access_kind kind, size_t file, size_t other)
{
    struct account *account = reading->account;
    struct account_process *process = self(reading);
    account->accesses = grow(account->accesses, account->access_count, sizeof *account->accesses);
    account->accesses[account->access_count++] = (struct account_access){
        .process = reading->process,
        .file = file,
        .other = other,
        .session = session_of(process),
        .kind = kind,
        .time = reading->record->time,
    };
    process->accesses++;
    if (kind == ACCESS_REMOVE)
        account->files[file].there = false;
    else if (kind == ACCESS_RENAME && file != other)
        account->files[other].there = false;
    if (access_changes(kind) && kind != ACCESS_REMOVE && kind != ACCESS_REFUSED)
        account->files[file].there = true;
}

static size_t first_file(const struct reading *reading)
{
    return account_file(reading->account, reading->first, reading->record->first_length);
}

static void settle_listing(struct reading *reading)
{
    struct account_process *process = self(reading);
    if (!process->pending)
        return;
    process->pending = false;
    /* Of what is no directory it was an open that failed. */
    bool plain = reading->account->files[process->pending_file].plain;
    add_access(reading, plain ? ACCESS_ASK : ACCESS_LIST, process->pending_file, 0);
}

static bool writes(int flags)
{
    return (flags & O_ACCMODE) != O_RDONLY && (flags & O_PATH) == 0;
}

/* How an open counts: by its flags, and by what was there. */
static enum access_kind kind_of_open(const struct account_file *file, int flags)
{
    if ((flags & O_PATH) != 0)
        return ACCESS_ASK;
    if ((flags & O_DIRECTORY) != 0)
        return ACCESS_LIST;
    bool appends = (flags & (O_ACCMODE | O_APPEND | O_EXCL)) == (O_WRONLY | O_APPEND);
    if ((flags & O_CREAT) != 0 && !appends && (!file->there || (flags & O_EXCL) != 0))
        return ACCESS_MAKE;
    if (writes(flags) && (flags & O_TRUNC) != 0)
        return ACCESS_REPLACE;
    if (writes(flags))
        return (flags & O_ACCMODE) == O_RDWR ? ACCESS_UPDATE : ACCESS_OPEN;
    return ACCESS_READ;
}

static void opened(struct reading *reading)
{
    struct account_process *process = self(reading);
    size_t file = first_file(reading);
    int flags = (int)reading->record->flags;
    process->pending = false; /* the listing was this one */
    bool first = process->open_now == 0;
    struct account_descriptor descriptor = {
        .number = reading->record->number,
        .file = file,
        .flags = reading->record->flags,
        .counted = (flags & O_PATH) == 0,
        .stream = reading->record->other != 0 && writes(flags),
    };
    put_descriptor(process, descriptor);
    if (first && descriptor.counted)
        process->sessions++;
    add_access(reading, kind_of_open(&reading->account->files[file], flags), file, 0);
    reading->account->files[file].there = true;
}

static void received(struct reading *reading)
{
    struct account_process *process = self(reading);
    struct account_descriptor *before = find_descriptor(process, reading->record->number);
    struct account_descriptor descriptor = {
        .number = reading->record->number,
        .file = first_file(reading),
        .flags = reading->record->flags,
        .counted = process->in_exec && before != NULL && before->counted,
        .stream = reading->record->number <= STDERR_FILENO && writes((int)reading->record->flags),
    };
    put_descriptor(process, descriptor);
    text_index_add(&reading->account->inherited, reading->account->files[descriptor.file].path,
                   process->pid, descriptor.file);
}

static void write_through(struct reading *reading, const struct account_descriptor *descriptor)
{
    enum access_kind kind = (descriptor->flags & O_APPEND) != 0 ? ACCESS_APPEND : ACCESS_WRITE;
    add_access(reading, kind, descriptor->file, 0);
}

static void written(struct reading *reading)
{
    const struct account_descriptor *descriptor =
        find_descriptor(self(reading), reading->record->number);
    if (descriptor != NULL)
        write_through(reading, descriptor);
    else if (reading->record->first_length > 0)
        add_access(reading, ACCESS_WRITE, first_file(reading), 0);
}

static void closed(struct reading *reading)
{
    struct account_process *process = self(reading);
    struct account_descriptor *descriptor = find_descriptor(process, reading->record->number);
    if (descriptor == NULL)
        return;
    if (descriptor->stream) {
        write_through(reading, descriptor);
        descriptor = find_descriptor(process, reading->record->number);
    }
    if (descriptor != NULL)
        drop_descriptor(process, descriptor);
}

static void duplicated(struct reading *reading)
{
    const struct account_descriptor *descriptor =
        find_descriptor(self(reading), reading->record->number);
    if (descriptor == NULL)
        return;
    struct account_descriptor copy = *descriptor;
    copy.number = reading->record->other;
    put_descriptor(self(reading), copy);
}

static void renamed(struct reading *reading)
{
    const struct trace_record *record = reading->record;
    size_t old_file = first_file(reading);
    size_t new_file = account_file(reading->account, reading->second, record->second_length);
    if ((record->flags & TRACE_OLD_THERE) == 0) {
        add_access(reading, ACCESS_ASK, old_file, 0);
        return;
    }
    add_access(reading, (record->flags & TRACE_LINKED) != 0 ? ACCESS_LINK : ACCESS_RENAME, new_file,
               old_file);
    if ((record->flags & TRACE_EXCHANGED) != 0)
        add_access(reading, ACCESS_RENAME, old_file, new_file);
}

/* --- processes --- */

static void inherit_descriptors(struct account *account, size_t parent, size_t child)
{
    for (size_t i = 0; i < account->processes[parent].descriptor_count; i++) {
        struct account_descriptor copy = account->processes[parent].descriptors[i];
        copy.counted = false;
        copy.stream = false;
        put_descriptor(&account->processes[child], copy);
        text_index_add(&account->inherited, account->files[copy.file].path,
                       account->processes[child].pid, copy.file);
    }
}

/* A pid may be a new process's by now: what it was before is another's story. */
static size_t new_process(struct account *account, size_t known)
{
    const struct account_process *process = &account->processes[known];
    if (process->name == NULL && process->accesses == 0 && process->descriptor_count == 0)
        return known;
    account->processes =
        grow(account->processes, account->process_count, sizeof *account->processes);
    return account->process_count++;
}

static void forked(struct reading *reading)
{
    struct account *account = reading->account;
    const struct trace_record *record = reading->record;
    size_t child = new_process(account, reading->process);
    account->processes[child] = (struct account_process){
        .pid = record->process, .parent = record->parent, .preloaded = true};
    reading->process = child;
    for (size_t i = account->process_count; i-- > 0;) {
        if (i == child || account->processes[i].pid != record->parent)
            continue;
        struct account_process *process = &account->processes[child];
        const struct account_process *parent = &account->processes[i];
        process->name = parent->name;
        process->command = parent->command;
        process->path = parent->path;
        inherit_descriptors(account, i, child);
        return;
    }
}

/* The arguments with blanks between them. */
static const char *join_words(const char *words, size_t length)
{
    char text[TRACE_TEXT + 1];
    while (length > 0 && words[length - 1] == '\0')
        length--;
    for (size_t i = 0; i < length; i++)
        text[i] = words[i] != '\0' ? words[i] : ' ';
    text[length] = '\0';
    return copy_text(text);
}

static const char *kept_text(const char *text, size_t length)
{
    char copy[TRACE_TEXT + 1];
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy_text(copy);
}

static void started(struct reading *reading)
{
    struct account_process *process = self(reading);
    const struct trace_record *record = reading->record;
    if (process->ended) { /* another one with its pid */
        forked(reading);
        process = self(reading);
    }
    const char *path = kept_text(reading->first, record->first_length);
    /* A Go program loads the shim, and makes its system calls past it. */
    process->out_of_reach =
        process->out_of_reach && process->path != NULL && strcmp(path, process->path) == 0;
    process->path = path;
    process->name = account_base(path);
    process->command = join_words(reading->second, record->second_length);
    process->preloaded = true;
    process->in_exec = true;
    for (size_t i = 0; i < process->descriptor_count; i++)
        process->descriptors[i].executed = true;
}

static void out_of_reach(struct reading *reading)
{
    const struct trace_record *record = reading->record;
    enum program_reach reach =
        record->other > PROGRAM_MISSING && record->other <= PROGRAM_UNREADABLE
            ? (enum program_reach)record->other
            : PROGRAM_STATIC;
    const char *path = kept_text(reading->first, record->first_length);
    struct account_process *process = self(reading);
    if (record->number == 0) {
        process->path = path;
        process->name = account_base(path);
        process->out_of_reach = true;
        process->reach = reach;
        return;
    }
    /* A child that is named by the next record of this process. */
    process->spawned_path = path;
    process->spawned_reach = reach;
}

static void spawned(struct reading *reading)
{
    const struct account *account = reading->account;
    size_t child = account_process(reading->account, reading->record->number);
    struct account_process *process = &account->processes[child];
    const struct account_process *parent = self(reading);
    process->parent = parent->pid;
    process->path = parent->spawned_path;
    process->name = process->path != NULL ? account_base(process->path) : NULL;
    process->out_of_reach = true;
    process->reach = parent->spawned_reach;
}

/* What streams still have in their buffers is written after this. */
static void ended(struct reading *reading)
{
    struct account_process *process = self(reading);
    for (size_t i = 0; i < process->descriptor_count; i++)
        if (process->descriptors[i].stream)
            write_through(reading, &process->descriptors[i]);
    process->ended = true;
    process->end_order = reading->account->access_count;
}

/* --- records --- */

static void take_path_record(struct reading *reading)
{
    size_t file = first_file(reading);
    switch (reading->record->kind) {
    case TRACE_ASK:
        add_access(reading, ACCESS_ASK, file, 0);
        break;
    case TRACE_LIST:
        self(reading)->pending = true;
        self(reading)->pending_file = file;
        break;
    case TRACE_NAME:
        add_access(reading, reading->account->files[file].there ? ACCESS_ASK : ACCESS_MAKE, file,
                   0);
        break;
    case TRACE_REMOVE:
        add_access(reading, (reading->record->flags & 1) != 0 ? ACCESS_REMOVE : ACCESS_ASK, file,
                   0);
        break;
    case TRACE_RESIZE:
        add_access(reading, ACCESS_RESIZE, file, 0);
        break;
    case TRACE_TRUNCATE:
        add_access(reading, ACCESS_REPLACE, file, 0);
        break;
    default:
        add_access(reading, ACCESS_REFUSED, file, 0);
        break;
    }
}

static void take_record(struct reading *reading)
{
    struct account_process *process = self(reading);
    uint16_t kind = reading->record->kind;
    if (process->parent == 0)
        process->parent = reading->record->parent;
    if (kind != TRACE_START && process->reach != PROGRAM_GO)
        process->out_of_reach = false; /* that exec has failed: the shim is still there */
    process->preloaded = true;
    if (kind != TRACE_RECEIVED && kind != TRACE_START)
        end_exec(process);
    if (kind == TRACE_MISSED && process->pending) {
        process->pending = false;
        add_access(reading, ACCESS_MISS, process->pending_file, 0);
        return;
    }
    if (kind != TRACE_OPEN)
        settle_listing(reading);
    switch (kind) {
    case TRACE_START:
        started(reading);
        break;
    case TRACE_FORK:
        forked(reading);
        break;
    case TRACE_OUT_OF_REACH:
        out_of_reach(reading);
        break;
    case TRACE_SPAWNED:
        spawned(reading);
        break;
    case TRACE_END:
        ended(reading);
        break;
    case TRACE_OPEN:
        opened(reading);
        break;
    case TRACE_RECEIVED:
        received(reading);
        break;
    case TRACE_MISSED:
        break;
    case TRACE_DUPLICATE:
        duplicated(reading);
        break;
    case TRACE_CLOSE:
        closed(reading);
        break;
    case TRACE_WRITE:
        written(reading);
        break;
    case TRACE_RENAME:
        renamed(reading);
        break;
    default:
        take_path_record(reading);
        break;
    }
}

static bool is_possible(const struct trace_record *record, size_t left)
{
    return record->magic == TRACE_MAGIC && record->size >= sizeof *record && record->size <= left &&
           record->kind > 0 && record->kind < TRACE_KINDS && record->second_length <= TRACE_TEXT &&
           record->first_length + record->second_length <= TRACE_TEXT &&
           record->size == sizeof *record + record->first_length + record->second_length &&
           record->process > 0;
}

/* A listing that nothing followed. */
static void settle_all(struct account *account, const struct trace_record *last)
{
    for (size_t i = 0; i < account->process_count; i++) {
        struct reading reading = {.account = account, .record = last, .process = i};
        settle_listing(&reading);
        free(account->processes[i].descriptors);
        account->processes[i].descriptors = NULL;
        account->processes[i].descriptor_count = 0;
    }
}

void account_read_trace(struct account *account, const void *bytes, size_t size)
{
    const char *at = bytes;
    struct trace_record record = {0};
    for (const char *end = at + size; at < end; at += record.size) {
        if ((size_t)(end - at) < sizeof record) {
            account->damaged = true;
            break;
        }
        memcpy(&record, at, sizeof record);
        if (!is_possible(&record, (size_t)(end - at))) {
            account->damaged = true;
            break;
        }
        struct reading reading = {
            .account = account,
            .record = &record,
            .first = at + sizeof record,
            .second = at + sizeof record + record.first_length,
            .process = account_process(account, record.process),
        };
        take_record(&reading);
    }
    settle_all(account, &record);
}
