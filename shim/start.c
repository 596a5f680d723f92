/*
 * Start of the shim in a process. It runs from the constructor, or from the first call that comes
 * before it, once. A wrong setting ends the process: nothing goes on unguarded in silence.
 */
#include "shim/start.h"

#include "shim/interpose/real.h"
#include "shim/lock/command.h"
#include "shim/lock/command_member.h"
#include "shim/lock/kernel.h"
#include "shim/lock/own.h"
#include "shim/lock/process.h"
#include "shim/lock/resolve.h"
#include "shim/report.h"
#include "shim/touch.h"
#include "shim/trace.h"
#include "shim/undo.h"
#include "shim/lock/sparse.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/auxv.h>

extern char **environ;

_Atomic int guard_state = GUARD_UNSTARTED;

SPARSE static char program_path[4096];
/* The constructor may run before libc has set environ. */
static char **environment;

static void find_program(void);

const char *start_program_name(void)
{
    find_program();
    const char *slash = strrchr(program_path, '/');
    return slash != NULL ? slash + 1 : program_path;
}

static _Noreturn void stop(const char *why, int status)
{
    struct stat standard_error;
    if (kernel_fstat(STDERR_FILENO, &standard_error) == 0)
        report_set_up(&standard_error);
    report_line(NULL, why);
    kernel_exit_group(status);
}

/*
 * The kernel keeps the name that was executed: where nobody asks for more (exemptions, messages)
 * the path of the executable is not looked up.
 */
static void find_program(void)
{
    if (program_path[0] != '\0')
        return;
    ssize_t length =
        kernel_readlinkat(AT_FDCWD, "/proc/self/exe", program_path, sizeof program_path - 1);
    program_path[length > 0 ? length : 0] = '\0';
}

/* --- scope `command` --- */

static bool use_command(struct lock *lock, void *context)
{
    (void)context;
    int descriptor;
    struct command_entry *entry = command_entry_for(lock->path, &descriptor);
    if (entry == NULL)
        return true;
    struct stat status;
    if (kernel_fstat(descriptor, &status) != 0)
        return true;
    lock->entry = entry;
    lock->device = status.st_dev;
    lock->inode = status.st_ino;
    lock->scope = SCOPE_COMMAND;
    fence_name(&lock->fence, lock->device, lock->inode); /* before it asks whether that is broken */
    atomic_store(&lock->descriptor, descriptor);
    return true;
}

static bool wants_command(void)
{
    for (unsigned i = 0; i < tables_count; i++) {
        if (tables_get(i)->settings.scope == SCOPE_COMMAND)
            return true;
    }
    return false;
}

/* Without lockctl the first process founds the command; nobody lets go before the last member. */
static void found_command(const struct settings *settings)
{
    SPARSE static char message[1024];
    struct command *command;
    if (command_create(&command, settings, message, sizeof message) != 0)
        stop(message, SETTINGS_EXIT_STATUS);
}

static void join_command(const struct settings *settings, bool anchored)
{
    bool left = false;
    bool member = anchored && command_find(&left);
    if (!member && !left && wants_command()) {
        found_command(settings);
        member = command_find(&left);
    }
    if (member)
        lock_each(use_command, NULL);
}

/* --- what came through exec --- */

static bool is_process_scope(const struct lock *lock)
{
    return lock->scope == SCOPE_PROCESS || lock->scope == SCOPE_COMMAND;
}

static void look_at_inherited_file(int descriptor)
{
    char path[RESOLVE_SIZE];
    if (!resolve_descriptor(descriptor, path))
        return;
    struct lock *lock = tables_lock_at(path);
    /* High up it is the shim's own, from before exec; else the program's, from flock(1) perhaps. */
    if (lock != NULL && lock->entry == NULL &&
        descriptor > own_anchor_candidate(OWN_ANCHOR_NUMBERS - 1))
        lock_adopt(lock, descriptor, is_process_scope(lock));
    else if (lock != NULL)
        atomic_store(&lock->may_borrow, true);
    else
        touch_received(descriptor);
}

