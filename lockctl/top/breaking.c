/*
 * Breaking from the live view: first what `lockctl break` would do, then the question, then the
 * break, by that command itself in a process of its own: whatever becomes of it, the screen stays.
 * It must never break another acquisition than the one that was asked about.
 */
#include "lockctl/format.h"
#include "lockctl/lockctl.h"
#include "lockctl/top/live.h"
#include "lockctl/top/screen.h"
#include "shim/lock/registry.h"

#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT_MOST ((size_t)64 * 1024)
#define LOOK_AFTER 50000000u /* ns: how often it is asked whether the break has ended */

/* The child: `lockctl break`, with what it says in a file. A group of its own: no key stops it. */
_Noreturn static void be_break(const struct live *live, const char *lock, bool dry_run, int said)
{
    static const struct command_description description = {"break", "", "", NULL, break_command};
    char seconds[FORMAT_TEXT];
    char *words[16];
    int count = 0;
    screen_forget();
    (void)setpgid(0, 0);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(said, STDOUT_FILENO) < 0 ||
        dup2(said, STDERR_FILENO) < 0)
        _exit(STATUS_FAILED);
    words[count++] = copy_text("break");
    words[count++] = copy_text("--stuck-after");
    words[count++] = copy_text(format_seconds(seconds, live->stuck_after));
    if (live->config != NULL) {
        words[count++] = copy_text("--config");
        words[count++] = copy_text(live->config);
    }
    if (dry_run)
        words[count++] = copy_text("--dry-run");
    words[count++] = copy_text("--");
    words[count++] = copy_text(lock);
    words[count] = NULL;
    optind = 0; /* begin anew */
    int status = break_command(&description, count, words);
    (void)fflush(NULL);
    _exit(status);
}

static char *read_said(int said)
{
    char *text = calloc(1, TEXT_MOST);
    if (text == NULL)
        err(STATUS_FAILED, NULL);
    ssize_t got = pread(said, text, TEXT_MOST - 1, 0);
    text[got > 0 ? got : 0] = '\0';
    return text;
}

/* False: the view is over; the child goes on by itself. */
static bool await(struct live *live, pid_t child, int *status)
{
    while (waitpid(child, status, WNOHANG) == 0) {
        live_draw(live);
        if (screen_await_key(registry_now() + LOOK_AFTER) == SCREEN_END) {
            live->over = true;
            return false;
        }
    }
    return true;
}

/* Its exit status, and what it said in *text; -1 with a message if it did not come to its end. */
static int run_break(struct live *live, const char *lock, bool dry_run, char **text)
{
    int status;
    int said = memfd_create("break", MFD_CLOEXEC);
    (void)fcntl(said, F_SETFL, O_APPEND);
    pid_t child = said >= 0 ? fork() : -1;
    if (child == 0)
        be_break(live, lock, dry_run, said);
    if (child < 0)
        (void)snprintf(live->message, sizeof live->message, "The break could not be started.");
    else if (await(live, child, &status)) {
        *text = read_said(said);
        (void)close(said);
        if (WIFEXITED(status))
            return WEXITSTATUS(status);
        (void)snprintf(live->message, sizeof live->message, "break was ended by signal %d.",
                       WTERMSIG(status));
        live_show_text(live, *text);
        return -1;
    }
    if (said >= 0)
        (void)close(said);
    return -1;
}

/* --- which acquisition --- */

static struct live_doomed identify(const struct inspected_lock *lock)
{
    struct live_doomed doomed = {.lock = {lock->device, lock->inode, NULL}};
    if (lock->holder_count > 0) {
        doomed.pid = lock->holders[0].process->pid;
        doomed.start_time = lock->holders[0].process->start_time;
        doomed.acquisition = lock->holders[0].acquisition;
    }
    return doomed;
}

static bool is_doomed(const struct live *live, const struct inspected_lock *lock)
{
    struct live_doomed now = identify(lock);
    const struct live_doomed *then = &live->doomed;
    return lock->path != NULL && strcmp(lock->path, then->lock.label) == 0 &&
           now.lock.device == then->lock.device && now.lock.inode == then->lock.inode &&
           now.pid == then->pid && now.start_time == then->start_time &&
           now.acquisition == then->acquisition;
}

/* --- the two steps --- */

static void say(struct live *live, const char *text)
{
    (void)snprintf(live->message, sizeof live->message, "%s", text);
}

void live_ask_to_break(struct live *live)
{
    const struct inspected_lock *lock = view_selected(&live->view);
    char *text = NULL;
    if (lock == NULL || !lock->held) {
        say(live, lock == NULL ? "No lock is selected." : "Nobody holds it: nothing to break.");
        return;
    }
    if (lock->path == NULL) {
        say(live, "Where this lock file lies is not known: it can't be broken from here.");
        return;
    }
    free(live->doomed.lock.label);
    live->doomed = identify(lock);
    live->doomed.lock.label = strdup(lock->path);
    if (live->doomed.lock.label == NULL)
        err(STATUS_FAILED, NULL);
    int status = run_break(live, live->doomed.lock.label, true, &text);
    if (status < 0)
        return;
    live_show_text(live, text);
    if (status != STATUS_DONE) {
        say(live, "It can't be broken, or not without force. Any key goes back.");
        return;
    }
    say(live, "Break it? y: yes; any other key: no");
    live->prompt = PROMPT_BREAK;
}

void live_break(struct live *live)
{
    char *text = NULL;
    bool there = false;
    if (!view_look(&live->view)) {
        say(live, "It could not be looked at again: nothing was done.");
        return;
    }
    for (size_t i = 0; i < live->view.picture->count && !there; i++)
        there = is_doomed(live, &live->view.picture->locks[i]);
    if (!there) {
        say(live, "Somebody else holds it now, or nobody: nothing was done.");
        return;
    }
    int status = run_break(live, live->doomed.lock.label, false, &text);
    live->look_now = true;
    if (status < 0)
        return;
    live_show_text(live, text);
    say(live, status == STATUS_DONE ? "Done. Any key goes back."
                                    : "It was not broken. Any key goes back.");
}
