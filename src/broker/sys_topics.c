/* $SYS: the numbers. */
#include "broker/sys_topics.h"

#include "base/clock.h"
#include "broker/private.h"
#include "mqtt/topic.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

enum { TOPIC_MAX = 192, VALUE_MAX = 96 };

bool rc_sys_is_about(struct rc_slice filter)
{
    return rc_slice_eq_str(filter, "$SYS") || rc_slice_starts_with(filter, rc_slice_str("$SYS/"));
}

/* ---- sums over all shards ---- */

static uint64_t sum(const struct rc_broker *broker, size_t offset)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < broker->options.shards; i++) {
        const char *counters = (const char *)&broker->options.brokers[i]->counters;
        total += atomic_load_explicit((const atomic_uint_fast64_t *)(const void *)(counters + offset),
                                      memory_order_relaxed);
    }
    return total;
}

#define SUM(broker, name) sum(broker, offsetof(struct rc_broker_counters, name))

static uint64_t dropped(const struct rc_broker *broker)
{
    return SUM(broker, dropped_qos0) + SUM(broker, dropped_queue) + SUM(broker, dropped_forward) +
           SUM(broker, dropped_expired) + SUM(broker, dropped_too_large);
}

/* A connection that closes is no client any more, and its session may be gone, in the other order. */
static uint64_t absent(const struct rc_broker *broker)
{
    uint64_t sessions = SUM(broker, sessions), clients = SUM(broker, clients);
    return sessions > clients ? sessions - clients : 0;
}

/* The most that were seen at a time: looked at now and then, so a short peak may be missed. */
static void see_clients(struct rc_broker *broker)
{
    uint64_t clients = SUM(broker, clients);
    if (clients > broker->sys.clients_max)
        broker->sys.clients_max = clients;
}

/* ---- rates ---- */

/* In the order of `totals`. */
static const char *const load_names[RC_SYS_LOADS] = {
    "messages/received", "messages/sent", "publish/received", "publish/sent", "publish/dropped",
    "bytes/received",    "bytes/sent",    "sockets",          "connections",
};
static const char *const window_names[RC_SYS_WINDOWS] = {"1min", "5min", "15min"};
static const double window_minutes[RC_SYS_WINDOWS] = {1, 5, 15};

static void read_totals(const struct rc_broker *broker, uint64_t totals[RC_SYS_LOADS])
{
    const uint64_t now[RC_SYS_LOADS] = {
        SUM(broker, packets_received), SUM(broker, packets_sent), SUM(broker, publishes_received),
        SUM(broker, publishes_sent),   dropped(broker),           SUM(broker, bytes_received),
        SUM(broker, bytes_sent),       SUM(broker, accepted),     SUM(broker, connects),
    };
    memcpy(totals, now, sizeof(now));
}

/* Averages a minute, the older the less they count: as load averages are made. */
static void update_loads(struct rc_broker *broker)
{
    struct rc_sys *sys = &broker->sys;
    uint64_t totals[RC_SYS_LOADS], now_ms = rc_loop_now_ms(broker->options.loop);
    double minutes = (double)(now_ms - sys->loaded_ms) / 60000;
    if (minutes <= 0)
        return;
    read_totals(broker, totals);
    for (int i = 0; i < RC_SYS_LOADS; i++) {
        double rate = (double)(totals[i] - sys->totals[i]) / minutes;
        for (int w = 0; w < RC_SYS_WINDOWS; w++) {
            double keep = exp(-minutes / window_minutes[w]);
            sys->loads[i][w] = sys->loads[i][w] * keep + rate * (1 - keep);
        }
    }
    memcpy(sys->totals, totals, sizeof(totals));
    sys->loaded_ms = now_ms;
}

/* ---- all topics, one after the other ---- */

struct teller {
    struct rc_broker *broker;
    void (*tell)(struct teller *teller, struct rc_slice topic, struct rc_slice value);
    const struct rc_subscription *subscription; /* catching up */
    struct rc_slice instance;                   /* publishing */
};

static void tell_text(struct teller *teller, const char *head, const char *name, const char *value)
{
    char topic[TOPIC_MAX];
    snprintf(topic, sizeof(topic), "%s%s", head, name);
    teller->tell(teller, rc_slice_str(topic), rc_slice_str(value));
}

