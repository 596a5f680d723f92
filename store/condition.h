/* condition.h: conditions, and their form for one table. */
#ifndef TABLESTORE_CONDITION_H
#define TABLESTORE_CONDITION_H

#include "store/schema.h"

#include <regex.h>

enum condition_kind {
    CONDITION_COMPARE,
    CONDITION_MATCH,
    CONDITION_NULL,
    CONDITION_AND,
    CONDITION_OR,
    CONDITION_NOT
};

struct tablestore_condition {
    enum condition_kind kind;
    struct tablestore_condition *left, *right; /* of and, or; left alone of not */
    char *field;
    enum tablestore_comparison comparison;
    struct bytes text; /* the constant as text, or the regular expression */
    bool has_value;
    struct tablestore_value value; /* the constant; a text's bytes are in text */
};

/* A condition bound to a table: fields are positions, constants are blocks. */
struct bound_condition {
    enum condition_kind kind;
    struct bound_condition *left, *right;
    size_t field;
    enum tablestore_type type;
    enum tablestore_comparison comparison;
    struct bytes block;
    regex_t expression;
    bool has_expression;
};

struct bound_condition *condition_bind(const tablestore_condition *condition,
                                       const struct schema *schema, struct tablestore_error *error);
void bound_condition_free(struct bound_condition *condition);

/* Gives the block of a field in the row at hand; false on failure. */
typedef bool condition_fetch(void *context, size_t field, struct block *block);

/* Whether the row at hand fulfils the condition; -1 when a block could not be had, -2 when it does
 * not decode. Scratch is for texts, and kept between rows. */
int condition_evaluate(const struct bound_condition *condition, condition_fetch *fetch,
                       void *context, struct bytes *scratch);

/* The lowest field that the condition names; count when there is none. */
size_t condition_first_field(const struct bound_condition *condition, size_t count);

#endif
