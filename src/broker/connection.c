/*
 * Design notes
 * - A connection is freed when nothing can refer to it any more: at the end of a turn when it never had a
 * channel, else when its channel's tcpclean is in the log.
 * - It is put on epoll only when it has to be waited for: a CONNECT that arrives with the accept is read at
 * once, and nothing is read between CONNECT and CONNACK.
 */
#include "broker/private.h"

#include "base/alloc.h"
#include "base/apart.h"
#include "base/error.h"
#include "base/log.h"
#include "base/poison.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <unistd.h>

struct rc_conn *rc_conn_of_channel(struct rc_channel *channel)
{
    return rc_container_of(channel, struct rc_conn, channel);
}

struct rc_conn_rare *rc_conn_rare(struct rc_conn *conn)
{
    if (conn->rare == NULL)
        conn->rare = rc_new(struct rc_conn_rare);
    return conn->rare;
}

/* ---- ending ---- */

void rc_conn_free(struct rc_conn *conn)
{
    if (rc_list_is_linked(&conn->node))
        rc_list_remove(&conn->node);
    if (conn->partial != NULL)
        rc_buf_free(conn->partial);
    free(conn->partial);
    rc_output_free(&conn->output);
    rc_conn_unhold(conn);
    rc_arrival_end(conn);
    rc_roll_strike(conn);
    rc_tokens_close(conn);
    if (conn->rare != NULL) {
        rc_topic_aliases_free(conn->rare->aliases);
        free(conn->rare->certificate);
    }
    free(conn->rare);
    rc_identity_close(conn->broker, conn->identity);
    if (conn->session != NULL)
        rc_session_unref(conn->session);
    free(conn);
}

void rc_conn_unlist(struct rc_conn *conn)
{
    struct rc_broker *broker = conn->broker;
    if (!conn->is_listed)
        return;
    rc_list_remove(&conn->node);
    RC_COUNT_DOWN(&broker->counters, connections);
    conn->is_listed = false;
    if (!conn->is_connecting)
        return;
    conn->is_connecting = false;
    broker->connecting_count--;
    if (conn->partial != NULL)
        broker->connecting_bytes -= rc_buf_len(conn->partial);
}

static void drop_buffers(struct rc_conn *conn)
{
    if (conn->partial != NULL)
        rc_buf_free(conn->partial);
    free(conn->partial);
    conn->partial = NULL;
    rc_output_free(&conn->output);
}

int rc_conn_flush(struct rc_conn *conn)
{
    size_t before = rc_output_pending(&conn->output);
    int err = rc_output_flush_part(&conn->output, &conn->stream, rc_conn_held_bytes(conn));
    size_t sent = before - rc_output_pending(&conn->output);
    rc_conn_held_flushed(conn, sent);
    RC_COUNT_ADD(&conn->broker->counters, bytes_sent, sent);
    return err;
}

void rc_conn_close(struct rc_conn *conn, bool client_said_so, const char *reason)
{
    struct rc_broker *broker = conn->broker;
    if (conn->is_dead)
        return;
    conn->is_dead = true;
    rc_login_abandon(conn);
    rc_timer_stop(&conn->timer);
    if (rc_stream_is_open(&conn->stream)) {
        if (rc_output_pending(&conn->output) > 0 && conn->stream.loop != NULL)
            rc_conn_flush(conn); /* as far as it goes: a refusal, a last answer */
        if (conn->has_last_word)
            rc_linger_close(broker, &conn->stream);
        else
            rc_stream_close(&conn->stream);
    }
    rc_conn_leave(conn);
    rc_conn_unlist(conn);
    rc_conn_unhold(conn);
    drop_buffers(conn);
    if (conn->is_dirty)
        rc_list_remove(&conn->dirty);
    conn->is_dirty = false;
    rc_roll_leave(conn);
    if (conn->channel.state == RC_CHANNEL_ONLINE) {
        RC_COUNT_DOWN(&broker->counters, clients);
        rc_sys_disconnected(conn, reason);
    }
    /* By the wall clock of now, less the silence: readers compare it with the event's own time. */
    conn->channel.last_active_ms = rc_loop_wall_ms(broker->options.loop) -
                                   (int64_t)(rc_loop_now_ms(broker->options.loop) - rc_conn_active_ms(conn));
    if (conn->session != NULL && conn->session->conn == conn) {
        /* Who was never let in leaves no will, nor who has lost the right to say it. */
        if (conn->channel.state == RC_CHANNEL_OPENING || !rc_will_is_allowed(conn))
            rc_will_drop(conn->session);
        rc_session_leave(broker, conn->session);
    }
    if (conn->channel.state == RC_CHANNEL_NONE) {
        rc_list_push_back(&broker->dead, &conn->dirty);
    } else {
        rc_list_push_back(&broker->leaving, &conn->node);
        rc_presence_close(broker->presence, &conn->channel, client_said_so, reason);
    }
}

