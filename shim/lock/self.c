/*
 * Who this process is. Whether vfork children are to be reckoned with is read off the symbols that
 * the loaded objects import: without vfork or clone among them there are none, and a system call on
 * every table's open and close is saved. Where that can't be read the answer is yes.
 */
#include "shim/lock/self.h"

#include "shim/lock/objects.h"
#include "shim/lock/process.h"

#include <string.h>

struct lock_self lock_self = {.may_vfork = true};

void lock_self_set_up(void)
{
    atomic_store(&lock_self.process, kernel_getpid());
    lock_self.start_time = 0;
}

uint64_t lock_self_start_time(void)
{
    uint64_t start_time = atomic_load_explicit(&lock_self.start_time, memory_order_relaxed);
    if (start_time == 0) {
        start_time = process_start_time(lock_self.process);
        atomic_store_explicit(&lock_self.start_time, start_time, memory_order_relaxed);
    }
    return start_time;
}

pid_t lock_self_thread(void)
{
    static __thread struct {
        pid_t process, thread;
    } known;
    pid_t process = atomic_load_explicit(&lock_self.process, memory_order_relaxed);
    if (known.thread == 0 || known.process != process) {
        known.process = process;
        known.thread = kernel_gettid();
    }
    return known.thread;
}

/* Asked of every name that the program imports: most are told by their first letter. */
static bool makes_children(const char *name)
{
    if (name[0] == '_' && name[1] == '_')
        name += 2;
    return (name[0] == 'v' && strcmp(name, "vfork") == 0) ||
           (name[0] == 'c' && strcmp(name, "clone") == 0);
}

static bool look_at_object(const struct object *object, void *found)
{
    *(bool *)found = object_imports(object, makes_children);
    return !*(bool *)found;
}

void lock_self_look_at_objects(void)
{
    bool found = false;
    objects_each(look_at_object, &found);
    atomic_store(&lock_self.may_vfork, found);
}
