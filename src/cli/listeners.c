/*
 * Design notes
 * - A shard has its own pointer to each transport, changed by mail on its own thread: accepting takes no lock
 * and sees either the old one whole or the new one.
 * - Admissions count across reloads, so they belong to the listener, not to the transport.
 */
#include "cli/listeners.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "broker/broker.h"
#include "control/control_transports.h"
#include "net/listener.h"
#include "net/transport.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { EXPIRY_WARNING_DAYS = 14 };

/* One listener on one shard. */
struct door {
    struct rc_listener listener;
    struct rc_broker *broker;
    struct rc_transport *transport; /* a reference; changed on the shard's thread */
    int fd;                         /* -1 once `listener` owns it */
};

struct rc_listeners {
    uint32_t count, shards;
    struct rc_address addresses[RC_LISTENERS_MAX];
    enum rc_transport_kind kinds[RC_LISTENERS_MAX];
    char *names[RC_LISTENERS_MAX];
    struct rc_admission admissions[RC_LISTENERS_MAX], all;
    struct rc_loop **loops; /* of the started shards; NULL before */
    struct door *doors;     /* [shard * RC_LISTENERS_MAX + listener] */
};

static struct door *door_of(struct rc_listeners *listeners, uint32_t shard, uint32_t listener)
{
    return &listeners->doors[shard * RC_LISTENERS_MAX + listener];
}

/* ---- opening ---- */

static int open_one(struct rc_listeners *listeners, const struct rc_config_listener *config,
                    struct rc_error *error)
{
    uint32_t i = listeners->count;
    struct rc_address *address = &listeners->addresses[i];
    int fds[RC_BROKER_SHARDS_MAX];
    int err = rc_address_parse(config->bind.text, address, error);
    err = err ? err : rc_listen_open(address, fds, listeners->shards, error);
    if (err != RC_OK)
        return err;
    if (config->transport == RC_TRANSPORT_TCP) /* the only one that is read with the accept */
        rc_listen_for_data(fds, listeners->shards);
    for (uint32_t shard = 0; shard < listeners->shards; shard++)
        door_of(listeners, shard, i)->fd = fds[shard];
    listeners->kinds[i] = (enum rc_transport_kind)config->transport;
    listeners->names[i] = rc_strdup(config->name.text);
    listeners->count++;
    return RC_OK;
}

static void warn_of_expiry(const struct rc_transport *transport)
{
    if (transport->tls == NULL)
        return;
    int64_t left_s = rc_tls_valid_until(transport->tls) - rc_clock_wall_ms() / 1000;
    if (left_s < EXPIRY_WARNING_DAYS * 24 * 3600)
        rc_log_warn("tls",
                    "a certificate of the listener %s expires in %lld hours: replace it and send SIGHUP",
                    transport->name, (long long)(left_s / 3600));
}

/* Every shard gets a reference of its own. */
static void give_transports(struct rc_listeners *listeners, struct rc_transports *transports)
{
    for (uint32_t i = 0; i < listeners->count && i < transports->count; i++) {
        struct rc_transport *transport = transports->items[i];
        transport->admission = &listeners->admissions[i];
        warn_of_expiry(transport);
        for (uint32_t shard = 0; shard < listeners->shards; shard++)
            door_of(listeners, shard, i)->transport = rc_transport_ref(transport);
    }
    rc_transports_free(transports);
}

int rc_listeners_open(const struct rc_config *config, uint32_t shards, struct rc_transports *transports,
                      struct rc_listeners **ret, struct rc_error *error)
{
    const struct rc_config_list *list = &config->mqtt.listeners;
    struct rc_listeners *listeners = rc_new(struct rc_listeners);
    int err = RC_OK;
    listeners->shards = shards;
    listeners->loops = rc_calloc(shards, sizeof(struct rc_loop *));
    listeners->doors = rc_calloc(shards * RC_LISTENERS_MAX, sizeof(struct door));
    for (uint32_t i = 0; i < shards * RC_LISTENERS_MAX; i++)
        listeners->doors[i].fd = -1;
    if (list->count > RC_LISTENERS_MAX)
        err = rc_error_set(error, RC_ERR_FULL, "more than %d MQTT listeners", RC_LISTENERS_MAX);
    for (uint32_t i = 0; err == RC_OK && i < list->count; i++)
        err = open_one(listeners, &((const struct rc_config_listener *)list->items)[i], error);
    give_transports(listeners, transports);
    if (err != RC_OK) {
        rc_listeners_free(listeners);
        return err;
    }
    *ret = listeners;
    return RC_OK;
}

/* ---- accepting ---- */

static void on_accept(struct rc_listener *listener, int fd, const struct rc_address *peer)
{
    struct door *door = rc_container_of(listener, struct door, listener);
    const struct rc_transport_limits *limits = &door->transport->limits;
    if (limits->connections_per_second > 0)
        rc_admission_came(door->transport->admission, limits->connections_per_second, rc_clock_mono_ns());
    rc_broker_accept_on(door->broker, fd, peer, door->transport);
}

