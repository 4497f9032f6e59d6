/* One queue that this consumer reads: where to start, pull, consume, commit, and again. */
#include "base/alloc.h"
#include "client/consumer_private.h"
#include "store/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    SUSPEND_MS = 15000,
    PULL_ANSWER_MS = 30000,
    ANSWER_MS = 5000,
    RETRY_MS = 1000,    /* after an error */
    TRY_HERE_MS = 5000, /* a message that could not be sent back */
    SYSFLAG_SUSPEND = 2,
    SYSFLAG_SUBSCRIPTION = 4,
    TO_DEAD_LETTERS = -1,
};

struct rc_consumer_queue {
    struct rc_list node;
    struct rc_consumer *consumer;
    struct rc_link *link;
    int topic;
    struct rc_consumer_place place;
    struct rc_timer timer;
    struct rc_buf batch;                    /* messages pulled and not yet consumed */
    uint64_t next;                          /* offset to pull from */
    uint64_t done;                          /* all before it were dealt with */
    bool is_wanted, is_dropped, is_waiting; /* waiting: an answer is to come */
    bool has_offset, is_failing;
    uint64_t end; /* of the queue, as the broker told last; 0: not yet */
    uint64_t behind;
    bool is_tried_again; /* the message at the front: it could not be sent back */
};

static void step(struct rc_consumer_queue *queue);

static const char *topic_of(const struct rc_consumer_queue *queue)
{
    return queue->consumer->topics[queue->topic];
}

/* ---- what is told of it ---- */

static void set_behind(struct rc_consumer_queue *queue, uint64_t behind)
{
    if (queue->topic != 0)
        return;
    atomic_fetch_add(&queue->consumer->behind, behind - queue->behind); /* it may wrap: it is a difference */
    queue->behind = behind;
}

static void set_failing(struct rc_consumer_queue *queue, bool is_failing)
{
    if (is_failing)
        atomic_fetch_add(&queue->consumer->retries, 1);
    if (is_failing && !queue->is_failing)
        atomic_fetch_add(&queue->consumer->queues_failing, 1);
    if (!is_failing && queue->is_failing)
        atomic_fetch_sub(&queue->consumer->queues_failing, 1);
    queue->is_failing = is_failing;
}

static void advance(struct rc_consumer_queue *queue, uint64_t done)
{
    queue->done = done;
    set_behind(queue, queue->end > done ? queue->end - done : 0);
}

static void free_queue(struct rc_consumer_queue *queue)
{
    rc_list_remove(&queue->node);
    rc_timer_stop(&queue->timer);
    rc_buf_free(&queue->batch);
    free(queue);
}

static void add_names(const struct rc_consumer_queue *queue, struct rc_remoting *request,
                      const char *group_field)
{
    rc_remoting_add(request, group_field, rc_slice_str(queue->consumer->options.group));
    rc_remoting_add(request, "topic", rc_slice_str(topic_of(queue)));
    rc_remoting_add_number(request, "queueId", queue->place.queue_id);
}

static void call(struct rc_consumer_queue *queue, struct rc_remoting *request, uint64_t timeout_ms,
                 rc_link_reply_fn on_reply)
{
    queue->is_waiting = true;
    rc_link_call(queue->link, request, timeout_ms, on_reply, queue);
}

/* An answer has come: false when the queue was let go meanwhile (and is freed now). */
static bool answered(struct rc_consumer_queue *queue)
{
    queue->is_waiting = false;
    if (!queue->is_dropped)
        return true;
    free_queue(queue);
    return false;
}

static void on_timer(struct rc_timer *timer)
{
    step(rc_container_of(timer, struct rc_consumer_queue, timer));
}

static void again(struct rc_consumer_queue *queue, uint64_t ms)
{
    if (!queue->consumer->is_stopping)
        rc_timer_start(queue->consumer->loop, &queue->timer, ms);
}

/* ---- where to start ---- */

static void start_at(struct rc_consumer_queue *queue, uint64_t offset)
{
    queue->next = queue->done = offset;
    queue->has_offset = true;
    step(queue);
}

static void on_edge_offset(void *arg, const struct rc_remoting *answer, const char *error)
{
    struct rc_consumer_queue *queue = arg;
    if (!answered(queue))
        return;
    int64_t offset =
        answer && answer->code == RC_RES_SUCCESS ? rc_remoting_get_number(answer, "offset", -1) : -1;
    set_failing(queue, offset < 0);
    if (offset >= 0)
        start_at(queue, (uint64_t)offset);
    else
        again(queue, RETRY_MS);
}

