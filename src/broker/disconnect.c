/* DISCONNECT, both ways: a server's last word, and a client's. */
#include "broker/private.h"

#include "base/error.h"

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
    if (rc_buf_len(&out) <= conn->max_packet_out)
        rc_output_put(&conn->output, out.data, rc_buf_len(&out));
}

void rc_conn_disconnect(struct rc_conn *conn, uint8_t reason_code, const char *reason)
{
    if (!conn->is_dead && conn->version >= RC_MQTT_V5 && conn->channel.state == RC_CHANNEL_ONLINE)
        put_disconnect(conn, reason_code);
    rc_conn_close(conn, false, reason);
}

void rc_disconnect_handle(struct rc_conn *conn, const struct rc_mqtt_reasoned *packet)
{
    RC_COUNT(&conn->broker->counters, disconnects);
    rc_conn_close(conn, true, "client-disconnect");
}
