/*
 * Looking at descriptors, for whoever looks into many processes at once (gather.c); everybody else
 * asks by processes.h.
 */
#ifndef LOCKCTL_DESCRIPTORS_H
#define LOCKCTL_DESCRIPTORS_H

#include "lockctl/inspect/parallel.h"
#include "lockctl/inspect/processes.h"

/* Of one process, by one worker. */
struct scan {
    struct process *process;
    const struct wanted_inodes *wanted;
    struct worker *worker;
    int directory;            /* the process's, by facts_open() */
    int fdinfo;               /* its fdinfo, opened for one of which many are asked; else 0 */
    struct open_file **files; /* what is found goes in front of these */
    bool likely;              /* most of its descriptors have flocks */
};

/* Sets process->numbers to those that it has open, from looked_below on; false: not to be seen. */
bool descriptors_list(struct process *process, int directory, struct arena *arena);

/* Adds the descriptor if it is on a wanted inode. */
void descriptors_look(const struct scan *scan, long number);

/* Lists all of them, and looks at each. */
void descriptors_look_at_all(const struct scan *scan);

/*
 * Looks for the only lock of the process where the process before had its own: many are often of
 * one kind. False if it is not there.
 */
bool descriptors_look_at_usual(const struct scan *scan);

#endif
