/*
 * Reading settings: one table of keys, each with the function that judges its value. It must never
 * guess at what a wrong value may have meant.
 */
#include "shim/settings.h"

#include "shim/lock/kernel.h"
#include "shim/lock/sparse.h"

#include <stdio.h>
#include <string.h>

const char SETTINGS_UNKNOWN_KEY[] = "is no setting";

struct choice {
    const char *name;
    int value;
};

static const struct choice scopes[] = {{"command", SCOPE_COMMAND},
                                       {"process", SCOPE_PROCESS},
                                       {"session", SCOPE_SESSION},
                                       {"call", SCOPE_CALL},
                                       {NULL, 0}};
static const struct choice crash_policies[] = {{"report", ON_CRASH_REPORT},
                                               {"fail", ON_CRASH_FAIL},
                                               {"rollback", ON_CRASH_ROLLBACK},
                                               {NULL, 0}};
static const struct choice dependent_policies[] = {
    {"join", DEPENDENTS_JOIN}, {"wait", DEPENDENTS_WAIT}, {NULL, 0}};
static const struct choice lost_update_policies[] = {
    {"fail", LOST_UPDATE_FAIL}, {"report", LOST_UPDATE_REPORT}, {NULL, 0}};
static const struct choice booleans[] = {{"1", 1},  {"yes", 1},   {"true", 1}, {"on", 1}, {"0", 0},
                                         {"no", 0}, {"false", 0}, {"off", 0},  {NULL, 0}};

static bool choose(const struct choice *choices, const char *value, int *chosen)
{
    for (; choices->name != NULL; choices++) {
        if (strcmp(choices->name, value) == 0) {
            *chosen = choices->value;
            return true;
        }
    }
    return false;
}

static const char *set_lock(struct table_settings *table, const char *value)
{
    if (value[0] == '\0')
        return "is empty";
    if (strlen(value) >= 4096)
        return "is longer than a path can be";
    table->lock = value;
    return NULL;
}

static const char *set_scope(struct table_settings *table, const char *value)
{
    int chosen;
    if (!choose(scopes, value, &chosen))
        return "is not a scope (command, process, session, call)";
    table->scope = (enum scope)chosen;
    return NULL;
}

static const char *set_shared(struct table_settings *table, const char *value)
{
    int chosen;
    if (!choose(booleans, value, &chosen))
        return "is neither 1 nor 0";
    table->shared = chosen != 0;
    return NULL;
}

/* Seconds as a decimal number, by hand: strtod would read a comma or a point as the locale says. */
static const char *set_timeout(struct table_settings *table, const char *value)
{
    static const char wrong[] = "is not a number of seconds";
    int64_t seconds = 0, fraction = 0, unit = 100000000;
    size_t digits = 0;
    const char *at = value;
    for (; *at >= '0' && *at <= '9'; at++, digits++) {
        seconds = seconds * 10 + (*at - '0');
        if (seconds > 1000000000)
            return "is longer than thirty years";
    }
    if (*at == '.') {
        for (at++; *at >= '0' && *at <= '9'; at++, digits++) {
            fraction += (*at - '0') * unit;
            unit /= 10;
        }
    }
    if (*at != '\0' || digits == 0)
        return wrong;
    table->timeout = seconds * 1000000000 + fraction;
    return NULL;
}

static const char *set_on_crash(struct table_settings *table, const char *value)
{
    int chosen;
    if (!choose(crash_policies, value, &chosen))
        return "is not a policy (report, fail, rollback)";
    table->on_crash = (enum on_crash)chosen;
    return NULL;
}

static const char *set_durable(struct table_settings *table, const char *value)
{
    int chosen;
    if (!choose(booleans, value, &chosen))
        return "is neither 1 nor 0";
    table->durable = chosen != 0;
    return NULL;
}

