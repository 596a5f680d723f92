/*
 * Plugins opened with RTLD_DEEPBIND would look in libc first and go past the shim: the flag is
 * taken off.
 */
#include "shim/interpose/real.h"
#include "shim/touch.h"

static int without_deepbind(int mode)
{
    return touch_guarding() ? mode & ~RTLD_DEEPBIND : mode;
}

INTERPOSE void *dlopen(const char *file, int mode)
{
    return REAL(dlopen)(file, without_deepbind(mode));
}

INTERPOSE void *dlmopen(Lmid_t namespace, const char *file, int mode)
{
    return REAL(dlmopen)(namespace, file, without_deepbind(mode));
}