static bool look_at_inherited(long number, void *context)
{
    (void)context;
    int descriptor = (int)number;
    struct stat status;
    if (kernel_fstat(descriptor, &status) != 0)
        return true;
    if (descriptor == STDERR_FILENO)
        report_set_up(&status);
    if (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) || own_next(descriptor) == descriptor)
        return true;
    int flags = kernel_fcntl(descriptor, F_GETFL, 0);
    descriptor_opened(descriptor, (flags & O_NOFOLLOW) != 0); /* perhaps by a guarded parent */
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))
        look_at_inherited_file(descriptor);
    return true;
}

enum { POLLED = 256, MANY = 100, OWN_POLLED = 8 };

struct inherited {
    bool anchored; /* perhaps a command's anchor is among them */
    bool many;     /* too many for the list, or not to be told by a poll */
    int count;
    int numbers[MANY];
};

/*
 * One poll tells which of the low numbers are open, and which of those where the shim's own stand;
 * to list /proc/self/fd would make the kernel build a good part of /proc for every program. Numbers
 * are given lowest first, so only a process with many descriptors has any further up.
 */
static void find_inherited(struct inherited *inherited)
{
    struct pollfd polled[POLLED + OWN_ANCHOR_NUMBERS * OWN_POLLED];
    int count = 0;
    for (int i = 0; i < POLLED; i++)
        polled[count++] = (struct pollfd){.fd = i};
    for (int i = 0; i < OWN_ANCHOR_NUMBERS; i++) {
        for (int j = 0; j < OWN_POLLED; j++)
            polled[count++] = (struct pollfd){.fd = own_anchor_candidate(i) + j};
    }
    inherited->count = 0;
    inherited->anchored = inherited->many = true;
    /* Refused where it asks for more numbers than the process may have (EINVAL). */
    if (kernel_poll(polled, (unsigned)count, 0) < 0)
        return;
    inherited->anchored = inherited->many = false;
    for (int i = 0; i < count; i++) {
        if ((polled[i].revents & POLLNVAL) != 0)
            continue;
        if (i >= POLLED)
            inherited->anchored = true;
        if (inherited->count == MANY)
            inherited->many = true;
        else
            inherited->numbers[inherited->count++] = polled[i].fd;
    }
}

static void look_at_all_inherited(const struct inherited *inherited)
{
    if (inherited->many)
        process_each_number("/proc/self/fd", look_at_inherited, NULL);
    for (int i = 0; !inherited->many && i < inherited->count; i++)
        (void)look_at_inherited(inherited->numbers[i], NULL);
}

/* Table descriptors that came with a held lock go on as that holder's session. */
static void count_inherited(void)
{
    for (int at = descriptor_next(0); at >= 0; at = descriptor_next(at + 1)) {
        struct lock *lock = tables_get(descriptor_table(descriptor_word(at)))->lock;
        if (!lock_is_held(lock) || lock_is_kept(lock))
            continue;
        if (lock_enter(lock, 0, 0) == 0)
            descriptor_change(at, 0, DESCRIPTOR_COUNTED);
    }
}

static bool end_adoption(struct lock *lock, void *context)
{
    (void)context;
    if (lock_is_held(lock) && !lock_is_kept(lock))
        lock_leave(lock); /* the user that lock_adopt() counted */
    return true;
}

/* --- starting --- */

static void take_eagerly(void)
{
    for (unsigned i = 0; i < tables_count; i++) {
        struct table *table = tables_get(i);
        int result = lock_enter(table->lock, table->settings.timeout, LOCK_KEEP);
        if (result == 0)
            continue;
        report_refusal(table, -result);
        kernel_exit_group(1);
    }
}

static const char *variable(const char *name)
{
    return settings_variable(environment, name);
}

static bool is_asking_a_touch(void)
{
    for (unsigned i = 0; i < tables_count; i++) {
        if (tables_get(i)->lock->entry != NULL || tables_get(i)->settings.scope == SCOPE_PROCESS)
            return true;
    }
    return false;
}

static bool is_any_rolled_back(void)
{
    for (unsigned i = 0; i < tables_count; i++) {
        if (undo_guards(tables_get(i)))
            return true;
    }
    return false;
}

static bool wants_name(const struct settings *settings)
{
    for (size_t i = 0; i < settings->count; i++) {
        if (settings->tables[i].exempt != NULL)
            return true;
    }
    return false;
}

