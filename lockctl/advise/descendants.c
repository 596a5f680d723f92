/*
 * Every process below this one. It is told the orphans too (PR_SET_CHILD_SUBREAPER), so nobody who
 * was started gets away.
 */
#include "lockctl/advise/observe.h"

#include "lockctl/lockctl.h"
#include "shim/lock/process.h"

#include <stdlib.h>
#include <unistd.h>

struct family {
    struct member {
        pid_t pid, parent;
        bool below;
    } * members;
    size_t count;
};

static bool add_member(long number, void *context)
{
    struct family *family = context;
    struct process_status status;
    if (!process_status_read((pid_t)number, &status) || status.state == 'Z')
        return true;
    family->members = grow(family->members, family->count, sizeof *family->members);
    family->members[family->count++] =
        (struct member){(pid_t)number, status.parent, status.parent == getpid()};
    return true;
}

static bool has_parent_below(const struct family *family, pid_t parent)
{
    for (size_t i = 0; i < family->count; i++)
        if (family->members[i].pid == parent)
            return family->members[i].below;
    return false;
}

pid_t *descendants_list(pid_t spared, size_t *count)
{
    struct family family = {0};
    pid_t *found = NULL;
    process_each_number("/proc", add_member, &family);
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < family.count; i++) {
            struct member *member = &family.members[i];
            if (!member->below && has_parent_below(&family, member->parent))
                more = member->below = true;
        }
    }
    *count = 0;
    for (size_t i = 0; i < family.count; i++) {
        if (!family.members[i].below || family.members[i].pid == spared)
            continue;
        found = grow(found, *count, sizeof *found);
        found[(*count)++] = family.members[i].pid;
    }
    free(family.members);
    return found;
}

void descendants_signal(int signal, pid_t spared)
{
    size_t count;
    pid_t *pids = descendants_list(spared, &count);
    for (size_t i = 0; i < count; i++) {
        (void)kill(pids[i], signal);
        if (signal != SIGKILL)
            (void)kill(pids[i], SIGCONT);
    }
    free(pids);
}
