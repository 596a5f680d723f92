/*
 * Watching by fanotify: events name the directory by its file handle, the file by its name, and the
 * process by its pid. A mark for each directory; those that are made meanwhile get theirs at once.
 */
#include "lockctl/advise/watch.h"

#include "lockctl/lockctl.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <unistd.h>

#define CHANGING (FAN_MODIFY | FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO)
#define WATCHED (FAN_OPEN | FAN_ACCESS | CHANGING | FAN_ONDIR | FAN_EVENT_ON_CHILD)

/* Without the rights of root pids are 0: then inotify does as well. */
bool watch_fanotify_begin(struct watch *watch)
{
    watch->attributed = true;
    watch->descriptor =
        fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_REPORT_DFID_NAME |
                          FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS,
                      O_RDONLY | O_CLOEXEC);
    return watch->descriptor >= 0;
}

bool watch_fanotify_add(struct watch *watch, struct watched_directory *directory)
{
    union {
        struct file_handle handle;
        unsigned char room[sizeof(struct file_handle) + sizeof directory->handle];
    } handle;
    int mount;
    handle.handle.handle_bytes = sizeof directory->handle;
    if (name_to_handle_at(AT_FDCWD, directory->real, &handle.handle, &mount, 0) != 0 ||
        fanotify_mark(watch->descriptor, FAN_MARK_ADD | FAN_MARK_ONLYDIR, WATCHED, AT_FDCWD,
                      directory->real) != 0)
        return false;
    directory->handle_type = handle.handle.handle_type;
    directory->handle_size = handle.handle.handle_bytes;
    memcpy(directory->handle, handle.handle.f_handle, directory->handle_size);
    return true;
}

/* The latest: a directory may have been moved. */
static const struct watched_directory *find_handle(const struct watch *watch,
                                                   const struct file_handle *handle)
{
    for (size_t i = watch->directory_count; i-- > 0;) {
        const struct watched_directory *directory = &watch->directories[i];
        if (directory->handle_type == handle->handle_type &&
            directory->handle_size == handle->handle_bytes &&
            memcmp(directory->handle, handle->f_handle, handle->handle_bytes) == 0)
            return directory;
    }
    return NULL;
}

/* The directory's handle with the name behind it, among what the event carries. */
static const struct fanotify_event_info_fid *find_name(const struct fanotify_event_metadata *event)
{
    const char *at = (const char *)event + event->metadata_len;
    const char *end = (const char *)event + event->event_len;
    while (end - at >= (ptrdiff_t)sizeof(struct fanotify_event_info_header)) {
        const struct fanotify_event_info_header *header = (const void *)at;
        if (header->len < sizeof *header || header->len > end - at)
            return NULL;
        if (header->info_type == FAN_EVENT_INFO_TYPE_DFID_NAME)
            return (const void *)at;
        at += header->len;
    }
    return NULL;
}

static void take_event(struct watch *watch, const struct fanotify_event_metadata *event)
{
    if ((event->mask & FAN_Q_OVERFLOW) != 0)
        watch->overflowed = true;
    const struct fanotify_event_info_fid *found = find_name(event);
    if (found == NULL)
        return;
    const struct file_handle *handle = (const struct file_handle *)found->handle;
    const char *name = (const char *)handle->f_handle + handle->handle_bytes;
    const struct watched_directory *directory = find_handle(watch, handle);
    if (directory == NULL)
        return;
    watch_note(watch, event->pid, directory, name, (event->mask & CHANGING) != 0);
    if ((event->mask & FAN_ONDIR) == 0 || (event->mask & (FAN_CREATE | FAN_MOVED_TO)) == 0 ||
        watch->only != NULL)
        return;
    char real[8192];
    char told[8192];
    (void)snprintf(real, sizeof real, "%s/%s", directory->real, name);
    (void)snprintf(told, sizeof told, "%s/%s", directory->path, name);
    watch_add_tree(watch, real, told);
}

void watch_fanotify_take(struct watch *watch)
{
    _Alignas(struct fanotify_event_metadata) char buffer[16384];
    for (;;) {
        ssize_t size = read(watch->descriptor, buffer, sizeof buffer);
        if (size <= 0)
            return;
        const struct fanotify_event_metadata *event = (const void *)buffer;
        for (; FAN_EVENT_OK(event, size); event = FAN_EVENT_NEXT(event, size))
            take_event(watch, event);
    }
}
