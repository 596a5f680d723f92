/*
 * Being a member of a command. It must never keep a process in a command that is over, and never
 * drop a lock that others of the command still need.
 */
#include "shim/lock/command_member.h"

#include "shim/lock/command_anchor.h"
#include "shim/lock/kernel.h"
#include "shim/lock/own.h"
#include "shim/lock/process.h"

#include <errno.h>
#include <string.h>

struct membership {
    struct command_anchor *anchor;
    int descriptor;
    _Atomic pid_t registered; /* the process that has the read lock on byte 0 */
};

static struct membership memberships[COMMAND_NESTED];
static int membership_count;

uint64_t command_path_hash(const char *path)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a, 64 bits */
    for (; *path != '\0'; path++)
        hash = (hash ^ (unsigned char)*path) * 1099511628211u;
    return hash;
}

static int lock_byte(int descriptor, off_t at, short type, bool wait)
{
    struct flock byte = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    return kernel_fcntl(descriptor, wait ? F_SETLKW : F_SETLK, (long)&byte);
}

int command_byte_lock(int descriptor, short type, bool wait)
{
    return lock_byte(descriptor, 0, type, wait);
}

/* A memory file of ours, sealed so that it can't shrink under the map, with a sound header. */
static struct command_anchor *map_anchor(int descriptor)
{
    struct stat status;
    struct command_anchor header;
    int seals = kernel_fcntl(descriptor, F_GET_SEALS, 0);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || kernel_fstat(descriptor, &status) != 0 ||
        status.st_size < (off_t)sizeof header ||
        kernel_pread(descriptor, &header, sizeof header, 0) != (ssize_t)sizeof header)
        return NULL;
    if (memcmp(header.magic, COMMAND_MAGIC, sizeof header.magic) != 0 ||
        header.version != COMMAND_VERSION || header.size != (uint64_t)status.st_size ||
        (header.size - sizeof header) / sizeof(struct command_entry) < header.count)
        return NULL;
    return kernel_mmap(NULL, (size_t)header.size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor,
                       0);
}

static bool add_membership(int descriptor)
{
    struct command_anchor *anchor = map_anchor(descriptor);
    if (anchor == NULL)
        return false;
    memberships[membership_count++] =
        (struct membership){.anchor = anchor, .descriptor = descriptor};
    own_record(descriptor);
    for (uint32_t i = 0; i < anchor->count; i++)
        own_record(anchor->entries[i].descriptor);
    return true;
}

bool command_find(bool *left)
{
    *left = false;
    if (membership_count > 0)
        return true;
    for (int i = 0; i < OWN_ANCHOR_NUMBERS; i++) {
        int descriptor = own_anchor_candidate(i);
        if (kernel_fcntl(descriptor, F_GETFD, 0) < 0 || !add_membership(descriptor))
            continue;
        if (atomic_load(&memberships[0].anchor->over) != 0 && memberships[0].anchor->count == 0) {
            *left = true;
            membership_count = 0;
            return false;
        }
        while (membership_count < COMMAND_NESTED) {
            int outer = memberships[membership_count - 1].anchor->outer;
            if (outer < 0 || !add_membership(outer))
                break;
        }
        return true;
    }
    return false;
}

void command_adopt(struct command_anchor *anchor, int descriptor)
{
    if (membership_count > 0)
        memberships[0].descriptor = anchor->outer;
    if (membership_count == COMMAND_NESTED)
        membership_count--;
    memmove(&memberships[1], &memberships[0], (size_t)membership_count * sizeof *memberships);
    memberships[0] = (struct membership){.anchor = anchor, .descriptor = descriptor};
    membership_count++;
}

static bool is_entry_for(const struct command_entry *entry, uint64_t hash,
                         const struct stat *status)
{
    return entry->path_hash == hash ||
           (status != NULL && entry->device == status->st_dev && entry->inode == status->st_ino);
}

struct command_entry *command_entry_for(const char *lock_path, int *descriptor)
{
    struct stat status;
    bool there = membership_count > 0 && kernel_fstatat(AT_FDCWD, lock_path, &status, 0) == 0;
    uint64_t hash = command_path_hash(lock_path);
    for (int i = 0; i < membership_count; i++) {
        struct command_anchor *anchor = memberships[i].anchor;
        for (uint32_t j = 0; j < anchor->count; j++) {
            struct command_entry *entry = &anchor->entries[j];
            if (!is_entry_for(entry, hash, there ? &status : NULL))
                continue;
            struct stat shared;
            if (kernel_fstat(entry->descriptor, &shared) != 0 || shared.st_dev != entry->device ||
                shared.st_ino != entry->inode)
                return NULL; /* closed behind our back: we are out of the command */
            *descriptor = entry->descriptor;
            return entry;
        }
    }
    return NULL;
}

