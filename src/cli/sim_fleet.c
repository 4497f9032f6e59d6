/*
 * Design notes
 * - The k-th arrival belongs at start + k/rate whatever the server does; a timer starts those that are due.
 * So a slow server shows in the latencies and in `missed`, not in a lower load.
 * - A connection's times are taken when the system call is made, not when the loop's turn began.
 */
#include "cli/sim_fleet.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "auth/sign.h"
#include "mqtt/packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READ_BYTES = 64 * 1024,
    PACKET_MAX = 256 * 1024, /* the largest that the server may send a simulated device */
    TICK_MS = 4,
    STARTS_PER_TICK = 2000, /* what is due beyond that starts a tick later */
    USER_MAX = 1024,
};

enum state { DIALING, ASKING, UP };

struct conn {
    struct rc_list node; /* in the fleet's list of connections that are up */
    struct rc_watch watch;
    struct rc_timer timer; /* CONNACK's timeout, then the end of the stay */
    struct rc_timer ping;
    struct rc_sim_fleet *fleet;
    struct rc_list all;
    struct rc_buf in;
    uint32_t entry, client;
    uint8_t state;
    bool is_superseded; /* a newer connection of this client is on its way */
    uint32_t flaps_left;
};

struct rc_sim_fleet {
    struct rc_loop *loop;
    struct rc_sim_fleet_options options;
    struct rc_sim_record *record;
    struct rc_sim_tally tally;
    struct conn **current; /* by client: its newest connection or NULL */
    struct rc_list up;     /* longest there first */
    struct rc_list all;
    struct rc_timer tick;
    char user[USER_MAX];
    uint64_t phase_start_us;
    uint64_t phase_count; /* arrivals or departures since then */
    uint32_t next_source;
    bool is_leaving, is_done;
    void (*on_done)(void *arg);
    void *arg;
    uint8_t scratch[READ_BYTES];
};

static struct rc_sim_entry *entry_of(const struct conn *conn)
{
    return &conn->fleet->record->entries[conn->entry];
}

static uint64_t now_us(const struct rc_sim_fleet *fleet)
{
    return rc_sim_record_now_us(fleet->record);
}

/* ---- ending a connection ---- */

static void start_conn(struct rc_sim_fleet *fleet, uint32_t client, uint32_t flaps_left);

/* The system call comes last, so that end_us is before anything that the server can see of it. */
static void destroy(struct conn *conn, enum rc_sim_end end)
{
    struct rc_sim_fleet *fleet = conn->fleet;
    struct rc_sim_entry *entry = entry_of(conn);
    if (conn->state == UP)
        fleet->tally.up--;
    else if (entry->outcome == RC_SIM_UNANSWERED)
        fleet->tally.unanswered++;
    rc_timer_stop(&conn->timer);
    rc_timer_stop(&conn->ping);
    rc_list_remove(&conn->node);
    rc_list_remove(&conn->all);
    rc_loop_unwatch(fleet->loop, &conn->watch);
    rc_buf_free(&conn->in);
    if (fleet->current[conn->client] == conn)
        fleet->current[conn->client] = NULL;
    entry->end = (uint8_t)end;
    if (entry->end_us == 0)
        entry->end_us = now_us(fleet);
    fleet->tally.ends[end]++;
    fleet->tally.connections--;
    if (conn->watch.fd >= 0)
        close(conn->watch.fd);
    free(conn);
}

static void end_conn(struct conn *conn, enum rc_sim_end end)
{
    static const uint8_t goodbye[2] = {RC_MQTT_DISCONNECT << 4, 0};
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    int fd = conn->watch.fd;
    entry_of(conn)->end_us = now_us(conn->fleet);
    if (end == RC_SIM_END_LEAVE && conn->state == UP && send(fd, goodbye, sizeof(goodbye), MSG_NOSIGNAL) < 0)
        end = RC_SIM_END_CLOSE;
    if (end == RC_SIM_END_CUT)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    destroy(conn, end);
}

static enum rc_sim_end end_of_pattern(enum rc_sim_pattern pattern)
{
    switch (pattern) {
    case RC_SIM_CUT:
        return RC_SIM_END_CUT;
    case RC_SIM_FLAP:
        return RC_SIM_END_CLOSE;
    default:
        return RC_SIM_END_LEAVE;
    }
}

static void on_timer(struct rc_timer *timer)
{
    struct conn *conn = rc_container_of(timer, struct conn, timer);
    struct rc_sim_fleet *fleet = conn->fleet;
    uint32_t client = conn->client, flaps_left = conn->flaps_left;
    if (conn->state != UP) {
        end_conn(conn, RC_SIM_END_TIMEOUT);
        return;
    }
    end_conn(conn, end_of_pattern(fleet->options.pattern));
    if (fleet->options.pattern == RC_SIM_FLAP && flaps_left > 0 && !fleet->is_leaving)
        start_conn(fleet, client, flaps_left - 1);
}

