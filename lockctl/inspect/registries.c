/*
 * The registry's words, copied once for a look. Registries are read-only here, and every word was
 * looked at by registry_view.c; whether a process that they name is there is asked of /proc.
 */
#include "lockctl/inspect/look.h"

#include <string.h>

static void *copy_items(struct arena *arena, const void *items, size_t count, size_t size)
{
    void *copy = arena_take(arena, count * size + 1);
    if (count > 0)
        memcpy(copy, items, count * size);
    return copy;
}

static void read_holders(struct arena *arena, const struct registry_view *view,
                         struct registry_words *words)
{
    struct view_holder holders[1 + REGISTRY_HOLDERS];
    size_t count = registry_view_exclusive(view, &holders[0]) ? 1 : 0;
    count += registry_view_holders(view, holders + count);
    words->holders = copy_items(arena, holders, count, sizeof holders[0]);
    words->holder_count = count;
}

static void read_waiters(struct arena *arena, const struct registry_view *view,
                         struct registry_words *words)
{
    static struct view_waiter waiters[REGISTRY_WAITERS];
    size_t count = words->head.waiting > 0 ? registry_view_waiters(view, waiters) : 0;
    words->waiters = copy_items(arena, waiters, count, sizeof waiters[0]);
    words->waiter_count = count;
}

/* The mark names no namespace: it is looked for in that of the exclusive holder's record, if any.
 */
static bool owner_of_mark_lives(struct look *look, const struct registry_view *view,
                                const struct registry_words *words)
{
    const struct view_mark *mark = &words->head.mark;
    if (mark->boot != view->boot && view->boot != 0)
        return false;
    uint64_t pid_namespace =
        words->holder_count > 0 ? words->holders[0].pid_namespace : view->pid_namespace;
    if (processes_find(&look->processes, mark->process, pid_namespace, mark->start_time) != NULL)
        return true;
    return look->inside_namespace && pid_namespace != view->pid_namespace;
}

static void read_words(struct look *look, const struct registry_view *view,
                       struct registry_words *words)
{
    struct view_blocked blocked[REGISTRY_BLOCKED];
    char table[4096];
    words->present = registry_view_head(view, &words->head);
    if (!words->present)
        return;
    read_holders(look->arena, view, words);
    read_waiters(look->arena, view, words);
    size_t count = registry_view_blocked(view, blocked);
    for (size_t i = 0; i < count; i++) {
        look->blocked =
            arena_grow(look->arena, look->blocked, look->blocked_count, sizeof blocked[0]);
        look->blocked[look->blocked_count++] = blocked[i];
    }
    if (registry_view_table(view, table)[0] != '\0')
        words->table = arena_copy(look->arena, table, strlen(table));
    words->mark_is_left =
        words->head.mark.state == MARK_CHANGED && !owner_of_mark_lives(look, view, words);
}

static size_t bucket_of(const char *path)
{
    size_t hash = 0;
    for (; *path != '\0'; path++)
        hash = hash * 31 + (unsigned char)*path;
    return hash % REGISTRY_BUCKET_COUNT;
}

struct registry_words *registries_read(struct look *look, const char *lock_path)
{
    struct registry_words **bucket = &look->registries[bucket_of(lock_path)];
    for (struct registry_words *words = *bucket; words != NULL; words = words->next) {
        if (strcmp(words->path, lock_path) == 0) {
            words->shared = true;
            return words;
        }
    }
    struct registry_words *words = arena_take(look->arena, sizeof *words);
    words->path = lock_path;
    struct registry_view view;
    if (registry_view_open(&view, lock_path))
        read_words(look, &view, words);
    registry_view_close(&view);
    words->next = *bucket;
    *bucket = words;
    return words;
}
