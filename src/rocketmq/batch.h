/*
 * The body of a batch send (320): messages in one piece, each int32 size, magic, crc, flag, body length;
 * body; int16 properties length; properties. The first three mean nothing, as for real brokers. No I/O.
 */
#ifndef RC_ROCKETMQ_BATCH_H
#define RC_ROCKETMQ_BATCH_H

#include "base/buf.h"

struct rc_batch_item {
    uint32_t flag;
    struct rc_slice body, properties;
};

/* Walks: start with *at = 0. 1 and the next item; 0 at the end; RC_ERR_PROTOCOL when the bytes are no such.
 */
int rc_batch_next(struct rc_slice batch, size_t *at, struct rc_batch_item *ret);

/* Appends a message; RC_ERR_FULL when it does not fit. */
int rc_batch_put(struct rc_buf *out, const struct rc_batch_item *item);

#endif
