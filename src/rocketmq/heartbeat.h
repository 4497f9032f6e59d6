/*
 * The body of a heartbeat (34): which consumer groups a client is in, and what they subscribe to. No I/O.
 * Clients in Java send enums as text and numbers as numbers, those in C++ the other way round; both are read.
 * Entries that make no sense are passed over.
 */
#ifndef RC_ROCKETMQ_HEARTBEAT_H
#define RC_ROCKETMQ_HEARTBEAT_H

#include "base/slice.h"

enum { RC_HEARTBEAT_NAME_MAX = 255 /* a client id, a group's name */ };

/* All slices are views into `json`, released by rc_heartbeat_done. */
struct rc_heartbeat {
    struct rc_slice client_id;
    void *json;
};

struct rc_heartbeat_consumer {
    struct rc_slice group;
    bool is_broadcasting;
    void *json;
};

struct rc_heartbeat_subscription {
    struct rc_slice topic;
    struct rc_slice expression;
    struct rc_slice type; /* of the expression: TAG, SQL92 or empty, which means TAG */
    int64_t version;
};

/* 0 or RC_ERR_PROTOCOL (no JSON object, or no client id that can be one). */
int rc_heartbeat_decode(struct rc_slice body, struct rc_heartbeat *ret);
void rc_heartbeat_done(struct rc_heartbeat *heartbeat);

/* Walk: start with *at = 0; false at the end. */
bool rc_heartbeat_next_consumer(const struct rc_heartbeat *heartbeat, size_t *at,
                                struct rc_heartbeat_consumer *ret);
bool rc_heartbeat_next_subscription(const struct rc_heartbeat_consumer *consumer, size_t *at,
                                    struct rc_heartbeat_subscription *ret);

#endif
