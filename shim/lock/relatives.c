/*
 * Who waits for us. Starts from us: every ancestor that is blocked waiting for a child waits for
 * us. Then from the holder: what its threads are blocked on, and whether the other end is ours, or
 * belongs to a process that in turn waits for us. It must never wait itself, and it asks the
 * dearer questions (all processes' descriptors and mappings) only of a holder that is blocked on a
 * pipe, a socket or a word of shared memory.
 */
#include "shim/lock/relatives.h"

#include "shim/lock/blocked.h"
#include "shim/lock/kernel.h"
#include "shim/lock/process.h"
#include "shim/lock/registry.h"
#include "shim/lock/shared_memory.h"
#include "shim/lock/socket_peer.h"

#include <errno.h>
#include <linux/kcmp.h>
#include <stdint.h>
#include <stdatomic.h>
#include <string.h>

#define SCAN_DELAY 20000000u /* ns */
#define SCAN_MOMENT 30000000u
#define SCAN_INTERVAL 250000000u
#define SCAN_FORGOTTEN 5000000000u /* the last wait was another one */

enum { CHAIN_MAXIMUM = 32, VISITED_MAXIMUM = 64 };

struct end {
    pid_t ends;    /* it is the end of this child that is waited for (a pidfd) */
    bool terminal; /* the controlling side of a pseudo-terminal: the inode is its number */
    bool socket;
    bool reads; /* the blocked process waits to read: the other end writes */
    bool writes;
    uint64_t inode; /* of the pipe, or of the socket at the other end */
    struct shared_memory memory;
};

/* Us and those who wait for us as ancestors. */
struct chain {
    int count;
    pid_t processes[CHAIN_MAXIMUM];
};

struct visited {
    bool thorough; /* all processes may be looked at */
    pid_t holder;
    const struct relatives_hints *hints;
    int count;
    pid_t processes[VISITED_MAXIMUM];
};

/* --- pipes, sockets, shared memory --- */

static bool descriptor_target(pid_t process, long descriptor, const char *prefix, uint64_t *inode)
{
    char path[64], target[64];
    ssize_t length = kernel_readlinkat(AT_FDCWD, process_path(path, process, "fd", descriptor),
                                       target, sizeof target - 1);
    if (length <= 0)
        return false;
    target[length] = '\0';
    size_t skip = strlen(prefix);
    if (strncmp(target, prefix, skip) != 0)
        return false;
    (void)blocked_parse(target + skip, inode);
    return true;
}

static int access_mode(pid_t process, long descriptor)
{
    char path[64], text[1024];
    if (process_read_file(process_path(path, process, "fdinfo", descriptor), text, sizeof text) <=
        0)
        return O_RDWR;
    const char *at = strstr(text, "flags:");
    if (at == NULL)
        return O_RDWR;
    int flags = 0;
    for (at += 6; *at == ' ' || *at == '\t'; at++) {
    }
    for (; *at >= '0' && *at <= '7'; at++)
        flags = flags * 8 + (*at - '0');
    return flags & O_ACCMODE;
}

/* script(1) waits for its child so: at the controlling side of the terminal that it made for it. */
static bool is_terminal(pid_t process, int descriptor, struct end *end)
{
    char path[64], text[1024];
    ssize_t length = kernel_readlinkat(AT_FDCWD, process_path(path, process, "fd", descriptor),
                                       text, sizeof text - 1);
    if (length <= 0)
        return false;
    text[length] = '\0';
    if (strcmp(text, "/dev/ptmx") != 0 && strcmp(text, "/dev/pts/ptmx") != 0)
        return false;
    if (process_read_file(process_path(path, process, "fdinfo", descriptor), text, sizeof text) <=
        0)
        return false;
    const char *at = strstr(text, "tty-index:");
    if (at == NULL)
        return false;
    for (at += 10; *at == ' ' || *at == '\t'; at++) {
    }
    (void)blocked_parse(at, &end->inode);
    end->terminal = true;
    return true;
}

