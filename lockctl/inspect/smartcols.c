/*
 * libsmartcols, by the first release of its interface, which later ones keep.
 */
#include "lockctl/inspect/smartcols.h"

#include "lockctl/library.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

const struct smartcols *smartcols(void)
{
    static struct smartcols loaded;
    static const struct library_symbol symbols[] = {
#define SMARTCOLS_SYMBOL(name) {"scols_" #name, offsetof(struct smartcols, name)},
        SMARTCOLS_FUNCTIONS(SMARTCOLS_SYMBOL)
#undef SMARTCOLS_SYMBOL
    };
    if (loaded.new_table == NULL)
        library_load("libsmartcols.so.1", "to draw tables", symbols, COUNT(symbols), &loaded);
    return &loaded;
}
