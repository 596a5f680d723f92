/*
 * The words in which advice is told. Names come from the command and are shown as they may be.
 */
#include "lockctl/advise/tell.h"

#include "lockctl/lockctl.h"

#include <stdio.h>
#include <string.h>

static const char *const access_words[] = {
    [ACCESS_ASK] = "asks about",
    [ACCESS_MISS] = "would read",
    [ACCESS_LIST] = "lists",
    [ACCESS_READ] = "reads",
    [ACCESS_UPDATE] = "opens to read and write",
    [ACCESS_OPEN] = "opens for writing",
    [ACCESS_WRITE] = "writes into",
    [ACCESS_APPEND] = "appends to",
    [ACCESS_RESIZE] = "cuts or lengthens",
    [ACCESS_REPLACE] = "empties, to write anew,",
    [ACCESS_MAKE] = "makes",
    [ACCESS_REMOVE] = "removes",
    [ACCESS_RENAME] = "renames to",
    [ACCESS_LINK] = "links to",
    [ACCESS_REFUSED] = "was not let change",
};

const char *words_access(enum access_kind kind)
{
    return access_words[kind];
}

const char *words_judgement(enum judgement judgement)
{
    static const char *const words[] = {
        [JUDGED_RIGHT] = "right",     [JUDGED_JOINED] = "right by joining",
        [JUDGED_REFUSED] = "refuses", [JUDGED_MIXED] = "mixed reads",
        [JUDGED_WRONG] = "wrong",
    };
    return words[judgement];
}

const char *words_reason(enum reason reason)
{
    static const char *const words[] = {
        [REASON_NONE] = "untouched",      [REASON_OUT_OF_REACH] = "out-of-reach",
        [REASON_UNSEEN] = "unseen",       [REASON_PROCESSES] = "several-processes",
        [REASON_MEMORY] = "remembers",    [REASON_READERS] = "reads-in-parts",
        [REASON_READS] = "reads",         [REASON_OPEN] = "keeps-open",
        [REASON_BLIND] = "reads-nothing", [REASON_RETURNS] = "reads-anew",
        [REASON_APPENDS] = "appends",     [REASON_FOLLOWS] = "follows",
    };
    return words[reason];
}

const char *words_process(const struct account *account, size_t process)
{
    static char texts[4][512];
    static unsigned next;
    char *text = texts[next++ % 4];
    if (process == ACCOUNT_NOBODY)
        return "a process that nobody knows";
    const struct account_process *known = &account->processes[process];
    const char *name = known->name != NULL ? shown(known->name) : "a process";
    if (known->pid > 0)
        (void)snprintf(text, sizeof texts[0], "%.400s (pid %d)", name, (int)known->pid);
    else
        (void)snprintf(text, sizeof texts[0], "%.400s", name);
    return text;
}

static const char *file_name(const struct told *told, size_t file)
{
    return file < told->account->file_count ? shown(told->account->files[file].name) : "a file";
}

/* --- a process's memory --- */

static void describe_memory(const struct told *told, char *text, size_t size)
{
    const struct process_advice *process = &told->advice->processes[told->advice->first];
    const char *remembered = file_name(told, process->remembered);
    const char *changed = file_name(told, process->changed);
    switch (process->memory) {
    case MEMORY_REPLACES:
        (void)snprintf(text, size,
                       "it reads %s, closes it, and changes it later by what it remembers",
                       remembered);
        break;
    case MEMORY_REOPENS:
        (void)snprintf(text, size,
                       "it reads %s, closes it, and opens it again to change it, perhaps by what "
                       "it remembers",
                       remembered);
        break;
    case MEMORY_DERIVES:
        (void)snprintf(text, size,
                       "it reads %s, closes it, and changes %s later, perhaps by what it remembers",
                       remembered, changed);
        break;
    default:
        (void)snprintf(text, size, "it asks about %s before it opens it, and changes it later",
                       changed);
        break;
    }
}

/* --- scopes --- */

static const char *scope_of_several(const struct told *told, enum scope scope)
{
    switch (told->advice->scopes[scope]) {
    case JUDGED_RIGHT:
        return "every change is an append, and nothing is read";
    case JUDGED_JOINED:
        return "the others are children of the first, and join it while it waits for them";
    case JUDGED_MIXED:
        return "nothing is lost, but its processes may read different states";
    default:
        return "another command could come in between its processes";
    }
}

