/*
 * Reads of an ELF file what decides whether the shim can be loaded: class and machine, the loader
 * it names, and whether Go made it. Every offset and size in it may be a lie; none is believed
 * before the bytes were read.
 */
#include "shim/program/facts.h"

#include "shim/lock/kernel.h"

#include <elf.h>
#include <string.h>

#if defined(__x86_64__)
#define OUR_MACHINE EM_X86_64
#define GLIBC_LOADER "ld-linux-x86-64.so.2"
#define MUSL_LOADER "ld-musl-x86_64.so.1"
#elif defined(__aarch64__)
#define OUR_MACHINE EM_AARCH64
#define GLIBC_LOADER "ld-linux-aarch64.so.1"
#define MUSL_LOADER "ld-musl-aarch64.so.1"
#endif
#define OUR_CLASS ELFCLASS64
#define OUR_DATA (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB)

/* The kernel takes no more than 64 KiB of program headers; names and notes are far below. */
#define HEADERS_BYTES_MAXIMUM 65536
#define SCAN_BYTES_MAXIMUM 65536
#define CHUNK_SIZE 512

/* The type of Go's note is 4; its name is padded to four bytes. */
#define GO_NOTE_TYPE 4
static const char GO_NOTE_NAME[4] = "Go\0";

bool program_file_read(const struct program_file *file, uint64_t offset, void *buffer, size_t size)
{
    if (offset <= file->head_size && size <= file->head_size - offset) {
        memcpy(buffer, file->head + offset, size);
        return true;
    }
    if (offset > INT64_MAX - size)
        return false;
    return kernel_pread(file->descriptor, buffer, size, (off_t)offset) == (ssize_t)size;
}

bool elf_has_magic(const struct program_file *file)
{
    return file->head_size >= SELFMAG && memcmp(file->head, ELFMAG, SELFMAG) == 0;
}

struct needle {
    const char *text;
    size_t size;
};

/*
 * Does one of two texts occur in the file's bytes [offset, offset + size)? Read in pieces that
 * overlap by the longest text. Returns -1 if there is nothing to read.
 */
static int range_contains(const struct program_file *file, uint64_t offset, uint64_t size,
                          const struct needle needles[2])
{
    char chunk[CHUNK_SIZE];
    int answer = -1;
    size_t overlap = (needles[0].size > needles[1].size ? needles[0].size : needles[1].size) - 1;
    if (size > SCAN_BYTES_MAXIMUM)
        size = SCAN_BYTES_MAXIMUM;
    while (size > 0) {
        size_t piece = size < sizeof chunk ? (size_t)size : sizeof chunk;
        if (!program_file_read(file, offset, chunk, piece))
            return answer;
        answer = 0;
        for (int i = 0; i < 2; i++)
            if (memmem(chunk, piece, needles[i].text, needles[i].size) != NULL)
                return 1;
        if (piece == size)
            return 0;
        offset += piece - overlap;
        size -= piece - overlap;
    }
    return answer;
}

/*
 * Looks for Go's sections by their names alone. *known tells whether there was a table of names
 * to look into.
 */
static bool sections_are_go(const struct program_file *file, const Elf64_Ehdr *header, bool *known)
{
    static const char info[] = ".go.buildinfo";
    static const char identity[] = ".note.go.buildid";
    static const struct needle needles[] = {{info, sizeof info}, {identity, sizeof identity}};
    Elf64_Shdr names = {0};
    *known = false;
    if (header->e_shoff == 0 || header->e_shentsize != sizeof names ||
        header->e_shstrndx >= header->e_shnum ||
        header->e_shoff > INT64_MAX - sizeof names * (uint64_t)header->e_shnum)
        return false;
    if (!program_file_read(file, header->e_shoff + sizeof names * (uint64_t)header->e_shstrndx,
                           &names, sizeof names) ||
        names.sh_type != SHT_STRTAB)
        return false;
    int found = range_contains(file, names.sh_offset, names.sh_size, needles);
    *known = found >= 0;
    return found > 0;
}

/* Where there are no section names, Go's own reader looks at the start of the data like this. */
static bool data_is_go(const struct program_file *file, const Elf64_Phdr *segment)
{
    static const char magic[] = "\xff Go buildinf:";
    static const struct needle needles[] = {{magic, sizeof magic - 1}, {magic, sizeof magic - 1}};
    return range_contains(file, segment->p_offset, segment->p_filesz, needles) > 0;
}

