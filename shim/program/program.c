/*
 * Follows what an exec would run, file by file, to the program that stays, and judges each on the
 * way. Where it cannot be told what would run, the verdict is one that counts as out of reach:
 * a wrong "reachable" would let a program at a table unlocked.
 */
#include "shim/program/program.h"

#include "shim/lock/kernel.h"
#include "shim/program/facts.h"

#include <errno.h>
#include <string.h>

/* `#!` lines, env and the loader may follow one another; no sensible chain is longer. */
#define HOPS_MAXIMUM 16
#define DEFAULT_SEARCH "/bin:/usr/bin"
#define SHELL "/bin/sh"

struct walk {
    struct program_report *report; /* its path is the file looked at */
    const char *search;
    char *const *environment;
    bool loader_maps; /* run by the loader called by hand, which asks for no execute permission */
    struct words words;
};

/* Every step says either a verdict, or that the report's path now names the next file. */
#define GO_ON (-1)

static bool set_path(struct program_report *report, const char *directory, size_t directory_length,
                     const char *name)
{
    size_t name_length = strlen(name);
    size_t slash = directory_length > 0 ? 1 : 0;
    if (directory_length + slash + name_length >= sizeof report->path)
        return false;
    if (slash != 0) {
        memcpy(report->path, directory, directory_length);
        report->path[directory_length] = '/';
    }
    memcpy(report->path + directory_length + slash, name, name_length + 1);
    return true;
}

static bool is_file(const char *path, struct stat *status)
{
    return kernel_fstatat(AT_FDCWD, path, status, 0) == 0 && S_ISREG(status->st_mode);
}

static bool may_execute(const char *path)
{
    long result = KERNEL_CALL(SYS_faccessat2, AT_FDCWD, path, X_OK, AT_EACCESS, 0, 0);
    if (result == -ENOSYS || result == -EPERM)
        result = KERNEL_CALL(SYS_faccessat, AT_FDCWD, path, X_OK, 0, 0, 0);
    return result == 0;
}

/*
 * Looks a name up as execvp does, from *search on, which is moved behind what was found (NULL: it
 * was the last place). On failure the path is the bare name.
 */
static bool search_path(struct program_report *report, const char *name, const char **search)
{
    while (*search != NULL) {
        const char *place = *search;
        size_t length = strcspn(place, ":");
        *search = place[length] == '\0' ? NULL : place + length + 1;
        struct stat status = {0};
        if (name[0] != '\0' && set_path(report, place, length, name) &&
            is_file(report->path, &status) && may_execute(report->path))
            return true;
    }
    if (!set_path(report, "", 0, name))
        report->path[0] = '\0';
    return false;
}

