/*
 * Executing programs. A holder's lock goes over exec with it; a program that the shim can't be
 * loaded into is never let at a command's tables before the lock is taken.
 */
#include "shim/execution.h"
#include "shim/interpose/real.h"
#include "shim/touch.h"

#include <errno.h>
#include <paths.h>

extern char **environ;

/*
 * `call` replaces this process; it comes back only when it fails. It executes with `given`, the
 * environment that the new program is to have.
 */
#define EXECUTE(path, search, arguments, environment, call)                                        \
    struct execution execution = {false, false};                                                   \
    char *const *given = environment;                                                              \
    if (touch_guarding()) {                                                                        \
        int error = execution_begins(&execution, path, search, arguments, environment);            \
        if (error != 0) {                                                                          \
            errno = error;                                                                         \
            return -1;                                                                             \
        }                                                                                          \
        if (execution.drop_preload)                                                                \
            given = execution_environment(&execution, environment, ROOM_FOR(environment));         \
    }                                                                                              \
    int result = call;                                                                             \
    if (touch_guarding())                                                                          \
        execution_failed();                                                                        \
    return result

/* On the stack: this may be a vfork child. */
#define ROOM_FOR(environment)                                                                      \
    __builtin_alloca(execution_environment_size(environment) * sizeof(char *))

INTERPOSE int execve(const char *path, char *const arguments[], char *const environment[])
{
    EXECUTE(path, false, arguments, environment, REAL(execve)(path, arguments, given));
}

INTERPOSE int execv(const char *path, char *const arguments[])
{
    EXECUTE(path, false, arguments, environ, REAL(execve)(path, arguments, given));
}

INTERPOSE int execvp(const char *name, char *const arguments[])
{
    EXECUTE(name, true, arguments, environ, REAL(execvpe)(name, arguments, given));
}

INTERPOSE int execvpe(const char *name, char *const arguments[], char *const environment[])
{
    EXECUTE(name, true, arguments, environment, REAL(execvpe)(name, arguments, given));
}

/* The number of arguments in the list, with the first and the ending NULL. */
static size_t count_arguments(va_list list)
{
    size_t count = 1;
    while (va_arg(list, char *) != NULL)
        count++;
    return count + 1;
}

/* Makes an array of the variable arguments, on the stack: this may be a vfork child. */
#define ARGUMENT_ARRAY(array, list, first)                                                         \
    va_list list, counted;                                                                         \
    va_start(list, first);                                                                         \
    va_copy(counted, list);                                                                        \
    const char *volatile begin = first; /* declared nonnull, yet may be null here */               \
    size_t count = begin == NULL ? 1 : count_arguments(counted);                                   \
    va_end(counted);                                                                               \
    char **array = __builtin_alloca(count * sizeof *array);                                        \
    array[0] = (char *)(uintptr_t)first;                                                           \
    for (size_t i = 1; i < count; i++)                                                             \
    array[i] = va_arg(list, char *)

INTERPOSE int execl(const char *path, const char *first, ...)
{
    ARGUMENT_ARRAY(arguments, list, first);
    va_end(list);
    return execv(path, arguments);
}

INTERPOSE int execlp(const char *name, const char *first, ...)
{
    ARGUMENT_ARRAY(arguments, list, first);
    va_end(list);
    return execvp(name, arguments);
}

INTERPOSE int execle(const char *path, const char *first, ...)
{
    ARGUMENT_ARRAY(arguments, list, first);
    char *const *environment = va_arg(list, char *const *);
    va_end(list);
    return execve(path, arguments, environment);
}

INTERPOSE int fexecve(int descriptor, char *const arguments[], char *const environment[])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    EXECUTE(path, false, arguments, environment, REAL(fexecve)(descriptor, arguments, given));
}

