/*
 * The question "whose is this path?". The fast path makes no system call and reads one cache entry;
 * it must never answer "nobody's" from a cache entry that is too old.
 */
#include "shim/tables.h"
#include "shim/tables_known.h"

#include "shim/descriptors.h"
#include "shim/lock/kernel.h"
#include "shim/lock/resolve.h"
#include "shim/lock/sparse.h"

#include <stdatomic.h>
#include <string.h>

#define CACHE_MILLISECONDS 40
enum { CACHE_ENTRIES = 256, CACHE_TEXT = 480, NAME_FILTER_BITS = 1 << 14 };

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
    if (tables_known_lock(tables_hash(TABLES_HASH_START, path, length), path, length) != NULL)
        return true;
    const char *registry = strstr(path, ".registry");
    const char *undo = strstr(path, ".undo");
    if (registry != NULL && registry[9] != '/') {
        size_t stem = (size_t)(registry - path);
        return tables_known_lock(tables_hash(TABLES_HASH_START, path, stem), path, stem) != NULL;
    }
    if (undo != NULL && (undo[5] == '/' || undo[5] == '\0')) {
        size_t stem = (size_t)(undo - path);
        return tables_known_lock(tables_hash(TABLES_HASH_START, path, stem), path, stem) != NULL;
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
    uint64_t hash = TABLES_HASH_START;
    for (size_t i = 0; i <= length; i++) {
        if (i == length || (path[i] == '/' && i > 0)) {
            struct table *table = tables_known_at(hash, path, i);
            if (table != NULL)
                found = table;
        }
        if (i < length)
            hash = tables_hash(hash, &path[i], 1);
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
    place.key = tables_hash(TABLES_HASH_START, canonical, strlen(canonical)) | 1;
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
    bool elsewhere;  /* text is how a path begins, and no name behind it is a table's */
    char text[CACHE_TEXT];
};

/* By hash, the entry + 1; 0: none yet. Entries are given out in turn: few of them touch few pages.
 */
static _Atomic uint16_t cache_slots[CACHE_ENTRIES];
static _Atomic uint32_t cache_used;
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

/* The entry that has answered this thread last: most paths lie where the one before did. */
static __thread const struct cached *recent;

static inline bool look_up(const char *text, size_t length, struct verdict *verdict)
{
    unsigned slot = atomic_load_explicit(&cache_slots[quick_hash(text, length) % CACHE_ENTRIES],
                                         memory_order_relaxed);
    if (slot == 0)
        return false;
    const struct cached *entry = &cache[slot - 1];
    uint32_t before = atomic_load_explicit(&entry->sequence, memory_order_acquire);
    if ((before & 1) != 0 || entry->length != length ||
        entry->epoch != atomic_load_explicit(&cache_epoch, memory_order_relaxed) ||
        memcmp(entry->text, text, length) != 0 || entry->expires < coarse_now())
        return false;
    verdict->table = entry->table;
    verdict->special = entry->special;
    verdict->hash = entry->hash;
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&entry->sequence, memory_order_relaxed) != before)
        return false;
    recent = entry;
    return true;
}

bool tables_is_elsewhere(int directory, const char *path)
{
    const struct cached *entry = recent;
    if (entry == NULL || (directory != AT_FDCWD && path[0] != '/'))
        return false;
    uint32_t before = atomic_load_explicit(&entry->sequence, memory_order_acquire);
    size_t length = entry->length;
    uint64_t expires = entry->expires;
    if ((before & 1) != 0 || !entry->elsewhere ||
        entry->epoch != atomic_load_explicit(&cache_epoch, memory_order_relaxed) ||
        strncmp(entry->text, path, length) != 0)
        return false;
    /* Only an entry that nobody has written meanwhile tells that the path is as long as its text.
     */
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&entry->sequence, memory_order_relaxed) != before)
        return false;
    const char *name = path + length;
    return *name != '\0' && *name != '.' && *strchrnul(name, '/') == '\0' &&
           expires >= coarse_now();
}

static struct cached *entry_to_write(uint64_t hash)
{
    _Atomic uint16_t *slot = &cache_slots[hash % CACHE_ENTRIES];
    uint16_t known = atomic_load(slot);
    if (known == 0) {
        /* Where threads meet one is lost, and somebody has to share another's in the end. */
        uint16_t next = (uint16_t)(atomic_fetch_add(&cache_used, 1) % CACHE_ENTRIES + 1);
        if (atomic_compare_exchange_strong(slot, &known, next))
            known = next;
    }
    return &cache[known - 1];
}

static void remember(const char *text, size_t length, bool is_path, const struct verdict *verdict,
                     uint32_t epoch)
{
    struct cached *entry = entry_to_write(quick_hash(text, length));
    uint32_t before = 0; /* a new one; its page is written at once, not read first */
    if (!atomic_compare_exchange_strong(&entry->sequence, &before, 1) &&
        ((before & 1) != 0 ||
         !atomic_compare_exchange_strong(&entry->sequence, &before, before + 1)))
        return;
    entry->epoch = epoch;
    entry->expires = coarse_now() + CACHE_MILLISECONDS;
    entry->hash = verdict->hash;
    entry->table = verdict->table;
    entry->special = verdict->special;
    entry->elsewhere = is_path && verdict->table < 0 && !verdict->special;
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
        if (lies_right_in(tables_all[i].path, directory, length) ||
            lies_right_in(tables_all[i].lock->path, directory, length))
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
                              tables_hash(TABLES_HASH_START, directory, strlen(directory))};
    if (strcmp(directory, "/") != 0)
        verdict.hash = tables_hash(verdict.hash, "/", 1);
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
        remember(text, length, true, verdict, epoch);
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

void tables_note_name(const char *path, const char *suffix)
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
        place.table = &tables_all[verdict->table];
        place.key = tables_hash(verdict->hash, name, length) | 1;
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
        remember((const char *)&text, sizeof text, false, verdict, epoch);
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

struct place tables_look_up(int directory, const char *path, bool follow)
{
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
