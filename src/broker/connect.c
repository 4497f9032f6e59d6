/* CONNECT: who is it, which shard owns it, and its session and channel there. */
#include "broker/private.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/utf8.h"
#include "net/stream_tls.h"

#include <inttypes.h>
#include <sys/epoll.h>
#include <sys/random.h>

enum { TELL_REFUSALS_MS = 10000 };

uint32_t rc_broker_shard_of(struct rc_slice instance, struct rc_slice client_id, uint32_t shards)
{
    if (shards == 1)
        return 0;
    /* Any mix of the two hashes will do: both are seeded, and the answer lives only in this process. */
    return (uint32_t)((rc_hash(instance) * 0x9e3779b97f4a7c15ull ^ rc_hash(client_id)) >> 32) % shards;
}

static const char *protocol_text(uint8_t version)
{
    return version == RC_MQTT_V31 ? "mqtt-3.1" : version == RC_MQTT_V311 ? "mqtt-3.1.1" : "mqtt-5.0";
}

/* Its answer, -1, says that the connection is gone. */
static int64_t refuse(struct rc_conn *conn, uint8_t reason, const char *text)
{
    rc_connack_refuse(conn, reason, text, "refused");
    return -1;
}

static int64_t refuse_malformed(struct rc_conn *conn, const struct rc_mqtt_packet *packet)
{
    char peer[RC_CLIENT_IP_MAX];
    RC_COUNT(&conn->broker->counters, refused_protocol);
    rc_log_warn("mqtt", "connection refused: %s in the first packet from=%.*s",
                rc_mqtt_reason_text(packet->reason),
                RC_SLICE_FMT(rc_channel_client_ip(&conn->channel, peer)));
    conn->version = packet->type == RC_MQTT_CONNECT ? packet->connect.version : 0;
    bool is_answered =
        conn->version >= RC_MQTT_V5 || (conn->version != 0 && packet->reason == RC_MQTT_UNSUPPORTED_VERSION);
    if (is_answered)
        return refuse(conn, packet->reason, NULL);
    rc_conn_close(conn, false, "protocol-error"); /* 3.x, or whatever it is: closed without an answer */
    return -1;
}

