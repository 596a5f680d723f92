/*
 * The locks that a look is about, and the processes that may hold or want them: those that the list
 * and the registries name, and others only where that does not suffice.
 */
#include "lockctl/inspect/look.h"

#include "shim/lock/kernel.h"
#include "shim/lock/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* To tell of one lock, no process with more descriptors than this is looked through. */
enum { DESCRIPTORS_FOR_ONE = 1024, DESCRIPTORS_FOR_OTHERS = 256, OTHERS_FOR_ONE = 256 };

static void make_room(struct look *look, size_t room)
{
    struct candidate *larger = arena_take(look->arena, room * sizeof *larger);
    if (look->count > 0)
        memcpy(larger, look->candidates, look->count * sizeof *larger);
    look->candidates = larger;
    look->room = room;
}

static struct candidate *add_candidate(struct look *look, uint64_t device, uint64_t inode)
{
    if (look->count == look->room)
        make_room(look, 2 * look->count + 8);
    struct candidate *candidate = &look->candidates[look->count];
    candidate->order = look->count++;
    candidate->device = candidate->told.device = device;
    candidate->inode = candidate->told.inode = inode;
    candidate->told.cycle = -1;
    candidate->told.longest_wait = UNKNOWN_TIME;
    if (inode != 0)
        candidate->line_count = kernel_view_find(look->view, device, inode, &candidate->first);
    return candidate;
}

static struct candidate *find_candidate(const struct look *look, uint64_t device, uint64_t inode)
{
    for (size_t i = 0; i < look->count; i++)
        if (look->candidates[i].device == device && look->candidates[i].inode == inode)
            return &look->candidates[i];
    return NULL;
}

static void add_target(struct look *look, const struct target *target)
{
    struct file_identity identity = {.inode = 0};
    int result = file_identity_of_path(target->lock_path, &identity);
    /* Two tables may have one lock file. */
    if (result == 0 && find_candidate(look, identity.device, identity.inode) != NULL)
        return;
    struct candidate *candidate = add_candidate(look, identity.device, identity.inode);
    candidate->told.path = candidate->reachable_path = target->lock_path;
    candidate->told.path_state = result == 0 ? PATH_CURRENT : PATH_MISSING;
    candidate->told.table = target->table;
    candidate->told.named = true;
    candidate->if_held = target->if_held;
    look->seeks_deleted = look->seeks_deleted || target->missing != NULL || result != 0;
    candidate->words = registries_read(look, target->lock_path);
}

static int compare_inodes(const void *left, const void *right)
{
    uint64_t one = *(const uint64_t *)left;
    uint64_t other = *(const uint64_t *)right;
    return (one > other) - (one < other);
}

/* In order already, mostly. */
static void sort_inodes(uint64_t *inodes, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (inodes[i - 1] > inodes[i]) {
            qsort(inodes, count, sizeof *inodes, compare_inodes);
            return;
        }
}

/* All other files of the list. Those that were named are few, or the list is not asked for. */
static void add_everything(struct look *look)
{
    size_t named = look->count;
    make_room(look, look->count + look->view->count + 1);
    for (size_t i = 0; i < look->view->count; i++) {
        const struct kernel_flock *line = &look->view->items[i];
        if (i > 0 && look->view->items[i - 1].device == line->device &&
            look->view->items[i - 1].inode == line->inode)
            continue;
        bool known = false;
        for (size_t j = 0; j < named && !known; j++)
            known = look->candidates[j].device == line->device &&
                    look->candidates[j].inode == line->inode;
        if (!known)
            (void)add_candidate(look, line->device, line->inode);
    }
}

static struct wanted_inodes want_candidates(struct look *look)
{
    struct wanted_inodes wanted = {arena_take(look->arena, (look->count + 1) * sizeof(uint64_t)), 0,
                                   false};
    for (size_t i = 0; i < look->count; i++)
        if (look->candidates[i].inode != 0)
            wanted.items[wanted.count++] = look->candidates[i].inode;
    sort_inodes(wanted.items, wanted.count);
    return wanted;
}

/* Of a few locks all that are locked: one of them may be a deleted file of the same name. */
static void want_inodes(struct look *look)
{
    size_t count = 0;
    uint64_t *inodes =
        arena_take(look->arena, (2 * look->count + look->view->count + 1) * sizeof *inodes);
    for (size_t i = 0; i < look->view->count; i++)
        if (i == 0 || look->view->items[i].inode != look->view->items[i - 1].inode)
            inodes[count++] = look->view->items[i].inode;
    for (size_t i = 0; i < look->count; i++) /* those in the list are there already */
        if (look->candidates[i].inode != 0 && look->candidates[i].line_count == 0)
            inodes[count++] = look->candidates[i].inode;
    sort_inodes(inodes, count);
    look->wanted =
        (struct wanted_inodes){inodes, count, look->inside_namespace && look->request->everything};
    look->named = want_candidates(look);
}

