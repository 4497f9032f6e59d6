#include "cli/bench_client.h"

#include "base/alloc.h"
#include "auth/sign.h"
#include "base/error.h"
#include "net/stream_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SCRATCH_BYTES = 256 * 1024, SESSION_EXPIRY_S = 3600 };

#define NO_PROPS rc_slice(NULL, 0)

/* ---- out ---- */

static void mark_dirty(struct rc_bench_client *client)
{
    if (!rc_list_is_linked(&client->dirty))
        rc_list_push_back(&client->net->dirty, &client->dirty);
}

static void put_packet(struct rc_bench_client *client)
{
    struct rc_buf *packet = &client->net->packet;
    if (client->frames != NULL) {
        uint8_t header[RC_WEBSOCKET_CLIENT_HEADER_MAX];
        rc_output_put(&client->output, header, rc_websocket_client_header(header, rc_buf_len(packet)));
    }
    rc_output_put(&client->output, rc_buf_slice(packet).ptr, rc_buf_len(packet));
    rc_buf_consume(packet, rc_buf_len(packet));
    mark_dirty(client);
}

static uint16_t next_packet_id(struct rc_bench_client *client)
{
    if (++client->packet_id == 0)
        client->packet_id = 1;
    return client->packet_id;
}

static void release(struct rc_bench_client *client)
{
    rc_list_remove(&client->dirty);
    rc_list_remove(&client->all);
    rc_stream_close(&client->stream);
    rc_output_free(&client->output);
    rc_buf_free(&client->in);
    free(client->frames);
    free(client);
}

static void end(struct rc_bench_client *client)
{
    client->net->events->on_end(client);
    release(client);
}

void rc_bench_net_flush(struct rc_bench_net *net)
{
    while (!rc_list_is_empty(&net->dirty)) {
        struct rc_bench_client *client = rc_container_of(net->dirty.next, struct rc_bench_client, dirty);
        rc_list_remove(&client->dirty);
        int err = rc_output_flush(&client->output, &client->stream);
        if (err != RC_OK && err != RC_ERR_AGAIN)
            end(client);
    }
}

void rc_bench_client_subscribe(struct rc_bench_client *client, const char *topic, uint8_t qos)
{
    struct rc_buf entries;
    rc_buf_init(&entries, 65536);
    rc_mqtt_put_subscription(&entries, rc_slice_str(topic), qos);
    rc_mqtt_put_subscribe(&client->net->packet, client->net->version, next_packet_id(client),
                          rc_buf_slice(&entries), NO_PROPS);
    rc_buf_free(&entries);
    client->subscriptions++;
    put_packet(client);
}

void rc_bench_client_publish(struct rc_bench_client *client, const char *topic, uint8_t qos,
                             struct rc_slice payload)
{
    struct rc_mqtt_publish publish = {.qos = qos, .topic = rc_slice_str(topic), .payload = payload};
    if (qos > 0) {
        publish.packet_id = next_packet_id(client);
        client->unacked++;
    }
    rc_mqtt_put_publish(&client->net->packet, client->net->version, &publish, NO_PROPS);
    put_packet(client);
}

void rc_bench_client_leave(struct rc_bench_client *client)
{
    rc_mqtt_put_disconnect(&client->net->packet, client->net->version, 0, NO_PROPS);
    client->state = RC_BENCH_LEAVING;
    put_packet(client);
}

static void put_ack(struct rc_bench_client *client, enum rc_mqtt_type type, uint16_t packet_id)
{
    rc_mqtt_put_ack(&client->net->packet, client->net->version, (uint8_t)type, packet_id, 0, NO_PROPS);
    put_packet(client);
}

/* ---- in ---- */

static void take_publish(struct rc_bench_client *client, const struct rc_mqtt_publish *publish)
{
    if (publish->qos == 1)
        put_ack(client, RC_MQTT_PUBACK, publish->packet_id);
    else if (publish->qos == 2)
        put_ack(client, RC_MQTT_PUBREC, publish->packet_id);
    client->net->events->on_message(client, publish);
}

static void take_acked(struct rc_bench_client *client)
{
    client->unacked--;
    client->net->events->on_acked(client);
}

/* False when the client is to end. */
static bool take_packet(struct rc_bench_client *client, const struct rc_mqtt_packet *packet)
{
    switch (packet->type) {
    case RC_MQTT_CONNACK:
        if (packet->connack.reason != 0)
            return false;
        client->state = RC_BENCH_UP;
        client->net->events->on_up(client);
        break;
    case RC_MQTT_SUBACK:
        if (packet->suback.codes.len != 1 || packet->suback.codes.ptr[0] > 2)
            return false;
        if (--client->subscriptions == 0)
            client->net->events->on_subscribed(client);
        break;
    case RC_MQTT_PUBLISH:
        take_publish(client, &packet->publish);
        break;
    case RC_MQTT_PUBREC:
        put_ack(client, RC_MQTT_PUBREL, packet->ack.packet_id);
        break;
    case RC_MQTT_PUBREL:
        put_ack(client, RC_MQTT_PUBCOMP, packet->ack.packet_id);
        break;
    case RC_MQTT_PUBACK:
    case RC_MQTT_PUBCOMP:
        take_acked(client);
        break;
    case RC_MQTT_DISCONNECT:
        return false;
    default:
        break;
    }
    return true;
}

