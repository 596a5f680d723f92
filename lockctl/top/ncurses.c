/* ncurses, by the interface of its sixth release, for wide characters. */
#include "lockctl/top/ncurses.h"

#include "lockctl/library.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

const struct ncurses *ncurses(void)
{
    static struct ncurses loaded;
    static const struct library_symbol symbols[] = {
#define NCURSES_SYMBOL(name) {#name, offsetof(struct ncurses, name)},
        NCURSES_FUNCTIONS(NCURSES_SYMBOL)
#undef NCURSES_SYMBOL
            {"stdscr", offsetof(struct ncurses, standard)},
        {"curscr", offsetof(struct ncurses, current)},
        {"LINES", offsetof(struct ncurses, height)},
        {"COLS", offsetof(struct ncurses, width)},
    };
    if (loaded.newterm == NULL)
        library_load("libncursesw.so.6", "to show a screen", symbols, COUNT(symbols), &loaded);
    return &loaded;
}
