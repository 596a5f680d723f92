/*
 * Reads the configuration file by inih. It must refuse whatever it does not understand, and never
 * take a part of a line for the whole: inih cuts section names at 50 bytes, so the paths in them
 * are taken off the lines before it sees them.
 */
#include "lockctl/config.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_CONFIG "/etc/lockshim.conf"
#define LINE_MAXIMUM 16384
#define TABLE_WORD "table"

struct reading {
    struct config *config;
    FILE *file;
    const char *path;
    char *line;
    size_t line_size;
    int line_number;
    bool in_section;
    int status; /* of the first complaint */
};

static void complain_at(struct reading *reading, const char *what, const char *name)
{
    if (reading->status != STATUS_DONE)
        return;
    complain("%s:%d: %s%s%s%s", shown(reading->path), reading->line_number, name != NULL ? "'" : "",
             name != NULL ? shown(name) : "", name != NULL ? "' " : "", what);
    reading->status = STATUS_SETTINGS;
}

/* The first `]` behind which nothing but a comment follows: a path may contain others. */
static char *find_section_end(char *from)
{
    for (char *end = strchr(from, ']'); end != NULL; end = strchr(end + 1, ']')) {
        const char *rest = end + 1;
        rest += strspn(rest, " \t\r\n");
        if (*rest == '\0' || ((*rest == ';' || *rest == '#') && rest > end + 1))
            return end;
    }
    return NULL;
}

static void begin_section(struct reading *reading, char *name)
{
    char *end = find_section_end(name);
    if (end == NULL) {
        complain_at(reading, "has no closing bracket", name);
        return;
    }
    *end = '\0';
    size_t word = strlen(TABLE_WORD);
    if (strncmp(name, TABLE_WORD, word) != 0 || (name[word] != ' ' && name[word] != '\t')) {
        complain_at(reading, "is no section: only [table PATH] is known", name);
        return;
    }
    const char *path = name + word + strspn(name + word, " \t");
    if (*path != '/') {
        complain_at(reading, "is not an absolute path", path);
        return;
    }
    struct config *config = reading->config;
    config->tables = grow(config->tables, config->count, sizeof *config->tables);
    config->tables[config->count++] = (struct wanted_table){.path = copy_text(path)};
    reading->in_section = true;
}

/* Hands inih one line; a section line becomes a plain `[table]`. */
static char *read_line(char *buffer, int size, void *stream)
{
    struct reading *reading = stream;
    ssize_t length = getline(&reading->line, &reading->line_size, reading->file);
    if (length < 0 || reading->status != STATUS_DONE)
        return NULL;
    reading->line_number++;
    if (strlen(reading->line) != (size_t)length)
        complain_at(reading, "the line contains a NUL byte", NULL);
    else if (length >= size - 1)
        complain_at(reading, "the line is too long", NULL);
    char *start = reading->line + strspn(reading->line, " \t");
    if (reading->line_number == 1 && strncmp(start, "\xef\xbb\xbf", 3) == 0)
        start += 3;
    if (*start == '[') {
        begin_section(reading, start + 1);
        start = "[" TABLE_WORD "]\n";
    }
    if (reading->status != STATUS_DONE)
        return NULL;
    (void)snprintf(buffer, (size_t)size, "%s", start);
    return buffer;
}

static int take_key(void *context, const char *section, const char *name, const char *value)
{
    struct reading *reading = context;
    (void)section;
    if (!reading->in_section) {
        complain_at(reading, "stands before the first [table PATH] section", name);
        return 0;
    }
    struct wanted_table *table = &reading->config->tables[reading->config->count - 1];
    if (strcmp(name, "eager") == 0) {
        table->eager = strcmp(value, "yes") == 0;
        if (!table->eager && strcmp(value, "no") != 0)
            complain_at(reading, "is neither yes nor no", value);
        return reading->status == STATUS_DONE;
    }
    bool is_file =
        strcmp(name, "lock") == 0 ||
        (strcmp(name, "log") == 0 && strcmp(value, "none") != 0 && strcmp(value, "stderr") != 0);
    if (is_file && value[0] != '/' && value[0] != '\0') {
        complain_at(reading, "is not an absolute path", value);
        return 0;
    }
    char where[1200];
    (void)snprintf(where, sizeof where, "%s:%d: ", shown(reading->path), reading->line_number);
    reading->status =
        assignments_add(&table->assignments, where, copy_text(name), copy_text(value));
    return reading->status == STATUS_DONE;
}

static int read_stream(struct reading *reading)
{
    ini_allow_multiline = false; /* or an indented key would continue the value before it */
    ini_use_stack = false;
    ini_initial_alloc = ini_max_line = LINE_MAXIMUM;
    int result = ini_parse_stream(read_line, reading, take_key, reading);
    if (reading->status != STATUS_DONE)
        return reading->status;
    if (ferror(reading->file)) {
        complain("%s: %s", shown(reading->path), strerror(errno));
        return STATUS_FAILED;
    }
    if (result > 0) {
        reading->line_number = result;
        complain_at(reading, "the line is neither a section nor KEY = VALUE", NULL);
    } else if (result < 0) {
        complain("%s: not enough memory", shown(reading->path));
        reading->status = STATUS_FAILED;
    }
    return reading->status;
}

int config_read(struct config *config, const char *path)
{
    struct reading reading = {.config = config, .path = path != NULL ? path : DEFAULT_CONFIG};
    reading.file = fopen(reading.path, "re");
    if (reading.file == NULL) {
        if (path == NULL && errno == ENOENT)
            return STATUS_DONE;
        int error = errno;
        complain("configuration file '%s': %s", shown(reading.path), strerror(error));
        return status_of_error(error);
    }
    int status = read_stream(&reading);
    free(reading.line);
    (void)fclose(reading.file);
    return status;
}
