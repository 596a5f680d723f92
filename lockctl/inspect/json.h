/*
 * JSON with arrays in objects in arrays, which libsmartcols can't do. Whatever is put in, what
 * comes out is valid JSON in UTF-8: a byte that is no UTF-8 becomes U+FFFD, a control character an
 * escape. Layout as libsmartcols': three blanks a level.
 */
#ifndef LOCKCTL_JSON_H
#define LOCKCTL_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
    FILE *file;
    int depth;
    bool first; /* nothing in this array or object yet */
};

/* Each names its value, except in arrays, where `key` is NULL. */
void json_open(struct json *json, const char *key, char bracket);     /* '{' or '[' */
void json_close(struct json *json, char bracket);                     /* '}' or ']' */
void json_text(struct json *json, const char *key, const char *text); /* NULL: null */
void json_number(struct json *json, const char *key, uint64_t number);
void json_boolean(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);

/* Nanoseconds as decimal seconds; negative: null. */
void json_seconds(struct json *json, const char *key, int64_t nanoseconds);

/* The length of the UTF-8 character at `at`; 0: there is none. */
unsigned json_character(const unsigned char *at, uint32_t *character);

#endif
