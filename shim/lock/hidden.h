/*
 * Variables of the shim that are read on every call: said to be the library's own where they are
 * declared, they are reached directly, not by a table of addresses.
 */
#ifndef LOCKSHIM_HIDDEN_H
#define LOCKSHIM_HIDDEN_H

#define HIDDEN __attribute__((visibility("hidden")))

#endif