/* No offset is known: the retries from their first, the topic as the options say. */
static void ask_edge(struct rc_consumer_queue *queue)
{
    struct rc_remoting request;
    const struct rc_consumer_options *options = &queue->consumer->options;
    int32_t code = RC_REQ_MAX_OFFSET;
    if (queue->topic == 1 || options->from_first)
        code = RC_REQ_MIN_OFFSET;
    else if (options->from_ms > 0)
        code = RC_REQ_SEARCH_OFFSET;
    rc_remoting_request(&request, code, 0);
    rc_remoting_add(&request, "topic", rc_slice_str(topic_of(queue)));
    rc_remoting_add_number(&request, "queueId", queue->place.queue_id);
    if (code == RC_REQ_SEARCH_OFFSET)
        rc_remoting_add_number(&request, "timestamp", options->from_ms);
    call(queue, &request, ANSWER_MS, on_edge_offset);
}

static void on_offset(void *arg, const struct rc_remoting *answer, const char *error)
{
    struct rc_consumer_queue *queue = arg;
    if (!answered(queue))
        return;
    int64_t offset =
        answer && answer->code == RC_RES_SUCCESS ? rc_remoting_get_number(answer, "offset", -1) : -1;
    bool is_new = offset < 0 && answer != NULL && answer->code == RC_RES_QUERY_NOT_FOUND;
    set_failing(queue, offset < 0 && !is_new);
    if (offset >= 0)
        start_at(queue, (uint64_t)offset);
    else if (is_new)
        ask_edge(queue);
    else
        again(queue, RETRY_MS);
}

static void ask_offset(struct rc_consumer_queue *queue)
{
    struct rc_remoting request;
    if (queue->consumer->options.broadcasting) {
        int64_t kept = rc_consumer_kept_offset(queue->consumer, &queue->place);
        if (kept >= 0)
            start_at(queue, (uint64_t)kept);
        else
            ask_edge(queue);
        return;
    }
    rc_remoting_request(&request, RC_REQ_QUERY_OFFSET, 0);
    add_names(queue, &request, "consumerGroup");
    call(queue, &request, ANSWER_MS, on_offset);
}

/* ---- consuming ---- */

static bool tag_is_wanted(const struct rc_consumer *consumer, struct rc_slice tags)
{
    const char *at = consumer->options.tags;
    if (strcmp(at, "*") == 0 || *at == '\0')
        return true;
    while (*at != '\0') {
        size_t len = strcspn(at, "|"), first = strspn(at, " \t"), end = len;
        while (end > first && (at[end - 1] == ' ' || at[end - 1] == '\t'))
            end--;
        if (end > first && rc_slice_eq(tags, rc_slice(at + first, end - first)))
            return true;
        at += len;
        at += strspn(at, "|");
    }
    return false;
}

/* Inflates a body within a limit; false when it is damaged or too large. */
static bool inflate_body(struct rc_slice in, struct rc_buf *out)
{
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)in.ptr, .avail_in = (uInt)in.len};
    int result = inflateInit(&z);
    rc_buf_init(out, RC_CONSUMER_BODY_MAX);
    while (result == Z_OK) {
        uint8_t *room = rc_buf_reserve(out, 16 * 1024);
        if (room == NULL)
            break;
        z.next_out = room;
        z.avail_out = 16 * 1024;
        result = inflate(&z, Z_NO_FLUSH);
        rc_buf_commit(out, 16 * 1024 - z.avail_out);
        if (result == Z_OK && z.avail_in == 0 && z.avail_out > 0)
            break;
    }
    inflateEnd(&z);
    return result == Z_STREAM_END;
}

static char *property_text(const struct rc_message *message, const char *name)
{
    struct rc_slice value = rc_props_get(message->props, name);
    return rc_strndup(value.ptr, value.len);
}

static enum rc_consume_result call_back(struct rc_consumer_queue *queue, const struct rc_message *message,
                                        struct rc_slice body)
{
    struct rc_slice retried = rc_props_get(message->props, RC_PROP_RETRY_TOPIC);
    char *topic = retried.len ? rc_strndup(retried.ptr, retried.len)
                              : rc_strndup(message->topic.ptr, message->topic.len);
    char *tags = property_text(message, RC_PROP_TAGS), *keys = property_text(message, RC_PROP_KEYS);
    char *id = property_text(message, RC_PROP_UNIQ_KEY);
    struct rc_consumer_message told = {
        .topic = topic,
        .tags = tags,
        .keys = keys,
        .message_id = id,
        .body = body.ptr,
        .body_len = body.len,
        .queue_id = message->queue_id,
        .queue_offset = message->queue_offset,
        .born_ms = message->born_ms,
        .store_ms = message->store_ms,
        .reconsume_times = message->reconsume_times,
        .properties = message->props.ptr,
        .properties_len = message->props.len,
    };
    enum rc_consume_result result = queue->consumer->options.on_message(&told, queue->consumer->options.arg);
    free(topic);
    free(tags);
    free(keys);
    free(id);
    return result;
}

