/*
 * Puts the live view on the screen, from top to bottom: two lines about it, the locks, the
 * processes of the selected one. It changes nothing but what of it is on the screen.
 */
#include "lockctl/format.h"
#include "lockctl/lockctl.h"
#include "lockctl/top/live.h"
#include "lockctl/top/screen.h"

#include <ctype.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TITLE_LINES = 2, LIST_LEAST = 3, PANE_LEAST = 5 };

/* --- lines of a text --- */

struct lines {
    char **items;
    size_t count;
};

/* Cuts the text up where it is. */
static struct lines split(char *text)
{
    struct lines lines = {NULL, 0};
    for (char *line = text; *line != '\0';) {
        char *end = line + strcspn(line, "\n");
        lines.items = grow(lines.items, lines.count, sizeof(char *));
        lines.items[lines.count++] = line;
        line = *end == '\n' ? end + 1 : end;
        *end = '\0';
    }
    return lines;
}

/* Breaks lines at blanks where they are wider than the screen. For texts without wide characters.
 */
static void wrap(char *text, size_t width)
{
    char *blank = NULL;
    char *line = text;
    for (char *at = text; *at != '\0'; at++) {
        if (*at == '\n') {
            line = at + 1;
            blank = NULL;
        } else if (*at == ' ' && at > line)
            blank = at;
        if ((size_t)(at - line) < width || blank == NULL)
            continue;
        *blank = '\n';
        line = blank + 1;
        blank = NULL;
    }
}

/* --- how much fits --- */

static size_t screen_rows(void)
{
    int rows;
    int width;
    screen_size(&rows, &width);
    return rows > 0 ? (size_t)rows : 0;
}

static size_t screen_width(void)
{
    int rows;
    int width;
    screen_size(&rows, &width);
    return width > 0 ? (size_t)width : 1;
}

/* The lines for the processes below the list; 0: the screen is too small for both. */
static size_t pane_lines(void)
{
    size_t rows = screen_rows();
    size_t pane = rows / 3;
    bool fits = rows >= TITLE_LINES + 1 + LIST_LEAST + PANE_LEAST;
    return fits ? (pane > PANE_LEAST ? pane : PANE_LEAST) : 0;
}

size_t live_page_lines(const struct live *live)
{
    size_t taken = TITLE_LINES + (live->page == PAGE_LIST ? 1 + pane_lines() : 0);
    size_t rows = screen_rows();
    return rows > taken ? rows - taken : 1;
}

/* --- parts --- */

static void draw_title(const struct live *live)
{
    char text[512];
    char delay[FORMAT_TEXT];
    const struct top_view *view = &live->view;
    view_summary(view, text, sizeof text);
    screen_line(0, text, LOOK_TITLE, false);
    if (live->prompt == PROMPT_SEARCH) {
        (void)snprintf(text, sizeof text, "Search for: %s_", shown(view->search));
        screen_line(1, text, LOOK_TITLE, false);
        return;
    }
    if (live->message[0] != '\0') {
        screen_line(1, live->message, LOOK_TITLE, false);
        return;
    }
    (void)snprintf(text, sizeof text, "by %s%s, shown: %s%s%s%s, every %s; ? for help, q to quit",
                   view->sort->name, view->reversed ? " (reversed)" : "", filter_name(view->filter),
                   view->search[0] != '\0' ? " with '" : "", shown(view->search),
                   view->search[0] != '\0' ? "'" : "", format_duration(delay, live->delay));
    screen_line(1, text, LOOK_PLAIN, false);
}

static enum look_of_text look_of(const struct inspected_lock *lock)
{
    if (verdict_is_stale(lock->verdict))
        return LOOK_STALE;
    return lock->verdict == VERDICT_FREE ? LOOK_IDLE : LOOK_WELL;
}

/* The name of the column that is sorted by, underlined where it stands in the headings. */
static void mark_sorted(const char *headings, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = headings; (at = strstr(at, name)) != NULL; at += length) {
        bool begins = at == headings || isspace((unsigned char)at[-1]);
        bool ends = at[length] == '\0' || isspace((unsigned char)at[length]);
        if (begins && ends)
            screen_underline(TITLE_LINES, (int)(at - headings), (int)length, LOOK_HEADING);
    }
}

