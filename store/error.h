/* error.h: errors as values. Nothing here prints, exits or allocates. */
#ifndef TABLESTORE_ERROR_H
#define TABLESTORE_ERROR_H

#include "store/tablestore.h"

/* Each of these fills in *error, which may be NULL, and is false. The message becomes "FILE: byte
 * OFFSET: ..." when there is a file; offset -1 stands for none. */
#define failure(...) (record_failure(__VA_ARGS__), false)
/* For a refused system call: adds what errno says. */
#define system_failure(error, file, what) (record_system_failure(error, file, what), false)
#define memory_failure(error) (record_memory_failure(error), false)

void record_failure(struct tablestore_error *error, enum tablestore_status status, const char *file,
                    int64_t offset, const char *format, ...) __attribute__((format(printf, 5, 6)));
void record_system_failure(struct tablestore_error *error, const char *file, const char *what);
void record_memory_failure(struct tablestore_error *error);

/* The text as it may be printed, cut to what fits; returns buffer. */
#define VISIBLE_SIZE 200
const char *visible(const char *text, char buffer[VISIBLE_SIZE]);
const char *visible_bytes(const void *bytes, size_t length, char buffer[VISIBLE_SIZE]);

#endif
