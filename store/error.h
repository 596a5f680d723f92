/* error.h: errors as values. Nothing here prints, exits or allocates. */
#ifndef TABLESTORE_ERROR_H
#define TABLESTORE_ERROR_H

#include "store/tablestore.h"

/* Fills in *error (which may be NULL) and returns false. The message becomes "FILE: byte OFFSET: …"
 * when there is a file; offset -1 stands for none. */
bool fail(struct tablestore_error *error, enum tablestore_status status, const char *file,
          int64_t offset, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The same for a refused system call: adds what errno says. */
bool fail_system(struct tablestore_error *error, const char *file, const char *what);

/* Memory ran out. */
bool fail_memory(struct tablestore_error *error);

/* The text as it may be printed, cut to what fits; returns buffer. */
#define VISIBLE_SIZE 200
const char *visible(const char *text, char buffer[VISIBLE_SIZE]);
const char *visible_bytes(const void *bytes, size_t length, char buffer[VISIBLE_SIZE]);

#endif