/* The bytes used, < 0 when the client is to end. */
static int64_t take_packets(struct rc_bench_client *client, struct rc_slice in)
{
    size_t used = 0;
    while (used < in.len) {
        struct rc_mqtt_packet packet;
        int64_t size =
            rc_mqtt_decode(rc_slice_from(in, used), client->net->version, RC_BENCH_PACKET_MAX, &packet);
        if (size == 0)
            break;
        if (size < 0 || !take_packet(client, &packet))
            return -1;
        used += (size_t)size;
    }
    return (int64_t)used;
}

/* False when the client is to end. */
static bool take_bytes(struct rc_bench_client *client, const uint8_t *bytes, size_t len)
{
    struct rc_slice in = rc_slice(bytes, len);
    bool is_kept = rc_buf_len(&client->in) > 0;
    if (is_kept) {
        if (rc_buf_put(&client->in, bytes, len) != RC_OK)
            return false;
        in = rc_buf_slice(&client->in);
    }
    int64_t used = take_packets(client, in);
    if (used < 0)
        return false;
    if (is_kept)
        rc_buf_consume(&client->in, (size_t)used);
    else if ((size_t)used < len)
        rc_buf_put(&client->in, bytes + used, len - (size_t)used);
    if (rc_buf_len(&client->in) == 0)
        rc_buf_free(&client->in);
    return true;
}

/* Messages out of frames, in place: as take_bytes. */
static bool take_frames(struct rc_bench_client *client, uint8_t *bytes, size_t len)
{
    struct rc_websocket_reader *frames = client->frames;
    int64_t taken = rc_websocket_reader_take(frames, bytes, len);
    if (taken >= 0 && frames->has_ping) {
        uint8_t pong[RC_WEBSOCKET_CLIENT_HEADER_MAX + RC_WEBSOCKET_CONTROL_MAX];
        frames->has_ping = false;
        rc_output_put(&client->output, pong,
                      rc_websocket_client_pong(pong, rc_slice(frames->control, frames->control_len)));
        mark_dirty(client);
    }
    return taken >= 0 && (taken == 0 || take_bytes(client, bytes, (size_t)taken));
}

static void put_connect(struct rc_bench_client *client);

/* The answer to the upgrade; a server says nothing more before it has seen CONNECT. */
static bool take_answer(struct rc_bench_client *client, const uint8_t *bytes, size_t len)
{
    if (rc_buf_put(&client->in, bytes, len) != RC_OK)
        return false;
    int64_t used = rc_websocket_client_answer(rc_buf_slice(&client->in));
    if (used < 0 || (used > 0 && (size_t)used != rc_buf_len(&client->in)))
        return false;
    if (used == 0)
        return true;
    rc_buf_free(&client->in);
    client->frames = rc_new(struct rc_websocket_reader);
    put_connect(client);
    return true;
}

static void on_readable(struct rc_bench_client *client)
{
    uint8_t *scratch = client->net->scratch;
    ssize_t len = rc_stream_read(&client->stream, scratch, SCRATCH_BYTES);
    if (len == RC_ERR_AGAIN)
        return;
    bool goes_on = len > 0;
    if (goes_on && client->state == RC_BENCH_UPGRADING)
        goes_on = take_answer(client, scratch, (size_t)len);
    else if (goes_on && client->frames != NULL)
        goes_on = take_frames(client, scratch, (size_t)len);
    else if (goes_on)
        goes_on = take_bytes(client, scratch, (size_t)len);
    if (!goes_on)
        end(client);
}

/* ---- beginning ---- */

static void put_connect(struct rc_bench_client *client)
{
    struct rc_bench_net *net = client->net;
    char client_id[RC_BENCH_CLIENT_ID_MAX + 16], signature[RC_SIGNATURE_LEN + 1];
    snprintf(client_id, sizeof(client_id), "%s%u", net->client_id_prefix, client->number);
    struct rc_mqtt_connect connect = {
        .version = net->version,
        .is_clean = net->is_clean,
        .keep_alive_s = net->keep_alive_s,
        .client_id = rc_slice_str(client_id),
        .has_user = net->user[0] != '\0',
        .user = rc_slice_str(net->user),
        .has_password = net->password != NULL || net->secret != NULL,
    };
    if (net->secret != NULL) {
        rc_sign(rc_slice_str(net->secret), &connect.client_id, 1, signature);
        connect.password = rc_slice_str(signature);
    } else if (net->password != NULL) {
        connect.password = rc_slice_str(net->password);
    }
    struct rc_buf props;
    rc_buf_init(&props, 64);
    if (net->version == RC_MQTT_V5 && !net->is_clean)
        rc_mqtt_props_put_number(&props, RC_MQTT_PROP_SESSION_EXPIRY, SESSION_EXPIRY_S);
    rc_mqtt_put_connect(&net->packet, &connect, rc_buf_slice(&props), NO_PROPS);
    rc_buf_free(&props);
    client->state = RC_BENCH_ASKING;
    put_packet(client);
}

