/*
 * mkstemp and its relatives: libc makes the name and the file inside; only the directory is known.
 * Where changes are journaled the name must be known before the file is made: there it is made
 * here.
 */
#include "shim/interpose/opened.h"
#include "shim/interpose/real.h"
#include "shim/lock/kernel.h"
#include "shim/touch.h"

#include <errno.h>
#include <string.h>

enum { ATTEMPTS = 10000, DIRECTORY_FLAGS = -1 };

/* Fills in the six X before the suffix; false: there are none. */
static bool make_name(char *template, int suffix)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    size_t length = strlen(template);
    if (suffix < 0 || length < 6 + (size_t)suffix)
        return false;
    char *at = template + length - 6 - (size_t)suffix;
    uint64_t random = 0;
    if (KERNEL_CALL(SYS_getrandom, &random, sizeof random, 0, 0, 0, 0) != (long)sizeof random)
        return false;
    for (int i = 0; i < 6; i++, random /= sizeof letters - 1)
        at[i] = letters[random % (sizeof letters - 1)];
    return true;
}

/* One name: the file's descriptor, or 0 for a directory; -1 with errno. */
static int try_name(const char *path, int flags)
{
    struct touch touch;
    if (!touch_path(&touch, AT_FDCWD, path, false, TOUCH_NAME))
        return -1;
    int result = -1;
    if (touch.error == 0 && flags == DIRECTORY_FLAGS)
        result = REAL(mkdir)(path, 0700);
    else if (touch.error == 0)
        result = opened_or_closed(
            &touch, REAL(open)(path, (flags & ~O_ACCMODE) | O_RDWR | O_CREAT | O_EXCL, 0600),
            O_RDWR | flags, false);
    touch_end(&touch);
    return result;
}

static int make_temporary(char *template, int suffix, int flags)
{
    size_t length = strlen(template);
    if (suffix < 0 || length < 6 + (size_t)suffix ||
        strncmp(template + length - 6 - (size_t)suffix, "XXXXXX", 6) != 0) {
        errno = EINVAL;
        return -1;
    }
    int error = errno, result = -1;
    for (int i = 0; i < ATTEMPTS && make_name(template, suffix); i++) {
        result = try_name(template, flags);
        if (result >= 0 || errno != EEXIST)
            break;
    }
    if (result >= 0)
        errno = error;
    return result;
}

/* Any name in the directory will do to find whose it is: the template itself. */
#define MAKE_FILE(template, suffix, flags, call)                                                   \
    struct touch touch;                                                                            \
    if (!touch_guarding() || !touch_path(&touch, AT_FDCWD, template, false, TOUCH_CHANGE))         \
        return call;                                                                               \
    int result = touch.error != 0            ? -1                                                  \
                 : touch_wants_names(&touch) ? make_temporary(template, suffix, flags)             \
                                             : (call);                                             \
    if (touch_wants_names(&touch)) {                                                               \
        touch_end(&touch);                                                                         \
        return result;                                                                             \
    }                                                                                              \
    if (touch.error == 0)                                                                          \
        result = opened_or_closed(&touch, result, O_RDWR | (flags), false);                        \
    touch_end(&touch);                                                                             \
    return result

INTERPOSE int mkstemp(char *template)
{
    MAKE_FILE(template, 0, 0, REAL(mkstemp)(template));
}

INTERPOSE int mkstemp64(char *template)
{
    MAKE_FILE(template, 0, 0, REAL(mkstemp64)(template));
}

INTERPOSE int mkostemp(char *template, int flags)
{
    MAKE_FILE(template, 0, flags, REAL(mkostemp)(template, flags));
}

INTERPOSE int mkostemp64(char *template, int flags)
{
    MAKE_FILE(template, 0, flags, REAL(mkostemp64)(template, flags));
}

INTERPOSE int mkstemps(char *template, int suffix)
{
    MAKE_FILE(template, suffix, 0, REAL(mkstemps)(template, suffix));
}

INTERPOSE int mkstemps64(char *template, int suffix)
{
    MAKE_FILE(template, suffix, 0, REAL(mkstemps64)(template, suffix));
}

INTERPOSE int mkostemps(char *template, int suffix, int flags)
{
    MAKE_FILE(template, suffix, flags, REAL(mkostemps)(template, suffix, flags));
}

INTERPOSE int mkostemps64(char *template, int suffix, int flags)
{
    MAKE_FILE(template, suffix, flags, REAL(mkostemps64)(template, suffix, flags));
}

INTERPOSE char *mkdtemp(char *template)
{
    struct touch touch;
    if (!touch_guarding() || !touch_path(&touch, AT_FDCWD, template, false, TOUCH_CHANGE))
        return REAL(mkdtemp)(template);
    char *result = NULL;
    if (touch.error == 0 && touch_wants_names(&touch))
        result = make_temporary(template, 0, DIRECTORY_FLAGS) == 0 ? template : NULL;
    else if (touch.error == 0)
        result = REAL(mkdtemp)(template);
    touch_end(&touch);
    return result;
}
