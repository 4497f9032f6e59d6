/* Ctrl-C and SIGTERM as an event of a loop, for commands that have something to finish first. */
#ifndef RC_CLI_INTERRUPT_H
#define RC_CLI_INTERRUPT_H

#include "loop/loop.h"

struct rc_interrupt {
    struct rc_watch watch;
    struct rc_loop *loop;
    void (*on_interrupt)(struct rc_interrupt *interrupt); /* on the loop's thread, once a signal */
};

/*
 * Blocks the two signals for this thread and those it starts from now on, so call it before any is started.
 * on_interrupt must be set. 0 or a negative rc_err.
 */
int rc_interrupt_start(struct rc_interrupt *interrupt, struct rc_loop *loop);
/* Harmless when it was not started. */
void rc_interrupt_stop(struct rc_interrupt *interrupt);

#endif
