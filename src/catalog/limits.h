/*
 * What the clients of one instance may do. An instance has a profile: `product` keeps to the cloud product's
 * ways and numbers, `standard` allows what MQTT allows. Each number can be set for the instance on top of its
 * profile. Read by shards without a lock, as a part of the catalog.
 */
#ifndef RC_CATALOG_LIMITS_H
#define RC_CATALOG_LIMITS_H

#include "base/error.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum rc_profile {
    RC_PROFILE_PRODUCT,
    RC_PROFILE_STANDARD,
};

enum {
    RC_CLIENT_ID_MAX = 1024,      /* bytes, in any profile */
    RC_LIMIT_INFLIGHT_MAX = 1024, /* the most that inflight_max may be set to */
};

struct rc_limits {
    uint32_t payload_max;          /* bytes of one PUBLISH; a larger one closes the connection */
    uint32_t subscriptions_max;    /* of one client; a filter with wildcards is one */
    uint32_t keep_alive_max_s;     /* a longer one counts as this, and so does none (0); 0: no limit */
    uint32_t inflight_max;         /* QoS 1 and 2 messages sent and not acknowledged, of one session */
    uint32_t receive_max;          /* QoS 1 and 2 messages that a client may have unacknowledged towards us */
    uint32_t incoming_max;         /* QoS 2 ids without PUBREL of one older than version 5: it is not told */
    uint32_t queued_max;           /* messages that wait in one session; the oldest goes */
    uint64_t queued_bytes_max;     /* ... and their bytes */
    uint32_t queued_all_max;       /* messages that wait in all sessions of the instance; 0: no limit */
    uint64_t queued_all_bytes_max; /* ... and their bytes; 0: no limit */
    uint64_t session_keep_ms;      /* how long the session of an absent client is kept, at most */
    uint32_t session_expiry_min_s; /* a shorter expiry, but 0, counts as this */
    uint32_t client_id_max;        /* bytes */
    uint32_t topic_len_max;        /* bytes of a topic name or filter; a P2P topic has none of its own */
    uint32_t topic_levels_max;     /* levels of a topic name or filter */
    uint16_t topic_alias_max;      /* aliases that a client may set towards us */
    uint8_t qos_max;               /* of publishing and of subscriptions */
    bool has_retained, has_wills, has_shared, has_wildcards, has_subscription_ids;
    bool tells_why; /* SUBACK of version 5: that somebody is not authorized */
};

enum { RC_LIMITS_TEXT_MAX = 512 };
/*
 * Sets those that a text names, as the configuration file calls and bounds them:
 * subscriptions=50,payload=4KiB. RC_ERR_INVALID with a sentence that says what is wrong.
 */
int rc_limits_apply(struct rc_limits *to, struct rc_slice text, struct rc_error *error);

/* The profile's own numbers; any thread. */
const struct rc_limits *rc_limits_of(enum rc_profile profile);

#endif
