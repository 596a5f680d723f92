/*
 * The shim's own descriptors: where they live and which they are. They stand high up, out of the
 * program's way, and are close-on-exec unless somebody says otherwise; the interposed functions ask
 * here before they close, move or overwrite a descriptor on the program's behalf.
 */
#ifndef LOCKSHIM_OWN_H
#define LOCKSHIM_OWN_H

#include "shim/lock/hidden.h"

#include <stdatomic.h>
#include <stdbool.h>

#define OWN_DESCRIPTOR_LIMIT (1 << 20)

/*
 * Moves a descriptor up among the shim's own and closes the old number. Returns the new number (or
 * the old one, where no higher is to be had). Thread- and signal-safe.
 */
int own_adopt(int descriptor);

/* Records a descriptor that already stands where it should. */
void own_record(int descriptor);

/* Closes one of the shim's own. */
void own_close(int descriptor);

/* Forgets all of them without closing: for a process that found them gone. */
void own_forget(int descriptor);

/* The first number at or above `from` that is the shim's own, or -1. */
int own_next(int from);

/*
 * The number that a command's anchor stands at under the present limit of open files, and the
 * other numbers at which a process that has changed its limit may have left one: NUMBERS in all.
 */
enum { OWN_ANCHOR_NUMBERS = 4 };
int own_anchor_number(void);
int own_anchor_candidate(int index);

extern HIDDEN _Atomic unsigned char own_descriptors[OWN_DESCRIPTOR_LIMIT];
extern HIDDEN _Atomic unsigned own_lowest; /* that there has been */

/* Is it the shim's own? One comparison for nearly all: called on every close. */
static inline bool own_is(int descriptor)
{
    return (unsigned)descriptor >= atomic_load_explicit(&own_lowest, memory_order_relaxed) &&
           (unsigned)descriptor < OWN_DESCRIPTOR_LIMIT && own_descriptors[descriptor] != 0;
}

#endif
