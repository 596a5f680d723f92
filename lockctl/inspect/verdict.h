/*
 * Verdicts: a table of rules, in the order in which they are tried. The first that applies is the
 * verdict, and says why in one sentence.
 */
#ifndef LOCKCTL_VERDICT_H
#define LOCKCTL_VERDICT_H

#include "lockctl/inspect/arena.h"
#include "lockctl/inspect/inspect.h"

/* Fills in verdict and reason of all locks, from everything else that is known of them. */
void verdict_judge(struct inspection *inspection, int64_t stuck_after, struct arena *arena);

#endif
