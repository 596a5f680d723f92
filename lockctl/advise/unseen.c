/*
 * Accesses of which the shim has told nothing. One is taken for seen when the same process has told
 * of that file at all: what reads and writes through a descriptor that was seen is as good as seen.
 */
#include "lockctl/advise/unseen.h"

#include "lockctl/lockctl.h"
#include "shim/lock/kernel.h"

#include <string.h>

static bool lies_below(const char *path, const char *directory)
{
    size_t length = strlen(directory);
    return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* Which process has told of which file; by 0, whether any has. */
static void index_told(struct text_index *told, const struct account *account)
{
    for (size_t i = 0; i < account->access_count; i++) {
        const struct account_access *access = &account->accesses[i];
        pid_t pid = account->processes[access->process].pid;
        const char *path = account->files[access->file].path;
        text_index_add(told, path, pid, i);
        text_index_add(told, path, 0, i);
        if (access->kind != ACCESS_RENAME && access->kind != ACCESS_LINK)
            continue;
        text_index_add(told, account->files[access->other].path, pid, i);
        text_index_add(told, account->files[access->other].path, 0, i);
    }
}

/*
 * A walk over a tree is one touch of where it begins, and a directory that is moved takes what is
 * in it along.
 */
static bool is_told_above(const struct account_access *access, const char *path,
                          const struct watched_access *seen)
{
    if (access->kind == ACCESS_LIST)
        return !seen->changes && seen->directory && lies_below(seen->path, path);
    return access->kind == ACCESS_RENAME && lies_below(seen->path, path);
}

static bool is_told(const struct account *account, const struct text_index *told,
                    const struct watched_access *seen)
{
    size_t found;
    if (text_index_find(told, seen->path, strlen(seen->path), seen->pid, &found))
        return true;
    for (size_t i = 0; i < account->access_count; i++) {
        const struct account_access *access = &account->accesses[i];
        if ((seen->pid == 0 || account->processes[access->process].pid == seen->pid) &&
            is_told_above(access, account->files[access->file].path, seen))
            return true;
    }
    return false;
}

/* The kernel and the loader read what is executed, programs and libraries: no data of a table. */
static bool is_execution(const struct watched_access *seen)
{
    char magic[4] = "";
    int file = seen->changes ? -1 : kernel_openat(AT_FDCWD, seen->path, O_RDONLY | O_CLOEXEC, 0);
    if (file < 0)
        return false;
    ssize_t size = kernel_pread(file, magic, sizeof magic, 0);
    (void)kernel_close(file);
    return size == (ssize_t)sizeof magic && memcmp(magic, "\177ELF", sizeof magic) == 0;
}

/* Through a descriptor that it was started with; then it is an access like any other. */
static bool is_inherited(struct account *account, const struct watched_access *seen)
{
    size_t file;
    if (seen->pid == 0 || seen->changes ||
        !text_index_find(&account->inherited, seen->path, strlen(seen->path), seen->pid, &file))
        return false;
    account_add_inherited(account, account_process(account, seen->pid), file);
    return true;
}

static const struct watched_process *find_watched(const struct watch *watch, pid_t pid)
{
    for (size_t i = 0; i < watch->process_count; i++)
        if (watch->processes[i].pid == pid)
            return &watch->processes[i];
    return NULL;
}

/* In place, others may be at the table as well: whoever has nothing to do with the command. */
static bool is_of_command(const struct account *account, const struct observation *observation,
                          const struct watched_process *watched)
{
    if (observation->way != WAY_IN_PLACE || watched->parent == observation->stage)
        return true;
    for (size_t i = 0; i < account->process_count; i++)
        if (account->processes[i].pid == watched->pid ||
            account->processes[i].pid == watched->parent)
            return true;
    return false;
}

/* Completes what the shim has told of the process by what was seen of it. */
static size_t known_process(struct account *account, const struct observation *observation,
                            const struct watched_process *watched)
{
    size_t index = account_process(account, watched->pid);
    struct account_process *process = &account->processes[index];
    if (process->parent == 0)
        process->parent = watched->parent;
    if (process->name == NULL && watched->name[0] != '\0') {
        process->name = copy_text(watched->name);
        process->path = copy_text(watched->path);
    }
    process->uses_io_uring = process->uses_io_uring || watched->uses_io_uring;
    const struct program_report *program = &observation->program;
    if (!process->out_of_reach && process->path != NULL && program->reach != PROGRAM_REACHABLE &&
        program->reach != PROGRAM_MISSING && strcmp(program->path, process->path) == 0) {
        process->out_of_reach = true;
        process->reach = program->reach;
    }
    return index;
}

/* One whose name nobody got hold of, and that was the command itself, which is out of reach. */
static void name_command(struct account *account, const struct observation *observation,
                         size_t index)
{
    const struct program_report *program = &observation->program;
    struct account_process *process = &account->processes[index];
    if (process->path != NULL || program->reach == PROGRAM_REACHABLE ||
        program->reach == PROGRAM_MISSING)
        return;
    process->path = program->path;
    process->name = account_base(program->path);
    process->out_of_reach = true;
    process->reach = program->reach;
}

static void add_unseen(struct account *account, size_t process, const struct watched_access *seen)
{
    account->unseen = grow(account->unseen, account->unseen_count, sizeof *account->unseen);
    account->unseen[account->unseen_count++] = (struct account_unseen){
        .process = process,
        .file = account_file(account, seen->path, strlen(seen->path)),
        .changes = seen->changes,
    };
    if (process != ACCOUNT_NOBODY)
        account->processes[process].unseen++;
}

/* The command itself, when nobody outside saw it by its pid. */
static void add_command(struct account *account, const struct observation *observation)
{
    if (observation->program.reach == PROGRAM_REACHABLE ||
        observation->program.reach == PROGRAM_MISSING)
        return;
    for (size_t i = 0; i < account->process_count; i++)
        if (account->processes[i].out_of_reach && account->processes[i].path != NULL &&
            strcmp(account->processes[i].path, observation->program.path) == 0)
            return;
    account->processes =
        grow(account->processes, account->process_count, sizeof *account->processes);
    account->processes[account->process_count] =
        (struct account_process){.parent = observation->stage};
    name_command(account, observation, account->process_count++);
}

/* Without pids: the only one out of reach, if there is only one. */
static size_t only_suspect(const struct account *account)
{
    size_t suspect = ACCOUNT_NOBODY;
    for (size_t i = 0; i < account->process_count; i++) {
        if (!account->processes[i].out_of_reach)
            continue;
        if (suspect != ACCOUNT_NOBODY)
            return ACCOUNT_NOBODY;
        suspect = i;
    }
    return suspect;
}

void unseen_add(struct account *account, const struct observation *observation)
{
    const struct watch *watch = &observation->watch;
    struct text_index told = {0};
    index_told(&told, account);
    account->watched = observation->watched;
    account->attributed = observation->attributed;
    if (!observation->attributed)
        add_command(account, observation);
    for (size_t i = 0; i < watch->access_count; i++) {
        const struct watched_access *seen = &watch->accesses[i];
        if (seen->pid == observation->stage || is_told(account, &told, seen) ||
            is_inherited(account, seen) || is_execution(seen))
            continue;
        size_t process = ACCOUNT_NOBODY;
        const struct watched_process *watched =
            seen->pid != 0 ? find_watched(watch, seen->pid) : NULL;
        if (watched != NULL) {
            if (!is_of_command(account, observation, watched))
                continue;
            process = known_process(account, observation, watched);
            if (!account->processes[process].preloaded)
                name_command(account, observation, process);
        } else {
            process = only_suspect(account);
        }
        add_unseen(account, process, seen);
    }
    text_index_end(&told);
}
