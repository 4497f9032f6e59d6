#include "presence/event_clock.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"

#include <inttypes.h>

void rc_event_clock_init(struct rc_event_clock *clock, int64_t floor_ms)
{
    memset(clock, 0, sizeof(*clock));
    clock->last_ms =
        floor_ms + 1; /* a client's next event is later than its last, even in this millisecond */
    clock->last_mono_ms = (int64_t)rc_clock_mono_ms();
}

int64_t rc_event_clock_now(struct rc_event_clock *clock, int64_t wall_ms, int64_t mono_ms)
{
    if (mono_ms < clock->last_mono_ms) /* from before the clock was made: the caller's is a turn old */
        mono_ms = clock->last_mono_ms;
    int64_t steady = clock->last_ms + (mono_ms - clock->last_mono_ms);
    clock->last_ms = wall_ms > steady ? wall_ms : steady;
    clock->last_mono_ms = mono_ms;
    if (clock->last_ms - wall_ms > RC_EVENT_CLOCK_ALARM_MS)
        rc_log_warn("presence",
                    "event times are %" PRId64
                    " ms ahead of the clock: it was set back, or the log has later times",
                    clock->last_ms - wall_ms);
    return clock->last_ms;
}

uint16_t rc_event_clock_slot(struct rc_slice client)
{
    return rc_hash(client) % RC_DEPARTED_SLOTS;
}

void rc_event_clock_depart(struct rc_event_clock *clock, uint16_t slot, int64_t last_ms)
{
    if (clock->departed[slot] < last_ms)
        clock->departed[slot] = last_ms;
}

int64_t rc_event_clock_departed(const struct rc_event_clock *clock, uint16_t slot)
{
    return clock->departed[slot];
}
