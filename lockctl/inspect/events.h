/*
 * The events of a registry in words, and following a registry that others may cut off or replace.
 */
#ifndef LOCKCTL_EVENTS_H
#define LOCKCTL_EVENTS_H

#include "lockctl/inspect/registry_view.h"

#include <stddef.h>
#include <stdint.h>

/* Its name ("long-wait"), and a sentence that explains it; never NULL. */
const char *event_name(uint32_t kind);
const char *event_sentence(uint32_t kind);

/* The name of an errno ("EAGAIN"), NULL for 0 and for what is none. */
const char *event_error(int error);

/* Where a reader of one registry's events is. All zero but the view's descriptor (-1) to begin. */
struct event_stream {
    const char *lock_path;
    struct registry_view view;
    uint64_t after;     /* the last event that was read */
    uint64_t gap;       /* the one that was missing last time: perhaps it is being written */
    bool wiped;         /* it was found cut off: what comes back has begun anew */
    uint64_t looked_at; /* when it was last asked whether this is still the registry; monotonic */
};

/*
 * The events since the last call, oldest first. A registry that is missing or wrong has none, and
 * is looked for again; a new one is read from its first event. With `patient` an event that is
 * just being written is waited for until the next call.
 */
size_t event_stream_read(struct event_stream *stream, bool patient,
                         struct view_event events[static REGISTRY_EVENTS]);

#endif
