/*
 * From accept to the first byte of MQTT: limits, the layers below MQTT, and how fast a client may send.
 *
 * Design notes
 * - Strangers may be many and silent: those without a CONNECT stand in a list of their own, and when that is
 * full the longest silent makes room for the newest, so a flood does not keep out who logs in at once. The
 * same holds for those in a handshake, which cost memory, within their listener.
 * - A handshake is a millisecond of computing. A turn of the loop spends RC_BROKER_OPENING_TURN_NS on them;
 * the others stay ready and are asked again in the next turn, after the clients have had theirs.
 */
#include "broker/private.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "net/opening.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <unistd.h>

/* ---- limits ---- */

/* One for all shards: a connection is counted where it was accepted, and leaves where it ends. */
static struct rc_admission *server_admission(struct rc_broker *broker)
{
    if (broker->options.admission != NULL)
        return broker->options.admission;
    return broker->options.brokers != NULL ? &broker->options.brokers[0]->own_admission
                                           : &broker->own_admission;
}

static bool may_accept(struct rc_broker *broker, struct rc_transport *transport)
{
    struct rc_admission *all = server_admission(broker);
    if (broker->is_stopping)
        return false;
    if (!rc_admission_enter(&all->connections, broker->options.max_connections)) {
        RC_COUNT(&broker->counters, refused_limit);
        rc_log_warn("mqtt", "connection refused: this server has its %u connections (max_connections)",
                    broker->options.max_connections);
        return false;
    }
    if (transport == NULL ||
        rc_admission_enter(&transport->admission->connections, transport->limits.connections))
        return true;
    rc_admission_leave(&all->connections);
    atomic_fetch_add_explicit(&transport->admission->refused_connections, 1, memory_order_relaxed);
    RC_COUNT(&broker->counters, refused_limit);
    rc_log_warn("mqtt", "connection refused: the listener %s has its %u connections (limits.connections)",
                transport->name, transport->limits.connections);
    return false;
}

/* The longest under way of those that the same listener accepted on this shard, if it is not far down. */
static struct rc_conn *oldest_handshake(struct rc_broker *broker, const struct rc_transport *transport)
{
    int seen = 0;
    for (struct rc_list *node = broker->connecting.next;
         node != &broker->connecting && seen < RC_BROKER_HANDSHAKES_SEEN_MAX; node = node->next, seen++) {
        struct rc_conn *conn = rc_container_of(node, struct rc_conn, node);
        if (conn->is_in_handshake && conn->transport->admission == transport->admission)
            return conn;
    }
    return NULL;
}

static bool enter_handshake(struct rc_broker *broker, struct rc_conn *conn)
{
    const struct rc_transport *transport = conn->transport;
    struct rc_admission *admission = transport->admission;
    conn->is_in_handshake = rc_admission_enter(&admission->handshakes, transport->limits.handshakes);
    if (conn->is_in_handshake)
        return true;
    atomic_fetch_add_explicit(&admission->dropped_handshakes, 1, memory_order_relaxed);
    RC_COUNT(&broker->counters, dropped_connecting);
    rc_log_warn("mqtt", "connection closed: the listener %s has %u handshakes under way (limits.handshakes)",
                transport->name, transport->limits.handshakes);
    struct rc_conn *oldest = oldest_handshake(broker, transport);
    if (oldest == NULL)
        return false;
    rc_conn_close(oldest, false, "no-connect");
    conn->is_in_handshake = rc_admission_enter(&admission->handshakes, transport->limits.handshakes);
    return conn->is_in_handshake;
}

static void leave_handshake(struct rc_conn *conn)
{
    if (!conn->is_in_handshake)
        return;
    conn->is_in_handshake = false;
    rc_opening_free(conn->opening);
    conn->opening = NULL;
    rc_admission_leave(&conn->transport->admission->handshakes);
}

static void drop_throttle(struct rc_conn *conn);

void rc_conn_leave(struct rc_conn *conn)
{
    leave_handshake(conn);
    drop_throttle(conn);
    rc_admission_leave(&server_admission(conn->broker)->connections);
    if (conn->transport != NULL)
        rc_admission_leave(&conn->transport->admission->connections);
    rc_transport_unref(conn->transport);
    conn->transport = NULL;
}

