/*
 * lockctl's side of a command: making the anchor, and letting go when the command is over. It must
 * never let go while a process that touched a table lives and has not left.
 */
#include "shim/lock/command.h"

#include "shim/lock/command_anchor.h"
#include "shim/lock/command_member.h"
#include "shim/lock/fenced.h"
#include "shim/lock/kernel.h"
#include "shim/lock/kernel_files.h"
#include "shim/lock/lock.h"
#include "shim/lock/own.h"
#include "shim/lock/process.h"
#include "shim/lock/resolve.h"
#include "shim/lock/succession.h"
#include "shim/lock/undo_lock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>

struct command_lock {
    char path[RESOLVE_SIZE];
    const struct table_settings *table;
};

/* One mapping, never freed: a process makes one command in its life. */
struct command {
    struct command_anchor *anchor;
    int descriptor;
    size_t count;
    struct command_lock locks[];
};

static void *map_memory(size_t size)
{
    return kernel_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int complain(char *message, size_t size, int error, const char *what, const char *path)
{
    snprintf(message, size, "%s '%.500s': %s", what, path, strerror(-error));
    return error;
}

static bool is_known(const struct command *command, const char *path)
{
    uint64_t hash = command_path_hash(path);
    int descriptor;
    if (command_entry_for(path, &descriptor) != NULL)
        return true; /* the command around this one owns it */
    for (size_t i = 0; i < command->count; i++) {
        if (command->anchor->entries[i].path_hash == hash)
            return true;
    }
    return false;
}

/* Many tables need many descriptors; those beyond the soft limit stay valid when it is put back. */
static void raise_limit(size_t count, struct rlimit *before)
{
    if (KERNEL_CALL(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, before, 0, 0) != 0)
        return;
    struct rlimit wanted = *before;
    rlim_t needed = (rlim_t)own_anchor_number() + count + 64;
    if (needed <= wanted.rlim_cur)
        return;
    wanted.rlim_cur = needed < wanted.rlim_max ? needed : wanted.rlim_max;
    (void)KERNEL_CALL(SYS_prlimit64, 0, RLIMIT_NOFILE, &wanted, NULL, 0, 0);
}

static int open_lock(struct command *command, const struct table_settings *table, char *message,
                     size_t size)
{
    struct command_lock *lock = &command->locks[command->count];
    struct command_entry *entry = &command->anchor->entries[command->count];
    if (!resolve_lock_path(table, lock->path))
        return complain(message, size, -ENAMETOOLONG, "lock file of table", table->path);
    if (is_known(command, lock->path))
        return 0;
    int descriptor = lock_open_file(lock->path, table->path);
    if (descriptor < 0)
        return complain(message, size, descriptor, "lock file", lock->path);
    struct stat status;
    int result = kernel_fstat(descriptor, &status);
    if (result == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
        result = -EINVAL;
    int moved = result != 0 ? result : kernel_fcntl(descriptor, F_DUPFD, own_anchor_number() + 1);
    (void)kernel_close(descriptor);
    if (moved < 0)
        return complain(message, size, moved, "lock file", lock->path);
    own_record(moved);
    lock->table = table;
    entry->path_hash = command_path_hash(lock->path);
    entry->device = status.st_dev;
    entry->inode = status.st_ino;
    entry->descriptor = moved;
    entry->supervisor = kernel_getpid();
    command->count++;
    command->anchor->count = (uint32_t)command->count;
    return 0;
}

/* The memory file, at the number where members look; an outer command's anchor moves up. */
static int place_anchor(struct command *command, int descriptor)
{
    int number = own_anchor_number();
    int outer = -1;
    bool left;
    if (command_find(&left)) {
        outer = kernel_fcntl(number, F_DUPFD, number + 1);
        if (outer >= 0)
            own_record(outer);
    }
    command->anchor->outer = outer;
    if (kernel_dup3(descriptor, number, 0) != number)
        return -EMFILE;
    (void)kernel_close(descriptor);
    own_record(number);
    command->descriptor = number;
    command_adopt(command->anchor, number);
    return kernel_fcntl(number, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}

/* A limit on file sizes holds for memory as well; its signal is not to end us. */
static int set_size(int descriptor, size_t size)
{
    static const uint64_t file_size_signal = 1ull << (SIGXFSZ - 1);
    uint64_t before = 0;
    (void)kernel_sigprocmask(SIG_BLOCK, &file_size_signal, &before);
    int result = kernel_ftruncate(descriptor, (off_t)size);
    if (result == -EFBIG && (before & file_size_signal) == 0)
        (void)kernel_take_signal(&file_size_signal);
    (void)kernel_sigprocmask(SIG_SETMASK, &before, NULL);
    return result;
}

static int make_anchor(struct command *command, size_t tables)
{
    size_t size = sizeof(struct command_anchor) + tables * sizeof(struct command_entry);
    int descriptor = kernel_memfd_create("lockshim-command", MFD_ALLOW_SEALING);
    if (descriptor < 0)
        return descriptor;
    int result = set_size(descriptor, size);
    command->anchor =
        result != 0 ? NULL
                    : kernel_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (command->anchor == NULL) {
        (void)kernel_close(descriptor);
        return result != 0 ? result : -ENOMEM;
    }
    memcpy(command->anchor->magic, COMMAND_MAGIC, sizeof command->anchor->magic);
    command->anchor->version = COMMAND_VERSION;
    command->anchor->size = size;
    command->anchor->supervisor = kernel_getpid();
    return place_anchor(command, descriptor);
}

int command_create(struct command **made, const struct settings *settings, char *message,
                   size_t size)
{
    struct rlimit before;
    lock_self_set_up();
    struct command *command =
        map_memory(sizeof *command + settings->count * sizeof command->locks[0]);
    if (command == NULL)
        return complain(message, size, -ENOMEM, "memory for", "a command");
    raise_limit(settings->count, &before);
    int result = make_anchor(command, settings->count);
    if (result != 0)
        complain(message, size, result, "memory file", "lockshim-command");
    for (size_t i = 0; result == 0 && i < settings->count; i++) {
        if (settings->tables[i].scope == SCOPE_COMMAND)
            result = open_lock(command, &settings->tables[i], message, size);
    }
    (void)KERNEL_CALL(SYS_prlimit64, 0, RLIMIT_NOFILE, &before, NULL, 0, 0);
    *made = command;
    return result;
}

static void describe_lock(struct lock *lock, struct command *command, size_t index)
{
    struct command_entry *entry = &command->anchor->entries[index];
    const struct table_settings *table = command->locks[index].table;
    *lock = (struct lock){.path = command->locks[index].path,
                          .table_path = table->path,
                          .shared = table->shared,
                          .scope = SCOPE_COMMAND,
                          .dependents = table->dependents,
                          .on_crash = table->on_crash,
                          .durable = table->durable,
                          .undo_limit = table->undo_limit,
                          .entry = entry,
                          .descriptor = entry->descriptor,
                          .borrowed = -1,
                          .device = entry->device,
                          .inode = entry->inode,
                          .slot = -1,
                          .registry = {.descriptor = -1}};
}

int command_lock_now(struct command *command, char *message, size_t size)
{
    struct lock *locks = map_memory(command->count * sizeof *locks + 1);
    if (locks == NULL)
        return complain(message, size, -ENOMEM, "memory for", "locks");
    for (size_t i = 0; i < command->count; i++) {
        describe_lock(&locks[i], command, i);
        lock_list_add(&locks[i]);
        int result = lock_enter(&locks[i], command->locks[i].table->timeout, LOCK_KEEP);
        if (result != 0)
            return complain(message, size, result, "lock", locks[i].path);
    }
    return 0;
}

static void wait_for_watched(struct command_anchor *anchor)
{
    for (int i = 0; i < COMMAND_WATCHED; i++) {
        pid_t process = atomic_load(&anchor->watched[i]);
        int descriptor = process > 0 ? kernel_pidfd_open(process) : -1;
        if (descriptor < 0)
            continue;
        struct pollfd watched = {.fd = descriptor, .events = POLLIN};
        while (kernel_poll(&watched, 1, -1) == -EINTR) {
        }
        (void)kernel_close(descriptor);
    }
}

/* What the command changed counts as done, unless it, or the last one to change, was killed. */
static void settle_mark(struct registry *registry, struct registry_head *head, bool by_signal,
                        bool undone, const struct succession *succession)
{
    static const uint32_t no;
    struct registry_mark *mark = &head->mark;
    head->generation++;
    bool last_was_killed =
        mark->state == MARK_CHANGED && !process_runs(mark->process, mark->start_time);
    mark->state = (by_signal || last_was_killed) && !undone ? MARK_CHANGED : MARK_CLEAN;
    if (mark->state == MARK_CLEAN && !succession->settles)
        *mark = succession->heir;
    if (mark->state == MARK_CLEAN && head->crashed != 0)
        (void)registry_write(registry, REGISTRY_OFFSET(head.crashed), &no, sizeof no);
}

/* Rolled back at once, rather than by whoever comes next. True: it was. */
static bool settle_journal(struct command *command, size_t index, struct registry *registry,
                           bool by_signal)
{
    static const uint32_t no;
    struct command_entry *entry = &command->anchor->entries[index];
    const struct command_lock *lock = &command->locks[index];
    if (lock->table->on_crash != ON_CRASH_ROLLBACK || !undo_exists(lock->path))
        return false;
    if (by_signal || command_changer_died(entry)) {
        if (undo_roll_back(lock->path, lock->table->path) != 1)
            return false;
        undo_lock_tell(registry, atomic_load(&entry->last_changer));
        return true;
    }
    if (undo_commit(lock->path, lock->table->path, lock->table->durable) != 0)
        (void)undo_mark_ending(lock->path, lock->table->path, true);
    (void)registry_write(registry, REGISTRY_OFFSET(head.undo), &no, sizeof no);
    return false;
}

static void clear_members(struct registry *registry, pid_t supervisor)
{
    struct registry_holder all[REGISTRY_HOLDERS];
    if (!registry_read(registry, REGISTRY_OFFSET(holders), all, sizeof all))
        return;
    for (int i = 0; i < REGISTRY_HOLDERS; i++) {
        if (all[i].process != 0 && all[i].supervisor == supervisor)
            registry_clear_holder(registry, i, all[i].process);
    }
}

static void publish_end(struct registry *registry, struct command_entry *entry, bool by_signal,
                        bool undone, const struct succession *succession)
{
    struct registry_head head;
    if (!registry_look(registry, &head))
        return;
    if (atomic_load(&entry->changed) != 0 || head.mark.process == entry->supervisor)
        settle_mark(registry, &head, by_signal, undone, succession);
    if (head.exclusive.supervisor == entry->supervisor) {
        if (head.exclusive.process != 0)
            registry_held(registry, &head, registry_now() - head.exclusive.since);
        head.exclusive.process = 0;
    }
    (void)registry_write(registry, REGISTRY_HOLDERS_HALF,
                         (const char *)&head + REGISTRY_HOLDERS_HALF,
                         sizeof head - REGISTRY_HOLDERS_HALF);
    clear_members(registry, entry->supervisor);
}

static void settle(struct command *command, size_t index, bool by_signal)
{
    struct command_entry *entry = &command->anchor->entries[index];
    struct lock lock;
    struct registry_head head;
    struct succession succession;
    describe_lock(&lock, command, index);
    /* Somebody has let go of it behind our back: what there is by now is the next holder's. */
    if (lock_shows_flock(entry->descriptor, lock.shared) == 0)
        return;
    registry_open_existing(&lock.registry, lock.path);
    succession_begin(&succession, &lock, registry_look(&lock.registry, &head) ? &head : NULL);
    bool undone = succession.settles && settle_journal(command, index, &lock.registry, by_signal);
    publish_end(&lock.registry, entry, by_signal, undone, &succession);
    (void)kernel_flock(entry->descriptor, LOCK_UN);
    succession_end(&succession, &lock);
    registry_wake(&lock.registry, 0);
    registry_close(&lock.registry);
}

/* Whoever has broken it has settled the rest; who is still at it may give up. */
static bool settle_unless_broken(struct command *command, size_t index, bool by_signal)
{
    struct command_entry *entry = &command->anchor->entries[index];
    atomic_store(&entry->leaving, 1);
    bool ours = command_broken(entry) == 0;
    if (ours)
        settle(command, index, by_signal);
    atomic_store(&entry->leaving, 0);
    return ours;
}

static void let_go(struct command *command, size_t index, bool by_signal)
{
    struct command_entry *entry = &command->anchor->entries[index];
    if (atomic_load(&entry->locked) == 0) {
        (void)kernel_flock(entry->descriptor, LOCK_UN);
        return;
    }
    uint64_t began = registry_now();
    bool lasts = true;
    while (!settle_unless_broken(command, index, by_signal) && lasts)
        lasts = fenced_break_lasts(entry->descriptor, began);
}

void command_finish(struct command *command, bool by_signal)
{
    while (command_byte_lock(command->descriptor, F_WRLCK, true) == -EINTR) {
    }
    wait_for_watched(command->anchor);
    atomic_store(&command->anchor->over, by_signal ? COMMAND_KILLED : COMMAND_ENDED);
    for (size_t i = 0; i < command->count; i++)
        let_go(command, i, by_signal);
}
