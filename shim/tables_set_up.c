/*
 * The tables that are set, and their locks: setting them up, once, and finding them by path. It
 * must never call an allocator: the program's may be what calls us.
 */
#include "shim/tables.h"
#include "shim/tables_known.h"

#include "shim/lock/kernel.h"
#include "shim/lock/resolve.h"
#include "shim/lock/sparse.h"

#include <stdio.h>
#include <string.h>

unsigned tables_count;
struct table *tables_all;

SPARSE static char message[1024];

/* --- sets of paths, by hash --- */

struct path_set {
    uint32_t *slots; /* index + 1, 0: empty */
    uint32_t mask;
};

static struct path_set table_set, lock_set;
/*
 * `lockctl break` writes into another process nowhere but into the shim's own data, which nobody
 * can have filled with bytes that only look like a fence: so the locks stand here. Of more than fit
 * none can be fenced.
 */
enum { FENCEABLE_LOCKS = 1024 };

/*
 * Small things come from here, from the end on: a mapping of its own costs a microsecond and a
 * page, and those of one table lie in one page with its lock.
 */
enum { PAGE = 4096, SMALL = 3 * PAGE + PAGE / 2, POOL = 512, POOL_AT_MOST = 16 * PAGE };
SPARSE static _Alignas(PAGE) struct {
    char small[SMALL];
    struct lock locks[FENCEABLE_LOCKS];
} memory;
static size_t small_used;

static struct lock *all_locks_memory;
static unsigned locks_count;

static void *map_memory(size_t size)
{
    size_t rounded = (size + 63) & ~(size_t)63;
    if (rounded <= SMALL - small_used) {
        small_used += rounded;
        return memory.small + SMALL - small_used;
    }
    return kernel_mmap(NULL, size == 0 ? 1 : size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static bool make_set(struct path_set *set, size_t count)
{
    uint32_t size = 16;
    while (size < count * 2)
        size *= 2;
    set->mask = size - 1;
    set->slots = map_memory(size * sizeof *set->slots);
    return set->slots != NULL;
}

struct table *tables_known_at(uint64_t hash, const char *path, size_t length)
{
    for (uint32_t at = (uint32_t)(hash ^ hash >> 32);; at++) {
        uint32_t slot = table_set.slots[at & table_set.mask];
        if (slot == 0)
            return NULL;
        struct table *table = &tables_all[slot - 1];
        if (table->length == length && memcmp(table->path, path, length) == 0)
            return table;
    }
}

struct lock *tables_known_lock(uint64_t hash, const char *path, size_t length)
{
    for (uint32_t at = (uint32_t)(hash ^ hash >> 32);; at++) {
        uint32_t slot = lock_set.slots[at & lock_set.mask];
        if (slot == 0)
            return NULL;
        struct lock *lock = &all_locks_memory[slot - 1];
        if (strncmp(lock->path, path, length) == 0 && lock->path[length] == '\0')
            return lock;
    }
}

static void add_to_set(struct path_set *set, uint64_t hash, uint32_t index)
{
    uint32_t at = (uint32_t)(hash ^ hash >> 32);
    while (set->slots[at & set->mask] != 0)
        at++;
    set->slots[at & set->mask] = index + 1;
}

struct table *tables_get(unsigned index)
{
    return &tables_all[index];
}

struct lock *tables_lock_at(const char *path)
{
    size_t length = strlen(path);
    return tables_known_lock(tables_hash(TABLES_HASH_START, path, length), path, length);
}

/* --- setting up --- */

static const char *keep_text(const char *text)
{
    size_t size = strlen(text) + 1;
    static char *pool;
    static size_t left, next = POOL;
    if (size > left) {
        left = size > next ? size * 16 : next;
        next = next < POOL_AT_MOST ? next * 2 : next;
        pool = map_memory(left);
        if (pool == NULL)
            return NULL;
    }
    char *kept = memcpy(pool, text, size);
    pool += size;
    left -= size;
    return kept;
}

static const char *complain(const char *what, const char *path, const char *wrong)
{
    snprintf(message, sizeof message, "%s '%.700s' %s", what, path, wrong);
    return message;
}

static const char *check_kind(const struct table_settings *settings, const char *canonical)
{
    struct stat status;
    if (strcmp(canonical, "/") == 0)
        return complain("table", settings->path, "is the root directory");
    if (kernel_fstatat(AT_FDCWD, canonical, &status, 0) != 0)
        return NULL; /* it need not exist yet */
    if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode))
        return complain("table", settings->path, "is neither a directory nor a regular file");
    return NULL;
}

