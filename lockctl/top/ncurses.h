/*
 * ncurses, loaded when a screen is first asked for (library.h). Its macros mean variables that are
 * not there: whatever is used goes through this table.
 */
#ifndef LOCKCTL_TOP_NCURSES_H
#define LOCKCTL_TOP_NCURSES_H

#define NCURSES_NOMACROS
#include <curses.h>
#include <term.h>

#define NCURSES_FUNCTIONS(FUNCTION)                                                                \
    FUNCTION(COLOR_PAIR)                                                                           \
    FUNCTION(cbreak)                                                                               \
    FUNCTION(clearok)                                                                              \
    FUNCTION(curs_set)                                                                             \
    FUNCTION(delscreen)                                                                            \
    FUNCTION(endwin)                                                                               \
    FUNCTION(has_colors)                                                                           \
    FUNCTION(init_pair)                                                                            \
    FUNCTION(intrflush)                                                                            \
    FUNCTION(keypad)                                                                               \
    FUNCTION(newterm)                                                                              \
    FUNCTION(nodelay)                                                                              \
    FUNCTION(noecho)                                                                               \
    FUNCTION(nonl)                                                                                 \
    FUNCTION(resizeterm)                                                                           \
    FUNCTION(set_escdelay)                                                                         \
    FUNCTION(setupterm)                                                                            \
    FUNCTION(start_color)                                                                          \
    FUNCTION(tigetflag)                                                                            \
    FUNCTION(tigetstr)                                                                             \
    FUNCTION(tputs)                                                                                \
    FUNCTION(use_default_colors)                                                                   \
    FUNCTION(waddnstr)                                                                             \
    FUNCTION(wattrset)                                                                             \
    FUNCTION(wbkgdset)                                                                             \
    FUNCTION(wchgat)                                                                               \
    FUNCTION(wclrtoeol)                                                                            \
    FUNCTION(wgetch)                                                                               \
    FUNCTION(wmove)                                                                                \
    FUNCTION(wrefresh)

struct ncurses {
#define NCURSES_MEMBER(name) __typeof__(name) *name;
    NCURSES_FUNCTIONS(NCURSES_MEMBER)
#undef NCURSES_MEMBER
    WINDOW **standard;   /* stdscr: what is drawn on */
    WINDOW **current;    /* curscr: what the terminal shows */
    int *height, *width; /* LINES, COLS */
};

const struct ncurses *ncurses(void);

#endif
