/* condition.c: building conditions, binding them to a table, and judging a row by them.
 * Rows are judged by their encoded blocks; only a regular expression needs the text itself.
 * It must never allocate for a row what it could keep for the next. */
#include "store/condition.h"

#include <stdlib.h>

/* ---- Building ---- */

static tablestore_condition *make(enum condition_kind kind, const char *field)
{
    tablestore_condition *condition = calloc(1, sizeof *condition);
    if (condition == NULL)
        return NULL;
    condition->kind = kind;
    if (field != NULL && (condition->field = strdup(field)) == NULL) {
        free(condition);
        return NULL;
    }
    return condition;
}

void tablestore_condition_free(tablestore_condition *condition)
{
    if (condition == NULL)
        return;
    tablestore_condition_free(condition->left);
    tablestore_condition_free(condition->right);
    free(condition->field);
    bytes_free(&condition->text);
    free(condition);
}

static tablestore_condition *make_with_text(enum condition_kind kind, const char *field,
                                            const char *text, size_t length)
{
    tablestore_condition *condition = field == NULL || text == NULL ? NULL : make(kind, field);
    /* The terminating NUL is for regcomp. */
    if (condition != NULL && bytes_append(&condition->text, text, length) &&
        bytes_append(&condition->text, "", 1)) {
        condition->text.length--;
        return condition;
    }
    tablestore_condition_free(condition);
    return NULL;
}

tablestore_condition *tablestore_compare(const char *field, enum tablestore_comparison comparison,
                                         const char *text, size_t length)
{
    tablestore_condition *condition = make_with_text(CONDITION_COMPARE, field, text, length);
    if (condition != NULL)
        condition->comparison = comparison;
    return condition;
}

tablestore_condition *tablestore_compare_value(const char *field,
                                               enum tablestore_comparison comparison,
                                               const struct tablestore_value *value)
{
    if (value == NULL)
        return NULL;
    bool text =
        !value->null && (value->type == TABLESTORE_STR || value->type == TABLESTORE_UNICODE);
    tablestore_condition *condition = tablestore_compare(
        field, comparison, text ? value->text.bytes : "", text ? value->text.length : 0);
    if (condition != NULL) {
        condition->has_value = true;
        condition->value = *value;
        if (text)
            condition->value.text.bytes = (const char *)condition->text.data;
    }
    return condition;
}

tablestore_condition *tablestore_match(const char *field, const char *expression)
{
    return make_with_text(CONDITION_MATCH, field, expression,
                          expression == NULL ? 0 : strlen(expression));
}

tablestore_condition *tablestore_is_null(const char *field)
{
    return field == NULL ? NULL : make(CONDITION_NULL, field);
}

static tablestore_condition *join(enum condition_kind kind, tablestore_condition *left,
                                  tablestore_condition *right)
{
    bool complete = left != NULL && (right != NULL || kind == CONDITION_NOT);
    tablestore_condition *condition = complete ? make(kind, NULL) : NULL;
    if (condition == NULL) {
        tablestore_condition_free(left);
        tablestore_condition_free(right);
        return NULL;
    }
    condition->left = left;
    condition->right = right;
    return condition;
}

tablestore_condition *tablestore_and(tablestore_condition *left, tablestore_condition *right)
{
    return join(CONDITION_AND, left, right);
}

tablestore_condition *tablestore_or(tablestore_condition *left, tablestore_condition *right)
{
    return join(CONDITION_OR, left, right);
}

tablestore_condition *tablestore_not(tablestore_condition *operand)
{
    return join(CONDITION_NOT, operand, NULL);
}

/* ---- Binding ---- */

void bound_condition_free(struct bound_condition *condition)
{
    if (condition == NULL)
        return;
    bound_condition_free(condition->left);
    bound_condition_free(condition->right);
    if (condition->has_expression)
        regfree(&condition->expression);
    bytes_free(&condition->block);
    free(condition);
}

static bool bind_constant(struct bound_condition *bound, const tablestore_condition *condition,
                          struct tablestore_error *error)
{
    struct tablestore_value value = condition->value;
    if (!condition->has_value &&
        !tablestore_value_parse(bound->type, (const char *)condition->text.data,
                                condition->text.length, &value, error))
        return false;
    return block_encode(bound->type, &value, &bound->block, condition->field, error);
}

static bool bind_expression(struct bound_condition *bound, const tablestore_condition *condition,
                            struct tablestore_error *error)
{
    char reason[128], shown[VISIBLE_SIZE];
    const char *expression = (const char *)condition->text.data;
    if (bound->type != TABLESTORE_STR && bound->type != TABLESTORE_UNICODE)
        return failure(error, TABLESTORE_TYPE, NULL, -1,
                       "field %s is not a text that an expression could match", condition->field);
    int code = regcomp(&bound->expression, expression, REG_EXTENDED | REG_NOSUB);
    if (code != 0) {
        regerror(code, &bound->expression, reason, sizeof reason);
        return failure(error, TABLESTORE_ARGUMENT, NULL, -1, "not a regular expression: %s: %s",
                       visible(expression, shown), reason);
    }
    bound->has_expression = true;
    return true;
}

