/*
 * Who waits for us. Starts from us: every ancestor that is blocked waiting for a child waits for
 * us. Then from the holder: what its threads are blocked on, and whether the other end is ours, or
 * belongs to a process that in turn waits for us. It must never wait itself, and it asks the
 * dearer questions (all processes' descriptors) only of a holder that is blocked on a pipe or
 * socket.
 */
#include "shim/lock/relatives.h"

#include "shim/lock/kernel.h"
#include "shim/lock/process.h"
#include "shim/lock/registry.h"
#include "shim/lock/socket_peer.h"

#include <errno.h>
#include <stdint.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/uio.h>

#define SCAN_DELAY 20000000u /* ns */
#define SCAN_MOMENT 30000000u
#define SCAN_INTERVAL 250000000u
#define SCAN_FORGOTTEN 5000000000u /* the last wait was another one */

enum { CHAIN_MAXIMUM = 32, DESCRIPTORS_MAXIMUM = 64, VISITED_MAXIMUM = 64 };

/* What all threads of a process are blocked on, taken together. */
struct blocked {
    bool on_child;
    int count;
    int descriptors[DESCRIPTORS_MAXIMUM];
};

struct end {
    bool terminal; /* the controlling side of a pseudo-terminal: the inode is its number */
    bool socket;
    bool reads; /* the blocked process waits to read: the other end writes */
    bool writes;
    uint64_t inode; /* of the pipe, or of the socket at the other end */
};

/* Us and those who wait for us as ancestors. */
struct chain {
    int count;
    pid_t processes[CHAIN_MAXIMUM];
};

struct visited {
    bool thorough; /* all processes may be looked at */
    int count;
    pid_t processes[VISITED_MAXIMUM];
};

/* --- what a thread is blocked on --- */

static void add_descriptor(struct blocked *blocked, long descriptor)
{
    if (descriptor >= 0 && descriptor < (1 << 30) && blocked->count < DESCRIPTORS_MAXIMUM)
        blocked->descriptors[blocked->count++] = (int)descriptor;
}

static bool read_memory(pid_t process, uint64_t address, void *buffer, size_t size)
{
    struct iovec here = {buffer, size};
    struct iovec there = {(void *)(uintptr_t)address, size};
    return KERNEL_CALL(SYS_process_vm_readv, process, &here, 1, &there, 1, 0) == (long)size;
}

static void add_polled(struct blocked *blocked, pid_t process, uint64_t address, uint64_t count)
{
    struct pollfd polled[DESCRIPTORS_MAXIMUM];
    if (count > DESCRIPTORS_MAXIMUM)
        count = DESCRIPTORS_MAXIMUM;
    if (count == 0 || !read_memory(process, address, polled, (size_t)count * sizeof polled[0]))
        return;
    for (uint64_t i = 0; i < count; i++)
        add_descriptor(blocked, polled[i].fd);
}

static void add_selected(struct blocked *blocked, pid_t process, uint64_t count, uint64_t set)
{
    uint64_t words[16];
    if (set == 0)
        return;
    if (count > 1024)
        count = 1024;
    size_t bytes = (size_t)((count + 63) / 64) * sizeof words[0];
    if (bytes == 0 || !read_memory(process, set, words, bytes))
        return;
    for (uint64_t i = 0; i < count; i++) {
        if ((words[i / 64] >> (i % 64) & 1) != 0)
            add_descriptor(blocked, (long)i);
    }
}

/* fdinfo of an epoll descriptor has a line "tfd: N events: …" for everything watched. */
static void add_watched(struct blocked *blocked, pid_t process, long epoll)
{
    char path[64], text[4096];
    if (process_read_file(process_path(path, process, "fdinfo", epoll), text, sizeof text) <= 0)
        return;
    for (const char *at = text; (at = strstr(at, "tfd:")) != NULL;) {
        at += 4;
        while (*at == ' ')
            at++;
        long number = 0;
        for (; *at >= '0' && *at <= '9'; at++)
            number = number * 10 + (*at - '0');
        add_descriptor(blocked, number);
    }
}

static const char *parse_argument(const char *at, uint64_t *number)
{
    unsigned base = 10;
    *number = 0;
    while (*at == ' ')
        at++;
    if (at[0] == '0' && at[1] == 'x') {
        base = 16;
        at += 2;
    }
    for (;; at++) {
        unsigned digit = *at >= '0' && *at <= '9'   ? (unsigned)(*at - '0')
                         : *at >= 'a' && *at <= 'f' ? (unsigned)(*at - 'a') + 10
                                                    : 99;
        if (digit >= base)
            return at;
        *number = *number * base + digit;
    }
}

static void note_call(struct blocked *blocked, pid_t process, long call, const uint64_t *argument)
{
    switch (call) {
    case SYS_wait4:
    case SYS_waitid:
    case SYS_rt_sigsuspend:
    case SYS_rt_sigtimedwait:
#ifdef SYS_pause
    case SYS_pause:
#endif
#ifdef SYS_vfork
    case SYS_vfork:
#endif
    case SYS_clone: /* posix_spawn waits in clone for the exec */
    case SYS_clone3:
        blocked->on_child = true;
        break;
    case SYS_read:
    case SYS_readv:
    case SYS_write:
    case SYS_writev:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_preadv2:
    case SYS_pwritev2:
        add_descriptor(blocked, (long)argument[0]);
        break;
    case SYS_splice:
    case SYS_tee:
    case SYS_sendfile:
        add_descriptor(blocked, (long)argument[0]);
        add_descriptor(blocked, (long)argument[call == SYS_splice ? 2 : 1]);
        break;
#ifdef SYS_poll
    case SYS_poll:
#endif
    case SYS_ppoll:
        add_polled(blocked, process, argument[0], argument[1]);
        break;
#ifdef SYS_select
    case SYS_select:
#endif
    case SYS_pselect6:
        add_selected(blocked, process, argument[0], argument[1]);
        add_selected(blocked, process, argument[0], argument[2]);
        break;
#ifdef SYS_epoll_wait
    case SYS_epoll_wait:
#endif
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
        add_watched(blocked, process, (long)argument[0]);
        break;
    default:
        break;
    }
}

