/*
 * The variables that load the shim and tell it its tables. What an earlier guard left in the
 * environment is taken out; its tables are among the settings already.
 */
#include "lockctl/preload.h"

#include "lockctl/lockctl.h"
#include "shim/lock/kernel.h"

#include <err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRELOAD "LD_PRELOAD="
#define TABLES "LOCKSHIM_TABLES="
/* The kernel's MAX_ARG_STRLEN: no variable may be longer, its NUL included. */
#define VARIABLE_MAXIMUM 131072

static const char *find_variable(char *const *environment, const char *start)
{
    for (; *environment != NULL; environment++)
        if (strncmp(*environment, start, strlen(start)) == 0)
            return *environment + strlen(start);
    return "";
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* Is it the shim, perhaps under another name, or another build of it? Two would not agree. */
static bool is_shim(const char *entry, const char *shim)
{
    struct stat one = {0};
    struct stat other = {0};
    if (strcmp(last_part(entry), last_part(shim)) == 0)
        return true;
    return kernel_fstatat(AT_FDCWD, entry, &one, 0) == 0 &&
           kernel_fstatat(AT_FDCWD, shim, &other, 0) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

/* Sanitizers refuse to run behind another preload. */
static bool must_be_first(const char *entry)
{
    return strncmp(last_part(entry), "libasan.so", 10) == 0 ||
           strncmp(last_part(entry), "libtsan.so", 10) == 0;
}

static void append(char *text, const char *entry)
{
    size_t length = strlen(text);
    if (text[length - 1] != '=')
        text[length++] = ':';
    memcpy(text + length, entry, strlen(entry) + 1);
}

/* What was preloaded before, and the shim if it can be loaded; NULL: nothing. */
static char *preload_variable(const struct guard *guard, char *const *before)
{
    char *old = copy_text(find_variable(before, PRELOAD));
    size_t size = sizeof PRELOAD + strlen(old) + strlen(guard->entry) + 2;
    char *first = calloc(1, size);
    char *rest = calloc(1, size);
    if (first == NULL || rest == NULL)
        err(STATUS_FAILED, NULL);
    memcpy(first, PRELOAD, sizeof PRELOAD);
    memcpy(rest, "=", 2);
    char *left = old;
    for (char *entry; (entry = strsep(&left, " :")) != NULL;)
        if (*entry != '\0' && !is_shim(entry, guard->shim))
            append(must_be_first(entry) ? first : rest, entry);
    if (guard->loadable)
        append(first, guard->entry);
    if (rest[1] != '\0')
        append(first, rest + 1);
    free(rest);
    if (first[sizeof PRELOAD - 1] != '\0')
        return first;
    free(first);
    return NULL;
}

/* One line a table. NULL after a complaint. */
static char *tables_variable(const struct settings *settings)
{
    size_t size = sizeof TABLES;
    for (size_t i = 0; i < settings->count; i++)
        size += settings_format_line(&settings->tables[i], NULL, 0) + 1;
    if (size > VARIABLE_MAXIMUM) {
        complain("%zu tables need %zu bytes of environment, more than the %d that can be passed "
                 "on; name a directory above them instead",
                 settings->count, size, VARIABLE_MAXIMUM);
        return NULL;
    }
    char *text = malloc(size);
    if (text == NULL)
        err(STATUS_FAILED, NULL);
    memcpy(text, TABLES, sizeof TABLES);
    size_t length = sizeof TABLES - 1;
    for (size_t i = 0; i < settings->count; i++) {
        if (i > 0)
            text[length++] = '\n';
        length += settings_format_line(&settings->tables[i], text + length, size - length);
    }
    return text;
}

char **guard_variables(const struct settings *settings, const struct guard *guard,
                       char *const *before)
{
    static char *variables[5];
    size_t count = 0;
    variables[count] = tables_variable(settings);
    if (variables[count++] == NULL)
        return NULL;
    char *preload = preload_variable(guard, before);
    if (preload != NULL)
        variables[count++] = preload;
    /* libuv would use io_uring, which no preload can see. */
    variables[count++] = copy_text("UV_USE_IO_URING=0");
    if (guard->eager)
        variables[count++] = copy_text("LOCKSHIM_EAGER=1");
    return variables;
}

static bool is_replaced(const char *variable)
{
    return strncmp(variable, "LOCKSHIM_", 9) == 0 ||
           strncmp(variable, PRELOAD, sizeof PRELOAD - 1) == 0 ||
           strncmp(variable, "UV_USE_IO_URING=", 16) == 0;
}

char **guard_environment(char **variables, char *const *before)
{
    size_t count = 0;
    char **environment = NULL;
    for (; *before != NULL; before++) {
        if (is_replaced(*before))
            continue;
        environment = grow(environment, count, sizeof *environment);
        environment[count++] = *before;
    }
    for (; *variables != NULL; variables++) {
        environment = grow(environment, count, sizeof *environment);
        environment[count++] = *variables;
    }
    environment = grow(environment, count, sizeof *environment);
    environment[count] = NULL;
    return environment;
}