/* Bytes as a whole number, with K, M, G or T behind it for powers of 1024. */
static const char *set_undo_limit(struct table_settings *table, const char *value)
{
    static const char units[] = "KMGT";
    uint64_t bytes = 0;
    const char *at = value;
    for (; *at >= '0' && *at <= '9'; at++) {
        bytes = bytes * 10 + (uint64_t)(*at - '0');
        if (bytes > 1ull << 50)
            return "is more than 1024T";
    }
    if (at == value)
        return "is not a size (bytes, or with K, M, G, T)";
    const char *unit = *at != '\0' ? strchr(units, *at >= 'a' ? *at - 'a' + 'A' : *at) : NULL;
    if (*at != '\0' && (unit == NULL || at[1] != '\0'))
        return "is not a size (bytes, or with K, M, G, T)";
    for (long steps = unit != NULL ? unit - units + 1 : 0; steps > 0; steps--) {
        bytes *= 1024;
        if (bytes > 1ull << 50)
            return "is more than 1024T";
    }
    table->undo_limit = bytes;
    return NULL;
}

static const char *set_dependents(struct table_settings *table, const char *value)
{
    int chosen;
    if (!choose(dependent_policies, value, &chosen))
        return "is not a policy (join, wait)";
    table->dependents = (enum dependents)chosen;
    return NULL;
}

static const char *set_lost_update(struct table_settings *table, const char *value)
{
    int chosen;
    if (!choose(lost_update_policies, value, &chosen))
        return "is not a policy (fail, report)";
    table->lost_update = (enum lost_update)chosen;
    return NULL;
}

static const char *set_exempt(struct table_settings *table, const char *value)
{
    table->exempt = value[0] == '\0' ? NULL : value;
    return NULL;
}

static const char *set_log(struct table_settings *table, const char *value)
{
    if (value[0] == '\0')
        return "is empty (a file, stderr, none)";
    if (strlen(value) >= 4096)
        return "is longer than a path can be";
    table->log = strcmp(value, "none") == 0 ? NULL : value;
    return NULL;
}

struct setting {
    const char *key;
    const char *variable;
    const char *(*set)(struct table_settings *table, const char *value);
};

static const struct setting all_settings[] = {
    {"lock", "LOCKSHIM_LOCK", set_lock},
    {"scope", "LOCKSHIM_SCOPE", set_scope},
    {"shared", "LOCKSHIM_SHARED", set_shared},
    {"timeout", "LOCKSHIM_TIMEOUT", set_timeout},
    {"on-crash", "LOCKSHIM_ON_CRASH", set_on_crash},
    {"durable", "LOCKSHIM_DURABLE", set_durable},
    {"undo-limit", "LOCKSHIM_UNDO_LIMIT", set_undo_limit},
    {"dependents", "LOCKSHIM_DEPENDENTS", set_dependents},
    {"lost-update", "LOCKSHIM_LOST_UPDATE", set_lost_update},
    {"exempt", "LOCKSHIM_EXEMPT", set_exempt},
    {"log", "LOCKSHIM_LOG", set_log},
};
enum { SETTING_COUNT = sizeof all_settings / sizeof all_settings[0] };

struct table_settings settings_default(void)
{
    return (struct table_settings){
        .scope = SCOPE_PROCESS, .timeout = -1, .undo_limit = SETTINGS_UNDO_LIMIT};
}

const char *settings_set(struct table_settings *table, const char *key, const char *value)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (strcmp(all_settings[i].key, key) == 0)
            return all_settings[i].set(table, value);
    }
    return SETTINGS_UNKNOWN_KEY;
}

const char *settings_scope_name(enum scope scope)
{
    return scopes[scope].name;
}

/* Undoes \ooo escapes in place; false for a backslash that starts none. */
static bool unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0';) {
        if (*from != '\\') {
            *to++ = *from++;
            continue;
        }
        unsigned value = 0;
        for (int digit = 1; digit <= 3; digit++) {
            if (from[digit] < '0' || from[digit] > '7')
                return false;
            value = value * 8 + (unsigned)(from[digit] - '0');
        }
        if (value == 0 || value > 255)
            return false;
        *to++ = (char)(unsigned char)value;
        from += 4;
    }
    *to = '\0';
    return true;
}

static const char *check_path(const char *path)
{
    if (path[0] == '\0')
        return "is empty";
    if (strlen(path) >= 4096)
        return "is longer than a path can be";
    return NULL;
}

