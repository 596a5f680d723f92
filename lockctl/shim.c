/*
 * Finds the shim and looks at it as the loader will: a shim that can't be loaded is ignored by the
 * loader with a warning at most, and the program would run unguarded.
 */
#include "lockctl/preload.h"

#include "lockctl/lockctl.h"
#include "lockctl/paths.h"
#include "shim/lock/kernel.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Of this program: the linker names it so. */
extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden"))); // NOLINT

#define SHIM_NAME "liblockshim.so"
/* The shim's note (shim/mark.c): another library would be loaded, and guard nothing. */
#define SHIM_MARK "lockshim.so"
/* Enough for all headers, and for all notes. */
#define SHIM_HEAD 4096

static const char *judge_header(const Elf64_Ehdr *header, const Elf64_Ehdr *own)
{
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_type != ET_DYN)
        return "is no shared library";
    if (header->e_ident[EI_CLASS] != own->e_ident[EI_CLASS] ||
        header->e_ident[EI_DATA] != own->e_ident[EI_DATA] || header->e_machine != own->e_machine)
        return "is for another architecture or word size";
    return NULL;
}

/* What its first bytes and its program headers tell. */
struct shim_file {
    int descriptor;
    unsigned char head[SHIM_HEAD];
    size_t size; /* of head */
};

/* False where it lies beyond the head: no linker puts it there. */
static bool read_segment(const struct shim_file *file, const Elf64_Ehdr *header, size_t index,
                         Elf64_Phdr *segment)
{
    size_t offset = header->e_phoff + index * sizeof *segment;
    if (offset > file->size || file->size - offset < sizeof *segment)
        return false;
    memcpy(segment, file->head + offset, sizeof *segment);
    return true;
}

static bool has_mark(const struct shim_file *file, const Elf64_Phdr *segment)
{
    char notes[SHIM_HEAD];
    ssize_t size = kernel_pread(file->descriptor, notes,
                                segment->p_filesz < sizeof notes ? segment->p_filesz : sizeof notes,
                                (off_t)segment->p_offset);
    return size > 0 && memmem(notes, (size_t)size, SHIM_MARK, sizeof SHIM_MARK) != NULL;
}

static const char *judge_contents(const struct shim_file *file)
{
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    if (file->size < sizeof header)
        return "is no shared library";
    memcpy(&header, file->head, sizeof header);
    const char *wrong = judge_header(&header, &__ehdr_start);
    if (wrong != NULL)
        return wrong;
    wrong = "is another library, not the shim";
    for (size_t i = 0; i < header.e_phnum; i++) {
        /* A position-independent program looks like a library, but the loader won't preload it. */
        if (!read_segment(file, &header, i, &segment) || segment.p_type == PT_INTERP)
            return "is a program, not a library";
        if (segment.p_type == PT_NOTE && has_mark(file, &segment))
            wrong = NULL;
    }
    return wrong;
}

/* NULL, or what is wrong with it. */
static const char *judge_shim(const char *path)
{
    struct stat status = {0};
    struct statvfs mount;
    int descriptor = kernel_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    if (descriptor < 0)
        return strerror(-descriptor);
    const char *wrong = NULL;
    if (kernel_fstat(descriptor, &status) < 0 || !S_ISREG(status.st_mode))
        wrong = "is no regular file";
    else if (fstatvfs(descriptor, &mount) == 0 && (mount.f_flag & ST_NOEXEC) != 0)
        wrong = "lies on a file system mounted noexec";
    else if (status.st_size == 0)
        wrong = "is empty";
    if (wrong == NULL) {
        struct shim_file file = {.descriptor = descriptor};
        ssize_t size = kernel_pread(descriptor, file.head, sizeof file.head, 0);
        file.size = size < 0 ? 0 : (size_t)size;
        wrong = size < 0 ? "cannot be read" : judge_contents(&file);
    }
    (void)kernel_close(descriptor);
    return wrong;
}

/* Blanks and colons separate the entries of LD_PRELOAD, and a dollar is expanded there. */
static const char *judge_name(const char *path)
{
    if (strpbrk(path, " :$\t\n") != NULL)
        return "has a blank, colon or dollar in its path, which LD_PRELOAD cannot express";
    return NULL;
}

