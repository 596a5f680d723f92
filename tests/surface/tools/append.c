/* Writes a line to the end of a file: built static and against another libc, out of the shim's
 * reach. */
#include <fcntl.h>
#include <unistd.h>

int main(int count, char **arguments)
{
    int file = count > 1 ? open(arguments[1], O_WRONLY | O_APPEND) : -1;
    return file >= 0 && write(file, "line\n", 5) == 5 ? 0 : 1;
}
