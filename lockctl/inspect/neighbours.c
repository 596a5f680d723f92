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

static size_t place_of(const struct neighbours *neighbours, uint64_t inode)
{
    return (size_t)(inode * 0x9E3779B97F4A7C15u >> 20) & (neighbours->size - 1);
}

static void put(struct neighbours *neighbours, const struct dirent64 *entry)
{
    size_t place = place_of(neighbours, entry->d_ino);
    while (neighbours->table[place].inode != 0)
        place = (place + 1) & (neighbours->size - 1);
    neighbours->table[place] = (struct neighbour){entry->d_ino, entry->d_name};
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
static size_t for_each(struct neighbours *neighbours, const struct piece *pieces, size_t count,
                       void (*each)(struct neighbours *neighbours, const struct dirent64 *entry))
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
                each(neighbours, entry);
        }
    return entries;
}

static void make_table(struct neighbours *neighbours, struct arena *arena,
                       const struct piece *pieces, size_t count)
{
    size_t entries = for_each(neighbours, pieces, count, NULL);
    size_t size = 64;
    while (size < 2 * entries)
        size *= 2;
    neighbours->size = size;
    neighbours->table = arena_take(arena, size * sizeof *neighbours->table);
    (void)for_each(neighbours, pieces, count, put);
    for (size_t i = 0; i < size; i++)
        neighbours->any_registry =
            neighbours->any_registry ||
            (neighbours->table[i].inode != 0 && is_registry(neighbours->table[i].name));
}

/* A directory that is larger than all this is left alone. */
static void list(struct neighbours *neighbours, struct arena *arena)
{
    struct piece pieces[PIECES_MAXIMUM];
    size_t count = 0;
    ssize_t got = 1;
    neighbours->listed = true;
    int descriptor = kernel_openat(AT_FDCWD, neighbours->directory,
                                   O_RDONLY | O_DIRECTORY | O_NOATIME | O_CLOEXEC, 0);
    if (descriptor < 0)
        return;
    for (; got > 0 && count < PIECES_MAXIMUM; count++) {
        pieces[count].bytes = arena_take(arena, PIECE);
        got = kernel_getdents(descriptor, pieces[count].bytes, PIECE);
        pieces[count].length = got > 0 ? (size_t)got : 0;
    }
    if (got != 0) {
        (void)kernel_close(descriptor);
        return;
    }
    neighbours->descriptor = descriptor;
    make_table(neighbours, arena, pieces, count);
}

void neighbours_drop(struct neighbours *neighbours)
{
    if (neighbours->size > 0)
        (void)kernel_close(neighbours->descriptor);
    neighbours->size = 0;
}

void neighbours_note(struct neighbours *neighbours, struct arena *arena, const char *path)
{
    size_t length = (size_t)(strrchr(path, '/') - path) + 1;
    if (neighbours->directory == NULL || strncmp(neighbours->directory, path, length) != 0 ||
        neighbours->directory[length] != '\0') {
        if (neighbours->listed && neighbours->size > 0 && neighbours->missed < MISSES_MAXIMUM)
            return; /* one that lies elsewhere, among many */
        neighbours_drop(neighbours);
        *neighbours = (struct neighbours){.directory = arena_copy(arena, path, length)};
    }
    if (++neighbours->seen >= WORTH_A_LIST && !neighbours->listed)
        list(neighbours, arena);
}

static const char *name_of(const struct neighbours *neighbours, uint64_t inode)
{
    for (size_t place = place_of(neighbours, inode); neighbours->table[place].inode != 0;
         place = (place + 1) & (neighbours->size - 1))
        if (neighbours->table[place].inode == inode)
            return neighbours->table[place].name;
    return NULL;
}

const char *neighbours_find(struct neighbours *neighbours, struct arena *arena, uint64_t device,
                            uint64_t inode, struct stat *status)
{
    if (neighbours->size == 0 || inode == 0 || neighbours->missed >= MISSES_MAXIMUM)
        return NULL;
    const char *name = name_of(neighbours, inode);
    if (name == NULL ||
        kernel_fstatat(neighbours->descriptor, name, status, AT_SYMLINK_NOFOLLOW) != 0 ||
        status->st_dev != device || status->st_ino != inode || status->st_nlink != 1) {
        neighbours->missed++;
        return NULL;
    }
    neighbours->missed = 0;
    size_t length = strlen(neighbours->directory);
    size_t name_length = strlen(name);
    char *path = arena_take(arena, length + name_length + 1);
    memcpy(path, neighbours->directory, length);
    memcpy(path + length, name, name_length);
    return path;
}
