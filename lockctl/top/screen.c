/*
 * The terminal. All signals that matter are blocked and read from a descriptor, so that nothing is
 * done inside a handler; only a crash is handled where it happens. It must leave the terminal as it
 * found it on every way out.
 */
#include "lockctl/top/screen.h"

#include "lockctl/lockctl.h"
#include "lockctl/top/ncurses.h"
#include "shim/lock/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

static const int READ_SIGNALS[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};
static const int CRASHES[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
#define COUNT(array) (sizeof(array) / sizeof *(array))
#define ESCAPE_DELAY 50 /* ms that the rest of a key's sequence may take */

static struct {
    bool open;
    bool colours;
    SCREEN *curses;
    struct termios modes; /* as they were */
    char leave[256];      /* what brings the terminal back, for a crash */
    size_t leave_length;
    int signals; /* signalfd */
    sigset_t mask_before;
    int ending_signal;
    int errors;       /* the true stderr, or -1: it is not kept back */
    int kept;         /* a memory file with what was */
    off_t told_until; /* of it */
} screen = {.signals = -1, .errors = -1, .kept = -1};

/* --- can it be? --- */

/* A sequence that the terminal understands, by terminfo's name for it; NULL: it has none. */
static const char *sequence_of(const char *name)
{
    const char *sequence = ncurses()->tigetstr(name);
    return (intptr_t)sequence == -1 ? NULL : sequence;
}

bool screen_is_possible(void)
{
    int error;
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) ||
        ncurses()->setupterm(NULL, STDOUT_FILENO, &error) != OK)
        return false;
    bool prints_on_paper = ncurses()->tigetflag("hc") > 0 || ncurses()->tigetflag("gn") > 0;
    return sequence_of("cup") != NULL && sequence_of("clear") != NULL && !prints_on_paper;
}

/* --- stderr, while the screen is up --- */

static void keep_errors(void)
{
    if (screen.kept >= 0 || !isatty(STDERR_FILENO))
        return;
    screen.kept = memfd_create("errors", MFD_CLOEXEC);
    if (screen.kept < 0)
        return;
    (void)fcntl(screen.kept, F_SETFL, O_APPEND);
    screen.errors = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (screen.errors >= 0)
        (void)dup2(screen.kept, STDERR_FILENO);
}

static void release_errors(void)
{
    char text[4096];
    ssize_t got;
    if (screen.errors < 0)
        return;
    (void)dup2(screen.errors, STDERR_FILENO);
    (void)close(screen.errors);
    screen.errors = -1;
    for (off_t at = 0; (got = pread(screen.kept, text, sizeof text, at)) > 0; at += got)
        if (write(STDERR_FILENO, text, (size_t)got) != got)
            break;
    (void)close(screen.kept);
    screen.kept = -1;
    screen.told_until = 0;
}

const char *screen_take_complaint(char *text, size_t size)
{
    text[0] = '\0';
    ssize_t got = screen.kept < 0 ? 0 : pread(screen.kept, text, size - 1, screen.told_until);
    if (got <= 0)
        return text;
    screen.told_until += got;
    text[got] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return text;
}

/* --- a crash --- */

static void restore_and_crash(int number)
{
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &screen.modes);
    if (write(STDOUT_FILENO, screen.leave, screen.leave_length) < 0)
        _exit(STATUS_SIGNAL_BASE + number);
    (void)raise(number); /* the handler was for once: now it ends */
}

static int keep_byte(int byte)
{
    if (screen.leave_length < sizeof screen.leave)
        screen.leave[screen.leave_length++] = (char)byte;
    return byte;
}

/* The sequences are made ready now: when it has crashed, nothing may be looked up. */
static void prepare_for_crash(void)
{
    /* Of keys, attributes, colours and the cursor, and the screen's own page. */
    static const char *const names[] = {"rmkx", "sgr0", "op", "cnorm", "rmcup"};
    screen.leave_length = 0;
    for (size_t i = 0; i < COUNT(names); i++)
        if (sequence_of(names[i]) != NULL)
            (void)ncurses()->tputs(sequence_of(names[i]), 1, keep_byte);
    struct sigaction action = {.sa_handler = restore_and_crash, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < COUNT(CRASHES); i++)
        (void)sigaction(CRASHES[i], &action, NULL);
}

static void forget_crash(void)
{
    for (size_t i = 0; i < COUNT(CRASHES); i++)
        (void)signal(CRASHES[i], SIG_DFL);
}