static bool notes_are_go(const struct program_file *file, const Elf64_Phdr *segment)
{
    uint64_t left = segment->p_filesz < SCAN_BYTES_MAXIMUM ? segment->p_filesz : SCAN_BYTES_MAXIMUM;
    uint64_t offset = segment->p_offset;
    uint64_t alignment = segment->p_align == 8 ? 8 : 4;
    struct {
        Elf64_Nhdr header;
        char name[sizeof GO_NOTE_NAME];
    } note = {0};
    while (left >= sizeof note && program_file_read(file, offset, &note, sizeof note)) {
        if (note.header.n_type == GO_NOTE_TYPE && note.header.n_namesz == sizeof GO_NOTE_NAME &&
            memcmp(note.name, GO_NOTE_NAME, sizeof GO_NOTE_NAME) == 0)
            return true;
        uint64_t size = sizeof note.header + (uint64_t)note.header.n_namesz;
        size = (size + alignment - 1) & ~(alignment - 1);
        size = (size + note.header.n_descsz + alignment - 1) & ~(alignment - 1);
        if (size > left)
            return false;
        offset += size;
        left -= size;
    }
    return false;
}

static bool read_loader(const struct program_file *file, const Elf64_Phdr *segment,
                        struct elf_facts *facts)
{
    size_t size = (size_t)segment->p_filesz;
    if (segment->p_filesz < 2 || segment->p_filesz > sizeof facts->loader)
        return false;
    return program_file_read(file, segment->p_offset, facts->loader, size) &&
           facts->loader[size - 1] == '\0';
}

/* What the program headers tell; false if they make no sense. */
static bool read_segments(const struct program_file *file, const Elf64_Ehdr *header,
                          bool sections_known, struct elf_facts *facts)
{
    Elf64_Phdr segment = {0};
    if (header->e_phentsize != sizeof segment || header->e_phnum == 0 ||
        sizeof segment * (size_t)header->e_phnum > HEADERS_BYTES_MAXIMUM ||
        header->e_phoff > INT64_MAX - HEADERS_BYTES_MAXIMUM)
        return false;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (!program_file_read(file, header->e_phoff + sizeof segment * (uint64_t)i, &segment,
                               sizeof segment))
            return false;
        if (segment.p_type == PT_INTERP && facts->loader[0] == '\0' &&
            !read_loader(file, &segment, facts))
            return false;
        if (segment.p_type == PT_NOTE && notes_are_go(file, &segment))
            facts->go = true;
        if (segment.p_type == PT_LOAD && (segment.p_flags & PF_W) != 0 && !sections_known &&
            data_is_go(file, &segment))
            facts->go = true;
    }
    return true;
}

void elf_read_facts(const struct program_file *file, struct elf_facts *facts)
{
    Elf64_Ehdr header = {0};
    memset(facts, 0, sizeof *facts);
    if (!program_file_read(file, 0, &header, sizeof header))
        return;
    facts->same_machine = header.e_ident[EI_CLASS] == OUR_CLASS &&
                          header.e_ident[EI_DATA] == OUR_DATA && header.e_machine == OUR_MACHINE;
    if (!facts->same_machine) {
        facts->sane =
            header.e_ident[EI_CLASS] == ELFCLASS32 || header.e_ident[EI_CLASS] == ELFCLASS64;
        return;
    }
    if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
        return;
    bool sections_known;
    facts->go = sections_are_go(file, &header, &sections_known);
    facts->sane = read_segments(file, &header, sections_known, facts);
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

bool loader_is_glibc(const char *path)
{
    return strcmp(last_part(path), GLIBC_LOADER) == 0;
}

bool loader_is_musl(const char *path)
{
    return strcmp(last_part(path), MUSL_LOADER) == 0;
}

bool loader_is_ours(const char *path)
{
#ifdef __GLIBC__
    return loader_is_glibc(path);
#else
    return loader_is_musl(path);
#endif
}

/* On systems whose loader has another name, what loaded this program can load the shim again. */
bool loader_runs_us(const char *path)
{
    struct program_file self;
    struct elf_facts facts;
    self.descriptor = kernel_openat(AT_FDCWD, "/proc/self/exe", O_RDONLY | O_CLOEXEC, 0);
    if (self.descriptor < 0)
        return false;
    ssize_t size = kernel_pread(self.descriptor, self.head, sizeof self.head, 0);
    self.head_size = size > 0 ? (size_t)size : 0;
    elf_read_facts(&self, &facts);
    kernel_close(self.descriptor);
    return facts.sane && facts.loader[0] != '\0' && strcmp(facts.loader, path) == 0;
}
