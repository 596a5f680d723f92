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
    return registry_usable(registry) ? atomic_exchange(&registry->map->head.broken, acquisition)
                                     : 0;
}

bool takeover_record(const struct registry *registry, const struct takeover_process *process,
                     struct registry_holder *record)
{
    if (registry_read(registry, offsetof(struct registry_layout, exclusive), record,
                      sizeof *record) &&
        takeover_is_recorded_as(process, record))
        return true;
    struct registry_holder holders[REGISTRY_HOLDERS];
    if (!registry_read(registry, offsetof(struct registry_layout, holders), holders,
                       sizeof holders))
        return false;
    for (int i = 0; i < REGISTRY_HOLDERS; i++) {
        if (takeover_is_recorded_as(process, &holders[i])) {
            *record = holders[i];
            return true;
        }
    }
    return false;
}

static void clear_if(struct registry_holder *holder, const struct takeover_process *process,
                     uint64_t acquisition)
{
    int32_t recorded = atomic_load(&holder->process);
    if (recorded != 0 &&
        (holder->acquisition == acquisition || takeover_is_recorded_as(process, holder)))
        (void)atomic_compare_exchange_strong(&holder->process, &recorded, 0);
}

void takeover_settle(struct registry *registry, const struct takeover_process *process,
                     uint64_t acquisition, bool exclusive)
{
    if (!registry_usable(registry))
        return;
    struct registry_layout *map = registry->map;
    struct registry_mark *mark = &map->head.mark;
    if (exclusive) {
        /* The mark of who holds: one of an earlier holder was cleared when this one came. */
        if (atomic_load(&mark->state) != MARK_CLEAN) {
            mark->acquisition = acquisition;
            atomic_store(&mark->state, MARK_CHANGED);
            atomic_fetch_add(&map->head.generation, 1);
        }
        atomic_store(&map->head.broken, acquisition);
        clear_if(&map->exclusive, process, acquisition);
    }
    for (int i = 0; i < REGISTRY_HOLDERS; i++)
        clear_if(&map->holders[i], process, acquisition);
}
