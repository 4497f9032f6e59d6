#include "presence/presence.h"

#include "base/alloc.h"
#include "base/decimal.h"
#include "base/error.h"
#include "base/hash.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/random.h>

enum {
    ID_POOL = 256, /* channel ids drawn from the kernel at a time */
    SCRATCH_MAX =
        64 * 1024, /* body or properties of one event: a client id of 64 KiB would not fit, none is */
};

struct rc_presence {
    struct rc_presence_options options;
    struct rc_event_clock clock;
    struct rc_list waiting;
    uint32_t channels, waiting_count;
    uint8_t ids[ID_POOL][RC_CHANNEL_ID_LEN];
    uint32_t ids_left;
    int64_t tags_codes[RC_EVENT_TCPCLEAN + 1];       /* by type */
    struct rc_buf client_id_json, keys, body, props; /* scratch */
};

struct rc_presence *rc_presence_create(const struct rc_presence_options *options)
{
    struct rc_presence *presence = rc_new(struct rc_presence);
    presence->options = *options;
    rc_event_clock_init(&presence->clock, options->floor_ms);
    rc_list_init(&presence->waiting);
    for (int type = RC_EVENT_CONNECT; type <= RC_EVENT_TCPCLEAN; type++)
        presence->tags_codes[type] = rc_hash_java(rc_slice_str(rc_event_type_text(type)));
    rc_buf_init(&presence->client_id_json, SCRATCH_MAX);
    rc_buf_init(&presence->keys, SCRATCH_MAX);
    rc_buf_init(&presence->body, SCRATCH_MAX);
    rc_buf_init(&presence->props, RC_MESSAGE_PROPS_MAX);
    return presence;
}

void rc_presence_destroy(struct rc_presence *presence)
{
    if (presence == NULL)
        return;
    rc_buf_free(&presence->client_id_json);
    rc_buf_free(&presence->keys);
    rc_buf_free(&presence->body);
    rc_buf_free(&presence->props);
    free(presence);
}

static void draw_id(struct rc_presence *presence, uint8_t out[RC_CHANNEL_ID_LEN])
{
    if (presence->ids_left == 0) {
        /* Up to 256 bytes never fail or come short once the kernel's pool is ready; ask in such pieces. */
        for (size_t at = 0; at < sizeof(presence->ids); at += 256)
            if (getrandom((uint8_t *)presence->ids + at, 256, 0) != 256)
                abort();
        presence->ids_left = ID_POOL;
    }
    memcpy(out, presence->ids[--presence->ids_left], RC_CHANNEL_ID_LEN);
}

/* "1.2.3.4:5" without a format string: it stands in every event. */
static size_t put_ipv4(char *out, const uint8_t addr[4], uint16_t port)
{
    size_t len = 0;
    for (int i = 0; i < 4; i++) {
        len += rc_decimal(out + len, addr[i]);
        out[len++] = i < 3 ? '.' : ':';
    }
    return len + rc_decimal(out + len, port);
}

struct rc_slice rc_channel_client_ip(const struct rc_channel *channel, char out[RC_CLIENT_IP_MAX])
{
    char ip[INET6_ADDRSTRLEN];
    static const uint8_t loopback[4] = {127, 0, 0, 1}; /* readers expect ip:port */
    if (channel->is_local)
        return rc_slice(out, put_ipv4(out, loopback, 0));
    if (!channel->is_v6)
        return rc_slice(out, put_ipv4(out, channel->addr, channel->port));
    int len = snprintf(out, RC_CLIENT_IP_MAX, "[%s]:%u", inet_ntop(AF_INET6, channel->addr, ip, sizeof(ip)),
                       channel->port);
    return rc_slice(out, (size_t)len);
}

static void empty(struct rc_buf *buf)
{
    rc_buf_consume(buf, rc_buf_len(buf));
}