static bool add_any_descriptor(long descriptor, void *context)
{
    struct blocked *blocked = context;
    add_descriptor(blocked, descriptor);
    return blocked->count < DESCRIPTORS_MAXIMUM;
}

/*
 * Where we may not see a process's system call (Yama's ptrace scope), the function of the kernel in
 * which it sleeps still tells that it waits for a child; for the rest any descriptor may be meant.
 */
static void guess_call(struct blocked *blocked, pid_t process)
{
    char path[64], text[128];
    struct process_status status;
    if (!process_status_read(process, &status) || status.state != 'S')
        return;
    if (process_read_file(process_path(path, process, "wchan", -1), text, sizeof text) <= 0 ||
        strcmp(text, "0") == 0 || strstr(text, "wait") != NULL ||
        strstr(text, "sigsuspend") != NULL)
        blocked->on_child = true;
    else
        process_each_number(process_path(path, process, "fd", -1), add_any_descriptor, blocked);
}

struct thread_search {
    pid_t process;
    struct blocked *blocked;
    int looked_at;
};

static bool look_at_thread(long thread, void *context)
{
    struct thread_search *search = context;
    char name[32] = "task/", path[64], text[256];
    size_t length = 5;
    char digits[24];
    int count = 0;
    for (long rest = thread; rest != 0 || count == 0; rest /= 10)
        digits[count++] = (char)('0' + rest % 10);
    while (count > 0)
        name[length++] = digits[--count];
    memcpy(name + length, "/syscall", 9);
    ssize_t length_read =
        process_read_file(process_path(path, search->process, name, -1), text, sizeof text);
    if (length_read == -EPERM || length_read == -EACCES) {
        guess_call(search->blocked, search->process);
        return false;
    }
    if (length_read > 0 && text[0] >= '0' && text[0] <= '9') {
        uint64_t call, argument[6] = {0};
        const char *at = parse_argument(text, &call);
        for (int i = 0; i < 6; i++)
            at = parse_argument(at, &argument[i]);
        note_call(search->blocked, search->process, (long)call, argument);
    }
    return ++search->looked_at < 64;
}

static void find_blocked(pid_t process, struct blocked *blocked)
{
    char path[64];
    struct thread_search search = {process, blocked, 0};
    memset(blocked, 0, sizeof *blocked);
    process_each_number(process_path(path, process, "task", -1), look_at_thread, &search);
}

/* --- pipes and sockets --- */

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
    (void)parse_argument(target + skip, inode);
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
    (void)parse_argument(at, &end->inode);
    end->terminal = true;
    return true;
}

static bool find_end(pid_t process, int descriptor, struct end *end)
{
    memset(end, 0, sizeof *end);
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

static bool touches_chain(const struct chain *chain, pid_t process, const struct blocked *blocked)
{
    for (int i = 0; i < blocked->count; i++) {
        struct end end;
        if (!find_end(process, blocked->descriptors[i], &end))
            continue;
        for (int j = 0; j < chain->count; j++) {
            if (has_other_end(chain->processes[j], &end))
                return true;
        }
    }
    return false;
}

/* The process, and every ancestor as long as each waits for the one before. */
static void build_chain(struct chain *chain, pid_t process)
{
    chain->count = 0;
    while (process > 1 && chain->count < CHAIN_MAXIMUM) {
        chain->processes[chain->count++] = process;
        struct process_status status;
        if (!process_status_read(process, &status) || status.parent <= 1)
            return;
        struct blocked blocked = {.count = 0};
        find_blocked(status.parent, &blocked);
        if (!blocked.on_child && !touches_chain(chain, status.parent, &blocked))
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
    find_blocked(process, &blocked);
    if (blocked.count == 0)
        return false;
    if (touches_chain(chain, process, &blocked))
        return true;
    if (!visited->thorough)
        return false;
    for (int i = 0; i < blocked.count; i++) {
        struct end end;
        if (!find_end(process, blocked.descriptors[i], &end))
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
bool relatives_wait_for(pid_t holder, pid_t process)
{
    struct blocked blocked = {.count = 0};
    if (holder == process)
        return false;
    find_blocked(holder, &blocked);
    if (blocked.count == 0 && !(blocked.on_child && is_ancestor(holder, process)))
        return false;
    struct chain chain;
    struct visited visited = {.thorough = may_be_thorough()};
    build_chain(&chain, process);
    bool found = waits(&chain, &visited, holder, 0);
    if (found && visited.thorough)
        atomic_store(&thorough_since, registry_now());
    return found;
}

bool relatives_wait_for_us(pid_t holder)
{
    return relatives_wait_for(holder, kernel_getpid());
}
