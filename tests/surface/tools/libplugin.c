/* A plugin that opens a file, to be loaded with RTLD_DEEPBIND. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int plugin_truncate(const char *path);

int plugin_truncate(const char *path)
{
    int file = open(path, O_WRONLY | O_TRUNC);
    return file < 0 ? errno : close(file);
}
