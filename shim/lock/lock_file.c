/*
 * The lock file: opening it, locking what is open, and noticing that it is no longer the file at
 * the path. It must never truncate, replace or remove it.
 */
#include "shim/lock/lock.h"

#include "shim/lock/command_anchor.h"
#include "shim/lock/command_member.h"
#include "shim/lock/kernel.h"
#include "shim/lock/own.h"
#include "shim/lock/process.h"

#include <errno.h>
#include <sys/file.h>

/* The path of the lock file is compared with what is open at most this often (ns). */
#define PATH_CHECK_INTERVAL 4000000u

/* Times of files are this coarse at most, on file systems that have flock (ns). */
#define CHANGE_TIME_TICK 20000000u

static int open_existing(const char *path)
{
    int descriptor = kernel_openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
    /* Enough for flock on a local file system, where the file may not be written. */
    if (descriptor == -EACCES || descriptor == -EROFS || descriptor == -EPERM ||
        descriptor == -EISDIR)
        descriptor = kernel_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
    return descriptor;
}

/* A new lock file lets in whoever may use the table. */
static void open_to_users(int descriptor, const char *table_path)
{
    struct stat table, own;
    if (table_path == NULL || kernel_fstatat(AT_FDCWD, table_path, &table, 0) != 0 ||
        kernel_fstat(descriptor, &own) != 0)
        return;
    if (table.st_uid != own.st_uid || table.st_gid != own.st_gid) {
        if (KERNEL_CALL(KERNEL_FCHOWN, descriptor, table.st_uid, table.st_gid, 0, 0, 0) != 0)
            (void)KERNEL_CALL(KERNEL_FCHOWN, descriptor, -1, table.st_gid, 0, 0, 0);
    }
    (void)KERNEL_CALL(SYS_fchmod, descriptor, table.st_mode & 0666, 0, 0, 0, 0);
}

int lock_open_file(const char *path, const char *table_path)
{
    for (int attempt = 0; attempt < 16; attempt++) {
        /* Without O_CREAT first: fs.protected_regular refuses it on others' files in /tmp. */
        int descriptor = open_existing(path);
        if (descriptor != -ENOENT)
            return descriptor;
        descriptor = kernel_openat(
            AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0666);
        if (descriptor >= 0) {
            open_to_users(descriptor, table_path);
            return descriptor;
        }
        if (descriptor != -EEXIST)
            return descriptor;
    }
    return -ENOENT;
}