/* What the user wrote is quoted, whatever it may be: the message stays one line. */
static const char *one_line(char *message)
{
    for (char *at = message; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    }
    return message;
}

static const char *complain(char *message, size_t size, const char *word, const char *wrong)
{
    snprintf(message, size, "'%.200s' %s", word, wrong);
    return one_line(message);
}

static const char *parse_word(struct table_settings *table, char *word, char *message, size_t size)
{
    char *value = strchr(word, '=');
    if (value == NULL)
        return complain(message, size, word, "is not of the form key=value");
    *value++ = '\0';
    if (!unescape(value))
        return complain(message, size, value, "has a backslash that starts no \\ooo escape");
    const char *wrong = settings_set(table, word, value);
    if (wrong == NULL)
        return NULL;
    if (wrong == SETTINGS_UNKNOWN_KEY)
        return complain(message, size, word, wrong);
    snprintf(message, size, "%s '%.200s' %s", word, value, wrong);
    return one_line(message);
}

const char *settings_parse_line(struct table_settings *table, char *line, char *message,
                                size_t size)
{
    char *rest = line;
    char *path = strsep(&rest, " \t");
    while (path != NULL && *path == '\0')
        path = strsep(&rest, " \t");
    if (path == NULL)
        return complain(message, size, line, "names no table");
    if (!unescape(path))
        return complain(message, size, path, "has a backslash that starts no \\ooo escape");
    const char *wrong = check_path(path);
    if (wrong != NULL)
        return complain(message, size, path, wrong);
    table->path = path;
    for (char *word; (word = strsep(&rest, " \t")) != NULL;) {
        if (*word == '\0')
            continue;
        wrong = parse_word(table, word, message, size);
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}

/* A text that grows within a bound and goes on counting beyond it. */
struct writer {
    char *text;
    size_t size;
    size_t length;
};

static void put(struct writer *writer, char byte)
{
    if (writer->length + 1 < writer->size)
        writer->text[writer->length] = byte;
    writer->length++;
}

static void put_text(struct writer *writer, const char *text)
{
    while (*text != '\0')
        put(writer, *text++);
}

static void put_escaped(struct writer *writer, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte > ' ' && byte != '\\' && byte != 0x7f) {
            put(writer, *text);
            continue;
        }
        put(writer, '\\');
        put(writer, (char)('0' + (byte >> 6)));
        put(writer, (char)('0' + ((byte >> 3) & 7)));
        put(writer, (char)('0' + (byte & 7)));
    }
}

static void put_key(struct writer *writer, const char *key, const char *value)
{
    put(writer, ' ');
    put_text(writer, key);
    put(writer, '=');
    put_escaped(writer, value);
}

size_t settings_format_line(const struct table_settings *table, char *line, size_t size)
{
    struct writer writer = {line, size, 0};
    put_escaped(&writer, table->path);
    if (table->lock != NULL)
        put_key(&writer, "lock", table->lock);
    put_key(&writer, "scope", scopes[table->scope].name);
    put_key(&writer, "shared", table->shared ? "1" : "0");
    if (table->timeout >= 0) {
        char number[64];
        snprintf(number, sizeof number, "%lld.%09lld", (long long)(table->timeout / 1000000000),
                 (long long)(table->timeout % 1000000000));
        put_key(&writer, "timeout", number);
    }
    put_key(&writer, "on-crash", crash_policies[table->on_crash].name);
    if (table->durable)
        put_key(&writer, "durable", "1");
    if (table->undo_limit != SETTINGS_UNDO_LIMIT) {
        char number[32];
        snprintf(number, sizeof number, "%llu", (unsigned long long)table->undo_limit);
        put_key(&writer, "undo-limit", number);
    }
    put_key(&writer, "dependents", dependent_policies[table->dependents].name);
    put_key(&writer, "lost-update", lost_update_policies[table->lost_update].name);
    if (table->exempt != NULL)
        put_key(&writer, "exempt", table->exempt);
    put_key(&writer, "log", table->log != NULL ? table->log : "none");
    if (size > 0)
        line[writer.length < size ? writer.length : size - 1] = '\0';
    return writer.length;
}