static struct membership *membership_of(const struct command_entry *entry)
{
    for (int i = 0; i < membership_count; i++) {
        const struct command_anchor *anchor = memberships[i].anchor;
        if (entry >= anchor->entries && entry < anchor->entries + anchor->count)
            return &memberships[i];
    }
    return NULL;
}

int command_register(struct command_entry *entry)
{
    struct membership *membership = membership_of(entry);
    if (membership == NULL)
        return COMMAND_IS_OVER;
    pid_t self = kernel_getpid();
    if (atomic_load(&membership->registered) == self)
        return 0;
    int result = command_byte_lock(membership->descriptor, F_RDLCK, false);
    if (result == -EAGAIN || result == -EACCES || result == -EBADF)
        return COMMAND_IS_OVER;
    if (result != 0)
        return result;
    if (atomic_load(&membership->anchor->over) != 0) {
        (void)command_byte_lock(membership->descriptor, F_UNLCK, false);
        return COMMAND_IS_OVER;
    }
    atomic_store(&membership->registered, self);
    return 0;
}

bool command_begin_turn(const struct command_entry *entry)
{
    enum { YIELDS = 100, PAUSES = 20000 }; /* two seconds in all */
    const struct membership *membership = membership_of(entry);
    if (membership == NULL)
        return false;
    for (int times = 0; times < YIELDS + PAUSES; times++) {
        int result = lock_byte(membership->descriptor, COMMAND_TURN_BYTE, F_WRLCK, false);
        if (result != -EAGAIN && result != -EACCES)
            return result == 0;
        if (times < YIELDS)
            kernel_yield();
        else
            (void)kernel_poll(NULL, 0, 100000);
    }
    return false;
}

void command_end_turn(const struct command_entry *entry)
{
    const struct membership *membership = membership_of(entry);
    if (membership != NULL)
        (void)lock_byte(membership->descriptor, COMMAND_TURN_BYTE, F_UNLCK, false);
}

int command_open_again(struct lock *lock)
{
    struct command_entry *entry = lock->entry;
    pid_t process = atomic_load(&entry->new_process);
    int descriptor;
    if (process != 0 && process != kernel_getpid()) {
        /* Another member has it: share that description, or go without. */
        int pidfd = kernel_pidfd_open(process);
        if (pidfd < 0)
            return -ENOLCK;
        descriptor = (int)KERNEL_CALL(SYS_pidfd_getfd, pidfd, atomic_load(&entry->new_descriptor),
                                      0, 0, 0, 0);
        (void)kernel_close(pidfd);
    } else {
        descriptor = lock_open_file(lock->path, lock->table_path);
    }
    if (descriptor < 0)
        return process != 0 ? -ENOLCK : descriptor;
    struct stat status;
    int result = kernel_fstat(descriptor, &status);
    if (result != 0) {
        (void)kernel_close(descriptor);
        return result;
    }
    descriptor = own_adopt(descriptor);
    (void)kernel_fcntl(descriptor, F_SETFD, 0); /* members to come inherit it */
    lock->device = status.st_dev;
    lock->inode = status.st_ino;
    lock->path_checked = 0;
    atomic_store(&lock->descriptor, descriptor);
    if (process == 0) {
        atomic_store(&entry->new_descriptor, descriptor);
        atomic_store(&entry->new_process, kernel_getpid());
    }
    return 0;
}

void command_watch(pid_t process)
{
    for (int i = 0; i < membership_count; i++) {
        struct command_anchor *anchor = memberships[i].anchor;
        for (int j = 0; j < COMMAND_WATCHED; j++) {
            int32_t none = atomic_load(&anchor->watched[j]);
            if (none != 0 && process_is_alive(none, 0))
                continue;
            if (atomic_compare_exchange_strong(&anchor->watched[j], &none, process))
                break;
        }
    }
}

/*
 * What stays at the anchor's number says that this process, and what it executes, has left: else
 * the next program would take itself for the founder of a command.
 */
