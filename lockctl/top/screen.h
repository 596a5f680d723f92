/*
 * The terminal as a full screen (ncurses): taking it, giving it back whatever happens, and what
 * happens meanwhile: keys, a change of size, signals, suspension.
 */
#ifndef LOCKCTL_TOP_SCREEN_H
#define LOCKCTL_TOP_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an awaited key is, where it is none. ncurses has positive numbers for its keys. */
enum { SCREEN_TIME = -1, SCREEN_CHANGED = -2, SCREEN_END = -3 };

/* Is there a terminal that can show a screen, and somebody who can press keys? */
bool screen_is_possible(void);

/*
 * Takes the terminal; false if it can't be had after all. From then on stderr is kept back until
 * the screen is closed, where it would go to the terminal.
 */
bool screen_open(void);

/* Gives it back as it was, and prints what was kept back. Also at exit; more than once is fine. */
void screen_close(void);

/* In a child: the terminal is the parent's. Signals are as they were before. */
void screen_forget(void);

void screen_size(int *rows, int *width);

/*
 * Waits for a key until `deadline` (CLOCK_MONOTONIC, nanoseconds). Returns it, or one of the above:
 * the time has come; the screen is another size or was away, and must be drawn anew; a signal or
 * the terminal's end ends the program.
 */
int screen_await_key(uint64_t deadline);

/* The signal that ended it, or 0. */
int screen_ending_signal(void);

/* The last line that was kept back from stderr; "" if there is none. Forgets it. */
const char *screen_take_complaint(char *text, size_t size);

/* How text looks; without colours, or under NO_COLOR, by brightness alone. */
enum look_of_text { LOOK_PLAIN, LOOK_TITLE, LOOK_HEADING, LOOK_WELL, LOOK_IDLE, LOOK_STALE, LOOKS };

/*
 * Writes one line, cut to the width of the screen, the rest of the line blank. Text of the locale's
 * encoding; what is not printable is not written.
 */
void screen_line(int row, const char *text, enum look_of_text look, bool selected);
void screen_underline(int row, int column, int length, enum look_of_text look);

/* The next time, all is sent to the terminal, whatever it seems to show already. */
void screen_redraw(void);

/* Shows what was written. */
void screen_show(void);

#endif