static void tell_number(struct teller *teller, const char *head, const char *name, uint64_t value)
{
    char text[VALUE_MAX];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    tell_text(teller, head, name, text);
}

static uint64_t uptime_s(const struct rc_broker *broker)
{
    return (rc_loop_now_ms(broker->options.loop) - broker->sys.started_ms) / 1000;
}

static void tell_loads(struct teller *teller)
{
    char name[TOPIC_MAX], value[VALUE_MAX];
    for (int i = 0; i < RC_SYS_LOADS; i++) {
        for (int w = 0; w < RC_SYS_WINDOWS; w++) {
            snprintf(name, sizeof(name), "load/%s/%s", load_names[i], window_names[w]);
            snprintf(value, sizeof(value), "%.2f", teller->broker->sys.loads[i][w]);
            tell_text(teller, "$SYS/broker/", name, value);
        }
    }
}

static void tell_mosquittos(struct teller *teller)
{
    static const char head[] = "$SYS/broker/";
    const struct rc_broker *broker = teller->broker;
    char uptime[VALUE_MAX];
    snprintf(uptime, sizeof(uptime), "%" PRIu64 " seconds", uptime_s(broker));
    tell_text(teller, head, "version", "rollcall version " RC_VERSION);
    tell_text(teller, head, "uptime", uptime);
    tell_number(teller, head, "clients/total", SUM(broker, sessions));
    tell_number(teller, head, "clients/connected", SUM(broker, clients));
    tell_number(teller, head, "clients/active", SUM(broker, clients));
    tell_number(teller, head, "clients/disconnected", absent(broker));
    tell_number(teller, head, "clients/inactive", absent(broker));
    tell_number(teller, head, "clients/maximum", broker->sys.clients_max);
    tell_number(teller, head, "subscriptions/count", SUM(broker, subscriptions));
    tell_number(teller, head, "retained messages/count", broker->retained.count);
    tell_number(teller, head, "messages/received", SUM(broker, packets_received));
    tell_number(teller, head, "messages/sent", SUM(broker, packets_sent));
    tell_number(teller, head, "bytes/received", SUM(broker, bytes_received));
    tell_number(teller, head, "bytes/sent", SUM(broker, bytes_sent));
    tell_number(teller, head, "publish/messages/received", SUM(broker, publishes_received));
    tell_number(teller, head, "publish/messages/sent", SUM(broker, publishes_sent));
    tell_number(teller, head, "publish/messages/dropped", dropped(broker));
    tell_number(teller, head, "publish/bytes/received", SUM(broker, publish_bytes_received));
    tell_number(teller, head, "publish/bytes/sent", SUM(broker, publish_bytes_sent));
    tell_loads(teller);
}

static void tell_date(struct teller *teller, const char *head)
{
    char text[VALUE_MAX];
    struct tm utc;
    time_t now = (time_t)(rc_clock_wall_ms() / 1000);
    gmtime_r(&now, &utc);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
    tell_text(teller, head, "datetime", text);
}

