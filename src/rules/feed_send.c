/*
 * Sending: each queue of the target has one batch under way at most. A broker may store two that were under
 * way in either order, and a batch whose answer was lost may be there; so the next one leaves when the one
 * before is known to be stored, and a repetition begins with the same messages.
 */
#include "base/clock.h"
#include "base/hash.h"
#include "rocketmq/batch.h"
#include "rules/rules_private.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    RES_FLUSH_SLAVE_TIMEOUT = 12,
    RES_SLAVE_NOT_AVAILABLE = 11,
};

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int32_t rc_feed_client_hash(const struct rc_message *message)
{
    struct rc_slice keys = rc_props_get(message->props, RC_PROP_KEYS);
    uint8_t id[1024];
    size_t len = 0;
    for (size_t i = 0; i < keys.len && len < sizeof(id); i++) {
        bool is_coded = keys.ptr[i] == '%' && i + 2 < keys.len && digit(keys.ptr[i + 1]) >= 0 &&
                        digit(keys.ptr[i + 2]) >= 0;
        id[len++] = is_coded ? (uint8_t)(digit(keys.ptr[i + 1]) * 16 + digit(keys.ptr[i + 2])) : keys.ptr[i];
        i += is_coded ? 2 : 0;
    }
    return rc_hash_java(rc_slice(id, len));
}

/* ---- answers ---- */

/* Half of the wait is left to chance, so that the queues of a broker do not come back all at once. */
static void back_off(struct rc_feed_queue *queue)
{
    uint64_t now = rc_clock_mono_ns();
    uint64_t wait = RC_FEED_RETRY_MAX_MS;
    if (queue->attempts < 7)
        wait = (uint64_t)RC_FEED_RETRY_MIN_MS << queue->attempts;
    wait = wait / 2 + rc_hash(rc_slice(&now, sizeof(now))) % (wait / 2 + 1);
    queue->attempts++;
    rc_timer_start(queue->feed->rules->loop, &queue->retry, wait);
    rc_feed_want_route(queue->feed);
}

/* There is room again in the connection, for whoever has waited longest. */
static void leave_link(struct rc_feed_queue *queue)
{
    struct rc_cluster_link *via = queue->via;
    via->bytes -= queue->bytes;
    queue->via = NULL;
    while (via->bytes < RC_FEED_LINK_BYTES && !rc_list_is_empty(&via->waiting))
        rc_feed_send(rc_container_of(rc_list_pop_front(&via->waiting), struct rc_feed_queue, waiting));
}

static bool is_stored(const struct rc_remoting *answer)
{
    return answer != NULL &&
           (answer->code == RC_RES_SUCCESS || answer->code == RC_RES_FLUSH_DISK_TIMEOUT ||
            answer->code == RES_FLUSH_SLAVE_TIMEOUT || answer->code == RES_SLAVE_NOT_AVAILABLE);
}

void rc_feed_grow(struct rc_feed_queue *queue)
{
    if (queue->batch_max == RC_FEED_BATCH_MESSAGES || ++queue->stored < RC_FEED_GROW_AFTER)
        return;
    queue->stored = 0;
    queue->batch_max *= 2;
    if (queue->batch_max > RC_FEED_BATCH_MESSAGES)
        queue->batch_max = RC_FEED_BATCH_MESSAGES;
}

/* A broker's limit may be below ours; and what does not arrive in time would not the next time either. */
static void shrink(struct rc_feed_queue *queue)
{
    queue->stored = 0;
    queue->batch_max = queue->in_flight > 1 ? (uint32_t)queue->in_flight / 2 : 1;
}

/* What is in the way, in words. A single message that is refused waits for an operator, who has to know
 * which. */
static void tell_failure(struct rc_feed_queue *queue, const struct rc_remoting *answer, const char *error,
                         bool is_message)
{
    struct rc_feed *feed = queue->feed;
    char where[256];
    uint32_t id;
    const struct rc_layout_broker *broker =
        rc_layout_find(&feed->layout_used, (uint32_t)(queue - feed->queues), &id);
    int len = snprintf(where, sizeof(where), "broker %s", broker ? broker->name : "?");
    if (is_message)
        snprintf(where + len, sizeof(where) - (size_t)len,
                 ": message %" PRIu64 " is in the way (`rule drop --message %" PRIu64 "` gives it up)",
                 queue->head, queue->head);
    if (answer == NULL)
        rc_feed_tell(feed, where, error);
    else
        rc_feed_tell_refusal(feed, where, answer);
}

static void on_sent(void *arg, const struct rc_remoting *answer, const char *error)
{
    struct rc_feed_queue *queue = arg;
    struct rc_feed *feed = queue->feed;
    bool is_illegal = answer != NULL && answer->code == RC_RES_MESSAGE_ILLEGAL;
    feed->under_way--;
    leave_link(queue);
    if (is_stored(answer)) {
        /* Sending it again would only double it. */
        if (answer->code != RC_RES_SUCCESS)
            feed->uncertain += queue->in_flight;
        queue->attempts = 0;
        rc_feed_grow(queue);
        rc_feed_delivered(queue);
        return;
    }
    feed->retries += queue->in_flight;
    if (is_illegal ||
        (answer == NULL && queue->bytes > RC_FEED_SMALL_BYTES && strcmp(error, RC_LINK_NO_ANSWER) == 0))
        shrink(queue);
    tell_failure(queue, answer, error, is_illegal && queue->in_flight == 1);
    queue->in_flight = 0;
    back_off(queue);
    rc_feed_drop_returned(queue);
    rc_feed_pump(feed);
}

