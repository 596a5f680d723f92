/*
 * What the files of lockctl share: exit statuses, the table of commands, one-line complaints.
 * Text that came from outside is printed through shown() only.
 */
#ifndef LOCKCTL_H
#define LOCKCTL_H

#include <stdbool.h>
#include <stddef.h>

enum exit_status {
    STATUS_DONE = 0,
    STATUS_FAILED = 1,
    STATUS_USAGE = 2,
    STATUS_STALE = 3, /* of what was looked at, something is stale, or in a cycle */
    STATUS_PERMISSION = 5,
    STATUS_TIMED_OUT = 6,
    STATUS_SETTINGS = 78,
    STATUS_NOT_EXECUTABLE = 126,
    STATUS_NOT_FOUND = 127,
    STATUS_SIGNAL_BASE = 128,
};

struct command_description {
    const char *name;
    const char *arguments; /* as the usage line shows them */
    const char *summary;   /* one line for the list of commands */
    const char *details;   /* further text of its --help, or NULL */
    int (*run)(const struct command_description *description, int count, char **words);
};

int run_command(const struct command_description *description, int count, char **words);
int env_command(const struct command_description *description, int count, char **words);
int status_command(const struct command_description *description, int count, char **words);
int holders_command(const struct command_description *description, int count, char **words);
int waiters_command(const struct command_description *description, int count, char **words);
int deadlocks_command(const struct command_description *description, int count, char **words);
int check_command(const struct command_description *description, int count, char **words);
int stats_command(const struct command_description *description, int count, char **words);
int wait_command(const struct command_description *description, int count, char **words);
int doctor_command(const struct command_description *description, int count, char **words);
int log_command(const struct command_description *description, int count, char **words);
int metrics_command(const struct command_description *description, int count, char **words);
int break_command(const struct command_description *description, int count, char **words);
int recover_command(const struct command_description *description, int count, char **words);
int advise_command(const struct command_description *description, int count, char **words);
extern const char ADVISE_DETAILS[];
extern const char BREAK_DETAILS[];
int top_command(const struct command_description *description, int count, char **words);
extern const char RECOVER_DETAILS[];
extern const char RUN_DETAILS[];
extern const char ENV_DETAILS[];
extern const char STATS_DETAILS[];
extern const char METRICS_DETAILS[];
extern const char LOG_DETAILS[];
extern const char DOCTOR_DETAILS[];
extern const char WAIT_DETAILS[];
extern const char STATUS_DETAILS[];
extern const char HOLDERS_DETAILS[];
extern const char WAITERS_DETAILS[];
extern const char DEADLOCKS_DETAILS[];
extern const char CHECK_DETAILS[];
extern const char TOP_DETAILS[];

/* Writes "lockctl: …" as one line to stderr. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A text made fit for a terminal; valid until some calls later. */
const char *shown(const char *text);

/* The exit status that says why a file could not be used. */
int status_of_error(int error);

/* Room for one more element behind `count`; ends the program when there is none. */
void *grow(void *array, size_t count, size_t size);

/* A copy that stays until the program ends; not to be freed. */
char *copy_text(const char *text);

#endif
