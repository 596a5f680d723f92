/*
 * The set of tables, and the question "whose is this path?". The fast path makes no system call and
 * reads one cache entry; it must never answer "nobody's" from a cache entry that is too old.
 */
#include "shim/tables.h"

#include "shim/descriptors.h"
#include "shim/lock/kernel.h"
#include "shim/lock/resolve.h"
#include "shim/lock/sparse.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define CACHE_MILLISECONDS 40
enum { CACHE_ENTRIES = 256, CACHE_TEXT = 480, NAME_FILTER_BITS = 1 << 14 };

unsigned tables_count;

static struct table *all_tables;
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
SPARSE static struct lock fenceable_locks[FENCEABLE_LOCKS];
static struct lock *all_locks_memory;
static unsigned locks_count;

#define FNV_START 14695981039346656037u
#define FNV_PRIME 1099511628211u

static uint64_t hash_more(uint64_t hash, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * FNV_PRIME;
    return hash;
}

/* Small things come from here: a mapping of its own costs a microsecond and a page. */
SPARSE static _Alignas(64) char small_memory[16384];
static size_t small_used;

static void *map_memory(size_t size)
{
    size_t rounded = (size + 63) & ~(size_t)63;
    if (rounded <= sizeof small_memory - small_used) {
        void *memory = small_memory + small_used;
        small_used += rounded;
        return memory;
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

static struct table *find_table(uint64_t hash, const char *path, size_t length)
{
    for (uint32_t at = (uint32_t)(hash ^ hash >> 32);; at++) {
        uint32_t slot = table_set.slots[at & table_set.mask];
        if (slot == 0)
            return NULL;
        struct table *table = &all_tables[slot - 1];
        if (table->length == length && memcmp(table->path, path, length) == 0)
            return table;
    }
}

static struct lock *find_lock(uint64_t hash, const char *path, size_t length)
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
    return &all_tables[index];
}

struct lock *tables_lock_at(const char *path)
{
    size_t length = strlen(path);
    return find_lock(hash_more(FNV_START, path, length), path, length);
}

/* --- whose is a canonical path? --- */

static bool has_suffix(const char *path, size_t *length, const char *suffix)
{
    size_t size = strlen(suffix);
    if (*length <= size || memcmp(path + *length - size, suffix, size) != 0)
        return false;
    *length -= size;
    return true;
}

/* Lock files, registries and undo journals are no part of a table, wherever they lie. */
static bool is_apparatus(const char *path)
{
    size_t length = strlen(path);
    if (find_lock(hash_more(FNV_START, path, length), path, length) != NULL)
        return true;
    const char *registry = strstr(path, ".registry");
    const char *undo = strstr(path, ".undo");
    if (registry != NULL && registry[9] != '/') {
        size_t stem = (size_t)(registry - path);
        return find_lock(hash_more(FNV_START, path, stem), path, stem) != NULL;
    }
    if (undo != NULL && (undo[5] == '/' || undo[5] == '\0')) {
        size_t stem = (size_t)(undo - path);
        return find_lock(hash_more(FNV_START, path, stem), path, stem) != NULL;
    }
    return false;
}

/* The innermost table that a canonical path lies in, or is. */
static struct table *innermost(const char *path)
{
    /* The kernel's word for a file that has been removed while open. */
    size_t length = strlen(path);
    (void)has_suffix(path, &length, " (deleted)");
    struct table *found = NULL;
    uint64_t hash = FNV_START;
    for (size_t i = 0; i <= length; i++) {
        if (i == length || (path[i] == '/' && i > 0)) {
            struct table *table = find_table(hash, path, i);
            if (table != NULL)
                found = table;
        }
        if (i < length)
            hash = (hash ^ (unsigned char)path[i]) * FNV_PRIME;
    }
    return found;
}

static struct place place_of(const char *canonical)
{
    struct place place = {NULL, false, 0};
    struct table *table = innermost(canonical);
    if (table == NULL || is_apparatus(canonical))
        return place;
    place.table = table;
    place.key = hash_more(FNV_START, canonical, strlen(canonical)) | 1;
    return place;
}

/* --- the cache of directories --- */

struct cached {
    _Atomic uint32_t sequence; /* odd while it is written */
    uint32_t epoch;
    uint64_t expires;
    uint64_t hash;   /* of the canonical path with a slash behind it */
    int32_t table;   /* index of the table that the directory lies in, or -1 */
    uint16_t length; /* of text */
    bool special;    /* a table or a lock file lies right in it: every name must be looked at */
    char text[CACHE_TEXT];
};

SPARSE static struct cached cache[CACHE_ENTRIES];
static _Atomic uint32_t cache_epoch;
static unsigned char name_filter[NAME_FILTER_BITS / 8];

void tables_forget_cache(void)
{
    atomic_fetch_add(&cache_epoch, 1);
}

static inline uint64_t coarse_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static inline uint64_t quick_hash(const char *text, size_t length)
{
    uint64_t hash = length * 0x9e3779b97f4a7c15u, word = 0;
    if (length < 8) {
        for (size_t i = 0; i < length; i++)
            word = word << 8 | (unsigned char)text[i];
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        return hash ^ hash >> 29;
    }
    for (size_t i = 0; i + 8 <= length; i += 8) {
        memcpy(&word, text + i, 8);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    memcpy(&word, text + length - 8, 8);
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

struct verdict {
    int32_t table;
    bool special;
    uint64_t hash;
};

static inline bool look_up(const char *text, size_t length, struct verdict *verdict)
{
    struct cached *entry = &cache[quick_hash(text, length) % CACHE_ENTRIES];
    uint32_t before = atomic_load_explicit(&entry->sequence, memory_order_acquire);
    if ((before & 1) != 0 || entry->length != length ||
        entry->epoch != atomic_load_explicit(&cache_epoch, memory_order_relaxed) ||
        memcmp(entry->text, text, length) != 0 || entry->expires < coarse_now())
        return false;
    verdict->table = entry->table;
    verdict->special = entry->special;
    verdict->hash = entry->hash;
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&entry->sequence, memory_order_relaxed) == before;
}

static void remember(const char *text, size_t length, const struct verdict *verdict, uint32_t epoch)
{
    struct cached *entry = &cache[quick_hash(text, length) % CACHE_ENTRIES];
    uint32_t before = atomic_load(&entry->sequence);
    if ((before & 1) != 0 || !atomic_compare_exchange_strong(&entry->sequence, &before, before + 1))
        return;
    entry->epoch = epoch;
    entry->expires = coarse_now() + CACHE_MILLISECONDS;
    entry->hash = verdict->hash;
    entry->table = verdict->table;
    entry->special = verdict->special;
    entry->length = (uint16_t)length;
    memcpy(entry->text, text, length);
    atomic_store_explicit(&entry->sequence, before + 2, memory_order_release);
}

static bool lies_right_in(const char *path, const char *directory, size_t length)
{
    return strncmp(path, directory, length) == 0 && path[length] == '/' &&
           strchr(path + length + 1, '/') == NULL;
}

static bool is_special(const char *directory)
{
    size_t length = strcmp(directory, "/") == 0 ? 0 : strlen(directory);
    for (unsigned i = 0; i < tables_count; i++) {
        if (lies_right_in(all_tables[i].path, directory, length) ||
            lies_right_in(all_tables[i].lock->path, directory, length))
            return true;
    }
    return false;
}

static struct verdict judge_canonical(const char *directory)
{
    const struct table *table = innermost(directory);
    if (table != NULL && is_apparatus(directory))
        table = NULL;
    struct verdict verdict = {table != NULL ? (int32_t)table->index : -1, is_special(directory),
                              hash_more(FNV_START, directory, strlen(directory))};
    if (strcmp(directory, "/") != 0)
        verdict.hash = hash_more(verdict.hash, "/", 1);
    return verdict;
}

/* Asks the kernel about a directory and keeps the answer. */
static bool judge_directory(const char *text, size_t length, struct verdict *verdict)
{
    char directory[CACHE_TEXT + 1], canonical[RESOLVE_SIZE];
    uint32_t epoch = atomic_load(&cache_epoch);
    if (length > CACHE_TEXT)
        return false;
    memcpy(directory, text, length);
    directory[length] = '\0';
    if (!resolve_path(AT_FDCWD, length == 0 ? "." : directory, true, canonical))
        return false;
    *verdict = judge_canonical(canonical);
    /* A vfork child has a working directory of its own, but this memory is its parent's. */
    if (directory[0] == '/' || lock_self_is_here())
        remember(text, length, verdict, epoch);
    return true;
}

/* --- the question --- */

struct place tables_find_exactly(int directory, const char *path, bool follow)
{
    char canonical[RESOLVE_SIZE];
    struct place none = {NULL, false, 0};
    if (!resolve_path(directory, path, follow, canonical))
        return none;
    return place_of(canonical);
}

struct place tables_find_descriptor(int descriptor)
{
    char canonical[RESOLVE_SIZE];
    struct place none = {NULL, false, 0};
    if (!resolve_descriptor(descriptor, canonical))
        return none;
    return place_of(canonical);
}

static inline bool name_may_matter(const char *name, size_t length)
{
    uint64_t bit = quick_hash(name, length) % NAME_FILTER_BITS;
    return (name_filter[bit / 8] >> (bit % 8) & 1) != 0;
}

static void note_name(const char *path, const char *suffix)
{
    char name[512];
    const char *last = strrchr(path, '/') + 1;
    size_t length = strlen(last), more = strlen(suffix);
    if (length + more > sizeof name) /* longer than a name can be */
        return;
    memcpy(name, last, length);
    memcpy(name + length, suffix, more);
    uint64_t bit = quick_hash(name, length + more) % NAME_FILTER_BITS;
    name_filter[bit / 8] = (unsigned char)(name_filter[bit / 8] | 1u << (bit % 8));
}

static inline struct place place_below(const struct verdict *verdict, const char *name,
                                       size_t length, bool follow)
{
    struct place place = {NULL, follow, 0};
    if (verdict->table >= 0) {
        place.table = &all_tables[verdict->table];
        place.key = hash_more(verdict->hash, name, length) | 1;
    }
    return place;
}

/*
 * A table's directory by its descriptor. No path begins like the text that it is kept under, and
 * the number of another directory has another key.
 */
static bool judge_descriptor(int descriptor, struct verdict *verdict)
{
    struct {
        char mark[4];
        int number;
        uint64_t key;
    } text = {{1}, descriptor, descriptor_key(descriptor)};
    if (look_up((const char *)&text, sizeof text, verdict))
        return true;
    char canonical[RESOLVE_SIZE];
    uint32_t epoch = atomic_load(&cache_epoch);
    if (!resolve_descriptor(descriptor, canonical))
        return false;
    *verdict = judge_canonical(canonical);
    if (lock_self_is_here())
        remember((const char *)&text, sizeof text, verdict, epoch);
    return true;
}

/*
 * A name relative to a directory descriptor. Descriptors on tables are known, so behind any other
 * one there is no table, unless the name is a table's own.
 */
static struct place find_below_descriptor(int directory, const char *path, bool follow)
{
    struct place place = {NULL, follow, 0};
    struct verdict verdict;
    size_t length = strlen(path);
    bool plain = length != 0 && memchr(path, '/', length) == NULL && strcmp(path, ".") != 0 &&
                 strcmp(path, "..") != 0;
    if (!plain || name_may_matter(path, length))
        return tables_find_exactly(directory, path, follow);
    if (descriptor_word(directory) == 0)
        return place;
    if (!judge_descriptor(directory, &verdict))
        return tables_find_exactly(directory, path, follow);
    return place_below(&verdict, path, length, follow);
}

struct place tables_find(int directory, const char *path, bool follow)
{
    if (path == NULL)
        return (struct place){NULL, false, 0};
    if (directory != AT_FDCWD && path[0] != '/')
        return find_below_descriptor(directory, path, follow);
    size_t length = strlen(path);
    const char *slash = memrchr(path, '/', length);
    const char *name = slash != NULL ? slash + 1 : path;
    size_t name_length = (size_t)(path + length - name);
    if (name_length == 0 ||
        (name[0] == '.' && (name_length == 1 || (name_length == 2 && name[1] == '.'))))
        return tables_find_exactly(directory, path, follow);
    struct verdict verdict;
    size_t directory_length = (size_t)(name - path);
    if (!look_up(path, directory_length, &verdict) &&
        !judge_directory(path, directory_length, &verdict))
        return tables_find_exactly(directory, path, follow);
    if (verdict.special && name_may_matter(name, name_length))
        return tables_find_exactly(directory, path, follow);
    return place_below(&verdict, name, name_length, follow);
}

/* --- setting up --- */

static const char *keep_text(const char *text)
{
    size_t size = strlen(text) + 1;
    static char *pool;
    static size_t left;
    if (size > left) {
        left = size > 4096 ? size * 16 : 4096;
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
    add_to_set(&lock_set, hash_more(FNV_START, path, strlen(path)), locks_count++);
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
    if (find_table(hash_more(FNV_START, canonical, strlen(canonical)), canonical,
                   strlen(canonical)) != NULL)
        return NULL; /* named twice: the first counts */
    if (!resolve_lock_path_of(settings, canonical, lock_path) || strlen(lock_path) + 16 >= 4096)
        return complain("lock file of table", settings->path, "can't be resolved to a path");
    struct table *table = &all_tables[tables_count];
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
    add_to_set(&table_set, hash_more(FNV_START, canonical, table->length), tables_count++);
    note_name(table->path, "");
    note_name(table->lock->path, "");
    note_name(table->lock->path, ".registry");
    note_name(table->lock->path, ".undo");
    return NULL;
}

const char *tables_set_up(const struct settings *settings, const char *program)
{
    if (settings->count == 0)
        return NULL;
    all_tables = map_memory(settings->count * sizeof *all_tables);
    all_locks_memory = settings->count <= FENCEABLE_LOCKS
                           ? fenceable_locks
                           : map_memory(settings->count * sizeof *all_locks_memory);
    if (all_tables == NULL || all_locks_memory == NULL || !make_set(&table_set, settings->count) ||
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
