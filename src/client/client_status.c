/*
 * Design notes.
 * - What is remembered of a channel is which of its events have been seen; that set only grows, so the order
 *   in which they arrive, and how often, cannot matter. A channel is open while it has connect and lacks
 *   tcpclean. Everything else is a tombstone: also a tcpclean whose connect has not come yet, because that
 *   connect may still be under way.
 * - A tombstone's age counts from when it was made, by the local clock, and is renewed by nothing: a message
 *   that keeps coming back cannot keep it for ever.
 * - A client's entry lives exactly as long as it has a channel, open or remembered.
 */
#include "rollcall/client_status.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/list.h"
#include "base/map.h"
#include "client/client_event.h"

enum {
    DEFAULT_TOMBSTONES = 1000 * 1000,
    DEFAULT_OPEN = 4 * 1000 * 1000,
    DEFAULT_OPEN_PER_CLIENT = 16,
    IP_MAX = 63, /* longest "[v6]:port" is 47 */
};
#define DEFAULT_TOMBSTONE_MS (6 * 3600 * 1000ull)

#define SEEN(type) (1u << (type))

struct client {
    struct rc_list open; /* struct channel.node, by time */
    uint32_t open_count;
    uint32_t tombstones;
    int64_t last_end_ms; /* of the channel that ended last, by event time */
    char *last_channel;  /* NULL while none has ended */
    char *last_ip;
    char id[]; /* NUL-terminated */
};

struct channel {
    struct rc_list node; /* in its client's open list, or in the store's tombstones */
    struct client *client;
    int64_t connect_ms;
    uint64_t ended_at; /* local clock; only in a tombstone */
    char *ip;
    uint32_t seen;
    bool is_ended;
    uint32_t key_len;
    char key[]; /* channelId NUL clientId NUL: the two together are what is unique */
};

struct rc_client_status {
    struct rc_client_status_options options;
    struct rc_map clients;
    struct rc_map channels;
    struct rc_list tombstones; /* oldest first */
    struct rc_client_status_counts counts;
    json_t *last_json; /* keeps the texts of the last event that was handed out */
};

static struct rc_slice client_key(const void *item)
{
    return rc_slice_str(((const struct client *)item)->id);
}

static struct rc_slice channel_key(const void *item)
{
    const struct channel *channel = item;
    return rc_slice(channel->key, channel->key_len);
}

static uint64_t monotonic_ms(void *arg)
{
    return rc_clock_mono_ms();
}

void rc_client_status_options_default(struct rc_client_status_options *options)
{
    *options = (struct rc_client_status_options){
        .tombstone_ms = DEFAULT_TOMBSTONE_MS,
        .max_tombstones = DEFAULT_TOMBSTONES,
        .max_open = DEFAULT_OPEN,
        .max_open_per_client = DEFAULT_OPEN_PER_CLIENT,
        .now_ms = monotonic_ms,
    };
}

struct rc_client_status *rc_client_status_create(const struct rc_client_status_options *options)
{
    struct rc_client_status *store = rc_new(struct rc_client_status);
    struct rc_client_status_options *to = &store->options;
    rc_client_status_options_default(to);
    if (options != NULL) {
        to->tombstone_ms = options->tombstone_ms ? options->tombstone_ms : to->tombstone_ms;
        to->max_tombstones = options->max_tombstones ? options->max_tombstones : to->max_tombstones;
        to->max_open = options->max_open ? options->max_open : to->max_open;
        if (options->max_open_per_client != 0)
            to->max_open_per_client = options->max_open_per_client;
        to->now_ms = options->now_ms ? options->now_ms : to->now_ms;
        to->on_change = options->on_change;
        to->arg = options->arg;
    }
    rc_map_init(&store->clients, client_key);
    rc_map_init(&store->channels, channel_key);
    rc_list_init(&store->tombstones);
    return store;
}

static void free_channel(struct channel *channel)
{
    free(channel->ip);
    free(channel);
}

static void free_client(struct client *client)
{
    free(client->last_channel);
    free(client->last_ip);
    free(client);
}

