/*
 * The time of events, in milliseconds since the epoch: follows the wall clock, but never falls; after the
 * wall clock stepped back it runs on the monotonic clock until the wall has caught up. One thread each.
 */
#ifndef RC_PRESENCE_EVENT_CLOCK_H
#define RC_PRESENCE_EVENT_CLOCK_H

#include "base/slice.h"

enum {
    RC_EVENT_CLOCK_ALARM_MS = 1000, /* this far ahead of the wall clock it is told of */
    RC_DEPARTED_SLOTS = 4096,
};

struct rc_event_clock {
    int64_t last_ms;
    int64_t last_mono_ms;
    /*
     * Bounds of the last event time of clients that have left, by hash of the client: a client that returns
     * within the same millisecond still gets a later time. Bounded memory; two clients in one slot only make
     * each other's times a few milliseconds later.
     */
    int64_t departed[RC_DEPARTED_SLOTS];
};

/* `floor_ms`: the greatest time in the log. */
void rc_event_clock_init(struct rc_event_clock *clock, int64_t floor_ms);
/* The time now, not below any that was returned before. Both clocks may be as old as a turn of the loop. */
int64_t rc_event_clock_now(struct rc_event_clock *clock, int64_t wall_ms, int64_t mono_ms);

/* The time at `now_ms` for the next event of a client whose last had `last_ms` (0: it has none). */
static inline int64_t rc_event_clock_next(int64_t now_ms, int64_t last_ms)
{
    return now_ms > last_ms ? now_ms : last_ms + 1;
}

/* Where it is remembered when a client left: below RC_DEPARTED_SLOTS. */
uint16_t rc_event_clock_slot(struct rc_slice client);
/* The client of this slot has left; its last event had this time. */
void rc_event_clock_depart(struct rc_event_clock *clock, uint16_t slot, int64_t last_ms);
/* One comes: the time of its last event when it last left, or a later one; 0: none is known. */
int64_t rc_event_clock_departed(const struct rc_event_clock *clock, uint16_t slot);

#endif
