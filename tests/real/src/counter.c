/* counter FILE: raises the number in FILE by one. Built static: no preload reaches it. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    if (argc != 2) {
        errx(2, "usage: counter FILE");
    }
    FILE *file = fopen(argv[1], "r");
    long number;
    if (!file || fscanf(file, "%ld", &number) != 1) {
        err(1, "%s", argv[1]);
    }
    fclose(file);
    file = fopen(argv[1], "w");
    if (!file || fprintf(file, "%ld\n", number + 1) < 0 || fclose(file) != 0) {
        err(1, "%s", argv[1]);
    }
    return 0;
}
