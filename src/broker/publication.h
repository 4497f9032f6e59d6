/*
 * One message on its way to many receivers, possibly on many shards: topic, payload and the properties that
 * are passed on, in one piece of memory with a count of references. Immutable once it is made.
 */
#ifndef RC_BROKER_PUBLICATION_H
#define RC_BROKER_PUBLICATION_H

#include "mqtt/packet.h"

#include <stdatomic.h>

struct rc_publication {
    atomic_uint refs;
    uint32_t topic_len, payload_len, props_len;
    uint64_t expires_ms;    /* monotonic; 0: never */
    uint64_t stamp;         /* when it was published, for the order of retained messages of several shards */
    uint64_t from;          /* the publishing session's number, 0 for none: for No Local */
    uint64_t origin;        /* the same session in the session store, when it has to count there; 0: not */
    uint64_t origin_number; /* of the message, among those of that session */
    uint8_t qos;
    bool retain;
    bool is_p2p;     /* for one client alone, whom the topic names */
    uint8_t bytes[]; /* topic, payload, properties */
};

/* One reference. `now_ms` is monotonic; from the publish's expiry property on it counts. */
struct rc_publication *rc_publication_create(const struct rc_mqtt_publish *publish, uint64_t from,
                                             uint64_t now_ms);
struct rc_publication *rc_publication_ref(struct rc_publication *publication);
void rc_publication_unref(struct rc_publication *publication); /* any thread */

static inline struct rc_slice rc_publication_topic(const struct rc_publication *publication)
{
    return rc_slice(publication->bytes, publication->topic_len);
}

static inline struct rc_slice rc_publication_payload(const struct rc_publication *publication)
{
    return rc_slice(publication->bytes + publication->topic_len, publication->payload_len);
}

/* Encoded properties of version 5, as they came, without those that are not passed on. */
static inline struct rc_slice rc_publication_props(const struct rc_publication *publication)
{
    return rc_slice(publication->bytes + publication->topic_len + publication->payload_len,
                    publication->props_len);
}

static inline bool rc_publication_is_expired(const struct rc_publication *publication, uint64_t now_ms)
{
    return publication->expires_ms != 0 && now_ms >= publication->expires_ms;
}

/* What it takes in memory. */
static inline size_t rc_publication_size(const struct rc_publication *publication)
{
    return sizeof(*publication) + publication->topic_len + publication->payload_len + publication->props_len;
}

#endif