/* With its body inflated, where there is need; false when that cannot be done. */
static bool consume(struct rc_consumer_queue *queue, const struct rc_message *message,
                    enum rc_consume_result *ret)
{
    *ret = RC_CONSUME_COMMIT;
    if (queue->topic == 0 && !tag_is_wanted(queue->consumer, rc_props_get(message->props, RC_PROP_TAGS)))
        return true;
    if (!(message->sys_flag & RC_SYSFLAG_COMPRESSED)) {
        *ret = call_back(queue, message, message->body);
        return true;
    }
    struct rc_buf inflated;
    bool is_good = inflate_body(message->body, &inflated);
    if (is_good)
        *ret = call_back(queue, message, rc_buf_slice(&inflated));
    rc_buf_free(&inflated);
    return is_good;
}

/* The message at the front of the batch is dealt with. */
static void finish_first(struct rc_consumer_queue *queue, const struct rc_message *message, size_t size)
{
    advance(queue, message->queue_offset + 1);
    queue->is_tried_again = false;
    rc_buf_consume(&queue->batch, size);
}

static void on_sent_back(void *arg, const struct rc_remoting *answer, const char *error)
{
    struct rc_consumer_queue *queue = arg;
    struct rc_message message;
    if (!answered(queue))
        return;
    int64_t size = rc_message_decode(rc_buf_slice(&queue->batch), false, &message);
    if (answer != NULL && answer->code == RC_RES_SUCCESS && size > 0) {
        finish_first(queue, &message, (size_t)size);
        step(queue);
        return;
    }
    queue->is_tried_again = true;
    rc_consumer_tell(queue->consumer, "a message could not be sent back and is tried again here",
                     error ? error : "the broker refused it");
    again(queue, TRY_HERE_MS);
}

/* `level` of delay: 0, the broker's own; below, a dead letter at once. */
static void send_back(struct rc_consumer_queue *queue, const struct rc_message *message, int32_t level)
{
    struct rc_remoting request;
    rc_remoting_request(&request, RC_REQ_SEND_BACK, 0);
    rc_remoting_add_number(&request, "offset", (int64_t)message->physical_offset);
    rc_remoting_add(&request, "group", rc_slice_str(queue->consumer->options.group));
    rc_remoting_add_number(&request, "delayLevel", level);
    rc_remoting_add(&request, "originMsgId", rc_props_get(message->props, RC_PROP_UNIQ_KEY));
    rc_remoting_add(&request, "originTopic", message->topic);
    rc_remoting_add_bool(&request, "unitMode", false);
    rc_remoting_add_number(&request, "maxReconsumeTimes", 16);
    call(queue, &request, ANSWER_MS, on_sent_back);
}

static void tell_lost(struct rc_consumer_queue *queue, uint64_t messages, const char *why)
{
    char text[320];
    if (queue->consumer->options.on_lost == NULL)
        return;
    snprintf(text, sizeof(text), "%.128s %.63s:%u: %s", topic_of(queue), queue->place.broker,
             queue->place.queue_id, why);
    queue->consumer->options.on_lost(messages, text, queue->consumer->options.arg);
}

/* Leaves out a message that is not what was once stored; when even its length makes no sense, the whole rest.
 */
static void skip_damaged(struct rc_consumer_queue *queue)
{
    struct rc_message message;
    int64_t size = rc_message_decode(rc_buf_slice(&queue->batch), false, &message);
    rc_consumer_tell(queue->consumer, "a pulled message is damaged and is left out", topic_of(queue));
    tell_lost(queue, 1, "a pulled message is damaged and is left out");
    rc_buf_consume(&queue->batch, size > 0 ? (size_t)size : rc_buf_len(&queue->batch));
}

/* It would be no better the next time: so it is a dead letter, from where it can be fetched. */
static void tell_damaged(struct rc_consumer_queue *queue)
{
    static const char why[] = "a message's body cannot be inflated (only zlib is known)";
    rc_consumer_tell(queue->consumer, why, topic_of(queue));
    if (!queue->is_tried_again)
        tell_lost(queue, 1, why);
}

