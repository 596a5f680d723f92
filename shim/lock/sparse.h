/*
 * Tables of which a process touches little or nothing. The linker keeps them behind the small
 * variables (build.mk), which then lie together: each page that is touched costs a page fault at
 * every start of a program and a copy at every fork, each stretch of 2 MiB a page table.
 */
#ifndef LOCKSHIM_SPARSE_H
#define LOCKSHIM_SPARSE_H

/* Up to some hundred KiB. */
#define SPARSE __attribute__((section(".bss.large")))

/* A slot for every descriptor that there can be: behind the former, by their names. */
#define SPARSE_HUGE __attribute__((section(".bss.sparse")))

#endif
