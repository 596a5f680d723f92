/*
 * The words that follow the program's name, as they stand while `#!` lines, env(1) and the loader
 * are followed. Fixed room only; what does not fit is remembered as an overflow, never cut in
 * silence.
 */
#include "shim/program/facts.h"

#include <string.h>

const char *words_take(struct words *words)
{
    if (words->front_count > 0)
        return words->front[--words->front_count];
    if (words->rest == NULL || *words->rest == NULL)
        return NULL;
    return *words->rest++;
}

void words_put_back(struct words *words, const char *word)
{
    if (word == NULL || words->front_count == WORDS_FRONT)
        words->overflow = true;
    else
        words->front[words->front_count++] = word;
}

char *words_copy(struct words *words, const char *text, size_t length)
{
    if (length >= sizeof words->text - words->text_used) {
        words->overflow = true;
        return NULL;
    }
    char *copy = words->text + words->text_used;
    memcpy(copy, text, length);
    copy[length] = '\0';
    words->text_used += length + 1;
    return copy;
}
