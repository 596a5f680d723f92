/*
 * Reading directories, by libc functions that open inside. A walk over a tree is one touch of where
 * it begins, and of what its callbacks touch by themselves.
 */
#include "shim/interpose/opened.h"
#include "shim/interpose/real.h"
#include "shim/touch.h"

#include <errno.h>
#include <string.h>

INTERPOSE DIR *opendir(const char *path)
{
    struct touch touch;
    if (!touch_guarding() || !touch_path(&touch, AT_FDCWD, path, true, TOUCH_READ))
        return REAL(opendir)(path);
    DIR *directory = touch.error != 0 ? NULL : REAL(opendir)(path);
    if (directory != NULL &&
        !touch_opened(&touch, dirfd(directory), O_RDONLY | O_DIRECTORY, false)) {
        (void)REAL(closedir)(directory);
        directory = NULL;
        errno = EMFILE;
    }
    touch_end(&touch);
    return directory;
}

/* The descriptor is known, and stays the same one. */
INTERPOSE DIR *fdopendir(int descriptor)
{
    return REAL(fdopendir)(descriptor);
}

INTERPOSE int closedir(DIR *directory)
{
    uint32_t word = 0;
    DIR *volatile given = directory; /* declared nonnull, yet libc answers EINVAL for NULL */
    if (touch_guarding() && given != NULL)
        word = touch_before_close(dirfd(directory));
    int result = REAL(closedir)(directory);
    touch_after_close(word);
    return result;
}

INTERPOSE int scandir(const char *path, struct dirent ***names,
                      int (*filter)(const struct dirent *),
                      int (*compare)(const struct dirent **, const struct dirent **))
{
    GUARDED(int, -1, touch_path(&touch, AT_FDCWD, path, true, TOUCH_READ),
            REAL(scandir)(path, names, filter, compare));
}

INTERPOSE int scandir64(const char *path, struct dirent64 ***names,
                        int (*filter)(const struct dirent64 *),
                        int (*compare)(const struct dirent64 **, const struct dirent64 **))
{
    GUARDED(int, -1, touch_path(&touch, AT_FDCWD, path, true, TOUCH_READ),
            REAL(scandir64)(path, names, filter, compare));
}

INTERPOSE int scandirat(int directory, const char *path, struct dirent ***names,
                        int (*filter)(const struct dirent *),
                        int (*compare)(const struct dirent **, const struct dirent **))
{
    GUARDED(int, -1, touch_path(&touch, directory, path, true, TOUCH_READ),
            REAL(scandirat)(directory, path, names, filter, compare));
}

INTERPOSE int scandirat64(int directory, const char *path, struct dirent64 ***names,
                          int (*filter)(const struct dirent64 *),
                          int (*compare)(const struct dirent64 **, const struct dirent64 **))
{
    GUARDED(int, -1, touch_path(&touch, directory, path, true, TOUCH_READ),
            REAL(scandirat64)(directory, path, names, filter, compare));
}

INTERPOSE int ftw(const char *path, __ftw_func_t each, int descriptors_at_most)
{
    GUARDED(int, -1, touch_path(&touch, AT_FDCWD, path, true, TOUCH_READ),
            REAL(ftw)(path, each, descriptors_at_most));
}

INTERPOSE int ftw64(const char *path, __ftw64_func_t each, int descriptors_at_most)
{
    GUARDED(int, -1, touch_path(&touch, AT_FDCWD, path, true, TOUCH_READ),
            REAL(ftw64)(path, each, descriptors_at_most));
}

INTERPOSE int nftw(const char *path, __nftw_func_t each, int descriptors_at_most, int flags)
{
    GUARDED(int, -1, touch_path(&touch, AT_FDCWD, path, true, TOUCH_READ),
            REAL(nftw)(path, each, descriptors_at_most, flags));
}

INTERPOSE int nftw64(const char *path, __nftw64_func_t each, int descriptors_at_most, int flags)
{
    GUARDED(int, -1, touch_path(&touch, AT_FDCWD, path, true, TOUCH_READ),
            REAL(nftw64)(path, each, descriptors_at_most, flags));
}

/* Several roots, of which two tables at most are known; a walk over more is rare. */
bool walk_touches(struct touch *touch, char *const *paths)
{
    if (!touch_is_text((const char *)paths))
        return false;
    while (*paths != NULL && !touch_path(touch, AT_FDCWD, *paths, true, TOUCH_READ))
        paths++;
    if (*paths == NULL)
        return false;
    for (paths++; *paths != NULL; paths++) {
        if (!touch_is_text(*paths))
            continue;
        struct place place = tables_find_exactly(AT_FDCWD, *paths, true);
        if (place.table != touch->tables[0])
            touch_also(touch, &place, TOUCH_READ);
    }
    return true;
}

INTERPOSE FTS *fts_open(char *const *paths, int options,
                        int (*compare)(const FTSENT **, const FTSENT **))
{
    GUARDED(FTS *, NULL, walk_touches(&touch, paths), REAL(fts_open)(paths, options, compare));
}

INTERPOSE FTS64 *fts64_open(char *const *paths, int options,
                            int (*compare)(const FTSENT64 **, const FTSENT64 **))
{
    GUARDED(FTS64 *, NULL, walk_touches(&touch, paths), REAL(fts64_open)(paths, options, compare));
}

/* The directory in which the pattern's first wildcard is looked up. */
bool pattern_touches(struct touch *touch, const char *pattern)
{
    char directory[4096];
    size_t plain = pattern != NULL ? strcspn(pattern, "*?[{~\\") : sizeof directory;
    if (plain >= sizeof directory)
        return false;
    while (plain > 0 && pattern[plain - 1] != '/')
        plain--;
    memcpy(directory, pattern, plain);
    memcpy(directory + plain, ".", 2);
    return touch_path(touch, AT_FDCWD, directory, true, TOUCH_READ);
}

INTERPOSE int glob(const char *pattern, int flags, int (*error)(const char *, int), glob_t *found)
{
    GUARDED(int, GLOB_ABORTED, pattern_touches(&touch, pattern),
            REAL(glob)(pattern, flags, error, found));
}

INTERPOSE int glob64(const char *pattern, int flags, int (*error)(const char *, int),
                     glob64_t *found)
{
    GUARDED(int, GLOB_ABORTED, pattern_touches(&touch, pattern),
            REAL(glob64)(pattern, flags, error, found));
}