void rc_conn_touch(struct rc_conn *conn)
{
    if (conn->is_dirty || conn->is_dead)
        return;
    conn->is_dirty = true;
    rc_list_push_back(&conn->broker->dirty, &conn->dirty);
}

/* ---- reading ---- */

/* All strangers together may have this much half sent. */
static bool connecting_has_room(struct rc_conn *conn, size_t len)
{
    struct rc_broker *broker = conn->broker;
    if (!conn->is_connecting)
        return true;
    if (broker->connecting_bytes + len > RC_BROKER_CONNECTING_BYTES_MAX) {
        RC_COUNT(&broker->counters, dropped_connecting);
        rc_log_warn("mqtt", "connection closed: too many that have sent only a part of CONNECT");
        rc_conn_close(conn, false, "no-connect");
        return false;
    }
    broker->connecting_bytes += len;
    return true;
}

/* Keeps what cannot be handled yet; false when the connection was closed for sending too much. */
static bool keep(struct rc_conn *conn, struct rc_slice rest)
{
    if (rest.len == 0)
        return true;
    if (!connecting_has_room(conn, rest.len))
        return false;
    if (conn->partial == NULL) {
        conn->partial = rc_new(struct rc_buf);
        uint32_t max = conn->broker->options.max_packet_size + RC_SCRATCH_BYTES;
        rc_buf_init(conn->partial, conn->session ? max : RC_BROKER_CONNECT_BYTES_MAX + RC_SCRATCH_BYTES);
    }
    if (rc_buf_put_slice(conn->partial, rest) == RC_OK)
        return true;
    RC_COUNT(&conn->broker->counters, protocol_errors);
    rc_conn_close(conn, false, "protocol-error");
    return false;
}

static RC_APART void refuse_packet(struct rc_conn *conn, const struct rc_mqtt_packet *packet)
{
    char client[128];
    RC_COUNT(&conn->broker->counters, protocol_errors);
    rc_log_warn("mqtt", "client closed: %s in %s client=%s", rc_mqtt_reason_text(packet->reason),
                rc_mqtt_type_name(packet->type),
                rc_log_quote(client, sizeof(client), rc_slice_str(rc_session_client_id(conn->session))));
    rc_conn_disconnect(conn, packet->reason, "protocol-error");
}

/* Handles the packet at the front of `in`: bytes used, 0 needs more or waits, < 0 when the connection is
 * gone. */
static int64_t handle_one(struct rc_conn *conn, struct rc_slice in)
{
    struct rc_mqtt_packet packet;
    if (conn->session == NULL)
        return rc_connect_handle(conn, in);
    int64_t used = rc_mqtt_decode(in, conn->version, conn->broker->options.max_packet_size, &packet);
    if (used < 0)
        refuse_packet(conn, &packet);
    if (used <= 0)
        return used;
    RC_COUNT(&conn->broker->counters, packets_received);
    conn->channel.last_active_ms = (int64_t)rc_loop_now_ms(conn->broker->options.loop);
    return rc_packet_handle(conn, &packet) ? used : -1;
}

