/*
 * The examination of programs: made-up ELF files, mutated ones, `#!` and env chains, real programs
 * of every kind a toolchain here can make, and the kernel's own opinion on what runs privileged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/program/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#define LOADER "/lib64/ld-linux-x86-64.so.2"
#else
#define MACHINE EM_AARCH64
#define LOADER "/lib/ld-linux-aarch64.so.1"
#endif
#define NOBODY 65534
#define MUTATIONS 20000
#define AT_SECURE_STATUS 42

extern char **environ;

static char directory[] = "/tmp/lockshim-program-XXXXXX";
static struct program_report report;

/* A path in the test's directory; several may be in use at once. */
static const char *in_directory(const char *name)
{
    static char paths[8][4096];
    static unsigned next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static const char *write_file(const char *name, mode_t mode, const void *bytes, size_t size)
{
    const char *path = in_directory(name);
    (void)unlink(path);
    int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, bytes, size), size);
    assert_int_equal(fchmod(descriptor, mode), 0);
    assert_int_equal(close(descriptor), 0);
    return path;
}

static const char *write_text(const char *name, const char *text)
{
    return write_file(name, 0755, text, strlen(text));
}

static enum program_reach examine(const char *path)
{
    char *arguments[] = {(char *)(uintptr_t)path, NULL};
    errno = 4242;
    program_examine(path, arguments, environ, &report);
    assert_int_equal(errno, 4242);
    return report.reach;
}

/* The words up to a NULL are the argv of what PATH finds under the first. */
static enum program_reach examine_words(char *const *words)
{
    program_examine_name(words[0], "/usr/bin:/bin", words, environ, &report);
    return report.reach;
}

#define EXAMINE_WORDS(...) examine_words((char *[]){__VA_ARGS__, NULL})

/* A smallest ELF file of ours: headers, a loader's name, a note, a table of section names. */
struct made_up {
    Elf64_Ehdr header;
    Elf64_Phdr segments[3];
    Elf64_Shdr section;
    Elf64_Nhdr note;
    char note_name[4];
    char loader[64];
    char names[64];
    char data[64];
};

static struct made_up make_up(const char *loader)
{
    struct made_up file;
    memset(&file, 0, sizeof file);
    memcpy(file.header.e_ident, ELFMAG, SELFMAG);
    file.header.e_ident[EI_CLASS] = ELFCLASS64;
    file.header.e_ident[EI_DATA] = ELFDATA2LSB;
    file.header.e_type = ET_DYN;
    file.header.e_machine = MACHINE;
    file.header.e_phoff = offsetof(struct made_up, segments);
    file.header.e_phentsize = sizeof(Elf64_Phdr);
    file.header.e_phnum = 3;
    file.header.e_shoff = offsetof(struct made_up, section);
    file.header.e_shentsize = sizeof(Elf64_Shdr);
    file.header.e_shnum = 1;
    file.segments[0].p_type = loader != NULL ? PT_INTERP : PT_NULL;
    if (loader != NULL)
        (void)snprintf(file.loader, sizeof file.loader, "%s", loader);
    file.segments[0].p_offset = offsetof(struct made_up, loader);
    file.segments[0].p_filesz = strlen(file.loader) + 1;
    file.segments[1].p_type = PT_NOTE;
    file.segments[1].p_offset = offsetof(struct made_up, note);
    file.segments[1].p_filesz = sizeof file.note + sizeof file.note_name;
    file.segments[2].p_type = PT_LOAD;
    file.segments[2].p_flags = PF_R | PF_W;
    file.segments[2].p_offset = offsetof(struct made_up, data);
    file.segments[2].p_filesz = sizeof file.data;
    file.section.sh_type = SHT_STRTAB;
    file.section.sh_offset = offsetof(struct made_up, names);
    file.section.sh_size = sizeof file.names;
    file.note.n_namesz = 4;
    file.note.n_type = NT_GNU_BUILD_ID;
    memcpy(file.note_name, "GNU", 4);
    return file;
}

static enum program_reach examine_made_up(const struct made_up *file)
{
    return examine(write_file("made-up", 0755, file, sizeof *file));
}

