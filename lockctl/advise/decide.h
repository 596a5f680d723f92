/*
 * Which scope does a command need? The rules, over an account of what it did. They say `right` only
 * where nothing that was seen speaks against it; what a program did not do this time, they can't
 * know. Where several scopes are right the narrowest is needed.
 *
 *   - A program that no preload reaches, or accesses that nobody saw: `command`.
 *   - Several processes: `command`, for what one reads another may write. (`process` too is right
 *     when all of it lies between the first touch and the end of one process, whose children the
 *     others are: while it waits for them they join it.)
 *   - One process that changes something after it has read, in an earlier session that changed
 *     nothing of it, what the change depends on: `process`. So too when it has the file open for
 *     reading again (it may do so only to write), or has decided by stat whether to open it at all:
 *     address books, editors and tag writers are like that, and do lose under `session`.
 *   - One that has open what it read until it has written, however often it does: `session`.
 *   - One that only appends and reads nothing, or only follows: `call`.
 */
#ifndef LOCKCTL_ADVISE_DECIDE_H
#define LOCKCTL_ADVISE_DECIDE_H

#include "lockctl/advise/account.h"
#include "shim/settings.h"

enum judgement {
    JUDGED_RIGHT,
    JUDGED_JOINED,  /* right as long as the first process waits for its children */
    JUDGED_REFUSED, /* an update that would be lost is refused (ESTALE) */
    JUDGED_MIXED,   /* nothing is lost, but what is read may be of two states */
    JUDGED_WRONG
};

/* Why a process can't do with a session. */
enum memory {
    MEMORY_NONE,
    MEMORY_REPLACES, /* changes what it had read in an earlier session, and not again in this one */
    MEMORY_REOPENS,  /* the same, but it has opened it again: perhaps to write only */
    MEMORY_DERIVES,  /* changes one file after it had read another in an earlier session */
    MEMORY_ASKED     /* changes what it had asked about before it opened it */
};

struct process_advice {
    bool touches, reads, changes;
    bool appends_only; /* every change is an O_APPEND write, and nothing was read */
    bool lives_on;     /* until we ended it */
    unsigned sessions;
    enum memory memory;         /* the plainest */
    bool unnoticed;             /* … and one that no call would be refused for (ESTALE) */
    size_t remembered, changed; /* files, when there is a memory */
};

enum reason {
    REASON_NONE,         /* the table was never touched */
    REASON_OUT_OF_REACH, /* a program that no preload reaches */
    REASON_UNSEEN,       /* accesses that nobody saw */
    REASON_PROCESSES,    /* several */
    REASON_MEMORY,       /* of one process */
    REASON_READERS,      /* only reads, in several sessions or processes */
    REASON_READS,        /* only reads, in one session */
    REASON_OPEN,         /* holds open what it reads until it has written */
    REASON_BLIND,        /* changes, and has read nothing */
    REASON_RETURNS,      /* goes in and out, and reads anew each time */
    REASON_APPENDS,
    REASON_FOLLOWS
};

struct advice {
    enum reason reason;
    enum scope needed;
    bool eager;  /* the lock must be there before the command starts */
    bool shared; /* it only reads */
    enum judgement scopes[SCOPE_CALL + 1];
    size_t touching;                  /* processes */
    size_t first;                     /* the process that the reason is about */
    struct process_advice *processes; /* one for each of the account's */
};

/* `advice->processes` is allocated, and the caller's to free. */
void decide(struct advice *advice, const struct account *account);

#endif
