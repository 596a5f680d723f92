/*
 * System calls in place of functions that this libc does not have yet, because calls by number
 * (raw.c) come to them all the same.
 */
#ifndef LOCKSHIM_STAND_IN_H
#define LOCKSHIM_STAND_IN_H

/* A function that does what the one of this name would; NULL when there is none here. */
void *stand_in_for(const char *name);

#endif