/* A child alone: a waiter watches its holder so as well, and that may be a cycle. */
static bool is_child(pid_t process, int descriptor, struct end *end)
{
    char path[64], text[1024];
    struct process_status status;
    uint64_t number;
    if (!descriptor_target(process, descriptor, "anon_inode:[pidfd]", &number) ||
        process_read_file(process_path(path, process, "fdinfo", descriptor), text, sizeof text) <=
            0)
        return false;
    const char *at = strstr(text, "\nPid:\t");
    if (at == NULL || at[6] == '-') /* it has ended, or is not to be seen from here */
        return false;
    (void)blocked_parse(at + 6, &number);
    end->ends = (pid_t)number;
    return process_status_read(end->ends, &status) && status.parent == process;
}

static bool find_end(pid_t process, int descriptor, struct end *end)
{
    memset(end, 0, sizeof *end);
    if (is_child(process, descriptor, end))
        return true;
    end->ends = 0;
    if (descriptor_target(process, descriptor, "pipe:[", &end->inode)) {
        int mode = access_mode(process, descriptor);
        end->reads = mode != O_WRONLY;
        end->writes = mode != O_RDONLY;
        return true;
    }
    if (is_terminal(process, descriptor, end))
        return true;
    uint64_t inode;
    if (!descriptor_target(process, descriptor, "socket:[", &inode))
        return false;
    end->socket = true;
    end->inode = socket_peer(inode);
    return end->inode != 0;
}

/* What a process is blocked on has a number; false: the other end of that is not to be told. */
static bool find_blocked_end(pid_t process, const struct blocked *blocked, int number,
                             struct end *end)
{
    if (number < blocked->count)
        return find_end(process, blocked->descriptors[number], end);
    memset(end, 0, sizeof *end);
    return shared_memory_at(process, blocked->addresses[number - blocked->count], &end->memory);
}

static int ends_of(const struct blocked *blocked)
{
    return blocked->count + blocked->address_count;
}

struct end_search {
    const struct end *end;
    pid_t process;
    bool found;
};

static bool look_for_end(long descriptor, void *context)
{
    struct end_search *search = context;
    uint64_t inode;
    const char *prefix = search->end->terminal ? "/dev/pts/"
                         : search->end->socket ? "socket:["
                                               : "pipe:[";
    if (!descriptor_target(search->process, descriptor, prefix, &inode) ||
        inode != search->end->inode)
        return true;
    if (!search->end->socket && !search->end->terminal) {
        int mode = access_mode(search->process, descriptor);
        if (!((search->end->reads && mode != O_RDONLY) ||
              (search->end->writes && mode != O_WRONLY)))
            return true;
    }
    search->found = true;
    return false;
}

static bool has_other_end(pid_t process, const struct end *end)
{
    char path[64];
    if (end->ends != 0)
        return end->ends == process;
    if (end->memory.inode != 0)
        return shared_memory_is_in(process, &end->memory);
    struct end_search search = {end, process, false};
    process_each_number(process_path(path, process, "fd", -1), look_for_end, &search);
    return search.found;
}

/* --- the search --- */

static bool in_chain(const struct chain *chain, pid_t process)
{
    for (int i = 0; i < chain->count; i++) {
        if (chain->processes[i] == process)
            return true;
    }
    return false;
}

struct strangers {
    const struct chain *chain;
    pid_t process;
    const struct end *end;
    bool found;
};

static bool look_at_stranger(long number, void *context)
{
    struct strangers *strangers = context;
    pid_t process = (pid_t)number;
    strangers->found = process != strangers->process && !in_chain(strangers->chain, process) &&
                       has_other_end(process, strangers->end);
    return !strangers->found;
}

/* Can nobody but us, and those who wait for us, wake who is blocked at this end? */
static bool is_ours_alone(const struct chain *chain, pid_t process, const struct end *end)
{
    struct strangers strangers = {chain, process, end, false};
    if (end->ends == 0)
        process_each_number("/proc", look_at_stranger, &strangers);
    return !strangers.found;
}

