/*
 * change KIND DIRECTORY: changes a table, one kind of change after the other that belong together.
 * Exit status 1 says which step failed.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define NEED(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            perror(#condition);                                                                    \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static int opened(const char *path, int flags)
{
    int descriptor = open(path, flags | O_CLOEXEC, 0644);
    NEED(descriptor >= 0);
    return descriptor;
}

static void put(const char *path, int flags, const char *text)
{
    int descriptor = opened(path, flags);
    NEED(write(descriptor, text, strlen(text)) == (ssize_t)strlen(text));
    NEED(close(descriptor) == 0);
}

static void in_place(void)
{
    put("a", O_WRONLY, "XX");
    put("sub/b", O_RDWR, "YY");
    put("a", O_WRONLY | O_APPEND, "more");
    NEED(truncate("c", 3) == 0);
    int descriptor = opened("sub/d", O_RDWR);
    NEED(ftruncate(descriptor, 100000) == 0);
    NEED(pwrite(descriptor, "end", 3, 99997) == 3);
    NEED(close(descriptor) == 0);
}

static void replace(void)
{
    put("a.new", O_WRONLY | O_CREAT | O_TRUNC, "new a");
    NEED(rename("a.new", "a") == 0);
    put("b.new", O_WRONLY | O_CREAT | O_EXCL, "new b");
    NEED(rename("b.new", "sub/b") == 0);
    put("c", O_WRONLY | O_CREAT | O_TRUNC, "short");
    NEED(rename("sub/d", "sub/e") == 0);
    put("sub/d", O_WRONLY | O_CREAT | O_TRUNC, "another d");
}

static void names(void)
{
    NEED(unlink("a") == 0);
    NEED(symlink("c", "a") == 0);
    put("a", O_WRONLY | O_TRUNC, "through the link");
    NEED(unlink("link") == 0);
    NEED(link("sub/b", "link") == 0);
    NEED(mkfifo("pipe", 0600) == 0);
    NEED(unlink("sub/d") == 0);
    NEED(mkdir("sub/d", 0750) == 0);
    put("sub/d/x", O_WRONLY | O_CREAT, "in a new directory");
    NEED(rmdir("empty") == 0);
    put("empty", O_WRONLY | O_CREAT, "was a directory");
    char template[] = "tmp-XXXXXX.txt";
    int descriptor = mkstemps(template, 4);
    NEED(descriptor >= 0 && write(descriptor, "t", 1) == 1 && close(descriptor) == 0);
    char made[] = "dir-XXXXXX";
    NEED(mkdtemp(made) != NULL);
}

static void directories(void)
{
    NEED(rename("sub", "moved") == 0);
    put("moved/b", O_WRONLY, "ZZ");
    NEED(unlink("moved/d") == 0);
    NEED(mkdir("sub", 0700) == 0);
    put("sub/b", O_WRONLY | O_CREAT, "another b");
    NEED(rename("sub", "empty") == 0);
    NEED(rename("moved", "empty/inner") == 0);
    put("empty/inner/f", O_WRONLY | O_CREAT, "f");
    NEED(renameat2(AT_FDCWD, "empty", AT_FDCWD, "deep", RENAME_EXCHANGE) != 0);
    NEED(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_EXCHANGE) == 0);
    put("empty/inner/b", O_WRONLY | O_APPEND, "again");
    NEED(rename("deep/deeper", "above") == 0);
    NEED(unlink("above/leaf") == 0);
    NEED(rmdir("above") == 0);
    NEED(rmdir("deep") == 0);
    NEED(rename("empty/inner", "deep") == 0);
}

/* One file under several names and descriptors, some of them gone when it is written. */
static void shared(void)
{
    int gone = opened("a", O_RDWR), moved = opened("c", O_RDWR), twin = opened("twin1", O_RDWR);
    NEED(unlink("a") == 0);
    NEED(pwrite(gone, "into what is gone", 17, 0) == 17);
    NEED(rename("c", "c2") == 0);
    NEED(pwrite(moved, "under another name", 18, 0) == 18);
    NEED(unlink("twin1") == 0);
    NEED(pwrite(twin, "by one of two names", 19, 0) == 19);
    put("twin2", O_WRONLY | O_APPEND, "+");
    NEED(link("sub/b", "b2") == 0);
    put("b2", O_WRONLY | O_TRUNC, "both");
    NEED(rename("b2", "sub/b") == 0 && rename("sub/d", "sub/b") == 0);
    put("sub/b", O_WRONLY, "d is b now");
    put("a", O_WRONLY | O_CREAT, "a new one");
}

