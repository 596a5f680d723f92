/*
 * act: performs its arguments as steps, one after the other, so that a test can build an exact
 * state of descriptors, locks and processes. A step that fails prints "STEP: ERRNO" and the next
 * follows; `act` without arguments lists the steps.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 16, WORDS = 16 };

static int slots[SLOTS];
static FILE *streams[SLOTS];
static char *step_text;
static char **next_step;

/* Raw system calls: what is said, and the marks by which tests are told, are no touches. */
static void say(const char *text)
{
    char line[1024];
    int length = snprintf(line, sizeof line, "%s\n", text);
    syscall(SYS_write, 1, line, (size_t)length);
}

static void check(long result)
{
    char line[512];
    if (result >= 0)
        return;
    snprintf(line, sizeof line, "%s: %s", step_text, strerrorname_np(errno));
    say(line);
}

static int slot_number(const char *word)
{
    int number = atoi(word);
    if (number < 0 || number >= SLOTS) {
        say("no such slot");
        _exit(99);
    }
    return number;
}

static int slot(const char *word)
{
    return slots[slot_number(word)];
}

static FILE *stream(const char *word)
{
    return streams[slot_number(word)];
}

static void pause_for(double seconds)
{
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (nanosleep(&time, &time) != 0 && errno == EINTR) {
    }
}

static int open_flags(const char *mode)
{
    static const struct {
        const char *name;
        int flags;
    } modes[] = {{"r", O_RDONLY},
                 {"w", O_WRONLY},
                 {"rw", O_RDWR},
                 {"append", O_WRONLY | O_APPEND | O_CREAT},
                 {"create", O_RDWR | O_CREAT},
                 {"exclusive", O_RDWR | O_CREAT | O_EXCL},
                 {"truncate", O_WRONLY | O_TRUNC | O_CREAT},
                 {"directory", O_RDONLY | O_DIRECTORY},
                 {NULL, 0}};
    for (int i = 0; modes[i].name != NULL; i++) {
        if (strcmp(modes[i].name, mode) == 0)
            return modes[i].flags | O_CLOEXEC;
    }
    say("no such mode");
    _exit(99);
}

static void do_open(char **word)
{
    slots[slot_number(word[1])] = open(word[2], open_flags(word[3]), 0666);
    check(slot(word[1]));
}

static void do_close(char **word)
{
    check(close(slot(word[1])));
}

