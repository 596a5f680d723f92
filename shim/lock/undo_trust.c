/*
 * How far an undo journal may be believed. Whoever rolls back does, with its own rights, what the
 * journal says: it must never do for the journal's author what the author could not do alone.
 *
 * A journal that only we ourselves or root can have written is believed. Any other is limited to
 * the table, and there to what those who can write the journal can write themselves: the owner
 * alone, the members of the table's group, or everybody.
 */
#include "shim/lock/undo_journal.h"

#include <string.h>

static uid_t own_user(void)
{
    return (uid_t)KERNEL_CALL(KERNEL_GETEUID, 0, 0, 0, 0, 0, 0);
}

/* The table, or the directory that it would be made in. */
static bool look_at_table(const char *table_path, struct stat *status)
{
    const char *name;
    if (table_path == NULL)
        return false;
    if (kernel_fstatat(AT_FDCWD, table_path, status, AT_SYMLINK_NOFOLLOW) == 0)
        return true;
    int directory = undo_open_parent(table_path, &name);
    if (directory < 0)
        return false;
    bool found = kernel_fstat(directory, status) == 0;
    (void)kernel_close(directory);
    return found;
}

mode_t undo_wanted_mode(const char *table_path, gid_t *group)
{
    struct stat table;
    *group = (gid_t)-1;
    /* What root has changed only root can put back. */
    if (own_user() == 0 || !look_at_table(table_path, &table))
        return 0700;
    if ((table.st_mode & S_IWOTH) != 0)
        return 0777;
    if ((table.st_mode & S_IWGRP) == 0)
        return 0700;
    *group = table.st_gid;
    return 0770;
}

bool undo_may_stay(const struct stat *directory, const char *table_path)
{
    struct stat table;
    gid_t group;
    mode_t mode = undo_wanted_mode(table_path, &group);
    if (directory->st_uid != own_user() ||
        kernel_fstatat(AT_FDCWD, table_path, &table, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    if (mode != 0700)
        return (directory->st_mode & 0766) == (mode & 0766) &&
               (group == (gid_t)-1 || group == directory->st_gid);
    return table.st_uid == own_user() && (table.st_mode & 022) == 0;
}

/* Has the group of something in that directory been given by a member? */
static bool tells_group(const char *lock_path)
{
    const char *name;
    struct stat status;
    int directory = undo_open_parent(lock_path, &name);
    if (directory < 0)
        return false;
    bool tells = kernel_fstat(directory, &status) == 0 && (status.st_mode & S_IWOTH) == 0;
    (void)kernel_close(directory);
    return tells;
}

bool undo_trusts(const struct stat *directory, const char *lock_path, const char *table_path,
                 struct undo_author *author)
{
    struct stat table;
    *author = (struct undo_author){.user = directory->st_uid, .group = directory->st_gid};
    if (!S_ISDIR(directory->st_mode))
        return false;
    bool ours = directory->st_uid == own_user() || directory->st_uid == 0;
    author->anybody = (directory->st_mode & S_IWOTH) != 0;
    author->any_of_group = (directory->st_mode & S_IWGRP) != 0;
    author->limited = !ours || author->anybody || author->any_of_group;
    if (!author->limited)
        return true;
    if (!look_at_table(table_path, &table))
        return false;
    if (author->anybody)
        return (table.st_mode & S_IWOTH) != 0;
    if (author->any_of_group)
        return (table.st_mode & S_IWGRP) != 0 && table.st_gid == directory->st_gid &&
               tells_group(lock_path);
    return directory->st_uid == table.st_uid || (table.st_mode & S_IWOTH) != 0;
}

bool undo_author_may_write(const struct undo_author *author, const struct stat *object)
{
    if (!author->limited || (object->st_mode & S_IWOTH) != 0)
        return true;
    if (author->anybody)
        return false;
    if (author->any_of_group)
        return (object->st_mode & S_IWGRP) != 0 && object->st_gid == author->group;
    return object->st_uid == author->user;
}

bool undo_author_may_rename(const struct undo_author *author, const struct stat *directory,
                            const struct stat *object)
{
    if (!undo_author_may_write(author, directory))
        return false;
    if (!author->limited || (directory->st_mode & S_ISVTX) == 0 || object == NULL)
        return true;
    bool one_user = !author->anybody && !author->any_of_group;
    return one_user && (directory->st_uid == author->user || object->st_uid == author->user);
}
