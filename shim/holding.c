/*
 * What a table's descriptors, streams and mappings hold, from the call that opens them to the one
 * that closes the last. It must never let go before the kernel has closed what is closed.
 */
#include "shim/touch.h"

#include "shim/lock/command_member.h"
#include "shim/lock/kernel.h"
#include "shim/lock/own.h"
#include "shim/lost_update.h"
#include "shim/mappings.h"
#include "shim/trace.h"
#include "shim/undo.h"

#include <errno.h>
#include <unistd.h>

static uint32_t word_for(const struct table *table, int flags)
{
    uint32_t word = table->index + 1;
    if ((flags & O_ACCMODE) != O_RDONLY && (flags & O_PATH) == 0)
        word |= DESCRIPTOR_WRITABLE;
    return word;
}

/* Before the call looked at the file; without the lock others may have come since. */
static uint64_t generation_before(const struct touch *touch)
{
    int last = touch->count - 1;
    return touch->entered[last] ? lock_generation(touch->tables[last]->lock) : touch->generation;
}

/*
 * Under `session` what is read is remembered as the session with it ends. Under `call` it is not
 * locked until then, so that is done here, and again with each change of our own.
 */
static void note_for_lost_updates(struct touch *touch, int descriptor, int flags, uint32_t *word)
{
    const struct table *table = touch->tables[touch->count - 1];
    enum scope scope = touch_scope(table);
    if (scope < SCOPE_SESSION || (flags & (O_PATH | O_DIRECTORY)) != 0)
        return;
    struct stat status;
    const struct lost_update_file file = {&status, descriptor, NULL, false};
    bool known = lost_update_known(touch->key);
    if ((flags & O_TRUNC) != 0 || touch->creates || (flags & O_ACCMODE) != O_WRONLY) {
        if ((flags & O_TRUNC) != 0 && !known)
            return; /* replaced unread, and never read: nothing to remember */
        if ((flags & O_TRUNC) != 0 || touch->creates)
            lost_update_replaced(table, touch->key);
        else
            lost_update_read(table, touch->key);
        *word |= DESCRIPTOR_READ;
        if (scope == SCOPE_CALL && kernel_fstat(descriptor, &status) == 0)
            lost_update_remember(table, touch->key, &file, generation_before(touch));
    } else if (known && kernel_fstat(descriptor, &status) == 0) {
        (void)lost_update_resumes(table, touch->key, &file);
        *word |= DESCRIPTOR_READ;
    }
}

/* A table's descriptor is closed: what is behind it was ours until now, or is left to others. */
static void remember_at_close(const struct table *table, int descriptor, uint32_t word)
{
    struct stat status;
    bool call = touch_scope(table) == SCOPE_CALL;
    uint64_t key = descriptor_key(descriptor);
    if (call && (word & (DESCRIPTOR_COUNTED | DESCRIPTOR_MAPPED)) == 0)
        return;
    uint64_t generation = lock_generation(table->lock);
    if (kernel_fstat(descriptor, &status) != 0)
        return;
    if (call && (word & DESCRIPTOR_MAPPED) != 0) /* changed unseen, by ourselves */
        lost_update_read(table, key);
    lost_update_remember(table, key, &(struct lost_update_file){&status, descriptor, NULL, false},
                         generation);
}

void touch_missed(struct touch *touch)
{
    const struct table *table = touch->tables[touch->count - 1];
    if (trace_on)
        trace_event(TRACE_MISSED, 0, 0);
    if (touch_scope(table) >= SCOPE_SESSION)
        lost_update_missed(table, touch->key, generation_before(touch));
}

/*
 * What is written by a stream, or by the standard streams of this and of programs to come, nobody
 * sees: its old content is saved at once.
 */
