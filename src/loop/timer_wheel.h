/*
 * A hierarchical timer wheel: four levels of 256 slots, so starting and stopping cost the same whether ten or
 * a million timers run. Entries are embedded in their owners. No clock: time comes in as ticks. One thread.
 */
#ifndef RC_LOOP_TIMER_WHEEL_H
#define RC_LOOP_TIMER_WHEEL_H

#include "loop/loop.h"

enum { RC_WHEEL_BITS = 8, RC_WHEEL_SLOTS = 1 << RC_WHEEL_BITS, RC_WHEEL_LEVELS = 4 };

struct rc_timer_wheel {
    uint64_t tick; /* every timer due at or before this tick has been moved to `due` */
    struct rc_list slots[RC_WHEEL_LEVELS][RC_WHEEL_SLOTS];
    struct rc_list due;
};

void rc_timer_wheel_init(struct rc_timer_wheel *wheel, uint64_t tick);
/* timer->due_tick says when; at most 2^32 - 1 ticks ahead (later ones are brought forward to that). */
void rc_timer_wheel_add(struct rc_timer_wheel *wheel, struct rc_timer *timer);
/* Moves what has become due by `tick` to wheel->due, in order of ticks. */
void rc_timer_wheel_advance(struct rc_timer_wheel *wheel, uint64_t tick);
/* Ticks until the next advance could yield something, at most `limit`. */
uint64_t rc_timer_wheel_wait(const struct rc_timer_wheel *wheel, uint64_t limit);

#endif
