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
    bool is_small;   /* it fits into a pool */
    bool is_traced;  /* broker/trace.h; its id stands behind the properties */
    uint8_t bytes[]; /* topic, payload, properties */
};

/*
 * Memory of small publications that have gone, for a shard's next ones: most are made on one shard and let go
 * by another, and malloc pays for that with locks. For one thread; zeroed is empty.
 */
enum { RC_PUBLICATION_SMALL_BYTES = 256, RC_PUBLICATION_POOL_MAX = 1024 };
struct rc_publication_pool {
    void *first;
    uint32_t count;
};
void rc_publication_pool_free(struct rc_publication_pool *pool);

/* One reference. `now_ms` is monotonic; from the publish's expiry property on it counts. `pool` may be NULL.
 */
struct rc_publication *rc_publication_create(struct rc_publication_pool *pool,
                                             const struct rc_mqtt_publish *publish, uint64_t from,
                                             uint64_t now_ms);
/* The same for one that is traced, by an id of RC_TRACE_ID_LEN bytes. */
struct rc_publication *rc_publication_create_traced(struct rc_publication_pool *pool,
                                                    const struct rc_mqtt_publish *publish, uint64_t from,
                                                    uint64_t now_ms, const uint8_t *id);
struct rc_publication *rc_publication_ref(struct rc_publication *publication);
void rc_publication_unref(struct rc_publication *publication); /* any thread */
/* The same; the memory goes to the pool, if it is small and there is room. */
void rc_publication_unref_to(struct rc_publication_pool *pool, struct rc_publication *publication);

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

/* Only of one that is traced. */
static inline const uint8_t *rc_publication_trace_id(const struct rc_publication *publication)
{
    return publication->bytes + publication->topic_len + publication->payload_len + publication->props_len;
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