static void on_ping(struct rc_timer *timer)
{
    static const uint8_t pingreq[2] = {RC_MQTT_PINGREQ << 4, 0};
    struct conn *conn = rc_container_of(timer, struct conn, ping);
    if (send(conn->watch.fd, pingreq, sizeof(pingreq), MSG_NOSIGNAL) < 0 && errno != EAGAIN)
        return; /* the watch will tell */
    rc_timer_start(conn->fleet->loop, &conn->ping, conn->fleet->options.keep_alive_s * 1000u / 2);
}

/* ---- what the server says ---- */

static void come_up(struct conn *conn)
{
    struct rc_sim_fleet *fleet = conn->fleet;
    entry_of(conn)->outcome = RC_SIM_ACCEPTED;
    conn->state = UP;
    rc_timer_stop(&conn->timer);
    rc_list_push_back(&fleet->up, &conn->node);
    fleet->tally.accepted++;
    if (++fleet->tally.up > fleet->tally.up_max)
        fleet->tally.up_max = fleet->tally.up;
    if (fleet->options.pattern != RC_SIM_HOLD && fleet->options.pattern != RC_SIM_TAKEOVER)
        rc_timer_start(fleet->loop, &conn->timer, fleet->options.stay_ms);
    if (fleet->options.keep_alive_s > 0)
        rc_timer_start(fleet->loop, &conn->ping, fleet->options.keep_alive_s * 1000u / 2);
}

/* False when the connection is gone. */
static bool on_connack(struct conn *conn, uint8_t code)
{
    struct rc_sim_fleet *fleet = conn->fleet;
    if (conn->state != ASKING) {
        end_conn(conn, RC_SIM_END_CLOSE);
        return false;
    }
    entry_of(conn)->answer_us = now_us(fleet);
    entry_of(conn)->code = code;
    if (code == 0) {
        come_up(conn);
        return true;
    }
    entry_of(conn)->outcome = RC_SIM_REFUSED;
    fleet->tally.refused++;
    fleet->tally.last_refusal = code;
    end_conn(conn, RC_SIM_END_CLOSE);
    return false;
}

/* Of all else that a server may send, nothing needs an answer at QoS 0. Returns the bytes used, < 0 when the
 * connection is gone. */
static int64_t take_packets(struct conn *conn, struct rc_slice in)
{
    size_t used = 0;
    while (used < in.len) {
        struct rc_mqtt_packet packet;
        int64_t size = rc_mqtt_decode(rc_slice_from(in, used), RC_MQTT_V311, PACKET_MAX, &packet);
        if (size == 0)
            break;
        if (size < 0) {
            end_conn(conn, RC_SIM_END_CLOSE);
            return -1;
        }
        used += (size_t)size;
        if (packet.type == RC_MQTT_CONNACK && !on_connack(conn, packet.connack.reason))
            return -1;
    }
    return (int64_t)used;
}

/* False when the connection is gone. */
static bool take_bytes(struct conn *conn, const uint8_t *bytes, size_t len)
{
    struct rc_slice in = rc_slice(bytes, len);
    if (rc_buf_len(&conn->in) > 0) {
        if (rc_buf_put(&conn->in, bytes, len) != RC_OK) {
            end_conn(conn, RC_SIM_END_CLOSE);
            return false;
        }
        in = rc_buf_slice(&conn->in);
    }
    int64_t used = take_packets(conn, in);
    if (used < 0)
        return false;
    if (rc_buf_len(&conn->in) > 0)
        rc_buf_consume(&conn->in, (size_t)used);
    else if ((size_t)used < len)
        rc_buf_put(&conn->in, bytes + used, len - (size_t)used);
    if (rc_buf_len(&conn->in) == 0)
        rc_buf_free(&conn->in);
    return true;
}

static void on_readable(struct conn *conn)
{
    uint8_t *scratch = conn->fleet->scratch;
    ssize_t len = recv(conn->watch.fd, scratch, READ_BYTES, 0);
    if (len > 0)
        take_bytes(conn, scratch, (size_t)len);
    else if (len == 0 || (errno != EAGAIN && errno != EINTR))
        destroy(conn, conn->is_superseded ? RC_SIM_END_TAKEOVER : RC_SIM_END_SERVER);
}

/* ---- beginning one ---- */

