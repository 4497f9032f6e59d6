/* DISCONNECT, both ways: a server's last word, and a client's. */
#include "broker/private.h"

#include "base/error.h"
#include "base/log.h"

/* A reason string where it may be sent and fits; the bare code otherwise; nothing where even that is too
 * large. */
static void put_disconnect(struct rc_conn *conn, uint8_t reason_code)
{
    uint8_t bytes[128], text[96];
    struct rc_buf out = {.data = bytes, .cap = sizeof(bytes), .max = sizeof(bytes)};
    struct rc_buf props = {.data = text, .cap = sizeof(text), .max = sizeof(text)};
    if (conn->problem_information)
        rc_mqtt_props_put_string(&props, RC_MQTT_PROP_REASON_STRING,
                                 rc_slice_str(rc_mqtt_reason_text(reason_code)));
    rc_mqtt_put_disconnect(&out, conn->version, reason_code, rc_buf_slice(&props));
    if (rc_buf_len(&out) > conn->max_packet_out) {
        out.end = 0;
        rc_mqtt_put_disconnect(&out, conn->version, reason_code, rc_slice(NULL, 0));
    }
    if (rc_buf_len(&out) > conn->max_packet_out)
        return;
    /* What is not durable will not be said; this may. */
    rc_output_drop_last(&conn->output, rc_conn_held_bytes(conn));
    rc_conn_unhold(conn);
    rc_output_put(&conn->output, out.data, rc_buf_len(&out));
    RC_COUNT(&conn->broker->counters, packets_sent);
    conn->has_last_word = true;
}

/* Before CONNACK there can be no DISCONNECT. What CONNACK has no word for is not said. */
static void refuse(struct rc_conn *conn, uint8_t reason_code, const char *reason)
{
    if (reason_code == RC_MQTT_SERVER_SHUTTING_DOWN)
        rc_connack_refuse(conn, RC_MQTT_SERVER_UNAVAILABLE, NULL, reason);
    else if (reason_code == RC_MQTT_NOT_AUTHORIZED)
        rc_connack_refuse(conn, reason_code, NULL, reason);
    else
        rc_conn_close(conn, false, reason);
}

void rc_conn_disconnect(struct rc_conn *conn, uint8_t reason_code, const char *reason)
{
    if (!conn->is_dead && conn->channel.state == RC_CHANNEL_OPENING) {
        refuse(conn, reason_code, reason);
        return;
    }
    if (!conn->is_dead && conn->version >= RC_MQTT_V5 && conn->channel.state == RC_CHANNEL_ONLINE)
        put_disconnect(conn, reason_code);
    rc_conn_close(conn, false, reason);
}

/* The codes that a client may send, and the properties with them. */
static bool is_legal(const struct rc_mqtt_reasoned *packet)
{
    static const uint8_t codes[] = {
        RC_MQTT_SUCCESS,
        RC_MQTT_DISCONNECT_WITH_WILL,
        RC_MQTT_UNSPECIFIED_ERROR,
        RC_MQTT_MALFORMED_PACKET,
        RC_MQTT_PROTOCOL_ERROR,
        RC_MQTT_IMPLEMENTATION_ERROR,
        RC_MQTT_TOPIC_NAME_INVALID,
        RC_MQTT_RECEIVE_MAXIMUM_EXCEEDED,
        RC_MQTT_TOPIC_ALIAS_INVALID,
        RC_MQTT_PACKET_TOO_LARGE,
        RC_MQTT_MESSAGE_RATE_TOO_HIGH,
        RC_MQTT_QUOTA_EXCEEDED,
        RC_MQTT_ADMINISTRATIVE_ACTION,
        RC_MQTT_PAYLOAD_FORMAT_INVALID,
    };
    return memchr(codes, packet->reason, sizeof(codes)) != NULL &&
           !rc_mqtt_props_has(&packet->props, RC_MQTT_PROP_SERVER_REFERENCE);
}

/* A session that was to end with its connection cannot be kept after all. */
static bool change_expiry(struct rc_conn *conn, const struct rc_mqtt_props *props)
{
    struct rc_session *session = conn->session;
    if (!rc_mqtt_props_has(props, RC_MQTT_PROP_SESSION_EXPIRY))
        return true;
    uint32_t asked_s = props->numbers[RC_MQTT_PROP_SESSION_EXPIRY];
    if (session->expiry_s == 0 && asked_s > 0)
        return false;
    session->expiry_s = rc_session_expiry(rc_conn_limits(conn), asked_s);
    return true;
}

void rc_disconnect_handle(struct rc_conn *conn, const struct rc_mqtt_reasoned *packet)
{
    if (!is_legal(packet) || !change_expiry(conn, &packet->props)) {
        char client[128];
        RC_COUNT(&conn->broker->counters, protocol_errors);
        rc_log_warn("mqtt", "client closed: a DISCONNECT that it may not send client=%s",
                    rc_log_quote(client, sizeof(client), rc_slice_str(rc_session_client_id(conn->session))));
        rc_conn_disconnect(conn, RC_MQTT_PROTOCOL_ERROR, "protocol-error");
        return;
    }
    RC_COUNT(&conn->broker->counters, disconnects);
    if (packet->reason == RC_MQTT_SUCCESS)
        rc_will_drop(conn->session);
    rc_conn_close(conn, true, "client-disconnect");
}
