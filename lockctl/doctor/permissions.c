/*
 * Whoever may use the table must be able to open its lock file, and should be able to write its
 * registry. Judged by owners and mode bits for the table's owner, its group and all others; access
 * lists are not looked at.
 */
#include "lockctl/doctor/findings.h"

#include "lockctl/lockctl.h"
#include "shim/lock/kernel.h"
#include "shim/lock/process.h"

#include <errno.h>
#include <libgen.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum user { USER_OWNER, USER_GROUP, USER_OTHERS, USERS };
static const char *const USER_NAMES[USERS] = {"the table's owner", "the table's group",
                                              "all other users"};
static const char *const USER_LETTERS[USERS] = {"u", "g", "o"};

struct place {
    const char *path;
    struct stat status;
    bool exists;
};

static struct place look_at(const char *path)
{
    struct place place = {.path = path};
    place.exists = path != NULL && kernel_fstatat(AT_FDCWD, path, &place.status, 0) == 0;
    return place;
}

/* Which of rwx (4, 2, 1) such a user of the table has on a file or directory. */
static unsigned rights(const struct stat *table, enum user user, const struct stat *status)
{
    if (user == USER_OWNER && table->st_uid == 0)
        return 7;
    if (user == USER_OWNER && table->st_uid == status->st_uid)
        return status->st_mode >> 6 & 7;
    if (user != USER_OTHERS && table->st_gid == status->st_gid)
        return status->st_mode >> 3 & 7;
    return status->st_mode & 7;
}

/* Those who can reach the table, and read it at least. */
static bool is_concerned(const struct place *table, enum user user)
{
    struct stat parent;
    if (!table->exists || (rights(&table->status, user, &table->status) & 4) == 0)
        return false;
    return kernel_fstatat(AT_FDCWD, dirname(copy_text(table->path)), &parent, 0) != 0 ||
           (rights(&table->status, user, &parent) & 1) != 0;
}

static const char *user_name(uid_t uid)
{
    const struct passwd *entry = getpwuid(uid);
    return entry != NULL ? shown(entry->pw_name) : "another user";
}

/* --- table, directory --- */

static void look_at_table(struct findings *findings, const struct place *table)
{
    if (!table->exists) {
        finding_add(findings, FINDING_WARNING, "table", NULL,
                    "does not exist yet: who will be allowed to use it cannot be told");
        return;
    }
    int wanted = S_ISDIR(table->status.st_mode) ? R_OK | W_OK | X_OK : R_OK | W_OK;
    if (faccessat(AT_FDCWD, table->path, wanted, AT_EACCESS) == 0)
        finding_add(findings, FINDING_OK, "table", NULL, "%s of %s, mode %04o",
                    S_ISDIR(table->status.st_mode) ? "directory" : "file",
                    user_name(table->status.st_uid), table->status.st_mode & 07777);
    else
        finding_add(findings, FINDING_WARNING, "table", NULL,
                    "the user who asks may not read and change it: %s", strerror(errno));
}

static void look_at_directory(struct findings *findings, const struct place *directory)
{
    char text[16];
    mode_t mode = directory->status.st_mode;
    if ((mode & S_IWOTH) == 0) {
        finding_add(findings, FINDING_OK, "directory", NULL, "%s, mode %04o",
                    shown(directory->path), mode & 07777);
        return;
    }
    if ((mode & S_ISVTX) == 0) {
        finding_add(findings, FINDING_WARNING, "directory",
                    "take the right to write from all others, or put the lock file elsewhere "
                    "with --lock",
                    "all users may remove the lock file from %s", shown(directory->path));
        return;
    }
    bool protects = process_read_file("/proc/sys/fs/protected_regular", text, sizeof text) > 0 &&
                    text[0] >= '1';
    finding_add(findings, protects ? FINDING_WARNING : FINDING_OK, "directory",
                protects ? "put the lock file into a directory of its own with --lock" : NULL,
                "%s is sticky and open to all%s", shown(directory->path),
                protects ? ", and fs.protected_regular is set: flock(1) is refused the lock files "
                           "of other users there"
                         : "");
}

/* --- lock file and registry --- */