/* Consumes what was pulled; true when all is done with, false when something is waited for. */
static bool consume_batch(struct rc_consumer_queue *queue)
{
    while (rc_buf_len(&queue->batch) > 0 && !queue->consumer->is_stopping && !queue->is_dropped) {
        struct rc_message message;
        int64_t size = rc_message_decode(rc_buf_slice(&queue->batch), true, &message);
        if (size <= 0) {
            skip_damaged(queue);
            continue;
        }
        enum rc_consume_result result;
        bool is_good = consume(queue, &message, &result);
        if (!is_good)
            tell_damaged(queue);
        if (result == RC_CONSUME_STOP)
            return false; /* what comes is the stop's mail */
        if ((result == RC_CONSUME_LATER || !is_good) && !queue->consumer->options.broadcasting) {
            send_back(queue, &message, is_good ? 0 : TO_DEAD_LETTERS);
            return false;
        }
        finish_first(queue, &message, (size_t)size);
    }
    return !queue->consumer->is_stopping && !queue->is_dropped;
}

/* ---- pulling ---- */

static void on_pulled(void *arg, const struct rc_remoting *answer, const char *error)
{
    struct rc_consumer_queue *queue = arg;
    if (!answered(queue))
        return;
    if (answer == NULL) {
        set_failing(queue, true);
        rc_consumer_tell(queue->consumer, "pull", error);
        again(queue, RETRY_MS);
        return;
    }
    int64_t next = rc_remoting_get_number(answer, "nextBeginOffset", -1);
    int64_t end = rc_remoting_get_number(answer, "maxOffset", -1);
    if (end >= 0) {
        queue->end = (uint64_t)end;
        advance(queue, queue->done);
    }
    if (answer->code == RC_RES_SUCCESS && next >= 0 &&
        rc_buf_put_slice(&queue->batch, answer->body) == RC_OK) {
        queue->next = (uint64_t)next;
        set_failing(queue, false);
        step(queue);
    } else if (next >= 0 &&
               (answer->code == RC_RES_PULL_NOT_FOUND || answer->code == RC_RES_PULL_RETRY_IMMEDIATELY ||
                answer->code == RC_RES_PULL_OFFSET_MOVED)) {
        if (answer->code == RC_RES_PULL_OFFSET_MOVED && (uint64_t)next > queue->next)
            tell_lost(queue, (uint64_t)next - queue->next,
                      "the broker had deleted messages before they were read");
        queue->next = (uint64_t)next;
        advance(queue, queue->next);
        set_failing(queue, false);
        step(queue);
    } else {
        set_failing(queue, true);
        rc_consumer_tell_refusal(queue->consumer, "pull refused", answer);
        again(queue, RETRY_MS);
    }
}

static void pull(struct rc_consumer_queue *queue)
{
    struct rc_remoting request;
    const struct rc_consumer *consumer = queue->consumer;
    rc_remoting_request(&request, RC_REQ_PULL, 0);
    add_names(queue, &request, "consumerGroup");
    rc_remoting_add_number(&request, "queueOffset", (int64_t)queue->next);
    rc_remoting_add_number(&request, "maxMsgNums", 32);
    rc_remoting_add_number(&request, "sysFlag", SYSFLAG_SUSPEND | SYSFLAG_SUBSCRIPTION);
    rc_remoting_add_number(&request, "commitOffset", 0);
    rc_remoting_add_number(&request, "suspendTimeoutMillis", SUSPEND_MS);
    rc_remoting_add(&request, "subscription", rc_slice_str(queue->topic == 0 ? consumer->options.tags : "*"));
    rc_remoting_add_number(&request, "subVersion", consumer->sub_version);
    rc_remoting_add(&request, "expressionType", rc_slice_str("TAG"));
    call(queue, &request, PULL_ANSWER_MS, on_pulled);
}

static void step(struct rc_consumer_queue *queue)
{
    if (queue->consumer->is_stopping || queue->is_waiting)
        return;
    if (!queue->has_offset) {
        ask_offset(queue);
    } else if (consume_batch(queue)) {
        advance(queue, queue->next);
        pull(queue);
    }
}

/* ---- assignment ---- */

static void let_go(struct rc_consumer_queue *queue)
{
    rc_list_remove(&queue->node);
    atomic_fetch_sub(&queue->consumer->queues_count, 1);
    set_behind(queue, 0);
    set_failing(queue, false);
    rc_timer_stop(&queue->timer);
    queue->is_dropped = true;
    if (queue->is_waiting)
        rc_list_push_back(&queue->consumer->dropped, &queue->node);
    else
        free_queue(queue);
}