/* ---- requests ---- */

/* The messages from the queue's head on; how many. */
static uint32_t collect(struct rc_feed_queue *queue, struct rc_buf *body, int64_t *ret_born_ms)
{
    struct rc_feed *feed = queue->feed;
    uint32_t count = 0;
    for (uint64_t at = queue->head; at != RC_FEED_NONE && count < queue->batch_max; count++) {
        const struct rc_feed_entry *entry = &feed->window[at % RC_FEED_WINDOW];
        struct rc_slice bytes;
        struct rc_segment *segment;
        struct rc_message message;
        int err = rc_store_view(feed->rules->store, entry->physical, entry->size, &bytes, &segment);
        if (err != RC_OK)
            break;
        bool is_good = rc_message_decode(bytes, false, &message) > 0;
        if (is_good && count == 0)
            *ret_born_ms = message.born_ms;
        bool fits = count == 0 || rc_buf_len(body) + entry->size <= RC_FEED_BATCH_BYTES;
        const struct rc_batch_item item = {message.flag, message.body, message.props};
        is_good = is_good && fits && rc_batch_put(body, &item) == RC_OK;
        rc_segment_release(segment);
        if (!is_good)
            break;
        at = entry->next;
    }
    return count;
}

static void send_batch(struct rc_feed_queue *queue, struct rc_cluster_link *link,
                       const struct rc_layout_broker *broker, uint32_t queue_id)
{
    struct rc_feed *feed = queue->feed;
    char topic[RC_MESSAGE_TOPIC_MAX + 1];
    struct rc_buf body;
    struct rc_remoting request;
    int64_t born_ms = 0;
    rc_buf_init(&body, RC_MESSAGE_MAX);
    queue->in_flight = collect(queue, &body, &born_ms);
    if (queue->in_flight == 0) {
        rc_feed_tell(feed, "the log", "a record cannot be read");
        back_off(queue);
        rc_buf_free(&body);
        return;
    }
    rc_feed_topic_there(feed, topic);
    rc_remoting_request(&request, RC_REQ_SEND_BATCH, 0);
    /*
     * The answer names each message: as JSON that is dear to read. (5.x brokers answer as they like.) No
     * field may be empty: brokers read it as null, and sign the word "null".
     */
    request.serialization = RC_REMOTING_BINARY;
    rc_remoting_add(&request, "a", rc_slice_str("ROLLCALL_RULES"));
    rc_remoting_add(&request, "b", rc_slice_str(topic));
    rc_remoting_add(&request, "c", rc_slice_str("TBW102"));
    rc_remoting_add_number(&request, "d", 4);
    rc_remoting_add_number(&request, "e", queue_id);
    rc_remoting_add_number(&request, "f", 0);
    rc_remoting_add_number(&request, "g", born_ms);
    rc_remoting_add_number(&request, "h", 0);
    rc_remoting_add_number(&request, "j", 0);
    rc_remoting_add_bool(&request, "k", false);
    rc_remoting_add_bool(&request, "m", true);
    rc_remoting_add(&request, "n", rc_slice_str(broker->name));
    request.body = rc_buf_slice(&body);
    feed->under_way++;
    queue->via = link;
    queue->bytes = rc_buf_len(&body);
    link->bytes += queue->bytes;
    rc_link_call(link->link, &request, RC_FEED_SEND_MS, on_sent, queue);
    rc_buf_free(&body);
}

void rc_feed_send(struct rc_feed_queue *queue)
{
    struct rc_feed *feed = queue->feed;
    uint32_t queue_id;
    char where[256];
    if (feed->is_layout_new || queue->in_flight > 0 || queue->head == RC_FEED_NONE ||
        rc_timer_is_running(&queue->retry))
        return;
    /* By its name: the route may have brought it another address. */
    const struct rc_layout_broker *broker =
        rc_layout_find(&feed->layout_used, (uint32_t)(queue - feed->queues), &queue_id);
    broker = rc_layout_named(&feed->layout, broker->name);
    struct rc_cluster_link *link =
        broker != NULL && broker->is_there ? rc_cluster_link(feed->cluster, broker->address) : NULL;
    if (link != NULL && link->bytes >= RC_FEED_LINK_BYTES) {
        rc_list_remove(&queue->waiting);
        rc_list_push_back(&link->waiting, &queue->waiting);
        return;
    }
    if (link != NULL) {
        rc_list_remove(&queue->waiting);
        send_batch(queue, link, broker, queue_id);
        return;
    }
    snprintf(where, sizeof(where), "broker %s", broker ? broker->name : "?");
    rc_feed_tell(feed, where,
                 "no broker: the name server does not know its master now; its clients' events wait");
    back_off(queue);
}
