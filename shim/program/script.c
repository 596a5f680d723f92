/*
 * The `#!` line, cut up as the kernel does (fs/binfmt_script.c): 256 bytes, blanks and tabs, one
 * optional argument that keeps its inner blanks. It must not accept what the kernel refuses: that
 * goes to /bin/sh instead.
 */
#include "shim/program/facts.h"

#include <string.h>

static bool is_blank(char character)
{
    return character == ' ' || character == '\t';
}

static const char *skip_blanks(const char *from, const char *end)
{
    while (from < end && is_blank(*from))
        from++;
    return from;
}

/* The end of the word at `from`: a blank, a NUL, or NULL if it goes on beyond `end`. */
static const char *find_terminator(const char *from, const char *end)
{
    for (; from < end; from++)
        if (is_blank(*from) || *from == '\0')
            return from;
    return NULL;
}

bool script_read(const struct program_file *file, char interpreter[SCRIPT_LINE_SIZE],
                 struct words *words)
{
    char line[SCRIPT_LINE_SIZE] = {0};
    size_t size = file->head_size < sizeof line ? file->head_size : sizeof line;
    memcpy(line, file->head, size);
    if (line[0] != '#' || line[1] != '!')
        return false;
    const char *end = memchr(line, '\n', sizeof line);
    if (end == NULL) {
        /* A cut-off argument is accepted, a cut-off interpreter is not. */
        end = line + sizeof line - 1;
        if (find_terminator(skip_blanks(line + 2, end), end) == NULL)
            return false;
    }
    while (end > line + 2 && is_blank(end[-1]))
        end--;
    const char *name = skip_blanks(line + 2, end);
    const char *name_end = find_terminator(name, end);
    const char *argument = NULL;
    if (name_end == NULL)
        name_end = end;
    else if (*name_end != '\0')
        argument = skip_blanks(name_end, end);
    if (name_end == name)
        return false;
    memcpy(interpreter, name, (size_t)(name_end - name));
    interpreter[name_end - name] = '\0';

    /* The script's own name comes next. Only env without a command would run that: in a circle. */
    words_put_back(words, "");
    if (argument != NULL && argument < end)
        words_put_back(words,
                       words_copy(words, argument, strnlen(argument, (size_t)(end - argument))));
    return true;
}
