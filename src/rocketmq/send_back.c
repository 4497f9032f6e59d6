/*
 * A consumer could not process a message: it comes back later through the group's retry topic, or, after too
 * many tries, goes to its dead letters.
 */
#include "base/alloc.h"
#include "base/log.h"
#include "rocketmq/endpoint_private.h"
#include "rocketmq/lookup.h"

struct send_back {
    struct rc_list node; /* of endpoint->send_backs */
    struct rc_endpoint *endpoint;
    struct rc_later to;
    bool is_dead;
};

static void release(struct send_back *back)
{
    rc_list_remove(&back->node);
    rc_later_done(&back->to);
    free(back);
}

void rc_send_back_free(struct rc_endpoint *endpoint)
{
    while (!rc_list_is_empty(&endpoint->send_backs))
        release(rc_container_of(endpoint->send_backs.next, struct send_back, node));
}

static void on_written(void *owner, const struct rc_append *append)
{
    struct send_back *back = owner;
    if (back->is_dead)
        RC_COUNTER(back->endpoint, dead_letters);
    else
        RC_COUNTER(back->endpoint, sent_back);
    rc_later_reply(&back->to, RC_RES_SUCCESS, NULL);
    release(back);
}

/* The properties of the new try: the old ones, where it comes from, and (kept from the first try) its first
 * id. */
static int build_props(struct rc_buf *props, const struct rc_message *message)
{
    char id[RC_MESSAGE_ID_V6_LEN + 1];
    size_t len = rc_message_id_format(id, &message->store_host, message->physical_offset);
    int err = rc_props_copy_without(props, message->props, RC_PROP_DELAY);
    if (err == RC_OK && rc_props_get(message->props, RC_PROP_RETRY_TOPIC).len == 0)
        err = rc_props_put(props, RC_PROP_RETRY_TOPIC, message->topic);
    if (err == RC_OK && rc_props_get(message->props, RC_PROP_ORIGIN_MESSAGE_ID).len == 0)
        err = rc_props_put(props, RC_PROP_ORIGIN_MESSAGE_ID, rc_slice(id, len));
    return err == RC_ERR_FULL ? RC_ERR_TOO_LARGE : err;
}

static int stage(struct send_back *back, const struct rc_message *old, struct rc_queue *queue, uint32_t level)
{
    struct rc_endpoint *endpoint = back->endpoint;
    struct rc_buf props;
    rc_buf_init(&props, RC_MESSAGE_PROPS_MAX);
    int err = build_props(&props, old);
    struct rc_message message = *old;
    message.reconsume_times = old->reconsume_times + 1;
    message.store_host = endpoint->options.store_host;
    message.props = rc_buf_slice(&props);
    if (err == RC_OK && level > 0)
        err = rc_delay_stage(endpoint, queue, &message, level, on_written, back);
    else if (err == RC_OK)
        err = rc_log_stage(endpoint->sender, queue, &message, 0, on_written, back);
    rc_buf_free(&props);
    return err;
}

static void carry_out(const struct rc_request *request, const struct rc_message *message, bool is_dead,
                      uint32_t level)
{
    struct rc_endpoint *endpoint = request->endpoint;
    struct rc_slice group = rc_remoting_get(request->command, "group");
    struct rc_topic *topic = is_dead ? rc_endpoint_make_dead_letter_topic(endpoint, group)
                                     : rc_endpoint_make_retry_topic(endpoint, group);
    if (topic == NULL) {
        rc_request_reply(request, RC_RES_SYSTEM_ERROR, "the group's topic cannot be made");
        return;
    }
    struct send_back *back = rc_new(struct send_back);
    back->endpoint = endpoint;
    back->is_dead = is_dead;
    rc_later_take(&back->to, request);
    rc_list_push_back(&endpoint->send_backs, &back->node);
    int err = stage(back, message, rc_topic_queue(topic, 0), is_dead ? 0 : level);
    if (err == RC_OK)
        return;
    release(back);
    /* the client then sends it to the retry topic by itself, or tries it again by itself */
    rc_request_reply(request, err == RC_ERR_FULL ? RC_RES_SYSTEM_BUSY : RC_RES_SYSTEM_ERROR,
                     "the message cannot be put into the group's topic");
}

void rc_send_back_handle(const struct rc_request *request)
{
    const struct rc_remoting *command = request->command;
    int64_t offset = rc_remoting_get_number(command, "offset", -1);
    int64_t level = rc_remoting_get_number(command, "delayLevel", 0);
    int64_t tries = rc_remoting_get_number(command, "maxReconsumeTimes", RC_ENDPOINT_RECONSUME_MAX);
    struct rc_message message;
    struct rc_slice record;
    struct rc_segment *segment;
    if (offset < 0 ||
        rc_lookup(request->endpoint->options.store, (uint64_t)offset, &message, &record, &segment) != RC_OK) {
        rc_request_reply(request, RC_RES_SYSTEM_ERROR, "look message by offset failed");
        return;
    }
    if (!rc_tenancy_may_topic(request, message.topic)) {
        rc_request_reply(request, RC_RES_SYSTEM_ERROR, "look message by offset failed");
        rc_segment_release(segment);
        return;
    }
    if (tries < 0)
        tries = RC_ENDPOINT_RECONSUME_MAX;
    bool is_dead = level < 0 || message.reconsume_times >= tries;
    if (level <= 0)
        level = 3 + (int64_t)message.reconsume_times;
    if (level > RC_DELAY_LEVELS)
        level = RC_DELAY_LEVELS;
    carry_out(request, &message, is_dead, (uint32_t)level);
    rc_segment_release(segment);
}
