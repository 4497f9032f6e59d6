/*
 * Consumer groups: who is in them, on which connection, and what they subscribe to. Known from heartbeats,
 * forgotten when the connection ends or nothing has come for a while (times.idle). The endpoint's thread.
 */
#ifndef RC_ROCKETMQ_CONSUMER_GROUPS_H
#define RC_ROCKETMQ_CONSUMER_GROUPS_H

#include "base/map.h"
#include "rocketmq/tag_filter.h"

struct rc_endpoint;
struct rc_json;
struct rc_peer;
struct rc_request;
struct rc_consumer_group;

struct rc_consumer_groups {
    struct rc_map map; /* struct rc_consumer_group by name */
    uint32_t members, subscriptions;
};

struct rc_subscription {
    struct rc_tag_filter filter;
    int64_t version; /* the client's time of subscribing */
    struct rc_slice topic;
};

void rc_consumer_groups_init(struct rc_consumer_groups *groups);
/* After the last connection was closed. */
void rc_consumer_groups_free(struct rc_consumer_groups *groups);

struct rc_consumer_group *rc_consumer_group_find(struct rc_endpoint *endpoint, struct rc_slice name);
/* NULL when the group does not subscribe to the topic. Until the next heartbeat is handled. */
const struct rc_subscription *rc_consumer_group_subscription(const struct rc_consumer_group *group,
                                                             struct rc_slice topic);

/* Tells the members to share the queues anew: they do so at once instead of within their 20 s. */
void rc_consumer_groups_notify(struct rc_endpoint *endpoint, struct rc_slice name);
/*
 * Tells the members to go on from these offsets of the topic's queues, 0 to count - 1: they drop what they
 * have fetched. Apache's clients do so some 10 s later. Who broadcasts keeps offsets of his own, and is not
 * told.
 */
void rc_consumer_groups_reset(struct rc_endpoint *endpoint, struct rc_slice name, struct rc_slice topic,
                              const uint64_t *offsets, uint32_t count);
/* The connection's clients leave their groups, whose other members are told. */
void rc_consumer_groups_forget_peer(struct rc_peer *peer);
/* Drops members that have been silent for too long. */
void rc_consumer_groups_sweep(struct rc_endpoint *endpoint);

/*
 * Writes the group as a JSON object, as rc_group_look has it; a group without members has none of either.
 * Members and topics beyond `most` bytes are left out.
 */
void rc_consumer_groups_describe(struct rc_endpoint *endpoint, struct rc_slice name, struct rc_json *json,
                                 size_t most);

void rc_consumer_groups_handle_heartbeat(const struct rc_request *request);
void rc_consumer_groups_handle_unregister(const struct rc_request *request);
void rc_consumer_groups_handle_consumer_list(const struct rc_request *request);

#endif
