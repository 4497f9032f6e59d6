/*
 * Producing: 10, 310 and 320 are one thing with other field names. The answer leaves when the message is in
 * the log.
 */
#include "rocketmq/endpoint_private.h"

#include "base/alloc.h"
#include "base/hex.h"
#include "base/log.h"

#include <stdio.h>
#include <sys/random.h>

/* Marks the records of presence, which nobody else may imitate. (Its owner is the presence room, above this
 * one.) */
#define RESERVED_PROP "rcNode"

enum { BATCH_MESSAGES_MAX = 1024 };

/* The fields of a send request under either naming. */
struct send_fields {
    struct rc_slice group, topic, default_topic, properties;
    int64_t queue_id, sys_flag, born_ms, flag, reconsume_times, default_queues, reconsume_max;
};

static void read_fields(const struct rc_remoting *c, struct send_fields *f)
{
    f->group = rc_remoting_get(c, "producerGroup");
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

static void read_fields_v2(const struct rc_remoting *c, struct send_fields *f)
{
    f->group = rc_remoting_get(c, "a");
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

/* ---- one request under way ---- */

struct send {
    struct rc_endpoint *endpoint;
    struct rc_peer *peer;
    int32_t opaque;
    uint8_t serialization;
    bool is_oneway;
    uint32_t queue_id;
    uint64_t first_offset;
    uint32_t left, total; /* messages not yet in the log */
    struct rc_buf ids;
};

static struct send *begin(const struct rc_request *request, uint32_t queue_id)
{
    struct send *send = rc_new(struct send);
    send->endpoint = request->endpoint;
    send->peer = request->peer;
    send->opaque = request->command->opaque;
    send->serialization = request->command->serialization;
    send->is_oneway = request->command->flag & RC_REMOTING_ONEWAY;
    send->queue_id = queue_id;
    rc_buf_init(&send->ids, BATCH_MESSAGES_MAX * (RC_MESSAGE_ID_LEN + 1));
    rc_peer_ref(send->peer);
    return send;
}

static void end(struct send *send)
{
    rc_peer_unref(send->peer);
    rc_buf_free(&send->ids);
    free(send);
}

static void reply_written(struct send *send)
{
    struct rc_remoting response, request = {.opaque = send->opaque, .serialization = send->serialization};
    rc_remoting_response(&response, &request, RC_RES_SUCCESS);
    rc_remoting_add(&response, "msgId", rc_buf_slice(&send->ids));
    rc_remoting_add_number(&response, "queueId", send->queue_id);
    rc_remoting_add_number(&response, "queueOffset", (int64_t)send->first_offset);
    rc_remoting_add(&response, "MSG_REGION", rc_slice_str("DefaultRegion"));
    rc_remoting_add_bool(&response, "TRACE_ON", false);
    if (!send->is_oneway)
        rc_peer_send(send->peer, &response);
}

static void on_written(void *owner, const struct rc_append *append)
{
    struct send *send = owner;
    char id[RC_MESSAGE_ID_V6_LEN + 1];
    size_t len = rc_message_id_format(id, &send->endpoint->options.store_host, append->ret_physical_offset);
    if (send->left == send->total)
        send->first_offset = append->ret_queue_offset;
    else
        rc_buf_put_str(&send->ids, ",");
    rc_buf_put(&send->ids, id, len);
    send->endpoint->sends_under_way--;
    RC_COUNTER(send->endpoint, messages_in);
    if (--send->left > 0)
        return;
    reply_written(send);
    end(send);
}

/* ---- checking ---- */

static bool starts_with(struct rc_slice text, const char *prefix)
{
    return rc_slice_starts_with(text, rc_slice_str(prefix));
}

/* The topic, made when that is allowed; NULL after the request was answered. */
static struct rc_topic *find_topic(const struct rc_request *request, const struct send_fields *f)
{
    struct rc_endpoint *endpoint = request->endpoint;
    struct rc_topic *topic = rc_store_find_topic(endpoint->options.store, f->topic);
    struct rc_error error;
    if (topic == NULL && starts_with(f->topic, "%RETRY%"))
        topic = rc_group_retry_topic(endpoint, rc_slice_from(f->topic, 7));
    bool may_create =
        endpoint->options.auto_create_topics && rc_slice_eq_str(f->default_topic, RC_AUTO_CREATE_TOPIC);
    if (topic == NULL && may_create) {
        uint32_t queues = endpoint->options.default_queues;
        if (f->default_queues > 0 && f->default_queues < queues)
            queues = (uint32_t)f->default_queues;
        if (rc_store_create_topic(endpoint->options.store, f->topic, queues, RC_PERM_READ_WRITE, &topic,
                                  &error)) {
            rc_request_reply(request, RC_RES_MESSAGE_ILLEGAL, error.text);
            return NULL;
        }
    }
    if (topic == NULL)
        rc_request_reply(request, RC_RES_TOPIC_NOT_EXIST,
                         "the topic does not exist, and is not created by sending");
    return topic;
}

/* NULL when the request may be carried out, else why not. */
static const char *refusal(const struct send_fields *f, struct rc_slice properties)
{
    bool is_retry = starts_with(f->topic, "%RETRY%");
    if (rc_slice_eq_str(f->topic, RC_DELAY_TOPIC))
        return "this topic is the server's own";
    if (f->sys_flag & RC_SYSFLAG_TRANSACTION_MASK)
        return "transactional messages are not supported by this endpoint";
    if (!is_retry && rc_props_get(properties, RESERVED_PROP).ptr != NULL)
        return "the property rcNode is the server's own";
    return NULL;
}

/* A message that was retried too often goes to the dead letters of its group. */
static struct rc_topic *redirect_dead_letter(const struct rc_request *request, const struct send_fields *f,
                                             struct rc_topic *topic)
{
    if (!starts_with(f->topic, "%RETRY%") || f->reconsume_times < f->reconsume_max)
        return topic;
    RC_COUNTER(request->endpoint, dead_letters);
    struct rc_topic *dead = rc_group_dead_letter_topic(request->endpoint, rc_slice_from(f->topic, 7));
    return dead ? dead : topic;
}

static struct rc_queue *choose_queue(const struct rc_request *request, const struct send_fields *f,
                                     struct rc_topic *topic)
{
    uint32_t count = rc_topic_queue_count(topic);
    if (f->queue_id < 0)
        return rc_topic_queue(topic, (uint32_t)(request->endpoint->random++ % count));
    if (f->queue_id < count)
        return rc_topic_queue(topic, (uint32_t)f->queue_id);
    if (starts_with(rc_topic_name(topic), "%DLQ%"))
        return rc_topic_queue(topic, 0);
    rc_request_reply(request, RC_RES_SYSTEM_ERROR, "request queueId is illegal: out of the topic's range");
    return NULL;
}

/* ---- staging ---- */

static void fill_born_host(struct rc_message *message, const struct rc_peer *peer)
{
    if (rc_address_ipv4(&peer->address,
                        message->born_host.addr)) /* others: 0.0.0.0, for clients that read IPv4 only */
        message->born_host.port = rc_address_port(&peer->address);
}

static int put_random_uniq_key(struct rc_buf *props)
{
    uint8_t bytes[16];
    char hex[32];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        abort();
    rc_hex_upper(hex, bytes, sizeof(bytes));
    return rc_props_put(props, RC_PROP_UNIQ_KEY, rc_slice(hex, sizeof(hex)));
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

static int stage(struct send *send, struct rc_queue *queue, const struct send_fields *f,
                 struct rc_slice properties, uint32_t flag, struct rc_slice body)
{
    struct rc_endpoint *endpoint = send->endpoint;
    struct rc_buf props;
    rc_buf_init(&props, RC_MESSAGE_PROPS_MAX);
    int err = rc_buf_put_slice(&props, properties);
    if (err == RC_OK && properties.len > 0 && properties.ptr[properties.len - 1] != 2)
        err = rc_buf_put_u8(&props, 2); /* some clients leave the last separator out */
    if (err == RC_OK && rc_props_get(properties, RC_PROP_UNIQ_KEY).len == 0)
        err = put_random_uniq_key(&props);
    struct rc_message message = {
        .flag = flag,
        .sys_flag = (uint32_t)f->sys_flag & ~(uint32_t)(RC_SYSFLAG_BORN_HOST_V6 | RC_SYSFLAG_STORE_HOST_V6),
        .born_ms = f->born_ms,
        .store_host = endpoint->options.store_host,
        .reconsume_times = (uint32_t)f->reconsume_times,
        .body = body,
        .props = rc_buf_slice(&props),
    };
    fill_born_host(&message, send->peer);
    uint32_t level = delay_level(properties);
    if (err == RC_OK && level > 0)
        err = rc_delay_stage(endpoint, queue, &message, level, on_written, send);
    else if (err == RC_OK)
        err = rc_log_stage(endpoint->sender, queue, &message, 0, on_written, send);
    rc_buf_free(&props);
    if (err == RC_OK) {
        send->left++;
        send->total++;
        endpoint->sends_under_way++;
    }
    return err;
}

static void reply_failed(const struct rc_request *request, int err)
{
    if (err == RC_ERR_FULL || err == RC_ERR_CLOSED)
        rc_request_reply(request, RC_RES_SYSTEM_BUSY,
                         "[PCBUSY_CLEAN_QUEUE] the log takes no more now, start flow control for a while");
    else
        rc_request_reply(request, RC_RES_MESSAGE_ILLEGAL,
                         "the message is illegal: body or properties are too large or malformed");
}

/* Topic and queue of a request; NULL after it was answered. */
static struct rc_queue *admit(const struct rc_request *request, const struct send_fields *f,
                              struct rc_slice properties)
{
    struct rc_endpoint *endpoint = request->endpoint;
    const char *why = refusal(f, properties);
    if (why != NULL) {
        rc_request_reply(request, RC_RES_MESSAGE_ILLEGAL, why);
        return NULL;
    }
    if (endpoint->sends_under_way >= RC_ENDPOINT_SENDS_MAX) {
        RC_COUNTER(endpoint, limits_hit);
        reply_failed(request, RC_ERR_FULL);
        return NULL;
    }
    struct rc_topic *topic = find_topic(request, f);
    return topic ? choose_queue(request, f, redirect_dead_letter(request, f, topic)) : NULL;
}

static void send_one(const struct rc_request *request, const struct send_fields *f)
{
    struct rc_queue *queue = admit(request, f, f->properties);
    if (queue == NULL)
        return;
    struct send *send = begin(request, rc_queue_id(queue));
    int err = stage(send, queue, f, f->properties, (uint32_t)f->flag, request->command->body);
    if (err == RC_OK)
        return;
    reply_failed(request, err);
    end(send);
}

void rc_send_handle(const struct rc_request *request)
{
    struct send_fields fields;
    read_fields(request->command, &fields);
    send_one(request, &fields);
}

void rc_send_handle_v2(const struct rc_request *request)
{
    struct send_fields fields;
    read_fields_v2(request->command, &fields);
    send_one(request, &fields);
}

/* ---- batches ---- */

struct item {
    uint32_t flag;
    struct rc_slice body, properties;
};

/* int32 size, magic, crc, flag, body length; body; int16 properties length; properties. The first three are
 * ignored, as real brokers do. False at the end, or (with *ret_bad) when the bytes are no such thing. */
static bool next_item(struct rc_slice batch, size_t *at, struct item *ret, bool *ret_bad)
{
    struct rc_slice in = rc_slice_from(batch, *at);
    *ret_bad = in.len > 0;
    if (in.len < 20)
        return false;
    size_t body_len = rc_load_u32(in.ptr + 16);
    if (body_len > in.len - 20 || in.len - 20 - body_len < 2)
        return false;
    size_t props_len = rc_load_u16(in.ptr + 20 + body_len);
    if (props_len > in.len - 22 - body_len)
        return false;
    ret->flag = rc_load_u32(in.ptr + 12);
    ret->body = rc_slice(in.ptr + 20, body_len);
    ret->properties = rc_slice(in.ptr + 22 + body_len, props_len);
    *at += 22 + body_len + props_len;
    *ret_bad = false;
    return true;
}

static const char *batch_refusal(struct rc_slice batch, const struct send_fields *f)
{
    struct item item;
    bool is_bad;
    uint32_t count = 0;
    for (size_t at = 0; next_item(batch, &at, &item, &is_bad); count++) {
        const char *why = refusal(f, item.properties);
        if (why != NULL)
            return why;
        if (delay_level(item.properties) > 0)
            return "a batch cannot hold delayed messages";
    }
    if (is_bad || count == 0)
        return "the batch is malformed";
    if (batch.len > RC_MESSAGE_BODY_MAX || count > BATCH_MESSAGES_MAX)
        return "the batch is too large";
    return starts_with(f->topic, "%RETRY%") ? "a batch cannot go to a retry topic" : NULL;
}

/* The batch's own properties follow each message's. */
static int stage_item(struct send *send, struct rc_queue *queue, const struct send_fields *f,
                      const struct item *item)
{
    struct rc_buf props;
    rc_buf_init(&props, RC_MESSAGE_PROPS_MAX);
    int err = rc_buf_put_slice(&props, item->properties);
    if (err == RC_OK && item->properties.len > 0 && f->properties.len > 0 &&
        item->properties.ptr[item->properties.len - 1] != 2)
        err = rc_buf_put_u8(&props, 2);
    err = err ? err : rc_buf_put_slice(&props, f->properties);
    err = err ? err : stage(send, queue, f, rc_buf_slice(&props), item->flag, item->body);
    rc_buf_free(&props);
    return err;
}

void rc_send_handle_batch(const struct rc_request *request)
{
    struct rc_slice batch = request->command->body;
    struct send_fields fields;
    struct item item;
    bool is_bad;
    int err = RC_OK;
    read_fields_v2(request->command, &fields);
    const char *why = batch_refusal(batch, &fields);
    if (why != NULL) {
        rc_request_reply(request, RC_RES_MESSAGE_ILLEGAL, why);
        return;
    }
    struct rc_queue *queue = admit(request, &fields, fields.properties);
    if (queue == NULL)
        return;
    struct send *send = begin(request, rc_queue_id(queue));
    for (size_t at = 0; err == RC_OK && next_item(batch, &at, &item, &is_bad);)
        err = stage_item(send, queue, &fields, &item);
    if (err == RC_OK)
        return;
    /* Some may be staged: they will stand in the log, and the producer sends all again. At least once. */
    reply_failed(request, err);
    send->is_oneway = true;
    if (send->left == 0)
        end(send);
}