void rc_client_status_destroy(struct rc_client_status *store)
{
    if (store == NULL)
        return;
    uint32_t cursor = 0;
    for (struct channel *it; (it = rc_map_next(&store->channels, &cursor)) != NULL;)
        free_channel(it);
    cursor = 0;
    for (struct client *it; (it = rc_map_next(&store->clients, &cursor)) != NULL;)
        free_client(it);
    rc_map_free(&store->channels);
    rc_map_free(&store->clients);
    json_decref(store->last_json);
    free(store);
}

/* ---- finding and making ---- */

static struct client *find_client(const struct rc_client_status *store, const char *client_id)
{
    return rc_map_find(&store->clients, rc_slice_str(client_id));
}

static struct client *obtain_client(struct rc_client_status *store, const char *client_id)
{
    struct client *client = find_client(store, client_id);
    if (client != NULL)
        return client;
    size_t len = strlen(client_id);
    client = rc_calloc(1, sizeof(*client) + len + 1);
    memcpy(client->id, client_id, len + 1);
    rc_list_init(&client->open);
    rc_map_insert(&store->clients, client);
    return client;
}

static struct rc_slice make_key(char *out, const struct rc_client_event *event)
{
    size_t channel_len = strlen(event->channel_id) + 1;
    size_t client_len = strlen(event->client_id) + 1;
    memcpy(out, event->channel_id, channel_len);
    memcpy(out + channel_len, event->client_id, client_len);
    return rc_slice(out, channel_len + client_len);
}

static struct channel *new_channel(struct rc_client_status *store, const struct rc_client_event *event,
                                   struct rc_slice key)
{
    struct channel *channel = rc_calloc(1, sizeof(*channel) + key.len);
    memcpy(channel->key, key.ptr, key.len);
    channel->key_len = (uint32_t)key.len;
    channel->client = obtain_client(store, event->client_id);
    rc_map_insert(&store->channels, channel);
    return channel;
}

/* ---- views and the change callback ---- */

static struct channel *newest_open(const struct client *client)
{
    return rc_container_of(client->open.prev, struct channel, node);
}

static void view_of(const struct client *client, struct rc_client_view *ret)
{
    bool online = client->open_count > 0;
    *ret = (struct rc_client_view){
        .client_id = client->id,
        .online = online,
        .open_channels = client->open_count,
        .channel_id = client->last_channel,
        .client_ip = client->last_ip,
        .since_ms = client->last_end_ms,
    };
    if (online) {
        const struct channel *channel = newest_open(client);
        ret->channel_id = channel->key;
        ret->client_ip = channel->ip;
        ret->since_ms = channel->connect_ms;
    }
    if (ret->channel_id == NULL)
        ret->channel_id = "";
    if (ret->client_ip == NULL)
        ret->client_ip = "";
}

static void tell_change(struct rc_client_status *store, const struct client *client)
{
    if (store->options.on_change == NULL)
        return;
    struct rc_client_view view;
    view_of(client, &view);
    store->options.on_change(&view, store->options.arg);
}

/* ---- tombstones ---- */

static void forget_oldest(struct rc_client_status *store)
{
    struct channel *channel = rc_container_of(rc_list_pop_front(&store->tombstones), struct channel, node);
    struct client *client = channel->client;
    rc_map_remove(&store->channels, channel_key(channel));
    store->counts.tombstones--;
    client->tombstones--;
    if (client->tombstones == 0 && client->open_count == 0) {
        rc_map_remove(&store->clients, client_key(client));
        free_client(client);
    }
    free_channel(channel);
}

void rc_client_status_expire(struct rc_client_status *store)
{
    uint64_t now = store->options.now_ms(store->options.arg);
    while (!rc_list_is_empty(&store->tombstones)) {
        struct channel *oldest = rc_container_of(store->tombstones.next, struct channel, node);
        if (now - oldest->ended_at < store->options.tombstone_ms)
            break;
        forget_oldest(store);
        store->counts.expired++;
    }
}

/* What is told of a client that is offline comes from the channel that ended last. */
static void remember_end(struct client *client, const struct channel *channel, int64_t end_ms)
{
    if (client->last_channel != NULL && end_ms < client->last_end_ms)
        return;
    client->last_end_ms = end_ms;
    free(client->last_channel);
    client->last_channel = rc_strdup(channel->key);
    free(client->last_ip);
    client->last_ip = channel->ip ? rc_strdup(channel->ip) : NULL;
}