static void send_connect(struct conn *conn)
{
    struct rc_sim_fleet *fleet = conn->fleet;
    char client_id[RC_SIM_CLIENT_ID_MAX * 2 + 16], password[RC_SIGNATURE_LEN + 1];
    rc_sim_client_id(fleet->record, conn->client, client_id);
    struct rc_slice signed_text = rc_slice_str(client_id);
    rc_sign(rc_slice_str(fleet->options.secret_key), &signed_text, 1, password);
    struct rc_mqtt_connect connect = {
        .version = RC_MQTT_V311,
        .is_clean = true,
        .keep_alive_s = fleet->options.keep_alive_s,
        .client_id = rc_slice_str(client_id),
        .has_user = true,
        .user = rc_slice_str(fleet->user),
        .has_password = true,
        .password = rc_slice_str(password),
    };
    struct rc_buf out;
    rc_buf_init(&out, PACKET_MAX);
    rc_mqtt_put_connect(&out, &connect, rc_slice(NULL, 0), rc_slice(NULL, 0));
    entry_of(conn)->connect_us = now_us(fleet);
    conn->state = ASKING;
    ssize_t sent = send(conn->watch.fd, rc_buf_slice(&out).ptr, rc_buf_len(&out), MSG_NOSIGNAL);
    bool ok = sent == (ssize_t)rc_buf_len(&out);
    rc_buf_free(&out);
    if (!ok)
        destroy(conn, RC_SIM_END_SERVER);
    else
        rc_loop_rewatch(fleet->loop, &conn->watch, EPOLLIN);
}

static void note_local_address(struct conn *conn)
{
    struct rc_address local;
    struct rc_sim_entry *entry = entry_of(conn);
    if (rc_address_of_socket(conn->watch.fd, &local) != RC_OK)
        return;
    entry->local_port = rc_address_port(&local);
    entry->is_v6 = !rc_address_ipv4(&local, entry->local_addr);
    if (entry->is_v6)
        memcpy(entry->local_addr, &((struct sockaddr_in6 *)&local.storage)->sin6_addr, 16);
}

static void on_dialed(struct conn *conn)
{
    int error = 0;
    socklen_t len = sizeof(error);
    getsockopt(conn->watch.fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0) {
        entry_of(conn)->outcome = RC_SIM_NOT_REACHED;
        conn->fleet->tally.not_reached++;
        destroy(conn, RC_SIM_END_NONE);
        return;
    }
    note_local_address(conn);
    send_connect(conn);
}

static void on_ready(struct rc_watch *watch, uint32_t events)
{
    struct conn *conn = rc_container_of(watch, struct conn, watch);
    if (conn->state == DIALING)
        on_dialed(conn);
    else
        on_readable(conn);
}

/* A loopback server is dialed from several addresses: each has only some 28,000 ports to give. */
static void bind_source(struct rc_sim_fleet *fleet, int fd)
{
    int on = 1;
    uint8_t ip[4];
    if (fleet->options.sources == 0 || !rc_address_ipv4(&fleet->options.server, ip))
        return;
    uint32_t number = fleet->next_source++ % fleet->options.sources;
    struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f010001u + number)};
    setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    bind(fd, (struct sockaddr *)&source, sizeof(source));
}

