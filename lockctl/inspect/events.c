/*
 * What events mean, and reading them one after the other. Nothing is read but the registry.
 */
#include "lockctl/inspect/events.h"

#include <errno.h>
#include <string.h>

static const struct {
    const char *name;
    const char *sentence;
} EVENTS[EVENT_KINDS] = {
    [EVENT_LONG_WAIT] = {"long-wait", "still waiting for the lock, held by the other"},
    [EVENT_TIMEOUT] = {"timeout", "gave up waiting: the lock was not free in time"},
    [EVENT_DEADLOCK] = {"deadlock", "waiting was refused: it would have been a cycle"},
    [EVENT_CRASH] = {"crash", "found that the other died while it changed the table, which may be "
                              "half-written"},
    [EVENT_BREAK] = {"break", "the lock was broken and taken from the other"},
    [EVENT_FENCE] = {"fence", "a call was refused: this process's lock had been broken"},
    [EVENT_REPLACED] = {"replaced", "the lock file had been removed or replaced; went on with the "
                                    "new one"},
    [EVENT_JOINED] = {"joined", "went in under the lock of a holder that waits for it"},
    [EVENT_LOST_UPDATE] = {"lost-update", "a change would have undone another's, which it had "
                                          "never read"},
    [EVENT_OUT_OF_REACH] = {"out-of-reach", "started a program into which the shim cannot be "
                                            "loaded"},
    [EVENT_ROLLBACK] = {"rollback", "the table was put back as it was before its last holder"},
    [EVENT_ACCEPTED] = {"accepted", "somebody accepted the table as it was after a crash"},
};

const char *event_name(uint32_t kind)
{
    return kind < EVENT_KINDS && EVENTS[kind].name != NULL ? EVENTS[kind].name : "unknown";
}

const char *event_sentence(uint32_t kind)
{
    return kind < EVENT_KINDS && EVENTS[kind].sentence != NULL
               ? EVENTS[kind].sentence
               : "an event that this lockctl does not know";
}

const char *event_error(int error)
{
    return error > 0 ? strerrorname_np(error) : NULL;
}

/* --- following --- */

#define LOOK_INTERVAL 1000000000u

/* Is there a registry, and if it is another one than last time, from its beginning? */
static bool find_registry(struct event_stream *stream)
{
    uint64_t now = registry_now();
    bool due = now - stream->looked_at >= LOOK_INTERVAL || stream->looked_at == 0;
    if (!due)
        return stream->view.descriptor >= 0;
    stream->looked_at = now;
    if (stream->view.descriptor >= 0 && registry_view_is_current(&stream->view))
        return true;
    uint64_t device = stream->view.device;
    uint64_t inode = stream->view.inode;
    registry_view_close(&stream->view);
    if (!registry_view_open(&stream->view, stream->lock_path)) {
        stream->view.device = device;
        stream->view.inode = inode;
        stream->wiped = stream->wiped || stream->view.error == EINVAL;
        return false;
    }
    if (stream->wiped || stream->view.device != device || stream->view.inode != inode)
        stream->after = stream->gap = 0;
    stream->wiped = false;
    return true;
}

/* Up to the first one that is missing, unless it was missing last time. */
static size_t up_to_gap(struct event_stream *stream, const struct view_event *events, size_t count)
{
    uint64_t last = stream->after;
    for (size_t i = 0; i < count; i++) {
        if (events[i].number != last + 1 && stream->gap != last + 1) {
            stream->gap = last + 1;
            return i;
        }
        last = events[i].number;
    }
    return count;
}

size_t event_stream_read(struct event_stream *stream, bool patient,
                         struct view_event events[static REGISTRY_EVENTS])
{
    struct view_head head;
    if (!find_registry(stream) || !registry_view_head(&stream->view, &head))
        return 0;
    if (head.next_event < stream->after) /* it was wiped, and made whole again */
        stream->after = 0;
    if (head.next_event == stream->after)
        return 0;
    size_t count = registry_view_events(&stream->view, stream->after, events);
    if (patient)
        count = up_to_gap(stream, events, count);
    if (count > 0)
        stream->after = events[count - 1].number;
    return count;
}
