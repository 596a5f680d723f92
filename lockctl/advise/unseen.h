/* What was seen from outside, held against what the shim has told. */
#ifndef LOCKCTL_ADVISE_UNSEEN_H
#define LOCKCTL_ADVISE_UNSEEN_H

#include "lockctl/advise/account.h"
#include "lockctl/advise/observe.h"

/* Adds to the account the accesses of which no shim has told, and whose they are. */
void unseen_add(struct account *account, const struct observation *observation);

#endif
