/*
 * Reading dynamic symbol tables (the ELF gABI, and the GNU hash table as binutils writes it). It
 * must never change what the loader has loaded.
 */
#include "shim/lock/objects.h"

#include <stddef.h>
#include <string.h>

/* The loader relocates these pointers in place; where it has not, they are offsets. */
static const void *locate(ElfW(Addr) base, ElfW(Addr) address)
{
    if (address < base)
        address += base;
    return (const void *)address; // NOLINT(performance-no-int-to-ptr)
}

static bool read_object(const struct dl_phdr_info *loaded, struct object *object)
{
    memset(object, 0, sizeof *object);
    object->base = loaded->dlpi_addr;
    for (int i = 0; i < loaded->dlpi_phnum; i++) {
        if (loaded->dlpi_phdr[i].p_type == PT_DYNAMIC)
            object->dynamic = locate(0, object->base + loaded->dlpi_phdr[i].p_vaddr);
    }
    if (object->dynamic == NULL)
        return false;
    for (const ElfW(Dyn) *entry = object->dynamic; entry->d_tag != DT_NULL; entry++) {
        const void *address = locate(object->base, entry->d_un.d_ptr);
        if (entry->d_tag == DT_SYMTAB)
            object->symbols = address;
        else if (entry->d_tag == DT_STRTAB)
            object->names = address;
        else if (entry->d_tag == DT_VERSYM)
            object->versions = address;
        else if (entry->d_tag == DT_GNU_HASH)
            object->gnu_hash = address;
        else if (entry->d_tag == DT_HASH)
            object->hash = address;
    }
    return object->symbols != NULL && object->names != NULL;
}

struct walk {
    bool (*each)(const struct object *object, void *context);
    void *context;
};

static int visit(struct dl_phdr_info *loaded, size_t size, void *context)
{
    (void)size;
    const struct walk *walk = context;
    struct object object;
    /* The kernel's own object has nothing of interest, and its pointers are not relocated. */
    if (loaded->dlpi_name != NULL && strstr(loaded->dlpi_name, "vdso") != NULL)
        return 0;
    return read_object(loaded, &object) && !walk->each(&object, walk->context);
}

void objects_each(bool (*each)(const struct object *object, void *context), void *context)
{
    struct walk walk = {each, context};
    (void)dl_iterate_phdr(visit, &walk);
}

bool object_imports(const struct object *object, bool (*wanted)(const char *name))
{
    /* Undefined symbols stand before the first that the GNU hash table covers. */
    uint32_t count = object->gnu_hash != NULL ? object->gnu_hash[1]
                     : object->hash != NULL   ? object->hash[1]
                                              : 0;
    for (uint32_t i = 1; i < count; i++) {
        if (object->symbols[i].st_shndx == SHN_UNDEF &&
            wanted(object->names + object->symbols[i].st_name))
            return true;
    }
    return false;
}

static uint32_t gnu_hash_of(const char *name)
{
    uint32_t hash = 5381;
    for (; *name != '\0'; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

static bool is_wanted(const struct object *object, uint32_t index, const char *name)
{
    const ElfW(Sym) *symbol = &object->symbols[index];
    if (symbol->st_shndx == SHN_UNDEF || ELF64_ST_TYPE(symbol->st_info) != STT_FUNC)
        return false;
    /* The high bit hides a version that only old programs are bound to. */
    if (object->versions != NULL && (object->versions[index] & 0x8000) != 0)
        return false;
    return strcmp(object->names + symbol->st_name, name) == 0;
}

void *object_function(const struct object *object, const char *name)
{
    if (object->gnu_hash == NULL)
        return NULL;
    uint32_t buckets = object->gnu_hash[0], first = object->gnu_hash[1];
    uint32_t words = object->gnu_hash[2], shift = object->gnu_hash[3];
    const ElfW(Addr) *bloom = (const void *)&object->gnu_hash[4];
    const uint32_t *bucket = (const void *)&bloom[words];
    const uint32_t *chain = &bucket[buckets];
    uint32_t hash = gnu_hash_of(name), bits = sizeof(ElfW(Addr)) * 8;
    ElfW(Addr) word = bloom[hash / bits % words];
    if ((word >> (hash % bits) & word >> (hash >> shift) % bits & 1) == 0 || buckets == 0)
        return NULL;
    uint32_t index = bucket[hash % buckets];
    for (; index >= first; index++) {
        uint32_t value = chain[index - first];
        if ((value | 1) == (hash | 1) && is_wanted(object, index, name))
            return (void *)(object->base + object->symbols[index].st_value); // NOLINT
        if ((value & 1) != 0)
            break;
    }
    return NULL;
}
