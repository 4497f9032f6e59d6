/* Which queues a topic has, over all brokers of a cluster, by the routes that its name servers tell. No I/O.
 */
#ifndef RC_RULES_LAYOUT_H
#define RC_RULES_LAYOUT_H

#include "base/slice.h"
#include "net/dialer.h"

enum {
    RC_FEED_QUEUES_MAX = 1024, /* of the topic, all brokers */
    RC_FEED_BROKERS_MAX = 64,
};

struct rc_layout_broker {
    char name[128], address[RC_DIAL_TARGET_MAX];
    uint32_t queues;
    bool is_there; /* in the last route */
};
struct rc_layout {
    struct rc_layout_broker brokers[RC_FEED_BROKERS_MAX]; /* by name */
    uint32_t count, queues;                               /* all brokers' together */
};
/*
 * Takes a route's answer. A broker that is missing in it keeps its queues, unless `fails_over`. True when the
 * queues are other ones than before (so that each client's queue is to be found anew).
 */
bool rc_layout_take_route(struct rc_layout *layout, struct rc_slice body, bool fails_over);
/* The same into an empty one, of queues that can be read. */
void rc_layout_take_readable(struct rc_layout *layout, struct rc_slice body);
/* The broker of a queue, counted over all of them, and the queue's number there; NULL: there is none. */
const struct rc_layout_broker *rc_layout_find(const struct rc_layout *layout, uint32_t queue,
                                              uint32_t *ret_queue_id);

const struct rc_layout_broker *rc_layout_named(const struct rc_layout *layout, const char *name);

#endif