/* The channel is in no list. It goes to the end of the queue, so neither it nor its client is what is
 * forgotten. */
static void bury(struct rc_client_status *store, struct channel *channel, int64_t end_ms)
{
    channel->is_ended = true;
    channel->ended_at = store->options.now_ms(store->options.arg);
    rc_list_push_back(&store->tombstones, &channel->node);
    channel->client->tombstones++;
    store->counts.tombstones++;
    remember_end(channel->client, channel, end_ms);
    while (store->counts.tombstones > store->options.max_tombstones) {
        forget_oldest(store);
        store->counts.evicted++;
    }
}

/* ---- opening and ending ---- */

/* The open list is by time of connect, of equals the later arrival last. */
static void link_open(struct client *client, struct channel *channel)
{
    struct rc_list *after = client->open.prev;
    while (after != &client->open &&
           rc_container_of(after, struct channel, node)->connect_ms > channel->connect_ms)
        after = after->prev;
    rc_list_push_back(after->next, &channel->node);
}

static void open_channel(struct rc_client_status *store, struct channel *channel)
{
    struct client *client = channel->client;
    link_open(client, channel);
    store->counts.open++;
    if (client->open_count++ == 0)
        store->counts.online++;
}

/* Takes an open channel out of its client; true when that was the last one. */
static bool unlink_open(struct rc_client_status *store, struct channel *channel)
{
    struct client *client = channel->client;
    rc_list_remove(&channel->node);
    store->counts.open--;
    if (--client->open_count > 0)
        return false;
    store->counts.online--;
    return true;
}

static void supersede_oldest(struct rc_client_status *store, struct client *client)
{
    struct channel *oldest = rc_container_of(client->open.next, struct channel, node);
    unlink_open(store, oldest);
    store->counts.superseded++;
    bury(store, oldest, oldest->connect_ms);
}

/* ---- one event ---- */

static enum rc_client_status_result on_connect(struct rc_client_status *store, struct channel *channel,
                                               const struct rc_client_event *event)
{
    struct client *client = channel->client;
    channel->connect_ms = event->time_ms;
    if (channel->is_ended) {
        store->counts.late_connects++;
        return RC_CLIENT_STATUS_APPLIED;
    }
    bool was_online = client->open_count > 0;
    open_channel(store, channel);
    if (client->open_count > store->options.max_open_per_client)
        supersede_oldest(store, client);
    if (was_online)
        return RC_CLIENT_STATUS_APPLIED;
    tell_change(store, client);
    return RC_CLIENT_STATUS_CHANGED;
}

static enum rc_client_status_result on_tcpclean(struct rc_client_status *store, struct channel *channel,
                                                const struct rc_client_event *event)
{
    if (channel->is_ended) {
        remember_end(channel->client, channel, event->time_ms);
        return RC_CLIENT_STATUS_APPLIED;
    }
    bool was_open = channel->seen & SEEN(RC_CLIENT_EVENT_CONNECT);
    bool went_offline = was_open && unlink_open(store, channel);
    bury(store, channel, event->time_ms);
    if (!went_offline)
        return RC_CLIENT_STATUS_APPLIED;
    tell_change(store, channel->client);
    return RC_CLIENT_STATUS_CHANGED;
}

static void note_ip(struct channel *channel, const char *ip)
{
    if (channel->ip == NULL && ip != NULL && ip[0] != '\0')
        channel->ip = rc_strndup(ip, strnlen(ip, IP_MAX));
}

static enum rc_client_status_result apply(struct rc_client_status *store, const struct rc_client_event *event)
{
    char key_bytes[2 * (RC_CLIENT_STATUS_ID_MAX + 1)];
    struct rc_slice key = make_key(key_bytes, event);
    struct channel *channel = rc_map_find(&store->channels, key);
    if (channel != NULL && (channel->seen & SEEN(event->type)))
        return RC_CLIENT_STATUS_DUPLICATE;
    /* Goodbye alone ends nothing, and says nothing of a connection that is not known. */
    if (channel == NULL && event->type == RC_CLIENT_EVENT_DISCONNECT)
        return RC_CLIENT_STATUS_DUPLICATE;
    if (channel == NULL) {
        if (event->type == RC_CLIENT_EVENT_CONNECT && store->counts.open >= store->options.max_open)
            return RC_CLIENT_STATUS_FULL;
        channel = new_channel(store, event, key);
    }
    note_ip(channel, event->client_ip);
    channel->seen |= SEEN(event->type);
    if (event->type == RC_CLIENT_EVENT_CONNECT)
        return on_connect(store, channel, event);
    if (event->type == RC_CLIENT_EVENT_TCPCLEAN)
        return on_tcpclean(store, channel, event);
    return RC_CLIENT_STATUS_APPLIED;
}