/*
 * Is the process blocked on us? `any`: where others have the other end as well, too. They have it
 * who were forked when it was open, and mostly it is one of them who is waited for.
 */
static bool touches_chain(const struct chain *chain, pid_t process, const struct blocked *blocked,
                          bool any)
{
    for (int i = 0; i < ends_of(blocked); i++) {
        struct end end;
        if (!find_blocked_end(process, blocked, i, &end))
            continue;
        for (int j = 0; j < chain->count; j++) {
            if (has_other_end(chain->processes[j], &end) &&
                (any || is_ours_alone(chain, process, &end)))
                return true;
        }
    }
    return false;
}

static bool is_polled(const struct relatives_hints *hints, pid_t child,
                      const struct blocked *blocked)
{
    /* Who asks about all of its children may be a server: while it waits for others it does that.
     */
    return blocked->asleep &&
           (hints->polled == RELATIVES_ANY_CHILD ? blocked->count == 0 : hints->polled == child);
}

/*
 * Does a parent that sleeps wait for its child? Of those between us and the holder, which itself
 * waits for them, it is taken for granted after a while. The holder may sleep for other reasons, in
 * the middle of what it does.
 */
static bool sleeps_for_child(const struct relatives_hints *hints, bool is_holder, pid_t child,
                             const struct blocked *blocked)
{
    if (!is_holder)
        return hints->rested && blocked->asleep;
    return (hints->still && blocked->endless && !blocked->busy) || is_polled(hints, child, blocked);
}

/*
 * Does the child run in its parent's memory? Who waits in vfork() waits for such a one, until it
 * executes a program or ends. Not known is no.
 */
static bool is_in_memory_of(pid_t parent, pid_t child)
{
    return KERNEL_CALL(SYS_kcmp, parent, child, KCMP_VM, 0, 0, 0) == 0;
}

/* Does it wait for this child, or for any? */
static bool waits_for_child(pid_t parent, pid_t child, const struct blocked *blocked)
{
    for (int i = 0; i < blocked->child_count; i++) {
        if (blocked->children[i] == child)
            return true;
    }
    return blocked->on_child || (blocked->in_vfork && is_in_memory_of(parent, child));
}

/*
 * Where it may not be seen, any child seems to be waited for. The holder's own word counts more, if
 * it has one thread (another one may wait for somebody else) and that child is still there.
 */
static void believe(pid_t holder, pid_t child, struct blocked *blocked)
{
    struct process_status status, of_child;
    if (!blocked->guessed || !blocked->on_child || child <= 0 ||
        !process_status_read(holder, &status) || status.threads != 1 ||
        !process_status_read(child, &of_child) || of_child.parent != holder)
        return;
    blocked->on_child = blocked->asleep = false;
    blocked->children[0] = child;
    blocked->child_count = 1;
}

/*
 * Many may share memory, and whoever waits for a word of it mostly waits for another one than us,
 * and not for long.
 */
static void find_blocked(pid_t process, pid_t holder, const struct relatives_hints *hints,
                         struct blocked *blocked)
{
    blocked_find(process, blocked);
    if (process == holder)
        believe(holder, hints->awaited, blocked);
    if (!(process == holder ? hints->still : hints->rested))
        blocked->address_count = 0;
}

/* The process, and every ancestor as long as each waits for the one before. */
static void build_chain(struct chain *chain, pid_t process, pid_t holder,
                        const struct relatives_hints *hints)
{
    chain->count = 0;
    while (process > 1 && chain->count < CHAIN_MAXIMUM) {
        chain->processes[chain->count++] = process;
        struct process_status status;
        if (!process_status_read(process, &status) || status.parent <= 1)
            return;
        struct blocked blocked = {.count = 0};
        find_blocked(status.parent, holder, hints, &blocked);
        bool any_end = status.parent != holder || hints->still;
        if (!waits_for_child(status.parent, process, &blocked) &&
            !touches_chain(chain, status.parent, &blocked, any_end) &&
            !sleeps_for_child(hints, status.parent == holder, process, &blocked))
            return;
        process = status.parent;
    }
}