/* --- taking and giving back --- */

/* Signals that were ignored when we started (nohup) stay so. ncurses' own handlers are put away. */
static bool take_signals(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < COUNT(READ_SIGNALS); i++) {
        struct sigaction action;
        if (sigaction(READ_SIGNALS[i], NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            continue;
        (void)sigaddset(&set, READ_SIGNALS[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &set, &screen.mask_before);
    screen.signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return screen.signals >= 0;
}

static void put_handlers_away(void)
{
    for (size_t i = 0; i < COUNT(READ_SIGNALS); i++) {
        struct sigaction action;
        if (sigaction(READ_SIGNALS[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            (void)signal(READ_SIGNALS[i], SIG_DFL);
    }
}

static void begin_colours(void)
{
    const char *unwanted = getenv("NO_COLOR");
    screen.colours = (unwanted == NULL || unwanted[0] == '\0') && ncurses()->has_colors() &&
                     ncurses()->start_color() == OK && ncurses()->use_default_colors() == OK;
    if (!screen.colours)
        return;
    (void)ncurses()->init_pair(LOOK_WELL, COLOR_GREEN, -1);
    (void)ncurses()->init_pair(LOOK_STALE, COLOR_RED, -1);
    (void)ncurses()->init_pair(LOOK_IDLE, COLOR_CYAN, -1);
}

static void set_modes(void)
{
    (void)ncurses()->cbreak();
    (void)ncurses()->noecho();
    (void)ncurses()->nonl();
    (void)ncurses()->intrflush(*ncurses()->standard, FALSE);
    (void)ncurses()->keypad(*ncurses()->standard, TRUE);
    (void)ncurses()->nodelay(*ncurses()->standard, TRUE);
    (void)ncurses()->curs_set(0);
}

bool screen_open(void)
{
    static bool at_exit;
    if (tcgetattr(STDIN_FILENO, &screen.modes) != 0 || !take_signals())
        return false;
    screen.curses = ncurses()->newterm(NULL, stdout, stdin);
    put_handlers_away();
    if (screen.curses == NULL) {
        (void)sigprocmask(SIG_SETMASK, &screen.mask_before, NULL);
        return false;
    }
    screen.open = true;
    if (!at_exit)
        at_exit = atexit(screen_close) == 0;
    (void)ncurses()->set_escdelay(ESCAPE_DELAY);
    prepare_for_crash();
    begin_colours();
    set_modes();
    keep_errors();
    return true;
}

void screen_close(void)
{
    if (!screen.open)
        return;
    screen.open = false;
    (void)ncurses()->endwin();
    ncurses()->delscreen(screen.curses);
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &screen.modes);
    forget_crash();
    release_errors();
    (void)close(screen.signals);
    screen.signals = -1;
    (void)sigprocmask(SIG_SETMASK, &screen.mask_before, NULL);
}

void screen_size(int *rows, int *width)
{
    *rows = *ncurses()->height;
    *width = *ncurses()->width;
}

void screen_forget(void)
{
    screen.open = false;
    forget_crash();
    (void)sigprocmask(SIG_SETMASK, &screen.mask_before, NULL);
}

/* --- what happens meanwhile --- */

/* Another size, or the terminal was somebody else's: everything is drawn anew. */
static void take_back(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
        (void)ncurses()->resizeterm(size.ws_row, size.ws_col);
    (void)ncurses()->clearok(*ncurses()->current, TRUE);
    (void)ncurses()->wrefresh(*ncurses()->standard);
}

/*
 * The shell gets the terminal as it left it. Who is in the background when continued is stopped by
 * the terminal itself as soon as it is touched, until it is in front again.
 */
static void suspend(void)
{
    sigset_t stop;
    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGTSTP);
    (void)ncurses()->endwin();
    (void)raise(SIGTSTP);
    (void)sigprocmask(SIG_UNBLOCK, &stop, NULL); /* stands still here */
    (void)sigprocmask(SIG_BLOCK, &stop, NULL);
    take_back();
}

/* Stopped by SIGSTOP the screen could not be put away; the shell has set its own modes since. */
static void come_back(void)
{
    (void)ncurses()->endwin();
    take_back();
}

/* 0: nothing to tell. */
static int take_signal(void)
{
    struct signalfd_siginfo signal;
    int result = 0;
    while (read(screen.signals, &signal, sizeof signal) == (ssize_t)sizeof signal) {
        switch (signal.ssi_signo) {
        case SIGTSTP:
            suspend();
            result = SCREEN_CHANGED;
            break;
        case SIGCONT:
            come_back();
            result = SCREEN_CHANGED;
            break;
        case SIGWINCH:
            take_back();
            result = SCREEN_CHANGED;
            break;
        default:
            screen.ending_signal = (int)signal.ssi_signo;
            return SCREEN_END;
        }
    }
    return result;
}

int screen_ending_signal(void)
{
    return screen.ending_signal;
}

/* Has the terminal gone away? Then it is readable, with nothing to read. */
static bool is_at_end(void)
{
    int waiting = 0;
    return ioctl(STDIN_FILENO, FIONREAD, &waiting) != 0 || waiting == 0;
}

int screen_await_key(uint64_t deadline)
{
    for (;;) {
        int key = ncurses()->wgetch(*ncurses()->standard);
        if (key == KEY_RESIZE)
            return SCREEN_CHANGED;
        if (key != ERR)
            return key;
        uint64_t now = registry_now();
        uint64_t left = now < deadline ? deadline - now : 0;
        struct timespec timeout = {(time_t)(left / 1000000000), (long)(left % 1000000000)};
        struct pollfd files[] = {{STDIN_FILENO, POLLIN, 0}, {screen.signals, POLLIN, 0}};
        int ready = ppoll(files, COUNT(files), &timeout, NULL);
        if (ready < 0 && errno != EINTR)
            return SCREEN_END;
        if (ready <= 0)
            return SCREEN_TIME;
        if (files[1].revents != 0) {
            int result = take_signal();
            if (result != 0)
                return result;
        }
        if ((files[0].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0 ||
            ((files[0].revents & POLLIN) != 0 && is_at_end()))
            return SCREEN_END;
    }
}

/* --- drawing --- */

static chtype attributes(enum look_of_text look, bool selected)
{
    static const chtype plain[LOOKS] = {
        [LOOK_TITLE] = A_BOLD, [LOOK_HEADING] = A_REVERSE, [LOOK_STALE] = A_BOLD};
    bool coloured =
        screen.colours && (look == LOOK_WELL || look == LOOK_IDLE || look == LOOK_STALE);
    return plain[look] | (coloured ? (chtype)ncurses()->COLOR_PAIR((int)look) : 0) |
           (selected ? A_REVERSE : 0);
}

/* How many bytes of it fit into `width` columns; *used columns are what they take. */
static int fitting_bytes(const char *text, int width, int *used)
{
    mbstate_t state = {0};
    const char *at = text;
    *used = 0;
    while (*at != '\0') {
        wchar_t character;
        size_t length = mbrtowc(&character, at, MB_LEN_MAX, &state);
        if (length == (size_t)-1 || length == (size_t)-2)
            break;
        int cells = wcwidth(character);
        if (cells < 0 || *used + cells > width)
            break;
        *used += cells;
        at += length;
    }
    return (int)(at - text);
}

void screen_line(int row, const char *text, enum look_of_text look, bool selected)
{
    const struct ncurses *curses = ncurses();
    WINDOW *window = *curses->standard;
    chtype attribute = attributes(look, selected);
    int used;
    if (row < 0 || row >= *curses->height)
        return;
    int length = fitting_bytes(text, *curses->width, &used);
    (void)curses->wattrset(window, (int)attribute);
    (void)curses->wmove(window, row, 0);
    (void)curses->waddnstr(window, text, length);
    if (used < *curses->width) {
        curses->wbkgdset(window, ' ' | (selected || look == LOOK_HEADING ? attribute : A_NORMAL));
        (void)curses->wclrtoeol(window);
        curses->wbkgdset(window, ' ');
    }
    (void)curses->wattrset(window, A_NORMAL);
}

void screen_underline(int row, int column, int length, enum look_of_text look)
{
    const struct ncurses *curses = ncurses();
    WINDOW *window = *curses->standard;
    if (row < *curses->height && column + length <= *curses->width &&
        curses->wmove(window, row, column) == OK)
        (void)curses->wchgat(window, length, attributes(look, false) | A_UNDERLINE, 0, NULL);
}

void screen_redraw(void)
{
    (void)ncurses()->clearok(*ncurses()->current, TRUE);
}

void screen_show(void)
{
    (void)ncurses()->wrefresh(*ncurses()->standard);
}