static void put_upgrade(struct rc_bench_client *client)
{
    struct rc_bench_net *net = client->net;
    char host[RC_ADDRESS_TEXT_MAX];
    rc_websocket_client_request(&net->packet, rc_address_format(&net->server, host), net->path);
    client->state = RC_BENCH_UPGRADING;
    put_packet(client);
}

/* Bytes may flow: what comes first over them. */
static void begin(struct rc_bench_client *client)
{
    if (rc_stream_want(&client->stream, EPOLLIN) != RC_OK)
        end(client);
    else if (client->net->path != NULL)
        put_upgrade(client);
    else
        put_connect(client);
}

static void shake_hands(struct rc_bench_client *client)
{
    struct rc_error *error = &client->net->tls_error;
    uint32_t events = 0;
    int err = rc_stream_tls_handshake(&client->stream, &events, error);
    if (err == RC_OK)
        begin(client);
    else if (err != RC_ERR_AGAIN || rc_stream_want(&client->stream, events) != RC_OK)
        end(client);
}

static void on_dialed(struct rc_bench_client *client)
{
    const struct rc_bench_net *net = client->net;
    int error = 0;
    socklen_t len = sizeof(error);
    getsockopt(client->stream.watch.fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0 ||
        (net->tls != NULL && rc_stream_push_tls_client(&client->stream, net->tls, net->tls_name) != RC_OK)) {
        end(client);
        return;
    }
    client->state = RC_BENCH_SHAKING;
    if (net->tls != NULL)
        shake_hands(client);
    else
        begin(client);
}

static void on_ready(struct rc_watch *watch, uint32_t events)
{
    struct rc_bench_client *client = rc_container_of(watch, struct rc_bench_client, stream.watch);
    if (client->state == RC_BENCH_DIALING) {
        on_dialed(client);
        return;
    }
    if (client->state == RC_BENCH_SHAKING) {
        shake_hands(client);
        return;
    }
    if (events & EPOLLOUT)
        mark_dirty(client);
    if ((events & ~(uint32_t)EPOLLOUT) != 0 || rc_stream_reads_on_out(&client->stream))
        on_readable(client);
}

/* A loopback server is dialed from several addresses: each has only some 28,000 ports to give. */
static void bind_source(struct rc_bench_net *net, int fd)
{
    int on = 1;
    if (net->sources == 0)
        return;
    struct sockaddr_in source = {.sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl(0x7f010001u + net->next_source++ % net->sources)};
    setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    bind(fd, (struct sockaddr *)&source, sizeof(source));
}

static int dial(struct rc_bench_net *net)
{
    int on = 1;
    int fd = socket(net->server.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    bind_source(net, fd);
    if (connect(fd, &net->server.any, net->server.len) == 0 || errno == EINPROGRESS)
        return fd;
    close(fd);
    return -1;
}

struct rc_bench_client *rc_bench_client_start(struct rc_bench_net *net, uint32_t number, uint64_t begun_ns)
{
    int fd = dial(net);
    if (fd < 0)
        return NULL;
    struct rc_bench_client *client = rc_new(struct rc_bench_client);
    client->net = net;
    client->number = number;
    client->begun_ns = begun_ns;
    client->state = RC_BENCH_DIALING;
    rc_buf_init(&client->in, RC_BENCH_PACKET_MAX);
    rc_stream_open(&client->stream, fd);
    client->stream.watch.on_ready = on_ready;
    if (rc_stream_attach(&client->stream, net->loop, EPOLLOUT) != RC_OK) {
        rc_stream_close(&client->stream);
        free(client);
        return NULL;
    }
    rc_list_push_back(&net->all, &client->all);
    return client;
}

/* ---- life ---- */

void rc_bench_net_init(struct rc_bench_net *net)
{
    rc_list_init(&net->all);
    rc_list_init(&net->dirty);
    rc_buf_init(&net->packet, RC_BENCH_PACKET_MAX);
    net->scratch = rc_malloc(SCRATCH_BYTES);
}

void rc_bench_net_free(struct rc_bench_net *net)
{
    while (!rc_list_is_empty(&net->all))
        release(rc_container_of(net->all.next, struct rc_bench_client, all));
    rc_buf_free(&net->packet);
    free(net->scratch);
}