static void test_made_up_loaders(void **state)
{
    (void)state;
    struct made_up file = make_up(LOADER);
    assert_int_equal(examine_made_up(&file), PROGRAM_REACHABLE);
    file = make_up("/nix/store/0123456789-glibc-2.36" LOADER);
    assert_int_equal(examine_made_up(&file), PROGRAM_REACHABLE);
    file = make_up("/lib/ld-musl-x86_64.so.1");
    assert_int_equal(examine_made_up(&file), PROGRAM_OTHER_LIBC);
    file = make_up("/system/bin/linker64");
    assert_int_equal(examine_made_up(&file), PROGRAM_OTHER_LIBC);
    file = make_up(NULL);
    assert_int_equal(examine_made_up(&file), PROGRAM_STATIC);
    file.header.e_type = ET_EXEC;
    assert_int_equal(examine_made_up(&file), PROGRAM_STATIC);
}

static void test_made_up_machines(void **state)
{
    (void)state;
    struct made_up file = make_up(LOADER);
    file.header.e_machine = EM_RISCV;
    assert_int_equal(examine_made_up(&file), PROGRAM_OTHER_MACHINE);
    file = make_up(LOADER);
    file.header.e_ident[EI_CLASS] = ELFCLASS32;
    assert_int_equal(examine_made_up(&file), PROGRAM_OTHER_MACHINE);
    file = make_up(LOADER);
    file.header.e_ident[EI_DATA] = ELFDATA2MSB;
    assert_int_equal(examine_made_up(&file), PROGRAM_OTHER_MACHINE);
}

static void test_made_up_go(void **state)
{
    (void)state;
    struct made_up file = make_up(LOADER);
    memcpy(file.names, "\0.text\0.go.buildinfo", 21);
    assert_int_equal(examine_made_up(&file), PROGRAM_GO);
    file = make_up(LOADER);
    memcpy(file.names, "\0.note.go.buildid", 18);
    assert_int_equal(examine_made_up(&file), PROGRAM_GO);
    /* A longer name that only begins alike is not Go's. */
    file = make_up(LOADER);
    memcpy(file.names, "\0.go.buildinformation", 22);
    assert_int_equal(examine_made_up(&file), PROGRAM_REACHABLE);
    /* No section names at all: the note, or the magic in the data. */
    file = make_up(LOADER);
    file.header.e_shoff = 0;
    assert_int_equal(examine_made_up(&file), PROGRAM_REACHABLE);
    file.note.n_type = 4;
    memcpy(file.note_name, "Go\0", 4);
    assert_int_equal(examine_made_up(&file), PROGRAM_GO);
    file = make_up(LOADER);
    file.header.e_shoff = 0;
    memcpy(file.data + 16, "\xff Go buildinf:", 14);
    assert_int_equal(examine_made_up(&file), PROGRAM_GO);
}

static void test_headers_that_lie(void **state)
{
    (void)state;
    struct made_up file = make_up(LOADER);
    file.header.e_phoff = UINT64_MAX - 8;
    assert_int_equal(examine_made_up(&file), PROGRAM_UNREADABLE);
    file = make_up(LOADER);
    file.header.e_phnum = 65535;
    assert_int_equal(examine_made_up(&file), PROGRAM_UNREADABLE);
    file = make_up(LOADER);
    file.segments[0].p_filesz = UINT64_MAX;
    assert_int_equal(examine_made_up(&file), PROGRAM_UNREADABLE);
    file = make_up(LOADER);
    file.segments[0].p_filesz = 4; /* no NUL at its end */
    assert_int_equal(examine_made_up(&file), PROGRAM_UNREADABLE);
    /* What is wrong in the sections and notes does not matter to the kernel, nor here. */
    file = make_up(LOADER);
    file.header.e_shoff = UINT64_MAX;
    file.segments[1].p_offset = INT64_MAX;
    file.segments[1].p_filesz = UINT64_MAX;
    file.note.n_namesz = UINT32_MAX;
    assert_int_equal(examine_made_up(&file), PROGRAM_REACHABLE);
    file = make_up(LOADER);
    file.note.n_descsz = UINT32_MAX;
    file.section.sh_size = UINT64_MAX;
    file.section.sh_offset = INT64_MAX;
    assert_int_equal(examine_made_up(&file), PROGRAM_REACHABLE);
    file = make_up(LOADER);
    for (size_t size = SELFMAG; size < sizeof file.header; size++)
        assert_int_equal(examine(write_file("short", 0755, &file, size)), PROGRAM_UNREADABLE);
}

