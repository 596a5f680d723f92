/* schema.c: the fields of a table, read from and written as __info__ and __defaults__.
 * It must never take a name from a file that could lead out of the table's directory. */
#include "store/schema.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define BASE_MARK "<base>"

static void field_free(struct tablestore_field *field, struct bytes *default_block)
{
    free((void *)(uintptr_t)field->name);
    free((void *)(uintptr_t)field->base);
    if (field->type == TABLESTORE_STR || field->type == TABLESTORE_UNICODE)
        free((void *)(uintptr_t)field->default_value.text.bytes);
    bytes_free(default_block);
}

void schema_free(struct schema *schema)
{
    for (size_t i = 0; i < schema->count; i++)
        field_free(&schema->fields[i], &schema->default_blocks[i]);
    free(schema->fields);
    free(schema->default_blocks);
    *schema = (struct schema){0};
}

const struct type *schema_type(const struct schema *schema, size_t position)
{
    return &type_table[schema->fields[position].type];
}

ptrdiff_t schema_find(const struct schema *schema, const char *name, size_t length)
{
    for (size_t i = 0; i < schema->count; i++)
        if (strlen(schema->fields[i].name) == length &&
            memcmp(schema->fields[i].name, name, length) == 0)
            return (ptrdiff_t)i;
    return -1;
}

bool schema_require(const struct schema *schema, const char *name, size_t *position,
                    struct tablestore_error *error)
{
    char shown[VISIBLE_SIZE];
    ptrdiff_t found = schema_find(schema, name, strlen(name));
    if (found < 0)
        return failure(error, TABLESTORE_NOT_FOUND, NULL, -1, "no field named %s",
                       visible(name, shown));
    *position = (size_t)found;
    return true;
}

bool schema_check_name(const char *name, struct tablestore_error *error)
{
    char shown[VISIBLE_SIZE];
    size_t length = strlen(name);
    bool good = length > 0 && length < 200 && isalpha((unsigned char)name[0]);
    for (size_t i = 0; good && i < length; i++)
        good = (isalnum((unsigned char)name[i]) || name[i] == '_') && isascii(name[i]);
    return good || failure(error, TABLESTORE_NAME, NULL, -1, "not a name for a field: %s",
                           visible(name, shown));
}

/* Names in an __info__ may be stranger than those that we would give, but must be those of files in
 * the table's directory, and not of a file with another purpose. */
static bool stored_name_is_safe(const char *name, size_t length)
{
    return length > 0 && length < 250 && name[0] != '.' && name[0] != '_' &&
           memchr(name, '/', length) == NULL && memchr(name, '\0', length) == NULL;
}

/* ---- Defaults ---- */

bool schema_set_default(struct schema *schema, size_t position,
                        const struct tablestore_value *value, struct tablestore_error *error)
{
    struct tablestore_field *field = &schema->fields[position];
    struct bytes block = {0};
    if (!block_encode(field->type, value, &block, field->name, error)) {
        bytes_free(&block);
        return false;
    }
    struct tablestore_value stored;
    char *room = malloc(block.length);
    const char *wrong =
        room == NULL
            ? "no memory"
            : block_decode(field->type, (struct block){block.data, block.length}, &stored, room);
    if (wrong != NULL) {
        free(room);
        bytes_free(&block);
        return failure(error, TABLESTORE_RANGE, NULL, -1, "default of %s: %s", field->name, wrong);
    }
    if (field->type == TABLESTORE_STR || field->type == TABLESTORE_UNICODE) {
        free((void *)(uintptr_t)field->default_value.text.bytes);
        stored.text.bytes = room; /* also when null, so that it is freed alike */
    } else {
        free(room);
    }
    bytes_free(&schema->default_blocks[position]);
    schema->default_blocks[position] = block;
    field->default_value = stored;
    return true;
}

/* ---- Fields ---- */

static bool grow(struct schema *schema)
{
    struct tablestore_field *fields = realloc(schema->fields, (schema->count + 1) * sizeof *fields);
    if (fields == NULL)
        return false;
    schema->fields = fields;
    struct bytes *blocks = realloc(schema->default_blocks, (schema->count + 1) * sizeof *blocks);
    if (blocks == NULL)
        return false;
    schema->default_blocks = blocks;
    return true;
}

void schema_remove(struct schema *schema, size_t position)
{
    field_free(&schema->fields[position], &schema->default_blocks[position]);
    size_t after = schema->count - position - 1;
    memmove(&schema->fields[position], &schema->fields[position + 1],
            after * sizeof *schema->fields);
    memmove(&schema->default_blocks[position], &schema->default_blocks[position + 1],
            after * sizeof *schema->default_blocks);
    schema->count--;
}

