/*
 * Where a lock file lies: as the links of those who have it open say, compared with what is there.
 * A process may live in another mount namespace: then its path is looked up from its own root.
 */
#include "lockctl/inspect/look.h"

#include "shim/lock/kernel.h"

#include <string.h>
#include <sys/sysmacros.h>

#define DELETED " (deleted)"

static bool is_at(const char *path, const struct open_file *file)
{
    struct stat status;
    return kernel_fstatat(AT_FDCWD, path, &status, 0) == 0 && status.st_dev == file->stat_device &&
           status.st_ino == file->stat_inode;
}

/* The name by which it was opened was removed, or given to another file; it has others. */
static void take_other_name(struct look *look, struct candidate *candidate,
                            const struct open_file *file)
{
    size_t suffix = strlen(DELETED);
    size_t length = strlen(file->path);
    if (!file->doubtful)
        return;
    candidate->told.path = arena_copy(look->arena, file->path, length - suffix);
    candidate->told.path_state = PATH_DELETED;
    candidate->reachable_path = candidate->told.path;
}

static void take_path(struct look *look, struct candidate *candidate, const struct open_file *file)
{
    struct inspected_lock *told = &candidate->told;
    told->path = file->path;
    candidate->has_no_registry = file->alone;
    if (file->deleted) {
        told->path_state = PATH_DELETED;
        candidate->reachable_path = file->path;
        return;
    }
    if (file->at_path || (!file->doubtful && processes_sees_our_files(file->process))) {
        candidate->reachable_path = file->path;
    } else {
        const char *in_its_root =
            arena_format(look->arena, "/proc/%d/root%s", file->process->told.pid, file->path);
        if (!is_at(in_its_root, file)) {
            take_other_name(look, candidate, file);
            return;
        }
        candidate->reachable_path = in_its_root;
    }
    told->path_state = PATH_CURRENT;
}

static const char *make_label(struct look *look, const struct candidate *candidate)
{
    const struct inspected_lock *told = &candidate->told;
    if (told->path == NULL)
        return arena_format(look->arena, "inode %lu on device %u:%u", candidate->inode,
                            major(candidate->device), minor(candidate->device));
    if (told->path_state == PATH_DELETED)
        return arena_format(look->arena, "%s (deleted)", told->path);
    return told->path;
}

/* One who has the flock knows best; a waiter has the file open as well. */
void paths_find(struct look *look, struct candidate *candidate)
{
    struct inspected_lock *told = &candidate->told;
    if (told->path == NULL) {
        size_t first;
        size_t count =
            processes_files_on(&look->processes, candidate->device, candidate->inode, &first);
        for (size_t i = first; i < first + count && told->path_state == PATH_UNKNOWN; i++)
            if (look->processes.files[i]->path != NULL)
                take_path(look, candidate, look->processes.files[i]);
    }
    told->label = make_label(look, candidate);
}