/* lockctl itself touches no table; what it starts is looked at by itself. */
static bool is_lockctl(void)
{
    const char *executed = (const char *)getauxval(AT_EXECFN); // NOLINT
    const char *slash = executed != NULL ? strrchr(executed, '/') : NULL;
    const char *name = slash != NULL ? slash + 1 : executed;
    return name != NULL && strcmp(name, "lockctl") == 0 &&
           strcmp(start_program_name(), "lockctl") == 0;
}

static void start(void)
{
    struct settings settings;
    lock_self_set_up();
    /* A program with more rights than its caller takes no orders from the caller's environment. */
    if ((variable("LOCKSHIM_TABLE") == NULL && variable("LOCKSHIM_TABLES") == NULL) ||
        getauxval(AT_SECURE) != 0) {
        atomic_store(&guard_state, GUARD_IDLE);
        return;
    }
    const char *wrong = settings_from_environment(&settings, environment);
    if (wrong == NULL && !is_lockctl())
        wrong = tables_set_up(&settings, wants_name(&settings) ? start_program_name() : "");
    if (wrong != NULL)
        stop(wrong, SETTINGS_EXIT_STATUS);
    if (tables_count == 0) { /* exempt from all of them */
        atomic_store(&guard_state, GUARD_IDLE);
        return;
    }
    trace_set_up(variable("LOCKSHIM_TRACE"));
    if (trace_on)
        trace_start();
    lock_notify = report_notice;
    struct inherited inherited;
    find_inherited(&inherited);
    join_command(&settings, inherited.anchored);
    touch_asking_matters = is_asking_a_touch();
    undo_matters = is_any_rolled_back();
    look_at_all_inherited(&inherited);
    count_inherited();
    lock_each(end_adoption, NULL);
    pthread_atfork(NULL, touch_process_made, start_forked);
    atomic_store(&guard_state, GUARD_ACTIVE);
    const char *eager = variable("LOCKSHIM_EAGER");
    if (eager != NULL && strcmp(eager, "1") == 0)
        take_eagerly();
}

bool start_guarding(void)
{
    int state = atomic_load_explicit(&guard_state, memory_order_acquire);
    if (__builtin_expect(state == GUARD_ACTIVE, 1))
        return true;
    if (environment == NULL)
        environment = environ;
    if (state != GUARD_UNSTARTED || environment == NULL)
        return false; /* idle; or our own calls while starting */
    if (atomic_compare_exchange_strong(&guard_state, &state, GUARD_STARTING)) {
        int error = errno;
        start();
        errno = error;
    }
    return atomic_load(&guard_state) == GUARD_ACTIVE;
}

void start_forked(void)
{
    if (atomic_load(&guard_state) != GUARD_ACTIVE)
        return;
    lock_self_set_up();
    if (trace_on)
        trace_fork();
    touch_forked();
}

/* glibc hands its constructors what main gets; musl nothing, but it has set environ by then. */
__attribute__((constructor(101))) static void construct(int count, char **arguments,
                                                        char **given_environment)
{
    (void)count;
    (void)arguments;
#ifdef __GLIBC__
    environment = given_environment;
#else
    (void)given_environment;
    environment = environ;
#endif
    real_bind();
    (void)start_guarding();
}

/*
 * exit() runs this before stdio is flushed: what the program did counts as done, and the kernel
 * keeps the lock until the very end. What stdio still writes to an inherited table's descriptor is
 * a touch, which nobody would see: so it is begun here.
 */
__attribute__((destructor(101))) static void destruct(void)
{
    if (atomic_load(&guard_state) != GUARD_ACTIVE)
        return;
    uint32_t word =
        descriptor_next(STDOUT_FILENO) == STDOUT_FILENO ? descriptor_word(STDOUT_FILENO) : 0;
    if ((word & DESCRIPTOR_WRITABLE) != 0 && __fpending(stdout) > 0) {
        struct touch touch;
        if (touch_descriptor(&touch, 1, word, TOUCH_CHANGE) && touch.error != 0)
            __fpurge(stdout); /* refused, like any other change; nothing goes on unlocked */
    }
    undo_flush_streams();
    touch_process_ends();
}