static const char *scope_of_unseen(enum scope scope)
{
    (void)scope;
    return "what is not seen is not locked";
}

static void scope_of_one(const struct told *told, enum scope scope, char *text, size_t size)
{
    const struct process_advice *process = &told->advice->processes[told->advice->first];
    enum judgement judgement = told->advice->scopes[scope];
    const char *plain = "";
    if (scope == SCOPE_PROCESS)
        plain = process->lives_on ? "but others wait for as long as it runs"
                                  : "from its first touch to its end";
    else if (scope == SCOPE_SESSION && judgement == JUDGED_RIGHT)
        plain = process->sessions > 1 ? "each time it opens something it reads anew what it changes"
                                      : "it has its files open as long as they matter";
    else if (scope == SCOPE_SESSION && judgement == JUDGED_MIXED)
        plain = "nothing is lost, but what it reads may be of different states";
    else if (scope == SCOPE_CALL && judgement == JUDGED_RIGHT)
        plain = process->changes ? "every change is an append by itself"
                                 : "it only follows what others write";
    else if (scope == SCOPE_CALL)
        plain = process->changes ? "reading and writing belong together"
                                 : "it could read what is half written";
    if (plain[0] != '\0') {
        (void)snprintf(text, size, "%s", plain);
        return;
    }
    describe_memory(told, text, size);
    size_t length = strlen(text);
    if (judgement == JUDGED_REFUSED)
        (void)snprintf(text + length, size - length,
                       "; what another changed in between would make it fail (ESTALE)");
}

const char *words_scope(const struct told *told, enum scope scope, char text[static TELL_TEXT])
{
    const struct advice *advice = told->advice;
    if (scope == SCOPE_COMMAND)
        (void)snprintf(text, TELL_TEXT, "%s",
                       advice->eager ? "with --eager: the lock is there before it starts"
                                     : "from the first touch to the end of all that touched");
    else if (advice->reason == REASON_OUT_OF_REACH || advice->reason == REASON_UNSEEN)
        (void)snprintf(text, TELL_TEXT, "%s", scope_of_unseen(scope));
    else if (advice->touching > 1)
        (void)snprintf(text, TELL_TEXT, "%s", scope_of_several(told, scope));
    else
        scope_of_one(told, scope, text, TELL_TEXT);
    return text;
}

/* --- the need --- */

/* The first process that no preload reaches, and that has to do with the table. */
static size_t find_out_of_reach(const struct account *account)
{
    size_t found = ACCOUNT_NOBODY;
    for (size_t i = account->process_count; i-- > 0;)
        if (account->processes[i].out_of_reach &&
            (found == ACCOUNT_NOBODY || account->processes[i].unseen > 0))
            found = i;
    return found;
}

static void list_names(const struct told *told, char *text, size_t size)
{
    const struct account *account = told->account;
    size_t length = 0;
    size_t named = 0;
    text[0] = '\0';
    for (size_t i = 0; i < account->process_count; i++) {
        if (!told->advice->processes[i].touches)
            continue;
        const char *name = account->processes[i].name;
        int put = snprintf(text + length, size - length, "%s%s", named > 0 ? ", " : "",
                           name != NULL ? shown(name) : "one unknown");
        length += (size_t)put < size - length ? (size_t)put : size - length - 1;
        if (++named == 6 && told->advice->touching > 6) {
            (void)snprintf(text + length, size - length, ", ...");
            return;
        }
    }
}

