/* Producing: 10, 310 and 320 are one thing with other field names. Here a request is read and checked. */
#include "base/log.h"
#include "rocketmq/endpoint_private.h"

/* Marks the records of presence, which nobody else may imitate. (Its owner is the presence room, above this
 * one.) */
#define RESERVED_PROP "rcNode"

/* The fields of a send request under either naming. */
struct fields {
    struct rc_slice topic, default_topic, properties;
    int64_t queue_id, sys_flag, born_ms, flag, reconsume_times, default_queues, reconsume_max;
};

static void read_fields(const struct rc_remoting *c, struct fields *f)
{
    f->topic = rc_remoting_get(c, "topic");
    f->default_topic = rc_remoting_get(c, "defaultTopic");
    f->properties = rc_remoting_get(c, "properties");
    f->queue_id = rc_remoting_get_number(c, "queueId", -1);
    f->sys_flag = rc_remoting_get_number(c, "sysFlag", 0);
    f->born_ms = rc_remoting_get_number(c, "bornTimestamp", 0);
    f->flag = rc_remoting_get_number(c, "flag", 0);
    f->reconsume_times = rc_remoting_get_number(c, "reconsumeTimes", 0);
    f->reconsume_max = rc_remoting_get_number(c, "maxReconsumeTimes", RC_ENDPOINT_RECONSUME_MAX);
    f->default_queues = rc_remoting_get_number(c, "defaultTopicQueueNums", 4);
}

static void read_fields_v2(const struct rc_remoting *c, struct fields *f)
{
    f->topic = rc_remoting_get(c, "b");
    f->default_topic = rc_remoting_get(c, "c");
    f->default_queues = rc_remoting_get_number(c, "d", 4);
    f->queue_id = rc_remoting_get_number(c, "e", -1);
    f->sys_flag = rc_remoting_get_number(c, "f", 0);
    f->born_ms = rc_remoting_get_number(c, "g", 0);
    f->flag = rc_remoting_get_number(c, "h", 0);
    f->properties = rc_remoting_get(c, "i");
    f->reconsume_times = rc_remoting_get_number(c, "j", 0);
    f->reconsume_max = rc_remoting_get_number(c, "l", RC_ENDPOINT_RECONSUME_MAX);
}

static bool is_retry(const struct fields *f)
{
    return rc_slice_starts_with(f->topic, rc_slice_str(RC_RETRY_PREFIX));
}

static struct rc_slice group_of_retry(const struct fields *f)
{
    return rc_slice_from(f->topic, strlen(RC_RETRY_PREFIX));
}