bool schema_insert(struct schema *schema, size_t position, const struct tablestore_field *field,
                   struct tablestore_error *error)
{
    char shown[VISIBLE_SIZE];
    bool reference = field->type == TABLESTORE_REFERENCE;
    if ((size_t)field->type >= TABLESTORE_TYPE_COUNT)
        return failure(error, TABLESTORE_TYPE, NULL, -1, "field %s: no such type",
                       visible(field->name, shown));
    if (reference != (field->base != NULL) || (reference && *field->base == '\0'))
        return failure(error, TABLESTORE_TYPE, NULL, -1,
                       "field %s: a reference needs a table, and no other type has one",
                       visible(field->name, shown));
    if (schema_find(schema, field->name, strlen(field->name)) >= 0)
        return failure(error, TABLESTORE_EXISTS, NULL, -1, "there is already a field named %s",
                       visible(field->name, shown));
    if (schema->count >= SCHEMA_FIELD_LIMIT)
        return failure(error, TABLESTORE_RANGE, NULL, -1, "a table has at most %d fields",
                       SCHEMA_FIELD_LIMIT);
    char *name = strdup(field->name);
    char *base = reference ? strdup(field->base) : NULL;
    if (name == NULL || (reference && base == NULL) || !grow(schema)) {
        free(name);
        free(base);
        return memory_failure(error);
    }
    size_t after = schema->count - position;
    memmove(&schema->fields[position + 1], &schema->fields[position],
            after * sizeof *schema->fields);
    memmove(&schema->default_blocks[position + 1], &schema->default_blocks[position],
            after * sizeof *schema->default_blocks);
    schema->fields[position] = (struct tablestore_field){
        .name = name, .type = field->type, .base = base, .default_value = {.type = field->type}};
    schema->default_blocks[position] = (struct bytes){0};
    schema->count++;
    if (schema_set_default(schema, position, &field->default_value, error))
        return true;
    schema_remove(schema, position);
    return false;
}

bool schema_start(struct schema *schema, struct tablestore_error *error)
{
    static const char *const names[] = {"__id__", "__version__"};
    for (size_t i = 0; i < FIRST_USER_FIELD; i++) {
        struct tablestore_field field = {
            .name = names[i], .type = TABLESTORE_INT, .default_value = {.null = true}};
        if (!schema_insert(schema, i, &field, error))
            return false;
    }
    return true;
}

bool schema_copy(struct schema *schema, const struct schema *from, struct tablestore_error *error)
{
    for (size_t i = 0; i < from->count; i++)
        if (!schema_insert(schema, i, &from->fields[i], error))
            return false;
    return true;
}

/* ---- __info__ ---- */

static bool append_quoted(struct bytes *to, const char *path)
{
    for (; *path != '\0'; path++) {
        unsigned char byte = (unsigned char)*path;
        char quoted[4] = {*path};
        if (!isascii(byte) || !(isalnum(byte) || strchr("_.-/", byte) != NULL))
            snprintf(quoted, sizeof quoted, "%%%02X", byte);
        if (!bytes_append(to, quoted, strlen(quoted)))
            return false;
    }
    return true;
}

static int hexadecimal(char digit)
{
    if (!isxdigit((unsigned char)digit))
        return -1;
    return isdigit((unsigned char)digit) ? digit - '0' : tolower((unsigned char)digit) - 'a' + 10;
}

/* As Python's urllib.unquote: what is no escape stands for itself. NULL for an escaped NUL. */
static char *unquote(const char *text, size_t length)
{
    char *path = malloc(length + 1);
    size_t used = 0;
    for (size_t i = 0; path != NULL && i < length; i++) {
        char byte = text[i];
        if (byte == '%' && i + 2 < length && hexadecimal(text[i + 1]) >= 0 &&
            hexadecimal(text[i + 2]) >= 0) {
            byte = (char)(16 * hexadecimal(text[i + 1]) + hexadecimal(text[i + 2]));
            i += 2;
        }
        if (byte == '\0') {
            free(path);
            return NULL;
        }
        path[used++] = byte;
    }
    if (path != NULL)
        path[used] = '\0';
    return path;
}

bool schema_write_info(const struct schema *schema, struct bytes *info)
{
    for (size_t i = 0; i < schema->count; i++) {
        const struct tablestore_field *field = &schema->fields[i];
        const char *type = type_table[field->type].name;
        if ((i > 0 && !bytes_append(info, " ", 1)) ||
            !bytes_append(info, field->name, strlen(field->name)) || !bytes_append(info, ":", 1) ||
            !bytes_append(info, type, strlen(type)) ||
            (field->base != NULL && !append_quoted(info, field->base)))
            return false;
    }
    return true;
}

