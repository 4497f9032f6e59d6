/* Turns of a loop, in steps finer than its timers': what an open-loop schedule is kept by. */
#ifndef RC_CLI_BENCH_TICK_H
#define RC_CLI_BENCH_TICK_H

#include "loop/loop.h"

struct rc_bench_tick {
    struct rc_watch watch;
    struct rc_hook hook;
    struct rc_loop *loop; /* NULL: not started */
};

/* From now on `on_turn` runs in each turn, and there is one at least every quarter of a millisecond, or every
 * 2 ms when nothing is paced. 0 or a negative rc_err. */
int rc_bench_tick_start(struct rc_bench_tick *tick, struct rc_loop *loop, bool is_paced,
                        void (*on_turn)(struct rc_hook *hook));
/* Harmless when it was not started. */
void rc_bench_tick_stop(struct rc_bench_tick *tick);

#endif