static int find_program(struct walk *walk, const struct env_target *target)
{
    const char *name = target->name;
    if (strchr(name, '/') == NULL) {
        const char *search = target->search != NULL ? target->search : DEFAULT_SEARCH;
        return search_path(walk->report, name, &search) ? GO_ON : PROGRAM_MISSING;
    }
    size_t directory_length = 0;
    if (target->directory != NULL && name[0] != '/')
        directory_length = strlen(target->directory);
    return set_path(walk->report, target->directory, directory_length, name) ? GO_ON
                                                                             : PROGRAM_MISSING;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static int follow_env(struct walk *walk)
{
    struct env_target target = {NULL, walk->search, NULL};
    env_follow(&walk->words, &target);
    if (walk->words.overflow)
        return PROGRAM_UNREADABLE;
    if (target.name == NULL)
        return PROGRAM_REACHABLE;
    walk->search = target.search;
    return find_program(walk, &target);
}

/* The path that the open file has in the end, through all symlinks; empty if unknown. */
static void real_path(int descriptor, char *path, size_t size)
{
    char link[] = "/proc/self/fd/\0\0\0\0\0\0\0\0\0\0\0";
    char digits[12];
    size_t count = 0;
    unsigned number = (unsigned)descriptor;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    for (char *to = link + strlen(link); count > 0;)
        *to++ = digits[--count];
    ssize_t length = kernel_readlinkat(AT_FDCWD, link, path, size - 1);
    path[length > 0 ? length : 0] = '\0';
}

void program_real_path(const char *path, char *real, size_t size)
{
    int descriptor = kernel_openat(AT_FDCWD, path, O_PATH | O_CLOEXEC, 0);
    real[0] = '\0';
    if (descriptor < 0)
        return;
    real_path(descriptor, real, size);
    kernel_close(descriptor);
}

/*
 * No loader named: a static program, position-independent or not, or a loader called by hand. Of
 * loaders, ours runs the program that it is given, and honours preloads.
 */
static int judge_without_loader(struct walk *walk, const struct program_file *file)
{
    const char *path = walk->report->path;
    char target[LOADER_PATH_SIZE];
    real_path(file->descriptor, target, sizeof target);
    if (!loader_is_ours(path) && !loader_is_ours(target))
        return strncmp(last_part(path), "ld-musl-", 8) == 0 ? PROGRAM_OTHER_LIBC : PROGRAM_STATIC;
    const char *name = loader_follow(&walk->words);
    if (name == NULL)
        return PROGRAM_REACHABLE;
    /* Without a slash it is looked for among the libraries: nobody can tell where. */
    if (strchr(name, '/') == NULL)
        return name[0] == '\0' ? PROGRAM_MISSING : PROGRAM_STATIC;
    walk->loader_maps = true;
    return set_path(walk->report, "", 0, name) ? GO_ON : PROGRAM_MISSING;
}

static int judge_elf(struct walk *walk, const struct program_file *file)
{
    struct elf_facts facts;
    elf_read_facts(file, &facts);
    if (!facts.sane)
        return PROGRAM_UNREADABLE;
    if (!facts.same_machine && !facts.other_width)
        return PROGRAM_OTHER_MACHINE;
    if (facts.other_width && !preload_serves(walk->environment, facts.loader))
        return PROGRAM_OTHER_MACHINE;
    if (facts.go)
        return PROGRAM_GO;
    if (facts.loader[0] == '\0')
        return judge_without_loader(walk, file);
    if (!facts.other_width && !loader_is_ours(facts.loader) && !loader_runs_us(facts.loader) &&
        !preload_serves(walk->environment, facts.loader))
        return PROGRAM_OTHER_LIBC;
    if (strcmp(last_part(walk->report->path), "env") == 0)
        return follow_env(walk);
    return PROGRAM_REACHABLE;
}

/* No text in its first line: if the kernel runs it, then by an interpreter of binfmt_misc. */
static bool is_binary(const struct program_file *file)
{
    const unsigned char *end = memchr(file->head, '\n', file->head_size);
    size_t length = end != NULL ? (size_t)(end - file->head) : file->head_size;
    return memchr(file->head, '\0', length) != NULL;
}

/* Neither ELF nor a script: exec says ENOEXEC, and shells and execvp hand it to sh. */
static int follow_script(struct walk *walk, const struct program_file *file)
{
    char interpreter[SCRIPT_LINE_SIZE];
    if (!script_read(file, interpreter, &walk->words)) {
        if (is_binary(file))
            return PROGRAM_UNREADABLE;
        memcpy(interpreter, SHELL, sizeof SHELL);
    }
    if (walk->words.overflow)
        return PROGRAM_UNREADABLE;
    return set_path(walk->report, "", 0, interpreter) ? GO_ON : PROGRAM_MISSING;
}

static int judge_open_file(struct walk *walk, struct program_file *file, const struct stat *status)
{
    const char *path = walk->report->path;
    ssize_t size = kernel_pread(file->descriptor, file->head, sizeof file->head, 0);
    if (size < 0)
        return PROGRAM_UNREADABLE;
    file->head_size = (size_t)size;
    /* The privileges of a script are not used, those of its interpreter are. */
    if (!elf_has_magic(file))
        return follow_script(walk, file);
    if (privilege_changes_ids(path, status))
        return PROGRAM_SETUID;
    if (privilege_has_capabilities(path))
        return PROGRAM_CAPABILITIES;
    return judge_elf(walk, file);
}

static int judge_file(struct walk *walk)
{
    const char *path = walk->report->path;
    struct program_file file;
    struct stat status = {0};
    if (!is_file(path, &status) || (!walk->loader_maps && !may_execute(path)))
        return PROGRAM_MISSING;
    file.descriptor =
        kernel_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
    if (file.descriptor < 0)
        return privilege_changes_ids(path, &status) ? PROGRAM_SETUID : PROGRAM_UNREADABLE;
    int verdict = judge_open_file(walk, &file, &status);
    kernel_close(file.descriptor);
    return verdict;
}

static void walk_to_the_end(struct walk *walk)
{
    int verdict = GO_ON;
    for (int hop = 0; verdict == GO_ON && hop < HOPS_MAXIMUM; hop++)
        verdict = judge_file(walk);
    walk->report->reach = verdict == GO_ON ? PROGRAM_UNREADABLE : (enum program_reach)verdict;
}

static void begin_walk(struct walk *walk, struct program_report *report, char *const *arguments,
                       char *const *environment)
{
    walk->report = report;
    walk->search = NULL;
    walk->environment = environment;
    walk->loader_maps = false;
    walk->words.front_count = 0;
    walk->words.text_used = 0;
    walk->words.overflow = false;
    walk->words.rest = arguments != NULL && arguments[0] != NULL ? arguments + 1 : NULL;
    for (; environment != NULL && *environment != NULL; environment++)
        if (strncmp(*environment, "PATH=", 5) == 0) {
            walk->search = *environment + 5;
            break;
        }
    report->path[0] = '\0';
    report->reach = PROGRAM_MISSING;
}

void program_examine(const char *path, char *const *arguments, char *const *environment,
                     struct program_report *report)
{
    struct walk walk;
    begin_walk(&walk, report, arguments, environment);
    if (set_path(report, "", 0, path))
        walk_to_the_end(&walk);
}

void program_examine_name(const char *name, const char *search, char *const *arguments,
                          char *const *environment, struct program_report *report)
{
    struct walk walk;
    if (strchr(name, '/') != NULL) {
        program_examine(name, arguments, environment, report);
        return;
    }
    if (search == NULL)
        search = DEFAULT_SEARCH;
    /* Where one turns out to have no interpreter, execvp goes on to the next. */
    do {
        begin_walk(&walk, report, arguments, environment);
        if (search_path(report, name, &search))
            walk_to_the_end(&walk);
    } while (report->reach == PROGRAM_MISSING && search != NULL);
}

const char *program_reach_text(enum program_reach reach)
{
    switch (reach) {
    case PROGRAM_REACHABLE:
        return "can be guarded";
    case PROGRAM_MISSING:
        return "cannot be executed";
    case PROGRAM_STATIC:
        return "is statically linked";
    case PROGRAM_SETUID:
        return "is set-user-ID or set-group-ID, or runs as such";
    case PROGRAM_CAPABILITIES:
        return "has file capabilities";
    case PROGRAM_GO:
        return "is a Go program, which makes its system calls itself";
    case PROGRAM_OTHER_LIBC:
        return "is linked to another C library";
    case PROGRAM_OTHER_MACHINE:
        return "is for another architecture or word size";
    case PROGRAM_UNREADABLE:
        return "cannot be read or made sense of";
    }
    return "cannot be judged";
}
