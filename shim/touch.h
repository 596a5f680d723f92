/*
 * Touches: what an interposed call does to a table, and what the table's scope makes of it. This is
 * where the scopes are; the calls themselves only say what they are about.
 *
 * Every entry point has the same shape:
 *
 *     struct touch touch;
 *     if (!touch_path(&touch, directory, path, follow, TOUCH_CHANGE))
 *         return REAL(unlink)(path);            nobody's: as cheap as can be
 *     int result = touch.error ? -1 : REAL(unlink)(path);
 *     touch_end(&touch);                        errno is the call's, or the refusal's
 *     return result;
 */
#ifndef LOCKSHIM_TOUCH_H
#define LOCKSHIM_TOUCH_H

#include "shim/lock/hidden.h"
#include "shim/descriptors.h"
#include "shim/start.h"
#include "shim/tables.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/uio.h>

enum touch_kind {
    TOUCH_ASK,    /* stat, access, readlink: no touch under `session` and `call` */
    TOUCH_READ,   /* opens or lists */
    TOUCH_CHANGE, /* may change content or names */
    TOUCH_NAME,   /* changes names: makes one where there is none */
    TOUCH_CREATE, /* changes, and makes the object where there is none */
    TOUCH_REMOVE, /* changes, and takes a whole earlier content away (remove, truncate) */
    TOUCH_REPLACE /* both: puts something in place of what was there, or was not */
};

enum { TOUCH_TABLES = 2 };

struct touch {
    int error; /* 0, or the errno that the call is to fail with */
    int count; /* tables that are touched: two for a rename between two of them */
    struct table *tables[TOUCH_TABLES];
    bool entered[TOUCH_TABLES];
    bool counted[TOUCH_TABLES]; /* in the fence, as a call that a break waits for */
    uint64_t key;               /* of the object; for two paths: of the second */
    uint64_t first_key;         /* for two paths: of the first */
    uint64_t cut;               /* truncate: how much of the file is left */
    bool saved;                 /* the undo journal has all of its content */
    enum { NO_TURN, OUR_TURN, TURN_BELOW } turn; /* undo_end_turn() is due */
    bool creates;                                /* it was missing, as this process remembers it */
    uint64_t generation; /* under `call`, where reading is not locked: before it */
    /* A file that was as this process remembers it, and is remembered anew behind the call. */
    int renews;              /* its descriptor, or -1 */
    const char *renews_path; /* or its path, or NULL */
    int cancel_state;
};

/* Are there any tables? The first question of every call that takes a path. */
static inline bool touch_guarding(void)
{
    return __builtin_expect(atomic_load_explicit(&guard_state, memory_order_relaxed) != GUARD_IDLE,
                            0);
}

/*
 * Could this be a text of the program's? NULL, small numbers and the kernel's half of the addresses
 * are passed on unread, for the kernel to answer EFAULT. (Bit 55 is below a pointer's tags; a
 * 32-bit program has all addresses but the last two pages.)
 */
static inline bool touch_is_text(const char *path)
{
#if UINTPTR_MAX > UINT32_MAX
    return __builtin_expect((uintptr_t)path >= 4096 && ((uintptr_t)path >> 55 & 1) == 0, 1);
#else
    return __builtin_expect((uintptr_t)path >= 4096 && (uintptr_t)path < (uintptr_t)-8192, 1);
#endif
}

/*
 * Begins a touch of the object at a path. False: it is nobody's. True: the touch has begun (error
 * 0) or was refused; either way touch_end() is due.
 */
bool touch_path(struct touch *touch, int directory, const char *path, bool follow,
                enum touch_kind kind);

/* A table's scope, as things stand: who has left its command goes on under `session`. */
enum scope touch_scope(const struct table *table);

/* Is asking a touch under the scope of any table? Else such calls need not be looked at. */
extern HIDDEN bool touch_asking_matters;

/*
 * For calls that ask about what a path leads to, and can also be made without following a link at
 * its end: NOBODYS unless it is a link, where one call without following tells whether it is; and
 * if so, touch_path() decides.
 */
enum touch_answer { TOUCH_NOBODYS, TOUCH_UNLESS_LINK, TOUCH_BEGUN };
enum touch_answer touch_asks(struct touch *touch, int directory, const char *path, bool follow);

/* The same for two paths at once (rename, link): a touch if either is a table's. */
bool touch_two_paths(struct touch *touch, int directory, const char *path, enum touch_kind kind,
                     int other_directory, const char *other_path, enum touch_kind other_kind);

/* Begins a touch through a descriptor whose word is not 0. False: it is no touch under its scope.
 */
bool touch_descriptor(struct touch *touch, int descriptor, uint32_t word, enum touch_kind kind);

/*
 * The same for a call that changes no more than `size` bytes of the file at an offset. Where the
 * offset or the size is in the program's memory, only the kernel may read it: it may be no memory.
 */
