/* replace.h: replacing several files of a directory as one step.
 *
 * The new files are written beside the old ones as .NAME.new. Then the list of names is put in
 * place as .replace, by a rename: from that moment on the replacement counts. The new files are
 * renamed over the old ones in the order of the list, and the list is removed. A process that dies
 *   before the rename of the list leaves .NAME.new files, which the next one removes;
 *   after it leaves the list, by which replace_recover renames what is still to be renamed.
 */
#ifndef TABLESTORE_REPLACE_H
#define TABLESTORE_REPLACE_H

#include "store/files.h"

#define REPLACE_LIST ".replace"

struct replacement {
    int directory;
    struct bytes names; /* a line each */
};

/* Writes the new content of a file. */
bool replace_add(struct replacement *replacement, const char *name, const struct bytes *content,
                 struct tablestore_error *error);

/* Puts all of them in place. */
bool replace_commit(struct replacement *replacement, struct tablestore_error *error);

/* Removes what was written, unless it was committed, and frees. */
void replace_end(struct replacement *replacement);

/* Whether a replacement was begun and has to be finished. */
bool replace_pending(int directory);

/* Finishes a replacement that was interrupted after it began to count. */
bool replace_recover(int directory, struct tablestore_error *error);

/* Removes every .NAME.new of the directory. */
void replace_forget(int directory);

#endif
