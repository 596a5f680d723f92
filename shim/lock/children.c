/*
 * The children of a process, as /proc lists them for each of its threads. It must never take a
 * child that has ended, and merely was not asked for yet, for one that may be waited for.
 */
#include "shim/lock/children.h"

#include "shim/lock/kernel.h"
#include "shim/lock/process.h"

#include <linux/kcmp.h>
#include <stdint.h>

struct child_search {
    pid_t parent, child;
    bool found, others;
};

static void look_at_child(struct child_search *search, pid_t child)
{
    struct process_status status;
    if (child == search->child)
        search->found = true;
    else if (process_status_read(child, &status) && status.state != 'Z' && status.state != 'X')
        search->others = true;
}

/* "PID PID … ": a list that does not fit in has others, too. */
static bool look_at_thread(long thread, void *context)
{
    struct child_search *search = context;
    char text[1024];
    if (process_read_of_thread(search->parent, thread, "/children", text, sizeof text) < 0)
        return true;
    for (const char *at = text; *at != '\0' && !search->others;) {
        long child = 0;
        for (; *at >= '0' && *at <= '9'; at++)
            child = child * 10 + (*at - '0');
        if (child > 0)
            look_at_child(search, (pid_t)child);
        while (*at != '\0' && (*at < '0' || *at > '9'))
            at++;
    }
    return !search->others;
}

bool children_has_only(pid_t parent, pid_t child)
{
    char path[64];
    struct child_search search = {.parent = parent, .child = child};
    process_each_number(process_path(path, parent, "task", -1), look_at_thread, &search);
    return search.found && !search.others;
}

bool children_shares_memory(pid_t parent, pid_t child)
{
    return KERNEL_CALL(SYS_kcmp, parent, child, KCMP_VM, 0, 0, 0) == 0;
}