INTERPOSE int execveat(int directory, const char *path, char *const arguments[],
                       char *const environment[], int flags)
{
    char named[4200];
    if (!touch_is_text(path))
        return REAL(execveat)(directory, path, arguments, environment, flags);
    if (directory == AT_FDCWD || path[0] == '/')
        snprintf(named, sizeof named, "%s", path);
    else if (path[0] == '\0')
        snprintf(named, sizeof named, "/proc/self/fd/%d", directory);
    else
        snprintf(named, sizeof named, "/proc/self/fd/%d/%s", directory, path);
    EXECUTE(named, false, arguments, environment,
            REAL(execveat)(directory, path, arguments, given, flags));
}

/* --- children --- */

#define SPAWN(path, search, arguments, environment, process, call)                                 \
    struct execution execution = {false, false};                                                   \
    char *const *given = environment;                                                              \
    if (touch_guarding()) {                                                                        \
        int error = execution_of_child(&execution, path, search, arguments, environment);          \
        if (error != 0)                                                                            \
            return error;                                                                          \
        if (execution.drop_preload)                                                                \
            given = execution_environment(&execution, environment, ROOM_FOR(environment));         \
    }                                                                                              \
    int result = call;                                                                             \
    if (execution.out_of_reach && result == 0)                                                     \
        execution_watch(process);                                                                  \
    return result

INTERPOSE int posix_spawn(pid_t *process, const char *path,
                          const posix_spawn_file_actions_t *actions,
                          const posix_spawnattr_t *attributes, char *const arguments[],
                          char *const environment[])
{
    pid_t child = 0;
    pid_t *out = process != NULL ? process : &child;
    SPAWN(path, false, arguments, environment, *out,
          REAL(posix_spawn)(out, path, actions, attributes, arguments, given));
}

INTERPOSE int posix_spawnp(pid_t *process, const char *name,
                           const posix_spawn_file_actions_t *actions,
                           const posix_spawnattr_t *attributes, char *const arguments[],
                           char *const environment[])
{
    pid_t child = 0;
    pid_t *out = process != NULL ? process : &child;
    SPAWN(name, true, arguments, environment, *out,
          REAL(posix_spawnp)(out, name, actions, attributes, arguments, given));
}

INTERPOSE int pidfd_spawn(int *pidfd, const char *path, const posix_spawn_file_actions_t *actions,
                          const posix_spawnattr_t *attributes, char *const *arguments,
                          char *const *environment)
{
    if (REAL(pidfd_spawn) == NULL)
        return ENOSYS; /* found by name in a libc that has none */
    SPAWN(path, false, arguments, environment, 0,
          REAL(pidfd_spawn)(pidfd, path, actions, attributes, arguments, given));
}

INTERPOSE int pidfd_spawnp(int *pidfd, const char *name, const posix_spawn_file_actions_t *actions,
                           const posix_spawnattr_t *attributes, char *const *arguments,
                           char *const *environment)
{
    if (REAL(pidfd_spawnp) == NULL)
        return ENOSYS;
    SPAWN(name, true, arguments, environment, 0,
          REAL(pidfd_spawnp)(pidfd, name, actions, attributes, arguments, given));
}

/* A shell that can be reached looks at what it executes by itself. */
static int shell_begins(void)
{
    struct execution execution;
    return touch_guarding() ? execution_of_child(&execution, _PATH_BSHELL, false, NULL, environ)
                            : 0;
}

INTERPOSE int system(const char *command)
{
    int error = command != NULL ? shell_begins() : 0;
    if (error == 0)
        return REAL(system)(command);
    errno = error;
    return -1;
}

static FILE *popen_guarded(FILE *(*real)(const char *, const char *), const char *command,
                           const char *mode)
{
    int error = shell_begins();
    if (error == 0)
        return real(command, mode);
    errno = error;
    return NULL;
}

INTERPOSE FILE *popen(const char *command, const char *mode)
{
    return popen_guarded(REAL(popen), command, mode);
}

INTERPOSE FILE *_IO_popen(const char *command, const char *mode)
{
    return popen_guarded(REAL(_IO_popen), command, mode);
}

/* A pipe, never a table's; named here because it closes a stream. */
INTERPOSE int pclose(FILE *stream)
{
    return REAL(pclose)(stream);
}