/* One-way, so that nobody knows whether it came: told again each time, as the official clients do. */
static void commit(struct rc_consumer_queue *queue)
{
    struct rc_remoting request;
    if (queue->has_offset && queue->consumer->options.broadcasting)
        rc_consumer_keep_offset(queue->consumer, &queue->place, queue->done);
    if (!queue->has_offset || queue->consumer->options.broadcasting)
        return;
    rc_remoting_request(&request, RC_REQ_UPDATE_OFFSET, 0);
    add_names(queue, &request, "consumerGroup");
    rc_remoting_add_number(&request, "commitOffset", (int64_t)queue->done);
    rc_link_call(queue->link, &request, 0, NULL, NULL);
}

static struct rc_link *link_of(struct rc_consumer *consumer, const char *broker)
{
    for (uint32_t i = 0; i < consumer->brokers_count; i++)
        if (strcmp(consumer->brokers[i].name, broker) == 0)
            return consumer->brokers[i].link;
    return NULL;
}

void rc_consumer_begin_assignment(struct rc_consumer *consumer)
{
    rc_list_for_each(node, &consumer->queues) rc_container_of(node, struct rc_consumer_queue, node)
        ->is_wanted = false;
}

static struct rc_consumer_queue *find_queue(struct rc_consumer *consumer, int topic, const char *broker,
                                            uint32_t queue_id)
{
    rc_list_for_each(node, &consumer->queues)
    {
        struct rc_consumer_queue *queue = rc_container_of(node, struct rc_consumer_queue, node);
        if (queue->topic == topic && queue->place.queue_id == queue_id &&
            strcmp(queue->place.broker, broker) == 0)
            return queue;
    }
    return NULL;
}

static struct rc_consumer_queue *add_queue(struct rc_consumer *consumer, int topic,
                                           const struct rc_consumer_place *place, struct rc_link *link)
{
    struct rc_consumer_queue *queue = rc_new(struct rc_consumer_queue);
    queue->consumer = consumer;
    queue->link = link;
    queue->topic = topic;
    queue->place = *place;
    queue->is_wanted = true;
    queue->timer.on_due = on_timer;
    rc_buf_init(&queue->batch, RC_REMOTING_FRAME_MAX);
    rc_list_push_back(&consumer->queues, &queue->node);
    atomic_fetch_add(&consumer->queues_count, 1);
    again(queue, 0);
    return queue;
}

void rc_consumer_want_queue(struct rc_consumer *consumer, int topic, const struct rc_consumer_place *place)
{
    struct rc_consumer_queue *queue = find_queue(consumer, topic, place->broker, place->queue_id);
    struct rc_link *link = queue == NULL ? link_of(consumer, place->broker) : NULL;
    if (queue != NULL)
        queue->is_wanted = true;
    else if (link != NULL)
        add_queue(consumer, topic, place, link);
}

/* By another machine in its place: whatever the old one waits for finds it let go. */
void rc_consumer_reset_queue(struct rc_consumer *consumer, int topic, const char *broker, uint32_t queue_id,
                             uint64_t offset)
{
    struct rc_consumer_queue *old = find_queue(consumer, topic, broker, queue_id);
    if (old == NULL)
        return;
    struct rc_consumer_queue *queue = add_queue(consumer, topic, &old->place, old->link);
    queue->next = queue->done = offset;
    queue->has_offset = true;
    let_go(old);
}

void rc_consumer_end_assignment(struct rc_consumer *consumer)
{
    rc_list_for_each_safe(node, &consumer->queues)
    {
        struct rc_consumer_queue *queue = rc_container_of(node, struct rc_consumer_queue, node);
        if (queue->is_wanted)
            continue;
        commit(queue);
        let_go(queue);
    }
}

void rc_consumer_drop_queues(struct rc_consumer *consumer, const struct rc_link *link)
{
    rc_list_for_each_safe(node, &consumer->queues)
    {
        struct rc_consumer_queue *queue = rc_container_of(node, struct rc_consumer_queue, node);
        if (queue->link != link)
            continue;
        queue->is_waiting = false; /* the link's callbacks go with it */
        let_go(queue);
    }
}

void rc_consumer_commit_all(struct rc_consumer *consumer)
{
    rc_list_for_each(node, &consumer->queues) commit(rc_container_of(node, struct rc_consumer_queue, node));
    rc_consumer_save_offsets(consumer);
}

void rc_consumer_free_queues(struct rc_consumer *consumer)
{
    struct rc_list *lists[] = {&consumer->queues, &consumer->dropped};
    for (int i = 0; i < 2; i++)
        while (!rc_list_is_empty(lists[i]))
            free_queue(rc_container_of(lists[i]->next, struct rc_consumer_queue, node));
}
