/* For people: what was done, what escaped, the scopes, and the lines to use. */
#include "lockctl/advise/tell.h"

#include "lockctl/format.h"
#include "lockctl/lockctl.h"

#include <stdio.h>
#include <string.h>

enum { LINES_A_PROCESS = 16, NAMES_A_LINE = 4, UNSEEN_TOLD = 10, WIDTH = 78 };

/* Breaks a text at blanks; `hang` blanks before every line but the first, which stands at it. */
static void print_wrapped(const char *text, int hang)
{
    int column = hang;
    for (const char *at = text; *at != '\0'; at += strspn(at, " ")) {
        int length = (int)strcspn(at, " ");
        if (at != text && column + 1 + length > WIDTH) {
            printf("\n%*s", hang, "");
            column = hang;
        } else if (at != text) {
            (void)putchar(' ');
            column++;
        }
        printf("%.*s", length, at);
        column += length;
        at += length;
    }
    (void)putchar('\n');
}

static void print_run(const struct told *told)
{
    static const char *const ways[] = {[WAY_COPY] = "on a copy of",
                                       [WAY_READ_ONLY] = "without writing, on",
                                       [WAY_IN_PLACE] = "in place, on"};
    const struct observation *observation = told->observation;
    char text[FORMAT_TEXT];
    printf("Ran once %s %s", ways[observation->way], shown(observation->table->path));
    if (observation->way == WAY_COPY)
        printf(" (%zu %s, %s)", observation->copied.files,
               observation->copied.files == 1 ? "file" : "files",
               format_size(text, observation->copied.bytes));
    if (observation->timed_out || observation->interrupted)
        printf("; it was ended after %s.\n", format_duration(text, observation->lasted));
    else
        printf("; it ended with status %d after %s.\n", observation->status,
               format_duration(text, observation->lasted));
}

/* --- what it did --- */

/* Accesses of one kind in one session, in a row: one line. */
struct line {
    const struct told *told;
    const struct account_access *first;
    size_t names[NAMES_A_LINE];
    size_t count; /* different files */
};

static void print_line(const struct line *line)
{
    const struct account *account = line->told->account;
    const struct account_access *first = line->first;
    printf("    %3u: ", first->session);
    if (first->kind == ACCESS_RENAME || first->kind == ACCESS_LINK)
        printf("%s %s to %s", first->kind == ACCESS_RENAME ? "renames" : "links",
               shown(account->files[first->other].name), shown(account->files[first->file].name));
    else
        printf("%s", words_access(first->kind));
    for (size_t i = 0; i < line->count && i < NAMES_A_LINE; i++)
        if (first->kind != ACCESS_RENAME && first->kind != ACCESS_LINK)
            printf("%s %s", i > 0 ? "," : "", shown(account->files[line->names[i]].name));
    if (line->count > NAMES_A_LINE)
        printf(" and %zu more", line->count - NAMES_A_LINE);
    if (first->kind == ACCESS_MISS)
        printf(", which is not there");
    (void)putchar('\n');
}

static bool goes_on(const struct line *line, const struct account_access *access)
{
    return line->first != NULL && line->first->kind == access->kind &&
           line->first->session == access->session && access->kind != ACCESS_RENAME &&
           access->kind != ACCESS_LINK;
}

static void add_name(struct line *line, size_t file)
{
    for (size_t i = 0; i < line->count && i < NAMES_A_LINE; i++)
        if (line->names[i] == file)
            return;
    if (line->count < NAMES_A_LINE)
        line->names[line->count] = file;
    line->count++;
}

static void print_accesses(const struct told *told, size_t process)
{
    const struct account *account = told->account;
    struct line line = {.told = told};
    unsigned printed = 0;
    for (size_t i = 0; i <= account->access_count; i++) {
        const struct account_access *access =
            i < account->access_count ? &account->accesses[i] : NULL;
        if (access != NULL && access->process != process)
            continue;
        if (access != NULL && goes_on(&line, access)) {
            add_name(&line, access->file);
            continue;
        }
        if (line.first != NULL && printed++ < LINES_A_PROCESS)
            print_line(&line);
        line = (struct line){.told = told, .first = access};
        if (access != NULL)
            add_name(&line, access->file);
    }
    if (printed > LINES_A_PROCESS)
        printf("         ... and %u lines more\n", printed - LINES_A_PROCESS);
}

