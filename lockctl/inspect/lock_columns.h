/*
 * The columns of a table of locks; a row is a struct inspected_lock.
 */
#ifndef LOCKCTL_LOCK_COLUMNS_H
#define LOCKCTL_LOCK_COLUMNS_H

#include "lockctl/inspect/output.h"

extern const struct column LOCK_COLUMNS[];
extern const size_t LOCK_COLUMN_COUNT;

#endif