static void look_at_new_lock_file(struct findings *findings, const struct place *table,
                                  const struct place *directory, const char *lock_path)
{
    if (faccessat(AT_FDCWD, directory->path, W_OK | X_OK, AT_EACCESS) != 0) {
        finding_add(findings, FINDING_PROBLEM, "lock file",
                    finding_text("as root: touch %s, and chown and chmod it as the table",
                                 shown(lock_path)),
                    "does not exist, and cannot be made: %s", strerror(errno));
        return;
    }
    for (int user = 0; user < USERS; user++) {
        if (!is_concerned(table, (enum user)user) ||
            (rights(&table->status, (enum user)user, &directory->status) & 2) != 0)
            continue;
        finding_add(findings, FINDING_WARNING, "lock file",
                    finding_text("touch %s, and chown and chmod it as the table", shown(lock_path)),
                    "does not exist, and %s may not make it", USER_NAMES[user]);
        return;
    }
    finding_add(findings, FINDING_OK, "lock file", NULL, "will be made at the first touch");
}

static void look_at_lock_file(struct findings *findings, const struct place *table,
                              const struct place *lock)
{
    bool fine = true;
    if (!S_ISREG(lock->status.st_mode) && !S_ISDIR(lock->status.st_mode)) {
        finding_add(findings, FINDING_PROBLEM, "lock file", "remove it, or choose another one",
                    "is no regular file");
        return;
    }
    if (faccessat(AT_FDCWD, lock->path, R_OK, AT_EACCESS) != 0) {
        finding_add(findings, FINDING_PROBLEM, "lock file", "give the user the right to read it",
                    "the user who asks may not open it: %s", strerror(errno));
        return;
    }
    for (int user = 0; user < USERS; user++) {
        if (!is_concerned(table, (enum user)user) ||
            (rights(&table->status, (enum user)user, &lock->status) & 4) != 0)
            continue;
        fine = false;
        finding_add(findings, FINDING_PROBLEM, "lock file",
                    finding_text("chown --reference of the table, chmod %s+rw %s",
                                 USER_LETTERS[user], shown(lock->path)),
                    "%s may use the table, but not open the lock file (mode %04o, of %s)",
                    USER_NAMES[user], lock->status.st_mode & 07777, user_name(lock->status.st_uid));
    }
    if (fine)
        finding_add(findings, FINDING_OK, "lock file", NULL, "%s, of %s, mode %04o",
                    shown(lock->path), user_name(lock->status.st_uid),
                    lock->status.st_mode & 07777);
}

static void look_at_registry(struct findings *findings, const struct place *table,
                             const struct place *registry)
{
    if (!registry->exists) {
        finding_add(findings, FINDING_OK, "registry", NULL, "will be made at the first touch");
        return;
    }
    if (!S_ISREG(registry->status.st_mode)) {
        finding_add(findings, FINDING_WARNING, "registry",
                    finding_text("remove %s", shown(registry->path)),
                    "is no regular file: guarded programs do without it");
        return;
    }
    for (int user = 0; user < USERS; user++) {
        if (!is_concerned(table, (enum user)user) ||
            (rights(&table->status, (enum user)user, &table->status) & 2) == 0 ||
            (rights(&table->status, (enum user)user, &registry->status) & 6) == 6)
            continue;
        finding_add(findings, FINDING_WARNING, "registry",
                    finding_text("chown --reference of the table, chmod %s+rw %s",
                                 USER_LETTERS[user], shown(registry->path)),
                    "%s may change the table, but not the registry: they wait longer, and lockctl "
                    "cannot tell of them",
                    USER_NAMES[user]);
        return;
    }
    finding_add(findings, FINDING_OK, "registry", NULL, "mode %04o",
                registry->status.st_mode & 07777);
}

void doctor_look_at_permissions(struct findings *findings, const char *lock_path,
                                const char *table_path)
{
    struct place table = look_at(table_path);
    struct place lock = look_at(lock_path);
    struct place directory = look_at(dirname(copy_text(lock_path)));
    struct place registry = look_at(finding_text("%s.registry", lock_path));
    look_at_table(findings, &table);
    if (!directory.exists || !S_ISDIR(directory.status.st_mode)) {
        finding_add(findings, FINDING_PROBLEM, "directory", "make it, or choose another lock file",
                    "there is no directory %s for the lock file", shown(directory.path));
        return;
    }
    look_at_directory(findings, &directory);
    if (lock.exists)
        look_at_lock_file(findings, &table, &lock);
    else
        look_at_new_lock_file(findings, &table, &directory, lock_path);
    look_at_registry(findings, &table, &registry);
}
