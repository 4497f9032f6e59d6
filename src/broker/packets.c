/* What a client that is online may say. */
#include "broker/private.h"

#include "base/apart.h"
#include "base/error.h"
#include "base/log.h"
#include "base/utf8.h"

#include <inttypes.h>

static bool close_for(struct rc_conn *conn, uint8_t reason_code, const char *reason)
{
    rc_conn_disconnect(conn, reason_code, reason);
    return false;
}

void rc_packet_log(struct rc_conn *conn, const char *what, struct rc_slice topic)
{
    char client[128], name[128];
    rc_log_warn("mqtt", "%s client=%s topic=%s", what,
                rc_log_quote(client, sizeof(client), rc_slice_str(rc_session_client_id(conn->session))),
                rc_log_quote(name, sizeof(name), topic));
}

bool rc_packet_not_authorized(struct rc_conn *conn, const char *what, struct rc_slice topic)
{
    RC_COUNT(&conn->broker->counters, not_authorized);
    rc_packet_log(conn, what, topic);
    return close_for(conn, RC_MQTT_NOT_AUTHORIZED, "not-authorized");
}

bool rc_packet_protocol_error(struct rc_conn *conn, uint8_t reason_code, const char *what)
{
    RC_COUNT(&conn->broker->counters, protocol_errors);
    rc_packet_log(conn, what, rc_slice(NULL, 0));
    return close_for(conn, reason_code, "protocol-error");
}

/* RC_ACCESS_CLOSE ends the connection here; then, and only then, false. */
static bool may_go_on(struct rc_conn *conn, enum rc_access_result access, const char *what,
                      struct rc_slice topic)
{
    return access != RC_ACCESS_CLOSE || rc_packet_not_authorized(conn, what, topic);
}

void rc_conn_put_reason(const struct rc_conn *conn, uint8_t reason, size_t packet_len, struct rc_buf *out)
{
    enum { ADDED = 1 + RC_MQTT_REASON_STRING_MAX }; /* and a longer remaining length */
    if (reason < RC_MQTT_UNSPECIFIED_ERROR || !conn->problem_information ||
        packet_len + ADDED > conn->max_packet_out)
        return;
    rc_mqtt_props_put_string(out, RC_MQTT_PROP_REASON_STRING, rc_slice_str(rc_mqtt_reason_text(reason)));
}

void rc_conn_put_ack(struct rc_conn *conn, uint8_t type, uint16_t packet_id, uint8_t reason)
{
    enum { BARE = 6 }; /* with its reason and an empty list of properties */
    uint8_t bytes[BARE + 1 + RC_MQTT_REASON_STRING_MAX], text[RC_MQTT_REASON_STRING_MAX];
    struct rc_buf out = {.data = bytes, .cap = sizeof(bytes), .max = sizeof(bytes)};
    struct rc_buf props = {.data = text, .cap = sizeof(text), .max = sizeof(text)};
    rc_conn_put_reason(conn, reason, BARE, &props);
    rc_mqtt_put_ack(&out, conn->version, type, packet_id, reason, rc_buf_slice(&props));
    rc_output_put(&conn->output, bytes, out.end);
    RC_COUNT(&conn->broker->counters, packets_sent);
    rc_conn_touch(conn);
}

/* ---- PUBLISH ---- */

/* The topic behind an alias; false when the connection was closed. */
static bool resolve_alias(struct rc_conn *conn, struct rc_mqtt_publish *publish)
{
    if (!rc_mqtt_props_has(&publish->props, RC_MQTT_PROP_TOPIC_ALIAS))
        return true;
    uint8_t reason =
        rc_topic_alias_resolve(&rc_conn_rare(conn)->aliases, rc_conn_limits(conn)->topic_alias_max,
                               (uint16_t)publish->props.numbers[RC_MQTT_PROP_TOPIC_ALIAS], &publish->topic);
    return reason == RC_MQTT_SUCCESS ||
           rc_packet_protocol_error(conn, reason, "client closed: a topic alias that is not valid");
}

/* What the instance's profile has no room for; false when the connection was closed. */
static bool is_within_limits(struct rc_conn *conn, const struct rc_mqtt_publish *publish)
{
    const struct rc_limits *limits = rc_conn_limits(conn);
    if (publish->payload.len > limits->payload_max) {
        RC_COUNT(&conn->broker->counters, payload_too_large);
        rc_packet_log(conn, "client closed: a payload above the limit", publish->topic);
        return close_for(conn, RC_MQTT_PACKET_TOO_LARGE, "payload-too-large");
    }
    if (publish->qos > limits->qos_max)
        return rc_packet_protocol_error(conn, RC_MQTT_QOS_NOT_SUPPORTED,
                                        "client closed: a QoS that is not supported");
    /* Older versions cannot be told beforehand: their message goes its way, but is not retained. */
    if (publish->retain && !limits->has_retained && conn->version >= RC_MQTT_V5)
        return rc_packet_protocol_error(conn, RC_MQTT_RETAIN_NOT_SUPPORTED,
                                        "client closed: it retains, which is not supported");
    return true;
}

