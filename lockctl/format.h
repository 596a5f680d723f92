/*
 * Times, sizes and dates as people say them, and exactly. The texts are plain ASCII, but for the µ
 * of microseconds where the locale is UTF-8.
 */
#ifndef LOCKCTL_FORMAT_H
#define LOCKCTL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORMAT_TEXT 40

/* How long: "0 s", "850 ns", "12 ms", "3.4 s", "2 min 5 s", "2 h 5 min", "3 d 4 h". */
const char *format_duration(char text[static FORMAT_TEXT], uint64_t nanoseconds);

/* The same, exactly: seconds with nine decimals, "0.012000000". */
const char *format_seconds(char text[static FORMAT_TEXT], uint64_t nanoseconds);

/* "4711": the digits are at the end of the room, where what is returned points to. */
const char *format_number(char text[static FORMAT_TEXT], uint64_t number);

/* "512 B", "3.4 KiB", "12 MiB". */
const char *format_size(char text[static FORMAT_TEXT], uint64_t bytes);

/* A point of time (nanoseconds since 1970), in local time: "2026-11-23 21:07:16". */
const char *format_time(char text[static FORMAT_TEXT], uint64_t realtime);

/* The same, exactly: UTC, as ISO 8601 has it, "2026-11-23T20:07:16.123456Z". */
const char *format_time_exact(char text[static FORMAT_TEXT], uint64_t realtime);

/* Does the locale's encoding have more than ASCII in it? As setlocale() was told. */
bool format_is_utf8(void);

#endif
