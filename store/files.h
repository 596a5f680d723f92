/* files.h: whole reads and writes on the files of one directory, with errors that name them.
 * Nothing here knows the format. */
#ifndef TABLESTORE_FILES_H
#define TABLESTORE_FILES_H

#include "store/bytes.h"
#include "store/error.h"

#include <sys/stat.h>

/* Offsets in a table are int32. */
#define FILE_SIZE_LIMIT INT32_MAX

/* Opens a regular file of the directory; links and anything else are refused. -1 on failure. */
int file_open(int directory, const char *name, int flags, struct tablestore_error *error);

/* The size; one beyond FILE_SIZE_LIMIT is damage. -1 on failure. */
int64_t file_size(int file, const char *name, struct tablestore_error *error);

/* Reads so many bytes from offset; to find fewer is damage. */
bool file_read(int file, const char *name, void *to, size_t length, int64_t offset,
               struct tablestore_error *error);

/* Reads up to so many bytes; -1 on failure. */
ssize_t file_read_some(int file, const char *name, void *to, size_t length, int64_t offset,
                       struct tablestore_error *error);

/* Appends a whole file to the bytes. */
bool file_read_whole(int file, const char *name, struct bytes *to, struct tablestore_error *error);

bool file_write(int file, const char *name, const void *from, size_t length, int64_t offset,
                struct tablestore_error *error);

/* Opens, reads whole and closes. */
bool file_load(int directory, const char *name, struct bytes *to, struct tablestore_error *error);

/* Makes a file of these bytes, which must not exist yet unless replace is set. */
bool file_store(int directory, const char *name, const struct bytes *from, bool replace,
                struct tablestore_error *error);

/* What tells whether a file was changed or replaced. */
struct file_identity {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};
bool file_identify(int directory, const char *name, struct file_identity *identity);
bool file_identity_equal(const struct file_identity *left, const struct file_identity *right);

#endif
