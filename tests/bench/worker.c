/*
 * The loop of a program that the driver times. Nothing but the operation runs between the two looks
 * at the clock.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "tests/bench/worker.h"

void die(const char *what)
{
    perror(what);
    exit(1);
}

long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (long long)time.tv_sec * 1000000000 + time.tv_nsec;
}

static long long processor_of(int who)
{
    struct rusage usage;
    getrusage(who, &usage);
    return ((long long)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000 +
           ((long long)usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

static long long processor_time(void)
{
    return processor_of(RUSAGE_SELF) + processor_of(RUSAGE_CHILDREN);
}

int number(const char *text)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || (*end != '\0' && *end != '\n') || value < 1 ||
        value > 1000000000) {
        fprintf(stderr, "no number from 1 to 1000000000: '%s'\n", text);
        exit(2);
    }
    return (int)value;
}

static long long repeat(const struct operation *operation, int count)
{
    long long begin = now();
    for (int i = 0; i < count; i++)
        operation->run();
    return now() - begin;
}

int serve_counts(void (*measure)(int count))
{
    char line[32];
    while (fgets(line, sizeof line, stdin) != NULL) {
        measure(number(line));
        fflush(stdout);
    }
    return 0;
}

static const struct operation *served;

static void measure_operation(int count)
{
    long long processor = processor_time();
    long long wall = repeat(served, count);
    processor = processor_time() - processor;
    printf("time %.2f processor %.2f\n", (double)wall / count, (double)processor / count);
}

int serve(const struct operation *operations, const char *name, const char *count)
{
    const struct operation *operation = operations;
    while (operation->name != NULL && strcmp(operation->name, name) != 0)
        operation++;
    if (operation->name == NULL) {
        fprintf(stderr, "no operation '%s'\n", name);
        return 2;
    }
    if (count != NULL) {
        int times = number(count);
        printf("%.2f\n", (double)repeat(operation, times) / times);
        return 0;
    }
    served = operation;
    return serve_counts(measure_operation);
}
