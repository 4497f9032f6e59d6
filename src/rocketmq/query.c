/*
 * Looking messages up: by physical offset (33) on the spot; by key (12) on a thread of its own, since it
 * reads the log. There is no index: the time window of the request bounds what is read (the unique key holds
 * its message's time, so its window is small), newest first, at most QUERY_SCAN_MAX entries a queue.
 */
#include "rocketmq/endpoint_private.h"

#include "base/alloc.h"
#include "base/log.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    QUERY_SCAN_MAX = 1000000,
    QUERY_MESSAGES_MAX = 64,
    QUERY_BYTES_MAX = 4 * 1024 * 1024,
    QUERIES_MAX = 4
};

static atomic_uint queries_under_way;

static void reply_view(const struct rc_request *request, struct rc_slice view)
{
    struct rc_remoting response;
    rc_remoting_response(&response, request->command, RC_RES_SUCCESS);
    response.body = view;
    rc_request_reply_with(request, &response);
}

void rc_query_handle_view(const struct rc_request *request)
{
    struct rc_store *store = request->endpoint->options.store;
    int64_t offset = rc_remoting_get_number(request->command, "offset", -1);
    struct rc_segment *segment = NULL;
    struct rc_message message;
    struct rc_slice view;
    if (offset >= 0 && rc_store_view(store, (uint64_t)offset, 4, &view, &segment) == RC_OK) {
        uint32_t size = rc_load_u32(view.ptr);
        rc_segment_release(segment);
        segment = NULL;
        if (size <= RC_MESSAGE_MAX &&
            rc_store_view(store, (uint64_t)offset, size, &view, &segment) == RC_OK &&
            rc_message_decode(view, true, &message) == (int64_t)size &&
            message.physical_offset == (uint64_t)offset) {
            reply_view(request, view);
            rc_segment_release(segment);
            return;
        }
        rc_segment_release(segment);
    }
    rc_request_reply(request, RC_RES_SYSTEM_ERROR, "can not find message by the offset");
}

/* ---- by key ---- */

struct query {
    struct rc_mail mail;
    struct rc_endpoint *endpoint;
    struct rc_peer *peer;
    struct rc_topic *topic;
    int32_t opaque;
    uint8_t serialization;
    bool by_unique_key;
    int64_t begin_ms, end_ms;
    uint32_t max, count;
    struct rc_buf body;
    int64_t last_ms;
    uint64_t last_physical;
    char key[];
};

static bool has_key(struct rc_slice keys, struct rc_slice key)
{
    while (keys.len > 0) {
        const uint8_t *space = memchr(keys.ptr, ' ', keys.len);
        struct rc_slice one = rc_slice(keys.ptr, space ? (size_t)(space - keys.ptr) : keys.len);
        if (rc_slice_eq(one, key))
            return true;
        keys = rc_slice_from(keys, one.len + (space ? 1 : 0));
    }
    return false;
}

static bool is_wanted(const struct query *query, const struct rc_message *message)
{
    struct rc_slice key = rc_slice_str(query->key);
    if (message->store_ms < query->begin_ms || message->store_ms > query->end_ms)
        return false;
    if (rc_slice_eq(rc_props_get(message->props, RC_PROP_UNIQ_KEY), key))
        return true;
    return !query->by_unique_key && has_key(rc_props_get(message->props, RC_PROP_KEYS), key);
}

/* False when enough was found. */
static bool look_at(struct query *query, const struct rc_queue_entry *entry)
{
    struct rc_segment *segment;
    struct rc_slice view;
    struct rc_message message;
    bool has_room = true;
    if (rc_store_view(query->endpoint->options.store, entry->physical_offset, entry->size, &view, &segment) !=
        RC_OK)
        return true;
    if (rc_message_decode(view, false, &message) > 0 && is_wanted(query, &message)) {
        has_room = rc_buf_put_slice(&query->body, view) == RC_OK && ++query->count < query->max;
        if (message.physical_offset > query->last_physical) {
            query->last_physical = message.physical_offset;
            query->last_ms = message.store_ms;
        }
    }
    rc_segment_release(segment);
    return has_room;
}

