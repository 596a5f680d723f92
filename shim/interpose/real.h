/*
 * The real functions of libc, bound by name on first use, and what every file of entry points is
 * made of. REAL(name) may be called at any time; see symbols.def for what comes before binding.
 */
#ifndef LOCKSHIM_REAL_H
#define LOCKSHIM_REAL_H

#include "shim/interpose/prototypes.h"
#include "shim/lock/hidden.h"

#include <stdbool.h>
#include <stddef.h>

#define SYMBOL(name) extern HIDDEN __typeof__(name) *real_##name;
#define EARLY(name) SYMBOL(name)
#define SINCE(name, minor) SYMBOL(name)
#include "shim/interpose/symbols.def"
#undef SYMBOL
#undef EARLY
#undef SINCE

/*
 * Notes the objects in which real functions are looked up, and ends the time of the stand-ins.
 * Idempotent; called by the constructor, or by whoever is earlier.
 */
void real_bind(void);

/* That time is over: from now on a slot holds NULL or the real function, which stays there. */
extern HIDDEN _Atomic bool real_bound;

/* Looks a name up, fills its slot and returns it; NULL when this libc has none. Signal-safe. */
void *real_look_up(void **slot, const char *name);

/* NULL only for SINCE names that this libc does not have. */
#define REAL(name)                                                                                 \
    (__builtin_expect(real_##name != NULL, 1)                                                      \
         ? real_##name                                                                             \
         : (__typeof__(real_##name))real_look_up((void **)(void *)&real_##name, #name))

/* An exported function. */
#define INTERPOSE __attribute__((visibility("default")))

/*
 * The body that nearly all of them have: nobody's, and the real call is the whole of it; or a touch
 * that begins, calls (or fails), and ends. `begin` is one of touch.h's functions on `touch`.
 */
#define GUARDED(type, failure, begin, call)                                                        \
    struct touch touch;                                                                            \
    if (!touch_guarding() || !(begin))                                                             \
        return call;                                                                               \
    type result = touch.error != 0 ? (failure) : (call);                                           \
    touch_end(&touch);                                                                             \
    return result

/* The same for calls on a descriptor, of which one load tells that it is nobody's. */
#define GUARDED_DESCRIPTOR(type, failure, descriptor, kind, call)                                  \
    struct touch touch;                                                                            \
    uint32_t word = descriptor_word(descriptor);                                                   \
    if (__builtin_expect(word == 0, 1) || !touch_descriptor(&touch, descriptor, word, kind))       \
        return call;                                                                               \
    type result = touch.error != 0 ? (failure) : (call);                                           \
    touch_end(&touch);                                                                             \
    return result

/* The same for one that changes the file in a range, a struct touch_range. */
#define GUARDED_RANGE(type, failure, descriptor, kind, range, call)                                \
    struct touch touch;                                                                            \
    uint32_t word = descriptor_word(descriptor);                                                   \
    const struct touch_range range_given = range;                                                  \
    if (__builtin_expect(word == 0, 1) ||                                                          \
        !touch_range(&touch, descriptor, word, kind, &range_given))                                \
        return call;                                                                               \
    type result = touch.error != 0 ? (failure) : (call);                                           \
    touch_end(&touch);                                                                             \
    return result
#define RANGE(at, many) ((struct touch_range){.offset = (at), .size = (many)})

#endif
