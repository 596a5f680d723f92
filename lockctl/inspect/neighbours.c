/*
 * A table of names by inode, for one directory at a time. Reading it must leave no trace: where the
 * time of access can't be left alone, it is not read.
 */
#include "lockctl/inspect/neighbours.h"

#include "shim/lock/kernel.h"

#include <dirent.h>
#include <string.h>

enum { WORTH_A_LIST = 16, MISSES_MAXIMUM = 8, PIECES_MAXIMUM = 64 };
#define PIECE ((size_t)32 * 1024)
#define REGISTRY_ENDING ".registry"

struct neighbour {
    uint64_t inode; /* 0: free */
    const char *name;
};

struct name_list {
    const char *directory;
    int descriptor;
    bool any_registry;
    struct neighbour *table;
    size_t size; /* a power of two */
};

static size_t place_of(const struct name_list *list, uint64_t inode)
{
    return (size_t)(inode * 0x9E3779B97F4A7C15u >> 20) & (list->size - 1);
}

static void put(struct name_list *list, const struct dirent64 *entry)
{
    size_t place = place_of(list, entry->d_ino);
    while (list->table[place].inode != 0)
        place = (place + 1) & (list->size - 1);
    list->table[place] = (struct neighbour){entry->d_ino, entry->d_name};
}

static bool is_registry(const char *name)
{
    size_t length = strlen(name);
    size_t ending = sizeof REGISTRY_ENDING - 1;
    return length > ending && strcmp(name + length - ending, REGISTRY_ENDING) == 0;
}

struct piece {
    char *bytes;
    size_t length;
};

/* Calls `each` for the entries that may be lock files; returns how many there are. */
static size_t for_each(struct name_list *list, const struct piece *pieces, size_t count,
                       void (*each)(struct name_list *list, const struct dirent64 *entry))
{
    size_t entries = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t at = 0; at < pieces[i].length;) {
            const struct dirent64 *entry = (const void *)(pieces[i].bytes + at);
            at += entry->d_reclen;
            if (entry->d_ino == 0 || entry->d_name[0] == '.')
                continue;
            entries++;
            if (each != NULL)
                each(list, entry);
        }
    return entries;
}

static void make_table(struct name_list *list, struct arena *arena, const struct piece *pieces,
                       size_t count)
{
    size_t entries = for_each(list, pieces, count, NULL);
    list->size = 64;
    while (list->size < 2 * entries)
        list->size *= 2;
    list->table = arena_take(arena, list->size * sizeof *list->table);
    (void)for_each(list, pieces, count, put);
    for (size_t i = 0; i < list->size && !list->any_registry; i++)
        list->any_registry = list->table[i].inode != 0 && is_registry(list->table[i].name);
}

/* NULL where it can't be read, and of a directory that is larger than all this. */
static struct name_list *make_list(const char *directory, struct arena *arena)
{
    struct piece pieces[PIECES_MAXIMUM];
    size_t count = 0;
    ssize_t got = 1;
    int descriptor =
        kernel_openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY | O_NOATIME | O_CLOEXEC, 0);
    if (descriptor < 0)
        return NULL;
    for (; got > 0 && count < PIECES_MAXIMUM; count++) {
        pieces[count].bytes = arena_take(arena, PIECE);
        got = kernel_getdents(descriptor, pieces[count].bytes, PIECE);
        pieces[count].length = got > 0 ? (size_t)got : 0;
    }
    if (got != 0) {
        (void)kernel_close(descriptor);
        return NULL;
    }
    struct name_list *list = arena_take(arena, sizeof *list);
    *list = (struct name_list){.directory = directory, .descriptor = descriptor};
    make_table(list, arena, pieces, count);
    return list;
}

static void drop_list(struct name_list *list)
{
    if (list != NULL)
        (void)kernel_close(list->descriptor);
}

void neighbours_drop(struct neighbours *neighbours)
{
    drop_list(neighbours->own);
    neighbours->list = neighbours->own = NULL;
}

void shared_names_drop(struct shared_names *shared)
{
    drop_list(atomic_load(&shared->list));
}

/* Another worker's, if there is one; while that is being made nothing, to ask again next time. */
static void find_list(struct neighbours *neighbours, struct arena *arena)
{
    struct shared_names *shared = neighbours->shared;
    struct name_list *others = shared != NULL ? atomic_load(&shared->list) : NULL;
    if (others != NULL && strcmp(others->directory, neighbours->directory) == 0) {
        neighbours->list = others;
    } else if (shared == NULL || others != NULL) {
        neighbours->list = neighbours->own = make_list(neighbours->directory, arena);
    } else if (!atomic_exchange(&shared->begun, true)) {
        others = make_list(neighbours->directory, arena);
        atomic_store(&shared->list, others);
        neighbours->list = others;
    } else {
        return;
    }
    neighbours->listed = true;
}

void neighbours_note(struct neighbours *neighbours, struct arena *arena, const char *path)
{
    size_t length = (size_t)(strrchr(path, '/') - path) + 1;
    if (neighbours->directory == NULL || strncmp(neighbours->directory, path, length) != 0 ||
        neighbours->directory[length] != '\0') {
        if (neighbours->list != NULL && neighbours->missed < MISSES_MAXIMUM)
            return; /* one that lies elsewhere, among many */
        neighbours_drop(neighbours);
        struct shared_names *shared = neighbours->shared;
        *neighbours = (struct neighbours){.shared = shared};
        neighbours->directory = arena_copy(arena, path, length);
    }
    if (++neighbours->seen >= WORTH_A_LIST && !neighbours->listed)
        find_list(neighbours, arena);
}

bool neighbours_have_registry(const struct neighbours *neighbours)
{
    return neighbours->list->any_registry;
}

static const char *name_of(const struct name_list *list, uint64_t inode)
{
    for (size_t place = place_of(list, inode); list->table[place].inode != 0;
         place = (place + 1) & (list->size - 1))
        if (list->table[place].inode == inode)
            return list->table[place].name;
    return NULL;
}

const char *neighbours_find(struct neighbours *neighbours, struct arena *arena, uint64_t device,
                            uint64_t inode, struct stat *status)
{
    const struct name_list *list = neighbours->list;
    if (list == NULL || inode == 0 || neighbours->missed >= MISSES_MAXIMUM)
        return NULL;
    const char *name = name_of(list, inode);
    if (name == NULL || kernel_fstatat(list->descriptor, name, status, AT_SYMLINK_NOFOLLOW) != 0 ||
        status->st_dev != device || status->st_ino != inode || status->st_nlink != 1) {
        neighbours->missed++;
        return NULL;
    }
    neighbours->missed = 0;
    size_t length = strlen(list->directory);
    size_t name_length = strlen(name);
    char *path = arena_take(arena, length + name_length + 1);
    memcpy(path, list->directory, length);
    memcpy(path + length, name, name_length);
    return path;
}
