/*
 * Reading and parsing /proc/locks. A line that does not look as it should is passed over.
 */
#include "lockctl/inspect/kernel_view.h"

#include "lockctl/lockctl.h"
#include "shim/lock/kernel.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>

enum { ATTEMPTS = 4, WORDS = 9 };
#define FIRST_ROOM ((size_t)64 << 10)
#define ROOM_FOR_ALL ((size_t)4 << 20)
#define FAR_BEHIND ((off_t)1 << 40)

/* The whole number that a word is in this base, or false. */
static bool parse_number(const char *word, int base, uint64_t maximum, uint64_t *number)
{
    char *end;
    if (*word == '\0' || strchr("-+ ", *word) != NULL)
        return false;
    errno = 0;
    *number = strtoull(word, &end, base);
    return errno == 0 && *end == '\0' && *number <= maximum;
}

/* "fe:00:42": major and minor number in hexadecimal digits, inode in decimal ones. */
static bool parse_identity(char *word, struct kernel_flock *flock)
{
    uint64_t major_number;
    uint64_t minor_number;
    char *minor_word = strchr(word, ':');
    char *inode_word = minor_word != NULL ? strchr(minor_word + 1, ':') : NULL;
    if (inode_word == NULL)
        return false;
    *minor_word++ = '\0';
    *inode_word++ = '\0';
    if (!parse_number(word, 16, UINT32_MAX, &major_number) ||
        !parse_number(minor_word, 16, UINT32_MAX, &minor_number) ||
        !parse_number(inode_word, 10, UINT64_MAX, &flock->inode))
        return false;
    flock->device = makedev((unsigned)major_number, (unsigned)minor_number);
    return true;
}

/* "1: FLOCK  ADVISORY  WRITE 4711 fd:01:42 0 EOF", "1: -> FLOCK …" for one who waits behind it */
bool kernel_view_parse_line(char *line, struct kernel_flock *flock)
{
    char *save = NULL;
    char *words[WORDS] = {NULL};
    int count = 0;
    for (char *word = strtok_r(line, " \t", &save); word != NULL && count < WORDS;
         word = strtok_r(NULL, " \t", &save))
        words[count++] = word;
    flock->waits = count > 1 && strcmp(words[1], "->") == 0;
    int at = flock->waits ? 2 : 1;
    uint64_t process;
    if (count < at + 5 || strcmp(words[at], "FLOCK") != 0 ||
        !parse_number(words[at + 3], 10, INT32_MAX, &process))
        return false;
    flock->process = (pid_t)process;
    flock->exclusive = strcmp(words[at + 2], "WRITE") == 0;
    if (!flock->exclusive && strcmp(words[at + 2], "READ") != 0)
        return false;
    return parse_identity(words[at + 4], flock);
}

static int compare(const void *left, const void *right)
{
    const struct kernel_flock *one = left;
    const struct kernel_flock *other = right;
    if (one->device != other->device)
        return one->device < other->device ? -1 : 1;
    if (one->inode != other->inode)
        return one->inode < other->inode ? -1 : 1;
    if (one->waits != other->waits)
        return one->waits ? 1 : -1;
    return (one->process > other->process) - (one->process < other->process);
}

void kernel_view_parse(struct kernel_view *view, struct arena *arena, char *text)
{
    char *save = NULL;
    view->items = NULL;
    view->count = 0;
    view->torn = false;
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        struct kernel_flock flock;
        if (!kernel_view_parse_line(line, &flock))
            continue;
        view->items = arena_grow(arena, view->items, view->count, sizeof *view->items);
        view->items[view->count++] = flock;
    }
    if (view->count > 0)
        qsort(view->items, view->count, sizeof *view->items, compare);
}

static bool is_same_file(const struct kernel_flock *one, const struct kernel_flock *other)
{
    return one->device == other->device && one->inode == other->inode;
}