static void print_process(const struct told *told, size_t process)
{
    const struct account *account = told->account;
    const struct account_process *known = &account->processes[process];
    printf("  %s", words_process(account, process));
    for (size_t i = 0; i < account->process_count; i++)
        if (i != process && account->processes[i].pid == known->parent &&
            told->advice->processes[i].touches)
            printf(", child of %s", words_process(account, i));
    if (known->left_behind)
        printf(", left behind");
    if (known->command != NULL)
        printf(": %.60s", shown(known->command));
    (void)putchar('\n');
    print_accesses(told, process);
}

/* In the order in which they came to the table. */
static void print_done(const struct told *told)
{
    const struct account *account = told->account;
    if (account->access_count == 0)
        return;
    printf("\nWhat it did there (a number is a session: from the first file of the table that\n"
           "it opens to the last that it closes):\n");
    for (size_t i = 0; i < account->access_count; i++) {
        size_t process = account->accesses[i].process;
        bool told_already = false;
        for (size_t k = 0; k < i && !told_already; k++)
            told_already = account->accesses[k].process == process;
        if (!told_already)
            print_process(told, process);
    }
}

static void print_unseen(const struct told *told)
{
    const struct account *account = told->account;
    if (account->unseen_count == 0)
        return;
    printf("\nWhat the shim did not see:\n");
    for (size_t i = 0; i < account->unseen_count && i < UNSEEN_TOLD; i++) {
        const struct account_unseen *unseen = &account->unseen[i];
        printf("  %s %s %s: it %s\n",
               unseen->process != ACCOUNT_NOBODY ? words_process(account, unseen->process)
                                                 : "somebody",
               unseen->changes ? "changes" : "reads", shown(account->files[unseen->file].name),
               words_escape(told, unseen));
    }
    if (account->unseen_count > UNSEEN_TOLD)
        printf("  ... and %zu more\n", account->unseen_count - UNSEEN_TOLD);
}

/* --- the advice --- */

static void print_scopes(const struct told *told)
{
    char text[TELL_TEXT];
    printf("\nThe scopes:\n");
    for (int scope = SCOPE_COMMAND; scope <= SCOPE_CALL; scope++) {
        printf("%s %-8s %-16s ", (enum scope)scope == told->advice->needed ? " *" : "  ",
               settings_scope_name((enum scope)scope),
               words_judgement(told->advice->scopes[scope]));
        print_wrapped(words_scope(told, (enum scope)scope, text), 28);
    }
}

static void print_notes(const struct told *told)
{
    char text[TELL_TEXT];
    for (unsigned i = 0; words_note(told, i, text) != NULL; i++) {
        printf(i == 0 ? "\nNotes:\n  - " : "  - ");
        print_wrapped(text, 4);
    }
}

static void print_lines(const struct told *told)
{
    char text[TELL_TEXT];
    const struct advice *advice = told->advice;
    const struct table_settings *table = told->observation->table;
    printf("\nFor /etc/lockshim.conf:\n  [table %s]\n", shown(table->path));
    if (table->lock != NULL)
        printf("  lock = %s\n", shown(table->lock));
    printf("  scope = %s\n", settings_scope_name(advice->needed));
    if (advice->shared)
        printf("  shared = yes\n");
    if (advice->eager)
        printf("  eager = yes\n");
    char *line = copy_text(words_run(told, text));
    printf("Or as a command:\n  %.*s\n", TELL_TEXT, line);
}

void tell_people(const struct told *told)
{
    char text[TELL_TEXT];
    print_run(told);
    print_done(told);
    print_unseen(told);
    if (told->advice->reason == REASON_NONE)
        printf("\nNo advice. ");
    else
        printf("\nIt needs the scope %s%s%s.\n", settings_scope_name(told->advice->needed),
               told->advice->shared ? ", shared" : "", told->advice->eager ? ", eager" : "");
    print_wrapped(words_need(told, text), 0);
    if (told->advice->reason != REASON_NONE)
        print_scopes(told);
    print_notes(told);
    if (told->advice->reason != REASON_NONE)
        print_lines(told);
}
