/*
 * What a touch means under each scope. The only file that knows scopes; it must never let a call go
 * on without the lock that its scope asks for.
 */
#include "shim/touch.h"

#include "shim/lock/awaited.h"
#include "shim/lock/command_member.h"
#include "shim/lock/kernel.h"
#include "shim/lost_update.h"
#include "shim/mappings.h"
#include "shim/report.h"
#include "shim/trace.h"
#include "shim/undo.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

bool touch_is_own_process(void)
{
    return lock_self_is_here();
}

enum scope touch_scope(const struct table *table)
{
    if (table->lock->entry != NULL)
        return SCOPE_COMMAND;
    return table->settings.scope == SCOPE_COMMAND ? SCOPE_SESSION : table->settings.scope;
}

static bool is_touch(enum scope scope, enum touch_kind kind)
{
    switch (scope) {
    case SCOPE_COMMAND:
    case SCOPE_PROCESS:
        return true;
    case SCOPE_SESSION:
        return kind != TOUCH_ASK;
    default:
        return kind >= TOUCH_CHANGE;
    }
}

static void refuse(struct touch *touch, const struct table *table, int error)
{
    if (error == ESTALE && table->lock->entry != NULL && command_broken(table->lock->entry) != 0)
        lock_tell_fenced(table->lock);
    if (error == EWOULDBLOCK)
        error = EAGAIN;
    if (error != EAGAIN && error != EDEADLK && error != ESTALE && error != EROFS &&
        error != EOWNERDEAD)
        error = ENOLCK;
    if (touch->error == 0) {
        touch->error = error;
        report_refusal(table, error);
    }
}

static void enter(struct touch *touch, int index, enum touch_kind kind)
{
    struct table *table = touch->tables[index];
    struct lock *lock = table->lock;
    touch->counted[index] = fence_begin(&lock->fence);
    if (!touch->counted[index]) {
        if (lock->entry == NULL || command_broken(lock->entry) == 0)
            lock_tell_fenced(lock);
        refuse(touch, table, ESTALE);
        return;
    }
    if (kind >= TOUCH_CHANGE && table->settings.shared) {
        refuse(touch, table, EROFS);
        return;
    }
    int error = lock->entry != NULL && !lock_is_kept(lock) ? lock_register(lock) : 0;
    if (error != 0) {
        refuse(touch, table, -error);
        return;
    }
    enum scope scope = touch_scope(table); /* a member of a command that is over has left it now */
    if (!is_touch(scope, kind))
        return;
    bool keep = scope == SCOPE_COMMAND || scope == SCOPE_PROCESS;
    if (!keep || !lock_is_kept(lock)) {
        unsigned how = (keep ? LOCK_KEEP : 0) | (kind >= TOUCH_CHANGE ? LOCK_CHANGES : 0);
        int result = lock_enter(lock, table->settings.timeout, how);
        if (result != 0) {
            refuse(touch, table, -result);
            return;
        }
        touch->entered[index] = !keep;
    }
    lock_note_touch(lock);
    if (kind >= TOUCH_CHANGE)
        (void)lock_before_change(lock);
}

/* A cancelled thread must not leave in the middle: the touch is one step. */
static void begin(struct touch *touch)
{
    pthread_testcancel();
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &touch->cancel_state);
}

static bool touch_table(struct touch *touch, struct table *table, enum touch_kind kind,
                        uint64_t key)
{
    if (kind == TOUCH_ASK && !is_touch(touch_scope(table), kind))
        return false;
    touch->error = 0;
    touch->creates = false;
    touch->generation = 0;
    touch->renews = -1;
    touch->renews_path = NULL;
    touch->saved = false;
    touch->turn = NO_TURN;
    touch->cut = 0;
    touch->count = 1;
    touch->tables[0] = table;
    touch->entered[0] = false;
    touch->key = key;
    begin(touch);
    enter(touch, 0, kind);
    return true;
}