void rc_conn_consume(struct rc_conn *conn, struct rc_slice in)
{
    while (in.len > 0 && conn->channel.state != RC_CHANNEL_OPENING) {
        int64_t used = handle_one(conn, in);
        if (used < 0)
            return; /* closed, or moved: not ours any more */
        if (used == 0)
            break;
        in = rc_slice_from(in, (size_t)used);
    }
    keep(conn, in);
}

/* What was kept from before and what was just read, as one. */
static void consume_with_partial(struct rc_conn *conn, struct rc_slice in)
{
    if (conn->partial == NULL) {
        rc_conn_consume(conn, in);
        return;
    }
    if (!keep(conn, in))
        return;
    struct rc_buf *all = conn->partial;
    uint8_t reason;
    uint32_t max = conn->session ? conn->broker->options.max_packet_size : RC_BROKER_CONNECT_BYTES_MAX;
    int64_t size = rc_mqtt_frame_size(rc_buf_slice(all), conn->version, max, &reason);
    if (size == 0 || size > (int64_t)rc_buf_len(all))
        return; /* the packet is still not whole: do not parse it again for every piece */
    conn->partial = NULL;
    if (conn->is_connecting)
        conn->broker->connecting_bytes -= rc_buf_len(all);
    rc_conn_consume(conn, rc_buf_slice(all));
    rc_buf_free(all);
    free(all);
}

/* `why`: what the read returned. */
static void lost(struct rc_conn *conn, ssize_t why)
{
    if (why == RC_ERR_PROTOCOL) { /* of a layer: WebSocket, TLS */
        RC_COUNT(&conn->broker->counters, protocol_errors);
        rc_conn_close(conn, false, "protocol-error");
        return;
    }
    if (conn->session != NULL)
        RC_COUNT(&conn->broker->counters, connection_lost);
    rc_conn_close(conn, false, "connection-lost");
}

ssize_t rc_conn_fill_scratch(struct rc_conn *conn)
{
    struct rc_broker *broker = conn->broker;
    rc_unpoison(broker->scratch, sizeof(broker->scratch));
    ssize_t len = rc_stream_read(&conn->stream, broker->scratch, sizeof(broker->scratch));
    if (len >= 0) /* reading behind the packets is a fault, though there is memory */
        rc_poison(broker->scratch + len, sizeof(broker->scratch) - (size_t)len);
    return len;
}

void rc_conn_read(struct rc_conn *conn)
{
    struct rc_broker *broker = conn->broker;
    bool is_more = true; /* bytes that a layer holds are told by no event: they are taken beyond the limit */
    for (int i = 0; is_more && (i < RC_READS_PER_WAKE || rc_stream_pending(&conn->stream) > 0); i++) {
        ssize_t len = rc_conn_fill_scratch(conn);
        if (len == RC_ERR_AGAIN)
            return;
        if (len <= 0) {
            lost(conn, len);
            return;
        }
        bool was_client = conn->session != NULL;
        RC_COUNT_ADD(&broker->counters, bytes_received, len);
        consume_with_partial(conn, rc_slice(broker->scratch, (size_t)len));
        /* After a CONNECT the connection may be another shard's. */
        if (!was_client || conn->is_dead || rc_conn_throttle(conn, (size_t)len))
            return;
        is_more = len == (ssize_t)sizeof(broker->scratch) || rc_stream_pending(&conn->stream) > 0;
    }
}

void rc_conn_on_ready(struct rc_watch *watch, uint32_t events)
{
    struct rc_conn *conn = rc_container_of(watch, struct rc_conn, stream.watch);
    if (events & EPOLLOUT)
        rc_conn_touch(conn);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || rc_stream_reads_on_out(&conn->stream))
        rc_conn_read(conn);
}

