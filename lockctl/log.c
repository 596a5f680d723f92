/*
 * lockctl log: what happened, from the event rings of the registries. It reads nothing else, so
 * that following it disturbs nobody, and it survives whatever becomes of the registries.
 */
#include "lockctl/lockctl.h"

#include "lockctl/format.h"
#include "lockctl/inspect/arguments.h"
#include "lockctl/inspect/events.h"
#include "lockctl/inspect/json.h"
#include "lockctl/inspect/output.h"
#include "lockctl/inspect/tell.h"

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char LOG_DETAILS[] =
    "A registry keeps the last 4,096 events: long waits, timeouts, deadlocks,\n"
    "crashes, breaks, refused calls, replaced lock files, lost updates.\n"
    "TIME is a span back from now, a number with s, min, h or d behind it, or a\n"
    "point of time, 'YYYY-MM-DD HH:MM:SS' or a part of it from the left.\n"
    "With --follow, --json prints one object a line.\n"
    "\n"
    "Exit status: 0; 1 if a registry cannot be used; 2 for wrong usage; 5 if one may\n"
    "not be read; 78 for a table that does not exist, or a wrong configuration.\n";

struct request {
    bool json;
    bool no_headings;
    bool follow;
    uint64_t limit; /* how many of the last; UINT64_MAX: all */
    uint64_t since; /* CLOCK_REALTIME, ns */
    const char *config;
};

/* An event and the lock that it is about. */
struct entry {
    struct view_event event;
    const struct target *target;
};

struct entries {
    struct entry *items;
    size_t count;
    size_t size;
};

static struct view_event events[REGISTRY_EVENTS];

/* --- printing --- */

static void print_heading(const struct request *request)
{
    if (!request->json && !request->no_headings)
        printf("%-19s  %-12s %8s %8s %10s  %-9s %s\n", "TIME", "EVENT", "PID", "OTHER", "AFTER",
               "ERROR", "EXPLANATION");
}

static void print_process(pid_t process)
{
    if (process > 0)
        printf(" %8d", (int)process);
    else
        printf(" %8s", "-");
}

static void print_line(const struct entry *entry, bool several)
{
    const struct view_event *event = &entry->event;
    const struct target *target = entry->target;
    char text[FORMAT_TEXT];
    const char *error = event_error(event->error);
    printf("%-19s  %-12s", event->time != 0 ? format_time(text, event->time) : "?",
           event_name(event->kind));
    print_process(event->process);
    print_process(event->other);
    const char *after = event->nanoseconds != 0 ? format_duration(text, event->nanoseconds) : "-";
    int padding = 10 + (strstr(after, "\302\265") != NULL); /* the µ takes two bytes */
    printf(" %*s  %-9s ", padding, after, error != NULL ? error : "-");
    if (several)
        printf("%s: ", shown(target->table != NULL ? target->table : target->lock_path));
    printf("%s\n", event_sentence(event->kind));
}

static void put_process(struct json *json, const char *key, pid_t process)
{
    if (process > 0)
        json_number(json, key, (uint64_t)process);
    else
        json_null(json, key);
}

static void put_object(struct json *json, const struct entry *entry)
{
    const struct view_event *event = &entry->event;
    char text[FORMAT_TEXT];
    json_open(json, NULL, '{');
    json_text(json, "lock", entry->target->lock_path);
    json_text(json, "table", entry->target->table);
    json_number(json, "number", event->number);
    json_text(json, "time", event->time != 0 ? format_time_exact(text, event->time) : NULL);
    json_text(json, "event", event_name(event->kind));
    put_process(json, "pid", event->process);
    put_process(json, "other", event->other);
    json_seconds(json, "after_seconds",
                 event->nanoseconds > 0 && event->nanoseconds <= INT64_MAX
                     ? (int64_t)event->nanoseconds
                     : -1);
    json_text(json, "error", event_error(event->error));
    json_text(json, "explanation", event_sentence(event->kind));
    json_close(json, '}');
}