/* ---- the layers below MQTT ---- */

static void set_peer(struct rc_channel *channel, const struct rc_address *peer)
{
    channel->is_v6 = channel->is_local = false;
    if (rc_address_ipv4(peer, channel->addr)) {
        channel->port = rc_address_port(peer);
    } else if (peer->any.sa_family == AF_INET6) {
        channel->is_v6 = true;
        channel->port = rc_address_port(peer);
        memcpy(channel->addr, &((const struct sockaddr_in6 *)&peer->storage)->sin6_addr, 16);
    } else {
        channel->is_local = true;
    }
}

static void opening_failed(struct rc_conn *conn, const struct rc_error *error)
{
    char peer[RC_CLIENT_IP_MAX];
    RC_COUNT(&conn->broker->counters, openings_failed);
    rc_log_warn("mqtt", "connection closed before MQTT: %s listener=%s from=%.*s", error->text,
                conn->transport->name, RC_SLICE_FMT(rc_channel_client_ip(&conn->channel, peer)));
    rc_conn_close(conn, false, "no-connect");
}

static void on_opening_ready(struct rc_watch *watch, uint32_t events)
{
    struct rc_conn *conn = rc_container_of(watch, struct rc_conn, stream.watch);
    struct rc_broker *broker = conn->broker;
    struct rc_error error = {.text = ""};
    if (broker->opening_ns >= RC_BROKER_OPENING_TURN_NS)
        return; /* readiness is told again in the next turn */
    uint64_t begun_ns = rc_clock_mono_ns();
    int err = rc_opening_step(conn->opening, &conn->stream, &error);
    broker->opening_ns += rc_clock_mono_ns() - begun_ns;
    const struct rc_address *client = rc_opening_client(conn->opening);
    if (client != NULL)
        set_peer(&conn->channel, client);
    if (err == RC_ERR_AGAIN)
        return;
    if (err != RC_OK) {
        opening_failed(conn, &error);
        return;
    }
    leave_handshake(conn);
    conn->stream.watch.on_ready = rc_conn_on_ready;
    rc_conn_read(conn); /* the CONNECT may have come with the last step's bytes */
}

/* ---- accepting ---- */

static void on_connect_timeout(struct rc_timer *timer)
{
    struct rc_conn *conn = rc_container_of(timer, struct rc_conn, timer);
    RC_COUNT(&conn->broker->counters, connect_timeouts);
    rc_conn_close(conn, false, "no-connect");
}

/* The longest silent stranger goes when there are too many. */
static void list_connecting(struct rc_broker *broker, struct rc_conn *conn)
{
    if (broker->connecting_count >= broker->options.max_connecting) {
        RC_COUNT(&broker->counters, dropped_connecting);
        rc_log_warn("mqtt", "connection closed: more than %u have sent no CONNECT",
                    broker->options.max_connecting);
        rc_conn_close(rc_container_of(broker->connecting.next, struct rc_conn, node), false, "no-connect");
    }
    rc_conn_list(broker, conn, &broker->connecting);
    conn->is_connecting = true;
    broker->connecting_count++;
}

static struct rc_conn *create_conn(struct rc_broker *broker, int fd, const struct rc_address *peer)
{
    struct rc_conn *conn = rc_new(struct rc_conn);
    rc_stream_open(&conn->stream, fd);
    conn->stream.watch.on_ready = rc_conn_on_ready;
    set_peer(&conn->channel, peer);
    conn->max_packet_out = UINT32_MAX;
    list_connecting(broker, conn);
    conn->channel.last_active_ms = (int64_t)rc_loop_now_ms(broker->options.loop);
    conn->timer.on_due = on_connect_timeout;
    rc_timer_start(broker->options.loop, &conn->timer, broker->options.connect_timeout_ms);
    return conn;
}

static void begin_opening(struct rc_broker *broker, struct rc_conn *conn)
{
    conn->stream.watch.on_ready = on_opening_ready;
    if (!enter_handshake(broker, conn)) {
        rc_opening_free(conn->opening);
        conn->opening = NULL;
        rc_conn_close(conn, false, "no-connect");
    } else if (rc_stream_attach(&conn->stream, broker->options.loop, EPOLLIN) != RC_OK) {
        rc_conn_close(conn, false, "internal-error");
    }
}

