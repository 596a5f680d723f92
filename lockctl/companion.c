/*
 * What lockctl and lockctl-inspect share of being one command: where lockctl lies, becoming the
 * other, and finding a command by its name. It must never start a program that is not ours: neither
 * PATH nor the working directory is looked at.
 */
#include "lockctl/companion.h"

#include "shim/lock/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define COMPANION_NAME "lockctl-inspect"
#define COMPANION_INSTALLED LIBEXECDIR "/lockshim/" COMPANION_NAME

static const char *told_path;

void companion_started_by(const char *path)
{
    if (path[0] != '/')
        return;
    told_path = path;
    /* ps, pgrep and killall find it by the name of the command that it is part of. */
    (void)prctl(PR_SET_NAME, strrchr(path, '/') + 1);
}

const char *lockctl_path(void)
{
    static char path[PATH_MAX];
    if (told_path != NULL || path[0] != '\0')
        return told_path != NULL ? told_path : path;
    ssize_t length = kernel_readlinkat(AT_FDCWD, "/proc/self/exe", path, sizeof path - 1);
    if (length <= 0 || path[0] != '/')
        return NULL;
    path[length] = '\0';
    return path;
}

/* Beside lockctl; false if there is no room for the name. */
static bool path_beside(const char *lockctl, char path[static PATH_MAX])
{
    int directory = (int)(strrchr(lockctl, '/') - lockctl);
    return snprintf(path, PATH_MAX, "%.*s/" COMPANION_NAME, directory, lockctl) < PATH_MAX;
}

int companion_command(const struct command_description *description, int count, char **words)
{
    char path[PATH_MAX] = "";
    const char *lockctl = lockctl_path();
    char **all = words - 1; /* with the program's own name, in whose place its path is told */
    (void)count;
    errno = ENOENT;
    if (lockctl != NULL) {
        all[0] = (char *)lockctl; // NOLINT(cppcoreguidelines-pro-type-cast-away)
        if (path_beside(lockctl, path))
            (void)execv(path, all);
    }
    if (errno == ENOENT) {
        (void)snprintf(path, sizeof path, "%s", COMPANION_INSTALLED);
        (void)execv(path, all);
    }
    if (errno == ENOENT)
        complain("%s needs " COMPANION_NAME ", which is neither beside %s nor %s",
                 description->name, lockctl != NULL ? shown(lockctl) : "lockctl",
                 COMPANION_INSTALLED);
    else
        complain("%s: %s", shown(path), strerror(errno));
    return STATUS_FAILED;
}

void fill_standard_descriptors(void)
{
    for (;;) {
        int descriptor = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (descriptor < 0 || descriptor > STDERR_FILENO) {
            if (descriptor >= 0)
                (void)close(descriptor);
            return;
        }
    }
}

int dispatch(const struct command_description *commands, size_t command_count, int count,
             char **words)
{
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(words[1], commands[i].name) == 0)
            return commands[i].run(&commands[i], count - 1, words + 1);
    complain("'%s' is no command; see `lockctl --help`", shown(words[1]));
    return STATUS_USAGE;
}
