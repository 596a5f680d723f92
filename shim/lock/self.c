/*
 * Who this process is. Whether vfork children are to be reckoned with is read off the symbols that
 * the loaded objects import: without vfork or clone among them there are none, and a system call on
 * every table's open and close is saved. Where that can't be read the answer is yes.
 */
#include "shim/lock/self.h"

#include "shim/lock/process.h"

#include <elf.h>
#include <link.h>
#include <string.h>

struct lock_self lock_self = {.may_vfork = true};

void lock_self_set_up(void)
{
    atomic_store(&lock_self.process, kernel_getpid());
    lock_self.start_time = 0;
}

uint64_t lock_self_start_time(void)
{
    if (lock_self.start_time == 0)
        lock_self.start_time = process_start_time(lock_self.process);
    return lock_self.start_time;
}

struct dynamic {
    const ElfW(Sym) * symbols;
    const char *names;
    const uint32_t *gnu_hash;
    const ElfW(Word) * hash;
};

/* The loader relocates these pointers in place; where it has not, they are offsets. */
static const void *locate(const struct dl_phdr_info *object, ElfW(Addr) address)
{
    if (address < object->dlpi_addr)
        address += object->dlpi_addr;
    return (const void *)address; // NOLINT(performance-no-int-to-ptr)
}

static bool read_dynamic(const struct dl_phdr_info *object, struct dynamic *dynamic)
{
    memset(dynamic, 0, sizeof *dynamic);
    for (int i = 0; i < object->dlpi_phnum; i++) {
        if (object->dlpi_phdr[i].p_type != PT_DYNAMIC)
            continue;
        const ElfW(Dyn) *entry = locate(object, object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
        for (; entry->d_tag != DT_NULL; entry++) {
            if (entry->d_tag == DT_SYMTAB)
                dynamic->symbols = locate(object, entry->d_un.d_ptr);
            else if (entry->d_tag == DT_STRTAB)
                dynamic->names = locate(object, entry->d_un.d_ptr);
            else if (entry->d_tag == DT_GNU_HASH)
                dynamic->gnu_hash = locate(object, entry->d_un.d_ptr);
            else if (entry->d_tag == DT_HASH)
                dynamic->hash = locate(object, entry->d_un.d_ptr);
        }
        return dynamic->symbols != NULL && dynamic->names != NULL;
    }
    return false;
}

static bool makes_children(const char *name)
{
    return strcmp(name, "vfork") == 0 || strcmp(name, "__vfork") == 0 ||
           strcmp(name, "clone") == 0 || strcmp(name, "__clone") == 0;
}

static int look_at_object(struct dl_phdr_info *object, size_t size, void *found)
{
    (void)size;
    struct dynamic dynamic;
    if (object->dlpi_name != NULL && strstr(object->dlpi_name, "vdso") != NULL)
        return 0;
    if (!read_dynamic(object, &dynamic))
        return 0; /* imports nothing */
    /* Undefined symbols stand before the first that the GNU hash table covers. */
    uint32_t count = dynamic.gnu_hash != NULL ? dynamic.gnu_hash[1]
                     : dynamic.hash != NULL   ? dynamic.hash[1]
                                              : 0;
    for (uint32_t i = 1; i < count; i++) {
        if (dynamic.symbols[i].st_shndx == SHN_UNDEF &&
            makes_children(dynamic.names + dynamic.symbols[i].st_name)) {
            *(bool *)found = true;
            return 1;
        }
    }
    return 0;
}

void lock_self_look_at_objects(void)
{
    bool found = false;
    (void)dl_iterate_phdr(look_at_object, &found);
    atomic_store(&lock_self.may_vfork, found);
}
