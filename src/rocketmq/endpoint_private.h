/* What the endpoint's files share. */
#ifndef RC_ROCKETMQ_ENDPOINT_PRIVATE_H
#define RC_ROCKETMQ_ENDPOINT_PRIVATE_H

#include "base/list.h"
#include "net/listener.h"
#include "net/output.h"
#include "rocketmq/endpoint.h"
#include "rocketmq/remoting.h"

#define RC_COUNTER_ADD(endpoint, name, n)                                                                    \
    atomic_fetch_add_explicit(&(endpoint)->counters.name, (uint_fast64_t)(n), memory_order_relaxed)
#define RC_COUNTER(endpoint, name) RC_COUNTER_ADD(endpoint, name, 1)
#define RC_COUNTER_DOWN(endpoint, name)                                                                      \
    atomic_fetch_sub_explicit(&(endpoint)->counters.name, 1, memory_order_relaxed)

struct rc_endpoint {
    struct rc_endpoint_options options;
    struct rc_endpoint_counters counters;
    struct rc_loop *loop;
    struct rc_catalog *catalog;
    struct rc_log_sender *sender;
    struct rc_log_reader *reader;
    struct rc_listener listeners[RC_ENDPOINT_LISTENERS_MAX];
    uint32_t listeners_count;
    struct rc_list peers, dirty;
    struct rc_hook hook;
    struct rc_timer sweep, save, delay_tick;
    struct rc_map groups;          /* struct rc_consumer_group by name */
    struct rc_map holds;           /* struct rc_hold_queue by queue */
    struct rc_map locks;           /* struct rc_queue_lock by group and queue */
    struct rc_delay_level *levels; /* [RC_DELAY_LEVELS + 1] */
    uint32_t sends_under_way;
    uint64_t random;
};

/* A connection. Kept while requests of it are under way, although it may be closed. */
struct rc_peer {
    struct rc_stream stream;
    struct rc_output output;
    struct rc_buf in;
    struct rc_endpoint *endpoint;
    struct rc_list node, dirty;
    struct rc_list holds; /* its pulls that wait */
    struct rc_address address, local;
    uint64_t active_ms;
    uint32_t refs;
    uint32_t memberships; /* of consumer groups */
    bool is_closed;
};

/* ---- peer.c ---- */
void rc_peer_accept(struct rc_listener *listener, int fd, const struct rc_address *address);
void rc_peer_close(struct rc_peer *peer);
void rc_peer_ref(struct rc_peer *peer);
void rc_peer_unref(struct rc_peer *peer);
/* Puts a whole command into the output; nothing happens when the peer is closed. */
void rc_peer_send(struct rc_peer *peer, const struct rc_remoting *command);
void rc_peer_touch(struct rc_peer *peer);
void rc_peer_flush(struct rc_peer *peer);

/* A request as handlers get it, and how they answer. One-way requests get no answer. */
struct rc_request {
    struct rc_endpoint *endpoint;
    struct rc_peer *peer;
    const struct rc_remoting *command;
};
void rc_request_reply(const struct rc_request *request, int32_t code, const char *remark);
void rc_request_reply_with(const struct rc_request *request, struct rc_remoting *response);

/* ---- dispatch.c ---- */
void rc_endpoint_dispatch(struct rc_peer *peer, const struct rc_remoting *command);

/* ---- acl.c ---- */
/* NULL when the request may go on, else why not. */
const char *rc_acl_refusal(struct rc_endpoint *endpoint, const struct rc_remoting *command);

/* ---- consumer_groups.c ---- */
void rc_consumer_groups_init(struct rc_endpoint *endpoint);
struct rc_tag_filter {
    struct rc_slice topic;
    int64_t version;
    bool takes_all;
    uint32_t codes_count;
    int32_t codes[RC_ENDPOINT_TAGS_MAX];
};
/* Takes the tags of `a || b`; * or nothing takes all. False when there are too many. */
bool rc_tag_filter_parse(struct rc_slice text, struct rc_tag_filter *filter);
struct rc_consumer_group;
struct rc_consumer_group *rc_group_find(struct rc_endpoint *endpoint, struct rc_slice name);
/* NULL when the group does not subscribe to the topic. */
const struct rc_tag_filter *rc_group_filter(const struct rc_consumer_group *group, struct rc_slice topic);
void rc_consumer_groups_handle_heartbeat(const struct rc_request *request);
void rc_consumer_groups_handle_unregister(const struct rc_request *request);
void rc_consumer_groups_handle_consumer_list(const struct rc_request *request);
void rc_consumer_groups_forget_peer(struct rc_endpoint *endpoint, struct rc_peer *peer);
void rc_consumer_groups_sweep(struct rc_endpoint *endpoint);
void rc_consumer_groups_free(struct rc_endpoint *endpoint);
/* Finds or makes %RETRY%<group> / %DLQ%<group>; NULL when it cannot be. */
struct rc_topic *rc_group_retry_topic(struct rc_endpoint *endpoint, struct rc_slice group);
struct rc_topic *rc_group_dead_letter_topic(struct rc_endpoint *endpoint, struct rc_slice group);

/* ---- route.c ---- */
void rc_route_handle_route(const struct rc_request *request);
void rc_route_handle_cluster_info(const struct rc_request *request);
#define RC_AUTO_CREATE_TOPIC "TBW102"

/* ---- pull.c ---- */
void rc_pull_handle(const struct rc_request *request);
void rc_pull_on_grown(struct rc_queue *queue, void *endpoint);
void rc_pull_forget_peer(struct rc_peer *peer);
void rc_pull_init(struct rc_endpoint *endpoint);
void rc_pull_free(struct rc_endpoint *endpoint);

/* ---- offsets.c ---- */
void rc_offsets_handle_query(const struct rc_request *request);
void rc_offsets_handle_update(const struct rc_request *request);
void rc_offsets_handle_max(const struct rc_request *request);
void rc_offsets_handle_min(const struct rc_request *request);
void rc_offsets_handle_search(const struct rc_request *request);
void rc_offsets_handle_earliest(const struct rc_request *request);
/* The queue that a request names; NULL after it was answered that there is none. */
struct rc_queue *rc_request_queue(const struct rc_request *request);

/* ---- send.c ---- */
void rc_send_handle(const struct rc_request *request);
void rc_send_handle_v2(const struct rc_request *request);
void rc_send_handle_batch(const struct rc_request *request);

/* ---- send_back.c ---- */
void rc_send_back_handle(const struct rc_request *request);

/* ---- delay.c ---- */
/*
 * Stages a message for later: into the delay topic, with the real one among its properties. As rc_log_stage.
 */
int rc_delay_stage(struct rc_endpoint *endpoint, struct rc_queue *queue, struct rc_message *message,
                   uint32_t level, void (*on_written)(void *owner, const struct rc_append *append),
                   void *owner);
int rc_delay_start(struct rc_endpoint *endpoint, struct rc_error *error);
void rc_delay_free(struct rc_endpoint *endpoint);

/* ---- locks.c ---- */
void rc_locks_init(struct rc_endpoint *endpoint);
void rc_locks_handle_lock(const struct rc_request *request);
void rc_locks_handle_unlock(const struct rc_request *request);
void rc_locks_free(struct rc_endpoint *endpoint);

/* ---- query.c ---- */
void rc_query_handle_view(const struct rc_request *request);
void rc_query_handle_query(const struct rc_request *request);

#endif
