/*
 * What a break says in the registry (takeover.h). It must write nothing there that only the holder
 * may, but between taking the lock over and letting go of it.
 */
#include "shim/lock/command_member.h"
#include "shim/lock/process.h"
#include "shim/lock/takeover.h"

#include <unistd.h>

void takeover_announce(struct registry *registry, pid_t holder, uint64_t acquisition)
{
    if (!registry_usable(registry))
        return;
    registry_event(registry, &(struct registry_event){.kind = EVENT_BREAK,
                                                      .process = getpid(),
                                                      .other = holder,
                                                      .acquisition = acquisition});
    registry_count(registry, COUNT_BREAKS);
}

uint64_t takeover_name(struct registry *registry, uint64_t acquisition)
{
    struct registry_head head;
    if (!registry_look(registry, &head))
        return 0;
    (void)registry_write(registry, REGISTRY_OFFSET(head.broken), &acquisition, sizeof acquisition);
    return head.broken;
}

bool takeover_record(struct registry *registry, const struct takeover_process *process,
                     struct registry_holder *record)
{
    struct registry_head head;
    struct registry_holder holders[REGISTRY_HOLDERS];
    if (registry_look(registry, &head) && takeover_is_recorded_as(process, &head.exclusive)) {
        *record = head.exclusive;
        return true;
    }
    if (!registry_read(registry, REGISTRY_OFFSET(holders), holders, sizeof holders))
        return false;
    for (int i = 0; i < REGISTRY_HOLDERS; i++) {
        if (takeover_is_recorded_as(process, &holders[i])) {
            *record = holders[i];
            return true;
        }
    }
    return false;
}

/* The holder's half of the head is ours to write, as the lock is. */
static void settle_head(struct registry *registry, const struct takeover_process *process,
                        uint64_t acquisition, bool restored)
{
    struct registry_head head;
    if (!registry_look(registry, &head))
        return;
    /* The mark of who holds: one of an earlier holder was cleared when this one came. */
    if (head.mark.state != MARK_CLEAN) {
        head.mark.acquisition = acquisition;
        head.mark.state = restored ? MARK_CLEAN : MARK_CHANGED;
        head.generation++;
    }
    if (head.exclusive.acquisition == acquisition ||
        takeover_is_recorded_as(process, &head.exclusive))
        head.exclusive.process = 0;
    (void)takeover_name(registry, acquisition);
    (void)registry_write(registry, REGISTRY_HOLDERS_HALF, (char *)&head + REGISTRY_HOLDERS_HALF,
                         sizeof head - REGISTRY_HOLDERS_HALF);
}

void takeover_settle(struct registry *registry, const struct takeover_process *process,
                     uint64_t acquisition, bool exclusive, bool restored)
{
    struct registry_holder holders[REGISTRY_HOLDERS];
    if (exclusive)
        settle_head(registry, process, acquisition, restored);
    if (!registry_read(registry, REGISTRY_OFFSET(holders), holders, sizeof holders))
        return;
    for (int i = 0; i < REGISTRY_HOLDERS; i++)
        if (takeover_is_recorded_as(process, &holders[i]))
            registry_clear_holder(registry, i, holders[i].process);
}
