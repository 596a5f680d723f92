/*
 * libsmartcols, loaded when a table is first drawn (library.h).
 */
#ifndef LOCKCTL_SMARTCOLS_H
#define LOCKCTL_SMARTCOLS_H

#include <libsmartcols/libsmartcols.h>

#define SMARTCOLS_FUNCTIONS(FUNCTION)                                                              \
    FUNCTION(column_set_flags)                                                                     \
    FUNCTION(column_set_json_type)                                                                 \
    FUNCTION(line_set_data)                                                                        \
    FUNCTION(new_table)                                                                            \
    FUNCTION(print_table)                                                                          \
    FUNCTION(print_table_to_string)                                                                \
    FUNCTION(table_enable_ascii)                                                                   \
    FUNCTION(table_enable_json)                                                                    \
    FUNCTION(table_enable_noheadings)                                                              \
    FUNCTION(table_enable_raw)                                                                     \
    FUNCTION(table_get_column)                                                                     \
    FUNCTION(table_new_column)                                                                     \
    FUNCTION(table_new_line)                                                                       \
    FUNCTION(table_set_name)                                                                       \
    FUNCTION(table_set_termforce)                                                                  \
    FUNCTION(table_set_termwidth)                                                                  \
    FUNCTION(unref_table)

/* Each by its own name, without the library's "scols_". */
struct smartcols {
#define SMARTCOLS_MEMBER(name) __typeof__(scols_##name) *name;
    SMARTCOLS_FUNCTIONS(SMARTCOLS_MEMBER)
#undef SMARTCOLS_MEMBER
};

const struct smartcols *smartcols(void);

#endif
