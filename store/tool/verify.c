/* verify.c: the commands verify and verify --repair.
 * They must never write to the table that they look at. */
#include "store/tool/tool.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct reporting {
    const struct options *options;
    const char *table;
};

static bool print_finding(void *context, const struct tablestore_finding *finding)
{
    const struct reporting *reporting = context;
    if (reporting->options->quiet)
        return true;
    char *file = printable(finding->file, strlen(finding->file));
    if (reporting->options->json) {
        json_t *object =
            json_pack("{s:s,s:o,s:s}", "file", file, "offset",
                      finding->offset < 0 ? json_null() : json_integer(finding->offset), "message",
                      finding->message);
        json_dumpf(object, stdout, JSON_COMPACT);
        fputc('\n', stdout);
        json_decref(object);
    } else if (finding->offset < 0) {
        printf("%s/%s: %s\n", reporting->table, file, finding->message);
    } else {
        printf("%s/%s: byte %lld: %s\n", reporting->table, file, (long long)finding->offset,
               finding->message);
    }
    free(file);
    return true;
}

static int repair(const struct options *options, const char *path, struct reporting *reporting)
{
    struct tablestore_error error;
    struct tablestore_repair_summary summary;
    char *beside = NULL;
    const char *into = options->into;
    if (into == NULL) {
        size_t length = strlen(path);
        while (length > 1 && path[length - 1] == '/')
            length--;
        beside = need(malloc(length + sizeof ".repaired"));
        memcpy(beside, path, length);
        memcpy(beside + length, ".repaired", sizeof ".repaired");
        into = beside;
    }
    int status = EXIT_DONE;
    if (!tablestore_repair(path, into, print_finding, reporting, &summary, &error)) {
        status = failed(&error);
    } else if (options->json) {
        printf("{\"records\":%lld,\"lost_records\":%lld,\"lost_values\":%lld,\"new_ids\":%lld}\n",
               (long long)summary.records, (long long)summary.lost_records,
               (long long)summary.lost_values, (long long)summary.new_ids);
    } else {
        char *shown = printable(into, strlen(into));
        printf("%s: %lld records; lost: %lld records, %lld values; new ids: %lld\n", shown,
               (long long)summary.records, (long long)summary.lost_records,
               (long long)summary.lost_values, (long long)summary.new_ids);
        free(shown);
    }
    free(beside);
    return status;
}

int command_verify(const struct options *options, char **arguments, size_t count)
{
    (void)count;
    struct tablestore_error error;
    int64_t findings = 0;
    if (options->into != NULL && !options->repair)
        return misused("--into goes with --repair");
    char *shown = printable(arguments[0], strlen(arguments[0]));
    struct reporting reporting = {options, shown};
    int status = EXIT_DONE;
    if (options->repair)
        status = repair(options, arguments[0], &reporting);
    else if (!tablestore_verify(arguments[0], print_finding, &reporting, &findings, &error))
        status = failed(&error);
    else if (findings > 0)
        status = EXIT_FAILED;
    free(shown);
    return status;
}
