/* What a client that is online may say. */
#include "broker/private.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "mqtt/topic.h"

#include <inttypes.h>

static bool close_for(struct rc_conn *conn, uint8_t reason_code, const char *reason)
{
    rc_conn_disconnect(conn, reason_code, reason);
    return false;
}

static void log_client(struct rc_conn *conn, const char *what, struct rc_slice topic)
{
    char client[128], name[128];
    rc_log_warn("mqtt", "%s client=%s topic=%s", what,
                rc_log_quote(client, sizeof(client), rc_slice_str(rc_session_client_id(conn->session))),
                rc_log_quote(name, sizeof(name), topic));
}

static bool not_authorized(struct rc_conn *conn, const char *what, struct rc_slice topic)
{
    RC_COUNT(&conn->broker->counters, not_authorized);
    log_client(conn, what, topic);
    return close_for(conn, RC_MQTT_NOT_AUTHORIZED, "not-authorized");
}

static bool protocol_error(struct rc_conn *conn, uint8_t reason_code, const char *what)
{
    RC_COUNT(&conn->broker->counters, protocol_errors);
    log_client(conn, what, rc_slice(NULL, 0));
    return close_for(conn, reason_code, "protocol-error");
}

/* The first level of a topic or filter must be a parent topic of the client's instance. */
static bool parent_topic_exists(struct rc_conn *conn, struct rc_slice topic)
{
    struct rc_slice parent;
    size_t at = 0;
    const struct rc_instance *instance =
        rc_catalog_instance(conn->broker->catalog, rc_session_instance(conn->session));
    rc_topic_next_level(topic, &at, &parent);
    return instance != NULL &&
           (instance->profile == RC_PROFILE_STANDARD || rc_map_find(&instance->topics, parent) != NULL);
}

static void put_ack(struct rc_conn *conn, uint8_t type, uint16_t packet_id)
{
    uint8_t bytes[8];
    struct rc_buf out = {.data = bytes, .cap = sizeof(bytes), .max = sizeof(bytes)};
    rc_mqtt_put_ack(&out, conn->version, type, packet_id, RC_MQTT_SUCCESS, rc_slice(NULL, 0));
    rc_output_put(&conn->output, bytes, out.end);
    rc_conn_touch(conn);
}

/* ---- PUBLISH ---- */

static bool handle_publish(struct rc_conn *conn, const struct rc_mqtt_publish *publish)
{
    bool is_new = true, is_full = false;
    RC_COUNT(&conn->broker->counters, publishes_received);
    if (!parent_topic_exists(conn, publish->topic))
        return not_authorized(conn, "client closed: it published to a topic that does not exist",
                              publish->topic);
    if (publish->qos == 2)
        is_new = rc_delivery_incoming(conn->broker, conn->session, publish->packet_id, &is_full);
    if (is_full)
        return protocol_error(conn, RC_MQTT_RECEIVE_MAXIMUM_EXCEEDED,
                              "client closed: too many QoS 2 messages without PUBREL");
    if (is_new)
        rc_route(conn->broker, rc_session_instance(conn->session), publish);
    if (conn->is_dead) /* it may have been its own subscriber, and too slow a one */
        return false;
    if (publish->qos > 0)
        put_ack(conn, publish->qos == 1 ? RC_MQTT_PUBACK : RC_MQTT_PUBREC, publish->packet_id);
    return true;
}

/* ---- SUBSCRIBE, UNSUBSCRIBE ---- */

static struct rc_subscription **find_subscription(struct rc_session *session, struct rc_slice filter)
{
    struct rc_subscription **at = &session->subscriptions;
    while (*at != NULL && !rc_slice_eq(rc_slice((*at)->filter, (*at)->filter_len), filter))
        at = &(*at)->session_next;
    return at;
}

enum { SUBACK_FAILURE = 0x80 };

static uint8_t subscribe(struct rc_conn *conn, struct rc_slice filter, uint8_t qos)
{
    struct rc_broker *broker = conn->broker;
    struct rc_session *session = conn->session;
    struct rc_subscription *subscription = *find_subscription(session, filter);
    qos = qos > 1 ? 1 : qos;
    if (subscription != NULL) {
        subscription->qos = qos;
        return qos;
    }
    if (session->subscription_count >= RC_BROKER_SUBSCRIPTIONS_MAX || filter.len > UINT16_MAX) {
        RC_COUNT(&broker->counters, subscriptions_refused);
        log_client(conn, "subscription refused: the client has its 30 subscriptions", filter);
        return SUBACK_FAILURE;
    }
    subscription = rc_calloc(1, sizeof(*subscription) + filter.len);
    subscription->session = session;
    subscription->qos = qos;
    subscription->filter_len = (uint16_t)filter.len;
    memcpy(subscription->filter, filter.ptr, filter.len);
    subscription->session_next = session->subscriptions;
    session->subscriptions = subscription;
    session->subscription_count++;
    RC_COUNT(&broker->counters, subscriptions);
    rc_subscriptions_add(&broker->subscriptions, rc_session_instance(session), subscription);
    return qos;
}