static bool waits(const struct chain *chain, struct visited *visited, pid_t process, int depth);

struct partner_search {
    const struct chain *chain;
    struct visited *visited;
    const struct end *end;
    int depth;
    bool found;
};

static bool look_at_partner(long number, void *context)
{
    struct partner_search *search = context;
    pid_t process = (pid_t)number;
    if (has_other_end(process, search->end) &&
        waits(search->chain, search->visited, process, search->depth + 1))
        search->found = true;
    return !search->found;
}

static bool note_visit(struct visited *visited, pid_t process)
{
    for (int i = 0; i < visited->count; i++) {
        if (visited->processes[i] == process)
            return false;
    }
    if (visited->count == VISITED_MAXIMUM)
        return false;
    visited->processes[visited->count++] = process;
    return true;
}

/*
 * All processes' descriptors are looked at only by those who have waited for a while, and a few
 * times a second at most: most who wait are through before that. It is allowed for a whole question
 * (a chain of pipes is followed to its end), and for a moment: a look asks several, and when one
 * was answered with yes there is another moment for those that follow from it.
 */
static _Atomic uint64_t thorough_since;

static bool may_be_thorough(void)
{
    uint64_t now = registry_now(), since = atomic_load(&thorough_since);
    if (since == 0 || now > since + SCAN_FORGOTTEN) {
        atomic_store(&thorough_since, now + SCAN_DELAY);
        return false;
    }
    if (now < since)
        return false;
    if (now <= since + SCAN_MOMENT)
        return true;
    if (now < since + SCAN_INTERVAL)
        return false;
    atomic_store(&thorough_since, now);
    return true;
}

static bool waits(const struct chain *chain, struct visited *visited, pid_t process, int depth)
{
    if (in_chain(chain, process))
        return true;
    if (depth > 8 || !note_visit(visited, process))
        return false;
    struct blocked blocked = {.count = 0};
    find_blocked(process, visited->holder, visited->hints, &blocked);
    if (ends_of(&blocked) == 0)
        return false;
    bool any_end = process != visited->holder || visited->hints->still;
    if (touches_chain(chain, process, &blocked, any_end))
        return true;
    if (!visited->thorough || !any_end)
        return false;
    for (int i = 0; i < ends_of(&blocked); i++) {
        struct end end;
        if (!find_blocked_end(process, &blocked, i, &end))
            continue;
        struct partner_search search = {chain, visited, &end, depth, false};
        process_each_number("/proc", look_at_partner, &search);
        if (search.found)
            return true;
    }
    return false;
}

static bool is_ancestor(pid_t ancestor, pid_t process)
{
    struct process_status status;
    for (int i = 0; i < CHAIN_MAXIMUM && process > 1; i++) {
        if (!process_status_read(process, &status))
            return false;
        process = status.parent;
        if (process == ancestor)
            return true;
    }
    return false;
}

/* The cheap questions first: most holders are busy, or wait for children that we are none of. */
static bool ask(pid_t holder, pid_t process, const struct relatives_hints *hints)
{
    struct blocked blocked = {.count = 0};
    if (holder == process)
        return false;
    find_blocked(holder, holder, hints, &blocked);
    if (ends_of(&blocked) == 0 &&
        !((blocked.on_child || blocked.child_count > 0 || blocked.in_vfork || blocked.asleep) &&
          is_ancestor(holder, process)))
        return false;
    struct chain chain;
    struct visited visited = {.thorough = may_be_thorough(), .holder = holder, .hints = hints};
    build_chain(&chain, process, holder, hints);
    bool found = waits(&chain, &visited, holder, 0);
    if (found && visited.thorough)
        atomic_store(&thorough_since, registry_now());
    return found;
}

bool relatives_wait_for(pid_t holder, pid_t process)
{
    static const struct relatives_hints hints = {.still = true};
    return ask(holder, process, &hints);
}

bool relatives_wait_for_us(pid_t holder, const struct relatives_hints *hints)
{
    return ask(holder, kernel_getpid(), hints);
}
