/*
 * A mailbox: many senders, one receiver, no lock. Senders push on a stack; the receiver takes the whole stack
 * at once and turns it round. The eventfd is written only when the mailbox was empty, so a burst costs one
 * wake. Nobody reads the eventfd: wait for it edge-triggered (EPOLLET), each write is an edge.
 */
#ifndef RC_LOOP_MAILBOX_H
#define RC_LOOP_MAILBOX_H

#include "loop/loop.h"

struct rc_mailbox {
    _Atomic(struct rc_mail *) newest;
    int wake_fd;
};

int rc_mailbox_init(struct rc_mailbox *mailbox); /* 0 or a negative rc_err */
void rc_mailbox_close(struct rc_mailbox *mailbox);
void rc_mailbox_post(struct rc_mailbox *mailbox, struct rc_mail *mail); /* any thread */
/* Wakes the receiver without mail; any thread. */
void rc_mailbox_wake(struct rc_mailbox *mailbox);
/* The receiver: everything posted so far, oldest first, NULL when there is none. */
struct rc_mail *rc_mailbox_take(struct rc_mailbox *mailbox);

#endif