void touch_also(struct touch *touch, const struct place *place, enum touch_kind kind)
{
    if (place->table == NULL || touch->error != 0 || touch->count == TOUCH_TABLES)
        return;
    undo_end_turn(touch); /* nobody waits for a lock with it */
    touch->tables[touch->count] = place->table;
    touch->entered[touch->count] = false;
    enter(touch, touch->count++, kind);
}

bool touch_place(struct touch *touch, const struct place *place, enum touch_kind kind)
{
    return place->table != NULL && touch_table(touch, place->table, kind, place->key);
}

static void judge_replacement(struct touch *touch, const struct table *table, uint64_t key,
                              const struct lost_update_file *file)
{
    if (!lost_update_threatens(table, key, file)) {
        touch->creates = file->status == NULL;
        return;
    }
    lock_tell(table->lock, &(struct lock_notice){.kind = EVENT_LOST_UPDATE, .error = ESTALE});
    if (table->settings.lost_update == LOST_UPDATE_FAIL)
        refuse(touch, table, ESTALE);
    else
        report_log(table, "replaces a file that another process has changed since it was read");
}

static bool may_lose_update(const struct touch *touch, const struct table *table, uint64_t key)
{
    return table != NULL && touch->error == 0 && touch_scope(table) >= SCOPE_SESSION &&
           lost_update_concerns(table, key);
}

/*
 * A link at the end, which we have read that file through, or found that it led nowhere: with the
 * link nothing of it goes away.
 */
static bool is_link_to_known(const struct place *place, int directory, const char *path,
                             const struct stat *link)
{
    struct stat status;
    if (!S_ISLNK(link->st_mode))
        return false;
    int result = kernel_fstatat(directory, path, &status, 0);
    return (result == 0 || result == -ENOENT) &&
           lost_update_was_file(place->key, result == 0 ? &status : NULL);
}

/* Under `session` and `call`: does this call throw away what somebody else has changed unseen? */
static void check_lost_update(struct touch *touch, const struct place *place, int directory,
                              const char *path, bool follow, enum touch_kind kind)
{
    struct stat status;
    if (kind < TOUCH_CREATE || !may_lose_update(touch, place->table, place->key))
        return;
    int result = kernel_fstatat(directory, path, &status, follow ? 0 : AT_SYMLINK_NOFOLLOW);
    if (result == 0 && is_link_to_known(place, directory, path, &status))
        return;
    if (result == 0 && kind != TOUCH_CREATE)
        judge_replacement(touch, place->table, place->key,
                          &(struct lost_update_file){&status, directory, path, follow});
    else if (result == -ENOENT && kind != TOUCH_REMOVE)
        judge_replacement(touch, place->table, place->key, &(struct lost_update_file){0});
}

void touch_check_descriptor(struct touch *touch, int descriptor)
{
    struct stat status;
    if (may_lose_update(touch, touch->tables[0], touch->key) &&
        kernel_fstat(descriptor, &status) == 0)
        judge_replacement(touch, touch->tables[0], touch->key,
                          &(struct lost_update_file){&status, descriptor, NULL, false});
}

/* A link at the end may lead in, or out to another table. */
static void follow_link(struct place *place, int directory, const char *path)
{
    char target[2];
    if (!place->may_be_link)
        return;
    if (kernel_readlinkat(directory, path, target, sizeof target) > 0)
        *place = tables_find_exactly(directory, path, true);
    place->may_be_link = false;
}

static struct place find_finally(int directory, const char *path, bool follow)
{
    struct place place = tables_find(directory, path, follow);
    follow_link(&place, directory, path);
    return place;
}

bool touch_asking_matters = true;

enum touch_answer touch_asks(struct touch *touch, int directory, const char *path, bool follow)
{
    if (!start_guarding() || !touch_is_text(path) || !touch_asking_matters)
        return TOUCH_NOBODYS;
    struct place place = tables_find(directory, path, follow);
    if (place.table == NULL)
        return place.may_be_link ? TOUCH_UNLESS_LINK : TOUCH_NOBODYS;
    follow_link(&place, directory, path);
    return touch_found(touch, &place, directory, path, follow, TOUCH_ASK) ? TOUCH_BEGUN
                                                                          : TOUCH_NOBODYS;
}

