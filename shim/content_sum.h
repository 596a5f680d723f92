/*
 * A number that two contents share as good as never: for where file times do not tell them apart.
 * No protection against somebody who looks for two that do.
 */
#ifndef LOCKSHIM_CONTENT_SUM_H
#define LOCKSHIM_CONTENT_SUM_H

#include "shim/lost_update.h"

#include <stdint.h>

/*
 * 0: it is no regular file, has more than `at_most` bytes or not as many as its status says, or is
 * not to be read by us.
 */
uint64_t content_sum(const struct lost_update_file *file, uint64_t at_most);

#endif
