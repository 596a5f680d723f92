/* mkstemp and its relatives: libc makes the name and the file inside; only the directory is known.
 */
#include "shim/interpose/opened.h"
#include "shim/interpose/real.h"
#include "shim/touch.h"

/* Any name in the directory will do to find whose it is: the template itself. */
#define MAKE_FILE(template, flags, call)                                                           \
    struct touch touch;                                                                            \
    if (!touch_guarding() || !touch_path(&touch, AT_FDCWD, template, false, TOUCH_CHANGE))         \
        return call;                                                                               \
    int result = touch.error != 0 ? -1 : (call);                                                   \
    if (touch.error == 0)                                                                          \
        result = opened_or_closed(&touch, result, O_RDWR | (flags), false);                        \
    touch_end(&touch);                                                                             \
    return result

INTERPOSE int mkstemp(char *template)
{
    MAKE_FILE(template, 0, REAL(mkstemp)(template));
}

INTERPOSE int mkstemp64(char *template)
{
    MAKE_FILE(template, 0, REAL(mkstemp64)(template));
}

INTERPOSE int mkostemp(char *template, int flags)
{
    MAKE_FILE(template, flags, REAL(mkostemp)(template, flags));
}

INTERPOSE int mkostemp64(char *template, int flags)
{
    MAKE_FILE(template, flags, REAL(mkostemp64)(template, flags));
}

INTERPOSE int mkstemps(char *template, int suffix)
{
    MAKE_FILE(template, 0, REAL(mkstemps)(template, suffix));
}

INTERPOSE int mkstemps64(char *template, int suffix)
{
    MAKE_FILE(template, 0, REAL(mkstemps64)(template, suffix));
}

INTERPOSE int mkostemps(char *template, int suffix, int flags)
{
    MAKE_FILE(template, flags, REAL(mkostemps)(template, suffix, flags));
}

INTERPOSE int mkostemps64(char *template, int suffix, int flags)
{
    MAKE_FILE(template, flags, REAL(mkostemps64)(template, suffix, flags));
}

INTERPOSE char *mkdtemp(char *template)
{
    GUARDED(char *, NULL, touch_path(&touch, AT_FDCWD, template, false, TOUCH_CHANGE),
            REAL(mkdtemp)(template));
}
