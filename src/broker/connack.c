/* CONNACK: what a client gets, where that is not what it asked for, or why it gets nothing. */
#include "broker/private.h"

#include "base/error.h"

/* Only what differs from what the client must assume: an absent property says the default. */
static void put_accepted(const struct rc_conn *conn, struct rc_buf *out)
{
    const struct rc_limits *limits = rc_conn_limits(conn);
    if (conn->is_id_assigned)
        rc_mqtt_props_put_string(out, RC_MQTT_PROP_ASSIGNED_CLIENT_ID,
                                 rc_slice_str(rc_session_client_id(conn->session)));
    if (conn->is_keep_alive_ours)
        rc_mqtt_props_put_number(out, RC_MQTT_PROP_SERVER_KEEP_ALIVE, conn->keep_alive_ms / 1500);
    if (conn->is_expiry_ours)
        rc_mqtt_props_put_number(out, RC_MQTT_PROP_SESSION_EXPIRY, conn->session->expiry_s);
    rc_mqtt_props_put_number(out, RC_MQTT_PROP_MAXIMUM_PACKET_SIZE, conn->broker->options.max_packet_size);
    if (limits->receive_max < UINT16_MAX) /* which the client assumes */
        rc_mqtt_props_put_number(out, RC_MQTT_PROP_RECEIVE_MAXIMUM, limits->receive_max);
    if (limits->topic_alias_max > 0)
        rc_mqtt_props_put_number(out, RC_MQTT_PROP_TOPIC_ALIAS_MAXIMUM, limits->topic_alias_max);
    if (limits->qos_max < 2)
        rc_mqtt_props_put_number(out, RC_MQTT_PROP_MAXIMUM_QOS, limits->qos_max);
    if (!limits->has_retained)
        rc_mqtt_props_put_number(out, RC_MQTT_PROP_RETAIN_AVAILABLE, 0);
    if (!limits->has_wildcards)
        rc_mqtt_props_put_number(out, RC_MQTT_PROP_WILDCARDS_AVAILABLE, 0);
    if (!limits->has_subscription_ids)
        rc_mqtt_props_put_number(out, RC_MQTT_PROP_SUBSCRIPTION_IDS_AVAILABLE, 0);
    if (!limits->has_shared)
        rc_mqtt_props_put_number(out, RC_MQTT_PROP_SHARED_AVAILABLE, 0);
}

/* Written at once when it fits into the socket, as it nearly always does. */
static void write_now(struct rc_conn *conn, const struct rc_buf *out)
{
    if (rc_conn_is_held(conn)) { /* it tells of a session that is not durable yet */
        rc_output_put(&conn->output, out->data, out->end);
        RC_COUNT(&conn->broker->counters, packets_sent);
        rc_conn_touch(conn);
        return;
    }
    const struct iovec iov = {.iov_base = out->data, .iov_len = out->end};
    ssize_t written = rc_stream_writev(&conn->stream, &iov, 1);
    RC_COUNT(&conn->broker->counters, packets_sent);
    RC_COUNT_ADD(&conn->broker->counters, bytes_sent, written > 0 ? written : 0);
    size_t done = written > 0 ? (size_t)written : 0;
    if (done == out->end)
        return;
    rc_output_put(&conn->output, out->data + done, out->end - done); /* flushing tells what is wrong */
    rc_conn_touch(conn);
}

/* False, and nothing is sent, when the client takes only smaller packets. */
static bool send_connack(struct rc_conn *conn, bool session_present, uint8_t reason, struct rc_slice props)
{
    uint8_t bytes[512];
    struct rc_buf out = {.data = bytes, .cap = sizeof(bytes), .max = sizeof(bytes)};
    bool is_v5 = conn->version >= RC_MQTT_V5;
    /* 3.1 has no such flag: its byte is reserved. */
    session_present = session_present && conn->version != RC_MQTT_V31;
    int err = rc_mqtt_put_connack(&out, conn->version, session_present,
                                  is_v5 ? reason : rc_mqtt_connack_v3_of(reason), props);
    if (err != RC_OK || (is_v5 && out.end > conn->max_packet_out))
        return false;
    write_now(conn, &out);
    return true;
}

bool rc_connack_accept(struct rc_conn *conn)
{
    uint8_t bytes[256];
    struct rc_buf props = {.data = bytes, .cap = sizeof(bytes), .max = sizeof(bytes)};
    if (conn->version >= RC_MQTT_V5)
        put_accepted(conn, &props);
    return send_connack(conn, conn->session_present, RC_MQTT_SUCCESS, rc_buf_slice(&props));
}

void rc_connack_refuse(struct rc_conn *conn, uint8_t reason, const char *text, const char *why)
{
    uint8_t bytes[256];
    struct rc_buf props = {.data = bytes, .cap = sizeof(bytes), .max = sizeof(bytes)};
    if (text != NULL && conn->problem_information)
        rc_mqtt_props_put_string(&props, RC_MQTT_PROP_REASON_STRING, rc_slice_str(text));
    if (!send_connack(conn, false, reason, rc_buf_slice(&props)))
        send_connack(conn, false, reason, rc_slice(NULL, 0));
    conn->has_last_word = true;
    rc_conn_close(conn, false, why);
}
