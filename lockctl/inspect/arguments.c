/*
 * Options of the commands that look. It knows none of them by name but --help.
 */
#include "lockctl/inspect/arguments.h"

#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define OPTIONS_MAXIMUM 32
#define OPTION_CODE 256
#define HELP_CODE (OPTION_CODE + OPTIONS_MAXIMUM)

static void print_option(const struct argument_option *option)
{
    char left[40];
    if (option->letter != '\0')
        (void)snprintf(left, sizeof left, "-%c, --%s%s%s", option->letter, option->name,
                       option->argument != NULL ? " " : "",
                       option->argument != NULL ? option->argument : "");
    else
        (void)snprintf(left, sizeof left, "--%s%s%s", option->name,
                       option->argument != NULL ? " " : "",
                       option->argument != NULL ? option->argument : "");
    for (const char *line = option->help; line != NULL;) {
        size_t length = strcspn(line, "\n");
        printf("  %-20s %.*s\n", left, (int)length, line);
        left[0] = '\0';
        line = line[length] == '\n' ? line + length + 1 : NULL;
    }
}

static int print_help(const struct command_description *description,
                      const struct argument_option *options, size_t count, void (*more_help)(void))
{
    static const struct argument_option help = {"help", 'h', NULL, "print this help"};
    printf("Usage: lockctl %s %s\n\n%c%s.\n\nOptions:\n", description->name, description->arguments,
           toupper((unsigned char)description->summary[0]), description->summary + 1);
    for (size_t i = 0; i < count; i++)
        print_option(&options[i]);
    print_option(&help);
    if (more_help != NULL)
        more_help();
    if (description->details != NULL)
        printf("\n%s", description->details);
    return fflush(stdout) == 0 ? STATUS_DONE : STATUS_FAILED;
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

/* The letters as getopt wants them, and the long names. */
static void describe(const struct argument_option *options, size_t count, bool stops, char *letters,
                     struct option *names)
{
    if (stops)
        *letters++ = '+';
    *letters++ = ':';
    *letters++ = 'h';
    for (size_t i = 0; i < count; i++) {
        bool takes = options[i].argument != NULL;
        names[i] = (struct option){options[i].name, takes ? required_argument : no_argument, NULL,
                                   OPTION_CODE + (int)i};
        if (options[i].letter == '\0')
            continue;
        *letters++ = options[i].letter;
        if (takes)
            *letters++ = ':';
    }
    *letters = '\0';
    names[count] = (struct option){"help", no_argument, NULL, HELP_CODE};
}

static int option_of_letter(const struct argument_option *options, size_t count, int code)
{
    for (size_t i = 0; i < count; i++)
        if (options[i].letter != '\0' && options[i].letter == code)
            return (int)i;
    return -1;
}

int arguments_parse(const struct command_description *description,
                    const struct argument_option *options, size_t count, argument_taker *take,
                    void *context, void (*more_help)(void), int word_count, char **words,
                    char ***rest)
{
    char letters[2 * OPTIONS_MAXIMUM + 4];
    bool stops = strstr(description->arguments, "COMMAND") != NULL;
    struct option names[OPTIONS_MAXIMUM + 2] = {{NULL, 0, NULL, 0}};
    int code;
    describe(options, count, stops, letters, names);
    while ((code = getopt_long(word_count, words, letters, names, NULL)) != -1) {
        if (code == 'h' || code == HELP_CODE)
            return print_help(description, options, count, more_help);
        int option =
            code >= OPTION_CODE ? code - OPTION_CODE : option_of_letter(options, count, code);
        if (code == ':' || option < 0)
            return wrong_usage(description, code, words);
        int status = take(context, option, optarg);
        if (status != STATUS_DONE)
            return status;
    }
    *rest = words + optind;
    return -1;
}

bool arguments_seconds(const char *text, uint64_t *nanoseconds)
{
    uint64_t whole = 0;
    uint64_t part = 0;
    uint64_t unit = 1000000000;
    const char *at = text;
    for (; isdigit((unsigned char)*at); at++) {
        whole = whole * 10 + (uint64_t)(*at - '0');
        if (whole > 1000000000)
            return false;
    }
    size_t digits = (size_t)(at - text);
    if (*at == '.')
        for (at++; isdigit((unsigned char)*at); at++, digits++) {
            unit /= 10;
            part += (uint64_t)(*at - '0') * unit;
        }
    *nanoseconds = whole * 1000000000 + part;
    return digits > 0 && *at == '\0';
}