static int open_descriptor(struct lock *lock)
{
    int descriptor = lock_open_file(lock->path, lock->table_path);
    lock->open_error = descriptor < 0 ? -descriptor : 0;
    if (descriptor < 0)
        return -ENOLCK;
    struct stat status;
    int result = kernel_fstat(descriptor, &status);
    if (result == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
        result = -ENOLCK;
    if (result != 0) {
        (void)kernel_close(descriptor);
        return result;
    }
    descriptor = own_adopt(descriptor);
    lock->device = status.st_dev; /* before the others see the descriptor */
    lock->inode = status.st_ino;
    lock->path_checked = 0;
    int none = -1;
    if (!atomic_compare_exchange_strong(&lock->descriptor, &none, descriptor))
        own_close(descriptor); /* a signal handler was faster */
    return 0;
}

static void close_descriptor(struct lock *lock, int descriptor)
{
    int expected = descriptor;
    if (atomic_compare_exchange_strong(&lock->descriptor, &expected, -1))
        own_close(descriptor);
}

/* --- one attempt --- */

static uint64_t coarse_now(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t change_time(const struct stat *status)
{
    return (uint64_t)status->st_ctim.tv_sec * 1000000000u + (uint64_t)status->st_ctim.tv_nsec;
}

/*
 * Has nothing happened to the lock file since the path was last compared with it, a moment ago?
 * Unlinking, overwriting or renaming it would let two in, one with the old and one with a new file:
 * each of them sets the change time of what is open. What does not, the renaming of a directory
 * above it, is noticed by the next comparison, or by the registry, where whoever locks another
 * inode under this path writes its number.
 */
static bool checked_a_moment_ago(const struct lock *lock, const struct registry_head *head)
{
    struct stat status;
    if (lock->path_checked == 0 ||
        coarse_now(CLOCK_MONOTONIC_COARSE) - lock->path_checked >= PATH_CHECK_INTERVAL)
        return false;
    if (kernel_fstat(atomic_load(&lock->descriptor), &status) != 0 || status.st_nlink == 0 ||
        status.st_ino != lock->inode || change_time(&status) != lock->path_changed)
        return false;
    return !registry_usable(&lock->registry) || head->lock_inode == lock->inode;
}

/* A change so young may have been followed by another one in the same tick of the file's clock. */
static void note_check(struct lock *lock, const struct stat *status)
{
    uint64_t changed = change_time(status);
    bool settled = coarse_now(CLOCK_REALTIME_COARSE) - changed >= CHANGE_TIME_TICK;
    lock->path_changed = changed;
    lock->path_checked = settled ? coarse_now(CLOCK_MONOTONIC_COARSE) : 0;
}

/*
 * Is what we have locked the file at the path? A descriptor that the program closed behind our back
 * shows by its inode.
 */
static bool still_in_place(struct lock *lock, int descriptor, const struct registry_head *head)
{
    struct stat open, named;
    if (checked_a_moment_ago(lock, head))
        return true;
    if (kernel_fstat(descriptor, &open) != 0 || open.st_dev != lock->device ||
        open.st_ino != lock->inode || open.st_nlink == 0)
        return false;
    if (kernel_fstatat(AT_FDCWD, lock->path, &named, 0) != 0 || named.st_dev != lock->device ||
        named.st_ino != lock->inode)
        return false;
    note_check(lock, &open);
    if (head->lock_inode != lock->inode)
        (void)registry_write(&lock->registry, REGISTRY_OFFSET(head.lock_inode), &lock->inode,
                             sizeof lock->inode);
    return true;
}

bool lock_range_taken(int descriptor, int from_level)
{
    struct flock range = {.l_type = F_WRLCK,
                          .l_whence = SEEK_SET,
                          .l_start = LOCK_LEVEL_OFFSET + from_level,
                          .l_len = LOCK_LEVELS};
    if (kernel_fcntl(descriptor, F_OFD_GETLK, (long)&range) != 0)
        return false;
    return range.l_type != F_UNLCK && range.l_pid == -1;
}

int lock_set_level(int descriptor, int level, short type)
{
    struct flock range = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = LOCK_LEVEL_OFFSET + level, .l_len = 1};
    return kernel_fcntl(descriptor, F_OFD_SETLK, (long)&range);
}

/*
 * Those who joined the last holder are looked for in the kernel. In a loop of short sessions what
 * the registry says is enough: it says that there are none.
 */
static bool joined_inside(struct lock *lock, int descriptor, const struct registry_head *head)
{
    bool often = lock->scope == SCOPE_SESSION || lock->scope == SCOPE_CALL;
    if (often && head->joined == 1)
        return false;
    if (lock_range_taken(descriptor, 1))
        return true;
    /* We have the lock: nobody joins us now, so those counted are gone. */
    static const uint32_t none = 1;
    if (head->joined != none)
        (void)registry_write(&lock->registry, REGISTRY_OFFSET(head.joined), &none, sizeof none);
    return false;
}

bool lock_reserved_for_another(struct lock *lock, const struct registry_head *head)
{
    int32_t process = head->reserved_for;
    if (__builtin_expect(process == 0, 1) || process == lock_self.process)
        return false;
    uint64_t now = registry_now(), until = head->reserved_until;
    if (now < until && until - now <= LOCK_RESERVATION && process_is_alive(process, 0))
        return true;
    static const int32_t nobody;
    (void)registry_write(&lock->registry, REGISTRY_OFFSET(head.reserved_for), &nobody,
                         sizeof nobody);
    return false;
}

static void replace_descriptor(struct lock *lock, int descriptor)
{
    lock_tell(lock, &(struct lock_notice){.kind = EVENT_REPLACED,
                                          .text = "the lock file was removed or replaced"});
    (void)kernel_flock(descriptor, LOCK_UN);
    close_descriptor(lock, descriptor);
}

static int try_flock(const struct lock *lock, int descriptor)
{
    int result;
    do
        result = kernel_flock(descriptor, (lock->shared ? LOCK_SH : LOCK_EX) | LOCK_NB);
    while (result == -EINTR);
    if (result == -EINVAL || result == -EOPNOTSUPP || result == -ENOSYS)
        return -ENOLCK;
    return result;
}

/* The command's lock was broken: what a member has just locked is not its own (command_anchor.h).
 */
static bool is_broken(const struct lock *lock, int descriptor)
{
    uint32_t broken = lock->entry != NULL ? command_broken(lock->entry) : 0;
    if (__builtin_expect(broken == 0, 1))
        return false;
    if (broken == COMMAND_BROKEN && descriptor >= 0)
        (void)kernel_flock(descriptor, LOCK_UN);
    return true;
}

static int attempt_at_entrance(struct lock *lock, struct registry_head *head)
{
    for (int attempt = 0; attempt < 64; attempt++) {
        int descriptor = atomic_load(&lock->descriptor);
        if (descriptor < 0) {
            int result = lock->entry != NULL ? command_open_again(lock) : open_descriptor(lock);
            if (result != 0)
                return result;
            continue;
        }
        int result = try_flock(lock, descriptor);
        if (result == -EBADF) {
            own_forget(descriptor);
            atomic_compare_exchange_strong(&lock->descriptor, &descriptor, -1);
            continue;
        }
        if (result != 0)
            return result;
        if (is_broken(lock, descriptor))
            return -ESTALE;
        (void)registry_look(&lock->registry, head);
        if (!still_in_place(lock, descriptor, head)) {
            replace_descriptor(lock, descriptor);
            continue;
        }
        if (lock_reserved_for_another(lock, head) || joined_inside(lock, descriptor, head)) {
            (void)kernel_flock(descriptor, LOCK_UN);
            return -EWOULDBLOCK;
        }
        lock->level = 0;
        return 0;
    }
    return -ENOLCK;
}

int lock_attempt(struct lock *lock, struct registry_head *head)
{
    if (is_broken(lock, -1))
        return -ESTALE;
    int result = lock_entrance_unless_held(lock);
    if (result != 0)
        return result;
    result = attempt_at_entrance(lock, head);
    if (result != 0)
        latch_end(&lock->entrance);
    return result;
}
