/*
 * Wills: what a client leaves to be said when it goes without a goodbye.
 *
 * Design notes
 * - A will belongs to the session. One that is due is not published where that is found, for that may be in
 *   the middle of publishing something else: it stands in a line until the turn ends.
 * - It goes the way of a PUBLISH, so its properties are kept as a PUBLISH has them.
 * - One at QoS 1 or 2 that an outflow rule has, while the log takes nothing, waits until it does: nobody
 * would send it again. Then it goes to RocketMQ and to subscribers, as it would have. A server that is
 * stopped waits for that too, as long as it waits for its channels' ends; then such wills are lost, and it
 * says so.
 */
#include "broker/private.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"

/* The properties that a PUBLISH of this will has: all but the delay, in their order. */
static int put_props(struct rc_buf *out, const struct rc_mqtt_props *props)
{
    int err = RC_OK;
    if (rc_mqtt_props_has(props, RC_MQTT_PROP_MESSAGE_EXPIRY))
        err = rc_mqtt_props_put_number(out, RC_MQTT_PROP_MESSAGE_EXPIRY,
                                       props->numbers[RC_MQTT_PROP_MESSAGE_EXPIRY]);
    return err ? err : rc_mqtt_props_copy_forwarded(out, props->raw);
}

static size_t cost_of(size_t topic_len, size_t payload_len, size_t props_len)
{
    return sizeof(struct rc_will) + topic_len + payload_len + props_len;
}

static void free_will(struct rc_will *will)
{
    will->broker->will_bytes -= cost_of(will->topic_len, will->payload_len, will->props_len);
    if (will->session != NULL)
        rc_session_unref(will->session);
    free(will);
}

bool rc_will_has_room(const struct rc_broker *broker, const struct rc_mqtt_connect *connect)
{
    size_t cost = cost_of(connect->will_topic.len, connect->will_payload.len, connect->will_props.raw.len);
    return broker->will_bytes + cost <= RC_BROKER_WILLS_BYTES_MAX;
}

static struct rc_will *make(struct rc_broker *broker, struct rc_slice topic, struct rc_slice payload,
                            struct rc_slice props)
{
    struct rc_will *will = rc_calloc(1, sizeof(*will) + topic.len + payload.len + props.len);
    broker->will_bytes += cost_of(topic.len, payload.len, props.len);
    will->broker = broker;
    will->topic_len = (uint16_t)topic.len;
    will->payload_len = (uint16_t)payload.len;
    will->props_len = (uint32_t)props.len;
    memcpy(will->bytes, topic.ptr, topic.len);
    if (payload.len > 0)
        memcpy(will->bytes + topic.len, payload.ptr, payload.len);
    if (props.len > 0)
        memcpy(will->bytes + topic.len + payload.len, props.ptr, props.len);
    return will;
}

static struct rc_will *create(struct rc_broker *broker, const struct rc_mqtt_connect *connect)
{
    struct rc_buf props;
    rc_buf_init(&props, (uint32_t)connect->will_props.raw.len);
    if (put_props(&props, &connect->will_props) != RC_OK)
        rc_buf_free(&props); /* never happens: it is a part of what was decoded */
    struct rc_will *will = make(broker, connect->will_topic, connect->will_payload, rc_buf_slice(&props));
    will->qos = connect->will_qos;
    will->retain = connect->will_retain;
    will->delay_s = rc_mqtt_props_number(&connect->will_props, RC_MQTT_PROP_WILL_DELAY, 0);
    rc_buf_free(&props);
    return will;
}

void rc_will_restore(struct rc_broker *broker, struct rc_session *session, uint32_t delay_s,
                     const struct rc_message_record *message)
{
    if (message->payload.len > UINT16_MAX)
        return; /* never happens: MQTT has no longer ones */
    struct rc_will *will = rc_session_rare(session)->will =
        make(broker, message->topic, message->payload, message->props);
    will->qos = message->qos;
    will->retain = message->retain;
    will->delay_s = delay_s;
}