static bool bind_into(struct bound_condition *bound, const tablestore_condition *condition,
                      const struct schema *schema, struct tablestore_error *error)
{
    bound->kind = condition->kind;
    bound->comparison = condition->comparison;
    if (condition->left != NULL &&
        (bound->left = condition_bind(condition->left, schema, error)) == NULL)
        return false;
    if (condition->right != NULL &&
        (bound->right = condition_bind(condition->right, schema, error)) == NULL)
        return false;
    if (condition->field == NULL)
        return true;
    if (!schema_require(schema, condition->field, &bound->field, error))
        return false;
    bound->type = schema->fields[bound->field].type;
    if (condition->kind == CONDITION_COMPARE)
        return bind_constant(bound, condition, error);
    return condition->kind != CONDITION_MATCH || bind_expression(bound, condition, error);
}

struct bound_condition *condition_bind(const tablestore_condition *condition,
                                       const struct schema *schema, struct tablestore_error *error)
{
    struct bound_condition *bound = calloc(1, sizeof *bound);
    if (bound == NULL) {
        record_memory_failure(error);
        return NULL;
    }
    if (bind_into(bound, condition, schema, error))
        return bound;
    bound_condition_free(bound);
    return NULL;
}

size_t condition_first_field(const struct bound_condition *condition, size_t count)
{
    if (condition == NULL)
        return count;
    size_t first = condition->left == NULL && condition->right == NULL ? condition->field : count;
    size_t left = condition_first_field(condition->left, count);
    size_t right = condition_first_field(condition->right, count);
    first = left < first ? left : first;
    return right < first ? right : first;
}

/* ---- Judging ---- */

static int compare(const struct bound_condition *condition, struct block block)
{
    struct block constant = {condition->block.data, condition->block.length};
    enum tablestore_comparison comparison = condition->comparison;
    if (comparison == TABLESTORE_EQUAL || comparison == TABLESTORE_NOT_EQUAL) {
        bool null = block.bytes[0] == FLAG_NULL && constant.bytes[0] == FLAG_NULL;
        bool equal = null || (block.length == constant.length &&
                              memcmp(block.bytes, constant.bytes, block.length) == 0);
        return equal == (comparison == TABLESTORE_EQUAL);
    }
    if (block.bytes[0] != FLAG_VALUE || constant.bytes[0] != FLAG_VALUE)
        return false;
    int order = block_compare(condition->type, block, constant);
    switch (comparison) {
    case TABLESTORE_LESS:
        return order < 0;
    case TABLESTORE_LESS_OR_EQUAL:
        return order <= 0;
    case TABLESTORE_GREATER:
        return order > 0;
    default:
        return order >= 0;
    }
}

static int match(const struct bound_condition *condition, struct block block, struct bytes *scratch)
{
    struct tablestore_value value;
    if (block.bytes[0] != FLAG_VALUE)
        return false;
    scratch->length = 0;
    if (!bytes_reserve(scratch, block.length) ||
        block_decode(condition->type, block, &value, (char *)scratch->data) != NULL)
        return -2;
    /* The end is said twice, because not every regexec knows REG_STARTEND; the block was longer. */
    scratch->data[value.text.length] = '\0';
    regmatch_t range = {.rm_so = 0, .rm_eo = (regoff_t)value.text.length};
    return regexec(&condition->expression, (const char *)scratch->data, 1, &range, REG_STARTEND) ==
           0;
}

int condition_evaluate(const struct bound_condition *condition, condition_fetch *fetch,
                       void *context, struct bytes *scratch)
{
    struct block block;
    int left;
    switch (condition->kind) {
    case CONDITION_AND:
    case CONDITION_OR:
        left = condition_evaluate(condition->left, fetch, context, scratch);
        if (left < 0 || left == (condition->kind == CONDITION_OR))
            return left;
        return condition_evaluate(condition->right, fetch, context, scratch);
    case CONDITION_NOT:
        left = condition_evaluate(condition->left, fetch, context, scratch);
        return left < 0 ? left : !left;
    default:
        break;
    }
    if (!fetch(context, condition->field, &block))
        return -1;
    if (condition->kind == CONDITION_NULL)
        return block.bytes[0] == FLAG_NULL;
    return condition->kind == CONDITION_MATCH ? match(condition, block, scratch)
                                              : compare(condition, block);
}