/* One line an object: a newline with the blanks behind it stands between parts, never in a text. */
static void print_object_line(const struct entry *entry)
{
    char *text = NULL;
    size_t size = 0;
    struct json json = {.file = open_memstream(&text, &size)};
    if (json.file == NULL)
        err(STATUS_FAILED, NULL);
    put_object(&json, entry);
    (void)fclose(json.file);
    for (const char *at = text; *at != '\0'; at++) {
        if (*at != '\n')
            (void)putchar(*at);
        else
            at += strspn(at + 1, " ");
    }
    (void)putchar('\n');
    free(text);
}

static void print_entries(const struct request *request, const struct entries *entries, size_t from,
                          bool several)
{
    struct json json = {.file = stdout};
    bool array = request->json && !request->follow;
    if (array) {
        json_open(&json, NULL, '{');
        json_open(&json, "events", '[');
    }
    for (size_t i = from; i < entries->count; i++) {
        if (array)
            put_object(&json, &entries->items[i]);
        else if (request->json)
            print_object_line(&entries->items[i]);
        else
            print_line(&entries->items[i], several);
    }
    if (array) {
        json_close(&json, ']');
        json_close(&json, '}');
    }
}

/* --- gathering --- */

static void add(struct entries *entries, const struct view_event *event,
                const struct target *target)
{
    if (entries->count == entries->size) {
        entries->size = entries->size == 0 ? 256 : 2 * entries->size;
        entries->items = reallocarray(entries->items, entries->size, sizeof *entries->items);
        if (entries->items == NULL)
            err(STATUS_FAILED, NULL);
    }
    entries->items[entries->count++] = (struct entry){*event, target};
}

static int compare_entries(const void *left, const void *right)
{
    const struct entry *one = left;
    const struct entry *other = right;
    if (one->event.time != other->event.time)
        return one->event.time > other->event.time ? 1 : -1;
    if (one->target != other->target)
        return one->target > other->target ? 1 : -1;
    return (one->event.number > other->event.number) - (one->event.number < other->event.number);
}

static void gather(const struct request *request, const struct targets *targets,
                   struct event_stream *streams, struct entries *entries, bool patient)
{
    entries->count = 0;
    for (size_t i = 0; i < targets->count; i++) {
        size_t count = event_stream_read(&streams[i], patient, events);
        for (size_t k = 0; k < count; k++)
            if (events[k].time == 0 || events[k].time >= request->since)
                add(entries, &events[k], &targets->items[i]);
    }
    if (targets->count > 1 && entries->count > 1)
        qsort(entries->items, entries->count, sizeof *entries->items, compare_entries);
}

/* Opens them all, and tells which can't be used; what is not there yet may come. */
static struct event_stream *open_streams(struct targets *targets, int *status)
{
    struct event_stream *streams = calloc(targets->count, sizeof *streams);
    if (streams == NULL)
        err(STATUS_FAILED, NULL);
    for (size_t i = 0; i < targets->count; i++) {
        streams[i].lock_path = targets->items[i].lock_path;
        if (tell_open(&targets->items[i], &streams[i].view, "log", status)) {
            targets->items[i].table = tell_table(&targets->items[i], &streams[i].view);
            streams[i].looked_at = registry_now();
        }
    }
    return streams;
}

/* A quarter of a second, or until nobody reads what we print. */
static bool pause_or_closed(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO};
    return poll(&output, 1, 250) > 0 && (output.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
}

static int follow(const struct request *request, const struct targets *targets,
                  struct event_stream *streams, struct entries *entries)
{
    for (;;) {
        if (fflush(stdout) != 0)
            return output_finish("log");
        if (pause_or_closed())
            return STATUS_DONE;
        gather(request, targets, streams, entries, true);
        print_entries(request, entries, 0, targets->count > 1);
    }
}