/* Any bytes get some verdict; the sanitizers see to it that nothing else happens. */
static void test_mutations(void **state)
{
    (void)state;
    static const int special[] = {0, 1, 0x7f, 0x80, 0xff};
    struct made_up original = make_up(LOADER);
    const char *path = write_file("mutant", 0755, &original, sizeof original);
    int descriptor = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(descriptor >= 0);
    srandom(20240229);
    for (int round = 0; round < MUTATIONS; round++) {
        struct made_up file = original;
        unsigned char *bytes = (unsigned char *)&file;
        for (long count = random() % 6; count >= 0; count--)
            bytes[SELFMAG + (size_t)random() % (sizeof file - SELFMAG)] =
                (unsigned char)((random() & 1) != 0 ? random() : special[random() % 5]);
        off_t size = random() % 8 == 0 ? random() % (off_t)sizeof file : (off_t)sizeof file;
        assert_int_equal(pwrite(descriptor, &file, sizeof file, 0), sizeof file);
        assert_int_equal(ftruncate(descriptor, size), 0);
        program_examine(path, NULL, environ, &report);
        assert_in_range(report.reach, PROGRAM_REACHABLE, PROGRAM_UNREADABLE);
    }
    close(descriptor);
}

static void test_nothing_to_execute(void **state)
{
    (void)state;
    assert_int_equal(examine("/nonexistent/program"), PROGRAM_MISSING);
    assert_int_equal(examine(directory), PROGRAM_MISSING);
    assert_int_equal(examine(""), PROGRAM_MISSING);
    assert_int_equal(examine(write_file("plain", 0644, "echo", 4)), PROGRAM_MISSING);
    assert_int_equal(mkfifo(in_directory("fifo"), 0777), 0);
    assert_int_equal(examine(in_directory("fifo")), PROGRAM_MISSING);
    char longest[8192];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(examine(longest), PROGRAM_MISSING);
    program_examine_name("no-such-program", NULL, NULL, NULL, &report);
    assert_int_equal(report.reach, PROGRAM_MISSING);
    assert_string_equal(report.path, "no-such-program");
}

static void test_script_lines(void **state)
{
    (void)state;
    struct made_up unreached = make_up(NULL);
    (void)write_file("static", 0755, &unreached, sizeof unreached);
    char line[512];

    assert_int_equal(examine(write_text("script", "#!/bin/sh\n")), PROGRAM_REACHABLE);
    assert_string_equal(report.path, "/bin/sh");
    (void)snprintf(line, sizeof line, "#! \t%s/static \t an argument \n", directory);
    assert_int_equal(examine(write_text("script", line)), PROGRAM_STATIC);
    (void)snprintf(line, sizeof line, "#!%s/static", directory); /* no newline at the end */
    assert_int_equal(examine(write_text("script", line)), PROGRAM_STATIC);
    assert_int_equal(examine(write_text("script", "#!/nonexistent\n")), PROGRAM_MISSING);
    /* What the kernel does not take for a `#!` line goes to /bin/sh. */
    assert_int_equal(examine(write_text("script", "echo\n")), PROGRAM_REACHABLE);
    assert_string_equal(report.path, "/bin/sh");
    assert_int_equal(examine(write_text("script", "")), PROGRAM_REACHABLE);
    assert_int_equal(examine(write_text("script", "#!  \n")), PROGRAM_REACHABLE);
    assert_string_equal(report.path, "/bin/sh");
    /* No shell runs this, but an interpreter that only the kernel knows may. */
    assert_int_equal(examine(write_file("script", 0755, "PK\3\4\0\n", 6)), PROGRAM_UNREADABLE);
    memset(line, 'x', sizeof line);
    memcpy(line, "#!/", 3);
    assert_int_equal(examine(write_file("script", 0755, line, sizeof line)), PROGRAM_REACHABLE);
    assert_string_equal(report.path, "/bin/sh");
}

