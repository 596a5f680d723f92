/* main.c: the command line of tablestore: which commands there are, and what they take.
 * It must never touch a table: that is for the commands. */
#include "store/tool/tool.h"

#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <errno.h>
#include <unistd.h>

/* ---- Commands and options ---- */

static const struct {
    const char *name;
    command *run;
    const char *options; /* letters of option_table, beside those of every command */
    size_t minimum, maximum;
    const char *arguments;
    const char *help;
} commands[] = {
    {"create", command_create, "", 1, SIZE_MAX, "TABLE FIELD:TYPE[=DEFAULT] ...",
     "make a table; TYPE is int, float, str, unicode,\n"
     "date, datetime, time, bool, or @TABLE (a reference)"},
    {"info", command_info, "j", 1, 1, "TABLE", "show the fields and sizes of a table"},
    {"insert", command_insert, "N", 1, SIZE_MAX, "TABLE [FIELD=TEXT ...]",
     "add a record, print its id"},
    {"import", command_import, "cjq", 1, 1, "TABLE",
     "add records from standard input: CSV with a line\n"
     "of names, or JSON objects, one after the other"},
    {"select", command_select, "wfonjcH", 1, 1, "TABLE", "print records"},
    {"get", command_get, "fjcH", 2, SIZE_MAX, "TABLE ID ...", "print the records with these ids"},
    {"count", command_count, "w", 1, 1, "TABLE", "print the number of records"},
    {"update", command_update, "wNv", 1, SIZE_MAX, "TABLE [ID ...] FIELD=TEXT ...",
     "change records, by id or condition"},
    {"delete", command_delete, "w", 1, SIZE_MAX, "TABLE [ID ...]",
     "delete records, by id or condition"},
    {"cleanup", command_cleanup, "", 1, 1, "TABLE", "drop dead rows from the files"},
    {"add-field", command_add_field, "a", 2, 2, "TABLE FIELD:TYPE[=DEFAULT]", "add a field"},
    {"drop-field", command_drop_field, "", 2, 2, "TABLE FIELD", "remove a field"},
    {"set-default", command_set_default, "N", 1, 2, "TABLE FIELD=TEXT",
     "set the default of a field"},
    {"destroy", command_destroy, "", 1, 1, "TABLE", "remove a table"},
    {"verify", command_verify, "rijq", 1, 1, "TABLE", "check a table: exit 0 sound, 1 not"},
    {"bench", command_bench, "OMSRj", 1, 1, "TABLE", "measure: changes the table"},
};
#define COMMAND_COUNT (sizeof commands / sizeof *commands)

static const struct {
    char letter;
    const char *name, *argument, *help;
} option_table[] = {
    {'L', "self-lock", "FILE", "hold an exclusive flock(2) on FILE during the command"},
    {'w', "where", "CONDITION", "such as  age >= 30 and not (name ~ '^A' or note is null)"},
    {'f', "fields", "LIST", "print these fields only"},
    {'o', "order", "LIST", "sort by these fields; -FIELD in descending order"},
    {'n', "limit", "NUMBER", "at most so many records"},
    {'j', "json", NULL, "one JSON object a line"},
    {'c', "csv", NULL, "CSV with a line of names"},
    {'H', "noheadings", NULL, "without the line of names"},
    {'N', "null", "FIELD", "set the field to null (may be repeated)"},
    {'v', "if-version", "NUMBER", "only if the record still has this __version__"},
    {'a', "after", "FIELD", "put the new field after this one, not first"},
    {'r', "repair", NULL, "rebuild what can be rebuilt into a new table"},
    {'i', "into", "TABLE", "the new table (default: TABLE.repaired)"},
    {'q', "quiet", NULL, "no findings, no progress"},
    {'O', "operations", "NUMBER", "how many operations (default 10000)"},
    {'M', "mix", "LIST", "shares (default get=60,select=5,insert=15,update=15,delete=5)"},
    {'S', "seed", "NUMBER", "of the random numbers (default 1)"},
    {'R', "reopen", NULL, "open and close the table for every operation"},
    {'h', "help", NULL, "show this help"},
    {'V', "version", NULL, "show the version"},
};
#define OPTION_COUNT (sizeof option_table / sizeof *option_table)
static const char always[] = "LhV";

static void print_help(FILE *to)
{
    fputs("Usage: tablestore COMMAND [OPTION ...] TABLE ...\n"
          "Works on tables in the format of Buzhug 1.8. Takes no lock unless told to.\n\n"
          "Commands:\n",
          to);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fprintf(to, "  %s %s\n", commands[i].name, commands[i].arguments);
        for (const char *line = commands[i].help; line != NULL;) {
            const char *end = strchr(line, '\n');
            fprintf(to, "      %.*s\n", end == NULL ? (int)strlen(line) : (int)(end - line), line);
            line = end == NULL ? NULL : end + 1;
        }
    }
    fputs("\nOptions, each for the commands named:\n", to);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const char *argument = option_table[i].argument;
        fprintf(to, "  --%s%s%s\n      %s\n", option_table[i].name, argument == NULL ? "" : " ",
                argument == NULL ? "" : argument, option_table[i].help);
        if (strchr(always, option_table[i].letter) != NULL)
            continue;
        fputs("      (", to);
        const char *comma = "";
        for (size_t j = 0; j < COMMAND_COUNT; j++)
            if (strchr(commands[j].options, option_table[i].letter) != NULL) {
                fprintf(to, "%s%s", comma, commands[j].name);
                comma = ", ";
            }
        fputs(")\n", to);
    }
    fputs("\nExit status: 0 done, 1 it could not be done or verify found something, 2 usage.\n",
          to);
}

