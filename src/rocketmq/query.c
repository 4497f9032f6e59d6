/*
 * Looking messages up: by physical offset (33) on the spot; by key (12) through the index, on the worker's
 * thread, since that reads files.
 */
#include "base/alloc.h"
#include "rocketmq/endpoint_private.h"
#include "rocketmq/key_index.h"
#include "rocketmq/lookup.h"
#include "rocketmq/worker.h"

void rc_query_handle_view(const struct rc_request *request)
{
    int64_t offset = rc_remoting_get_number(request->command, "offset", -1);
    struct rc_message message;
    struct rc_segment *segment;
    struct rc_remoting response;
    rc_remoting_response(&response, request->command, RC_RES_SUCCESS);
    if (offset < 0 || rc_lookup(request->endpoint->options.store, (uint64_t)offset, &message, &response.body,
                                &segment) != RC_OK) {
        rc_request_reply(request, RC_RES_SYSTEM_ERROR, "can not find message by the offset");
        return;
    }
    if (rc_tenancy_may_topic(request, message.topic))
        rc_request_reply_with(request, &response);
    else
        rc_request_reply(request, RC_RES_SYSTEM_ERROR, "can not find message by the offset");
    rc_segment_release(segment);
}

/* ---- by key ---- */

struct query {
    struct rc_mail mail; /* to the worker and back */
    struct rc_endpoint *endpoint;
    struct rc_later to;
    struct rc_key_query what;
    uint32_t max, count;
    struct rc_buf body;
    int64_t last_ms;
    uint64_t last_physical;
    uint8_t text[]; /* what `what` views */
};

static bool on_found(const struct rc_message *message, struct rc_slice record, void *arg)
{
    struct query *query = arg;
    if (rc_buf_put_slice(&query->body, record) != RC_OK)
        return false;
    if (query->count++ == 0) {
        query->last_physical = message->physical_offset;
        query->last_ms = message->store_ms;
    }
    return query->count < query->max;
}

static void deliver_result(struct rc_mail *mail, struct rc_loop *loop)
{
    struct query *query = rc_container_of(mail, struct query, mail);
    struct rc_remoting response;
    bool has_found = query->count > 0;
    rc_later_response(&query->to, &response, has_found ? RC_RES_SUCCESS : RC_RES_QUERY_NOT_FOUND);
    rc_remoting_add_number(&response, "indexLastUpdateTimestamp", query->last_ms);
    rc_remoting_add_number(&response, "indexLastUpdatePhyoffset", (int64_t)query->last_physical);
    if (has_found)
        response.body = rc_buf_slice(&query->body);
    else
        response.remark = rc_slice_str("can not find message, maybe time range not correct");
    rc_later_reply_with(&query->to, &response);
    rc_later_done(&query->to);
    query->endpoint->queries--;
    rc_buf_free(&query->body);
    free(query);
}

/* The worker's thread. */
static void deliver_query(struct rc_mail *mail, struct rc_loop *loop)
{
    struct query *query = rc_container_of(mail, struct query, mail);
    struct rc_key_index *index = rc_worker_index(query->endpoint->worker);
    if (index != NULL)
        rc_key_index_find(index, &query->what, on_found, query);
    query->mail.deliver = deliver_result;
    rc_loop_post(query->endpoint->loop, &query->mail);
}

static struct query *make_query(const struct rc_request *request, struct rc_slice topic, struct rc_slice key)
{
    const struct rc_remoting *command = request->command;
    int64_t max = rc_remoting_get_number(command, "maxNum", RC_ENDPOINT_QUERY_MESSAGES_MAX);
    struct query *query = rc_calloc(1, sizeof(*query) + topic.len + key.len);
    memcpy(query->text, topic.ptr, topic.len);
    memcpy(query->text + topic.len, key.ptr, key.len);
    query->endpoint = request->endpoint;
    query->what = (struct rc_key_query){
        .topic = rc_slice(query->text, topic.len),
        .key = rc_slice(query->text + topic.len, key.len),
        .only_unique = rc_remoting_get_bool(command, "_UNIQUE_KEY_QUERY"),
        .begin_ms = rc_remoting_get_number(command, "beginTimestamp", 0),
        .end_ms = rc_remoting_get_number(command, "endTimestamp", INT64_MAX),
    };
    query->max =
        max < 1 || max > RC_ENDPOINT_QUERY_MESSAGES_MAX ? RC_ENDPOINT_QUERY_MESSAGES_MAX : (uint32_t)max;
    rc_buf_init(&query->body, RC_ENDPOINT_QUERY_BYTES_MAX);
    rc_later_take(&query->to, request);
    return query;
}

void rc_query_handle_query(const struct rc_request *request)
{
    struct rc_endpoint *endpoint = request->endpoint;
    struct rc_slice topic = rc_remoting_get(request->command, "topic");
    struct rc_slice key = rc_remoting_get(request->command, "key");
    if (topic.len == 0 || key.len == 0) {
        rc_request_reply(request, RC_RES_QUERY_NOT_FOUND,
                         "can not find message, there is no topic or no key");
        return;
    }
    if (endpoint->queries >= RC_ENDPOINT_QUERIES_MAX) {
        RC_COUNTER(endpoint, limits_hit);
        rc_request_reply(request, RC_RES_SYSTEM_BUSY, "too many queries at once, try again");
        return;
    }
    endpoint->queries++;
    struct query *query = make_query(request, topic, key);
    query->mail.deliver = deliver_query;
    rc_loop_post(rc_worker_loop(endpoint->worker), &query->mail);
}