static int dial(struct rc_sim_fleet *fleet)
{
    const struct rc_address *server = &fleet->options.server;
    int on = 1;
    int fd = socket(server->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    bind_source(fleet, fd);
    if (connect(fd, &server->any, server->len) == 0 || errno == EINPROGRESS)
        return fd;
    close(fd);
    return -1;
}

static void start_conn(struct rc_sim_fleet *fleet, uint32_t client, uint32_t flaps_left)
{
    uint32_t entry = rc_sim_record_add(fleet->record);
    if (entry >= RC_SIM_CONNECTIONS_MAX) {
        fleet->tally.missed++;
        return;
    }
    fleet->tally.started++;
    fleet->record->entries[entry].client = client;
    fleet->record->entries[entry].dial_us = now_us(fleet);
    int fd = dial(fleet);
    if (fd < 0) {
        fleet->record->entries[entry].outcome = RC_SIM_NOT_REACHED;
        fleet->tally.not_reached++;
        return;
    }
    struct conn *conn = rc_new(struct conn);
    conn->fleet = fleet;
    conn->entry = entry;
    conn->client = client;
    conn->flaps_left = flaps_left;
    conn->state = DIALING;
    conn->timer.on_due = on_timer;
    conn->ping.on_due = on_ping;
    conn->watch.on_ready = on_ready;
    rc_buf_init(&conn->in, PACKET_MAX);
    rc_list_push_back(&fleet->all, &conn->all);
    fleet->tally.connections++;
    if (fleet->current[client] != NULL)
        fleet->current[client]->is_superseded = true;
    fleet->current[client] = conn;
    rc_loop_watch(fleet->loop, &conn->watch, fd, EPOLLOUT);
    rc_timer_start(fleet->loop, &conn->timer, fleet->options.timeout_ms);
}

/* ---- the schedule ---- */

static bool is_repeating(const struct rc_sim_fleet *fleet)
{
    return fleet->options.pattern != RC_SIM_HOLD;
}

static void arrive(struct rc_sim_fleet *fleet)
{
    uint32_t client = (uint32_t)(fleet->phase_count % fleet->options.clients);
    struct conn *there = fleet->current[client];
    bool wants_it_there = fleet->options.pattern == RC_SIM_TAKEOVER;
    fleet->phase_count++;
    if (there != NULL && (!wants_it_there || there->state != UP)) {
        fleet->tally.missed++;
        return;
    }
    start_conn(fleet, client, fleet->options.flaps > 0 ? fleet->options.flaps - 1 : 0);
}

static void depart(struct rc_sim_fleet *fleet)
{
    fleet->phase_count++;
    if (!rc_list_is_empty(&fleet->up))
        end_conn(rc_container_of(fleet->up.next, struct conn, node), end_of_pattern(fleet->options.pattern));
}

/* How many more of the phase's arrivals or departures should have been by now. */
static uint64_t count_due(const struct rc_sim_fleet *fleet, double rate)
{
    uint64_t due = (uint64_t)((double)(now_us(fleet) - fleet->phase_start_us) * rate / 1e6) + 1;
    if (due <= fleet->phase_count)
        return 0;
    due -= fleet->phase_count;
    return due > STARTS_PER_TICK ? STARTS_PER_TICK : due;
}

static void tick_arrivals(struct rc_sim_fleet *fleet)
{
    uint64_t due = count_due(fleet, fleet->options.rate);
    while (due-- > 0 && (is_repeating(fleet) || fleet->phase_count < fleet->options.clients))
        arrive(fleet);
    if (fleet->options.duration_ms != 0 &&
        now_us(fleet) - fleet->phase_start_us >= fleet->options.duration_ms * 1000)
        rc_sim_fleet_finish(fleet);
}

static void tick_departures(struct rc_sim_fleet *fleet)
{
    for (uint64_t due = count_due(fleet, fleet->options.end_rate); due > 0; due--)
        depart(fleet);
    if (rc_list_is_empty(&fleet->all) && !fleet->is_done) {
        fleet->is_done = true;
        fleet->on_done(fleet->arg);
    }
}

static void on_tick(struct rc_timer *timer)
{
    struct rc_sim_fleet *fleet = rc_container_of(timer, struct rc_sim_fleet, tick);
    if (fleet->is_leaving)
        tick_departures(fleet);
    else
        tick_arrivals(fleet);
    if (!fleet->is_done)
        rc_timer_start(fleet->loop, &fleet->tick, TICK_MS);
}

void rc_sim_fleet_finish(struct rc_sim_fleet *fleet)
{
    if (fleet->is_leaving) {
        while (!rc_list_is_empty(&fleet->all))
            end_conn(rc_container_of(fleet->all.next, struct conn, all),
                     end_of_pattern(fleet->options.pattern));
        return;
    }
    fleet->is_leaving = true;
    fleet->phase_start_us = now_us(fleet);
    fleet->phase_count = 0;
}

/* ---- life ---- */

struct rc_sim_fleet *rc_sim_fleet_create(struct rc_loop *loop, const struct rc_sim_fleet_options *options,
                                         struct rc_sim_record *record, void (*on_done)(void *arg), void *arg)
{
    struct rc_sim_fleet *fleet = rc_new(struct rc_sim_fleet);
    fleet->loop = loop;
    fleet->options = *options;
    fleet->record = record;
    fleet->on_done = on_done;
    fleet->arg = arg;
    fleet->tick.on_due = on_tick;
    fleet->current = rc_calloc(options->clients, sizeof(struct conn *));
    rc_list_init(&fleet->up);
    rc_list_init(&fleet->all);
    snprintf(fleet->user, sizeof(fleet->user), "Signature|%s|%s", options->access_key, options->instance);
    return fleet;
}

void rc_sim_fleet_start(struct rc_sim_fleet *fleet)
{
    fleet->phase_start_us = now_us(fleet);
    rc_timer_start(fleet->loop, &fleet->tick, 0);
}

const struct rc_sim_tally *rc_sim_fleet_tally(const struct rc_sim_fleet *fleet)
{
    return &fleet->tally;
}

bool rc_sim_fleet_is_leaving(const struct rc_sim_fleet *fleet)
{
    return fleet->is_leaving;
}

void rc_sim_fleet_destroy(struct rc_sim_fleet *fleet)
{
    if (fleet == NULL)
        return;
    while (!rc_list_is_empty(&fleet->all))
        destroy(rc_container_of(fleet->all.next, struct conn, all), RC_SIM_END_NONE);
    rc_timer_stop(&fleet->tick);
    free(fleet->current);
    free(fleet);
}
