/* Pulling: what a pull asks for, what it finds, and how that is sent. The endpoint's thread. */
#ifndef RC_ROCKETMQ_PULL_H
#define RC_ROCKETMQ_PULL_H

#include "rocketmq/endpoint.h"
#include "rocketmq/request.h"
#include "rocketmq/tag_filter.h"

struct rc_pull {
    struct rc_later to;
    struct rc_queue *queue;
    uint64_t offset;
    uint32_t messages_max;
    struct rc_tag_filter filter; /* as it was when the pull came; its own */
};

struct rc_pulled {
    int32_t code;         /* of the response */
    uint64_t next_offset; /* where the next pull begins */
    uint32_t count;
    size_t bytes;
    struct rc_slice views[RC_ENDPOINT_PULL_MESSAGES_MAX];
    struct rc_segment *segments[RC_ENDPOINT_PULL_MESSAGES_MAX]; /* references, handed on by rc_pull_answer */
};

/* Looks once. Whoever looks must answer, unless nothing was found (count 0). */
void rc_pull_look(struct rc_endpoint *endpoint, const struct rc_pull *pull, struct rc_pulled *ret);
/* The answer's bytes are those of the log, not copied. */
void rc_pull_answer(struct rc_endpoint *endpoint, const struct rc_pull *pull, const struct rc_pulled *pulled);
void rc_pull_done(struct rc_pull *pull);

void rc_pull_handle(const struct rc_request *request);

/* ---- hold.c: pulls that wait at the end of their queue ---- */
/* Takes the pull over; it is answered when its queue grows by what it takes, or after `wait_ms`. */
void rc_hold_add(struct rc_endpoint *endpoint, const struct rc_pull *pull, uint64_t wait_ms);
void rc_hold_on_grown(struct rc_endpoint *endpoint, struct rc_queue *queue);
/* Forgets those of a connection that closes. */
void rc_hold_forget_peer(struct rc_peer *peer);
void rc_hold_init(struct rc_endpoint *endpoint);
void rc_hold_free(struct rc_endpoint *endpoint);

#endif
