/* support.h: what the unit tests of the store share: a directory of their own, short ways to make
 * tables and records, and failing with the store's own message. */
#ifndef TESTS_STORE_SUPPORT_H
#define TESTS_STORE_SUPPORT_H

/* clang-format off: cmocka wants these before it */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "store/tablestore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Makes a new directory the working directory; leaving removes it. */
int enter_directory(void **state);
int leave_directory(void **state);

/* A file of a table, whole; to be freed. */
char *read_file(const char *table, const char *file, size_t *length);
void write_file(const char *table, const char *file, const void *bytes, size_t length);

/* Copies a sample table into the working directory. */
void copy_sample(const char *name);

#define require(call)                                                                              \
    do {                                                                                           \
        if (!(call))                                                                               \
            fail_msg("%s: %s", #call, error.message);                                              \
    } while (0)

#define refuse(expected_status, call)                                                              \
    do {                                                                                           \
        error.status = TABLESTORE_OK;                                                              \
        if (call)                                                                                  \
            fail_msg("%s: was not refused", #call);                                                \
        if (error.status != (expected_status))                                                     \
            fail_msg("%s: refused otherwise: %s", #call, error.message);                           \
        assert_true(strlen(error.message) > 0);                                                    \
    } while (0)

struct tablestore_value int_value(int64_t integer);
struct tablestore_value float_value(double real);
struct tablestore_value bool_value(bool boolean);
struct tablestore_value text_value(enum tablestore_type type, const char *text);
struct tablestore_value null_value(enum tablestore_type type);
struct tablestore_value parsed_value(enum tablestore_type type, const char *text);

/* Fails unless verify finds nothing. */
void assert_sound(const char *table);

/* How many findings verify has. */
int64_t count_findings(const char *table);

#endif