static bool is_text_as_said(const struct rc_mqtt_publish *publish)
{
    return rc_mqtt_props_number(&publish->props, RC_MQTT_PROP_PAYLOAD_FORMAT, 0) == 0 ||
           rc_utf8_is_valid(publish->payload);
}

/* Publishes what may be published; the reason for the acknowledgement. */
static uint8_t publish_or_refuse(struct rc_conn *conn, enum rc_access_result access,
                                 const struct rc_mqtt_publish *publish)
{
    const struct rc_identity *identity = rc_conn_identity(conn);
    const struct rc_instance *instance = identity != NULL ? identity->instance : NULL;
    if (access == RC_ACCESS_TAKEN)
        return RC_MQTT_SUCCESS;
    if (access != RC_ACCESS_ALLOWED || instance == NULL) {
        RC_COUNT(&conn->broker->counters, publishes_refused);
        return RC_MQTT_NOT_AUTHORIZED;
    }
    if (!is_text_as_said(publish))
        return RC_MQTT_PAYLOAD_FORMAT_INVALID;
    if (publish->qos > 0 && rc_persist_is_blocked(conn->broker)) {
        RC_COUNT(&conn->broker->counters, refused_store);
        return RC_MQTT_QUOTA_EXCEEDED;
    }
    switch (rc_route(conn->broker, instance, publish, conn->session)) {
    case RC_ROUTED_FULL:
    case RC_ROUTED_LATER:
        return RC_MQTT_QUOTA_EXCEEDED;
    case RC_ROUTED_TO_NOBODY: /* where there are other shards it is not known, only that nobody is here */
        return conn->broker->options.shards == 1 ? RC_MQTT_NO_MATCHING_SUBSCRIBERS : RC_MQTT_SUCCESS;
    case RC_ROUTED:
        break;
    }
    return RC_MQTT_SUCCESS;
}

/*
 * What the message changed since `marks` is durable before its publisher hears of it. Older versions have no
 * way to say that a message was not taken. False when the connection was closed.
 */
static bool acknowledge(struct rc_conn *conn, uint8_t type, uint16_t packet_id, uint8_t reason,
                        uint64_t marks)
{
    bool was_refused = conn->broker->outflow.was_refused || rc_persist_is_blocked(conn->broker);
    conn->broker->outflow.was_refused = false;
    if (reason == RC_MQTT_QUOTA_EXCEEDED && conn->version < RC_MQTT_V5 && was_refused)
        return close_for(conn, reason, "store-blocked");
    if (conn->broker->persist.marks != marks)
        rc_conn_hold(conn);
    rc_conn_put_ack(conn, type, packet_id, reason);
    return true;
}

/* QoS 2: published when it comes, once, however often it comes before PUBREL. False when the connection was
 * closed. */
static RC_APART bool take_qos2(struct rc_conn *conn, enum rc_access_result access,
                               const struct rc_mqtt_publish *publish)
{
    uint8_t reason = RC_MQTT_SUCCESS;
    uint64_t marks = conn->broker->persist.marks;
    const struct rc_limits *limits = rc_conn_limits(conn);
    uint32_t max = conn->version < RC_MQTT_V5 ? limits->incoming_max : limits->receive_max;
    switch (rc_delivery_incoming(conn->broker, conn->session, publish->packet_id, max)) {
    case RC_INCOMING_FULL:
        return rc_packet_protocol_error(conn, RC_MQTT_RECEIVE_MAXIMUM_EXCEEDED,
                                        "client closed: too many QoS 2 messages without PUBREL");
    case RC_INCOMING_NEW:
        reason = publish_or_refuse(conn, access, publish);
        if (reason ==
            RC_MQTT_NO_MATCHING_SUBSCRIBERS) /* PUBACK's: here the flow goes on, and success says so */
            reason = RC_MQTT_SUCCESS;
        if (reason < RC_MQTT_UNSPECIFIED_ERROR)
            rc_persist_incoming(conn->broker, conn->session, publish->packet_id);
        else
            rc_delivery_released(conn->session, publish->packet_id); /* it ends here */
        break;
    case RC_INCOMING_AGAIN:
        rc_conn_hold(conn); /* when it came first may not be durable yet */
        break;
    }
    return acknowledge(conn, RC_MQTT_PUBREC, publish->packet_id, reason, marks);
}

/* Where an alias stands for the topic, the topic is put into the packet. */
static bool handle_publish(struct rc_conn *conn, struct rc_mqtt_publish *publish)
{
    RC_COUNT(&conn->broker->counters, publishes_received);
    RC_COUNT_ADD(&conn->broker->counters, publish_bytes_received, publish->payload.len);
    if (rc_mqtt_props_has(&publish->props, RC_MQTT_PROP_SUBSCRIPTION_ID)) /* only servers send those */
        return rc_packet_protocol_error(conn, RC_MQTT_PROTOCOL_ERROR,
                                        "client closed: a PUBLISH with a subscription identifier");
    if (!resolve_alias(conn, publish) || !is_within_limits(conn, publish))
        return false;
    enum rc_access_result access = rc_access_publish(conn, publish->topic, publish->qos, publish->retain);
    if (!may_go_on(conn, access, "client closed: it published to a topic that it may not use",
                   publish->topic))
        return false;
    if (access == RC_ACCESS_TAKEN && rc_slice_eq_str(publish->topic, RC_TOKEN_UPLOAD_TOPIC) &&
        !rc_tokens_upload(conn, publish->payload))
        return false;
    if (publish->qos == 2)
        return take_qos2(conn, access, publish);
    uint64_t marks = conn->broker->persist.marks;
    uint8_t reason = publish_or_refuse(conn, access, publish);
    return publish->qos == 0 || acknowledge(conn, RC_MQTT_PUBACK, publish->packet_id, reason, marks);
}

