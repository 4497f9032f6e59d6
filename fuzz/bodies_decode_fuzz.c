/* Bodies of requests: heartbeats, tag expressions, batches. Whatever bytes come, walking them ends, within
 * them. */
#include "base/error.h"
#include "rocketmq/batch.h"
#include "rocketmq/heartbeat.h"
#include "rocketmq/tag_filter.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_right)
{
    if (!is_right)
        abort();
}

static void walk_filter(struct rc_slice text)
{
    struct rc_tag_filter filter, copy;
    if (rc_tag_filter_parse(text, &filter) != RC_OK)
        return;
    check(filter.count <= RC_TAG_FILTER_TAGS_MAX);
    rc_tag_filter_copy(&filter, &copy);
    check(rc_tag_filter_takes(&filter, 2598919) == rc_tag_filter_takes(&copy, 2598919));
    rc_tag_filter_free(&filter);
    rc_tag_filter_free(&copy);
}

static void walk_heartbeat(struct rc_slice body)
{
    struct rc_heartbeat heartbeat;
    struct rc_heartbeat_consumer consumer;
    struct rc_heartbeat_subscription subscription;
    if (rc_heartbeat_decode(body, &heartbeat) != RC_OK)
        return;
    check(heartbeat.client_id.len > 0 && heartbeat.client_id.len <= RC_HEARTBEAT_NAME_MAX);
    for (size_t at = 0; rc_heartbeat_next_consumer(&heartbeat, &at, &consumer);) {
        check(consumer.group.len > 0 && consumer.group.len <= RC_HEARTBEAT_NAME_MAX);
        for (size_t inner = 0; rc_heartbeat_next_subscription(&consumer, &inner, &subscription);) {
            check(subscription.topic.len > 0);
            walk_filter(subscription.expression);
        }
    }
    rc_heartbeat_done(&heartbeat);
}

static void walk_batch(struct rc_slice batch)
{
    struct rc_batch_item item;
    size_t at = 0, before = 0;
    int found;
    for (; (found = rc_batch_next(batch, &at, &item)) == 1; before = at) {
        check(at > before && at <= batch.len);
        check(item.body.len + item.properties.len < at - before);
        check(item.properties.ptr + item.properties.len == batch.ptr + at);
    }
    check(found != 0 || at == batch.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    memcpy(copy, data, size);
    walk_heartbeat(rc_slice(copy, size));
    walk_filter(rc_slice(copy, size));
    walk_batch(rc_slice(copy, size));
    free(copy);
    return 0;
}
