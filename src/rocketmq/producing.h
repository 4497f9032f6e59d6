/*
 * Messages of producers on their way into the log, and their answers, which leave when all of a request is
 * there. When the log takes no more at the moment, requests wait here, in order, and are carried on as it
 * takes more. The endpoint's thread.
 */
#ifndef RC_ROCKETMQ_PRODUCING_H
#define RC_ROCKETMQ_PRODUCING_H

#include "rocketmq/batch.h"
#include "rocketmq/request.h"
#include "store/message.h"

/* What a producer asks to be stored. */
struct rc_send_order {
    struct rc_queue *queue;
    uint32_t sys_flag, flag, reconsume_times;
    uint32_t delay_level; /* 0: at once */
    int64_t born_ms;
    bool is_batch;              /* `body` is one of batch.h, checked */
    struct rc_slice properties; /* of a batch: added to each message's */
    struct rc_slice body;
};

/* Answers the request, now or later. Copies what it keeps. */
void rc_producing_start(const struct rc_request *request, const struct rc_send_order *order);
/* The log takes more again. */
void rc_producing_on_room(void *endpoint);
/* At the end: those that the log was not told of, or did not report. */
void rc_producing_free(struct rc_endpoint *endpoint);

/* Adds a UNIQ_KEY as producers' clients make it: the time since the month's start in bytes 10 to 13. */
int rc_producing_put_unique_key(struct rc_buf *props);

#endif
