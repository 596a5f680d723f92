/*
 * Reading and parsing /proc/locks. A line that does not look as it should is passed over.
 */
#include "lockctl/inspect/kernel_view.h"

#include "lockctl/lockctl.h"
#include "shim/lock/kernel.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>

enum { ATTEMPTS = 4 };
#define FIRST_ROOM ((size_t)64 << 10)
#define ROOM_FOR_ALL ((size_t)4 << 20)
#define FAR_BEHIND ((off_t)1 << 40)
#define PIECE ((size_t)4096) /* the kernel's buffer, as long as no record is longer */
#define LINE_MAXIMUM ((size_t)192)

/* --- words of a line; nothing is copied: there may be a hundred thousand lines --- */

struct words {
    const char *at;
};

static bool is_blank(char character)
{
    return character == ' ' || character == '\t';
}

static bool is_end(char character)
{
    return character == '\0' || character == '\n';
}

static void skip_blanks(struct words *words)
{
    while (is_blank(*words->at))
        words->at++;
}

static void skip_word(struct words *words)
{
    while (!is_blank(*words->at) && !is_end(*words->at))
        words->at++;
}

/* Is that the next word? Then it is taken. */
static bool take_word(struct words *words, const char *word)
{
    size_t length = strlen(word);
    skip_blanks(words);
    if (strncmp(words->at, word, length) != 0 ||
        !(is_blank(words->at[length]) || is_end(words->at[length])))
        return false;
    words->at += length;
    return true;
}

static bool pass_word(struct words *words)
{
    skip_blanks(words);
    const char *begin = words->at;
    skip_word(words);
    return words->at > begin;
}

static unsigned digit_of(char character)
{
    if (character >= '0' && character <= '9')
        return (unsigned)(character - '0');
    if (character >= 'a' && character <= 'f')
        return (unsigned)(character - 'a') + 10;
    if (character >= 'A' && character <= 'F')
        return (unsigned)(character - 'A') + 10;
    return UINT8_MAX;
}

/* A whole number in this base, with `end` behind it (' ': the end of the word). */
static bool take_number(struct words *words, unsigned base, uint64_t maximum, char end,
                        uint64_t *number)
{
    const char *begin = words->at;
    *number = 0;
    for (unsigned digit; (digit = digit_of(*words->at)) < base; words->at++) {
        if (__builtin_mul_overflow(*number, base, number) ||
            __builtin_add_overflow(*number, digit, number))
            return false;
    }
    if (words->at == begin || *number > maximum)
        return false;
    if (end == ' ')
        return is_blank(*words->at) || is_end(*words->at);
    return *words->at++ == end;
}

/* "fe:00:42": major and minor number in hexadecimal digits, inode in decimal ones. */
static bool take_identity(struct words *words, struct kernel_flock *flock)
{
    uint64_t major_number;
    uint64_t minor_number;
    skip_blanks(words);
    if (!take_number(words, 16, UINT32_MAX, ':', &major_number) ||
        !take_number(words, 16, UINT32_MAX, ':', &minor_number) ||
        !take_number(words, 10, UINT64_MAX, ' ', &flock->inode))
        return false;
    flock->device = makedev((unsigned)major_number, (unsigned)minor_number);
    return true;
}

/* "1: FLOCK  ADVISORY  WRITE 4711 fd:01:42 0 EOF", "1: -> FLOCK …" for one who waits behind it */
bool kernel_view_parse_line(const char *line, struct kernel_flock *flock)
{
    struct words words = {line};
    uint64_t process;
    if (!pass_word(&words))
        return false;
    flock->waits = take_word(&words, "->");
    if (!take_word(&words, "FLOCK") || !pass_word(&words))
        return false;
    flock->exclusive = take_word(&words, "WRITE");
    if (!flock->exclusive && !take_word(&words, "READ"))
        return false;
    skip_blanks(&words);
    if (!take_number(&words, 10, INT32_MAX, ' ', &process))
        return false;
    flock->process = (pid_t)process;
    return take_identity(&words, flock);
}

/* Behind the end of the line, or NULL at the end of the text. */
static const char *next_line(const char *line)
{
    const char *end = strchr(line, '\n');
    return end != NULL ? end + 1 : NULL;
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

void kernel_view_parse(struct kernel_view *view, struct arena *arena, const char *text)
{
    view->items = NULL;
    view->count = 0;
    view->torn = false;
    for (const char *line = text; line != NULL; line = next_line(line)) {
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

/* The text of a reading, in memory that the reading after the next one uses again. */
struct text {
    char *bytes;
    size_t length, room;
};

static void make_room(struct text *text, size_t wanted)
{
    if (text->room >= wanted)
        return;
    text->bytes = realloc(text->bytes, wanted);
    if (text->bytes == NULL)
        err(STATUS_FAILED, NULL);
    text->room = wanted;
}

/* The text of the list, or NULL with *error set. */
static const char *read_text(struct kernel_view *view, bool careful, int *error)
{
    static struct text texts[2];
    static unsigned last;
    const struct text *before = &texts[last];
    struct text *text = &texts[last ^= 1u];
    bool short_piece = false;
    int descriptor = open_list(careful);
    *error = descriptor;
    if (descriptor < 0)
        return NULL;
    text->length = 0;
    view->pieces = 0;
    view->gap = false;
    make_room(text, careful ? ROOM_FOR_ALL : FIRST_ROOM);
    for (ssize_t got; (got = kernel_read(descriptor, text->bytes + text->length,
                                         text->room - 1 - text->length)) != 0;) {
        *error = (int)got;
        if (got < 0)
            break;
        text->length += (size_t)got;
        view->pieces++;
        view->gap = view->gap || short_piece;
        short_piece = (size_t)got < PIECE - LINE_MAXIMUM;
        if (text->room - text->length <= 8192)
            make_room(text, 2 * text->room);
    }
    text->bytes[text->length] = '\0';
    view->bytes = text->length;
    view->same = before->length == text->length && before->bytes != NULL &&
                 memcmp(before->bytes, text->bytes, text->length) == 0;
    return *error < 0 ? NULL : text->bytes;
}

/* `again`: what the view has comes from the reading before. */
static int read_list(struct kernel_view *view, struct arena *arena, bool again, bool careful)
{
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        int error;
        const char *text = read_text(view, careful || attempt > 0, &error);
        if (text == NULL)
            return error;
        bool first = attempt == 0 && !again;
        if (first || !view->same)
            kernel_view_parse(view, arena, text);
        view->same = view->same && attempt == 0; /* as what the view had before, that is */
        if (!kernel_view_contradicts_itself(view))
            return 0;
    }
    view->torn = true;
    return 0;
}

int kernel_view_read(struct kernel_view *view, struct arena *arena)
{
    return read_list(view, arena, false, false);
}

int kernel_view_read_again(struct kernel_view *view, struct arena *arena, bool careful)
{
    return read_list(view, arena, true, careful);
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