/* --- processes --- */

struct gathering {
    struct process **items;
    size_t count;
};

static void gather_line(struct look *look, struct gathering *gathering,
                        const struct kernel_flock *line)
{
    struct process *process = processes_note(&look->processes, line->process);
    if (process->held + process->awaited == 0 && line->process > 0) {
        gathering->items =
            arena_grow(look->arena, gathering->items, gathering->count, sizeof(void *));
        gathering->items[gathering->count++] = process;
    }
    process->held += !line->waits;
    process->awaited += line->waits;
    process->shown = process->shown ||
                     !(line->waits ? look->request->bare_waiters : look->request->bare_holders);
}

/* All that the list names as takers or waiting, each once, at one go. */
static void gather(struct look *look)
{
    struct gathering gathering = {.count = 0};
    bool all = look->request->everything || look->seeks_deleted;
    for (size_t i = 0; look->seeks_deleted && i < look->view->count; i++)
        gather_line(look, &gathering, &look->view->items[i]);
    for (size_t i = look->looked; !look->seeks_deleted && i < look->count; i++)
        for (size_t j = 0; j < look->candidates[i].line_count; j++)
            gather_line(look, &gathering, look_line(look, &look->candidates[i], j));
    processes_gather(&look->processes, gathering.items, gathering.count,
                     all ? &look->wanted : NULL);
}

static void scan(struct look *look, struct process *process)
{
    processes_scan(&look->processes, process, &look->wanted);
}

/*
 * Those that the list names as takers. Of one with very many descriptors the list's word is taken;
 * in one with many only the locks that are asked for are looked for.
 */
static void scan_takers(struct look *look, const struct candidate *candidate)
{
    for (size_t i = 0; i < candidate->line_count; i++) {
        const struct kernel_flock *line = &look->view->items[candidate->first + i];
        if (line->waits || line->process == 0)
            continue;
        struct process *process = processes_get(&look->processes, line->process);
        if (process->scanned)
            continue;
        long count = look->request->everything ? 0 : process_descriptor_count(line->process);
        if (count <= DESCRIPTORS_FOR_ONE)
            processes_scan(&look->processes, process,
                           count <= DESCRIPTORS_FOR_OTHERS ? &look->wanted : &look->named);
    }
}

/* The descriptors that the registry names: one may be on a file that is no longer at the path. */
static void look_at_records(struct look *look, const struct registry_words *words)
{
    for (size_t i = 0; words != NULL && i < words->holder_count; i++) {
        const struct view_holder *record = &words->holders[i];
        struct process *process = processes_find(&look->processes, record->process,
                                                 record->pid_namespace, record->start_time);
        if (process != NULL && record->life != VIEW_GONE)
            (void)processes_look_at(&look->processes, process, record->descriptor);
    }
}

/*
 * Whoever holds a deleted lock file of that name is sought for where it is likely and cheap: among
 * the small processes that hold a flock on that file system.
 */
static void scan_others(struct look *look, const struct candidate *candidate)
{
    pid_t last = 0;
    int count = 0;
    for (size_t i = 0; i < look->view->count && count < OTHERS_FOR_ONE; i++) {
        const struct kernel_flock *line = &look->view->items[i];
        if (line->waits || line->process == 0 || line->process == last ||
            (candidate->inode != 0 && line->device != candidate->device))
            continue;
        last = line->process;
        count++;
        struct process *process = processes_get(&look->processes, line->process);
        if (!process->scanned && process_descriptor_count(line->process) <= DESCRIPTORS_FOR_OTHERS)
            scan(look, process);
    }
}

/* A file that was deleted or replaced, and has a flock: a lock of its own under the same name. */
static void add_deleted(struct look *look)
{
    size_t named = look->count;
    for (size_t i = 0; i < look->processes.file_count; i++) {
        const struct open_file *file = look->processes.files[i];
        if (!file->locked || !file->deleted || file->path == NULL ||
            find_candidate(look, file->device, file->inode) != NULL)
            continue;
        for (size_t j = 0; j < named; j++) {
            const char *path = look->candidates[j].told.path; /* NULL: not found out */
            if (path == NULL || strcmp(path, file->path) != 0)
                continue;
            struct candidate *candidate = add_candidate(look, file->device, file->inode);
            candidate->order = look->candidates[j].order;
            candidate->told.named = true;
            candidate->told.table = look->candidates[j].told.table;
            break;
        }
    }
}