static bool journal_opened(struct touch *touch, struct table *table, int descriptor, int flags,
                           bool hold)
{
    bool saved = touch->saved || ((flags & O_TRUNC) != 0 && (flags & O_ACCMODE) != O_RDONLY);
    undo_opened(table, descriptor, saved);
    if (!saved && (hold || descriptor <= STDERR_FILENO) && (flags & O_ACCMODE) != O_RDONLY)
        undo_descriptor(touch, table, descriptor, NULL);
    return touch->error == 0;
}

bool touch_opened(struct touch *touch, int descriptor, int flags, bool hold)
{
    int last = touch->count - 1;
    struct table *table = touch->tables[last];
    if (__builtin_expect(trace_on, 0))
        trace_descriptor(TRACE_OPEN, descriptor, (uint32_t)flags, hold);
    if (!touch_is_own_process())
        return true; /* a vfork child: its descriptors are not ours */
    enum scope scope = touch_scope(table);
    uint32_t word = word_for(table, flags);
    note_for_lost_updates(touch, descriptor, flags, &word);
    bool counted = scope == SCOPE_SESSION || (scope == SCOPE_CALL && hold);
    if (counted && !touch->entered[last] &&
        lock_enter(table->lock, table->settings.timeout, 0) != 0)
        return false;
    if (counted)
        word |= DESCRIPTOR_COUNTED;
    if (!descriptor_set(descriptor, word, touch->key)) {
        touch->entered[last] = touch->entered[last] || counted; /* for touch_end() to leave */
        return false;
    }
    if (counted)
        touch->entered[last] = false; /* the descriptor holds it now */
    return !undo_guards(table) || journal_opened(touch, table, descriptor, flags, hold);
}

void touch_program_lock(int descriptor, struct lock *lock, bool locked)
{
    if (touch_is_own_process() && (descriptor_word(descriptor) & ~DESCRIPTOR_PROGRAM_LOCK) == 0)
        (void)descriptor_set(descriptor, locked ? DESCRIPTOR_PROGRAM_LOCK : 0, (uintptr_t)lock);
}

static void close_program_lock(int descriptor)
{
    uint64_t key = descriptor_key(descriptor);
    (void)descriptor_take(descriptor);
    for (int at = descriptor_next(0); at >= 0; at = descriptor_next(at + 1)) {
        if ((descriptor_word(at) & DESCRIPTOR_PROGRAM_LOCK) != 0 && descriptor_key(at) == key)
            return;
    }
    lock_program_closed((struct lock *)(uintptr_t)(key & ~(uint64_t)1));
}

uint32_t touch_before_close(int descriptor)
{
    uint32_t word = descriptor_word(descriptor);
    if (word == 0 || !touch_is_own_process())
        return 0;
    if ((word & DESCRIPTOR_PROGRAM_LOCK) != 0) {
        close_program_lock(descriptor);
        return 0;
    }
    const struct table *table = tables_get(descriptor_table(word));
    if (undo_guards(table))
        undo_stream(descriptor, NULL);
    if ((word & DESCRIPTOR_READ) != 0)
        remember_at_close(table, descriptor, word);
    if (__builtin_expect(trace_on, 0))
        trace_event(TRACE_CLOSE, descriptor, 0);
    return descriptor_take(descriptor);
}

void touch_after_close(uint32_t word)
{
    if ((word & DESCRIPTOR_COUNTED) != 0)
        lock_leave(tables_get(descriptor_table(word))->lock);
}

void touch_duplicated(int descriptor, int copy)
{
    uint32_t word = descriptor_word(descriptor);
    if (word == 0 || copy < 0 || !touch_is_own_process())
        return;
    if ((word & DESCRIPTOR_COUNTED) != 0)
        (void)lock_enter(tables_get(descriptor_table(word))->lock, -1, 0);
    (void)descriptor_set(copy, word, descriptor_key(descriptor));
    if (__builtin_expect(trace_on, 0))
        trace_event(TRACE_DUPLICATE, descriptor, copy);
    undo_duplicated(descriptor, copy);
}