void rc_conn_list(struct rc_broker *broker, struct rc_conn *conn, struct rc_list *list)
{
    conn->broker = broker;
    conn->is_listed = true;
    rc_list_push_back(list, &conn->node);
    RC_COUNT(&broker->counters, connections);
}

void rc_conn_arrive(struct rc_broker *broker, struct rc_conn *conn)
{
    rc_conn_list(broker, conn, &broker->conns);
    conn->channel.last_active_ms = (int64_t)rc_loop_now_ms(broker->options.loop);
    struct rc_buf *in = conn->partial;
    conn->partial = NULL;
    rc_connect_open(conn, rc_buf_slice(in));
    rc_buf_free(in);
    free(in);
}

/* ---- online ---- */

static void on_keep_alive(struct rc_timer *timer)
{
    struct rc_conn *conn = rc_container_of(timer, struct rc_conn, timer);
    struct rc_loop *loop = conn->broker->options.loop;
    uint64_t silent_ms = rc_conn_is_throttled(conn) ? 0 : rc_loop_now_ms(loop) - rc_conn_active_ms(conn);
    /* Restarted here alone, not for every packet: one timer operation per keep-alive period. */
    if (silent_ms < conn->keep_alive_ms) {
        rc_timer_start(loop, timer, conn->keep_alive_ms - silent_ms);
        return;
    }
    RC_COUNT(&conn->broker->counters, keep_alive_timeouts);
    rc_conn_disconnect(conn, RC_MQTT_KEEP_ALIVE_TIMEOUT, "keepalive-timeout");
}

/* Its connect is staged, but the log does not take it (a full disk): the client may try elsewhere or later.
 */
static void on_opening_timeout(struct rc_timer *timer)
{
    struct rc_conn *conn = rc_container_of(timer, struct rc_conn, timer);
    RC_COUNT(&conn->broker->counters, refused_log);
    rc_connack_refuse(conn, RC_MQTT_SERVER_UNAVAILABLE, NULL, "log-blocked");
}

void rc_conn_opening(struct rc_conn *conn)
{
    struct rc_broker *broker = conn->broker;
    if (conn->is_connecting) {
        rc_conn_unlist(conn);
        rc_conn_list(broker, conn, &broker->conns);
    }
    conn->timer.on_due = on_opening_timeout;
    rc_timer_start(broker->options.loop, &conn->timer, broker->options.connect_timeout_ms);
    if (conn->stream.loop != NULL) /* nothing is read before CONNACK; a broken connection is noticed then */
        rc_stream_detach(&conn->stream);
}

void rc_conn_online(struct rc_conn *conn)
{
    struct rc_broker *broker = conn->broker;
    RC_COUNT(&broker->counters, connects);
    RC_COUNT(&broker->counters, clients);
    rc_roll_enter(conn);
    conn->timer.on_due = on_keep_alive;
    if (conn->keep_alive_ms > 0)
        rc_timer_start(broker->options.loop, &conn->timer, conn->keep_alive_ms);
    else
        rc_timer_stop(&conn->timer);
    if (conn->stream.loop == NULL &&
        rc_stream_attach(&conn->stream, broker->options.loop, EPOLLIN) != RC_OK) {
        rc_conn_close(conn, false, "internal-error");
        return;
    }
    if (!rc_connack_accept(conn)) {
        rc_conn_close(conn, false, "protocol-error");
        return;
    }
    rc_sys_connected(conn);
    rc_tokens_start(conn);
    /* Before anything that the client sent ahead, which may bring it new messages. */
    rc_share_presence(broker, conn->session, true);
    rc_delivery_resume(conn->session);
    if (conn->partial != NULL)
        consume_with_partial(conn, rc_slice(NULL, 0));
    if (!conn->is_dead && rc_stream_pending(&conn->stream) > 0)
        rc_conn_read(conn);
}