static bool handle_subscribe(struct rc_conn *conn, const struct rc_mqtt_subscribe *packet)
{
    struct rc_slice filter;
    struct rc_buf codes, out;
    uint8_t options;
    /* All or nothing: a forbidden topic closes the connection before any other filter of the packet took
     * effect. */
    for (size_t at = 0; rc_mqtt_next_subscription(packet->entries, &at, &filter, &options);) {
        if (!rc_topic_filter_is_valid(filter))
            return protocol_error(conn, RC_MQTT_TOPIC_FILTER_INVALID,
                                  "client closed: it subscribed to an invalid filter");
        if (!parent_topic_exists(conn, filter))
            return not_authorized(conn, "client closed: it subscribed to a topic that does not exist",
                                  filter);
    }
    rc_buf_init(&codes, packet->count);
    rc_buf_init(&out, packet->count + 16);
    for (size_t at = 0; rc_mqtt_next_subscription(packet->entries, &at, &filter, &options);)
        rc_buf_put_u8(&codes, subscribe(conn, filter, options & RC_MQTT_SUB_QOS));
    rc_mqtt_put_suback(&out, conn->version, packet->packet_id, rc_buf_slice(&codes), rc_slice(NULL, 0));
    rc_output_put(&conn->output, rc_buf_slice(&out).ptr, rc_buf_len(&out));
    rc_conn_touch(conn);
    rc_buf_free(&codes);
    rc_buf_free(&out);
    return true;
}

static bool handle_unsubscribe(struct rc_conn *conn, const struct rc_mqtt_subscribe *packet)
{
    struct rc_slice filter;
    for (size_t at = 0; rc_mqtt_next_unsubscription(packet->entries, &at, &filter);) {
        struct rc_subscription **link = find_subscription(conn->session, filter), *subscription = *link;
        if (subscription == NULL)
            continue;
        *link = subscription->session_next;
        rc_subscriptions_remove(subscription);
        free(subscription);
        conn->session->subscription_count--;
        RC_COUNT_DOWN(&conn->broker->counters, subscriptions);
    }
    put_ack(conn, RC_MQTT_UNSUBACK, packet->packet_id); /* of the same shape before version 5 */
    return true;
}

/* ---- the rest ---- */

static bool handle_pingreq(struct rc_conn *conn)
{
    static const uint8_t pingresp[] = {RC_MQTT_PINGRESP << 4, 0};
    rc_output_put(&conn->output, pingresp, sizeof(pingresp));
    rc_conn_touch(conn);
    return true;
}

/* A client that falls too far behind what was put out for it is closed; what it sent was handled. */
static bool within_output_limit(struct rc_conn *conn)
{
    if (rc_output_pending(&conn->output) <= RC_BROKER_OUTPUT_MAX)
        return true;
    RC_COUNT(&conn->broker->counters, slow_consumers);
    log_client(conn, "client closed: it does not read what is sent to it", rc_slice(NULL, 0));
    return close_for(conn, RC_MQTT_QUOTA_EXCEEDED, "slow-consumer");
}

bool rc_packet_handle(struct rc_conn *conn, const struct rc_mqtt_packet *packet)
{
    if (!within_output_limit(conn))
        return false;
    switch (packet->type) {
    case RC_MQTT_PUBLISH:
        return handle_publish(conn, &packet->publish);
    case RC_MQTT_PUBACK:
        rc_delivery_acked(conn->session, packet->ack.packet_id);
        return true;
    case RC_MQTT_PUBREL:
        rc_delivery_released(conn->session, packet->ack.packet_id);
        put_ack(conn, RC_MQTT_PUBCOMP, packet->ack.packet_id);
        return true;
    case RC_MQTT_PUBREC: /* nothing is sent at QoS 2 */
    case RC_MQTT_PUBCOMP:
        return true;
    case RC_MQTT_SUBSCRIBE:
        return handle_subscribe(conn, &packet->subscribe);
    case RC_MQTT_UNSUBSCRIBE:
        return handle_unsubscribe(conn, &packet->subscribe);
    case RC_MQTT_PINGREQ:
        return handle_pingreq(conn);
    case RC_MQTT_DISCONNECT:
        rc_disconnect_handle(conn, &packet->reasoned);
        return false;
    default: /* a second CONNECT, or a packet that only servers send */
        return protocol_error(conn, RC_MQTT_PROTOCOL_ERROR,
                              "client closed: it sent a packet that it may not send now");
    }
}
