/*
 * Numbers become texts here. Whatever the number, the text fits, and it never tells more digits
 * than anybody wants to read.
 */
#include "lockctl/format.h"

#include <langinfo.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECOND 1000000000u

bool format_is_utf8(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* By hand: there may be thousands. */
const char *format_number(char text[static FORMAT_TEXT], uint64_t number)
{
    char *digits = &text[FORMAT_TEXT - 1];
    *digits = '\0';
    do
        *--digits = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    return digits;
}

/* value / unit: with one decimal where it is below ten. False when it rounds to `limit` or more. */
static bool format_below(char *text, uint64_t value, uint64_t unit, unsigned limit,
                         const char *name)
{
    uint64_t tenths = (value / unit) * 10 + ((value % unit) * 10 + unit / 2) / unit;
    uint64_t whole = value / unit + (value % unit >= unit - unit / 2 ? 1 : 0);
    if (tenths < 100)
        (void)snprintf(text, FORMAT_TEXT, "%d.%d %s", (int)(tenths / 10), (int)(tenths % 10), name);
    else if (whole < limit)
        (void)snprintf(text, FORMAT_TEXT, "%d %s", (int)whole, name);
    else
        return false;
    return true;
}

/* A number of units, and how many of the next smaller ones remain, if any. */
static const char *format_pair(char *text, uint64_t larger, const char *large, uint64_t smaller,
                               const char *small)
{
    int length = snprintf(text, FORMAT_TEXT, "%llu %s", (unsigned long long)larger, large);
    if (smaller > 0)
        (void)snprintf(text + length, FORMAT_TEXT - (size_t)length, " %d %s", (int)smaller, small);
    return text;
}

const char *format_duration(char text[static FORMAT_TEXT], uint64_t nanoseconds)
{
    if (nanoseconds == 0)
        return strcpy(text, "0 s");
    if (nanoseconds < 1000)
        (void)snprintf(text, FORMAT_TEXT, "%d ns", (int)nanoseconds);
    else if (!format_below(text, nanoseconds, 1000, 1000, format_is_utf8() ? "\302\265s" : "us") &&
             !format_below(text, nanoseconds, 1000000, 1000, "ms") &&
             !format_below(text, nanoseconds, SECOND, 60, "s")) {
        uint64_t seconds = nanoseconds / SECOND + (nanoseconds % SECOND >= SECOND / 2 ? 1 : 0);
        uint64_t minutes = (seconds + 30) / 60;
        uint64_t hours = (seconds + 1800) / 3600;
        if (seconds < 600)
            return format_pair(text, seconds / 60, "min", seconds % 60, "s");
        if (minutes < 60)
            return format_pair(text, minutes, "min", 0, "");
        if (hours < 24)
            return format_pair(text, minutes / 60, "h", minutes % 60, "min");
        return format_pair(text, hours / 24, "d", hours % 24, "h");
    }
    return text;
}

const char *format_seconds(char text[static FORMAT_TEXT], uint64_t nanoseconds)
{
    (void)snprintf(text, FORMAT_TEXT, "%llu.%09llu", (unsigned long long)(nanoseconds / SECOND),
                   (unsigned long long)(nanoseconds % SECOND));
    return text;
}

const char *format_size(char text[static FORMAT_TEXT], uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        (void)snprintf(text, FORMAT_TEXT, "%d B", (int)bytes);
        return text;
    }
    uint64_t unit = 1024;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++, unit *= 1024)
        if (format_below(text, bytes, unit, 1024, units[i]))
            break;
    return text;
}

const char *format_time(char text[static FORMAT_TEXT], uint64_t realtime)
{
    time_t seconds = (time_t)(realtime / SECOND);
    struct tm parts;
    if (localtime_r(&seconds, &parts) == NULL ||
        strftime(text, FORMAT_TEXT, "%Y-%m-%d %H:%M:%S", &parts) == 0)
        return strcpy(text, "?");
    return text;
}

const char *format_time_exact(char text[static FORMAT_TEXT], uint64_t realtime)
{
    time_t seconds = (time_t)(realtime / SECOND);
    struct tm parts;
    size_t length = 0;
    if (gmtime_r(&seconds, &parts) != NULL)
        length = strftime(text, FORMAT_TEXT, "%Y-%m-%dT%H:%M:%S", &parts);
    if (length == 0)
        return strcpy(text, "?");
    (void)snprintf(text + length, FORMAT_TEXT - length, ".%06dZ", (int)(realtime % SECOND / 1000));
    return text;
}