static void draw_list(struct live *live)
{
    const struct top_view *view = &live->view;
    size_t room = live_page_lines(live);
    char *text = view_table(view, screen_width());
    struct lines lines = split(text);
    if (view->selected < live->first_row)
        live->first_row = view->selected;
    if (view->selected >= live->first_row + room)
        live->first_row = view->selected - room + 1;
    if (live->first_row + room > view->count)
        live->first_row = view->count > room ? view->count - room : 0;
    if (lines.count > 0) {
        screen_line(TITLE_LINES, lines.items[0], LOOK_HEADING, false);
        mark_sorted(lines.items[0], view->sort->name);
    }
    for (size_t i = 0; i < room; i++) {
        size_t row = live->first_row + i;
        bool there = row < view->count && row + 1 < lines.count;
        screen_line((int)(TITLE_LINES + 1 + i), there ? lines.items[row + 1] : "",
                    there ? look_of(view->rows[row]) : LOOK_PLAIN, there && row == view->selected);
    }
    if (view->count == 0)
        screen_line(TITLE_LINES + 1, "  nothing to show", LOOK_PLAIN, false);
    free(lines.items);
    free(text);
}

/* The selected lock: its name, why it is as it is, who waits behind whom. */
static void draw_processes(struct live *live, size_t row, size_t room, size_t scrolled)
{
    const struct inspected_lock *lock = view_selected(&live->view);
    char title[600];
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    if (file == NULL)
        err(STATUS_FAILED, NULL);
    if (lock != NULL)
        fprintf(file, "%s: %s", verdict_name(lock->verdict), lock->reason);
    (void)fclose(file);
    wrap(text, screen_width());
    if (lock != NULL && (lock->holder_count > 0 || lock->waiter_count > 0)) {
        char *processes = view_processes(&live->view, lock, screen_width());
        char *both = NULL;
        if (asprintf(&both, "%s\n%s", text, processes) < 0)
            err(STATUS_FAILED, NULL);
        free(processes);
        free(text);
        text = both;
    }
    struct lines lines = split(text);
    (void)snprintf(title, sizeof title, "%s", lock != NULL ? shown(lock->label) : "");
    screen_line((int)row, title, LOOK_HEADING, false);
    size_t most = lines.count + 1 > room ? lines.count + 1 - room : 0;
    if (scrolled > most)
        live->scrolled = scrolled = most;
    for (size_t i = 0; i + 1 < room; i++) {
        bool there = i + scrolled < lines.count;
        screen_line((int)(row + 1 + i), there ? lines.items[i + scrolled] : "", LOOK_PLAIN, false);
    }
    free(lines.items);
    free(text);
}

static void draw_text(struct live *live)
{
    size_t room = live_page_lines(live);
    char *copy = strdup(live->text);
    if (copy == NULL)
        err(STATUS_FAILED, NULL);
    wrap(copy, screen_width());
    struct lines lines = split(copy);
    size_t most = lines.count > room ? lines.count - room : 0;
    if (live->scrolled > most)
        live->scrolled = most;
    for (size_t i = 0; i < room; i++) {
        bool there = i + live->scrolled < lines.count;
        screen_line((int)(TITLE_LINES + i), there ? shown(lines.items[i + live->scrolled]) : "",
                    LOOK_PLAIN, false);
    }
    free(lines.items);
    free(copy);
}

void live_draw(struct live *live)
{
    if (live->view.picture == NULL) {
        screen_line(0, live->message, LOOK_TITLE, false);
        screen_show();
        return;
    }
    draw_title(live);
    size_t pane = pane_lines();
    switch (live->page) {
    case PAGE_LIST:
        draw_list(live);
        if (pane > 0)
            draw_processes(live, screen_rows() - pane, pane, 0);
        break;
    case PAGE_PROCESSES:
        draw_processes(live, TITLE_LINES, live_page_lines(live), live->scrolled);
        break;
    default:
        draw_text(live);
    }
    screen_show();
}