/* The delay level that the properties ask for, 0 for none. */
static uint32_t delay_level(struct rc_slice properties)
{
    struct rc_slice text = rc_props_get(properties, RC_PROP_DELAY);
    uint32_t level = 0;
    for (size_t i = 0; i < text.len && i < 4; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return 0;
        level = level * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    return level > RC_DELAY_LEVELS ? RC_DELAY_LEVELS : level;
}

/* ---- checking: NULL when the request may be carried out, else why not ---- */

static const char *refusal(const struct fields *f, struct rc_slice properties)
{
    if (rc_slice_eq_str(f->topic, RC_DELAY_TOPIC) || rc_slice_eq_str(f->topic, RC_TRACE_TOPIC))
        return "this topic is the server's own";
    if (rc_slice_starts_with(f->topic, rc_slice_str(RC_RULE_TOPIC_PREFIX)))
        return "this topic is the server's own";
    if (f->sys_flag & RC_SYSFLAG_TRANSACTION_MASK)
        return "transactional messages are not supported by this endpoint";
    if (!is_retry(f) && rc_props_get(properties, RESERVED_PROP).ptr != NULL)
        return "the property rcNode is the server's own";
    return NULL;
}

static const char *batch_refusal(struct rc_slice batch, const struct fields *f)
{
    struct rc_batch_item item;
    uint32_t count = 0;
    int found;
    if (batch.len > RC_MESSAGE_BODY_MAX)
        return "the batch is too large";
    if (is_retry(f))
        return "a batch cannot go to a retry topic";
    for (size_t at = 0; (found = rc_batch_next(batch, &at, &item)) == 1; count++) {
        const char *why = refusal(f, item.properties);
        if (why != NULL)
            return why;
        if (delay_level(item.properties) > 0)
            return "a batch cannot hold delayed messages";
    }
    if (found < 0 || count == 0)
        return "the batch is malformed";
    return count > RC_ENDPOINT_BATCH_MESSAGES_MAX ? "the batch is too large" : NULL;
}

/* ---- topic and queue: NULL after the request was answered ---- */

static struct rc_topic *make_topic(const struct rc_request *request, const struct fields *f)
{
    struct rc_endpoint *endpoint = request->endpoint;
    uint32_t queues = endpoint->options.default_queues;
    struct rc_topic *topic = NULL;
    if (f->default_queues > 0 && f->default_queues < queues)
        queues = (uint32_t)f->default_queues;
    int err = rc_endpoint_make_topic(endpoint, f->topic, queues, &topic);
    if (err == RC_ERR_INVALID)
        rc_request_reply(request, RC_RES_MESSAGE_ILLEGAL, "the topic's name is not allowed");
    else if (err != RC_OK)
        rc_request_reply(request, RC_RES_SYSTEM_BUSY, "the topic cannot be made now, try again");
    return topic;
}

static struct rc_topic *find_topic(const struct rc_request *request, const struct fields *f)
{
    struct rc_endpoint *endpoint = request->endpoint;
    struct rc_topic *topic = rc_store_find_topic(endpoint->options.store, f->topic);
    if (topic == NULL && is_retry(f))
        topic = rc_endpoint_make_retry_topic(endpoint, group_of_retry(f));
    if (topic == NULL && endpoint->options.auto_create_topics &&
        rc_slice_eq_str(f->default_topic, RC_AUTO_CREATE_TOPIC))
        return make_topic(request, f);
    if (topic == NULL)
        rc_request_reply(request, RC_RES_TOPIC_NOT_EXIST,
                         "the topic does not exist, and is not made by sending to it");
    else if (!(rc_topic_perm(topic) & RC_PERM_WRITE))
        rc_request_reply(request, RC_RES_NO_PERMISSION, "the topic cannot be written");
    else
        return topic;
    return NULL;
}

static struct rc_queue *choose_queue(const struct rc_request *request, const struct fields *f)
{
    struct rc_topic *topic = find_topic(request, f);
    if (topic == NULL)
        return NULL;
    uint32_t count = rc_topic_queue_count(topic);
    if (f->queue_id < 0)
        return rc_topic_queue(topic, (uint32_t)(request->endpoint->round_robin++ % count));
    if (f->queue_id < count)
        return rc_topic_queue(topic, (uint32_t)f->queue_id);
    rc_request_reply(request, RC_RES_SYSTEM_ERROR, "request queueId is illegal: out of the topic's range");
    return NULL;
}

/* ---- carrying out ---- */

static void fill_order(struct rc_send_order *order, const struct rc_request *request, const struct fields *f)
{
    *order = (struct rc_send_order){
        .sys_flag = (uint32_t)f->sys_flag & ~(uint32_t)(RC_SYSFLAG_BORN_HOST_V6 | RC_SYSFLAG_STORE_HOST_V6),
        .flag = (uint32_t)f->flag,
        .reconsume_times = f->reconsume_times > 0 ? (uint32_t)f->reconsume_times : 0,
        .born_ms = f->born_ms,
        .properties = f->properties,
        .body = request->command->body,
    };
}

/* A message that was retried too often goes to the dead letters of its group, at once. */
static void send_dead_letter(const struct rc_request *request, const struct fields *f,
                             struct rc_send_order *order)
{
    struct rc_topic *topic = rc_endpoint_make_dead_letter_topic(request->endpoint, group_of_retry(f));
    struct rc_buf props;
    if (topic == NULL) {
        rc_request_reply(request, RC_RES_SYSTEM_BUSY, "the topic of dead letters cannot be made");
        return;
    }
    rc_buf_init(&props, RC_MESSAGE_PROPS_MAX);
    if (rc_props_copy_without(&props, f->properties, RC_PROP_DELAY) == RC_OK)
        order->properties = rc_buf_slice(&props);
    order->queue = rc_topic_queue(topic, 0);
    RC_COUNTER(request->endpoint, dead_letters);
    rc_producing_start(request, order);
    rc_buf_free(&props);
}

static void send_one(const struct rc_request *request, const struct fields *f)
{
    struct rc_send_order order;
    const char *why = refusal(f, f->properties);
    if (why != NULL) {
        rc_request_reply(request, RC_RES_MESSAGE_ILLEGAL, why);
        return;
    }
    fill_order(&order, request, f);
    int64_t tries = f->reconsume_max < 0 ? RC_ENDPOINT_RECONSUME_MAX : f->reconsume_max;
    if (is_retry(f) && f->reconsume_times >= tries) {
        send_dead_letter(request, f, &order);
        return;
    }
    order.queue = choose_queue(request, f);
    order.delay_level = delay_level(f->properties);
    if (order.queue != NULL)
        rc_producing_start(request, &order);
}

void rc_send_handle(const struct rc_request *request)
{
    struct fields fields;
    read_fields(request->command, &fields);
    send_one(request, &fields);
}

void rc_send_handle_v2(const struct rc_request *request)
{
    struct fields fields;
    read_fields_v2(request->command, &fields);
    send_one(request, &fields);
}

void rc_send_handle_batch(const struct rc_request *request)
{
    struct rc_send_order order;
    struct fields fields;
    read_fields_v2(request->command, &fields);
    const char *why = batch_refusal(request->command->body, &fields);
    why = why ? why : refusal(&fields, fields.properties);
    if (why != NULL) {
        rc_request_reply(request, RC_RES_MESSAGE_ILLEGAL, why);
        return;
    }
    fill_order(&order, request, &fields);
    order.is_batch = true;
    order.queue = choose_queue(request, &fields);
    if (order.queue != NULL)
        rc_producing_start(request, &order);
}