bool candidates_miss_holder(struct look *look)
{
    for (size_t i = 0; i < look->count; i++)
        if (join_misses_holder(look, &look->candidates[i]))
            return true;
    return false;
}

/* --- locks beside those that were asked for --- */

static bool is_waited_for(const struct look *look, const struct candidate *candidate)
{
    for (size_t i = 0; i < candidate->line_count; i++)
        if (look_line(look, candidate, i)->waits)
            return true;
    return candidate->words != NULL && candidate->words->waiter_count > 0;
}

static bool any_is_waited_for(const struct look *look)
{
    for (size_t i = 0; i < look->count; i++)
        if (is_waited_for(look, &look->candidates[i]))
            return true;
    return false;
}

static void add_beside(struct look *look, uint64_t device, uint64_t inode)
{
    if (find_candidate(look, device, inode) == NULL)
        add_candidate(look, device, inode)->beside = true;
}

static void add_waited_for(struct look *look)
{
    for (size_t i = 0; i < look->view->count; i++) {
        const struct kernel_flock *line = &look->view->items[i];
        if (line->waits)
            add_beside(look, line->device, line->inode);
    }
}

/* What the guarded say that they wait for while they hold something. stat's numbers need not be the
 * list's: any held file of that inode is looked at. */
static void add_blocked_at(struct look *look, uint64_t inode)
{
    for (size_t i = 0; i < look->view->count; i++)
        if (look->view->items[i].inode == inode)
            add_beside(look, look->view->items[i].device, inode);
}

/*
 * Each lock of a ring has one who waits, and holds another lock of the ring: it stands in the list,
 * or in the registry of what it holds.
 */
bool candidates_add_beside(struct look *look)
{
    size_t before = look->count;
    if (look->request->everything)
        return false;
    if (!look->waiting_added && any_is_waited_for(look)) {
        look->waiting_added = true;
        add_waited_for(look);
    }
    for (; look->blocked_followed < look->blocked_count; look->blocked_followed++)
        add_blocked_at(look, look->blocked[look->blocked_followed].inode);
    return look->count > before;
}

/* --- all together --- */

void candidates_collect(struct look *look)
{
    const struct targets *targets = look->request->targets;
    for (size_t i = 0; targets != NULL && i < targets->count; i++)
        add_target(look, &targets->items[i]);
    if (look->request->everything)
        add_everything(look);
    want_inodes(look);
}

void candidates_look_near(struct look *look)
{
    gather(look);
    for (size_t i = look->looked; i < look->count; i++) {
        look_at_records(look, look->candidates[i].words);
        scan_takers(look, &look->candidates[i]);
    }
    for (size_t i = look->looked; i < look->count && !look->request->everything; i++)
        if (!look->candidates[i].beside)
            scan_others(look, &look->candidates[i]);
    look->looked = look->count;
    processes_sort(&look->processes);
}

/* Flocks that the list does not show inside a PID namespace. */
static void add_unlisted(struct look *look)
{
    for (size_t i = 0; i < look->processes.file_count; i++) {
        const struct open_file *file = look->processes.files[i];
        if (file->locked && find_candidate(look, file->device, file->inode) == NULL)
            (void)add_candidate(look, file->device, file->inode);
    }
}

/*
 * Who has taken it is gone, and which file it is can't be asked of that one: an heir of a lock file
 * that was replaced, perhaps.
 */
static bool is_orphaned(const struct look *look, const struct kernel_flock *line)
{
    return !line->waits && line->process > 0 && kernel_kill(line->process, 0) == -ESRCH &&
           find_candidate(look, line->device, line->inode) == NULL;
}

static bool may_have_heirs(const struct look *look)
{
    for (size_t i = 0; i < look->view->count; i++)
        if (is_orphaned(look, &look->view->items[i]))
            return true;
    return false;
}

void candidates_look_everywhere(struct look *look, bool all_processes)
{
    if (all_processes) {
        processes_scan_all(&look->processes, &look->wanted);
        processes_sort(&look->processes);
    }
    if (look->request->everything && look->inside_namespace)
        add_unlisted(look);
    if (look->request->everything)
        return;
    size_t before = look->count;
    add_deleted(look);
    if (look->count == before && !all_processes && !look->everywhere &&
        (look->seeks_deleted || may_have_heirs(look))) {
        processes_scan_all(&look->processes, &look->wanted);
        processes_sort(&look->processes);
        add_deleted(look);
    }
    look->seeks_deleted = false;
    look->everywhere = true;
}