bool settings_names_program(const char *names, const char *program)
{
    const char *slash = strrchr(program, '/');
    const char *name = slash != NULL ? slash + 1 : program;
    size_t length = strlen(name);
    while (names != NULL && *names != '\0') {
        size_t word = strcspn(names, ",");
        if (word == length && memcmp(names, name, length) == 0)
            return true;
        names += word + (names[word] == ',');
    }
    return false;
}

/* --- the environment --- */

SPARSE static char environment_message[512];

static const char *variable_complaint(const char *variable, const char *value, const char *wrong)
{
    snprintf(environment_message, sizeof environment_message, "%s '%.200s' %s", variable, value,
             wrong);
    return one_line(environment_message);
}

const char *settings_variable(char *const *environment, const char *name)
{
    size_t length = strlen(name);
    for (; environment != NULL && *environment != NULL; environment++) {
        /* Most are none of ours, which the first letter tells. */
        const char *entry = *environment;
        if (entry[0] == name[0] && strncmp(entry, name, length) == 0 && entry[length] == '=')
            return entry + length + 1;
    }
    return NULL;
}

static size_t count_lines(const char *text)
{
    size_t lines = 1;
    for (; (text = strchr(text, '\n')) != NULL; text++)
        lines++;
    return lines;
}

static const char *parse_tables(struct settings *settings, const struct table_settings *defaults,
                                char *text)
{
    char message[400];
    for (char *line; (line = strsep(&text, "\n")) != NULL;) {
        if (line[strspn(line, " \t")] == '\0')
            continue;
        struct table_settings *table = &settings->tables[settings->count];
        *table = *defaults;
        if (settings_parse_line(table, line, message, sizeof message) != NULL) {
            snprintf(environment_message, sizeof environment_message, "LOCKSHIM_TABLES: %s",
                     message);
            return environment_message;
        }
        settings->count++;
    }
    return NULL;
}

/* Never freed: the shim lives as long as its process. One table needs no mapping. */
static char *table_memory(size_t size)
{
    static _Alignas(struct table_settings) char one[sizeof(struct table_settings) + 1];
    static bool given;
    if (size <= sizeof one && !given) {
        given = true;
        return one;
    }
    return kernel_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

const char *settings_from_environment(struct settings *settings, char *const *environment)
{
    const char *one = settings_variable(environment, "LOCKSHIM_TABLE");
    const char *several = settings_variable(environment, "LOCKSHIM_TABLES");
    *settings = (struct settings){NULL, 0};
    if (one == NULL && several == NULL)
        return NULL;
    struct table_settings defaults = settings_default();
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const char *value = settings_variable(environment, all_settings[i].variable);
        const char *wrong = value == NULL ? NULL : all_settings[i].set(&defaults, value);
        if (wrong != NULL)
            return variable_complaint(all_settings[i].variable, value, wrong);
    }
    const char *wrong = one == NULL ? NULL : check_path(one);
    if (wrong != NULL)
        return variable_complaint("LOCKSHIM_TABLE", one, wrong);
    size_t count = (one != NULL) + (several != NULL ? count_lines(several) : 0);
    if (count > SETTINGS_TABLES_MAXIMUM)
        return variable_complaint("LOCKSHIM_TABLES", several, "names more than 60000 tables");
    size_t text = several != NULL ? strlen(several) + 1 : 0;
    size_t array = count * sizeof *settings->tables;
    char *memory = table_memory(array + text + 1);
    if (memory == NULL)
        return variable_complaint("LOCKSHIM_TABLES", "", "needs more memory than there is");
    settings->tables = (struct table_settings *)(void *)memory;
    if (one != NULL) {
        settings->tables[0] = defaults;
        settings->tables[0].path = one;
        settings->count = 1;
    }
    if (several == NULL)
        return NULL;
    memcpy(memory + array, several, text);
    wrong = parse_tables(settings, &defaults, memory + array);
    if (wrong == NULL && settings->count == 0)
        return variable_complaint("LOCKSHIM_TABLES", "", "names no table");
    return wrong;
}