/* One "name:type" of __info__. */
static bool read_field(struct schema *schema, const char *word, size_t length, int64_t offset,
                       struct tablestore_error *error)
{
    char shown[VISIBLE_SIZE];
    const char *colon = memchr(word, ':', length);
    size_t name_length = colon == NULL ? length : (size_t)(colon - word);
    if (colon == NULL || !stored_name_is_safe(word, name_length))
        return failure(error, TABLESTORE_DAMAGED, FILE_INFO, offset, "not the name of a field: %s",
                       visible_bytes(word, name_length, shown));
    const char *type_name = colon + 1;
    size_t type_length = length - name_length - 1;
    size_t mark = strlen(BASE_MARK);
    struct tablestore_field field = {.default_value = {.null = true}};
    char *base = NULL;
    if (type_length > mark && memcmp(type_name, BASE_MARK, mark) == 0) {
        base = unquote(type_name + mark, type_length - mark);
        field.type = base == NULL ? TABLESTORE_TYPE_COUNT : TABLESTORE_REFERENCE;
    } else {
        const struct type *type = type_by_name(type_name, type_length);
        field.type =
            type == NULL ? TABLESTORE_TYPE_COUNT : (enum tablestore_type)(type - type_table);
    }
    if (field.type == TABLESTORE_TYPE_COUNT)
        return failure(error, TABLESTORE_DAMAGED, FILE_INFO, offset, "no such type: %s",
                       visible_bytes(type_name, type_length, shown));
    char *name = strndup(word, name_length);
    field.name = name;
    field.base = base;
    struct tablestore_error inner;
    bool done = name != NULL && schema_insert(schema, schema->count, &field, &inner);
    if (name == NULL)
        record_memory_failure(error);
    else if (!done)
        record_failure(error, TABLESTORE_DAMAGED, FILE_INFO, offset, "%s", inner.message);
    free(name);
    free(base);
    return done;
}

bool schema_read_info(struct schema *schema, const struct bytes *info,
                      struct tablestore_error *error)
{
    static const char start[] = "__id__:int __version__:int";
    const char *text = (const char *)info->data;
    size_t position = strlen(start);
    if (info->length < position || memcmp(text, start, position) != 0 ||
        (info->length > position && !isspace((unsigned char)text[position])))
        return failure(error, TABLESTORE_DAMAGED, FILE_INFO, 0, "does not start with \"%s\"",
                       start);
    if (!schema_start(schema, error))
        return false;
    while (position < info->length) {
        size_t end = position;
        while (end < info->length && !isspace((unsigned char)text[end]))
            end++;
        if (end > position &&
            !read_field(schema, text + position, end - position, (int64_t)position, error))
            return false;
        position = end + 1;
    }
    return true;
}

/* ---- __defaults__ ---- */

bool schema_write_defaults(const struct schema *schema, struct bytes *defaults)
{
    for (size_t i = FIRST_USER_FIELD; i < schema->count; i++) {
        const char *name = schema->fields[i].name;
        const struct bytes *block = &schema->default_blocks[i];
        if (!bytes_append(defaults, name, strlen(name)) || !bytes_append(defaults, " ", 1) ||
            !bytes_append(defaults, block->data, block->length))
            return false;
    }
    return true;
}

/* The length of the default's block that starts there, or 0. Fixed-length blocks may hold any byte;
 * lines run to their newline. */
static size_t default_length(const struct type *type, const unsigned char *bytes, size_t left)
{
    if (!type->is_line)
        return type->block_length <= left ? type->block_length : 0;
    const unsigned char *newline = left == 0 ? NULL : memchr(bytes, '\n', left);
    return newline == NULL ? 0 : (size_t)(newline - bytes) + 1;
}

static bool read_default(struct schema *schema, size_t field, struct block block, int64_t offset,
                         struct tablestore_error *error)
{
    struct tablestore_value value;
    struct tablestore_error inner = {0};
    char *room = malloc(block.length);
    if (room == NULL)
        return memory_failure(error);
    const char *wrong = block_decode(schema->fields[field].type, block, &value, room);
    if (wrong == NULL && !schema_set_default(schema, field, &value, &inner))
        wrong = inner.message;
    free(room);
    return wrong == NULL || failure(error, TABLESTORE_DAMAGED, FILE_DEFAULTS, offset, "%s", wrong);
}

bool schema_read_defaults(struct schema *schema, const struct bytes *defaults,
                          struct tablestore_error *error)
{
    char shown[VISIBLE_SIZE];
    size_t position = 0;
    while (position < defaults->length) {
        const unsigned char *name = defaults->data + position;
        const unsigned char *blank = memchr(name, ' ', defaults->length - position);
        if (blank == NULL)
            return failure(error, TABLESTORE_DAMAGED, FILE_DEFAULTS, (int64_t)position,
                           "a name without a default");
        size_t length = (size_t)(blank - name);
        ptrdiff_t field = schema_find(schema, (const char *)name, length);
        if (field < FIRST_USER_FIELD)
            return failure(error, TABLESTORE_DAMAGED, FILE_DEFAULTS, (int64_t)position,
                           "a default for %s, which is no field",
                           visible_bytes(name, length, shown));
        position += length + 1;
        struct block block = {blank + 1, 0};
        block.length = default_length(schema_type(schema, (size_t)field), block.bytes,
                                      defaults->length - position);
        if (block.length == 0)
            return failure(error, TABLESTORE_DAMAGED, FILE_DEFAULTS, (int64_t)position,
                           "the default is cut short");
        if (!read_default(schema, (size_t)field, block, (int64_t)position, error))
            return false;
        position += block.length;
    }
    return true;
}

bool schema_read(struct schema *schema, const struct bytes *info, const struct bytes *defaults,
                 struct tablestore_error *error)
{
    return schema_read_info(schema, info, error) && schema_read_defaults(schema, defaults, error);
}