static bool exists(const char *path)
{
    struct stat status;
    return kernel_fstatat(AT_FDCWD, path, &status, 0) == 0;
}

/* Beside lockctl itself; NULL if there is none, or /proc does not tell where lockctl lies. */
static char *find_beside(void)
{
    char path[PATH_MAX + sizeof SHIM_NAME];
    ssize_t length = kernel_readlinkat(AT_FDCWD, "/proc/self/exe", path, PATH_MAX - 1);
    if (length <= 0 || path[0] != '/')
        return NULL;
    path[length] = '\0';
    (void)strcpy(strrchr(path, '/') + 1, SHIM_NAME);
    return exists(path) ? copy_text(path) : NULL;
}

char *shim_look(const char *wanted, char *message, size_t size)
{
    int error = 0;
    char *path;
    if (wanted != NULL)
        path = path_of_object(wanted, &error);
    else if ((path = find_beside()) == NULL)
        path = copy_text(LIBDIR "/" SHIM_NAME);
    const char *wrong = path == NULL ? strerror(error) : judge_name(path);
    if (wrong == NULL)
        wrong = judge_shim(path);
    if (wrong == NULL)
        return path;
    (void)snprintf(message, size, "the shim '%s' cannot be loaded: it %s%s",
                   shown(path != NULL ? path : wanted),
                   strncmp(wrong, "is ", 3) == 0 || strncmp(wrong, "has ", 4) == 0 ||
                           strncmp(wrong, "lies ", 5) == 0 || strncmp(wrong, "cannot ", 7) == 0
                       ? ""
                       : "could not be read: ",
                   wrong);
    return NULL;
}

char *shim_find(const char *wanted)
{
    char message[2048];
    char *path = shim_look(wanted, message, sizeof message);
    if (path == NULL)
        complain("%s", message);
    return path;
}

static bool is_same_file(const struct stat *status, const char *directory, const char *rest)
{
    char path[PATH_MAX];
    struct stat other;
    int length = snprintf(path, sizeof path, "%s%s", directory, rest);
    return length < (int)sizeof path && kernel_fstatat(AT_FDCWD, path, &other, 0) == 0 &&
           other.st_dev == status->st_dev && other.st_ino == status->st_ino;
}

/* Without loading it: the loader says nothing where it found a file that it was not to load. */
static bool loader_finds(const char *entry)
{
    (void)dlerror();
    void *loaded = dlopen(entry, RTLD_LAZY | RTLD_NOLOAD);
    if (loaded != NULL)
        (void)dlclose(loaded);
    return loaded != NULL || dlerror() == NULL;
}

/* Is there a shim for musl, or one for 32-bit programs? The shim's own alone is no set. */
static bool has_others(const char *directory)
{
    static const char *const places[] = {"/$LIB/", "/lib32/", "/lib/i386-linux-gnu/"};
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        int length = snprintf(path, sizeof path, "%s%s" SHIM_NAME, directory, places[i]);
        if (length < (int)sizeof path && exists(path))
            return true;
    }
    return false;
}

/* The entry for a set of shims in `directory`, if this shim is one of it; or NULL. */
static char *entry_in_set(const char *shim, const char *directory)
{
    struct stat status;
    char entry[PATH_MAX];
    if (kernel_fstatat(AT_FDCWD, shim, &status, 0) != 0 ||
        !is_same_file(&status, directory, "/lib64/" SHIM_NAME) ||
        !is_same_file(&status, directory, "/lib/" SHIM_NAME) || judge_name(directory) != NULL ||
        !has_others(directory))
        return NULL;
    int length = snprintf(entry, sizeof entry, "%s/$LIB/" SHIM_NAME, directory);
    return length < (int)sizeof entry && loader_finds(entry) ? copy_text(entry) : NULL;
}

const char *shim_entry(const char *shim)
{
    char beside[PATH_MAX];
    const char *slash = strrchr(shim, '/');
    int length = snprintf(beside, sizeof beside, "%.*s/lockshim", (int)(slash - shim), shim);
    const char *entry = length < (int)sizeof beside ? entry_in_set(shim, beside) : NULL;
    if (entry == NULL)
        entry = entry_in_set(shim, SHIMSETDIR);
    return entry != NULL ? entry : shim;
}