/* What opens is recorded once it has opened (touch_opened). */
static void trace_touch(const struct touch *touch, int directory, const char *path, bool follow,
                        enum touch_kind kind)
{
    if (touch->error != 0)
        trace_refused(directory, path, follow, kind, touch->error);
    else if (kind == TOUCH_ASK || kind == TOUCH_READ || kind == TOUCH_NAME)
        trace_path(kind == TOUCH_ASK    ? TRACE_ASK
                   : kind == TOUCH_READ ? TRACE_LIST
                                        : TRACE_NAME,
                   directory, path, follow, 0);
    else if (kind == TOUCH_REMOVE)
        trace_path(follow ? TRACE_TRUNCATE : TRACE_REMOVE, directory, path, follow, 0);
}

static bool touch_and_save(struct touch *touch, const struct place *place, int directory,
                           const char *path, bool follow, enum touch_kind kind, uint64_t cut)
{
    if (!touch_place(touch, place, kind))
        return false;
    touch->cut = cut;
    if (kind == TOUCH_READ && touch_scope(place->table) == SCOPE_CALL)
        touch->generation = lock_generation(place->table->lock);
    if (__builtin_expect(trace_on, 0))
        trace_touch(touch, directory, path, follow, kind);
    check_lost_update(touch, place, directory, path, follow, kind);
    if (undo_guards(place->table))
        undo_path(touch, place, directory, path, follow, kind);
    return true;
}

bool touch_found(struct touch *touch, const struct place *place, int directory, const char *path,
                 bool follow, enum touch_kind kind)
{
    return touch_and_save(touch, place, directory, path, follow, kind, 0);
}

bool touch_path(struct touch *touch, int directory, const char *path, bool follow,
                enum touch_kind kind)
{
    if (!start_guarding() || !touch_is_text(path))
        return false;
    if (kind == TOUCH_ASK && !touch_asking_matters)
        return false;
    struct place place = find_finally(directory, path, follow);
    return touch_found(touch, &place, directory, path, follow, kind);
}

bool touch_cut(struct touch *touch, const char *path, int64_t length)
{
    if (!start_guarding() || !touch_is_text(path))
        return false;
    struct place place = find_finally(AT_FDCWD, path, true);
    if (!touch_and_save(touch, &place, AT_FDCWD, path, true, TOUCH_REMOVE,
                        length > 0 ? (uint64_t)length : 0))
        return false;
    /* What is left of it is as we know it: it was not refused. */
    if (touch->error == 0 && touch_scope(place.table) >= SCOPE_SESSION &&
        lost_update_known(place.key) && touch_is_own_process()) {
        lost_update_replaced(place.table, place.key);
        touch->renews_path = path;
    }
    return true;
}

static bool is_journaled(const struct place *place)
{
    return place->table != NULL && undo_guards(place->table);
}

void touch_also_path(struct touch *touch, const struct place *place, int directory,
                     const char *path, enum touch_kind kind)
{
    touch_also(touch, place, kind);
    if (is_journaled(place))
        undo_path(touch, place, directory, path, true, kind);
}

bool touch_wants_names(const struct touch *touch)
{
    return undo_guards(touch->tables[0]);
}

static void trace_both(const struct touch *touch, const struct undo_name *name,
                       const struct undo_name *other)
{
    uint32_t flags = name->kind == TOUCH_READ      ? TRACE_LINKED
                     : name->kind == TOUCH_REPLACE ? TRACE_EXCHANGED
                                                   : 0;
    if (touch->error != 0)
        trace_refused(other->directory, other->path, false, other->kind, touch->error);
    else
        trace_two_paths(name->directory, name->path, other->directory, other->path, flags);
}