static uint64_t wait_ns(struct rc_listener *listener)
{
    const struct rc_transport *transport = rc_container_of(listener, struct door, listener)->transport;
    if (transport->limits.connections_per_second == 0)
        return 0;
    uint64_t wait = rc_admission_wait_ns(transport->admission, transport->limits.connections_per_second,
                                         rc_clock_mono_ns());
    if (wait > 0)
        atomic_fetch_add_explicit(&transport->admission->delayed, 1, memory_order_relaxed);
    return wait;
}

int rc_listeners_start(struct rc_listeners *listeners, uint32_t shard, struct rc_loop *loop,
                       struct rc_broker *broker)
{
    listeners->loops[shard] = loop;
    for (uint32_t i = 0; i < listeners->count; i++) {
        struct door *door = door_of(listeners, shard, i);
        door->broker = broker;
        door->listener.on_accept = on_accept;
        door->listener.wait_ns = wait_ns;
        int err = rc_listener_start(&door->listener, loop, door->fd);
        if (err != RC_OK)
            return err;
        door->fd = -1;
    }
    return RC_OK;
}

/* ---- changing ---- */

struct change {
    struct rc_mail mail;
    struct door *door;
    struct rc_transport *transport;
};

static void on_change(struct rc_mail *mail, struct rc_loop *loop)
{
    struct change *change = rc_container_of(mail, struct change, mail);
    rc_transport_unref(change->door->transport);
    change->door->transport = change->transport;
    free(change);
}

static void change_one(struct rc_listeners *listeners, uint32_t i, struct rc_transport *transport)
{
    transport->admission = &listeners->admissions[i];
    warn_of_expiry(transport);
    for (uint32_t shard = 0; shard < listeners->shards; shard++) {
        struct change *change = rc_new(struct change);
        *change = (struct change){.mail.deliver = on_change,
                                  .door = door_of(listeners, shard, i),
                                  .transport = rc_transport_ref(transport)};
        rc_loop_post(listeners->loops[shard], &change->mail);
    }
}

void rc_listeners_post(struct rc_listeners *listeners, struct rc_transports *transports)
{
    for (uint32_t t = 0; t < transports->count; t++) {
        struct rc_transport *transport = transports->items[t];
        for (uint32_t i = 0; i < listeners->count; i++) {
            if (strcmp(listeners->names[i], transport->name) == 0 && listeners->kinds[i] == transport->kind)
                change_one(listeners, i, transport);
        }
    }
    rc_transports_free(transports);
}

/* ---- the end ---- */

struct stop {
    struct rc_mail mail;
    struct rc_listeners *listeners;
    uint32_t shard;
};

static void on_stop(struct rc_mail *mail, struct rc_loop *loop)
{
    struct stop *stop = rc_container_of(mail, struct stop, mail);
    for (uint32_t i = 0; i < stop->listeners->count; i++)
        rc_listener_stop(&door_of(stop->listeners, stop->shard, i)->listener);
    free(stop);
}

void rc_listeners_post_stop(struct rc_listeners *listeners, uint32_t shard)
{
    struct stop *stop = rc_new(struct stop);
    *stop = (struct stop){.mail.deliver = on_stop, .listeners = listeners, .shard = shard};
    rc_loop_post(listeners->loops[shard], &stop->mail);
}

void rc_listeners_free(struct rc_listeners *listeners)
{
    if (listeners == NULL)
        return;
    for (uint32_t i = 0; i < listeners->shards * RC_LISTENERS_MAX; i++) {
        struct door *door = &listeners->doors[i];
        rc_transport_unref(door->transport);
        if (door->fd != -1)
            close(door->fd);
    }
    for (uint32_t i = 0; i < listeners->count; i++)
        free(listeners->names[i]);
    free(listeners->loops);
    free(listeners->doors);
    free(listeners);
}

/* ---- what is told ---- */

struct rc_admission *rc_listeners_admission(struct rc_listeners *listeners)
{
    return &listeners->all;
}

size_t rc_listeners_describe(const struct rc_listeners *listeners, char *out, size_t size)
{
    static const char *const labels[] = {"mqtt=", "mqtts=", "ws=", "wss="};
    char text[RC_ADDRESS_TEXT_MAX];
    size_t len = 0;
    for (int kind = RC_TRANSPORT_TCP; kind <= RC_TRANSPORT_WSS; kind++) {
        bool is_first = true;
        for (uint32_t i = 0; i < listeners->count && len < size; i++) {
            if ((int)listeners->kinds[i] != kind)
                continue;
            len += (size_t)snprintf(out + len, size - len, "%s%s%s", is_first && len > 0 ? " " : "",
                                    is_first ? labels[kind] : ",",
                                    rc_address_format(&listeners->addresses[i], text));
            is_first = false;
        }
    }
    return len < size ? len : size;
}

const struct rc_address *rc_listeners_mqtt_address(const struct rc_listeners *listeners)
{
    for (uint32_t i = 0; i < listeners->count; i++) {
        if (listeners->kinds[i] == RC_TRANSPORT_TCP && rc_address_is_ip(&listeners->addresses[i]))
            return &listeners->addresses[i];
    }
    return NULL;
}