static void count_result(struct rc_client_status_counts *counts, enum rc_client_status_result result)
{
    counts->events++;
    switch (result) {
    case RC_CLIENT_STATUS_CHANGED:
    case RC_CLIENT_STATUS_APPLIED:
        counts->applied++;
        break;
    case RC_CLIENT_STATUS_DUPLICATE:
        counts->duplicates++;
        break;
    case RC_CLIENT_STATUS_INVALID:
        counts->invalid++;
        break;
    case RC_CLIENT_STATUS_FULL:
        counts->full++;
        break;
    }
}

enum rc_client_status_result rc_client_status_add(struct rc_client_status *store,
                                                  const struct rc_client_event *event)
{
    enum rc_client_status_result result = RC_CLIENT_STATUS_INVALID;
    rc_client_status_expire(store);
    if (rc_client_event_is_id(event->client_id) && rc_client_event_is_id(event->channel_id))
        result = apply(store, event);
    count_result(&store->counts, result);
    return result;
}

enum rc_client_status_result rc_client_status_add_json(struct rc_client_status *store, const void *body,
                                                       size_t len, struct rc_client_event *ret)
{
    struct rc_client_event event;
    json_t *json;
    if (rc_client_event_parse(body, len, &event, &json) != RC_OK) {
        count_result(&store->counts, RC_CLIENT_STATUS_INVALID);
        return RC_CLIENT_STATUS_INVALID;
    }
    json_decref(store->last_json);
    store->last_json = json;
    if (ret != NULL)
        *ret = event;
    return rc_client_status_add(store, &event);
}

void rc_client_status_set_offline(struct rc_client_status *store, const char *client_id)
{
    struct client *client = find_client(store, client_id);
    if (client == NULL || client->open_count == 0)
        return;
    while (client->open_count > 0)
        supersede_oldest(store, client);
    tell_change(store, client);
}

/* ---- asking ---- */

bool rc_client_status_is_online(const struct rc_client_status *store, const char *client_id)
{
    const struct client *client = find_client(store, client_id);
    return client != NULL && client->open_count > 0;
}

bool rc_client_status_get(const struct rc_client_status *store, const char *client_id,
                          struct rc_client_view *ret)
{
    const struct client *client = find_client(store, client_id);
    if (client == NULL)
        return false;
    view_of(client, ret);
    return true;
}

void rc_client_status_each(const struct rc_client_status *store,
                           bool (*visit)(const struct rc_client_view *client, void *arg), void *arg)
{
    uint32_t cursor = 0;
    for (struct client *client; (client = rc_map_next(&store->clients, &cursor)) != NULL;) {
        struct rc_client_view view;
        view_of(client, &view);
        if (!visit(&view, arg))
            return;
    }
}

void rc_client_status_each_channel(const struct rc_client_status *store, const char *client_id,
                                   bool (*visit)(const struct rc_channel_view *channel, void *arg), void *arg)
{
    const struct client *client = find_client(store, client_id);
    if (client == NULL)
        return;
    rc_list_for_each(node, &client->open)
    {
        const struct channel *channel = rc_container_of(node, struct channel, node);
        struct rc_channel_view view = {
            .channel_id = channel->key,
            .client_ip = channel->ip ? channel->ip : "",
            .connect_ms = channel->connect_ms,
            .disconnect_seen = channel->seen & SEEN(RC_CLIENT_EVENT_DISCONNECT),
        };
        if (!visit(&view, arg))
            return;
    }
}

void rc_client_status_count(const struct rc_client_status *store, struct rc_client_status_counts *ret)
{
    *ret = store->counts;
    ret->clients = store->clients.count;
}
