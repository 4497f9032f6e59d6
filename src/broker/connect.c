/* CONNECT: who is it, which shard owns it, and its session and channel there. */
#include "broker/private.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"

#include <sys/epoll.h>

uint32_t rc_broker_shard_of(struct rc_slice instance, struct rc_slice client_id, uint32_t shards)
{
    /* Any mix of the two hashes will do: both are seeded, and the answer lives only in this process. */
    return (uint32_t)((rc_hash(instance) * 0x9e3779b97f4a7c15ull ^ rc_hash(client_id)) >> 32) % shards;
}

static const char *protocol_text(uint8_t version)
{
    return version == RC_MQTT_V31 ? "mqtt-3.1" : version == RC_MQTT_V311 ? "mqtt-3.1.1" : "mqtt-5.0";
}

/* Sends a CONNACK: at once when it fits into the socket, as it nearly always does. */
static void send_connack(struct rc_conn *conn, uint8_t version, uint8_t reason)
{
    uint8_t bytes[16];
    struct rc_buf out = {.data = bytes, .cap = sizeof(bytes), .max = sizeof(bytes)};
    uint8_t code = version >= RC_MQTT_V5 ? reason : rc_mqtt_connack_v3_of(reason);
    rc_mqtt_put_connack(&out, version, conn->session_present, code, rc_slice(NULL, 0));
    const struct iovec iov = {.iov_base = bytes, .iov_len = out.end};
    ssize_t written = rc_stream_writev(&conn->stream, &iov, 1);
    size_t done = written > 0 ? (size_t)written : 0;
    if (done < out.end) { /* flushing tells what is wrong */
        rc_output_put(&conn->output, bytes + done, out.end - done);
        rc_conn_touch(conn);
    }
}

void rc_connect_acknowledge(struct rc_conn *conn)
{
    send_connack(conn, conn->version, RC_MQTT_SUCCESS);
}

/* Answers a CONNECT that is not accepted, and closes. */
static int64_t refuse(struct rc_conn *conn, uint8_t version, uint8_t reason)
{
    conn->session_present = false;
    send_connack(conn, version, reason);
    rc_conn_close(conn, false, "refused");
    return -1;
}

static int64_t refuse_malformed(struct rc_conn *conn, const struct rc_mqtt_packet *packet, struct rc_slice in)
{
    char peer[RC_CLIENT_IP_MAX];
    RC_COUNT(&conn->broker->counters, refused_protocol);
    rc_log_warn("mqtt", "connection refused: %s in the first packet from=%.*s",
                rc_mqtt_reason_text(packet->reason),
                RC_SLICE_FMT(rc_channel_client_ip(&conn->channel, peer)));
    bool is_connect = packet->type == RC_MQTT_CONNECT && packet->connect.version != 0;
    if (is_connect && packet->reason == RC_MQTT_UNSUPPORTED_VERSION)
        return refuse(conn, packet->connect.version, packet->reason);
    rc_conn_close(conn, false, "protocol-error"); /* 3.1.1: closed without an answer */
    return -1;
}

static uint8_t reason_of(enum rc_auth_result result)
{
    switch (result) {
    case RC_AUTH_OK:
        return RC_MQTT_SUCCESS;
    case RC_AUTH_BAD_CLIENT_ID:
        return RC_MQTT_CLIENT_ID_NOT_VALID;
    case RC_AUTH_NO_USER:
    case RC_AUTH_BAD_USER:
    case RC_AUTH_UNSUPPORTED_MODE:
    case RC_AUTH_BAD_SIGNATURE:
        return RC_MQTT_BAD_CREDENTIALS;
    default:
        return RC_MQTT_NOT_AUTHORIZED;
    }
}

static int64_t refuse_login(struct rc_conn *conn, const struct rc_mqtt_connect *connect,
                            enum rc_auth_result result)
{
    char peer[RC_CLIENT_IP_MAX], client[128];
    RC_COUNT(&conn->broker->counters, refused_auth);
    rc_log_warn("auth", "login refused: %s client=%s from=%.*s", rc_auth_result_text(result),
                rc_log_quote(client, sizeof(client), connect->client_id),
                RC_SLICE_FMT(rc_channel_client_ip(&conn->channel, peer)));
    return refuse(conn, connect->version, reason_of(result));
}

/* ---- moving to the owner ---- */

static void on_arrival(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_conn *conn = rc_container_of(mail, struct rc_conn, mail);
    rc_conn_arrive(conn->broker, conn);
}

/* Takes all that travels: the socket, what was read, the login. The new owner's thread frees or keeps it. */
static int64_t move(struct rc_conn *conn, struct rc_broker *to, struct rc_slice in)
{
    struct rc_broker *from = conn->broker;
    rc_timer_stop(&conn->timer);
    rc_stream_detach(&conn->stream);
    rc_conn_unlist(conn);
    RC_COUNT(&from->counters, moved);
    struct rc_buf *kept = rc_new(struct rc_buf);
    rc_buf_init(kept, RC_BROKER_CONNECT_BYTES_MAX + 2 * RC_SCRATCH_BYTES);
    rc_buf_put_slice(kept, in);
    conn->partial = kept;
    conn->broker = to;
    conn->mail.deliver = on_arrival;
    rc_loop_post(to->options.loop, &conn->mail);
    return -1;
}

