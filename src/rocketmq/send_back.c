/*
 * A consumer could not process a message: it comes back later through the group's retry topic, or, after too
 * many tries, goes to its dead letters.
 */
#include "rocketmq/endpoint_private.h"

#include "base/alloc.h"
#include "base/log.h"

struct send_back {
    struct rc_peer *peer;
    int32_t opaque;
    uint8_t serialization;
    bool is_oneway;
};

static void on_written(void *owner, const struct rc_append *append)
{
    struct send_back *back = owner;
    struct rc_remoting response, request = {.opaque = back->opaque, .serialization = back->serialization};
    rc_remoting_response(&response, &request, RC_RES_SUCCESS);
    RC_COUNTER(back->peer->endpoint, sent_back);
    if (!back->is_oneway)
        rc_peer_send(back->peer, &response);
    rc_peer_unref(back->peer);
    free(back);
}

/* The message at a physical offset that a client named: believed only when it says the same of itself. */
static int find_message(struct rc_store *store, uint64_t offset, struct rc_message *ret,
                        struct rc_segment **ret_segment)
{
    struct rc_slice view;
    int err = rc_store_view(store, offset, 4, &view, ret_segment);
    if (err != RC_OK)
        return err;
    uint32_t size = rc_load_u32(view.ptr);
    rc_segment_release(*ret_segment);
    if (size > RC_MESSAGE_MAX)
        return RC_ERR_NOT_FOUND;
    err = rc_store_view(store, offset, size, &view, ret_segment);
    if (err != RC_OK)
        return err;
    if (rc_message_decode(view, true, ret) == (int64_t)size && ret->physical_offset == offset)
        return RC_OK;
    rc_segment_release(*ret_segment);
    return RC_ERR_NOT_FOUND;
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
    return err;
}

static int stage(const struct rc_request *request, const struct rc_message *old, struct rc_topic *topic,
                 uint32_t level)
{
    struct rc_endpoint *endpoint = request->endpoint;
    struct rc_buf props;
    rc_buf_init(&props, RC_MESSAGE_PROPS_MAX);
    int err = build_props(&props, old);
    struct rc_message message = *old;
    message.reconsume_times = old->reconsume_times + 1;
    message.store_host = endpoint->options.store_host;
    message.props = rc_buf_slice(&props);
    struct send_back *back = rc_new(struct send_back);
    *back = (struct send_back){request->peer, request->command->opaque, request->command->serialization,
                               request->command->flag & RC_REMOTING_ONEWAY};
    rc_peer_ref(request->peer);
    struct rc_queue *queue = rc_topic_queue(topic, 0);
    if (err == RC_OK && level > 0)
        err = rc_delay_stage(endpoint, queue, &message, level, on_written, back);
    else if (err == RC_OK)
        err = rc_log_stage(endpoint->sender, queue, &message, 0, on_written, back);
    if (err != RC_OK) {
        rc_peer_unref(request->peer);
        free(back);
    }
    rc_buf_free(&props);
    return err;
}

void rc_send_back_handle(const struct rc_request *request)
{
    struct rc_endpoint *endpoint = request->endpoint;
    const struct rc_remoting *command = request->command;
    struct rc_slice group = rc_remoting_get(command, "group");
    int64_t offset = rc_remoting_get_number(command, "offset", -1);
    int64_t level = rc_remoting_get_number(command, "delayLevel", 0);
    int64_t tries = rc_remoting_get_number(command, "maxReconsumeTimes", RC_ENDPOINT_RECONSUME_MAX);
    struct rc_message message;
    struct rc_segment *segment;
    if (offset < 0 || find_message(endpoint->options.store, (uint64_t)offset, &message, &segment) != RC_OK) {
        rc_request_reply(request, RC_RES_SYSTEM_ERROR, "look message by offset failed");
        return;
    }
    if (tries < 0)
        tries = RC_ENDPOINT_RECONSUME_MAX;
    bool is_dead = level < 0 || message.reconsume_times >= tries;
    struct rc_topic *topic =
        is_dead ? rc_group_dead_letter_topic(endpoint, group) : rc_group_retry_topic(endpoint, group);
    if (is_dead)
        RC_COUNTER(endpoint, dead_letters);
    if (level == 0)
        level = 3 + message.reconsume_times;
    if (level > RC_DELAY_LEVELS)
        level = RC_DELAY_LEVELS;
    int err = topic ? stage(request, &message, topic, is_dead ? 0 : (uint32_t)level) : RC_ERR_INVALID;
    rc_segment_release(segment);
    if (err != RC_OK)
        rc_request_reply(request, err == RC_ERR_FULL ? RC_RES_SYSTEM_BUSY : RC_RES_SYSTEM_ERROR,
                         "the message cannot be put into the retry topic");
}
