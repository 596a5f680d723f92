/* schema.h: the fields of a table: names, types, defaults, and their two files in memory.
 * Nothing here opens a file. */
#ifndef TABLESTORE_SCHEMA_H
#define TABLESTORE_SCHEMA_H

#include "store/block.h"

#define FILE_INFO "__info__"
#define FILE_DEFAULTS "__defaults__"
#define FILE_SLOTS "__pos__"
#define FILE_IDS "_id_pos"
#define FILE_DEAD_ROWS "__del_rows__"

/* The first two fields of every table. */
enum { FIELD_ID, FIELD_VERSION, FIRST_USER_FIELD };

/* More fields than a process may have files open are of no use to anybody. */
#define SCHEMA_FIELD_LIMIT 4096

struct schema {
    size_t count;
    struct tablestore_field *fields; /* all strings and default texts are the schema's own */
    struct bytes *default_blocks;    /* of each field, as stored */
};

void schema_free(struct schema *schema);
bool schema_copy(struct schema *schema, const struct schema *from, struct tablestore_error *error);

/* Whether a new field may be called that. */
bool schema_check_name(const char *name, struct tablestore_error *error);

/* Inserts a copy of the field before position; every default is checked. */
bool schema_insert(struct schema *schema, size_t position, const struct tablestore_field *field,
                   struct tablestore_error *error);
void schema_remove(struct schema *schema, size_t position);
bool schema_set_default(struct schema *schema, size_t position,
                        const struct tablestore_value *value, struct tablestore_error *error);

/* The fields that every table starts with. */
bool schema_start(struct schema *schema, struct tablestore_error *error);

/* From the bytes of __info__ and __defaults__, and back. */
bool schema_read(struct schema *schema, const struct bytes *info, const struct bytes *defaults,
                 struct tablestore_error *error);
bool schema_write_info(const struct schema *schema, struct bytes *info);
bool schema_write_defaults(const struct schema *schema, struct bytes *defaults);

/* Reads __info__ alone, into a schema whose defaults are null. */
bool schema_read_info(struct schema *schema, const struct bytes *info,
                      struct tablestore_error *error);
bool schema_read_defaults(struct schema *schema, const struct bytes *defaults,
                          struct tablestore_error *error);

/* The position of the field, or -1. */
ptrdiff_t schema_find(const struct schema *schema, const char *name, size_t length);

/* The same; NOT_FOUND when there is none. */
bool schema_require(const struct schema *schema, const char *name, size_t *position,
                    struct tablestore_error *error);

const struct type *schema_type(const struct schema *schema, size_t position);

#endif