static struct lock *lock_for(const struct table *table, const char *path)
{
    struct lock *lock = tables_lock_at(path);
    if (lock != NULL) {
        /* One lock for several tables: held as long and as strictly as any of them wants. */
        lock->shared = lock->shared && table->settings.shared;
        if (table->settings.scope < lock->scope)
            lock->scope = table->settings.scope;
        if (table->settings.on_crash > lock->on_crash)
            lock->on_crash = table->settings.on_crash;
        lock->durable = lock->durable || table->settings.durable;
        if (table->settings.undo_limit > lock->undo_limit)
            lock->undo_limit = table->settings.undo_limit;
        if (table->settings.dependents > lock->dependents)
            lock->dependents = table->settings.dependents;
        return lock;
    }
    lock = &all_locks_memory[locks_count];
    *lock = (struct lock){.path = keep_text(path),
                          .table_path = table->path,
                          .shared = table->settings.shared,
                          .scope = table->settings.scope,
                          .dependents = table->settings.dependents,
                          .on_crash = table->settings.on_crash,
                          .durable = table->settings.durable,
                          .undo_limit = table->settings.undo_limit,
                          .descriptor = -1,
                          .borrowed = -1,
                          .slot = -1,
                          .registry = {.descriptor = -1}};
    add_to_set(&lock_set, tables_hash(TABLES_HASH_START, path, strlen(path)), locks_count++);
    lock_list_add(lock);
    return lock;
}

/* Of many tables most lie side by side: their directory is resolved once. */
SPARSE static struct {
    bool known;
    size_t length; /* of text, with the slash */
    char text[4096];
    char canonical[RESOLVE_SIZE];
} neighbours;

static bool know_directory(const char *path, size_t length)
{
    if (neighbours.known && neighbours.length == length &&
        memcmp(neighbours.text, path, length) == 0)
        return true;
    bool root = length == 1;
    memcpy(neighbours.text, path, length);
    neighbours.text[root || length == 0 ? length : length - 1] = '\0';
    neighbours.known =
        resolve_path(AT_FDCWD, length == 0 ? "." : neighbours.text, true, neighbours.canonical);
    memcpy(neighbours.text, path, length);
    neighbours.length = length;
    return neighbours.known;
}

/* False where the name is a symlink, or anything but plain: then the whole path must be walked. */
static bool resolve_beside(const char *path, char *canonical)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    size_t length = (size_t)(name - path);
    if (name[0] == '\0' || name[0] == '.' || length >= sizeof neighbours.text ||
        !know_directory(path, length))
        return false;
    size_t above = strcmp(neighbours.canonical, "/") == 0 ? 0 : strlen(neighbours.canonical);
    size_t size = strlen(name) + 1;
    if (above + 1 + size > RESOLVE_SIZE)
        return false;
    memcpy(canonical, neighbours.canonical, above);
    canonical[above] = '/';
    memcpy(canonical + above + 1, name, size);
    char byte;
    ssize_t found = kernel_readlinkat(AT_FDCWD, canonical, &byte, 1);
    return found == -EINVAL || found == -ENOENT;
}

static bool resolve_table(const char *path, bool many, char *canonical)
{
    return ((many && resolve_beside(path, canonical)) ||
            resolve_path(AT_FDCWD, path, true, canonical)) &&
           strlen(canonical) < 4096;
}

static const char *set_up_table(const struct table_settings *settings, bool many)
{
    char canonical[RESOLVE_SIZE], lock_path[RESOLVE_SIZE];
    if (!resolve_table(settings->path, many, canonical))
        return complain("table", settings->path, "can't be resolved to a path");
    const char *wrong = check_kind(settings, canonical);
    if (wrong != NULL)
        return wrong;
    if (tables_known_at(tables_hash(TABLES_HASH_START, canonical, strlen(canonical)), canonical,
                        strlen(canonical)) != NULL)
        return NULL; /* named twice: the first counts */
    if (!resolve_lock_path_of(settings, canonical, lock_path) || strlen(lock_path) + 16 >= 4096)
        return complain("lock file of table", settings->path, "can't be resolved to a path");
    struct table *table = &tables_all[tables_count];
    table->path = keep_text(canonical);
    table->length = strlen(canonical);
    table->index = tables_count;
    table->settings = *settings;
    table->settings.path = table->path;
    table->settings.log = settings->log != NULL ? keep_text(settings->log) : NULL;
    table->lock = lock_for(table, lock_path);
    table->settings.lock = table->lock->path;
    if (strcmp(table->lock->path, table->path) == 0)
        return complain("lock file", lock_path, "is the table itself");
    add_to_set(&table_set, tables_hash(TABLES_HASH_START, canonical, table->length),
               tables_count++);
    tables_note_name(table->path, "");
    tables_note_name(table->lock->path, "");
    tables_note_name(table->lock->path, ".registry");
    tables_note_name(table->lock->path, ".undo");
    return NULL;
}

const char *tables_set_up(const struct settings *settings, const char *program)
{
    if (settings->count == 0)
        return NULL;
    tables_all = map_memory(settings->count * sizeof *tables_all);
    all_locks_memory = settings->count <= FENCEABLE_LOCKS
                           ? memory.locks
                           : map_memory(settings->count * sizeof *all_locks_memory);
    if (tables_all == NULL || all_locks_memory == NULL || !make_set(&table_set, settings->count) ||
        !make_set(&lock_set, settings->count))
        return "the tables need more memory than there is";
    for (size_t i = 0; i < settings->count; i++) {
        if (settings_names_program(settings->tables[i].exempt, program))
            continue;
        const char *wrong = set_up_table(&settings->tables[i], settings->count > 1);
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}