static void do_read(char **word)
{
    char text[512];
    ssize_t got = read(slot(word[1]), text, sizeof text - 1);
    check(got);
    text[got > 0 ? got : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    say(text);
}

static void do_write(char **word)
{
    check(write(slot(word[1]), word[2], strlen(word[2])));
}

static void do_rewind(char **word)
{
    check(lseek(slot(word[1]), 0, SEEK_SET));
}

static void do_dup(char **word)
{
    slots[slot_number(word[2])] = dup(slot(word[1]));
    check(slot(word[2]));
}

static void do_fopen(char **word)
{
    streams[slot_number(word[1])] = fopen(word[2], word[3]);
    check(stream(word[1]) == NULL ? -1 : 0);
}

static void do_fputs(char **word)
{
    check(fputs(word[2], stream(word[1])) < 0 ? -1 : 0);
}

static void do_fclose(char **word)
{
    if (stream(word[1]) != NULL)
        check(fclose(stream(word[1])));
}

/* Reads a file whole, in a session of its own. */
static void do_cat(char **word)
{
    char text[512];
    int descriptor = open(word[1], O_RDONLY | O_CLOEXEC);
    check(descriptor);
    if (descriptor < 0)
        return;
    while (read(descriptor, text, sizeof text) > 0) {
    }
    close(descriptor);
}

/* Writes a file from its beginning, without truncating or reading it. */
static void do_put(char **word)
{
    int descriptor = open(word[1], O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    check(descriptor);
    if (descriptor < 0)
        return;
    check(write(descriptor, word[2], strlen(word[2])));
    close(descriptor);
}

static void do_ask(char **word)
{
    struct stat status;
    check(stat(word[1], &status));
}

static void do_rename(char **word)
{
    check(rename(word[1], word[2]));
}

static void do_unlink(char **word)
{
    check(unlink(word[1]));
}

static void do_remove(char **word)
{
    check(remove(word[1]));
}

static void do_truncate(char **word)
{
    check(truncate(word[1], atol(word[2])));
}

static void do_ftruncate(char **word)
{
    check(ftruncate(slot(word[1]), atol(word[2])));
}

static void do_mkdir(char **word)
{
    check(mkdir(word[1], 0777));
}

static void do_rmdir(char **word)
{
    check(rmdir(word[1]));
}

static void do_flock(char **word)
{
    int operation = strcmp(word[2], "un") == 0    ? LOCK_UN
                    : strcmp(word[2], "sh") == 0  ? LOCK_SH
                    : strcmp(word[2], "try") == 0 ? LOCK_EX | LOCK_NB
                                                  : LOCK_EX;
    check(flock(slot(word[1]), operation));
}

/* A mapping of the file's first page, shared and writable; one at a time. */
static void *mapping = MAP_FAILED;

static void do_map(char **word)
{
    mapping = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, slot(word[1]), 0);
    check(mapping == MAP_FAILED ? -1 : 0);
}

static void do_unmap(char **word)
{
    (void)word;
    check(munmap(mapping, 4096));
}

static void do_sleep(char **word)
{
    pause_for(atof(word[1]));
}

static void do_say(char **word)
{
    say(word[1]);
}

static void do_mark(char **word)
{
    long descriptor = syscall(SYS_openat, AT_FDCWD, word[1], O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor >= 0)
        syscall(SYS_close, descriptor);
}

static void do_await(char **word)
{
    for (int i = 0; i < 50000; i++) {
        if (syscall(SYS_faccessat, AT_FDCWD, word[1], F_OK) == 0)
            return;
        pause_for(0.002);
    }
    say("awaited in vain");
    _exit(98);
}

/* fork … end: the child performs what stands between and ends there; the parent goes on behind. */
static void skip_block(void)
{
    int depth = 1;
    for (; *next_step != NULL && depth > 0; next_step++) {
        if (strcmp(*next_step, "fork") == 0)
            depth++;
        else if (strcmp(*next_step, "end") == 0)
            depth--;
    }
}

static void do_fork(char **word)
{
    (void)word;
    pid_t child = fork();
    check(child);
    if (child != 0)
        skip_block();
}

static int sleep_in_memory(void *seconds)
{
    pause_for(*(const double *)seconds);
    return 0;
}

/* A child in our memory, which sleeps: the kernel lets us on when it has ended, as in vfork(). */
static void do_vfork(char **word)
{
    static _Alignas(16) char stack[65536];
    double seconds = atof(word[1]);
    check(clone(sleep_in_memory, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, &seconds));
}

static void do_end(char **word)
{
    (void)word;
    exit(0);
}

static void do_wait(char **word)
{
    (void)word;
    while (wait(NULL) > 0) {
    }
}

/* thread STEP: performs one step in a thread of its own; `join` waits for the last one. */
static pthread_t last_thread;
static void perform(char *text);

static void *run_thread(void *step)
{
    perform(step);
    return NULL;
}

static void do_thread(char **word)
{
    (void)word;
    last_thread = 0;
    if (pthread_create(&last_thread, NULL, run_thread, *next_step++) != 0)
        say("no thread");
}

static void do_join(char **word)
{
    (void)word;
    pthread_join(last_thread, NULL);
}

static void do_setsid(char **word)
{
    (void)word;
    check(setsid());
}

static void do_daemon(char **word)
{
    (void)word;
    check(daemon(1, 0));
}

static void do_close_all(char **word)
{
    (void)word;
    check(close_range(0, ~0u, 0));
}

/* exec …: the remaining steps are the words of the program. */
static void do_exec(char **word)
{
    (void)word;
    execvp(next_step[0], next_step);
    check(-1);
}

static void do_exit(char **word)
{
    exit(atoi(word[1]));
}

static void do_exit_at_once(char **word)
{
    _exit(atoi(word[1]));
}

static void do_abort(char **word)
{
    (void)word;
    abort();
}

static void do_raise(char **word)
{
    raise(atoi(word[1]));
}

/* sessions COUNT FILE: that many sessions, each writing a byte at the end and reading one. */
static void do_sessions(char **word)
{
    for (long i = atol(word[1]); i > 0; i--) {
        int descriptor = open(word[2], O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        check(descriptor);
        if (descriptor < 0)
            return;
        check(write(descriptor, "+", 1));
        close(descriptor);
    }
}

/* add COUNT FILE: adds 1 to the number in FILE, that often; plod: slowly. */
static void do_add(char **word)
{
    for (long i = atol(word[1]); i > 0; i--) {
        char text[32] = "";
        int descriptor = open(word[2], O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        check(descriptor);
        if (descriptor < 0)
            return;
        check(read(descriptor, text, sizeof text - 1));
        int length = snprintf(text, sizeof text, "%ld\n", atol(text) + 1);
        if (strcmp(word[0], "plod") == 0)
            pause_for(0.001);
        check(pwrite(descriptor, text, (size_t)length, 0));
        close(descriptor);
    }
}

static void do_pid(char **word)
{
    char text[32];
    (void)word;
    snprintf(text, sizeof text, "%d", (int)getpid());
    say(text);
}

static const struct {
    const char *name;
    int words;
    void (*perform)(char **word);
    const char *help;
} steps[] = {
    {"open", 4, do_open, "SLOT FILE MODE   r w rw append create exclusive truncate directory"},
    {"close", 2, do_close, "SLOT"},
    {"read", 2, do_read, "SLOT, and says the first line"},
    {"write", 3, do_write, "SLOT TEXT"},
    {"rewind", 2, do_rewind, "SLOT"},
    {"dup", 3, do_dup, "SLOT NEW-SLOT"},
    {"fopen", 4, do_fopen, "SLOT FILE MODE"},
    {"fputs", 3, do_fputs, "SLOT TEXT"},
    {"fclose", 2, do_fclose, "SLOT"},
    {"cat", 2, do_cat, "FILE: open, read, close"},
    {"put", 3, do_put, "FILE TEXT: open, write, close"},
    {"ask", 2, do_ask, "FILE: stat"},
    {"rename", 3, do_rename, "OLD NEW"},
    {"unlink", 2, do_unlink, "FILE"},
    {"remove", 2, do_remove, "FILE"},
    {"truncate", 3, do_truncate, "FILE SIZE"},
    {"ftruncate", 3, do_ftruncate, "SLOT SIZE"},
    {"mkdir", 2, do_mkdir, "DIRECTORY"},
    {"rmdir", 2, do_rmdir, "DIRECTORY"},
    {"flock", 3, do_flock, "SLOT ex|sh|un|try"},
    {"map", 2, do_map, "SLOT: shared, writable"},
    {"unmap", 1, do_unmap, ""},
    {"sleep", 2, do_sleep, "SECONDS"},
    {"say", 2, do_say, "WORD"},
    {"mark", 2, do_mark, "FILE: makes it, unseen"},
    {"await", 2, do_await, "FILE: until it is there"},
    {"fork", 1, do_fork, "… end: the child performs what stands between"},
    {"end", 1, do_end, ""},
    {"vfork", 2, do_vfork, "SECONDS: a child that sleeps, in our memory"},
    {"wait", 1, do_wait, "for all children"},
    {"thread", 1, do_thread, "the next step in a thread of its own"},
    {"join", 1, do_join, "the last thread"},
    {"setsid", 1, do_setsid, ""},
    {"daemon", 1, do_daemon, ""},
    {"close-all", 1, do_close_all, "every descriptor, the standard ones too"},
    {"exec", 1, do_exec, "the remaining arguments"},
    {"exit", 2, do_exit, "STATUS"},
    {"_exit", 2, do_exit_at_once, "STATUS"},
    {"abort", 1, do_abort, ""},
    {"raise", 2, do_raise, "SIGNAL"},
    {"sessions", 3, do_sessions, "COUNT FILE"},
    {"add", 3, do_add, "COUNT FILE"},
    {"plod", 3, do_add, "COUNT FILE"},
    {"pid", 1, do_pid, ""},
};
enum { STEPS = sizeof steps / sizeof steps[0] };

static void perform(char *text)
{
    char copy[8192], *save = NULL, *words[WORDS];
    int count = 0;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok_r(copy, " ", &save); word != NULL && count < WORDS;
         word = strtok_r(NULL, " ", &save))
        words[count++] = word;
    for (int i = 0; i < STEPS; i++) {
        if (count > 0 && strcmp(words[0], steps[i].name) == 0 && count == steps[i].words) {
            steps[i].perform(words);
            return;
        }
    }
    say("what is this step?");
    say(text);
    _exit(97);
}

int main(int count, char **arguments)
{
    for (int i = 0; count < 2 && i < STEPS; i++)
        printf("%-10s %s\n", steps[i].name, steps[i].help);
    for (int i = 0; i < SLOTS; i++)
        slots[i] = -1;
    next_step = arguments + 1;
    while (*next_step != NULL) {
        step_text = *next_step++;
        perform(step_text);
    }
    return count < 2 ? 2 : 0;
}