static void streams(void)
{
    FILE *update = fopen("a", "r+"), *append = fopen("c", "a"), *fresh = fopen("sub/b", "w");
    NEED(update != NULL && append != NULL && fresh != NULL);
    NEED(fputs("U", update) >= 0 && fputs("A", append) >= 0 && fputs("F", fresh) >= 0);
    NEED(fflush(append) == 0 && fclose(fresh) == 0);
    int descriptor = opened("sub/d", O_RDWR);
    FILE *stream = fdopen(descriptor, "r+");
    NEED(stream != NULL && fputs("D", stream) >= 0 && fflush(stream) == 0);
    int keep = dup(STDOUT_FILENO), redirected = opened("twin1", O_WRONLY | O_APPEND);
    NEED(keep >= 0 && dup2(redirected, STDOUT_FILENO) == STDOUT_FILENO);
    NEED(puts("to the standard output") >= 0 && fflush(stdout) == 0);
    NEED(dup2(keep, STDOUT_FILENO) == STDOUT_FILENO);
    /* The others are flushed by exit. */
}

static void mapping(void)
{
    int descriptor = opened("a", O_RDWR);
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    NEED(map != MAP_FAILED && close(descriptor) == 0);
    memcpy(map, "mapped", 6);
    NEED(msync(map, 4096, MS_SYNC) == 0);
    descriptor = opened("c", O_RDWR);
    map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, descriptor, 0);
    NEED(map != MAP_FAILED && mprotect(map, 4096, PROT_READ | PROT_WRITE) == 0);
    memcpy(map, "later", 5);
    NEED(getppid() > 0);
}

/* Sparse and larger than what is copied in one piece; in from outside, and out. */
static void large(void)
{
    put("sparse", O_WRONLY, "start");
    put("big", O_WRONLY | O_APPEND, "tail");
    NEED(rename("../incoming", "incoming") == 0);
    NEED(rename("sub/b", "../outgoing") == 0);
    put("../outgoing", O_WRONLY, "changed outside");
}

static void overwrite(int descriptor, off_t offset, const char *text)
{
    NEED(pwrite(descriptor, text, strlen(text), offset) == (ssize_t)strlen(text));
}

/* A file too large to be saved as a whole, by every call that changes a part of one. */
static void parts(void)
{
    int file = opened("wide", O_RDWR), blind = opened("wide", O_WRONLY);
    overwrite(file, 100000, "in the middle");
    overwrite(file, 100100, "again, where it is recorded");
    overwrite(blind, 4090, "over a border of blocks");
    NEED(lseek(blind, 50000, SEEK_SET) == 50000 && write(blind, "here", 4) == 4);
    struct iovec vector[] = {{"one", 3}, {"two", 3}};
    NEED(writev(blind, vector, 2) == 6);
    NEED(pwritev(file, vector, 2, 70000) == 6);
    put("wide", O_WRONLY | O_APPEND, "appended");
    overwrite(file, 300000, "far behind the end");
    overwrite(file, 250000, "in what was a hole");
    NEED(ftruncate(file, 150001) == 0);
    overwrite(file, 160000, "longer again");
    NEED(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 20000, 9000) == 0);
    off_t from = 0, to = 120000;
    int other = opened("big", O_RDONLY);
    NEED(copy_file_range(other, &from, file, &to, 5000, 0) == 5000);
    NEED(lseek(blind, 30000, SEEK_SET) == 30000 && sendfile(blind, other, NULL, 3000) == 3000);
    NEED(truncate("wide", 140000) == 0 && truncate("wide", 200000) == 0);
    NEED(truncate("broad", 100) == 0);
    NEED(posix_fallocate(file, 0, 210000) == 0);
    NEED(close(file) == 0 && close(blind) == 0);
    char rest[70000] = "more than stands in a record";
    file = opened("broad2", O_RDWR);
    NEED(pwrite(file, rest, sizeof rest, 10000) == (ssize_t)sizeof rest && close(file) == 0);
}

