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
        64 * 1024, /* body and properties of one event: a client id of 30 KiB would not fit, none is */
};

struct rc_presence {
    struct rc_presence_options options;
    struct rc_event_clock clock;
    struct rc_list waiting;
    uint32_t channels, waiting_count;
    uint8_t ids[ID_POOL][RC_CHANNEL_ID_LEN];
    uint32_t ids_left;
    int64_t tags_codes[RC_EVENT_TCPCLEAN + 1]; /* by type */
    /* The event that is being told, and its parts. */
    struct rc_event event;
    struct rc_message message;
    struct rc_buf client_id_json, keys, text;
    char client_ip[RC_CLIENT_IP_MAX];
};

struct rc_presence *rc_presence_create(const struct rc_presence_options *options)
{
    struct rc_presence *presence = rc_new(struct rc_presence);
    presence->options = *options;
    presence->event.node = rc_slice_str(options->node);
    presence->message.store_host = options->store_host;
    presence->message.props_are_sound = true;
    rc_event_clock_init(&presence->clock, options->floor_ms);
    (void)rc_event_month_ms(0); /* works the months out here, not on the shard with its first event */
    rc_list_init(&presence->waiting);
    for (int type = RC_EVENT_CONNECT; type <= RC_EVENT_TCPCLEAN; type++)
        presence->tags_codes[type] = rc_hash_java(rc_slice_str(rc_event_type_text(type)));
    rc_buf_init(&presence->client_id_json, SCRATCH_MAX);
    rc_buf_init(&presence->keys, SCRATCH_MAX);
    rc_buf_init(&presence->text, SCRATCH_MAX);
    return presence;
}

void rc_presence_destroy(struct rc_presence *presence)
{
    if (presence == NULL)
        return;
    rc_buf_free(&presence->client_id_json);
    rc_buf_free(&presence->keys);
    rc_buf_free(&presence->text);
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

/* What the events that a channel has now have in common: of client_id_json, keys and client_ip, views into
 * what is kept for them here. */
static int describe(struct rc_presence *presence, const struct rc_channel *channel)
{
    struct rc_event *event = &presence->event;
    event->client_id_json = event->keys = rc_slice_str(channel->client_id);
    if (!channel->is_plain) {
        int err = escape(presence, event->keys, &event->client_id_json, &event->keys);
        if (err != RC_OK)
            return err;
    }
    const char *certificate_sn =
        presence->options.certificate_sn != NULL ? presence->options.certificate_sn(channel) : NULL;
    memcpy(event->channel_id, channel->id, RC_CHANNEL_ID_LEN);
    event->client_ip = rc_channel_client_ip(channel, presence->client_ip);
    event->certificate_sn = certificate_sn != NULL ? rc_slice_str(certificate_sn) : rc_slice(NULL, 0);
    event->instance = rc_slice_str(channel->instance);
    event->reason = channel->reason ? rc_slice_str(channel->reason) : rc_slice(NULL, 0);
    event->protocol = rc_slice_str(channel->protocol);
    event->connect_ms = channel->connect_ms;
    event->last_active_ms = channel->last_active_ms;
    event->is_replay = false;
    struct rc_host *born_host = &presence->message.born_host;
    *born_host = (struct rc_host){0};
    if (!channel->is_v6 && !channel->is_local) { /* others stay 0.0.0.0: old clients read IPv4 only */
        memcpy(born_host->addr, channel->addr, 4);
        born_host->port = channel->port;
    }
    return RC_OK;
}

/* One event of the channel that was described. */
static int stage_event(struct rc_presence *presence, struct rc_queue *queue,
                       void (*on_written)(void *owner, const struct rc_append *append), void *owner)
{
    struct rc_message *message = &presence->message;
    empty(&presence->text);
    int err = rc_event_put(&presence->text, &presence->event, &message->body, &message->props);
    if (err != RC_OK)
        return err;
    message->born_ms = presence->event.time_ms;
    message->tags_code = presence->tags_codes[presence->event.type];
    return rc_log_stage(presence->options.sender, queue, message, 0, on_written, owner);
}

/* The channel is kept for as long as its records are under way. */
static int stage(struct rc_presence *presence, struct rc_channel *channel, enum rc_event_type type,
                 int64_t now_ms, void (*on_written)(void *owner, const struct rc_append *append))
{
    presence->event.type = type;
    presence->event.time_ms = rc_event_clock_next(now_ms, channel->last_ms);
    presence->event.sequence = channel->sequence + 1u;
    int err = stage_event(presence, channel->queue, on_written, channel);
    if (err != RC_OK)
        return err;
    channel->last_ms = presence->event.time_ms;
    channel->sequence++;
    return RC_OK;
}

static int64_t now(struct rc_presence *presence)
{
    struct rc_loop *loop = presence->options.loop;
    return rc_event_clock_now(&presence->clock, rc_loop_wall_ms(loop), (int64_t)rc_loop_now_ms(loop));
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
    struct rc_slice client_id = rc_slice_str(channel->client_id);
    channel->presence = presence;
    draw_id(presence, channel->id);
    channel->queue = rc_topic_queue(topic, rc_hash_java_queue(client_id, rc_topic_queue_count(topic)));
    channel->is_plain = rc_event_is_plain(client_id);
    channel->clock_slot = rc_event_clock_slot(client_id);
    channel->connect_ms = 0;
    channel->last_ms = rc_event_clock_departed(&presence->clock, channel->clock_slot);
    channel->sequence = 0;
    channel->reason = NULL;
    if (!rc_queue_hold(channel->queue)) /* for its tcpclean */
        return RC_ERR_CLOSED;
    int err = describe(presence, channel);
    err = err ? err : stage(presence, channel, RC_EVENT_CONNECT, now(presence), on_connect_written);
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
    int64_t now_ms = now(presence);
    int err = describe(presence, channel);
    if (err == RC_OK && channel->owes_disconnect) {
        err = stage(presence, channel, RC_EVENT_DISCONNECT, now_ms, NULL);
        channel->owes_disconnect = err != RC_OK;
    }
    err = err ? err : stage(presence, channel, RC_EVENT_TCPCLEAN, now_ms, on_tcpclean_written);
    if (err == RC_OK)
        rc_event_clock_depart(&presence->clock, channel->clock_slot, channel->last_ms);
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
    int err = describe(presence, channel);
    if (err != RC_OK)
        return err;
    presence->event.type = RC_EVENT_CONNECT;
    presence->event.time_ms = channel->connect_ms;
    presence->event.sequence = 1;
    presence->event.is_replay = true;
    return stage_event(presence, channel->queue, NULL, NULL);
}

uint32_t rc_presence_channels(const struct rc_presence *presence)
{
    return presence->channels;
}

uint32_t rc_presence_waiting(const struct rc_presence *presence)
{
    return presence->waiting_count;
}
