/*
 * From MQTT to RocketMQ: what clients publish below a parent topic that has an outflow rule becomes a message
 * of the log, with the properties that the product documents (docs/flows.md). On the broker's loop.
 */
#ifndef RC_BROKER_OUTFLOW_H
#define RC_BROKER_OUTFLOW_H

#include "base/buf.h"
#include "mqtt/packet.h"
#include "store/message.h"

#include <stdint.h>

struct rc_broker;
struct rc_flow_rule;
struct rc_instance;
struct rc_session;

enum {
    RC_OUTFLOW_USER_PROPERTIES_MAX = 8 * 1024, /* bytes of mqtt5UserProperty */
    RC_OUTFLOW_CONTENT_TYPE_MAX = 1024,        /* of mqtt5ContentType */
    /* Of all: Apache's brokers add properties of their own to a batch's messages (CLUSTER), and past the
     * format's limit spoil the batch. */
    RC_OUTFLOW_PROPERTIES_MAX = RC_MESSAGE_PROPS_MAX - 1024,
};

struct rc_outflow {
    struct rc_buf props, scratch;
    uint8_t id[16]; /* of the next message: 10 bytes of this run, the time, a number */
    uint16_t counter;
    uint64_t told_ms;
    bool has_id;
    bool was_refused; /* the last message, here or for a shard that is behind (routing.c) */
};

enum rc_outflow_result {
    RC_OUTFLOW_NONE,    /* no rule is for it, or (counted) it cannot be a RocketMQ message: it is too large */
    RC_OUTFLOW_TAKEN,   /* at QoS 1 and 2 its acknowledgement waits for the log */
    RC_OUTFLOW_REFUSED, /* the log takes nothing now */
};

/* `id`, 16 bytes, names the message; NULL: it is given one. */
enum rc_outflow_result rc_outflow_take(struct rc_broker *broker, const struct rc_instance *instance,
                                       const struct rc_mqtt_publish *publish, const struct rc_session *from,
                                       const uint8_t *id);
/* A new id for a message; RC_ERR_IO when the system has no random numbers. */
int rc_outflow_next_id(struct rc_outflow *outflow, int64_t now_ms, uint8_t out[16]);
void rc_outflow_free(struct rc_outflow *outflow);

#endif
