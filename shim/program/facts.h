/*
 * What the parts of the examination tell one another; nobody outside shim/program/ includes this.
 * Whatever the files examined contain, no part may read beyond what it was given.
 */
#ifndef LOCKSHIM_PROGRAM_FACTS_H
#define LOCKSHIM_PROGRAM_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define PROGRAM_HEAD_SIZE 2048
#define LOADER_PATH_SIZE 1024

/* A file under examination: its first bytes are read once, most of what is asked lies there. */
struct program_file {
    int descriptor;
    size_t head_size;
    unsigned char head[PROGRAM_HEAD_SIZE];
};

/* Reads exactly `size` bytes at `offset`; false if the file does not have them. */
bool program_file_read(const struct program_file *file, uint64_t offset, void *buffer, size_t size);

struct elf_facts {
    bool sane;                     /* the headers make sense */
    bool same_machine;             /* as this code's */
    bool other_width;              /* not so, but its 32- or 64-bit sister, which runs here too */
    bool go;                       /* made by the Go toolchain */
    char loader[LOADER_PATH_SIZE]; /* PT_INTERP; empty: there is none */
};

bool elf_has_magic(const struct program_file *file);
void elf_read_facts(const struct program_file *file, struct elf_facts *facts);

/* Whose dynamic loader for this machine is it, by the last part of its name? Ours: this code's. */
bool loader_is_glibc(const char *path);
bool loader_is_64_bit_glibc(const char *path);
bool loader_is_glibc_of_i386(const char *path);
bool loader_is_musl(const char *path);
bool loader_is_ours(const char *path);
/* Was the running program itself started through a loader of this path? */
bool loader_runs_us(const char *path);

/* Will the loader of another libc, or of another width, find a shim of its own, by the LD_PRELOAD
 * in `environment`? */
bool preload_serves(char *const *environment, const char *loader);

/*
 * What a program would find in its argv after argv[0]: words put in front (by a `#!` line, by
 * `env -S`), then what remains of the caller's own.
 */
#define WORDS_FRONT 32
#define WORDS_TEXT_SIZE 2048

struct words {
    const char *front[WORDS_FRONT]; /* a stack: the next word lies on top */
    size_t front_count;
    char *const *rest; /* NULL or NULL-terminated */
    char text[WORDS_TEXT_SIZE];
    size_t text_used;
    bool overflow; /* more than fits: nobody can tell any more what would run */
};

const char *words_take(struct words *words);
void words_put_back(struct words *words, const char *word);
/* Copies a text to where it lives as long as the words do; NULL after an overflow. */
char *words_copy(struct words *words, const char *text, size_t length);

/*
 * Reads the `#!` line by the kernel's rules. Returns false if there is none that it would accept;
 * else the interpreter is in `interpreter` and its arguments are in front of the words.
 */
#define SCRIPT_LINE_SIZE 256
bool script_read(const struct program_file *file, char interpreter[SCRIPT_LINE_SIZE],
                 struct words *words);

/* What env(1) would run: its name, where to look for it, from which directory. */
struct env_target {
    const char *name;      /* NULL: nothing */
    const char *search;    /* PATH as env leaves it; NULL: unset */
    const char *directory; /* --chdir, or NULL */
};

void env_follow(struct words *words, struct env_target *target);

/* The path that a file has in the end, through all symlinks; empty if unknown. */
void program_real_path(const char *path, char *real, size_t size);

/* What the loader, called as a program, would run; NULL: nothing. */
const char *loader_follow(struct words *words);

/* Would execve of this file set AT_SECURE, so that the loader ignores LD_PRELOAD? */
bool privilege_changes_ids(const char *path, const struct stat *status);
bool privilege_has_capabilities(const char *path);

#endif
