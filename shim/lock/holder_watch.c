/*
 * What one who waits learns of the holders from look to look. It only reads, and believes no single
 * look.
 */
#include "shim/lock/holder_watch.h"

#include "shim/lock/blocked.h"

#define MILLISECOND 1000000ll
#define LONG_STILL (1500 * MILLISECOND) /* the thread that took it, whatever the others do */
#define POLLS_MOMENT (20 * MILLISECOND)
#define POLLS_ENOUGH 3

/* What is known of a holder from the looks before. */
static struct watched_holder *watched_holder(struct holder_watch *watch,
                                             const struct registry_holder *holder, uint64_t now)
{
    struct watched_holder *watched = &watch->holders[0];
    for (int i = 0; i < HOLDERS_WATCHED; i++) {
        struct watched_holder *one = &watch->holders[i];
        if (one->process == holder->process && one->acquisition == holder->acquisition) {
            one->looked_at = now;
            return one;
        }
        if (one->looked_at < watched->looked_at)
            watched = one;
    }
    *watched = (struct watched_holder){.acquisition = holder->acquisition,
                                       .process = holder->process,
                                       .looked_at = now,
                                       .polled_at = holder->polled_at};
    return watched;
}

static uint64_t still_for(struct holder_movement *movement, uint64_t runs, uint64_t now)
{
    if (runs != movement->runs || runs == 0)
        *movement = (struct holder_movement){runs, now};
    return now - movement->since;
}

/*
 * A moment of its own in which it waits for somebody is none. Some programs have a thread that is
 * never at rest: then it counts, after a longer time, that the one that took the lock is, and that
 * nobody touches the table.
 */
static bool is_still(struct watched_holder *watched, const struct registry_holder *holder,
                     uint64_t now)
{
    uint64_t all = still_for(&watched->all, blocked_runs(holder->process, 0), now);
    uint64_t taker = still_for(&watched->taker, blocked_runs(holder->process, holder->thread), now);
    bool untouched = now > holder->last_touch && now - holder->last_touch >= LONG_STILL;
    return all >= HOLDER_STILL || (taker >= LONG_STILL && untouched);
}

/*
 * Does the holder keep asking for its child while we wait? Looks count that found a new question
 * since the look before; one or two are asked in passing, as by who starts several children. It is
 * so for the moment of such a look, which asks several times.
 */
static bool keeps_polling(struct watched_holder *watched, const struct registry_holder *holder,
                          uint64_t now)
{
    if (watched->polled_at != holder->polled_at) {
        watched->polled_at = holder->polled_at;
        watched->poll_seen_at = now;
        watched->looks_with_poll++;
    }
    return watched->looks_with_poll >= POLLS_ENOUGH && now - watched->poll_seen_at < POLLS_MOMENT;
}

struct relatives_hints holder_watch_look(struct holder_watch *watch,
                                         const struct registry_holder *holder, uint64_t began)
{
    struct relatives_hints hints = {.awaited = holder->awaited};
    uint64_t now = registry_now();
    struct watched_holder *watched = watched_holder(watch, holder, now);
    uint64_t since = holder->since > began ? holder->since : began;
    if (now <= since || now - since < HOLDER_RESTED)
        return hints;
    hints.rested = true;
    hints.still = is_still(watched, holder, now);
    hints.polled = keeps_polling(watched, holder, now) ? holder->polled : 0;
    return hints;
}
