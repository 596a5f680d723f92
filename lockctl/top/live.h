/*
 * The running screen of `lockctl top`: what its parts (drawing, keys, breaking) share.
 */
#ifndef LOCKCTL_TOP_LIVE_H
#define LOCKCTL_TOP_LIVE_H

#include "lockctl/top/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum live_page {
    PAGE_LIST,      /* the locks, and below them the processes of the selected one */
    PAGE_PROCESSES, /* these alone */
    PAGE_TEXT       /* `text`, until a key is pressed */
};

/* A line that asks: keys are its answer. */
enum live_prompt { PROMPT_NONE, PROMPT_SEARCH, PROMPT_BREAK };

/* Which acquisition the question whether to break is about. */
struct live_doomed {
    struct lock_identity lock;
    int32_t pid;
    uint64_t start_time;
    uint64_t acquisition;
};

struct live {
    struct top_view view;
    const char *config;   /* --config, or NULL */
    uint64_t stuck_after; /* nanoseconds */
    uint64_t delay;       /* nanoseconds */
    uint64_t looks_left;  /* 0: no end */

    enum live_page page;
    enum live_prompt prompt;
    size_t first_row; /* of the list, that is on the screen */
    size_t scrolled;  /* lines of the page, where it is no list */
    char *text;       /* of PAGE_TEXT */
    char message[512];
    struct live_doomed doomed;
    bool look_now;
    bool over; /* the user has had enough */
};

/* Runs until the user or a signal ends it. The screen is open. */
void live_run(struct live *live);

/* draw.c: puts all of it on the screen. */
void live_draw(struct live *live);
/* How many lines the page can show of what is scrolled. */
size_t live_page_lines(const struct live *live);

/* keys.c: does what a key means. The list of keys, as text that the caller frees. */
void live_take_key(struct live *live, int key);
char *live_keys_help(void);

/* Shows a text, which it takes over, until a key is pressed. */
void live_show_text(struct live *live, char *text);

/* breaking.c: says what a break of the selected lock would do, and asks; does it. */
void live_ask_to_break(struct live *live);
void live_break(struct live *live);

#endif
