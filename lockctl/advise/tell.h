/* The advice, told to people and to programs. Nothing is decided here. */
#ifndef LOCKCTL_ADVISE_TELL_H
#define LOCKCTL_ADVISE_TELL_H

#include "lockctl/advise/account.h"
#include "lockctl/advise/decide.h"
#include "lockctl/advise/observe.h"

#define TELL_TEXT 2048

struct told {
    const struct observation *observation;
    const struct account *account;
    const struct advice *advice;
};

void tell_people(const struct told *told);
void tell_json(const struct told *told);

/* --- words.c --- */

const char *words_access(enum access_kind kind);
const char *words_judgement(enum judgement judgement);
const char *words_reason(enum reason reason);

/* "sh (pid 123)" */
const char *words_process(const struct account *account, size_t process);

/* Why a scope is as it was judged; one sentence without its dot. */
const char *words_scope(const struct told *told, enum scope scope, char text[static TELL_TEXT]);

/* Why this scope is needed: one or two sentences. */
const char *words_need(const struct told *told, char text[static TELL_TEXT]);

/* How an access escaped the shim; a clause. */
const char *words_escape(const struct told *told, const struct account_unseen *unseen);

/* `lockctl run …` with this advice. */
const char *words_run(const struct told *told, char text[static TELL_TEXT]);

/* Further things to know, one each; NULL: no more. */
const char *words_note(const struct told *told, unsigned number, char text[static TELL_TEXT]);

#endif
