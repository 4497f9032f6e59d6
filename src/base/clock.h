/* Time. Durations and deadlines use the monotonic clock; only what people and protocols read uses the wall.
 */
#ifndef RC_BASE_CLOCK_H
#define RC_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

uint64_t rc_clock_mono_ns(void);

static inline uint64_t rc_clock_mono_ms(void)
{
    return rc_clock_mono_ns() / 1000000u;
}

/* Milliseconds since the epoch; can step either way. */
static inline int64_t rc_clock_wall_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

#endif
