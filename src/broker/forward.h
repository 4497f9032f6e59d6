/*
 * Publications on their way to other shards. What a turn sends to one shard travels in parcels: one message
 * of the mailbox, one allocation and one wake for many. On the broker's loop.
 */
#ifndef RC_BROKER_FORWARD_H
#define RC_BROKER_FORWARD_H

#include "base/slice.h"

struct rc_broker;
struct rc_publication;

/* Whether that shard keeps up: it is less than RC_BROKER_FORWARDS_MAX publications behind. */
bool rc_forward_has_room(struct rc_broker *to);
/*
 * Puts it into the parcel for that shard, which delivers it with rc_route_arrived. When that shard is too far
 * behind one at QoS 0 is dropped, counted and told; of the others the publisher has asked
 * rc_forward_has_room. Retained ones never are, since each shard must have them.
 */
void rc_forward(struct rc_broker *from, struct rc_broker *to, struct rc_slice instance,
                struct rc_publication *publication);
/* The turn ends: parcels leave. */
void rc_forward_post(struct rc_broker *from);
/* Lets go of what has been delivered meanwhile; called now and then. */
void rc_forward_sweep(struct rc_broker *from);
/* The broker ends: what has not left is let go. */
void rc_forward_free(struct rc_broker *from);

#endif