static int print_log(const struct request *request, struct targets *targets)
{
    struct entries entries = {NULL, 0, 0};
    int status = STATUS_DONE;
    output_prepare();
    (void)signal(SIGPIPE, SIG_DFL); /* `lockctl log | head` ends without a word */
    struct event_stream *streams = open_streams(targets, &status);
    gather(request, targets, streams, &entries, false);
    uint64_t all = entries.count;
    print_heading(request);
    print_entries(request, &entries, all > request->limit ? (size_t)(all - request->limit) : 0,
                  targets->count > 1);
    int written =
        request->follow ? follow(request, targets, streams, &entries) : output_finish("log");
    for (size_t i = 0; i < targets->count; i++)
        registry_view_close(&streams[i].view);
    free(streams);
    free(entries.items);
    return written != STATUS_DONE ? written : status;
}

/* --- options --- */

static const struct argument_option OPTIONS[] = {
    {"follow", 'f', NULL, "go on, and print what happens"},
    {"lines", 'n', "N", "the last N events only"},
    {"since", 'S', "TIME", "not what was before; see below"},
    {"json", 'J', NULL, "JSON, times in seconds"},
    {"noheadings", '\0', NULL, "no headings"},
    {"config", 'c', "FILE", "configuration file (default: /etc/lockshim.conf)"},
};

static uint64_t wall_clock(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* "90 s", "5min", "2h", "3 d", "90": so long ago. */
static bool parse_span(const char *text, uint64_t *since)
{
    static const struct {
        const char *name;
        uint64_t seconds;
    } units[] = {{"", 1}, {"s", 1}, {"min", 60}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    char number[32];
    size_t length = strspn(text, "0123456789.");
    const char *unit = text + length + strspn(text + length, " ");
    uint64_t span;
    if (length == 0 || length >= sizeof number)
        return false;
    memcpy(number, text, length);
    number[length] = '\0';
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(unit, units[i].name) != 0 || !arguments_seconds(number, &span))
            continue;
        uint64_t now = wall_clock();
        unsigned __int128 whole = (unsigned __int128)span * units[i].seconds;
        *since = whole < now ? now - (uint64_t)whole : 0;
        return true;
    }
    return false;
}

static bool parse_point(const char *text, uint64_t *since)
{
    static const char *const layouts[] = {"%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S",
                                          "%Y-%m-%d %H:%M", "%Y-%m-%d"};
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        struct tm parts = {.tm_isdst = -1};
        const char *end = strptime(text, layouts[i], &parts);
        time_t seconds = end != NULL && *end == '\0' ? mktime(&parts) : -1;
        if (seconds < 0)
            continue;
        *since = (uint64_t)seconds * 1000000000u;
        return true;
    }
    return false;
}

static int take_count(struct request *request, const char *value)
{
    const char *wrong;
    long long limit = strtonum(value, 0, 1000000000, &wrong);
    if (wrong != NULL) {
        complain("log: --lines: '%s' is no number of lines", shown(value));
        return STATUS_USAGE;
    }
    request->limit = (uint64_t)limit;
    return STATUS_DONE;
}

static int take_option(void *context, int option, const char *value)
{
    struct request *request = context;
    switch (option) {
    case 0:
        request->follow = true;
        break;
    case 1:
        return take_count(request, value);
    case 2:
        if (!parse_span(value, &request->since) && !parse_point(value, &request->since)) {
            complain("log: --since: '%s' is neither a span nor a point of time", shown(value));
            return STATUS_USAGE;
        }
        break;
    case 3:
        request->json = true;
        break;
    case 4:
        request->no_headings = true;
        break;
    default:
        request->config = value;
        break;
    }
    return STATUS_DONE;
}

int log_command(const struct command_description *description, int count, char **words)
{
    struct request request = {.limit = UINT64_MAX};
    static struct targets targets;
    int status = arguments_parse(description, OPTIONS, sizeof OPTIONS / sizeof *OPTIONS,
                                 take_option, &request, NULL, count, words, &words);
    if (status >= 0)
        return status;
    status = tell_collect(&targets, words, request.config, "log");
    return status == STATUS_DONE ? print_log(&request, &targets) : status;
}