static void test_script_chains(void **state)
{
    (void)state;
    struct made_up unreached = make_up(NULL);
    char line[512];
    (void)write_file("static", 0755, &unreached, sizeof unreached);
    (void)snprintf(line, sizeof line, "#!%s/static\n", directory);
    (void)write_text("first", line);
    (void)snprintf(line, sizeof line, "#!%s/first\n", directory);
    assert_int_equal(examine(write_text("second", line)), PROGRAM_STATIC);
    /* execvp passes by what has no interpreter. */
    assert_int_equal(mkdir(in_directory("before"), 0755), 0);
    (void)write_text("before/static", "#!/nonexistent\n");
    (void)snprintf(line, sizeof line, "%s/before:%s", directory, directory);
    program_examine_name("static", line, NULL, NULL, &report);
    assert_int_equal(report.reach, PROGRAM_STATIC);
    (void)snprintf(line, sizeof line, "#!%s/circle\n", directory);
    assert_int_equal(examine(write_text("circle", line)), PROGRAM_UNREADABLE);
    (void)snprintf(line, sizeof line, "#!/usr/bin/env -S -u X A=1 '%s/second' \"x y\"\n",
                   directory);
    assert_int_equal(examine(write_text("script", line)), PROGRAM_STATIC);
    assert_int_equal(examine(write_text("script", "#!/usr/bin/env sh\n")), PROGRAM_REACHABLE);
    assert_int_equal(examine(write_text("script", "#!/usr/bin/env\n")), PROGRAM_MISSING);
    assert_int_equal(examine(write_text("script", "#!/usr/bin/env -S ${HOME}/x\n")),
                     PROGRAM_UNREADABLE);
}

static void test_env(void **state)
{
    (void)state;
    struct made_up unreached = make_up(NULL);
    const char *target = write_file("static", 0755, &unreached, sizeof unreached);
    char *path = (char *)(uintptr_t)target;
    char *folder = directory;
    char search[128];
    char split[256];
    (void)snprintf(search, sizeof search, "PATH=/nonexistent:%s", directory);
    (void)snprintf(split, sizeof split, "-S-i X='a b' env \"%s\" y", path);

    assert_int_equal(EXAMINE_WORDS("env"), PROGRAM_REACHABLE);
    assert_int_equal(EXAMINE_WORDS("env", "A=1", "B=2"), PROGRAM_REACHABLE);
    assert_int_equal(EXAMINE_WORDS("env", path), PROGRAM_STATIC);
    assert_int_equal(EXAMINE_WORDS("env", "-i", "A=1", path, "A=2"), PROGRAM_STATIC);
    assert_int_equal(EXAMINE_WORDS("env", "-", "--", "A=1", path), PROGRAM_STATIC);
    assert_int_equal(EXAMINE_WORDS("env", "-u", "true", path), PROGRAM_STATIC);
    assert_int_equal(EXAMINE_WORDS("env", "-iutrue", path), PROGRAM_STATIC);
    assert_int_equal(EXAMINE_WORDS("env", "--unset", "true", path), PROGRAM_STATIC);
    assert_int_equal(EXAMINE_WORDS("env", "--uns=true", path), PROGRAM_STATIC);
    assert_int_equal(EXAMINE_WORDS("env", "--ignore-signal=PIPE", path), PROGRAM_STATIC);
    assert_int_equal(EXAMINE_WORDS("env", search, "static"), PROGRAM_STATIC);
    assert_int_equal(EXAMINE_WORDS("env", "-C", folder, "./static"), PROGRAM_STATIC);
    assert_int_equal(EXAMINE_WORDS("env", split, "z"), PROGRAM_STATIC);
    assert_int_equal(EXAMINE_WORDS("env", "-S", split + 2), PROGRAM_STATIC);
    assert_int_equal(EXAMINE_WORDS("env", "env", "env", "-", path), PROGRAM_STATIC);
    assert_int_equal(EXAMINE_WORDS("env", "no-such-program"), PROGRAM_MISSING);
    assert_int_equal(EXAMINE_WORDS("env", "-S", "\\c"), PROGRAM_UNREADABLE);
    char *endless = malloc(100000);
    assert_non_null(endless);
    memset(endless, 'x', 100000);
    endless[99999] = '\0';
    assert_int_equal(EXAMINE_WORDS("env", "-S", endless), PROGRAM_UNREADABLE);
    for (size_t i = 1; i < 1000; i += 2)
        endless[i] = ' ';
    endless[1000] = '\0';
    assert_int_equal(EXAMINE_WORDS("env", "-S", endless), PROGRAM_UNREADABLE);
    free(endless);
}

