#include "base/clock.h"

#include "base/apart.h"

/* What it has on the stack would make the compiler guard the stack of all callers of rc_loop_now_ms, which
 * hardly ever comes here. */
RC_APART uint64_t rc_clock_mono_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
