/*
 * What env(1) would run, by its arguments: options, assignments, then the program; and the same
 * for the dynamic loader called as a program. Knows the options of coreutils' env (busybox' are
 * among them); changes nothing but the words.
 */
#include "shim/program/facts.h"

#include <string.h>

struct long_option {
    const char *name;
    char letter; /* the short option that does the same; 0: none that matters here */
    bool argument_required;
};

/* In the order in which an abbreviation is resolved; `argument_required` may follow as a word. */
static const struct long_option LONG_OPTIONS[] = {
    {"ignore-environment", 'i', false}, {"unset", 'u', true}, {"chdir", 'C', true},
    {"split-string", 'S', true},        {"argv0", 'a', true},
};
static const size_t LONG_OPTION_COUNT = sizeof LONG_OPTIONS / sizeof *LONG_OPTIONS;

#define BLANKS " \t\n\v\f\r"

/*
 * Takes one word off the text of `env -S`, unquoted in place: it never grows. False for what
 * cannot be known here: `${NAME}`, and the escapes that do not stand for themselves.
 */
static bool unquote_word(char **from, char *to)
{
    char quote = '\0';
    for (; **from != '\0' && (quote != '\0' || strchr(BLANKS, **from) == NULL); ++*from) {
        char character = **from;
        if (character == quote) {
            quote = '\0';
        } else if (quote == '\0' && (character == '\'' || character == '"')) {
            quote = character;
        } else if (quote != '\'' && character == '$') {
            return false;
        } else if (quote != '\'' && character == '\\') {
            ++*from;
            if (**from == '\0' || strchr("\"'\\#$", **from) == NULL)
                return false;
            *to++ = **from;
        } else {
            *to++ = character;
        }
    }
    /* The separator is passed before the end of the word may be written over it. */
    if (**from != '\0')
        ++*from;
    *to = '\0';
    return true;
}

/* Puts the words of the text of `env -S` in front of the others. */
static void split_string(struct words *words, const char *text)
{
    const char *found[WORDS_FRONT];
    size_t count = 0;
    char *from = words_copy(words, text, strlen(text));
    if (from == NULL)
        return;
    for (;;) {
        from += strspn(from, BLANKS);
        if (*from == '\0' || *from == '#')
            break;
        char *word = from;
        if (count == WORDS_FRONT || !unquote_word(&from, word)) {
            words->overflow = true;
            return;
        }
        found[count++] = word;
    }
    while (count > 0)
        words_put_back(words, found[--count]);
}

static void apply_option(struct words *words, struct env_target *target, char letter,
                         const char *argument)
{
    if (letter == 'i' || (letter == 'u' && strcmp(argument, "PATH") == 0))
        target->search = NULL;
    else if (letter == 'C')
        target->directory = argument;
    else if (letter == 'S')
        split_string(words, argument);
}

/* `word` begins with two hyphens and has more after them. */
static void take_long_option(struct words *words, struct env_target *target, const char *word)
{
    const char *name = word + 2;
    size_t length = strcspn(name, "=");
    for (size_t i = 0; i < LONG_OPTION_COUNT; i++) {
        const struct long_option *option = &LONG_OPTIONS[i];
        if (strncmp(option->name, name, length) != 0)
            continue;
        const char *argument = "";
        if (option->argument_required) {
            argument = name[length] == '=' ? name + length + 1 : words_take(words);
            if (argument == NULL)
                return;
        }
        apply_option(words, target, option->letter, argument);
        return;
    }
}

/* `word` is a hyphen and a cluster of letters, the last of which may take the rest or a word. */
static void take_short_options(struct words *words, struct env_target *target, const char *word)
{
    for (const char *letter = word + 1; *letter != '\0'; letter++) {
        if (strchr("uCSa", *letter) == NULL) {
            apply_option(words, target, *letter, "");
            continue;
        }
        const char *argument = letter[1] != '\0' ? letter + 1 : words_take(words);
        if (argument != NULL)
            apply_option(words, target, *letter, argument);
        return;
    }
}

void env_follow(struct words *words, struct env_target *target)
{
    const char *word;
    bool options = true;
    while ((word = words_take(words)) != NULL && !words->overflow) {
        if (options && strcmp(word, "--") == 0) {
            options = false;
        } else if (options && strcmp(word, "-") == 0) {
            target->search = NULL;
        } else if (options && strncmp(word, "--", 2) == 0) {
            take_long_option(words, target, word);
        } else if (options && word[0] == '-') {
            take_short_options(words, target, word);
        } else if (strchr(word, '=') != NULL) {
            options = false;
            if (strncmp(word, "PATH=", 5) == 0)
                target->search = word + 5;
        } else {
            break;
        }
    }
    target->name = word;
}

const char *loader_follow(struct words *words)
{
    static const char *const with_argument[] = {
        "--library-path",         "--inhibit-rpath",     "--audit", "--preload", "--argv0",
        "--glibc-hwcaps-prepend", "--glibc-hwcaps-mask",
    };
    const char *word;
    while ((word = words_take(words)) != NULL && word[0] == '-' && word[1] == '-')
        for (size_t i = 0; i < sizeof with_argument / sizeof *with_argument; i++)
            if (strcmp(word, with_argument[i]) == 0)
                (void)words_take(words);
    return word;
}