/* ---- Reading the command line ---- */

static int take_option(struct options *options, int letter, const char *text)
{
    switch (letter) {
    case 'L':
        options->self_lock = text;
        return 0;
    case 'w':
        options->where = text;
        return 0;
    case 'f':
        options->fields = text;
        return 0;
    case 'o':
        options->order = text;
        return 0;
    case 'n':
        return parse_number(text, "--limit", 1, &options->limit);
    case 'j':
        options->json = true;
        return 0;
    case 'c':
        options->csv = true;
        return 0;
    case 'H':
        options->no_headings = true;
        return 0;
    case 'N':
        options->nulls =
            need(realloc(options->nulls, (options->null_count + 1) * sizeof *options->nulls));
        options->nulls[options->null_count++] = text;
        return 0;
    case 'v':
        return parse_number(text, "--if-version", 0, &options->if_version);
    case 'a':
        options->after = text;
        return 0;
    case 'r':
        options->repair = true;
        return 0;
    case 'i':
        options->into = text;
        return 0;
    case 'q':
        options->quiet = true;
        return 0;
    case 'O':
        return parse_number(text, "--operations", 1, &options->operations);
    case 'M':
        options->mix = text;
        return 0;
    case 'S':
        return parse_number(text, "--seed", 0, &options->seed);
    default:
        options->reopen = true;
        return 0;
    }
}

/* Reads the options, and sets *finished when one of them was all that was wanted. */
static int read_options(int count, char **arguments, const char *allowed, struct options *options,
                        bool *finished)
{
    struct option long_options[OPTION_COUNT + 1] = {0};
    for (size_t i = 0; i < OPTION_COUNT; i++)
        long_options[i] = (struct option){
            .name = option_table[i].name,
            .has_arg = option_table[i].argument != NULL ? required_argument : no_argument,
            .val = option_table[i].letter};
    opterr = 0;
    int letter;
    while ((letter = getopt_long(count, arguments, ":", long_options, NULL)) != -1) {
        const char *given = arguments[optind - 1];
        if (letter == '?')
            return misused("no such option: %s", printable(given, strlen(given)));
        if (letter == ':')
            return misused("an option without its argument: %s", printable(given, strlen(given)));
        if (letter == 'h' || letter == 'V') {
            if (letter == 'h')
                print_help(stdout);
            else
                printf("tablestore %s\n", tablestore_version());
            *finished = true;
            return 0;
        }
        if (allowed == NULL ? letter != 'L'
                            : strchr(always, letter) == NULL && strchr(allowed, letter) == NULL)
            return misused("not an option here: %s", printable(given, strlen(given)));
        int status = take_option(options, letter, optarg);
        if (status != 0)
            return status;
    }
    return 0;
}

/* ---- The lock ---- */

int self_lock_take(const char *file)
{
    int lock = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock >= 0) {
        int result;
        while ((result = flock(lock, LOCK_EX)) != 0 && errno == EINTR)
            continue;
        if (result == 0)
            return lock;
        close(lock);
    }
    failed_because("cannot lock %s: %s", printable(file, strlen(file)), strerror(errno));
    return -1;
}

/* ---- main ---- */

static int run(const struct options *options, size_t number, char **arguments, size_t count)
{
    int lock = -1;
    if (options->self_lock != NULL && !options->reopen) {
        lock = self_lock_take(options->self_lock);
        if (lock < 0)
            return EXIT_FAILED;
    }
    int status = commands[number].run(options, arguments, count);
    if (fflush(stdout) != 0 || ferror(stdout))
        status = failed_because("cannot write the output: %s", strerror(errno));
    if (lock >= 0)
        close(lock);
    return status;
}

int main(int argument_count, char **arguments)
{
    struct options options = {.if_version = TABLESTORE_ANY_VERSION, .operations = 10000, .seed = 1};
    bool finished = false;
    /* For the widths of columns; numbers stay those of the C locale. */
    setlocale(LC_CTYPE, "");
    /* Options before the command: --self-lock and those that ask for help. */
    size_t number = COMMAND_COUNT;
    int first = 1;
    setenv("POSIXLY_CORRECT", "1", 1);
    int status = read_options(argument_count, arguments, NULL, &options, &finished);
    unsetenv("POSIXLY_CORRECT");
    first = optind;
    if (status != 0 || finished)
        return status;
    if (first >= argument_count)
        return misused("a command is missing");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(arguments[first], commands[i].name) == 0)
            number = i;
    if (number == COMMAND_COUNT)
        return misused("no such command: %s",
                       printable(arguments[first], strlen(arguments[first])));
    char **rest = arguments + first;
    int rest_count = argument_count - first;
    optind = 0; /* getopt starts over */
    status = read_options(rest_count, rest, commands[number].options, &options, &finished);
    if (status != 0 || finished)
        return status;
    size_t count = (size_t)(rest_count - optind);
    if (count < commands[number].minimum || count > commands[number].maximum)
        return misused("%s takes %s", commands[number].name, commands[number].arguments);
    status = run(&options, number, rest + optind, count);
    free(options.nulls);
    return status;
}