static void test_loader_by_hand(void **state)
{
    (void)state;
    struct made_up unreached = make_up(NULL);
    /* The loader needs no execute permission on what it runs. */
    const char *target = write_file("static", 0644, &unreached, sizeof unreached);
    char *path = (char *)(uintptr_t)target;
    assert_int_equal(EXAMINE_WORDS(LOADER), PROGRAM_REACHABLE);
    assert_int_equal(EXAMINE_WORDS(LOADER, "/bin/sh"), PROGRAM_REACHABLE);
    assert_string_equal(report.path, "/bin/sh");
    assert_int_equal(EXAMINE_WORDS(LOADER, path), PROGRAM_STATIC);
    assert_int_equal(EXAMINE_WORDS(LOADER, "--argv0", "/bin/sh", "--list", path), PROGRAM_STATIC);
    assert_int_equal(EXAMINE_WORDS(LOADER, "unknown"), PROGRAM_STATIC);
    assert_int_equal(symlink(LOADER, in_directory("linked")), 0);
    path = (char *)(uintptr_t)in_directory("linked");
    assert_int_equal(EXAMINE_WORDS(path, "/bin/sh"), PROGRAM_REACHABLE);
}

/* Builds an example with a shell command in the test's directory; false if there is no compiler. */
static bool build(const char *command)
{
    char line[4096];
    (void)snprintf(line, sizeof line,
                   "cd %s && export GOCACHE=$PWD/cache GO111MODULE=off && { %s; } >build.log 2>&1",
                   directory, command);
    return system(line) == 0;
}

static void expect_built(const char *command, enum program_reach expected)
{
    (void)unlink(in_directory("example"));
    if (!build(command)) {
        print_message("skipped, cannot be built here: %s\n", command);
        return;
    }
    if (examine(in_directory("example")) != expected)
        fail_msg("%s: %s", command, program_reach_text(report.reach));
}

static void test_real_programs(void **state)
{
    (void)state;
    (void)write_text("example.c", "int main(void) { return 0; }\n");
    (void)write_text("plain.go", "package main\nfunc main() { println(1) }\n");
    (void)write_text("cgo.go", "package main\n// int one(void) { return 1; }\nimport \"C\"\n"
                               "func main() { println(C.one()) }\n");
    expect_built("gcc -no-pie example.c -o example", PROGRAM_REACHABLE);
    expect_built("gcc -pie example.c -o example && strip example", PROGRAM_REACHABLE);
    expect_built("gcc -static example.c -o example", PROGRAM_STATIC);
    expect_built("gcc -static-pie -fPIE example.c -o example", PROGRAM_STATIC);
    expect_built("musl-gcc example.c -o example", PROGRAM_OTHER_LIBC);
    expect_built("musl-gcc -static example.c -o example", PROGRAM_STATIC);
    expect_built("gcc -m32 -nostdlib -Wl,-e,main example.c -o example", PROGRAM_OTHER_MACHINE);
    expect_built("go build -o example plain.go", PROGRAM_GO);
    expect_built("go build -ldflags='-s -w -buildid=' -o example plain.go", PROGRAM_GO);
    expect_built("CGO_ENABLED=1 go build -o example cgo.go", PROGRAM_GO);
    expect_built("CGO_ENABLED=1 go build -ldflags='-s -w -buildid=' -o example cgo.go", PROGRAM_GO);
    /* Without a table of sections. */
    expect_built("CGO_ENABLED=1 go build -o example cgo.go && "
                 "dd if=/dev/zero of=example bs=1 seek=40 count=8 conv=notrunc && "
                 "dd if=/dev/zero of=example bs=1 seek=60 count=4 conv=notrunc && ./example",
                 PROGRAM_GO);
}

/* Who calls, with real and effective IDs that may differ. */
struct caller {
    uid_t real_user, effective_user;
    gid_t real_group, effective_group;
};

/* In a child, as the caller: the verdict, and by executing it, whether the kernel calls it secure.
 */
