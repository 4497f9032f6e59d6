/* What a broker tells consumers to go on from: the body of RC_REQ_RESET_OFFSET. No I/O. */
#ifndef RC_CLIENT_RESET_BODY_H
#define RC_CLIENT_RESET_BODY_H

#include "base/slice.h"

#include <stdint.h>

struct rc_reset_item {
    const char *topic, *broker;
    uint32_t queue_id;
    uint64_t offset;
};

/* Its texts live until the visit returns. */
typedef void (*rc_reset_item_fn)(const struct rc_reset_item *item, void *arg);

/* Visits each that makes sense, up to the first place that is no such body. */
void rc_reset_body_read(struct rc_slice body, rc_reset_item_fn visit, void *arg);

#endif