/* ---- acknowledgements ---- */

static bool handle_puback(struct rc_conn *conn, const struct rc_mqtt_ack *ack)
{
    return rc_delivery_puback(conn->session, ack->packet_id) != RC_ACK_WRONG ||
           rc_packet_protocol_error(conn, RC_MQTT_PROTOCOL_ERROR,
                                    "client closed: PUBACK for what is not of QoS 1");
}

static bool handle_pubrec(struct rc_conn *conn, const struct rc_mqtt_ack *ack)
{
    switch (rc_delivery_pubrec(conn->session, ack->packet_id, ack->reason)) {
    case RC_ACK_WRONG:
        return rc_packet_protocol_error(conn, RC_MQTT_PROTOCOL_ERROR,
                                        "client closed: PUBREC for what is not of QoS 2");
    case RC_ACK_UNKNOWN:
        if (ack->reason < RC_MQTT_UNSPECIFIED_ERROR)
            rc_conn_put_ack(conn, RC_MQTT_PUBREL, ack->packet_id, RC_MQTT_PACKET_ID_NOT_FOUND);
        break;
    case RC_ACK_TAKEN:
        if (ack->reason < RC_MQTT_UNSPECIFIED_ERROR)
            rc_conn_put_ack(conn, RC_MQTT_PUBREL, ack->packet_id, RC_MQTT_SUCCESS);
        break;
    }
    return true;
}

static bool handle_pubrel(struct rc_conn *conn, const struct rc_mqtt_ack *ack)
{
    bool was_known = rc_delivery_released(conn->session, ack->packet_id);
    rc_conn_put_ack(conn, RC_MQTT_PUBCOMP, ack->packet_id,
                    was_known ? RC_MQTT_SUCCESS : RC_MQTT_PACKET_ID_NOT_FOUND);
    return true;
}

static bool handle_pubcomp(struct rc_conn *conn, const struct rc_mqtt_ack *ack)
{
    return rc_delivery_pubcomp(conn->session, ack->packet_id) != RC_ACK_WRONG ||
           rc_packet_protocol_error(conn, RC_MQTT_PROTOCOL_ERROR, "client closed: PUBCOMP before its time");
}

/* ---- the rest ---- */

static bool handle_pingreq(struct rc_conn *conn)
{
    static const uint8_t pingresp[] = {RC_MQTT_PINGRESP << 4, 0};
    rc_output_put(&conn->output, pingresp, sizeof(pingresp));
    RC_COUNT(&conn->broker->counters, packets_sent);
    rc_conn_touch(conn);
    return true;
}

/* A client that falls too far behind what was put out for it is closed; what it sent was handled. */
static bool within_output_limit(struct rc_conn *conn)
{
    if (rc_output_pending(&conn->output) <= RC_BROKER_OUTPUT_MAX)
        return true;
    RC_COUNT(&conn->broker->counters, slow_consumers);
    rc_packet_log(conn, "client closed: it does not read what is sent to it", rc_slice(NULL, 0));
    return close_for(conn, RC_MQTT_QUOTA_EXCEEDED, "slow-consumer");
}

bool rc_packet_handle(struct rc_conn *conn, struct rc_mqtt_packet *packet)
{
    if (!within_output_limit(conn))
        return false;
    switch (packet->type) {
    case RC_MQTT_PUBLISH:
        return handle_publish(conn, &packet->publish);
    case RC_MQTT_PUBACK:
        return handle_puback(conn, &packet->ack);
    case RC_MQTT_PUBREC:
        return handle_pubrec(conn, &packet->ack);
    case RC_MQTT_PUBREL:
        return handle_pubrel(conn, &packet->ack);
    case RC_MQTT_PUBCOMP:
        return handle_pubcomp(conn, &packet->ack);
    case RC_MQTT_SUBSCRIBE:
        return rc_subscribe_handle(conn, &packet->subscribe);
    case RC_MQTT_UNSUBSCRIBE:
        return rc_unsubscribe_handle(conn, &packet->subscribe);
    case RC_MQTT_PINGREQ:
        return handle_pingreq(conn);
    case RC_MQTT_DISCONNECT:
        rc_disconnect_handle(conn, &packet->reasoned);
        return false;
    default: /* a second CONNECT, or a packet that only servers send */
        return rc_packet_protocol_error(conn, RC_MQTT_PROTOCOL_ERROR,
                                        "client closed: it sent a packet that it may not send now");
    }
}
