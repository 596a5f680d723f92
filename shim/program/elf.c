/*
 * Reads of an ELF file what decides whether the shim can be loaded: class and machine, the loader
 * it names, and whether Go made it. Every offset and size in it may be a lie; none is believed
 * before the bytes were read.
 */
#include "shim/program/facts.h"

#include "shim/lock/kernel.h"

#include <elf.h>
#include <string.h>

#define I386_LOADER "ld-linux.so.2"
#if defined(__x86_64__)
#define OUR_MACHINE EM_X86_64
#define GLIBC_LOADER "ld-linux-x86-64.so.2"
#define MUSL_LOADER "ld-musl-x86_64.so.1"
#elif defined(__aarch64__)
#define OUR_MACHINE EM_AARCH64
#define GLIBC_LOADER "ld-linux-aarch64.so.1"
#define MUSL_LOADER "ld-musl-aarch64.so.1"
#elif defined(__i386__)
#define OUR_MACHINE EM_386
#define GLIBC_LOADER I386_LOADER
#define MUSL_LOADER "ld-musl-i386.so.1"
#endif
#define OUR_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)
/* The other kind of program that this machine runs, and for which there may be a shim as well. */
#if defined(__x86_64__)
#define OTHER_CLASS ELFCLASS32
#define OTHER_MACHINE EM_386
#define OTHER_LOADER I386_LOADER
#elif defined(__i386__)
#define OTHER_CLASS ELFCLASS64
#define OTHER_MACHINE EM_X86_64
#define OTHER_LOADER "ld-linux-x86-64.so.2"
#else
#define OTHER_CLASS ELFCLASSNONE
#define OTHER_MACHINE EM_NONE
#define OTHER_LOADER ""
#endif
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
    if (offset > (uint64_t)INT64_MAX - size)
        return false;
    return kernel_pread(file->descriptor, buffer, size, (off_t)offset) == (ssize_t)size;
}

/* --- headers of either class, as the wider one has them --- */

static bool read_header(const struct program_file *file, Elf64_Ehdr *header)
{
    Elf32_Ehdr narrow;
    if (file->head_size > EI_CLASS && file->head[EI_CLASS] != ELFCLASS32)
        return program_file_read(file, 0, header, sizeof *header);
    if (!program_file_read(file, 0, &narrow, sizeof narrow))
        return false;
    memcpy(header->e_ident, narrow.e_ident, sizeof header->e_ident);
    header->e_type = narrow.e_type;
    header->e_machine = narrow.e_machine;
    header->e_phoff = narrow.e_phoff;
    header->e_shoff = narrow.e_shoff;
    header->e_phentsize = narrow.e_phentsize;
    header->e_phnum = narrow.e_phnum;
    header->e_shentsize = narrow.e_shentsize;
    header->e_shnum = narrow.e_shnum;
    header->e_shstrndx = narrow.e_shstrndx;
    return true;
}

static bool is_narrow(const Elf64_Ehdr *header)
{
    return header->e_ident[EI_CLASS] == ELFCLASS32;
}

static bool read_section(const struct program_file *file, const Elf64_Ehdr *header, unsigned index,
                         Elf64_Shdr *section)
{
    Elf32_Shdr narrow;
    uint64_t offset = header->e_shoff + (uint64_t)header->e_shentsize * index;
    if (!is_narrow(header))
        return program_file_read(file, offset, section, sizeof *section);
    if (!program_file_read(file, offset, &narrow, sizeof narrow))
        return false;
    section->sh_type = narrow.sh_type;
    section->sh_offset = narrow.sh_offset;
    section->sh_size = narrow.sh_size;
    return true;
}

static bool read_segment(const struct program_file *file, const Elf64_Ehdr *header, unsigned index,
                         Elf64_Phdr *segment)
{
    Elf32_Phdr narrow;
    uint64_t offset = header->e_phoff + (uint64_t)header->e_phentsize * index;
    if (!is_narrow(header))
        return program_file_read(file, offset, segment, sizeof *segment);
    if (!program_file_read(file, offset, &narrow, sizeof narrow))
        return false;
    segment->p_type = narrow.p_type;
    segment->p_flags = narrow.p_flags;
    segment->p_offset = narrow.p_offset;
    segment->p_filesz = narrow.p_filesz;
    segment->p_align = narrow.p_align;
    return true;
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
    if (header->e_shoff == 0 ||
        header->e_shentsize != (is_narrow(header) ? sizeof(Elf32_Shdr) : sizeof(Elf64_Shdr)) ||
        header->e_shstrndx >= header->e_shnum ||
        header->e_shoff > INT64_MAX - sizeof names * (uint64_t)header->e_shnum)
        return false;
    if (!read_section(file, header, header->e_shstrndx, &names) || names.sh_type != SHT_STRTAB)
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
    if (header->e_phentsize != (is_narrow(header) ? sizeof(Elf32_Phdr) : sizeof(Elf64_Phdr)) ||
        header->e_phnum == 0 || sizeof segment * (size_t)header->e_phnum > HEADERS_BYTES_MAXIMUM ||
        header->e_phoff > INT64_MAX - HEADERS_BYTES_MAXIMUM)
        return false;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (!read_segment(file, header, i, &segment))
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
    if (!read_header(file, &header))
        return;
    facts->same_machine = header.e_ident[EI_CLASS] == OUR_CLASS &&
                          header.e_ident[EI_DATA] == OUR_DATA && header.e_machine == OUR_MACHINE;
    facts->other_width = header.e_ident[EI_CLASS] == OTHER_CLASS &&
                         header.e_ident[EI_DATA] == OUR_DATA && header.e_machine == OTHER_MACHINE;
    if (!facts->same_machine && !facts->other_width) {
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

bool loader_is_64_bit_glibc(const char *path)
{
    return sizeof(void *) == 8 ? loader_is_glibc(path) : strcmp(last_part(path), OTHER_LOADER) == 0;
}

bool loader_is_glibc_of_i386(const char *path)
{
    return strcmp(last_part(path), I386_LOADER) == 0;
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
