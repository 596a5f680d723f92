/* What the openers share. */
#ifndef LOCKSHIM_OPENED_H
#define LOCKSHIM_OPENED_H

#include "shim/touch.h"

#include <stdbool.h>

/*
 * Enters a descriptor that a touch has opened (or -1) into the books. Where they have no room for
 * it (beyond DESCRIPTORS_LIMIT), it is closed again: -1, EMFILE. Returns the descriptor.
 */
int opened_or_closed(struct touch *touch, int descriptor, int flags, bool hold);

/* Does the descriptor (or -1) carry an O_NOFOLLOW that the program has not asked for? */
static inline void opened_hides(int descriptor, bool hides)
{
    if ((unsigned)descriptor < DESCRIPTORS_LIMIT)
        descriptor_hides_nofollow[descriptor] = hides;
}

#endif
