/* What the consumer's files share. */
#ifndef RC_CLIENT_CONSUMER_PRIVATE_H
#define RC_CLIENT_CONSUMER_PRIVATE_H

#include "base/error.h"
#include "client/consumer_state.h"
#include "client/link.h"
#include "rollcall/consumer.h"

#include <jansson.h>
#include <stdatomic.h>

enum {
    RC_CONSUMER_NAMESRVS_MAX = 16,
    RC_CONSUMER_BROKERS_MAX = 64,
    RC_CONSUMER_QUEUES_MAX = 4096,           /* of all brokers, of one topic */
    RC_CONSUMER_TOPICS = 2,                  /* the topic, and the group's retries */
    RC_CONSUMER_BODY_MAX = 16 * 1024 * 1024, /* of an inflated message */
};

struct rc_consumer_broker {
    char *name;
    struct rc_link *link;
};

/* A queue that exists. */
struct rc_consumer_place {
    char broker[128];
    uint32_t queue_id;
};

struct rc_consumer {
    struct rc_consumer_options options;
    struct rc_loop *loop;
    struct rc_link_options link_options;
    struct rc_link *namesrvs[RC_CONSUMER_NAMESRVS_MAX];
    uint32_t namesrvs_count, namesrv_at;
    struct rc_consumer_broker brokers[RC_CONSUMER_BROKERS_MAX];
    uint32_t brokers_count, broker_at; /* broker_at: whom to ask for the members of the group */
    char *topics[RC_CONSUMER_TOPICS];
    struct rc_consumer_place *routes[RC_CONSUMER_TOPICS];
    uint32_t routes_count[RC_CONSUMER_TOPICS];
    struct rc_list queues;  /* those that are mine: struct rc_consumer_queue */
    struct rc_list dropped; /* let go, while an answer is to come */
    atomic_uint queues_count;
    atomic_uint queues_failing;  /* whose last request failed */
    atomic_bool is_lost;         /* route or members could not be had the last time */
    atomic_uint_fast64_t behind; /* of all queues of the topic */
    atomic_uint_fast64_t retries;
    char *tls_name;
    struct rc_timer heartbeat, rebalance, commit;
    struct rc_mail stop;
    char *client_id;
    int64_t sub_version;
    uint64_t told_ms;
    uint32_t goodbyes;
    bool is_group_changed, is_stopping;
    bool is_stop_posted; /* whoever stops it */
    json_t *offsets;     /* by queue, of offset_file; NULL without one */
    bool is_offset_new;
};

void rc_consumer_tell(struct rc_consumer *consumer, const char *what, const char *why);
/* The same with what the other side said. */
void rc_consumer_tell_refusal(struct rc_consumer *consumer, const char *what,
                              const struct rc_remoting *answer);

/* ---- consumer_route.c: JSON bodies ---- */
void rc_consumer_put_broker(struct rc_consumer *consumer, const char *name, const char *address);
void rc_consumer_put_heartbeat(const struct rc_consumer *consumer, struct rc_buf *body);
/* Takes queues and brokers of a topic (by index) from a route. */
void rc_consumer_take_route(struct rc_consumer *consumer, int topic, struct rc_slice body);
/* Takes my share of all queues, given the body of a consumer list (empty: all are mine). */
void rc_consumer_assign(struct rc_consumer *consumer, struct rc_slice members);

/* ---- consumer_offsets.c: offset_file; all but load do nothing without one ---- */
/* RC_ERR_CORRUPT when the file is none of this topic. A file that is not there yet is an empty one. */
int rc_consumer_load_offsets(struct rc_consumer *consumer);
/* -1: none is known. */
int64_t rc_consumer_kept_offset(const struct rc_consumer *consumer, const struct rc_consumer_place *place);
void rc_consumer_keep_offset(struct rc_consumer *consumer, const struct rc_consumer_place *place,
                             uint64_t offset);
void rc_consumer_save_offsets(struct rc_consumer *consumer);
void rc_consumer_free_offsets(struct rc_consumer *consumer);

/* ---- consumer_queue.c: the machine of each queue ---- */
/* Starts it unless it runs already. */
void rc_consumer_want_queue(struct rc_consumer *consumer, int topic, const struct rc_consumer_place *place);
/* Between these two, every queue that was not wanted is let go. */
void rc_consumer_begin_assignment(struct rc_consumer *consumer);
void rc_consumer_end_assignment(struct rc_consumer *consumer);
/* One that runs goes on from that offset: what was pulled before, or is under way, is forgotten. */
void rc_consumer_reset_queue(struct rc_consumer *consumer, int topic, const char *broker, uint32_t queue_id,
                             uint64_t offset);
void rc_consumer_drop_queues(struct rc_consumer *consumer, const struct rc_link *link);
void rc_consumer_commit_all(struct rc_consumer *consumer);
void rc_consumer_free_queues(struct rc_consumer *consumer);

#endif
