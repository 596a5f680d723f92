/*
 * What the user asked for: the tables and how each is to be guarded, as section "Settings" of the
 * manual lists them. The shim reads them from its environment, lockctl from its options and the
 * configuration file; both judge a value here, so that nothing is accepted by one alone.
 * Nothing here opens, locks or allocates from the heap.
 */
#ifndef LOCKSHIM_SETTINGS_H
#define LOCKSHIM_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum scope { SCOPE_COMMAND, SCOPE_PROCESS, SCOPE_SESSION, SCOPE_CALL };
enum on_crash { ON_CRASH_REPORT, ON_CRASH_FAIL, ON_CRASH_ROLLBACK };
enum dependents { DEPENDENTS_JOIN, DEPENDENTS_WAIT };
enum lost_update { LOST_UPDATE_FAIL, LOST_UPDATE_REPORT };

/* The exit status for settings that are wrong (sysexits' EX_CONFIG). */
#define SETTINGS_EXIT_STATUS 78
#define SETTINGS_TABLES_MAXIMUM 60000
#define SETTINGS_UNDO_LIMIT (1ull << 30)

struct table_settings {
    const char *path;   /* the table as the user named it */
    const char *lock;   /* the lock file; NULL: PATH.lock */
    const char *exempt; /* names of executables, separated by commas, or NULL */
    const char *log;    /* a file, "stderr", "none", or NULL for none */
    enum scope scope;
    enum on_crash on_crash;
    enum dependents dependents;
    enum lost_update lost_update;
    bool shared;
    bool durable;        /* the undo journal is to survive a power cut */
    uint64_t undo_limit; /* bytes that copies in the undo journal may take */
    int64_t timeout;     /* nanoseconds; 0 does not wait, -1 waits for ever */
};

/* All of a program's tables. The array and the texts belong to whoever filled it in. */
struct settings {
    struct table_settings *tables;
    size_t count;
};

/* The defaults of a bare preload (scope `process`) for a table without a path. */
struct table_settings settings_default(void);

/*
 * Sets one key ("lock", "scope", "shared", "timeout", "on-crash", "durable", "undo-limit",
 * "dependents", "lost-update", "exempt", "log") to a value. The text is not copied: it must outlive
 * the settings. Returns NULL, or a fixed text that says what is wrong with the value ("is not a
 * scope (…)"); an unknown key yields SETTINGS_UNKNOWN_KEY.
 */
extern const char SETTINGS_UNKNOWN_KEY[];
const char *settings_set(struct table_settings *table, const char *key, const char *value);

/*
 * Reads one line of LOCKSHIM_TABLES, `PATH key=value …`, over the defaults that *table holds. The
 * line (without its newline) is cut up and unescaped in place (\040 and other octal escapes).
 * Returns NULL, or a message in `message` that names the word at fault.
 */
const char *settings_parse_line(struct table_settings *table, char *line, char *message,
                                size_t size);

/*
 * Writes one table as a line of LOCKSHIM_TABLES that settings_parse_line reads back to the same
 * settings. Returns the length that it takes (without the ending NUL), as snprintf does.
 */
size_t settings_format_line(const struct table_settings *table, char *line, size_t size);

/* The value of a variable in an environment; NULL if it is not there. */
const char *settings_variable(char *const *environment, const char *name);

/*
 * Reads LOCKSHIM_TABLE, LOCKSHIM_TABLES and their companions from an environment. With neither of
 * the two set, *settings comes out empty. Texts are copied to memory mapped once, never freed.
 * Returns NULL, or a one-line message that names the variable at fault, in static memory.
 */
const char *settings_from_environment(struct settings *settings, char *const *environment);

/* Is `program` (a path or a name) among the comma-separated names? */
bool settings_names_program(const char *names, const char *program);

const char *settings_scope_name(enum scope scope);

#endif
