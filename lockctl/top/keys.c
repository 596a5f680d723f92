/*
 * What the keys do: a table, from which the help comes too. While a line asks something, keys are
 * its answer.
 */
#include "lockctl/lockctl.h"
#include "lockctl/top/live.h"
#include "lockctl/top/screen.h"

#include <curses.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTROL(letter) ((letter)&0x1f)
#define ESCAPE 27
#define MOST_KEYS 3

/* --- moving --- */

/* On the list the selection moves, elsewhere the text. */
static void move_by(struct live *live, long distance)
{
    if (live->page == PAGE_LIST) {
        view_select(&live->view, distance);
        return;
    }
    if (distance < 0)
        live->scrolled -= live->scrolled < (size_t)-distance ? live->scrolled : (size_t)-distance;
    else
        live->scrolled += (size_t)distance;
}

static void up(struct live *live)
{
    move_by(live, -1);
}

static void down(struct live *live)
{
    move_by(live, 1);
}

static void page_up(struct live *live)
{
    move_by(live, -(long)live_page_lines(live));
}

static void page_down(struct live *live)
{
    move_by(live, (long)live_page_lines(live));
}

static void first(struct live *live)
{
    move_by(live, -(1L << 40));
}

static void last(struct live *live)
{
    move_by(live, 1L << 40);
}

/* --- order and choice --- */

static void sort_beside(struct live *live, int step)
{
    live->view.sort = view_column_beside(&live->view, step);
    live->view.reversed = false;
    view_arrange(&live->view);
}

static void sort_left(struct live *live)
{
    sort_beside(live, -1);
}

static void sort_right(struct live *live)
{
    sort_beside(live, 1);
}

static void reverse(struct live *live)
{
    live->view.reversed = !live->view.reversed;
    view_arrange(&live->view);
}

static void next_filter(struct live *live)
{
    struct top_view *view = &live->view;
    view->filter = (enum view_filter)((view->filter + 1) % FILTERS);
    (void)snprintf(live->message, sizeof live->message, "Shown: %s: %s", filter_name(view->filter),
                   filter_help(view->filter));
    view_arrange(view);
}

static void search(struct live *live)
{
    live->prompt = PROMPT_SEARCH;
    live->page = PAGE_LIST;
}

/* --- pages --- */

static void toggle_processes(struct live *live)
{
    live->page = live->page == PAGE_LIST ? PAGE_PROCESSES : PAGE_LIST;
    live->scrolled = 0;
}

static void back(struct live *live)
{
    live->page = PAGE_LIST;
}

static void help(struct live *live)
{
    live_show_text(live, live_keys_help());
}

static void redraw(struct live *live)
{
    (void)live;
    screen_redraw();
}

static void look_now(struct live *live)
{
    live->look_now = true;
}

static void quit(struct live *live)
{
    live->over = true;
}

/* --- the table --- */

static const struct binding {
    int keys[MOST_KEYS];
    const char *shown;
    const char *help;
    void (*act)(struct live *live);
} BINDINGS[] = {
    {{KEY_UP, 'k'}, "up, k", "the lock above", up},
    {{KEY_DOWN, 'j'}, "down, j", "the lock below", down},
    {{KEY_PPAGE, CONTROL('b')}, "page up", "a page up", page_up},
    {{KEY_NPAGE, CONTROL('f')}, "page down", "a page down", page_down},
    {{KEY_HOME, 'g'}, "home, g", "the first", first},
    {{KEY_END, 'G'}, "end, G", "the last", last},
    {{'\r', '\n', KEY_ENTER},
     "enter",
     "who waits behind whom for the selected lock, on the whole screen; back",
     toggle_processes},
    {{KEY_LEFT, '<'}, "left, <", "sort by the column to the left", sort_left},
    {{KEY_RIGHT, '>'}, "right, >", "sort by the column to the right", sort_right},
    {{'r'}, "r", "the other way round", reverse},
    {{'f'}, "f", "show all locks, those held, those waited for, those not well", next_filter},
    {{'/'}, "/", "show only locks with a text in path, table or command", search},
    {{'b'}, "b", "break the selected lock, after a question", live_ask_to_break},
    {{' '}, "space", "look now", look_now},
    {{CONTROL('l'), KEY_REFRESH}, "Ctrl-L", "draw anew", redraw},
    {{ESCAPE}, "Esc", "back to the list", back},
    {{'?', 'h', KEY_F(1)}, "?, h", "this help", help},
    {{'q'}, "q, Ctrl-C", "quit", quit},
};

static const struct binding *find_binding(int key)
{
    for (size_t i = 0; i < sizeof BINDINGS / sizeof *BINDINGS; i++)
        for (int j = 0; j < MOST_KEYS; j++)
            if (BINDINGS[i].keys[j] == key)
                return &BINDINGS[i];
    return NULL;
}

char *live_keys_help(void)
{
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    if (file == NULL)
        err(STATUS_FAILED, NULL);
    fprintf(file, "Keys (any other key goes back):\n\n");
    for (size_t i = 0; i < sizeof BINDINGS / sizeof *BINDINGS; i++)
        fprintf(file, "  %-12s %s\n", BINDINGS[i].shown, BINDINGS[i].help);
    (void)fclose(file);
    if (text == NULL)
        err(STATUS_FAILED, NULL);
    return text;
}

/* --- answers --- */

static void take_search_key(struct live *live, int key)
{
    char *text = live->view.search;
    size_t length = strlen(text);
    if (key == '\r' || key == '\n' || key == KEY_ENTER)
        live->prompt = PROMPT_NONE;
    else if (key == ESCAPE) {
        live->prompt = PROMPT_NONE;
        text[0] = '\0';
    } else if (key == KEY_BACKSPACE || key == 0x7f || key == CONTROL('h')) {
        /* A whole character of UTF-8. */
        while (length > 0 && ((unsigned char)text[--length] & 0xc0) == 0x80)
            continue;
        text[length] = '\0';
    } else if (key >= ' ' && key <= 0xff && length + 1 < sizeof live->view.search) {
        text[length] = (char)key;
        text[length + 1] = '\0';
    }
    view_arrange(&live->view);
}

static bool moves(const struct binding *binding)
{
    return binding != NULL &&
           (binding->act == up || binding->act == down || binding->act == page_up ||
            binding->act == page_down || binding->act == first || binding->act == last);
}

void live_take_key(struct live *live, int key)
{
    const struct binding *binding = find_binding(key);
    if (live->view.picture == NULL) {
        live->over = key == 'q';
        return;
    }
    if (live->prompt == PROMPT_SEARCH) {
        take_search_key(live, key);
        return;
    }
    if (live->page == PAGE_TEXT && moves(binding)) {
        binding->act(live);
        return;
    }
    live->message[0] = '\0';
    if (live->prompt == PROMPT_BREAK) {
        live->prompt = PROMPT_NONE;
        live->page = PAGE_LIST;
        if (key == 'y' || key == 'Y')
            live_break(live);
        else
            (void)snprintf(live->message, sizeof live->message, "Nothing was done.");
        return;
    }
    if (live->page == PAGE_TEXT)
        live->page = PAGE_LIST;
    else if (binding != NULL)
        binding->act(live);
}