const char *words_need(const struct told *told, char text[static TELL_TEXT])
{
    const struct advice *advice = told->advice;
    char part[TELL_TEXT / 2];
    size_t process = find_out_of_reach(told->account);
    switch (advice->reason) {
    case REASON_NONE:
        (void)snprintf(text, TELL_TEXT,
                       "The command never touched the table: nothing of it needs a "
                       "lock. Was it the right table, and did it do its work?");
        break;
    case REASON_OUT_OF_REACH:
        (void)snprintf(text, TELL_TEXT,
                       "%s %s, so no preload reaches it: only its whole command can be locked, "
                       "from the moment when it is started.",
                       words_process(told->account, process),
                       process != ACCOUNT_NOBODY
                           ? program_reach_text(told->account->processes[process].reach)
                           : "is out of reach");
        break;
    case REASON_UNSEEN:
        (void)snprintf(text, TELL_TEXT,
                       "The table was accessed past the shim: the lock must be there before the "
                       "command starts, and stay to its end.");
        break;
    case REASON_PROCESSES:
        list_names(told, part, sizeof part);
        (void)snprintf(text, TELL_TEXT,
                       "%zu processes of it use the table (%s): what one has read, another may "
                       "write back.",
                       advice->touching, part);
        break;
    case REASON_MEMORY:
        describe_memory(told, part, sizeof part);
        (void)snprintf(text, TELL_TEXT,
                       "One process uses the table, and %s: the lock must last from its first "
                       "touch to its end.",
                       part);
        break;
    case REASON_READERS:
        (void)snprintf(text, TELL_TEXT,
                       "It only reads, in several parts that should be of one state.");
        break;
    case REASON_READS:
        (void)snprintf(text, TELL_TEXT, "It only reads, and has all that it reads open at once.");
        break;
    case REASON_OPEN:
        (void)snprintf(text, TELL_TEXT,
                       "One process uses the table, and has its files open from reading to "
                       "writing: that is the time for which it needs the lock.");
        break;
    case REASON_BLIND:
        (void)snprintf(text, TELL_TEXT,
                       "One process changes the table, and reads nothing of it: each change "
                       "needs the lock while it is made.");
        break;
    case REASON_RETURNS:
        (void)snprintf(text, TELL_TEXT,
                       "One process opens and closes the table %u times, and each time reads "
                       "anew what it then changes.",
                       advice->processes[advice->first].sessions);
        break;
    case REASON_APPENDS:
        (void)snprintf(text, TELL_TEXT, "It only appends, and reads nothing.");
        break;
    default:
        (void)snprintf(text, TELL_TEXT,
                       "It only reads, and goes on reading for as long as it runs: a lock would "
                       "keep the writers out.");
        break;
    }
    return text;
}

const char *words_escape(const struct told *told, const struct account_unseen *unseen)
{
    if (unseen->process == ACCOUNT_NOBODY)
        return "by whom is not known here (as root it would be)";
    const struct account_process *process = &told->account->processes[unseen->process];
    if (process->out_of_reach)
        return program_reach_text(process->reach);
    if (process->uses_io_uring)
        return "uses io_uring";
    if (process->preloaded)
        return "makes system calls itself";
    return "runs without the shim (an environment that was cleared?)";
}

/* --- what to use --- */

/* A word as a shell takes it. */
static size_t quote(const char *word, char *text, size_t size)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
    size_t length = 0;
    if (word[0] != '\0' && word[strspn(word, plain)] == '\0')
        return (size_t)snprintf(text, size, " %s", word);
    length += (size_t)snprintf(text, size, " '");
    for (; *word != '\0' && length + 8 < size; word++) {
        if (*word == '\'')
            length += (size_t)snprintf(text + length, size - length, "'\\''");
        else
            text[length++] = *word;
    }
    return length + (size_t)snprintf(text + length, size - length, "'");
}

const char *words_run(const struct told *told, char text[static TELL_TEXT])
{
    const struct advice *advice = told->advice;
    const struct table_settings *table = told->observation->table;
    size_t length = (size_t)snprintf(text, TELL_TEXT, "lockctl run --table");
    length += quote(table->path, text + length, TELL_TEXT - length);
    if (length < TELL_TEXT - 200) {
        if (table->lock != NULL) {
            length += (size_t)snprintf(text + length, TELL_TEXT - length, " --lock");
            length += quote(table->lock, text + length, TELL_TEXT - length - 100);
        }
        length +=
            (size_t)snprintf(text + length, TELL_TEXT - length, " --scope %s%s%s --",
                             settings_scope_name(advice->needed), advice->shared ? " --shared" : "",
                             advice->eager ? " --eager" : "");
    }
    for (char **word = told->observation->words; *word != NULL; word++) {
        size_t wanted = 4 * strlen(*word) + 8;
        if (length + wanted >= TELL_TEXT) {
            (void)snprintf(text + length, TELL_TEXT - length, " ...");
            break;
        }
        length += quote(*word, text + length, TELL_TEXT - length);
    }
    return text;
}
