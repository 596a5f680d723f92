/* A lock in a directory of its own, for the tests that take one. */
#ifndef LOCKSHIM_LOCK_FIXTURE_H
#define LOCKSHIM_LOCK_FIXTURE_H

#include "shim/lock/lock.h"
#include "shim/lock/self.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

static char directory[] = "/tmp/lockshim-test-XXXXXX";
static char path[64], registry_path[80];
static struct lock lock;

/* As it is before its first use. */
static void prepare_lock(void)
{
    lock = (struct lock){.path = path,
                         .table_path = directory,
                         .scope = SCOPE_SESSION,
                         .descriptor = -1,
                         .borrowed = -1,
                         .slot = -1,
                         .registry = {.descriptor = -1}};
}

static void drop_lock(void)
{
    registry_close(&lock.registry);
    lock_abandon(&lock);
}

/* By anybody, as another process sees it? */
static bool is_locked(void)
{
    int other = open(path, O_RDWR | O_CLOEXEC);
    bool locked = flock(other, LOCK_EX | LOCK_NB) != 0;
    (void)close(other);
    return locked;
}

static bool make_directory(void)
{
    lock_self_set_up();
    if (mkdtemp(directory) == NULL)
        return false;
    (void)snprintf(path, sizeof path, "%s/lock", directory);
    (void)snprintf(registry_path, sizeof registry_path, "%s.registry", path);
    return true;
}

static void remove_directory(void)
{
    (void)unlink(registry_path);
    (void)unlink(path);
    (void)rmdir(directory);
}

#endif
