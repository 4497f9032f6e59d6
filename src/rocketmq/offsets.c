/* Where consumer groups stand, and where queues begin and end. */
#include "rocketmq/endpoint_private.h"

static void reply_number(const struct rc_request *request, const char *name, int64_t value)
{
    struct rc_remoting response;
    rc_remoting_response(&response, request->command, RC_RES_SUCCESS);
    rc_remoting_add_number(&response, name, value);
    rc_request_reply_with(request, &response);
}

/*
 * A group without an offset starts at the beginning of a queue that is new: its first message is still there
 * and among the log's newest bytes. So a consumer that is started after its first device misses nothing.
 */
static bool queue_is_fresh(struct rc_endpoint *endpoint, struct rc_queue *queue)
{
    struct rc_queue_entry first;
    if (rc_queue_min(queue) > 0)
        return false;
    if (rc_queue_read(queue, 0, &first, 1) != 1)
        return rc_queue_end(queue) == 0;
    return rc_store_max_physical(endpoint->options.store) - first.physical_offset < RC_ENDPOINT_FRESH_BYTES;
}

void rc_offsets_handle_query(const struct rc_request *request)
{
    struct rc_slice group = rc_remoting_get(request->command, "consumerGroup");
    struct rc_queue *queue = rc_request_queue(request);
    uint64_t offset;
    if (queue == NULL)
        return;
    if (rc_offsets_get(request->endpoint->options.store, group, queue, &offset) == RC_OK) {
        reply_number(request, "offset", (int64_t)offset);
        return;
    }
    struct rc_slice zero = rc_remoting_get(request->command, "setZeroIfNotFound");
    bool may_be_zero = !rc_slice_eq_str(zero, "false");
    if (may_be_zero && queue_is_fresh(request->endpoint, queue))
        reply_number(request, "offset", 0);
    else
        rc_request_reply(request, RC_RES_QUERY_NOT_FOUND,
                         "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first");
}

void rc_offsets_handle_update(const struct rc_request *request)
{
    struct rc_slice group = rc_remoting_get(request->command, "consumerGroup");
    int64_t offset = rc_remoting_get_number(request->command, "commitOffset", -1);
    struct rc_queue *queue = rc_request_queue(request);
    if (queue == NULL)
        return;
    if (group.len == 0 || offset < 0)
        rc_request_reply(request, RC_RES_SYSTEM_ERROR, "consumerGroup or commitOffset is missing");
    else if (rc_offsets_set(request->endpoint->options.store, group, queue, (uint64_t)offset) != RC_OK)
        rc_request_reply(request, RC_RES_SYSTEM_ERROR, "the offset cannot be kept");
    else
        rc_request_reply(request, RC_RES_SUCCESS, NULL);
}

void rc_offsets_handle_max(const struct rc_request *request)
{
    struct rc_queue *queue = rc_request_queue(request);
    if (queue != NULL)
        reply_number(request, "offset", (int64_t)rc_queue_end(queue));
}

void rc_offsets_handle_min(const struct rc_request *request)
{
    struct rc_queue *queue = rc_request_queue(request);
    if (queue != NULL)
        reply_number(request, "offset", (int64_t)rc_queue_min(queue));
}

void rc_offsets_handle_search(const struct rc_request *request)
{
    int64_t ms = rc_remoting_get_number(request->command, "timestamp", 0);
    struct rc_queue *queue = rc_request_queue(request);
    if (queue != NULL)
        reply_number(request, "offset", (int64_t)rc_queue_search(queue, ms));
}

void rc_offsets_handle_earliest(const struct rc_request *request)
{
    struct rc_queue *queue = rc_request_queue(request);
    if (queue != NULL)
        reply_number(request, "timestamp", rc_queue_store_ms(queue, rc_queue_min(queue)));
}