void touch_received(int descriptor)
{
    if (descriptor_word(descriptor) != 0 || (guard_state != GUARD_STARTING && !start_guarding()))
        return;
    struct place place = tables_find_descriptor(descriptor);
    if (place.table == NULL)
        return;
    int flags = kernel_fcntl(descriptor, F_GETFL, 0);
    (void)descriptor_set(descriptor, word_for(place.table, flags), place.key);
    if (trace_on)
        trace_descriptor(TRACE_RECEIVED, descriptor, (uint32_t)flags, 0);
    if (undo_guards(place.table))
        undo_received(descriptor);
}

void touch_hold(int descriptor, uint32_t word)
{
    struct table *table = tables_get(descriptor_table(word));
    if (touch_scope(table) != SCOPE_CALL || (word & DESCRIPTOR_COUNTED) != 0 ||
        !touch_is_own_process())
        return;
    if (lock_enter(table->lock, table->settings.timeout, 0) == 0)
        descriptor_change(descriptor, 0, DESCRIPTOR_COUNTED);
}

bool touch_streams_matter(uint32_t word)
{
    return (word & DESCRIPTOR_TABLE) != 0 && undo_guards(tables_get(descriptor_table(word)));
}

bool touch_standard_stream(int descriptor)
{
    uint32_t word = descriptor_word(descriptor);
    struct touch touch;
    if ((word & DESCRIPTOR_WRITABLE) == 0 || !touch_streams_matter(word) ||
        !touch_descriptor(&touch, descriptor, word, TOUCH_CHANGE))
        return true;
    touch_end(&touch);
    return touch.error == 0;
}

void touch_stream(int descriptor, FILE *stream)
{
    uint32_t word = descriptor_word(descriptor);
    if ((word & DESCRIPTOR_TABLE) != 0 && touch_is_own_process() &&
        undo_guards(tables_get(descriptor_table(word))))
        undo_stream(descriptor, stream);
}

struct own_move {
    int from, to;
};

static bool follow_move(struct lock *lock, void *context)
{
    const struct own_move *move = context;
    int from = move->from;
    if (atomic_compare_exchange_strong(&lock->descriptor, &from, move->to))
        return false;
    from = move->from;
    if (atomic_compare_exchange_strong(&lock->borrowed, &from, move->to))
        return false;
    if (lock->registry.descriptor == move->from)
        lock->registry.descriptor = move->to;
    undo_kept_moved(&lock->undo_kept, move->from, move->to);
    return true;
}

void touch_move_own(int descriptor)
{
    int flags = kernel_fcntl(descriptor, F_GETFD, 0);
    int copy = kernel_fcntl(descriptor, (flags & FD_CLOEXEC) != 0 ? F_DUPFD_CLOEXEC : F_DUPFD,
                            descriptor + 1);
    if (copy < 0)
        return;
    own_record(copy);
    own_forget(descriptor);
    struct own_move move = {descriptor, copy};
    lock_each(follow_move, &move);
    command_moved(descriptor, copy);
}

/* --- mappings --- */

void touch_mapped(void *address, size_t size, int descriptor, bool writable)
{
    uint32_t word = descriptor_word(descriptor);
    struct table *table = tables_get(descriptor_table(word));
    enum scope scope = touch_scope(table);
    if (scope < SCOPE_SESSION || (scope == SCOPE_CALL && !writable) || !touch_is_own_process())
        return;
    if (lock_enter(table->lock, table->settings.timeout, 0) != 0)
        return;
    mappings_add(address, size, table->index);
    if (scope == SCOPE_CALL)
        descriptor_change(descriptor, 0, DESCRIPTOR_MAPPED);
}

static void leave_table(unsigned index)
{
    lock_leave(tables_get(index)->lock);
}

void touch_unmapped(void *address, size_t size)
{
    mappings_remove(address, size, leave_table);
}

void touch_remapped(void *old_address, size_t old_size, void *address, size_t size, bool copied)
{
    mappings_move(old_address, old_size, address, size, copied);
}
