/*
 * Mappings. Stores into a mapping can't be seen: a mapping of a table's file holds the lock like a
 * descriptor, until all of it is gone; a shared and writable one counts as a change from the start.
 */
#include "shim/interpose/real.h"
#include "shim/mappings.h"
#include "shim/touch.h"

/* Where changes are journaled, one that mprotect can make writable counts as well. */
static bool changes(int protection, int flags, uint32_t word)
{
    return (flags & MAP_TYPE) != MAP_PRIVATE &&
           ((protection & PROT_WRITE) != 0 ||
            ((word & DESCRIPTOR_WRITABLE) != 0 && touch_streams_matter(word)));
}

static void *map(void *(*real)(void *, size_t, int, int, int, off64_t), void *address, size_t size,
                 int protection, int flags, int descriptor, off64_t offset)
{
    struct touch touch;
    uint32_t word = (flags & MAP_ANONYMOUS) != 0 ? 0 : descriptor_word(descriptor);
    bool touched =
        word != 0 && touch_descriptor(&touch, descriptor, word,
                                      changes(protection, flags, word) ? TOUCH_CHANGE : TOUCH_READ);
    void *result = MAP_FAILED;
    if (!touched || touch.error == 0)
        result = real(address, size, protection, flags, descriptor, offset);
    if (result != MAP_FAILED && (flags & MAP_FIXED) != 0 && mappings_count != 0)
        touch_unmapped(result, size); /* has taken the place of what was there */
    if (!touched)
        return result;
    if (result != MAP_FAILED)
        touch_mapped(result, size, descriptor,
                     (flags & MAP_TYPE) != MAP_PRIVATE && (word & DESCRIPTOR_WRITABLE) != 0);
    touch_end(&touch);
    return result;
}

static void *narrow(void *address, size_t size, int protection, int flags, int descriptor,
                    off64_t offset)
{
    return REAL(mmap)(address, size, protection, flags, descriptor, (off_t)offset);
}

INTERPOSE void *mmap(void *address, size_t size, int protection, int flags, int descriptor,
                     off_t offset)
{
    if (__builtin_expect(descriptor_word(descriptor) == 0, 1) && (flags & MAP_FIXED) == 0)
        return REAL(mmap)(address, size, protection, flags, descriptor, offset);
    return map(narrow, address, size, protection, flags, descriptor, offset);
}

INTERPOSE void *mmap64(void *address, size_t size, int protection, int flags, int descriptor,
                       off64_t offset)
{
    if (__builtin_expect(descriptor_word(descriptor) == 0, 1) && (flags & MAP_FIXED) == 0)
        return REAL(mmap64)(address, size, protection, flags, descriptor, offset);
    return map(REAL(mmap64), address, size, protection, flags, descriptor, offset);
}

INTERPOSE int munmap(void *address, size_t size)
{
    int result = REAL(munmap)(address, size);
    if (__builtin_expect(mappings_count != 0, 0) && result == 0)
        touch_unmapped(address, size);
    return result;
}

INTERPOSE void *mremap(void *old_address, size_t old_size, size_t size, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    void *wanted = va_arg(arguments, void *);
    va_end(arguments);
    void *result = REAL(mremap)(old_address, old_size, size, flags, wanted);
    if (__builtin_expect(mappings_count != 0, 0) && result != MAP_FAILED) {
        if ((flags & MREMAP_FIXED) != 0)
            touch_unmapped(result, size);
        touch_remapped(old_address, old_size, result, size, (flags & MREMAP_DONTUNMAP) != 0);
    }
    return result;
}
