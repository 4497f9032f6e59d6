/*
 * From RocketMQ to MQTT: a message that an inflow rule brings is published here, and whoever brought it is
 * told when the MQTT side has it: where a session that is kept got it, when that is durable.
 */
#ifndef RC_BROKER_INFLOW_H
#define RC_BROKER_INFLOW_H

#include "base/slice.h"
#include "broker/persist.h"
#include "loop/loop.h"

#include <stdatomic.h>

struct rc_broker;

enum rc_inflow_result {
    RC_INFLOW_TAKEN,
    RC_INFLOW_NO_CLIENT, /* P2P: the client has no session, or is away and the message is not to be kept */
    RC_INFLOW_REFUSED,  /* it cannot be published: a topic that is none, or more than the instance's limits */
    RC_INFLOW_GIVEN_UP, /* its sender did not want it any more before it was published */
};

/* One message. The texts are the sender's and live until on_done. */
struct rc_inflow {
    struct rc_mail mail;
    struct rc_persist_waiter waiter;
    struct rc_list node; /* among those that wait */
    struct rc_broker *broker;
    struct rc_slice instance, topic, payload;
    struct rc_slice shown_topic; /* P2P: what the client is told instead of its fixed topic; empty: that */
    struct rc_slice props;       /* encoded as a PUBLISH of version 5 has them; valid */
    uint8_t qos;
    bool is_for_present;     /* P2P: not kept for a client that is away */
    atomic_bool is_given_up; /* set by the sender, any thread: one that waits is not published any more */
    void *owner;             /* the sender's */
    /* On the shard's thread, exactly once, unless the shard ends before. */
    void (*on_done)(struct rc_inflow *inflow, enum rc_inflow_result result);
};

/*
 * Any thread. Which shard takes it follows from the topic. A message waits here while its instance is not
 * there (yet), and at QoS 1 and 2 while the session store takes nothing; others pass it by. So a sender that
 * wants an order posts the next when the one before is done, and bounds how many are under way.
 */
void rc_inflow_post(struct rc_broker **brokers, uint32_t shards, struct rc_inflow *inflow);

/* ---- for the broker ---- */
void rc_inflow_retry(struct rc_broker *broker);

#endif
