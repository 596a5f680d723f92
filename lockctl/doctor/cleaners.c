/*
 * Those who remove old files from temporary directories. A lock file is never changed, so it looks
 * old, though it is in use every minute.
 */
#include "lockctl/doctor/findings.h"

#include "lockctl/lockctl.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const DIRECTORIES[] = {"/etc/tmpfiles.d", "/run/tmpfiles.d",
                                          "/usr/local/lib/tmpfiles.d", "/usr/lib/tmpfiles.d"};
enum { DIRECTORY_COUNT = sizeof DIRECTORIES / sizeof *DIRECTORIES };

/* What the tmpfiles.d files say of one path. */
struct rules {
    const char *lock_path;
    char directory[256]; /* the longest with an age, above the lock file */
    char age[32];
    bool excluded;
};

static bool lies_below(const char *path, const char *directory)
{
    size_t length = strlen(directory);
    return strncmp(path, directory, length) == 0 && path[length] == '/';
}

/* "TYPE PATH MODE USER GROUP AGE": an age cleans the directory, x and X except what they name. */
static void take_line(struct rules *rules, const char *line)
{
    char type[16];
    char path[256];
    char age[32] = "-";
    if (line[0] == '#' || sscanf(line, "%15s %255s %*s %*s %*s %31s", type, path, age) < 2)
        return;
    if (type[0] == 'x' || type[0] == 'X') {
        rules->excluded = rules->excluded || fnmatch(path, rules->lock_path, 0) == 0 ||
                          (type[0] == 'x' && fnmatch(path, rules->lock_path, FNM_LEADING_DIR) == 0);
        return;
    }
    if (strchr("dDvqQeC", type[0]) == NULL || strcmp(age, "-") == 0 || strcmp(age, "0") == 0 ||
        !lies_below(rules->lock_path, path) || strlen(path) <= strlen(rules->directory))
        return;
    (void)snprintf(rules->directory, sizeof rules->directory, "%s", path);
    (void)snprintf(rules->age, sizeof rules->age, "%s", age);
}

static void read_file(struct rules *rules, const char *directory, const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t size = 0;
    if (file == NULL)
        return;
    while (getline(&line, &size, file) > 0)
        take_line(rules, line);
    free(line);
    (void)fclose(file);
}

/* A file of the same name in an earlier directory replaces this one. */
static bool is_replaced(size_t directory, const char *name)
{
    char path[512];
    for (size_t i = 0; i < directory; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", DIRECTORIES[i], name);
        if (access(path, F_OK) == 0)
            return true;
    }
    return false;
}

static void read_directory(struct rules *rules, size_t index)
{
    DIR *directory = opendir(DIRECTORIES[index]);
    if (directory == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        size_t length = strlen(entry->d_name);
        if (length > 5 && strcmp(entry->d_name + length - 5, ".conf") == 0 &&
            !is_replaced(index, entry->d_name))
            read_file(rules, DIRECTORIES[index], entry->d_name);
    }
    (void)closedir(directory);
}

void doctor_look_at_cleaners(struct findings *findings, const char *lock_path)
{
    struct rules rules = {.lock_path = lock_path};
    for (size_t i = 0; i < DIRECTORY_COUNT; i++)
        read_directory(&rules, i);
    bool temporary = lies_below(lock_path, "/tmp") || lies_below(lock_path, "/var/tmp");
    if (rules.directory[0] != '\0' && !rules.excluded)
        finding_add(findings, FINDING_WARNING, "cleaners",
                    finding_text("add 'x %s*' to a file in /etc/tmpfiles.d", shown(lock_path)),
                    "systemd-tmpfiles removes what is older than %s from %s", shown(rules.age),
                    shown(rules.directory));
    else if (temporary && (access("/etc/tmpreaper.conf", F_OK) == 0 ||
                           access("/etc/cron.daily/tmpwatch", F_OK) == 0))
        finding_add(findings, FINDING_WARNING, "cleaners", "except the lock file and its registry",
                    "tmpreaper or tmpwatch removes old files from /tmp");
    else if (lies_below(lock_path, "/tmp"))
        finding_add(findings, FINDING_OK, "cleaners", NULL,
                    "/tmp is emptied at boot at most, which no lock outlives");
    else
        finding_add(findings, FINDING_OK, "cleaners", NULL, "nothing removes old files there");
}