static void compare_with_kernel(const char *path, const struct caller *caller)
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (setgroups(0, NULL) != 0 ||
            setresgid(caller->real_group, caller->effective_group, caller->effective_group) != 0 ||
            setresuid(caller->real_user, caller->effective_user, caller->effective_user) != 0)
            _exit(99);
        enum program_reach reach = examine(path);
        pid_t asked = fork();
        if (asked == 0) {
            execl(path, path, "--secure", (char *)NULL);
            _exit(98);
        }
        if (waitpid(asked, &status, 0) != asked || !WIFEXITED(status))
            _exit(97);
        bool secure = WEXITSTATUS(status) == AT_SECURE_STATUS;
        bool expected = reach == PROGRAM_SETUID || reach == PROGRAM_CAPABILITIES;
        if (WEXITSTATUS(status) == 98 && reach == PROGRAM_MISSING)
            _exit(0);
        if (!secure && WEXITSTATUS(status) != 0)
            _exit(96);
        _exit(secure == expected ? 0 : 1 + secure);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("as %u/%u %u/%u: status %d", caller->real_user, caller->effective_user,
                 caller->real_group, caller->effective_group, WEXITSTATUS(status));
}

static const struct caller CALLERS[] = {
    {0, 0, 0, 0},           {NOBODY, NOBODY, NOBODY, NOBODY},
    {NOBODY, NOBODY, 0, 0}, {NOBODY, 0, NOBODY, NOBODY},
    {0, NOBODY, 0, 0},
};

static void compare_all_callers(const char *path)
{
    for (size_t i = 0; i < sizeof CALLERS / sizeof *CALLERS; i++)
        compare_with_kernel(path, &CALLERS[i]);
}

static void test_privileges(void **state)
{
    (void)state;
    static const mode_t modes[] = {0755, 04755, 02755, 02745, 06755};
    static const uid_t owners[] = {0, NOBODY};
    struct vfs_cap_data capabilities = {.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE};
    capabilities.data[0].permitted = 1U << CAP_NET_BIND_SERVICE;
    if (geteuid() != 0) {
        print_message("skipped: only root can make set-user-ID files\n");
        return;
    }
    (void)write_text("secure.c", "#include <sys/auxv.h>\nint main(void) "
                                 "{ return getauxval(AT_SECURE) ? 42 : 0; }\n");
    if (!build("gcc secure.c -o secure"))
        fail_msg("no compiler");
    const char *path = in_directory("secure");
    assert_int_equal(chmod(directory, 0755), 0);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        for (size_t j = 0; j < sizeof owners / sizeof *owners; j++) {
            assert_int_equal(chown(path, owners[j], owners[j]), 0);
            assert_int_equal(chmod(path, modes[i]), 0);
            compare_all_callers(path);
        }
    assert_int_equal(chown(path, 0, 0), 0);
    assert_int_equal(chmod(path, 0755), 0);
    for (int round = 0; round < 3; round++) {
        if (setxattr(path, "security.capability", &capabilities, sizeof capabilities, 0) != 0)
            break;
        compare_all_callers(path);
        capabilities.magic_etc &= ~(unsigned)VFS_CAP_FLAGS_EFFECTIVE;
        if (round == 1)
            capabilities.data[0].permitted = 0;
    }
}

static void test_unreadable(void **state)
{
    (void)state;
    struct made_up file = make_up(LOADER);
    const char *path = write_file("unreadable", 0711, &file, sizeof file);
    if (geteuid() == 0)
        assert_int_equal(seteuid(NOBODY), 0);
    else
        assert_int_equal(chmod(path, 0111), 0);
    enum program_reach reach = examine(path);
    assert_int_equal(seteuid(getuid()), 0);
    /* Root that has put on another effective ID would be secure as well. */
    assert_true(reach == PROGRAM_UNREADABLE || (getuid() == 0 && reach == PROGRAM_SETUID));
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    return chmod(directory, 0755);
}

static int tear_down(void **state)
{
    (void)state;
    char line[128];
    (void)snprintf(line, sizeof line, "rm -rf %s", directory);
    return system(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_up_loaders),
        cmocka_unit_test(test_made_up_machines),
        cmocka_unit_test(test_made_up_go),
        cmocka_unit_test(test_headers_that_lie),
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_nothing_to_execute),
        cmocka_unit_test(test_script_lines),
        cmocka_unit_test(test_script_chains),
        cmocka_unit_test(test_env),
        cmocka_unit_test(test_loader_by_hand),
        cmocka_unit_test(test_real_programs),
        cmocka_unit_test(test_privileges),
        cmocka_unit_test(test_unreadable),
    };
    return cmocka_run_group_tests_name("program", tests, set_up, tear_down);
}