void rc_will_set(struct rc_broker *broker, struct rc_session *session, const struct rc_mqtt_connect *connect)
{
    rc_will_drop(session);
    if (connect != NULL && connect->has_will)
        rc_session_rare(session)->will = create(broker, connect);
}

void rc_will_drop(struct rc_session *session)
{
    struct rc_will *will = rc_session_will(session);
    if (will == NULL)
        return;
    free_will(will);
    session->rare->will = NULL;
}

bool rc_will_is_allowed(struct rc_conn *conn)
{
    const struct rc_will *will = rc_session_will(conn->session);
    return will == NULL || (rc_review_verdict(conn) == RC_MQTT_SUCCESS &&
                            rc_access_publish(conn, rc_slice(will->bytes, will->topic_len), will->qos,
                                              will->retain) == RC_ACCESS_ALLOWED);
}

void rc_will_send(struct rc_broker *broker, struct rc_session *session)
{
    struct rc_will *will = rc_session_will(session);
    if (will == NULL)
        return;
    session->rare->will = NULL;
    session->refs++;
    will->session = session;
    rc_list_push_back(&broker->wills, &will->node);
}

/* False when it has to wait. */
static bool publish(struct rc_broker *broker, const struct rc_will *will)
{
    struct rc_slice payload = rc_slice(will->bytes + will->topic_len, will->payload_len);
    struct rc_slice props = rc_slice(payload.ptr + payload.len, will->props_len);
    struct rc_mqtt_publish message = {
        .qos = will->qos,
        .retain = will->retain,
        .topic = rc_slice(will->bytes, will->topic_len),
        .payload = payload,
    };
    uint8_t reason;
    if (rc_mqtt_props_decode(props, RC_MQTT_PUBLISH, &message.props, &reason) != RC_OK)
        return true; /* never happens: they were checked with the CONNECT */
    if (rc_publish_internal(broker, rc_session_instance(will->session), &message, will->session) ==
        RC_ROUTED_LATER) {
        broker->outflow.was_refused = false; /* no client is to be told */
        return false;
    }
    RC_COUNT(&broker->counters, wills_sent);
    return true;
}

bool rc_wills_publish(struct rc_broker *broker)
{
    bool had_any = false;
    for (struct rc_list *node; (node = rc_list_pop_front(&broker->wills)) != NULL; had_any = true) {
        struct rc_will *will = rc_container_of(node, struct rc_will, node);
        if (publish(broker, will))
            free_will(will);
        else
            rc_list_push_back(&broker->wills_waiting, &will->node);
    }
    return had_any;
}

void rc_wills_retry(struct rc_broker *broker)
{
    if (rc_log_writer_is_blocked(broker->options.writer))
        return;
    for (struct rc_list *node; (node = rc_list_pop_front(&broker->wills_waiting)) != NULL;)
        rc_list_push_back(&broker->wills, node);
}

static void tell_lost(const struct rc_broker *broker)
{
    uint32_t count = 0;
    char client[128];
    rc_list_for_each(node, &broker->wills_waiting) count++;
    if (count == 0)
        return;
    const struct rc_will *first = rc_container_of(broker->wills_waiting.next, struct rc_will, node);
    rc_log_error(
        "mqtt",
        "ALARM: wills of outflow rules are lost, as the log took nothing until the server's end: lost=%u "
        "first_client=%s",
        count, rc_log_quote(client, sizeof(client), rc_slice_str(rc_session_client_id(first->session))));
}

void rc_wills_free(struct rc_broker *broker)
{
    tell_lost(broker);
    for (struct rc_list *node; (node = rc_list_pop_front(&broker->wills)) != NULL;)
        free_will(rc_container_of(node, struct rc_will, node));
    for (struct rc_list *node; (node = rc_list_pop_front(&broker->wills_waiting)) != NULL;)
        free_will(rc_container_of(node, struct rc_will, node));
}
