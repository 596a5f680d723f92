/* replace.c: replacing several files as one step; replace.h tells the protocol.
 * It must never rename over a file before all new files are written. */
#include "store/replace.h"

#include <bsd/string.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define LIST_NEW ".replace.new"

static bool new_name(const char *name, size_t length, char buffer[NAME_MAX + 1])
{
    static const char ending[] = ".new";
    if (1 + length + sizeof ending > NAME_MAX + 1)
        return false;
    buffer[0] = '.';
    memcpy(buffer + 1, name, length);
    memcpy(buffer + 1 + length, ending, sizeof ending);
    return true;
}

bool replace_add(struct replacement *replacement, const char *name, const struct bytes *content,
                 struct tablestore_error *error)
{
    char temporary[NAME_MAX + 1];
    if (!new_name(name, strlen(name), temporary))
        return failure(error, TABLESTORE_RANGE, name, -1, "the name is too long");
    struct stat status;
    if (fstatat(replacement->directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISDIR(status.st_mode))
        return failure(error, TABLESTORE_EXISTS, name, -1, "a directory is in the way");
    if (!bytes_append(&replacement->names, name, strlen(name)) ||
        !bytes_append(&replacement->names, "\n", 1))
        return memory_failure(error);
    return file_store(replacement->directory, temporary, content, true, error);
}

/* Renames the new files that the list names, where there are any. */
static bool rename_listed(int directory, const struct bytes *names, struct tablestore_error *error)
{
    size_t position = 0;
    while (position < names->length) {
        const char *name = (const char *)names->data + position;
        const char *end = memchr(name, '\n', names->length - position);
        size_t length = end == NULL ? 0 : (size_t)(end - name);
        char from[NAME_MAX + 1], to[NAME_MAX + 1];
        if (length == 0 || name[0] == '.' || memchr(name, '/', length) != NULL ||
            memchr(name, '\0', length) != NULL || !new_name(name, length, from))
            return failure(error, TABLESTORE_DAMAGED, REPLACE_LIST, (int64_t)position,
                           "not the name of a file");
        memcpy(to, name, length);
        to[length] = '\0';
        if (renameat(directory, from, directory, to) != 0 && errno != ENOENT)
            return system_failure(error, to, "cannot rename");
        position += length + 1;
    }
    return true;
}

bool replace_commit(struct replacement *replacement, struct tablestore_error *error)
{
    int directory = replacement->directory;
    if (!file_store(directory, LIST_NEW, &replacement->names, true, error))
        return false;
    if (renameat(directory, LIST_NEW, directory, REPLACE_LIST) != 0)
        return system_failure(error, REPLACE_LIST, "cannot rename");
    if (!rename_listed(directory, &replacement->names, error))
        return false;
    if (unlinkat(directory, REPLACE_LIST, 0) != 0)
        return system_failure(error, REPLACE_LIST, "cannot remove");
    return true;
}

void replace_forget(int directory)
{
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = copy < 0 ? NULL : fdopendir(copy);
    if (entries == NULL) {
        if (copy >= 0)
            close(copy);
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(entries)) != NULL) {
        size_t length = strlen(entry->d_name);
        if (entry->d_name[0] == '.' && length > 5 &&
            strcmp(entry->d_name + length - 4, ".new") == 0)
            unlinkat(directory, entry->d_name, 0);
    }
    closedir(entries);
}

void replace_end(struct replacement *replacement)
{
    if (replacement->names.length > 0 && !replace_pending(replacement->directory))
        replace_forget(replacement->directory);
    bytes_free(&replacement->names);
}

bool replace_pending(int directory)
{
    return faccessat(directory, REPLACE_LIST, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool replace_recover(int directory, struct tablestore_error *error)
{
    if (!replace_pending(directory))
        return true;
    struct bytes names = {0};
    bool done = file_load(directory, REPLACE_LIST, &names, error) &&
                rename_listed(directory, &names, error);
    bytes_free(&names);
    if (done && unlinkat(directory, REPLACE_LIST, 0) != 0 && errno != ENOENT)
        done = system_failure(error, REPLACE_LIST, "cannot remove");
    return done;
}
