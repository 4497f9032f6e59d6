/* What the endpoint's files share: its state, and the calls between them that have no header of their own. */
#ifndef RC_ROCKETMQ_ENDPOINT_PRIVATE_H
#define RC_ROCKETMQ_ENDPOINT_PRIVATE_H

#include "rocketmq/consumer_groups.h"
#include "rocketmq/endpoint.h"
#include "rocketmq/peer.h"
#include "rocketmq/producing.h"
#include "rocketmq/pull.h"
#include "rocketmq/request.h"
#include "rocketmq/tenancy.h"

#define RC_COUNTER_ADD(endpoint, name, n)                                                                    \
    atomic_fetch_add_explicit(&(endpoint)->counters.name, (uint_fast64_t)(n), memory_order_relaxed)
#define RC_COUNTER(endpoint, name) RC_COUNTER_ADD(endpoint, name, 1)
#define RC_COUNTER_DOWN(endpoint, name)                                                                      \
    atomic_fetch_sub_explicit(&(endpoint)->counters.name, 1, memory_order_relaxed)

#define RC_AUTO_CREATE_TOPIC "TBW102" /* producers ask for its route when they may make topics */
#define RC_RETRY_PREFIX "%RETRY%"
#define RC_DEAD_LETTER_PREFIX "%DLQ%"

struct rc_endpoint {
    struct rc_endpoint_options options;
    struct rc_endpoint_counters counters;
    struct rc_loop *loop;
    struct rc_worker *worker;
    struct rc_catalog *catalog;
    struct rc_log_sender *sender;
    struct rc_log_reader *reader;
    struct rc_listener listeners[RC_ENDPOINT_LISTENERS_MAX];
    uint32_t listeners_count;
    struct rc_hook hook;
    struct rc_timer sweep;

    struct rc_list peers, dirty; /* dirty: something was put into their output */
    uint64_t input_bytes, stranger_input_bytes;

    struct rc_consumer_groups groups;
    struct rc_map holds; /* pulls that wait, by queue */

    struct rc_map locks;
    struct rc_list locks_by_age;

    struct rc_list sends, waiting_sends; /* of producers: all under way / those the log does not take yet */
    size_t waiting_bytes;
    uint64_t round_robin; /* for sends that name no queue */
    struct rc_list send_backs, resends;

    struct rc_topic *delay_topic;
    struct rc_delay_level *levels; /* [RC_DELAY_LEVELS + 1] */
    struct rc_timer delay_timer;

    uint64_t creations_minute;
    uint32_t creations;
    uint32_t queries; /* with the worker */
};

/* ---- dispatch.c ---- */
void rc_endpoint_dispatch(struct rc_peer *peer, const struct rc_remoting *command);

/* ---- acl.c ---- */
/* NULL when the request is signed, by *ret_key (NULL where signatures are not asked for); else why not. */
const char *rc_acl_refusal(struct rc_endpoint *endpoint, const struct rc_remoting *command,
                           const struct rc_key_pair **ret_key);

/* ---- route.c ---- */
void rc_route_handle_route(const struct rc_request *request);
void rc_route_handle_cluster_info(const struct rc_request *request);

/* ---- offsets.c ---- */
void rc_offsets_handle_query(const struct rc_request *request);
void rc_offsets_handle_update(const struct rc_request *request);
void rc_offsets_handle_max(const struct rc_request *request);
void rc_offsets_handle_min(const struct rc_request *request);
void rc_offsets_handle_search(const struct rc_request *request);
void rc_offsets_handle_earliest(const struct rc_request *request);

/* ---- send.c ---- */
void rc_send_handle(const struct rc_request *request);
void rc_send_handle_v2(const struct rc_request *request);
void rc_send_handle_batch(const struct rc_request *request);

/* ---- send_back.c ---- */
void rc_send_back_handle(const struct rc_request *request);
void rc_send_back_free(struct rc_endpoint *endpoint);

/* ---- resend.c ---- */
void rc_resend_free(struct rc_endpoint *endpoint);

/* ---- delay.c ---- */
/*
 * Stages a message for later: into the delay topic, with the real one among its properties. As rc_log_stage.
 * 1 <= level <= RC_DELAY_LEVELS.
 */
int rc_delay_stage(struct rc_endpoint *endpoint, struct rc_queue *queue, struct rc_message *message,
                   uint32_t level, void (*on_written)(void *owner, const struct rc_append *append),
                   void *owner);
/* False when the queue is none of the delay topic. */
bool rc_delay_on_grown(struct rc_endpoint *endpoint, struct rc_queue *queue);
int rc_delay_start(struct rc_endpoint *endpoint, struct rc_error *error);
void rc_delay_stop(struct rc_endpoint *endpoint);
void rc_delay_free(struct rc_endpoint *endpoint);

/* ---- locks.c ---- */
void rc_locks_init(struct rc_endpoint *endpoint);
void rc_locks_handle_lock(const struct rc_request *request);
void rc_locks_handle_unlock(const struct rc_request *request);
void rc_locks_sweep(struct rc_endpoint *endpoint);
void rc_locks_free(struct rc_endpoint *endpoint);

/* ---- query.c ---- */
void rc_query_handle_view(const struct rc_request *request);
void rc_query_handle_query(const struct rc_request *request);

/* ---- make_topic.c ---- */
/* Finds or makes it: RC_ERR_FULL when clients have made too many lately, or as rc_store_create_topic. */
int rc_endpoint_make_topic(struct rc_endpoint *endpoint, struct rc_slice name, uint32_t queues,
                           struct rc_topic **ret);
/* %RETRY%<group> / %DLQ%<group>; NULL when it cannot be. */
struct rc_topic *rc_endpoint_make_retry_topic(struct rc_endpoint *endpoint, struct rc_slice group);
struct rc_topic *rc_endpoint_make_dead_letter_topic(struct rc_endpoint *endpoint, struct rc_slice group);

#endif
