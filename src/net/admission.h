/*
 * How many are let in: connections at a time, handshakes under way, new ones in a second. One for a listener,
 * shared by all loops that accept for it, and one for the server. Any thread, without locks.
 */
#ifndef RC_NET_ADMISSION_H
#define RC_NET_ADMISSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* All zero at first. */
struct rc_admission {
    atomic_uint connections;
    atomic_uint handshakes;
    atomic_uint_fast64_t due_ns; /* when the next new connection is due, at an even rate */
    /* counters */
    atomic_uint_fast64_t accepted, refused_connections, dropped_handshakes, delayed;
};

/* One more of `count` unless there are `max` already (0: no limit). */
static inline bool rc_admission_enter(atomic_uint *count, uint32_t max)
{
    unsigned before = atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
    if (max == 0 || before < max)
        return true;
    atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
    return false;
}

static inline void rc_admission_leave(atomic_uint *count)
{
    atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
}

/*
 * Whether one more new connection may come at `now_ns` (monotonic): 0, or how many nanoseconds to wait before
 * asking again. A quiet listener lets `per_second` (0: no limit) in at once, and then goes by the rate. Loops
 * that ask at the same moment may each let one in.
 */
uint64_t rc_admission_wait_ns(struct rc_admission *admission, uint32_t per_second, uint64_t now_ns);
/* It has come. */
void rc_admission_came(struct rc_admission *admission, uint32_t per_second, uint64_t now_ns);

#endif
