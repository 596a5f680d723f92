/*
 * Binding the real functions: each by its name when it is first called, as dlsym(RTLD_NEXT) would
 * find it, but without its locks and its allocations, which a signal handler or a forked child
 * could hang on. The stand-ins make system calls themselves: they serve allocators and other
 * libraries that call before this one is set up.
 */
#include "shim/interpose/real.h"
#include "shim/interpose/stand_in.h"

#include "shim/lock/kernel.h"
#include "shim/lock/objects.h"
#include "shim/lock/sparse.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

static long set_errno(long result)
{
    if (result >= 0 || result < -4095)
        return result;
    errno = (int)-result;
    return -1;
}

static mode_t mode_argument(int flags, va_list arguments)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t)
                                                                      : 0;
}

static int early_open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_argument(flags, arguments);
    va_end(arguments);
    return (int)set_errno(kernel_openat(AT_FDCWD, path, flags, mode));
}

static int early_openat(int directory, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_argument(flags, arguments);
    va_end(arguments);
    return (int)set_errno(kernel_openat(directory, path, flags, mode));
}

static ssize_t early_write(int descriptor, const void *data, size_t size)
{
    return set_errno(kernel_write(descriptor, data, size));
}

static void *early_mmap64(void *address, size_t size, int protection, int flags, int descriptor,
                          off64_t offset)
{
    return (void *)set_errno(kernel_map(address, size, protection, flags, descriptor, offset));
}

static void *early_mmap(void *address, size_t size, int protection, int flags, int descriptor,
                        off_t offset)
{
    return early_mmap64(address, size, protection, flags, descriptor, offset);
}

static int early_munmap(void *address, size_t size)
{
    return (int)set_errno(kernel_munmap(address, size));
}

static int early_close(int descriptor)
{
    return (int)set_errno(kernel_close(descriptor));
}

static int early_fcntl(int descriptor, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    long argument = va_arg(arguments, long);
    va_end(arguments);
    return (int)set_errno(kernel_fcntl(descriptor, command, argument));
}

static int early_access(const char *path, int mode)
{
    return (int)set_errno(KERNEL_CALL(SYS_faccessat, AT_FDCWD, path, mode, 0, 0, 0));
}

static ssize_t early_readlink(const char *path, char *target, size_t size)
{
    return set_errno(kernel_readlinkat(AT_FDCWD, path, target, size));
}

#define early_open64 early_open
#define early___open early_open
#define early___open64 early_open
#define early_openat64 early_openat
#define early___write early_write
#define early___close early_close
#define early_fcntl64 early_fcntl

#define SYMBOL(name) __typeof__(name) *real_##name;
#define EARLY(name) __typeof__(name) *real_##name = early_##name;
#define SINCE(name, minor) SYMBOL(name)
#include "shim/interpose/symbols.def"
#undef SYMBOL
#undef EARLY
#undef SINCE

enum { OBJECTS_MAXIMUM = 128 };

/*
 * The objects behind this one, in the order in which RTLD_NEXT would search them. They came with
 * the program and stay as long as it does.
 */
SPARSE static struct next_objects {
    bool found_ourselves;
    int count;
    struct object objects[OBJECTS_MAXIMUM];
} next;

static bool add_object(const struct object *object, void *context)
{
    (void)context;
    if (next.found_ourselves)
        next.objects[next.count++] = *object;
    else
        next.found_ourselves = object->dynamic == _DYNAMIC;
    return next.count < OBJECTS_MAXIMUM;
}

static void *find_function(const char *name)
{
    for (int i = 0; i < next.count; i++) {
        void *function = object_function(&next.objects[i], name);
        if (function != NULL)
            return function;
    }
    return NULL;
}

/* What a libc does not have by this name it may have without the 64 in it (musl). */
static void *find_without_64(const char *name)
{
    char plain[32];
    const char *suffix = strstr(name, "64");
    if (suffix == NULL || strlen(name) >= sizeof plain)
        return NULL;
    size_t length = (size_t)(suffix - name);
    memcpy(plain, name, length);
    memcpy(plain + length, suffix + 2, strlen(suffix + 2) + 1);
    void *function = find_function(plain);
    return function != NULL ? function : stand_in_for(plain);
}

void *real_look_up(void **slot, const char *name)
{
    real_bind();
    void *function = find_function(name);
    if (function == NULL)
        function = stand_in_for(name);
    if (function == NULL)
        function = find_without_64(name);
    if (function != NULL)
        *slot = function;
    return function;
}

_Atomic bool real_bound;

void real_bind(void)
{
    static _Atomic bool begun;
    if (atomic_load(&begun) || atomic_exchange(&begun, true))
        return;
    next.count = 0; /* written first: what is only read is mapped, and then again to be written */
    objects_each(add_object, NULL);
    /* The stand-ins have served: the next call looks the real one up. */
#define SYMBOL(name)
#define EARLY(name) real_##name = NULL;
#define SINCE(name, minor)
#include "shim/interpose/symbols.def"
#undef SYMBOL
#undef EARLY
#undef SINCE
    atomic_store(&real_bound, true);
}
