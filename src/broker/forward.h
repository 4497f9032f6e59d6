/*
 * Publications on their way to other shards. What a turn sends to one shard travels in parcels: one message
 * of the mailbox, one allocation and one wake for many. On the broker's loop.
 */
#ifndef RC_BROKER_FORWARD_H
#define RC_BROKER_FORWARD_H

#include "base/slice.h"

struct rc_broker;
struct rc_publication;

/*
 * Puts it into the parcel for that shard, which delivers it with rc_route_arrived. When that shard is
 * RC_BROKER_FORWARDS_MAX behind it is dropped, counted and told; retained ones never are, since each shard
 * must have them, and their publishers are few or refused.
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