static void tell_emqxs(struct teller *teller)
{
    const struct rc_broker *broker = teller->broker;
    char head[TOPIC_MAX / 2], uptime[VALUE_MAX];
    snprintf(head, sizeof(head), "$SYS/brokers/%s/", broker->options.node);
    snprintf(uptime, sizeof(uptime), "%" PRIu64, uptime_s(broker) * 1000);
    tell_text(teller, "$SYS/brokers", "", broker->options.node);
    tell_text(teller, head, "version", RC_VERSION);
    tell_text(teller, head, "sysdescr", "Rollcall");
    tell_text(teller, head, "uptime", uptime);
    tell_date(teller, head);
    tell_number(teller, head, "stats/connections/count", SUM(broker, clients));
    tell_number(teller, head, "stats/connections/max", broker->sys.clients_max);
    tell_number(teller, head, "stats/sessions/count", SUM(broker, sessions));
    tell_number(teller, head, "stats/subscriptions/count", SUM(broker, subscriptions));
    tell_number(teller, head, "stats/retained/count", broker->retained.count);
    tell_number(teller, head, "metrics/bytes/received", SUM(broker, bytes_received));
    tell_number(teller, head, "metrics/bytes/sent", SUM(broker, bytes_sent));
    tell_number(teller, head, "metrics/packets/received", SUM(broker, packets_received));
    tell_number(teller, head, "metrics/packets/sent", SUM(broker, packets_sent));
    tell_number(teller, head, "metrics/packets/publish/received", SUM(broker, publishes_received));
    tell_number(teller, head, "metrics/packets/publish/sent", SUM(broker, publishes_sent));
    tell_number(teller, head, "metrics/messages/received", SUM(broker, publishes_received));
    tell_number(teller, head, "metrics/messages/sent", SUM(broker, publishes_sent));
    tell_number(teller, head, "metrics/messages/dropped", dropped(broker));
#define X(name, text) tell_number(teller, head, "metrics/rollcall/" #name, SUM(broker, name));
    RC_BROKER_COUNTER_MAP(X)
#undef X
}

/* ---- to those who are subscribed ---- */

static struct rc_publication *make(struct rc_broker *broker, struct rc_slice topic, struct rc_slice value)
{
    struct rc_mqtt_publish publish = {.topic = topic, .payload = value};
    return rc_publication_create(NULL, &publish, 0, rc_loop_now_ms(broker->options.loop));
}

static void publish_here(struct teller *teller, struct rc_slice topic, struct rc_slice value)
{
    struct rc_publication *publication = make(teller->broker, topic, value);
    rc_route_here(teller->broker, teller->instance, publication);
    rc_publication_unref(publication);
}

static void send_one(struct teller *teller, struct rc_slice topic, struct rc_slice value)
{
    const struct rc_subscription *subscription = teller->subscription;
    if (!rc_topic_matches(rc_slice(subscription->filter, subscription->filter_len), topic))
        return;
    struct rc_publication *publication = make(teller->broker, topic, value);
    struct rc_copy copy = {
        .publication = publication,
        .retain = true,
        .ids = &subscription->id,
        .ids_count = subscription->id != 0 ? 1 : 0,
    };
    rc_delivery_send(teller->broker, subscription->session, &copy);
    rc_publication_unref(publication);
}

void rc_sys_catch_up(struct rc_broker *broker, const struct rc_subscription *subscription)
{
    struct teller teller = {.broker = broker, .tell = send_one, .subscription = subscription};
    if (!rc_sys_is_about(rc_slice(subscription->filter, subscription->filter_len)))
        return;
    see_clients(broker);
    tell_mosquittos(&teller);
    tell_emqxs(&teller);
}

/* An instance is told when somebody of it is subscribed to anything below $SYS. */
static void publish_all(struct rc_broker *broker)
{
    struct teller teller = {.broker = broker, .tell = publish_here};
    const struct rc_topic_node *instance;
    uint32_t cursor = 0;
    while ((instance = rc_map_next(&broker->subscriptions.root->children, &cursor)) != NULL) {
        if (rc_map_find(&instance->children, rc_slice_str("$SYS")) == NULL)
            continue;
        teller.instance = rc_slice(instance->level, instance->level_len);
        tell_mosquittos(&teller);
        tell_emqxs(&teller);
    }
}

static void on_due(struct rc_timer *timer)
{
    struct rc_broker *broker = rc_container_of(timer, struct rc_broker, sys.timer);
    see_clients(broker);
    update_loads(broker);
    if (atomic_load_explicit(&broker->counters.sys_subscriptions, memory_order_relaxed) > 0)
        publish_all(broker);
    rc_timer_start(broker->options.loop, timer, broker->options.sys_interval_ms);
}

void rc_sys_init(struct rc_broker *broker)
{
    rc_list_init(&broker->sys.notices);
    broker->sys.timer.on_due = on_due;
    broker->sys.started_ms = broker->sys.loaded_ms = rc_loop_now_ms(broker->options.loop);
    if (broker->options.sys_interval_ms > 0)
        rc_timer_start(broker->options.loop, &broker->sys.timer, broker->options.sys_interval_ms);
}
