/*
 * Plugins opened with RTLD_DEEPBIND would look in libc first and go past the shim: the flag is
 * taken off. The real calls are tail calls: libc looks at who called, to find the caller's own
 * search path.
 */
#include "shim/interpose/real.h"
#include "shim/touch.h"

static int without_deepbind(int mode)
{
    return touch_guarding() ? mode & ~RTLD_DEEPBIND : mode;
}

INTERPOSE void *dlopen(const char *file, int mode)
{
    lock_self.may_vfork = true; /* until we know better: the new object may */
    return REAL(dlopen)(file, without_deepbind(mode));
}

INTERPOSE void *dlmopen(Lmid_t namespace, const char *file, int mode)
{
    lock_self.may_vfork = true;
    return REAL(dlmopen)(namespace, file, without_deepbind(mode));
}