static bool scan_queue(struct query *query, struct rc_queue *queue)
{
    uint64_t first = rc_queue_search(queue, query->begin_ms), at = rc_queue_end(queue);
    struct rc_queue_entry entry;
    for (uint32_t scanned = 0; at > first && scanned < QUERY_SCAN_MAX; scanned++)
        if (rc_queue_read(queue, --at, &entry, 1) == 1 && !look_at(query, &entry))
            return false;
    return true;
}

static void on_found(struct rc_mail *mail, struct rc_loop *loop)
{
    struct query *query = rc_container_of(mail, struct query, mail);
    struct rc_remoting response, request = {.opaque = query->opaque, .serialization = query->serialization};
    rc_remoting_response(&response, &request, query->count > 0 ? RC_RES_SUCCESS : RC_RES_QUERY_NOT_FOUND);
    rc_remoting_add_number(&response, "indexLastUpdateTimestamp", query->last_ms);
    rc_remoting_add_number(&response, "indexLastUpdatePhyoffset", (int64_t)query->last_physical);
    if (query->count > 0)
        response.body = rc_buf_slice(&query->body);
    else
        response.remark = rc_slice_str("can not find message, maybe time range not correct");
    rc_peer_send(query->peer, &response);
    rc_peer_unref(query->peer);
    rc_buf_free(&query->body);
    free(query);
    atomic_fetch_sub(&queries_under_way, 1);
}

static void *run_query(void *arg)
{
    struct query *query = arg;
    for (uint32_t i = 0; i < rc_topic_queue_count(query->topic); i++)
        if (!scan_queue(query, rc_topic_queue(query->topic, i)))
            break;
    query->mail.deliver = on_found;
    rc_loop_post(query->endpoint->loop, &query->mail);
    return NULL;
}

static struct query *make_query(const struct rc_request *request, struct rc_topic *topic, struct rc_slice key)
{
    const struct rc_remoting *command = request->command;
    int64_t max = rc_remoting_get_number(command, "maxNum", 32);
    struct query *query = rc_calloc(1, sizeof(*query) + key.len + 1);
    memcpy(query->key, key.ptr, key.len);
    query->endpoint = request->endpoint;
    query->peer = request->peer;
    query->topic = topic;
    query->opaque = command->opaque;
    query->serialization = command->serialization;
    query->by_unique_key = rc_remoting_get_bool(command, "_UNIQUE_KEY_QUERY");
    query->begin_ms = rc_remoting_get_number(command, "beginTimestamp", 0);
    query->end_ms = rc_remoting_get_number(command, "endTimestamp", INT64_MAX);
    query->max = max < 1 || max > QUERY_MESSAGES_MAX ? QUERY_MESSAGES_MAX : (uint32_t)max;
    rc_buf_init(&query->body, QUERY_BYTES_MAX);
    return query;
}

void rc_query_handle_query(const struct rc_request *request)
{
    struct rc_slice name = rc_remoting_get(request->command, "topic"),
                    key = rc_remoting_get(request->command, "key");
    struct rc_topic *topic = rc_store_find_topic(request->endpoint->options.store, name);
    pthread_t thread;
    pthread_attr_t attr;
    if (topic == NULL || key.len == 0) {
        rc_request_reply(request, RC_RES_QUERY_NOT_FOUND, "can not find message, no such topic or no key");
        return;
    }
    if (atomic_fetch_add(&queries_under_way, 1) >= QUERIES_MAX) {
        atomic_fetch_sub(&queries_under_way, 1);
        RC_COUNTER(request->endpoint, limits_hit);
        rc_request_reply(request, RC_RES_SYSTEM_BUSY, "too many queries at once, try again");
        return;
    }
    struct query *query = make_query(request, topic, key);
    rc_peer_ref(query->peer);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attr, run_query, query) != 0) {
        rc_peer_unref(query->peer);
        free(query);
        atomic_fetch_sub(&queries_under_way, 1);
        rc_request_reply(request, RC_RES_SYSTEM_BUSY, "no thread for the query, try again");
    }
    pthread_attr_destroy(&attr);
}
