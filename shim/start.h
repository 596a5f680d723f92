/*
 * Coming to life: reading the settings once, before the first touch, whether or not a constructor
 * has run; and what a forked child and an ending process need.
 */
#ifndef LOCKSHIM_START_H
#define LOCKSHIM_START_H

#include "shim/lock/hidden.h"

#include <stdbool.h>
#include <unistd.h>

enum guard_state { GUARD_IDLE, GUARD_UNSTARTED, GUARD_STARTING, GUARD_ACTIVE };

/* Not GUARD_IDLE: a call that takes a path must look closer. */
extern HIDDEN _Atomic int guard_state;

/* Starts if need be. True when there are tables. A wrong setting ends the process (exit 78). */
bool start_guarding(void);

/* In a forked child, by whatever way it came to be. */
void start_forked(void);

/* The name of the executable, for messages and exemptions. */
const char *start_program_name(void);

#endif