int64_t rc_connect_handle(struct rc_conn *conn, struct rc_slice in)
{
    struct rc_broker *broker = conn->broker;
    struct rc_mqtt_packet packet;
    packet.type = in.ptr[0] >> 4;
    packet.reason = RC_MQTT_PROTOCOL_ERROR;
    if (packet.type != RC_MQTT_CONNECT) /* decided by the first byte: nothing is kept of strangers' packets */
        return refuse_malformed(conn, &packet, in);
    int64_t used = rc_mqtt_decode(in, 0, RC_BROKER_CONNECT_BYTES_MAX, &packet);
    if (used < 0)
        return refuse_malformed(conn, &packet, in);
    if (used == 0) {
        if (conn->stream.loop == NULL &&
            rc_stream_attach(&conn->stream, broker->options.loop, EPOLLIN) != RC_OK) {
            rc_conn_close(conn, false, "internal-error");
            return -1;
        }
        return 0;
    }
    const struct rc_mqtt_connect *connect = &packet.connect;
    if (connect->version >= RC_MQTT_V5) {
        RC_COUNT(&broker->counters, refused_protocol);
        return refuse(conn, connect->version, RC_MQTT_UNSUPPORTED_VERSION);
    }
    struct rc_auth_login login = {connect->client_id, connect->has_user, connect->has_password, connect->user,
                                  connect->password};
    enum rc_auth_result result = rc_auth_mqtt(broker->catalog, &login, &conn->group);
    if (result != RC_AUTH_OK)
        return refuse_login(conn, connect, result);
    conn->catalog = rc_catalog_ref(broker->catalog);
    uint32_t owner =
        rc_broker_shard_of(conn->group->instance->id, connect->client_id, broker->options.shards);
    if (owner != broker->options.shard)
        return move(conn, broker->options.brokers[owner], in);
    rc_connect_open(conn, in);
    return -1; /* what follows the CONNECT was kept */
}

/* ---- on the owner ---- */

static struct rc_topic *event_topic(const struct rc_conn *conn)
{
    const struct rc_status_rule *rule = conn->group->status_rule;
    return rule != NULL && rule->topic != NULL ? rule->topic : conn->catalog->presence_topic;
}

static int64_t refuse_unavailable(struct rc_conn *conn, uint8_t version)
{
    if (!conn->broker->is_stopping) {
        RC_COUNT(&conn->broker->counters, refused_log);
        rc_log_error("presence", "client refused: the log takes no more events (disk full?)");
    }
    return refuse(conn, version, RC_MQTT_SERVER_UNAVAILABLE);
}

static bool log_has_room(struct rc_broker *broker)
{
    return !rc_log_writer_is_blocked(broker->options.writer) && rc_presence_waiting(broker->presence) == 0;
}

static void keep_rest(struct rc_conn *conn, struct rc_slice rest)
{
    if (rest.len == 0)
        return;
    conn->partial = rc_new(struct rc_buf);
    rc_buf_init(conn->partial, conn->broker->options.max_packet_size + 2 * RC_SCRATCH_BYTES);
    rc_buf_put_slice(conn->partial, rest);
}

void rc_connect_open(struct rc_conn *conn, struct rc_slice in)
{
    struct rc_broker *broker = conn->broker;
    struct rc_mqtt_packet packet;
    int64_t used = rc_mqtt_decode(in, 0, RC_BROKER_CONNECT_BYTES_MAX, &packet);
    const struct rc_mqtt_connect *connect = &packet.connect;
    /* Before the old connection is touched: a client keeps what it has when the new one cannot be told of. */
    if (used <= 0 || broker->is_stopping || !log_has_room(broker)) {
        refuse_unavailable(conn, connect->version);
        return;
    }
    bool present;
    conn->version = connect->version;
    struct rc_session *session =
        rc_session_open(broker, conn->group->instance->id, connect->client_id, connect->is_clean, &present);
    conn->channel.client_id = rc_session_client_id(session);
    conn->channel.instance = session->key;
    conn->channel.protocol = protocol_text(connect->version);
    int err = rc_presence_connect(broker->presence, &conn->channel, event_topic(conn));
    if (err == RC_OK)
        rc_roll_enrol(conn, conn->group->instance->id, conn->group->id);
    rc_catalog_unref(conn->catalog);
    conn->catalog = NULL;
    conn->group = NULL;
    if (err != RC_OK) {
        rc_session_leave(broker, session);
        rc_session_unref(session);
        refuse_unavailable(conn, connect->version);
        return;
    }
    uint32_t keep_alive_s = connect->keep_alive_s;
    if (keep_alive_s == 0 || keep_alive_s > RC_BROKER_KEEP_ALIVE_MAX_S)
        keep_alive_s = RC_BROKER_KEEP_ALIVE_MAX_S;
    conn->keep_alive_ms = keep_alive_s * 1500;
    conn->session = session;
    session->conn = conn;
    rc_conn_opening(conn);
    keep_rest(conn, rc_slice_from(in, (size_t)used));
    conn->session_present = present;
}