static int escape(struct rc_presence *presence, struct rc_slice client_id, struct rc_slice *ret_json,
                  struct rc_slice *ret_keys)
{
    empty(&presence->client_id_json);
    empty(&presence->keys);
    int err = rc_event_put_client_id_json(&presence->client_id_json, client_id);
    err = err ? err : rc_event_put_keys(&presence->keys, client_id);
    *ret_json = rc_buf_slice(&presence->client_id_json);
    *ret_keys = rc_buf_slice(&presence->keys);
    return err;
}

/* Builds body and properties of the channel's next event in the scratch buffers. */
static int build(struct rc_presence *presence, const struct rc_channel *channel, enum rc_event_type type,
                 int64_t time_ms, uint32_t sequence)
{
    char ip[RC_CLIENT_IP_MAX];
    struct rc_slice client_id = rc_slice_str(channel->client_id);
    struct rc_slice client_id_json = client_id, keys = client_id;
    empty(&presence->body);
    empty(&presence->props);
    int err = rc_event_is_plain(client_id) ? RC_OK : escape(presence, client_id, &client_id_json, &keys);
    if (err != RC_OK)
        return err;
    const char *certificate_sn =
        presence->options.certificate_sn != NULL ? presence->options.certificate_sn(channel) : NULL;
    struct rc_event event = {
        .type = type,
        .time_ms = time_ms,
        .client_id_json = client_id_json,
        .keys = keys,
        .client_ip = rc_channel_client_ip(channel, ip),
        .certificate_sn = certificate_sn != NULL ? rc_slice_str(certificate_sn) : rc_slice(NULL, 0),
        .sequence = sequence,
        .instance = rc_slice_str(channel->instance),
        .node = rc_slice_str(presence->options.node),
        .reason = channel->reason ? rc_slice_str(channel->reason) : rc_slice(NULL, 0),
        .protocol = rc_slice_str(channel->protocol),
        .connect_ms = channel->connect_ms,
        .last_active_ms = channel->last_active_ms,
    };
    memcpy(event.channel_id, channel->id, RC_CHANNEL_ID_LEN);
    err = rc_event_put_body(&presence->body, &event);
    return err ? err : rc_event_put_props(&presence->props, &event);
}

/* What was built, as a message. */
static void fill_message(const struct rc_presence *presence, const struct rc_channel *channel,
                         enum rc_event_type type, int64_t time_ms, struct rc_message *ret)
{
    *ret = (struct rc_message){
        .born_ms = time_ms,
        .store_host = presence->options.store_host,
        .body = rc_buf_slice(&presence->body),
        .props = rc_buf_slice(&presence->props),
        .props_are_sound = true,
        .tags_code = presence->tags_codes[type],
    };
    if (!channel->is_v6 && !channel->is_local) { /* others stay 0.0.0.0: old clients read IPv4 only */
        memcpy(ret->born_host.addr, channel->addr, 4);
        ret->born_host.port = channel->port;
    }
}

/* The channel is kept for as long as its records are under way. */
static int stage(struct rc_presence *presence, struct rc_channel *channel, enum rc_event_type type,
                 void (*on_written)(void *owner, const struct rc_append *append))
{
    int64_t time_ms =
        rc_event_clock_next(&presence->clock, rc_slice_str(channel->client_id), channel->last_ms);
    int err = build(presence, channel, type, time_ms, channel->sequence + 1u);
    if (err != RC_OK)
        return err;
    struct rc_message message;
    fill_message(presence, channel, type, time_ms, &message);
    err = rc_log_stage(presence->options.sender, channel->queue, &message, 0, on_written, channel);
    if (err != RC_OK)
        return err;
    channel->last_ms = time_ms;
    channel->sequence++;
    return RC_OK;
}

static void on_connect_written(void *owner, const struct rc_append *append)
{
    struct rc_channel *channel = owner;
    if (channel->state != RC_CHANNEL_OPENING)
        return; /* it left meanwhile; its tcpclean follows */
    channel->state = RC_CHANNEL_ONLINE;
    channel->presence->options.on_online(channel);
}