bool kernel_view_contradicts_itself(const struct kernel_view *view)
{
    for (size_t i = 1; i < view->count; i++) {
        const struct kernel_flock *one = &view->items[i - 1];
        const struct kernel_flock *other = &view->items[i];
        if (!one->waits && !other->waits && is_same_file(one, other) &&
            (one->exclusive || other->exclusive))
            return true;
    }
    return false;
}

/*
 * The list, from its start. It is opened once: the kernel's buffer for it grows with the longest
 * record (a lock with many waiters), and stays so; from then on it comes in large pieces. Looking
 * for a place behind its end makes the kernel go through all of it at one go, and the buffer grow.
 */
static int open_list(bool grow_buffer)
{
    static int descriptor = -1;
    if (descriptor < 0)
        descriptor = kernel_openat(AT_FDCWD, "/proc/locks", O_RDONLY | O_CLOEXEC, 0);
    if (descriptor >= 0 && grow_buffer)
        (void)kernel_lseek(descriptor, FAR_BEHIND, SEEK_SET);
    if (descriptor >= 0)
        (void)kernel_lseek(descriptor, 0, SEEK_SET);
    return descriptor;
}

/* Memory that is kept from reading to reading, of at least this size. */
static char *make_room(size_t wanted, size_t *size)
{
    static char *memory;
    static size_t room;
    if (room < wanted) {
        memory = realloc(memory, wanted);
        if (memory == NULL)
            err(STATUS_FAILED, NULL);
        room = wanted;
    }
    *size = room;
    return memory;
}

/* The text of the list, until the next reading, or NULL with *error set. */
static char *read_text(struct kernel_view *view, bool whole, int *error)
{
    int descriptor = open_list(whole);
    *error = descriptor;
    if (descriptor < 0)
        return NULL;
    size_t size;
    size_t length = 0;
    size_t pieces = 0;
    char *text = make_room(whole ? ROOM_FOR_ALL : FIRST_ROOM, &size);
    for (ssize_t got; (got = kernel_read(descriptor, text + length, size - 1 - length)) != 0;) {
        *error = (int)got;
        if (got < 0)
            break;
        length += (size_t)got;
        pieces++;
        if (size - length <= 8192)
            text = make_room(2 * size, &size);
    }
    text[length] = '\0';
    view->bytes = length;
    view->pieces = pieces;
    return *error < 0 ? NULL : text;
}

static int read_list(struct kernel_view *view, struct arena *arena, bool whole)
{
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        int error;
        char *text = read_text(view, whole || attempt > 0, &error);
        if (text == NULL)
            return error;
        kernel_view_parse(view, arena, text);
        if (!kernel_view_contradicts_itself(view))
            return 0;
    }
    view->torn = true;
    return 0;
}

int kernel_view_read(struct kernel_view *view, struct arena *arena)
{
    return read_list(view, arena, false);
}

int kernel_view_read_whole(struct kernel_view *view, struct arena *arena)
{
    return read_list(view, arena, true);
}

size_t kernel_view_find(const struct kernel_view *view, uint64_t device, uint64_t inode,
                        size_t *first)
{
    struct kernel_flock wanted = {.device = device, .inode = inode};
    size_t low = 0;
    size_t high = view->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&view->items[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *first = low;
    while (low < view->count && is_same_file(&view->items[low], &wanted))
        low++;
    return low - *first;
}

void kernel_view_merge(struct kernel_view *view, const struct kernel_view *earlier,
                       struct arena *arena)
{
    struct kernel_view both = {
        .items = arena_take(arena, (view->count + earlier->count + 1) * sizeof *both.items)};
    if (view->count > 0)
        memcpy(both.items, view->items, view->count * sizeof *both.items);
    both.count = view->count;
    for (size_t i = 0; i < earlier->count; i++) {
        size_t first;
        const struct kernel_flock *flock = &earlier->items[i];
        if (kernel_view_find(view, flock->device, flock->inode, &first) == 0)
            both.items[both.count++] = *flock;
    }
    if (both.count > 0)
        qsort(both.items, both.count, sizeof *both.items, compare);
    view->items = both.items;
    view->count = both.count;
}
