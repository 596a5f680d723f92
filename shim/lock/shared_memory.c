/*
 * Reading /proc/PID/maps piece by piece. It must not take a line's length for granted: paths may be
 * as long as they like, and have blanks in them.
 */
#include "shim/lock/shared_memory.h"

#include "shim/lock/kernel.h"
#include "shim/lock/process.h"

#include <string.h>

#define REGISTRY_ENDING ".registry"
#define DELETED_ENDING " (deleted)"

/* One line: "start-end perms offset major:minor inode   path". */
struct mapping {
    uint64_t fields[6]; /* start, end, offset, major, minor, inode */
    bool shared;
    char ending[32]; /* of the path; not terminated */
    size_t length;   /* of the path */
};

enum { START, END, OFFSET, MAJOR, MINOR, INODE, PERMISSIONS, PATH };

struct reading {
    struct mapping mapping;
    int at; /* which part of the line comes */
    int permission;
};

static void begin_line(struct reading *reading)
{
    memset(reading, 0, sizeof *reading);
}

static unsigned digit_of(char character)
{
    return character >= '0' && character <= '9'   ? (unsigned)(character - '0')
           : character >= 'a' && character <= 'f' ? (unsigned)(character - 'a') + 10
                                                  : 16;
}

static int next_part(int part)
{
    static const int following[] = {
        [START] = END,   [END] = PERMISSIONS, [PERMISSIONS] = OFFSET, [OFFSET] = MAJOR,
        [MAJOR] = MINOR, [MINOR] = INODE,     [INODE] = PATH};
    return following[part];
}

static void take(struct reading *reading, char character)
{
    struct mapping *mapping = &reading->mapping;
    if (reading->at == PATH) {
        if (mapping->length > 0 || character != ' ')
            mapping->ending[mapping->length++ % sizeof mapping->ending] = character;
    } else if (reading->at == PERMISSIONS && character != ' ') {
        mapping->shared = mapping->shared || (++reading->permission == 4 && character == 's');
    } else if (reading->at != PERMISSIONS && digit_of(character) < 16) {
        uint64_t base = reading->at == INODE ? 10 : 16;
        mapping->fields[reading->at] = mapping->fields[reading->at] * base + digit_of(character);
    } else {
        reading->at = next_part(reading->at);
    }
}

/* Does the path end so, in the part of it that is kept? */
static bool ends_with(const struct mapping *mapping, size_t length, const char *ending)
{
    size_t count = strlen(ending);
    if (length < count || mapping->length - length + count > sizeof mapping->ending)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (mapping->ending[(length - count + i) % sizeof mapping->ending] != ending[i])
            return false;
    }
    return true;
}

/* There our own waiters sleep, until a lock is free: that is no waiting for a certain process. */
static bool is_registry(const struct mapping *mapping)
{
    size_t length = mapping->length;
    if (ends_with(mapping, length, DELETED_ENDING))
        length -= strlen(DELETED_ENDING);
    return ends_with(mapping, length, REGISTRY_ENDING);
}

struct search {
    bool (*is_wanted)(const struct mapping *mapping, struct search *search);
    uint64_t address;
    struct shared_memory memory;
    bool found;
};

static void read_mappings(pid_t process, struct search *search)
{
    char path[64], text[4096];
    struct reading reading;
    int file =
        kernel_openat(AT_FDCWD, process_path(path, process, "maps", -1), O_RDONLY | O_CLOEXEC, 0);
    if (file < 0)
        return;
    begin_line(&reading);
    for (ssize_t got; !search->found && (got = kernel_read(file, text, sizeof text)) > 0;) {
        for (ssize_t i = 0; i < got && !search->found; i++) {
            if (text[i] != '\n') {
                take(&reading, text[i]);
                continue;
            }
            search->found = search->is_wanted(&reading.mapping, search);
            begin_line(&reading);
        }
    }
    (void)kernel_close(file);
}

static struct shared_memory memory_of(const struct mapping *mapping)
{
    return (struct shared_memory){mapping->fields[MAJOR] << 32 | mapping->fields[MINOR],
                                  mapping->fields[INODE]};
}

static bool has_address(const struct mapping *mapping, struct search *search)
{
    if (search->address < mapping->fields[START] || search->address >= mapping->fields[END])
        return false;
    if (mapping->shared && !is_registry(mapping))
        search->memory = memory_of(mapping);
    return true;
}

bool shared_memory_at(pid_t process, uint64_t address, struct shared_memory *memory)
{
    struct search search = {.is_wanted = has_address, .address = address};
    read_mappings(process, &search);
    *memory = search.memory;
    return memory->inode != 0;
}

static bool is_the_same(const struct mapping *mapping, struct search *search)
{
    struct shared_memory memory = memory_of(mapping);
    return mapping->shared && memory.inode == search->memory.inode &&
           memory.device == search->memory.device;
}

bool shared_memory_is_in(pid_t process, const struct shared_memory *memory)
{
    struct search search = {.is_wanted = is_the_same, .memory = *memory};
    read_mappings(process, &search);
    return search.found;
}
