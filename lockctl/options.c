/*
 * Parses the settings options. One table of them makes the parser, the help text and the order of
 * both; a setting is kept as a key and a value until all sources are known.
 */
#include "lockctl/options.h"

#include "shim/settings.h"

#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

struct option_description {
    const char *name;
    const char *argument; /* NULL: takes none */
    const char *help;     /* lines after the first are indented by the printer */
};

/* Those of the settings come last; their names are the keys. */
enum { OPTION_HELP, OPTION_TABLE, OPTION_CONFIG, OPTION_SHIM, OPTION_EAGER, OPTION_FIRST_SETTING };

static const struct option_description OPTIONS[] = {
    [OPTION_HELP] = {"help", NULL, "print this help"},
    [OPTION_TABLE] = {"table", "PATH", "a directory or file to guard; may be given several times"},
    [OPTION_CONFIG] = {"config", "FILE",
                       "configuration file (default: /etc/lockshim.conf if there)"},
    [OPTION_SHIM] = {"shim", "FILE",
                     "the shim (default: liblockshim.so beside lockctl,\n"
                     "then in " LIBDIR ")"},
    [OPTION_EAGER] = {"eager", NULL,
                      "take the lock before the command starts\n"
                      "(scopes command and process)"},
    [OPTION_FIRST_SETTING] = {"lock", "FILE", "the lock file (default: TABLE.lock)"},
    {"scope", "SCOPE", "who holds the lock, how long: command, process,\nsession, call"},
    {"exempt", "NAMES", "executables to leave alone, separated by commas"},
    {"shared", NULL, "only read: lock shared, refuse changes (EROFS)"},
    {"timeout", "SECONDS", "wait no longer; 0: do not wait (default: for ever)"},
    {"on-crash", "POLICY", "the last holder died inside: report (default), fail,\nrollback"},
    {"durable", NULL, "rollback: also after a power cut (waits for the disk)"},
    {"undo-limit", "SIZE", "rollback: what copies may take, with K, M, G\n(default 1G)"},
    {"dependents", "POLICY", "who the holder waits for: may join (default), must wait"},
    {"lost-update", "POLICY", "updates that would be lost: fail (default), report"},
    {"log", "WHERE", "log to a file, stderr or none (default)"},
};
enum { OPTION_COUNT = sizeof OPTIONS / sizeof *OPTIONS };

static int print_help(const struct command_description *description)
{
    printf("Usage: lockctl %s %s\n\n%c%s.\n\nSettings:\n", description->name,
           description->arguments, toupper((unsigned char)description->summary[0]),
           description->summary + 1);
    for (int i = 0; i < OPTION_COUNT; i++) {
        char left[40];
        (void)snprintf(left, sizeof left, "--%s%s%s", OPTIONS[i].name,
                       OPTIONS[i].argument != NULL ? " " : "",
                       OPTIONS[i].argument != NULL ? OPTIONS[i].argument : "");
        for (const char *line = OPTIONS[i].help; line != NULL;) {
            size_t length = strcspn(line, "\n");
            printf("  %-20s %.*s\n", left, (int)length, line);
            left[0] = '\0';
            line = line[length] == '\n' ? line + length + 1 : NULL;
        }
    }
    if (description->details != NULL)
        printf("\n%s", description->details);
    return fflush(stdout) == 0 ? STATUS_DONE : STATUS_FAILED;
}

int assignments_add(struct assignments *assignments, const char *where, const char *key,
                    const char *value)
{
    struct table_settings scratch = settings_default();
    const char *wrong = settings_set(&scratch, key, value);
    if (wrong == SETTINGS_UNKNOWN_KEY) {
        complain("%s'%s' %s", where, shown(key), wrong);
        return STATUS_SETTINGS;
    }
    if (wrong != NULL) {
        complain("%s%s '%s' %s", where, key, shown(value), wrong);
        return STATUS_SETTINGS;
    }
    assignments->items = grow(assignments->items, assignments->count, sizeof *assignments->items);
    assignments->items[assignments->count++] = (struct assignment){key, value};
    return STATUS_DONE;
}

void assignments_apply(const struct assignments *assignments, struct table_settings *table)
{
    for (size_t i = 0; i < assignments->count; i++)
        (void)settings_set(table, assignments->items[i].key, assignments->items[i].value);
}

static void add_table(struct request *request, const char *path)
{
    request->tables = grow(request->tables, request->table_count, sizeof *request->tables);
    request->tables[request->table_count++] = (struct wanted_table){.path = path};
}

static int take_option(struct request *request, int option, const char *argument)
{
    switch (option) {
    case OPTION_TABLE:
        add_table(request, argument);
        return STATUS_DONE;
    case OPTION_CONFIG:
        request->config = argument;
        return STATUS_DONE;
    case OPTION_SHIM:
        request->shim = argument;
        return STATUS_DONE;
    case OPTION_EAGER:
        request->eager = true;
        return STATUS_DONE;
    default:
        break;
    }
    struct assignments *target = request->table_count == 0
                                     ? &request->defaults
                                     : &request->tables[request->table_count - 1].assignments;
    return assignments_add(target, "--", OPTIONS[option].name, argument != NULL ? argument : "1");
}

static int wrong_usage(const struct command_description *description, int code, char **words)
{
    const char *word = words[optind > 1 ? optind - 1 : 1];
    if (code == ':')
        complain("%s: option '%s' needs a value", description->name, shown(word));
    else
        complain("%s: '%s' is no option; see `lockctl %s --help`", description->name, shown(word),
                 description->name);
    return STATUS_USAGE;
}

int options_parse(struct request *request, const struct command_description *description, int count,
                  char **words)
{
    struct option parser[OPTION_COUNT + 1] = {{NULL, 0, NULL, 0}};
    for (int i = 0; i < OPTION_COUNT; i++)
        parser[i] = (struct option){OPTIONS[i].name,
                                    OPTIONS[i].argument != NULL ? required_argument : no_argument,
                                    NULL, i + 256};
    int code;
    while ((code = getopt_long(count, words, "+:h", parser, NULL)) != -1) {
        if (code == 'h' || code == 256 + OPTION_HELP)
            return print_help(description);
        if (code < 256)
            return wrong_usage(description, code, words);
        int status = take_option(request, code - 256, optarg);
        if (status != STATUS_DONE)
            return status;
    }
    request->next = optind;
    return -1;
}