static void on_tcpclean_written(void *owner, const struct rc_append *append)
{
    struct rc_channel *channel = owner;
    channel->state = RC_CHANNEL_NONE;
    rc_queue_release(channel->queue);
    channel->presence->channels--;
    channel->presence->options.on_gone(channel);
}

int rc_presence_connect(struct rc_presence *presence, struct rc_channel *channel, struct rc_topic *topic)
{
    /* Behind departures that wait for room nothing may be staged: order. */
    if (!rc_list_is_empty(&presence->waiting))
        return RC_ERR_FULL;
    channel->presence = presence;
    draw_id(presence, channel->id);
    uint32_t queue = rc_hash_java_queue(rc_slice_str(channel->client_id), rc_topic_queue_count(topic));
    channel->queue = rc_topic_queue(topic, queue);
    channel->connect_ms = channel->last_ms = 0;
    channel->sequence = 0;
    channel->reason = NULL;
    if (!rc_queue_hold(channel->queue)) /* for its tcpclean */
        return RC_ERR_CLOSED;
    int err = stage(presence, channel, RC_EVENT_CONNECT, on_connect_written);
    if (err != RC_OK) {
        rc_queue_release(channel->queue);
        return err;
    }
    channel->connect_ms = channel->last_ms;
    channel->state = RC_CHANNEL_OPENING;
    presence->channels++;
    return RC_OK;
}

/* Stages what a leaving channel owes; RC_ERR_FULL when some is left. */
static int stage_departure(struct rc_presence *presence, struct rc_channel *channel)
{
    if (channel->owes_disconnect) {
        int err = stage(presence, channel, RC_EVENT_DISCONNECT, NULL);
        if (err != RC_OK)
            return err;
        channel->owes_disconnect = false;
    }
    int err = stage(presence, channel, RC_EVENT_TCPCLEAN, on_tcpclean_written);
    if (err == RC_OK)
        rc_event_clock_depart(&presence->clock, rc_slice_str(channel->client_id), channel->last_ms);
    return err;
}

void rc_presence_close(struct rc_presence *presence, struct rc_channel *channel, bool client_said_so,
                       const char *reason)
{
    if (channel->state != RC_CHANNEL_OPENING && channel->state != RC_CHANNEL_ONLINE)
        return;
    channel->state = RC_CHANNEL_LEAVING;
    channel->reason = reason;
    channel->owes_disconnect = client_said_so;
    if (rc_list_is_empty(&presence->waiting) && stage_departure(presence, channel) == RC_OK)
        return;
    rc_list_push_back(&presence->waiting, &channel->node);
    presence->waiting_count++;
}

void rc_presence_on_room(struct rc_presence *presence)
{
    while (!rc_list_is_empty(&presence->waiting)) {
        struct rc_channel *channel = rc_container_of(presence->waiting.next, struct rc_channel, node);
        if (stage_departure(presence, channel) != RC_OK)
            return;
        rc_list_remove(&channel->node);
        presence->waiting_count--;
    }
}

int rc_presence_announce(struct rc_presence *presence, const struct rc_channel *channel)
{
    if (channel->state != RC_CHANNEL_ONLINE)
        return RC_ERR_INVALID;
    if (!rc_list_is_empty(&presence->waiting))
        return RC_ERR_FULL;
    int err = build(presence, channel, RC_EVENT_CONNECT, channel->connect_ms, 1);
    err = err ? err : rc_props_put(&presence->props, RC_PROP_REPLAY, rc_slice_str("1"));
    if (err != RC_OK)
        return err;
    struct rc_message message;
    fill_message(presence, channel, RC_EVENT_CONNECT, channel->connect_ms, &message);
    return rc_log_stage(presence->options.sender, channel->queue, &message, 0, NULL, NULL);
}

uint32_t rc_presence_channels(const struct rc_presence *presence)
{
    return presence->channels;
}

uint32_t rc_presence_waiting(const struct rc_presence *presence)
{
    return presence->waiting_count;
}