bool touch_two_paths(struct touch *touch, int directory, const char *path, enum touch_kind kind,
                     int other_directory, const char *other_path, enum touch_kind other_kind)
{
    if (!start_guarding() || !touch_is_text(path) || !touch_is_text(other_path))
        return false;
    struct place place = find_finally(directory, path, false);
    struct place other = find_finally(other_directory, other_path, false);
    if (place.table == NULL && other.table == NULL)
        return false;
    if (place.table == NULL) {
        (void)touch_place(touch, &other, other_kind);
    } else {
        bool same = other.table == place.table;
        (void)touch_place(touch, &place, same && other_kind > kind ? other_kind : kind);
        if (!same)
            touch_also(touch, &other, other_kind);
    }
    if (__builtin_expect(trace_on, 0))
        trace_both(touch, &(struct undo_name){&place, directory, path, kind},
                   &(struct undo_name){&other, other_directory, other_path, other_kind});
    check_lost_update(touch, &place, directory, path, false, kind);
    check_lost_update(touch, &other, other_directory, other_path, false, other_kind);
    touch->first_key = place.key;
    touch->key = other.key;
    if (is_journaled(&place) || is_journaled(&other))
        undo_two_paths(touch, &(struct undo_name){&place, directory, path, kind},
                       &(struct undo_name){&other, other_directory, other_path, other_kind});
    return true;
}