static uint8_t reason_of(enum rc_auth_result result)
{
    switch (result) {
    case RC_AUTH_OK:
        return RC_MQTT_SUCCESS;
    case RC_AUTH_BAD_CLIENT_ID:
        return RC_MQTT_CLIENT_ID_NOT_VALID;
    case RC_AUTH_BAD_USER:
    case RC_AUTH_UNSUPPORTED_MODE:
    case RC_AUTH_BAD_SIGNATURE:
    case RC_AUTH_BAD_PASSWORD:
    case RC_AUTH_BAD_TOKEN:
        return RC_MQTT_BAD_CREDENTIALS;
    case RC_AUTH_TOO_MANY_FAILURES:
        return RC_MQTT_CONNECTION_RATE_EXCEEDED;
    case RC_AUTH_NEEDS_PASSWORD:
    case RC_AUTH_BUSY:
        return RC_MQTT_SERVER_BUSY;
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
    uint8_t reason = reason_of(result);
    /* Who may not come in is not told what exists; who writes his login wrongly is told how. */
    return refuse(conn, reason, reason == RC_MQTT_NOT_AUTHORIZED ? NULL : rc_auth_result_text(result));
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

/* ---- the first packet ---- */

/* What the client asks of the server's packets: from here on answers keep to it. */
static void take_options(struct rc_conn *conn, const struct rc_mqtt_connect *connect)
{
    const struct rc_mqtt_props *props = &connect->props;
    conn->version = connect->version;
    conn->receive_max = (uint16_t)rc_mqtt_props_number(props, RC_MQTT_PROP_RECEIVE_MAXIMUM, UINT16_MAX);
    conn->alias_max_out = (uint16_t)rc_mqtt_props_number(props, RC_MQTT_PROP_TOPIC_ALIAS_MAXIMUM, 0);
    conn->max_packet_out = rc_mqtt_props_number(props, RC_MQTT_PROP_MAXIMUM_PACKET_SIZE, UINT32_MAX);
    conn->problem_information = connect->version >= RC_MQTT_V5 &&
                                rc_mqtt_props_number(props, RC_MQTT_PROP_REQUEST_PROBLEM_INFO, 1) != 0;
}

enum { ASSIGNED_RANDOM_BYTES = 16 };

/* "rc-" and hexadecimal digits: nobody can tell what the next one will be. */
static void assign_id(struct rc_conn *conn)
{
    uint8_t random[ASSIGNED_RANDOM_BYTES];
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        abort(); /* never happens: so few bytes are always there */
    conn->arrival = rc_calloc(1, sizeof(*conn->arrival) + 3 + 2 * sizeof(random) + 1);
    memcpy(conn->arrival->client_id, "rc-", 3);
    rc_hex_lower(conn->arrival->client_id + 3, random, sizeof(random));
    conn->is_id_assigned = true;
}

void rc_arrival_end(struct rc_conn *conn)
{
    if (conn->arrival == NULL)
        return;
    rc_login_abandon(conn);
    rc_catalog_unref(conn->arrival->catalog);
    free(conn->arrival);
    conn->arrival = NULL;
}

static void keep_id(struct rc_conn *conn, struct rc_slice client_id)
{
    conn->arrival = rc_calloc(1, sizeof(*conn->arrival) + client_id.len + 1);
    memcpy(conn->arrival->client_id, client_id.ptr, client_id.len);
}

/* 3.1 knows no empty client id; 3.1.1 only for a session that nobody comes back to. */
static bool may_have_no_id(const struct rc_mqtt_connect *connect)
{
    return connect->version >= RC_MQTT_V5 || (connect->version == RC_MQTT_V311 && connect->is_clean);
}

static struct rc_auth_login login_of(const struct rc_conn *conn, const struct rc_mqtt_connect *connect)
{
    struct rc_auth_login login = {
        .client_id = rc_slice_str(conn->arrival->client_id),
        .has_user = connect->has_user,
        .has_password = connect->has_password,
        .user = connect->user,
        .password = connect->password,
        .now_ms = rc_loop_wall_ms(conn->broker->options.loop),
    };
    if (rc_conn_certificate(conn) != NULL) {
        login.certificate_key = rc_slice_str(rc_conn_certificate(conn));
    } else if (rc_stream_tls_is_unchecked(&conn->stream)) {
        login.certificate = rc_stream_tls_certificate(&conn->stream);
        login.chain = rc_stream_tls_chain(&conn->stream);
    }
    return login;
}

/* One that is new is told to whoever keeps them. */
static void keep_certificate(struct rc_conn *conn, const struct rc_auth_client *client)
{
    const struct rc_broker_options *options = &conn->broker->options;
    if (client->certificate_key[0] == '\0' || rc_conn_certificate(conn) != NULL)
        return;
    rc_conn_rare(conn)->certificate = rc_strdup(client->certificate_key);
    if (options->on_certificate != NULL &&
        !rc_certificate_is_known(client->instance, rc_slice_str(conn->rare->certificate)))
        options->on_certificate(options->on_certificate_arg, client->instance->id, conn->rare->certificate,
                                rc_stream_tls_certificate(&conn->stream));
}

/* -1: refused, or its password is being verified. */
static int64_t log_in(struct rc_conn *conn, const struct rc_mqtt_connect *connect, struct rc_slice in)
{
    if (rc_mqtt_props_has(&connect->props, RC_MQTT_PROP_AUTH_METHOD)) {
        RC_COUNT(&conn->broker->counters, refused_auth);
        return refuse(conn, RC_MQTT_BAD_AUTHENTICATION_METHOD, "enhanced authentication is not supported");
    }
    if ((connect->client_id.len == 0 && !may_have_no_id(connect)) ||
        connect->client_id.len > RC_CLIENT_ID_MAX)
        return refuse_login(conn, connect, RC_AUTH_BAD_CLIENT_ID);
    if (conn->arrival != NULL)
        ; /* it was here before: its password has been checked */
    else if (connect->client_id.len == 0)
        assign_id(conn);
    else
        keep_id(conn, connect->client_id);
    struct rc_auth_login login = login_of(conn, connect);
    struct rc_auth_client client;
    enum rc_auth_result result = rc_login_check(conn, &login, in, &client);
    if (result == RC_AUTH_NEEDS_PASSWORD)
        return -1;
    if (result != RC_AUTH_OK) {
        rc_trace_refused(conn->broker, client.instance, connect->client_id);
        return refuse_login(conn, connect, result);
    }
    conn->arrival->client = client;
    keep_certificate(conn, &client);
    return 0;
}

/* ---- on the owner ---- */

/* The first at once, and then how many now and then: all who were refused come again, and again. */
static void tell_of_refusals(struct rc_broker *broker)
{
    uint64_t now = rc_loop_now_ms(broker->options.loop);
    broker->refused_since++;
    if (broker->refused_told_ms != 0 && now - broker->refused_told_ms < TELL_REFUSALS_MS)
        return;
    rc_log_error("presence",
                 "CLIENTS REFUSED: the log takes no more events (disk or store.quota full, store.min_free "
                 "reached): refused=%" PRIu64,
                 broker->refused_since);
    broker->refused_told_ms = now;
    broker->refused_since = 0;
}

static void refuse_unavailable(struct rc_conn *conn)
{
    if (!conn->broker->is_stopping) {
        RC_COUNT(&conn->broker->counters, refused_log);
        tell_of_refusals(conn->broker);
    }
    rc_connack_refuse(conn, RC_MQTT_SERVER_UNAVAILABLE, NULL, "refused");
}

static bool log_has_room(struct rc_broker *broker)
{
    return !rc_log_writer_is_blocked(broker->options.writer) &&
           !rc_log_writer_is_disk_low(broker->options.writer) && rc_presence_waiting(broker->presence) == 0;
}

static struct rc_session *session_before(const struct rc_conn *conn)
{
    return rc_session_find(conn->broker, conn->arrival->client.instance->id,
                           rc_slice_str(conn->arrival->client_id));
}

/* Whether a session is to be kept, or one that is kept is to be changed. */
static bool needs_store(const struct rc_conn *conn, const struct rc_mqtt_connect *connect)
{
    const struct rc_session *before = session_before(conn);
    bool outlives = connect->version < RC_MQTT_V5
                        ? !connect->is_clean
                        : rc_mqtt_props_number(&connect->props, RC_MQTT_PROP_SESSION_EXPIRY, 0) > 0;
    return outlives || (before != NULL && rc_session_store_id(before) != 0);
}

static bool store_has_room(const struct rc_conn *conn, const struct rc_mqtt_connect *connect)
{
    if (!rc_persist_is_blocked(conn->broker) || !needs_store(conn, connect))
        return true;
    RC_COUNT(&conn->broker->counters, refused_store);
    return false;
}

static void keep_rest(struct rc_conn *conn, struct rc_slice rest)
{
    if (rest.len == 0)
        return;
    conn->partial = rc_new(struct rc_buf);
    rc_buf_init(conn->partial, conn->broker->options.max_packet_size + 2 * RC_SCRATCH_BYTES);
    rc_buf_put_slice(conn->partial, rest);
}

/* The longest silence that the client may keep: its own, or the limit's where that is shorter. */
static void set_keep_alive(struct rc_conn *conn, uint32_t asked_s, uint32_t max_s)
{
    uint32_t keep_alive_s = asked_s;
    if (max_s > 0 && (asked_s == 0 || asked_s > max_s))
        keep_alive_s = max_s < UINT16_MAX ? max_s : UINT16_MAX; /* what CONNACK can say */
    conn->keep_alive_ms = keep_alive_s * 1500;
    conn->is_keep_alive_ours = keep_alive_s != asked_s;
}

/* How long the session outlives the connection. */
static void set_expiry(struct rc_conn *conn, const struct rc_mqtt_connect *connect,
                       const struct rc_limits *limits)
{
    uint32_t asked_s = rc_mqtt_props_number(&connect->props, RC_MQTT_PROP_SESSION_EXPIRY, 0);
    uint32_t expiry_s = rc_session_expiry(limits, asked_s);
    if (connect->version < RC_MQTT_V5 && !connect->is_clean)
        expiry_s = (uint32_t)(limits->session_keep_ms / 1000);
    conn->session->expiry_s = expiry_s;
    conn->is_expiry_ours = expiry_s != asked_s;
}

/* Whom it came as, by the catalog that its login was checked against; false when the newest one does not have
 * that any more. */
static bool set_identity(struct rc_conn *conn, const struct rc_mqtt_connect *connect)
{
    conn->identity = rc_identity_open(conn->broker, &conn->arrival->client);
    if (rc_review_verdict(conn) != RC_MQTT_SUCCESS)
        return false;
    if (conn->identity->kind != RC_IDENTITY_TOKEN)
        return true;
    struct rc_auth_login login = login_of(conn, connect);
    return rc_tokens_open(conn, &login);
}

/* Who takes over a client id does not get what waits for somebody else. */
static bool session_is_anothers(const struct rc_conn *conn)
{
    const struct rc_session *session = session_before(conn);
    return session != NULL && session->owner != 0 && session->owner != conn->identity->owner;
}

/* What a will of version 5 may not ask for is named; an older client is not told, and gets less. */
static int64_t check_will_of_v5(struct rc_conn *conn, const struct rc_mqtt_connect *connect,
                                const struct rc_limits *limits)
{
    if (rc_mqtt_props_number(&connect->will_props, RC_MQTT_PROP_PAYLOAD_FORMAT, 0) == 1 &&
        !rc_utf8_is_valid(connect->will_payload))
        return refuse(conn, RC_MQTT_PAYLOAD_FORMAT_INVALID,
                      "the will's payload is not the text that it says it is");
    if (connect->will_retain && !limits->has_retained)
        return refuse(conn, RC_MQTT_RETAIN_NOT_SUPPORTED, "retained messages are not available");
    if (connect->will_qos > limits->qos_max)
        return refuse(conn, RC_MQTT_QOS_NOT_SUPPORTED, "the will's QoS is not available");
    return 0;
}

static int64_t check_will(struct rc_conn *conn, const struct rc_mqtt_connect *connect)
{
    const struct rc_limits *limits = rc_conn_limits(conn);
    if (!connect->has_will)
        return 0;
    if (connect->version >= RC_MQTT_V5 && check_will_of_v5(conn, connect, limits) < 0)
        return -1;
    if (!limits->has_wills)
        return 0;
    if (connect->will_payload.len > limits->payload_max)
        return refuse(conn, RC_MQTT_PACKET_TOO_LARGE, "the will's payload is too large");
    if (!rc_will_has_room(conn->broker, connect)) {
        rc_log_error("mqtt", "login refused: the wills of this shard's clients take %d MiB",
                     RC_BROKER_WILLS_BYTES_MAX >> 20);
        RC_COUNT(&conn->broker->counters, refused_will);
        return refuse(conn, RC_MQTT_QUOTA_EXCEEDED, "the server holds too many wills");
    }
    if (rc_access_publish(conn, connect->will_topic, connect->will_qos, connect->will_retain) ==
        RC_ACCESS_ALLOWED)
        return 0;
    char client[128], topic[128];
    RC_COUNT(&conn->broker->counters, refused_auth);
    rc_log_warn("auth", "login refused: a will for a topic that it may not use client=%s topic=%s",
                rc_log_quote(client, sizeof(client), rc_slice_str(conn->arrival->client_id)),
                rc_log_quote(topic, sizeof(topic), connect->will_topic));
    return refuse(conn, RC_MQTT_NOT_AUTHORIZED, "the will's topic is not allowed");
}

/* Where the instance has no wills they are ignored, as a client that sets one by habit has no other way in.
 */
static void set_will(struct rc_conn *conn, const struct rc_mqtt_connect *connect,
                     const struct rc_limits *limits)
{
    if (connect->has_will && !limits->has_wills)
        RC_COUNT(&conn->broker->counters, wills_ignored);
    rc_will_set(conn->broker, conn->session, limits->has_wills ? connect : NULL);
}

static int open_channel(struct rc_conn *conn, struct rc_session *session)
{
    conn->channel.client_id = rc_session_client_id(session);
    conn->channel.instance = session->key;
    conn->channel.protocol = protocol_text(conn->version);
    int err = rc_presence_connect(conn->broker->presence, &conn->channel,
                                  rc_group_event_topic(conn->arrival->catalog, conn->arrival->client.group));
    if (err == RC_OK)
        rc_roll_enrol(conn, conn->arrival->client.instance->id, conn->arrival->client.group->id);
    return err;
}

/* `rest` followed the CONNECT. */
static void open_session(struct rc_conn *conn, const struct rc_mqtt_connect *connect, struct rc_slice rest)
{
    struct rc_broker *broker = conn->broker;
    /* All before the old connection is touched: a client keeps what it has when the new one is refused. */
    if (broker->is_stopping || !log_has_room(broker)) {
        refuse_unavailable(conn);
        return;
    }
    if (!store_has_room(conn, connect)) {
        rc_connack_refuse(conn, RC_MQTT_SERVER_UNAVAILABLE, NULL, "refused");
        return;
    }
    if (!set_identity(conn, connect)) {
        rc_connack_refuse(conn, RC_MQTT_NOT_AUTHORIZED, NULL, "refused");
        return;
    }
    if (check_will(conn, connect) < 0)
        return;
    bool present, is_clean = connect->is_clean || session_is_anothers(conn);
    struct rc_session *session = rc_session_open(broker, conn->arrival->client.instance->id,
                                                 rc_slice_str(conn->arrival->client_id), is_clean, &present);
    if (open_channel(conn, session) != RC_OK) {
        rc_session_leave(broker, session);
        rc_session_unref(session);
        refuse_unavailable(conn);
        return;
    }
    const struct rc_limits *limits = rc_conn_limits(conn);
    conn->session = session;
    session->conn = conn;
    session->owner = conn->identity->owner;
    set_keep_alive(conn, connect->keep_alive_s, limits->keep_alive_max_s);
    set_expiry(conn, connect, limits);
    set_will(conn, connect, limits);
    rc_persist_session(broker, session);
    if (present) /* its rights may have changed while it was away */
        rc_review_return(conn);
    rc_arrival_end(conn); /* the limits and the group went by its catalog */
    rc_stream_tls_forget_peer(&conn->stream);
    rc_conn_opening(conn);
    keep_rest(conn, rest);
    conn->session_present = present;
}

void rc_connect_open(struct rc_conn *conn, struct rc_slice in)
{
    struct rc_mqtt_packet packet;
    int64_t used = rc_mqtt_decode(in, 0, RC_BROKER_CONNECT_BYTES_MAX, &packet);
    if (used > 0)
        open_session(conn, &packet.connect, rc_slice_from(in, (size_t)used));
    else
        refuse_unavailable(conn); /* it was whole when it left */
}

/* ---- the way in ---- */

/* Nothing but the start of a CONNECT is there: the rest has to be waited for. */
static int64_t wait_for_more(struct rc_conn *conn)
{
    if (conn->stream.loop != NULL ||
        rc_stream_attach(&conn->stream, conn->broker->options.loop, EPOLLIN) == RC_OK)
        return 0;
    rc_conn_close(conn, false, "internal-error");
    return -1;
}

int64_t rc_connect_handle(struct rc_conn *conn, struct rc_slice in)
{
    struct rc_broker *broker = conn->broker;
    struct rc_mqtt_packet packet;
    packet.type = in.ptr[0] >> 4;
    packet.reason = RC_MQTT_PROTOCOL_ERROR;
    if (packet.type != RC_MQTT_CONNECT) /* decided by the first byte: nothing is kept of strangers' packets */
        return refuse_malformed(conn, &packet);
    int64_t used = rc_mqtt_decode(in, 0, RC_BROKER_CONNECT_BYTES_MAX, &packet);
    if (used < 0)
        return refuse_malformed(conn, &packet);
    if (used == 0)
        return wait_for_more(conn);
    const struct rc_mqtt_connect *connect = &packet.connect;
    take_options(conn, connect);
    if (log_in(conn, connect, in) < 0)
        return -1;
    conn->arrival->catalog = rc_catalog_ref(broker->catalog);
    uint32_t owner = rc_broker_shard_of(conn->arrival->client.instance->id,
                                        rc_slice_str(conn->arrival->client_id), broker->options.shards);
    if (owner != broker->options.shard)
        return move(conn, broker->options.brokers[owner], in);
    open_session(conn, connect, rc_slice_from(in, (size_t)used));
    return -1; /* what follows the CONNECT was kept */
}
