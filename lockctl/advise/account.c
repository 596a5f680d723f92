/*
 * The account's files and processes. Texts are kept for as long as the program runs.
 */
#include "lockctl/advise/account.h"

#include "lockctl/lockctl.h"

#include <stdlib.h>
#include <string.h>

void account_set_up(struct account *account, const char *table)
{
    *account = (struct account){.table = table};
}

const char *account_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static bool lies_inside(const struct account *account, const char *path)
{
    size_t length = strlen(account->table);
    return strncmp(path, account->table, length) == 0 &&
           (path[length] == '/' || path[length] == '\0');
}

static const char *name_of(const struct account *account, const char *path, bool inside)
{
    if (!inside)
        return path;
    size_t length = strlen(account->table);
    return path[length] == '/' ? path + length + 1 : account_base(account->table);
}

/* What the kernel says of a file that was removed while it is open. */
static size_t without_deleted(const char *path, size_t length)
{
    static const char deleted[] = " (deleted)";
    size_t size = sizeof deleted - 1;
    return length > size && memcmp(path + length - size, deleted, size) == 0 ? length - size
                                                                             : length;
}

size_t account_file(struct account *account, const char *path, size_t length)
{
    size_t known;
    length = without_deleted(path, length);
    if (text_index_find(&account->paths, path, length, 0, &known))
        return known;
    account->files = grow(account->files, account->file_count, sizeof *account->files);
    char text[TRACE_TEXT + 1];
    if (length > TRACE_TEXT)
        length = TRACE_TEXT;
    memcpy(text, path, length);
    text[length] = '\0';
    struct account_file *file = &account->files[account->file_count];
    *file = (struct account_file){.path = copy_text(text)};
    file->inside = lies_inside(account, file->path);
    file->name = name_of(account, file->path, file->inside);
    text_index_add(&account->paths, file->path, 0, account->file_count);
    return account->file_count++;
}

void account_there(struct account *account, const char *path, bool directory)
{
    size_t file = account_file(account, path, strlen(path)); /* may move the files */
    account->files[file].there = true;
    account->files[file].plain = !directory;
}

size_t account_process(struct account *account, pid_t pid)
{
    for (size_t i = account->process_count; i-- > 0;)
        if (account->processes[i].pid == pid)
            return i;
    account->processes =
        grow(account->processes, account->process_count, sizeof *account->processes);
    account->processes[account->process_count] = (struct account_process){.pid = pid};
    return account->process_count++;
}

void account_add_inherited(struct account *account, size_t process, size_t file)
{
    account->accesses = grow(account->accesses, account->access_count, sizeof *account->accesses);
    account->accesses[account->access_count++] = (struct account_access){
        .process = process,
        .file = file,
        .session = ++account->processes[process].sessions,
        .kind = ACCESS_READ,
    };
    account->processes[process].accesses++;
}

void account_end(struct account *account)
{
    text_index_end(&account->paths);
    text_index_end(&account->inherited);
    free(account->files);
    free(account->processes);
    free(account->accesses);
    free(account->unseen);
    *account = (struct account){0};
}