/* We have made what is at a path now, or moved it away: of a known name that is what we know. */
static void remember_name(const struct table *table, uint64_t key, int directory, const char *path)
{
    struct stat status;
    if (!lost_update_known(key))
        return;
    uint64_t generation = lock_generation(table->lock);
    if (kernel_fstatat(directory, path, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        lost_update_removed(table, key);
    } else {
        lost_update_replaced(table, key);
        lost_update_remember(
            table, key, &(struct lost_update_file){&status, directory, path, false}, generation);
    }
}

void touch_made(struct touch *touch, int directory, const char *path)
{
    const struct table *table = touch->tables[touch->count - 1];
    if (touch_scope(table) >= SCOPE_SESSION)
        remember_name(table, touch->key, directory, path);
}

void touch_renamed(struct touch *touch, int old_directory, const char *old_path, int new_directory,
                   const char *new_path)
{
    if (touch_scope(touch->tables[touch->count - 1]) < SCOPE_SESSION)
        return;
    if (lost_update_known(touch->first_key))
        lock_reserve(touch->tables[0]->lock);
    /* Something stays at the old name where two are exchanged, or are links to one file. */
    remember_name(touch->tables[0], touch->first_key, old_directory, old_path);
    touch_made(touch, new_directory, new_path);
}

void touch_removed(struct touch *touch)
{
    lost_update_removed(touch->tables[0], touch->key);
}

static void trace_change(const struct touch *touch, int descriptor, uint32_t word,
                         enum touch_kind kind)
{
    if (touch->error != 0 || kind < TOUCH_CHANGE)
        return;
    if (kind == TOUCH_REMOVE) {
        trace_descriptor(TRACE_RESIZE, descriptor, 0, 0);
    } else if ((word & DESCRIPTOR_TRACED) == 0) {
        trace_descriptor(TRACE_WRITE, descriptor, 0, 0);
        descriptor_change(descriptor, 0, DESCRIPTOR_TRACED);
    }
}

/* Under `call`, where a descriptor that is open does not keep others away. */
static void renew_when_done(struct touch *touch, const struct table *table, int descriptor,
                            uint32_t word, enum touch_kind kind)
{
    struct stat status;
    if (kind >= TOUCH_CHANGE && (word & DESCRIPTOR_READ) != 0 && touch->error == 0 &&
        touch_scope(table) == SCOPE_CALL && touch_is_own_process() &&
        kernel_fstat(descriptor, &status) == 0 &&
        lost_update_resumes(table, touch->key,
                            &(struct lost_update_file){&status, descriptor, NULL, false}))
        touch->renews = descriptor;
}

static void renew(const struct touch *touch)
{
    struct stat status;
    struct lost_update_file file = {&status, touch->renews, NULL, false};
    if (touch->renews_path != NULL)
        file = (struct lost_update_file){&status, AT_FDCWD, touch->renews_path, true};
    uint64_t generation = lock_generation(touch->tables[0]->lock);
    int result = file.path != NULL ? kernel_fstatat(AT_FDCWD, file.path, &status, 0)
                                   : kernel_fstat(file.descriptor, &status);
    if (result == 0)
        lost_update_remember(touch->tables[0], touch->key, &file, generation);
}

static bool touch_open_file(struct touch *touch, int descriptor, uint32_t word,
                            enum touch_kind kind, const struct touch_range *range)
{
    if ((word & DESCRIPTOR_TABLE) == 0)
        return false;
    struct table *table = tables_get(descriptor_table(word));
    if (!touch_table(touch, table, kind, descriptor_key(descriptor)))
        return false;
    if (__builtin_expect(trace_on, 0))
        trace_change(touch, descriptor, word, kind);
    renew_when_done(touch, table, descriptor, word, kind);
    if (kind >= TOUCH_CHANGE && undo_guards(table))
        undo_descriptor(touch, table, descriptor, range);
    if (touch->counted[0])
        fence_end(&table->lock->fence);
    touch->counted[0] = false; /* the file may be taken out of the table while the call goes on */
    return true;
}

bool touch_descriptor(struct touch *touch, int descriptor, uint32_t word, enum touch_kind kind)
{
    return touch_open_file(touch, descriptor, word, kind, NULL);
}

bool touch_range(struct touch *touch, int descriptor, uint32_t word, enum touch_kind kind,
                 const struct touch_range *range)
{
    return touch_open_file(touch, descriptor, word, kind, range);
}

void touch_end(struct touch *touch)
{
    int error = errno;
    undo_end_turn(touch);
    if (__builtin_expect(touch->renews >= 0 || touch->renews_path != NULL, 0) && touch->error == 0)
        renew(touch);
    for (int i = 0; i < touch->count; i++) {
        if (touch->counted[i])
            fence_end(&touch->tables[i]->lock->fence);
    }
    for (int i = 0; i < touch->count; i++) {
        if (touch->entered[i]) /* this may wait for a break, and that for calls that are counted */
            lock_leave(touch->tables[i]->lock);
    }
    pthread_setcancelstate(touch->cancel_state, NULL);
    errno = touch->error != 0 ? touch->error : error;
}

/* --- processes --- */

static bool forget_in_child(struct lock *lock, void *context)
{
    (void)context;
    lock_forked(lock);
    return true;
}

void touch_process_made(void)
{
    undo_process_made();
}

void touch_forked(void)
{
    undo_forked();
    lock_each(forget_in_child, NULL);
    awaited_forget();
    mappings_forget();
    lost_update_forked();
    for (int at = descriptor_next(0); at >= 0; at = descriptor_next(at + 1))
        descriptor_change(at, DESCRIPTOR_COUNTED, 0);
}

static bool leave_command(struct lock *lock, void *context)
{
    (void)context;
    if (lock->entry != NULL)
        lock_leave_command(lock);
    return true;
}

void touch_left_command(void)
{
    if (!touch_is_own_process()) {
        command_close_copies(); /* a vfork child: the parent's memory stays as it is */
        return;
    }
    lock_each(leave_command, NULL);
    command_leave();
}

static bool end_in_order(struct lock *lock, void *context)
{
    (void)context;
    /* Each forked child comes here: it is not to map the code of what it does not do. */
    if (undo_lock_guards(lock))
        undo_lock_ends(lock, false);
    if (lock_is_held(lock))
        lock_process_ends(lock, false);
    return true;
}

void touch_process_ends(void)
{
    if (trace_on)
        trace_event(TRACE_END, 0, 0);
    lock_each(end_in_order, NULL);
}

static bool execute_in_order(struct lock *lock, void *context)
{
    if (!*(const bool *)context || !lock_is_held(lock))
        undo_lock_ends(lock, true);
    lock_process_ends(lock, true);
    return true;
}

void touch_process_executes(bool guarded)
{
    lock_each(execute_in_order, &guarded);
}