/* One file by calls that can be seen and by such that can't, under changing names. */
static void mixed(void)
{
    int file = opened("wide", O_RDWR);
    overwrite(file, 100000, "seen");
    FILE *stream = fopen("wide", "r+");
    NEED(stream != NULL && fputs("unseen", stream) >= 0 && fflush(stream) == 0);
    overwrite(file, 150000, "seen again");
    char *map = mmap(NULL, 200000, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    NEED(map != MAP_FAILED);
    map[180000] = map[190000] = 'm';
    int second = opened("broad", O_RDWR);
    overwrite(second, 90000, "before it has another name");
    NEED(rename("broad", "broader") == 0);
    overwrite(second, 20000, "after");
    NEED(link("broader", "twin3") == 0);
    overwrite(second, 40000, "with two");
    NEED(unlink("broader") == 0 && unlink("twin3") == 0);
    overwrite(second, 60000, "without");
    put("broad", O_WRONLY | O_CREAT, "a new one");
    second = opened("broad2", O_RDWR);
    NEED(unlink("broad2") == 0);
    overwrite(second, 60000, "gone from the start");
    NEED(getppid() > 0);
}

/* Several sessions: the first ones leave all as it was. */
static void sessions(void)
{
    static const char *const names[] = {"a", "wide", "c"};
    const struct timespec times[2] = {{1000000000, 0}, {1000000000, 123456789}};
    for (int i = 0; i < 3; i++) {
        char before[40];
        int file = opened(names[i], O_RDWR);
        NEED(pread(file, before, sizeof before, 0) == sizeof before);
        overwrite(file, 0, "half of it is written");
        NEED(pwrite(file, before, sizeof before, 0) == sizeof before);
        NEED(futimens(file, times) == 0 && close(file) == 0);
    }
    int directory = opened(".", O_RDONLY | O_DIRECTORY);
    put("a", O_WRONLY, "XX");
    put("wide", O_WRONLY, "YY");
    NEED(unlink("sub/b") == 0 && mkdir("made", 0700) == 0);
    NEED(close(directory) == 0);
}

/* A child for which its parent waits, and which goes in under its lock: both change the same. */
static void family(void)
{
    int file = opened("wide", O_RDWR);
    overwrite(file, 100000, "by the parent");
    put("a", O_WRONLY, "P");
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        /* Else it would be an owner of its own after its parent's death. */
        NEED(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent);
        overwrite(file, 100000, "by the child");
        overwrite(file, 20000, "by the child alone");
        put("a", O_WRONLY | O_APPEND, "C");
        put("new", O_WRONLY | O_CREAT, "C");
        NEED(unlink("c") == 0);
        _exit(0);
    }
    int status;
    NEED(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    overwrite(file, 20000, "by the parent, later");
    NEED(rename("new", "newer") == 0);
    put("a", O_WRONLY, "p");
}

int main(int count, char **words)
{
    static const struct {
        const char *name;
        void (*change)(void);
    } kinds[] = {{"in-place", in_place},
                 {"replace", replace},
                 {"names", names},
                 {"shared", shared},
                 {"directories", directories},
                 {"streams", streams},
                 {"mapping", mapping},
                 {"large", large},
                 {"parts", parts},
                 {"mixed", mixed},
                 {"sessions", sessions},
                 {"family", family}};
    if (count != 3 || chdir(words[2]) != 0)
        return 2;
    if (strcmp(words[1], "sessions") != 0)
        (void)opened(".", O_RDONLY | O_DIRECTORY); /* one session, to the end */
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, words[1]) == 0) {
            kinds[i].change();
            return 0;
        }
    }
    return 2;
}
