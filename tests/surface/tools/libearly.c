/* A library that opens a table's file in its constructor, and ends the program if that went
 * through. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void construct(void)
{
    const char *path = getenv("EARLY_FILE");
    int file = path != NULL ? open(path, O_WRONLY | O_TRUNC) : -1;
    if (path != NULL)
        _exit(file >= 0 ? 10 : errno == EAGAIN ? 20 : 30);
}