static void begin_mqtt(struct rc_broker *broker, struct rc_conn *conn)
{
    ssize_t len = rc_conn_fill_scratch(conn);
    RC_COUNT_ADD(&broker->counters, bytes_received, len > 0 ? len : 0);
    if (len > 0)
        rc_conn_consume(conn, rc_slice(broker->scratch, (size_t)len));
    else if (len != RC_ERR_AGAIN)
        rc_conn_close(conn, false, "connection-lost");
    else if (rc_stream_attach(&conn->stream, broker->options.loop, EPOLLIN) != RC_OK)
        rc_conn_close(conn, false, "internal-error");
}

void rc_broker_accept_on(struct rc_broker *broker, int fd, const struct rc_address *peer,
                         struct rc_transport *transport)
{
    RC_COUNT(&broker->counters, accepted);
    if (!may_accept(broker, transport)) {
        close(fd);
        return;
    }
    struct rc_conn *conn = create_conn(broker, fd, peer);
    if (transport != NULL) {
        atomic_fetch_add_explicit(&transport->admission->accepted, 1, memory_order_relaxed);
        conn->transport = rc_transport_ref(transport);
        conn->opening = rc_opening_create(transport, peer);
    }
    if (conn->opening != NULL)
        begin_opening(broker, conn);
    else
        begin_mqtt(broker, conn);
}

void rc_broker_accept(struct rc_broker *broker, int fd, const struct rc_address *peer)
{
    rc_broker_accept_on(broker, fd, peer, NULL);
}

/* ---- how fast a client may send ---- */

/* A second's worth may come at once; what goes beyond it stops the reading until it is made good. */
struct rc_throttle {
    struct rc_conn *conn;
    struct rc_timer timer;
    uint64_t due_ns; /* when what was read would have come at an even rate */
};

static void drop_throttle(struct rc_conn *conn)
{
    if (conn->throttle == NULL)
        return;
    rc_timer_stop(&conn->throttle->timer);
    free(conn->throttle);
    conn->throttle = NULL;
}

static void on_throttle_over(struct rc_timer *timer)
{
    struct rc_conn *conn = rc_container_of(timer, struct rc_throttle, timer)->conn;
    /* Its silence begins now: what it sent meanwhile was not looked at. */
    conn->channel.last_active_ms = (int64_t)rc_loop_now_ms(conn->broker->options.loop);
    if (rc_stream_want(&conn->stream, conn->stream.watch.events | EPOLLIN) != RC_OK)
        rc_conn_close(conn, false, "internal-error");
    else if (rc_stream_pending(&conn->stream) > 0)
        rc_conn_read(conn);
}

bool rc_conn_is_throttled(const struct rc_conn *conn)
{
    return conn->throttle != NULL && rc_timer_is_running(&conn->throttle->timer);
}

bool rc_conn_throttle(struct rc_conn *conn, size_t len)
{
    static const uint64_t second = 1000000000u;
    if (conn->transport == NULL || conn->transport->limits.bytes_per_second == 0 || conn->stream.loop == NULL)
        return false;
    uint64_t now = rc_clock_mono_ns();
    if (conn->throttle == NULL) {
        conn->throttle = rc_new(struct rc_throttle);
        conn->throttle->conn = conn;
        conn->throttle->timer.on_due = on_throttle_over;
    }
    struct rc_throttle *throttle = conn->throttle;
    uint64_t from = throttle->due_ns > now ? throttle->due_ns : now;
    throttle->due_ns = from + len * second / conn->transport->limits.bytes_per_second;
    if (throttle->due_ns <= now + second)
        return false;
    RC_COUNT(&conn->broker->counters, throttled);
    rc_stream_want(&conn->stream, conn->stream.watch.events & ~(uint32_t)EPOLLIN);
    rc_timer_start(conn->broker->options.loop, &throttle->timer,
                   (throttle->due_ns - now - second) / 1000000u);
    return true;
}