struct touch_range {
    int64_t offset; /* or one of these */
    uint64_t size;
    const struct iovec *vector; /* `size` is the number of its parts, or NULL */
    const int64_t *offset_at;   /* where the offset stands, or NULL */
};
#define TOUCH_AT_POSITION (-1) /* where the descriptor stands */
#define TOUCH_AT_END (-2)      /* the size alone changes, and it grows */
#define TOUCH_TO_END UINT64_MAX
bool touch_range(struct touch *touch, int descriptor, uint32_t word, enum touch_kind kind,
                 const struct touch_range *range);

/* A touch of a file at a path that is cut off behind `length` bytes. */
bool touch_cut(struct touch *touch, const char *path, int64_t length);

/* A process has been made, with copies of our descriptors. */
void touch_process_made(void);

/* Begins a touch of a place that was found already. */
bool touch_place(struct touch *touch, const struct place *place, enum touch_kind kind);

/*
 * The same for a call on a path that the caller has found a place for; TOUCH_REPLACE needs the path
 * to see whether an update would be lost.
 */
bool touch_found(struct touch *touch, const struct place *place, int directory, const char *path,
                 bool follow, enum touch_kind kind);

/* The call was to open the touched object for reading, and there was none (ENOENT). */
void touch_missed(struct touch *touch);

/*
 * The call went well. What it did to names is our own doing, and no update of others is lost by
 * what follows: the last path was made (or got another object), one was renamed to another (or the
 * two were exchanged), the one path was removed.
 */
void touch_made(struct touch *touch, int directory, const char *path);
void touch_renamed(struct touch *touch, int old_directory, const char *old_path, int new_directory,
                   const char *new_path);
void touch_removed(struct touch *touch);

/* Would changing the size of this open file undo somebody else's change? Then the touch is refused.
 */
void touch_check_descriptor(struct touch *touch, int descriptor);

/* One table more in the same touch. */
void touch_also(struct touch *touch, const struct place *place, enum touch_kind kind);

/* The same, of an open that follows the link at the end of this path into that table. */
void touch_also_path(struct touch *touch, const struct place *place, int directory,
                     const char *path, enum touch_kind kind);

/* Names that libc would make up are to be known before they are made. */
bool touch_wants_names(const struct touch *touch);

/* `stream` stands on a table's descriptor, and is written when nobody sees it; NULL: no more. */
void touch_stream(int descriptor, FILE *stream);

/*
 * A table's descriptor now stands where a standard stream does, which is written when nobody sees
 * it. False, with errno: its old content can't be saved, and it must not stand there.
 */
bool touch_standard_stream(int descriptor);

/* Is a stream's descriptor to be touched though it holds the lock already? */
bool touch_streams_matter(uint32_t word);

/* Ends it. Sets errno when the touch was refused, and keeps it otherwise. */
void touch_end(struct touch *touch);

/*
 * The call has opened `descriptor` on the touched object: under `session` the lock is held until it
 * is closed. To be called before touch_end(). `hold` holds it under `call` too (a FILE is written
 * when nobody sees it). False: the descriptor can't be kept track of; the caller closes it and
 * fails with EMFILE.
 */
bool touch_opened(struct touch *touch, int descriptor, int flags, bool hold);

/* A descriptor with this word is closed, or about to be overwritten: call before the real close …
 */
uint32_t touch_before_close(int descriptor);
/* … and this after it, with what the former returned. */
void touch_after_close(uint32_t word);

/* `copy` is now another descriptor on what `descriptor` is open on. */
void touch_duplicated(int descriptor, int copy);

/*
 * The program's own flock of a lock file that we hold stands on this descriptor (or no longer):
 * when the last such one is closed, its lock is gone.
 */
void touch_program_lock(int descriptor, struct lock *lock, bool locked);

/* A descriptor came from elsewhere (another process, a parent): is it a table's? */
void touch_received(int descriptor);

/*
 * A descriptor that can be written without being seen (by a stream) holds the lock from now on,
 * under `call` as well.
 */
void touch_hold(int descriptor, uint32_t word);

/* The program wants this number, where one of the shim's own stands: moves that out of the way. */
void touch_move_own(int descriptor);

/*
 * A mapping of a table's file holds the lock as a descriptor does, until it is gone; under `call`
 * only one that can be written, now or after an mprotect.
 */
void touch_mapped(void *address, size_t size, int descriptor, bool writable);
void touch_unmapped(void *address, size_t size);
void touch_remapped(void *old_address, size_t old_size, void *address, size_t size, bool copied);

/* Forked: what is open belongs to the parent's session. */
void touch_forked(void);

/* The program left its command. */
void touch_left_command(void);

/* The process ends by itself, through exit or _exit. */
void touch_process_ends(void);

/*
 * It executes another program; `guarded`: one that knows the undo journal of this one, and goes on
 * with it.
 */
void touch_process_executes(bool guarded);

/* Is this the process that the memory says it is, not a vfork child in its parent's memory? */
bool touch_is_own_process(void);

#endif
