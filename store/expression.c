/* expression.c: the language of conditions, read by recursive descent.
 * It must never recurse deeper than a fixed bound, whatever the text. */
#include "store/condition.h"

#include <ctype.h>
#include <stdlib.h>

#define DEPTH_LIMIT 200

struct reader {
    const char *text, *at;
    int depth;
    struct tablestore_error *error;
    bool failed;
};

static tablestore_condition *complain(struct reader *reader, const char *what)
{
    if (!reader->failed)
        record_failure(reader->error, TABLESTORE_ARGUMENT, NULL, -1, "condition, character %zu: %s",
                       (size_t)(reader->at - reader->text) + 1, what);
    reader->failed = true;
    return NULL;
}

static void skip_blanks(struct reader *reader)
{
    while (isspace((unsigned char)*reader->at))
        reader->at++;
}

static bool is_word(char character)
{
    return character != '\0' && !isspace((unsigned char)character) &&
           strchr("()=<>!~'\"", character) == NULL;
}

/* Takes the word when it comes next, and is not part of a longer one. */
static bool take_word(struct reader *reader, const char *word)
{
    size_t length = strlen(word);
    skip_blanks(reader);
    if (strncmp(reader->at, word, length) != 0 || is_word(reader->at[length]))
        return false;
    reader->at += length;
    return true;
}

static bool take(struct reader *reader, const char *symbol)
{
    size_t length = strlen(symbol);
    skip_blanks(reader);
    if (strncmp(reader->at, symbol, length) != 0)
        return false;
    reader->at += length;
    return true;
}

/* A word, or a text in quotes, which are doubled inside. */
static bool take_constant(struct reader *reader, struct bytes *to)
{
    skip_blanks(reader);
    char quote = *reader->at;
    bool done = true;
    if (quote != '\'' && quote != '"') {
        const char *start = reader->at;
        while (is_word(*reader->at))
            reader->at++;
        if (reader->at == start)
            return complain(reader, "a constant is missing") != NULL;
        done = bytes_append(to, start, (size_t)(reader->at - start));
    } else {
        for (reader->at++; done; reader->at++) {
            if (*reader->at == '\0')
                return complain(reader, "a quote is not closed") != NULL;
            if (*reader->at == quote && *++reader->at != quote)
                break;
            done = bytes_append(to, reader->at, 1);
        }
    }
    return (done && bytes_append(to, "", 1)) || complain(reader, "no memory") != NULL;
}

static tablestore_condition *negate_if(bool negated, tablestore_condition *condition)
{
    return negated ? tablestore_not(condition) : condition;
}

/* What follows the name of a field. */
static tablestore_condition *read_test(struct reader *reader, const char *field)
{
    static const struct {
        const char *symbol;
        enum tablestore_comparison comparison;
    } comparisons[] = {
        {"==", TABLESTORE_EQUAL},
        {"=", TABLESTORE_EQUAL},
        {"!=", TABLESTORE_NOT_EQUAL},
        {"<>", TABLESTORE_NOT_EQUAL},
        {"<=", TABLESTORE_LESS_OR_EQUAL},
        {"<", TABLESTORE_LESS},
        {">=", TABLESTORE_GREATER_OR_EQUAL},
        {">", TABLESTORE_GREATER},
    };
    if (take_word(reader, "is")) {
        bool negated = take_word(reader, "not");
        if (!take_word(reader, "null"))
            return complain(reader, "expected null");
        return negate_if(negated, tablestore_is_null(field));
    }
    bool unmatched = take(reader, "!~");
    struct bytes constant = {0};
    tablestore_condition *condition = NULL;
    if (unmatched || take(reader, "~")) {
        if (take_constant(reader, &constant))
            condition = negate_if(unmatched, tablestore_match(field, (char *)constant.data));
        bytes_free(&constant);
        return condition;
    }
    for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++) {
        if (!take(reader, comparisons[i].symbol))
            continue;
        if (take_constant(reader, &constant))
            condition = tablestore_compare(field, comparisons[i].comparison, (char *)constant.data,
                                           constant.length - 1);
        bytes_free(&constant);
        return condition;
    }
    return complain(reader, "expected = != < <= > >= ~ !~ or is");
}

static tablestore_condition *read_or(struct reader *reader);

static tablestore_condition *read_term(struct reader *reader)
{
    if (take_word(reader, "not")) {
        if (++reader->depth > DEPTH_LIMIT)
            return complain(reader, "nested too deeply");
        tablestore_condition *operand = read_term(reader);
        reader->depth--;
        return tablestore_not(operand);
    }
    if (take(reader, "(")) {
        if (++reader->depth > DEPTH_LIMIT)
            return complain(reader, "nested too deeply");
        tablestore_condition *inner = read_or(reader);
        reader->depth--;
        if (inner == NULL || take(reader, ")"))
            return inner;
        tablestore_condition_free(inner);
        return complain(reader, "expected )");
    }
    skip_blanks(reader);
    const char *start = reader->at;
    while (is_word(*reader->at))
        reader->at++;
    if (reader->at == start)
        return complain(reader, "the name of a field is missing");
    char *field = strndup(start, (size_t)(reader->at - start));
    tablestore_condition *condition = field == NULL ? NULL : read_test(reader, field);
    free(field);
    return condition;
}

/* Terms joined by one word. A chain leans to the left; its length is bounded like the depth,
 * because whoever walks the condition recurses as deep. */
static tablestore_condition *
read_chain(struct reader *reader, const char *word, tablestore_condition *(*read)(struct reader *),
           tablestore_condition *(*join)(tablestore_condition *, tablestore_condition *))
{
    tablestore_condition *left = read(reader);
    for (int terms = 1; left != NULL && take_word(reader, word); terms++) {
        if (terms >= 100 * DEPTH_LIMIT) {
            tablestore_condition_free(left);
            return complain(reader, "too many terms");
        }
        left = join(left, read(reader));
    }
    return left;
}

static tablestore_condition *read_and(struct reader *reader)
{
    return read_chain(reader, "and", read_term, tablestore_and);
}

static tablestore_condition *read_or(struct reader *reader)
{
    return read_chain(reader, "or", read_and, tablestore_or);
}

tablestore_condition *tablestore_condition_parse(const char *text, struct tablestore_error *error)
{
    struct reader reader = {.text = text, .at = text, .error = error};
    tablestore_condition *condition = read_or(&reader);
    skip_blanks(&reader);
    if (condition != NULL && *reader.at != '\0') {
        tablestore_condition_free(condition);
        return complain(&reader, "expected and, or, or the end");
    }
    if (condition == NULL && !reader.failed)
        record_memory_failure(error);
    // cppcheck-suppress returnDanglingLifetime ; the condition keeps nothing of the reader
    return condition;
}