static void leave_tombstone(int number)
{
    struct command_anchor tombstone = {
        .version = COMMAND_VERSION, .size = sizeof tombstone, .over = 1, .outer = -1};
    memcpy(tombstone.magic, COMMAND_MAGIC, sizeof tombstone.magic);
    int descriptor = kernel_memfd_create("lockshim-left", MFD_ALLOW_SEALING);
    if (descriptor < 0)
        return;
    if (kernel_pwrite(descriptor, &tombstone, sizeof tombstone, 0) == (ssize_t)sizeof tombstone &&
        kernel_fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        (void)kernel_dup3(descriptor, number, 0);
    (void)kernel_close(descriptor);
}

void command_close_copies(void)
{
    int number = membership_count > 0 ? memberships[0].descriptor : -1;
    for (int i = 0; i < membership_count; i++) {
        struct command_anchor *anchor = memberships[i].anchor;
        for (uint32_t j = 0; j < anchor->count; j++)
            (void)kernel_close(anchor->entries[j].descriptor);
        (void)kernel_close(memberships[i].descriptor);
    }
    if (number >= 0)
        leave_tombstone(number);
}

void command_leave(void)
{
    int number = membership_count > 0 ? memberships[0].descriptor : -1;
    for (int i = 0; i < membership_count; i++) {
        struct command_anchor *anchor = memberships[i].anchor;
        for (uint32_t j = 0; j < anchor->count; j++)
            own_close(anchor->entries[j].descriptor);
        own_close(memberships[i].descriptor);
        /* The map stays: another thread may be looking at it. */
    }
    membership_count = 0;
    if (number >= 0) {
        leave_tombstone(number);
        own_record(number);
    }
}

void command_moved(int from, int to)
{
    for (int i = 0; i < membership_count; i++) {
        if (memberships[i].descriptor == from)
            memberships[i].descriptor = to;
    }
}

void command_note_change(struct command_entry *entry, pid_t process)
{
    atomic_store(&entry->ended_changer, 0);
    atomic_store(&entry->last_changer, process);
    atomic_store(&entry->changed, 1);
}

void command_note_end(struct command_entry *entry, pid_t process)
{
    if (atomic_load(&entry->last_changer) == process)
        atomic_store(&entry->ended_changer, process);
}

bool command_supervisor_died(const struct command_entry *entry)
{
    return !process_is_alive(entry->supervisor, 0);
}

bool command_changer_died(const struct command_entry *entry)
{
    struct command_entry *shared = (struct command_entry *)entry;
    pid_t last = atomic_load(&shared->last_changer);
    return atomic_load(&shared->changed) != 0 && atomic_load(&shared->ended_changer) != last &&
           !process_runs(last, 0);
}

bool command_is_alone(const struct command_entry *entry)
{
    const struct membership *membership = membership_of(entry);
    struct flock byte = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    return membership != NULL && kernel_fcntl(membership->descriptor, F_GETLK, (long)&byte) == 0 &&
           byte.l_type == F_UNLCK;
}

uint32_t command_moves(struct command_entry *entry, uint32_t more)
{
    return atomic_fetch_add(&entry->moves, more) + more;
}

bool command_settle(struct command_entry *entry, bool counts)
{
    return atomic_exchange(&entry->settled, counts) != 0;
}

pid_t command_last_changer(const struct command_entry *entry)
{
    return atomic_load(&((struct command_entry *)entry)->last_changer);
}

bool command_has_changed(const struct command_entry *entry)
{
    return atomic_load(&((struct command_entry *)entry)->changed) != 0;
}

void command_note_locked(struct command_entry *entry)
{
    atomic_store(&entry->locked, 1);
}

bool command_has_locked(const struct command_entry *entry)
{
    return entry != NULL && atomic_load(&((struct command_entry *)entry)->locked) != 0;
}

uint32_t command_broken(const struct command_entry *entry)
{
    return atomic_load(&((struct command_entry *)entry)->broken);
}

bool command_was_killed(const struct command_entry *entry)
{
    const struct membership *membership = membership_of(entry);
    return membership != NULL && atomic_load(&membership->anchor->over) == COMMAND_KILLED;
}

pid_t command_supervisor(const struct command_entry *entry)
{
    return entry != NULL ? entry->supervisor : 0;
}
