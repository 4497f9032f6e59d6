/*
 * A request as its handler gets it, and how it is answered: at once, or later, when what it asked for is
 * done. One-way requests get no answer. The endpoint's thread.
 */
#ifndef RC_ROCKETMQ_REQUEST_H
#define RC_ROCKETMQ_REQUEST_H

#include "rocketmq/remoting.h"

struct rc_endpoint;
struct rc_key_pair;
struct rc_peer;
struct rc_queue;

struct rc_request {
    struct rc_endpoint *endpoint;
    struct rc_peer *peer;
    const struct rc_remoting *command; /* gone when the handler returns */
    const struct rc_key_pair *key;     /* who signed it, likewise; NULL: requests are not signed here */
};

void rc_request_reply(const struct rc_request *request, int32_t code, const char *remark);
void rc_request_reply_with(const struct rc_request *request, const struct rc_remoting *response);
/* Success with this body, which is freed. */
void rc_request_reply_body(const struct rc_request *request, struct rc_buf *body);

/* The queue that a request names by `topic` and `queueId`; NULL after it was answered that there is none. */
struct rc_queue *rc_request_queue(const struct rc_request *request);

/* What an answer needs that is given after the handler has returned. Holds a reference to the peer. */
struct rc_later {
    struct rc_peer *peer;
    int32_t opaque;
    uint8_t serialization;
    bool is_oneway;
};

void rc_later_take(struct rc_later *later, const struct rc_request *request);
/* Begins the response. */
void rc_later_response(const struct rc_later *later, struct rc_remoting *response, int32_t code);
/* Nothing is sent when the connection is closed meanwhile. */
void rc_later_reply_with(const struct rc_later *later, const struct rc_remoting *response);
void rc_later_reply(const struct rc_later *later, int32_t code, const char *remark);
void rc_later_done(struct rc_later *later);

#endif
