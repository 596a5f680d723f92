/*
 * The loop of the live view: looks when the time has come, draws, takes keys. Between looks the
 * last picture is shown, so that keys cost the locks' users nothing.
 */
#include "lockctl/top/live.h"

#include "lockctl/lockctl.h"
#include "lockctl/top/screen.h"
#include "shim/lock/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void live_show_text(struct live *live, char *text)
{
    free(live->text);
    live->text = text;
    live->page = PAGE_TEXT;
    live->scrolled = 0;
}

static void look(struct live *live)
{
    char complaint[256];
    bool looked = view_look(&live->view);
    screen_take_complaint(complaint, sizeof complaint);
    if (complaint[0] != '\0')
        (void)snprintf(live->message, sizeof live->message, "%s", shown(complaint));
    if (looked && live->looks_left > 0 && --live->looks_left == 0)
        live->over = true;
}

void live_run(struct live *live)
{
    uint64_t next = registry_now();
    while (!live->over) {
        uint64_t now = registry_now();
        if (now >= next || live->look_now) {
            live->look_now = false;
            look(live);
            /* Counted from the end of a look: however long it takes, there is time between. */
            next = registry_now() + live->delay;
        }
        live_draw(live);
        int key = screen_await_key(next);
        if (key == SCREEN_END)
            return;
        if (key > 0)
            live_take_key(live, key);
    }
}
